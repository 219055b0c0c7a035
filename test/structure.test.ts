import { describe, expect, it } from 'vitest';
import { excessesOf, limits, problemsOf } from '../scripts/structure.mjs';

const long = `function long() {\n${'  step();\n'.repeat(limits.lines)}}\n`;

describe('the check of the structure', () => {
  it('reports functions that are too long', () => {
    expect([...excessesOf('src/a.ts', long)]).toEqual([['lines src/a.ts long', limits.lines + 2]]);
    expect([...excessesOf('src/a.ts', 'function short() {}')]).toEqual([]);
  });

  it('reports functions with too many parameters, by the name of their variable', () => {
    const text = 'const many = (a: 1, b: 1, c: 1, d: 1, e: 1) => a;';
    expect([...excessesOf('src/a.ts', text)]).toEqual([['parameters src/a.ts many', 5]]);
  });

  it('reports files that import too many others', () => {
    const text = Array.from({ length: limits.imports + 1 }, (_, index) => `import './file-${index}.ts';`).join('\n');
    expect([...excessesOf('src/a.ts', `import 'zod';\n${text}`)]).toEqual([['imports src/a.ts', limits.imports + 1]]);
  });

  it.each([
    ['src/modules/a/a.service.ts', '../../graphql/builder.ts'],
    ['src/authz/a.ts', '../modules/a/a.service.ts'],
    ['src/rest/onyx/a.ts', '../anythingllm/b.ts'],
    ['src/http/a.ts', '../rest/onyx/errors.ts'],
  ])('reports that %s imports %s', (file, target) => {
    const [key] = [...excessesOf(file, `import { a } from '${target}';`).keys()];
    expect(key).toMatch(/^barrier /);
  });

  it('accepts excesses up to their ceiling, and rejects a ceiling that is higher than needed', () => {
    const excesses = new Map([['lines src/a.ts long', 90]]);
    expect(problemsOf(excesses, { 'lines src/a.ts long': 90 })).toEqual([]);
    expect(problemsOf(excesses, { 'lines src/a.ts long': 89 })).toHaveLength(1);
    expect(problemsOf(excesses, { 'lines src/a.ts long': 91 })).toHaveLength(1);
    expect(problemsOf(excesses, {})).toHaveLength(1);
    expect(problemsOf(new Map(), { 'lines src/a.ts long': 90 })).toHaveLength(1);
  });
});
