import { describe, expect, it } from 'vitest';
import { excessesOf, limits, mutualImports, pairProblemsOf, problemsOf } from '../scripts/structure.mjs';

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
    ['src/modules/a/a.service.ts', '../../rest/body.ts'],
    ['src/modules/a/a.service.ts', './a.graphql.ts'],
    ['src/modules/a/a.service.ts', 'graphql'],
    ['src/modules/a/a.service.ts', '@pothos/core'],
    ['src/authz/a.ts', '../modules/a/a.service.ts'],
    ['src/rest/onyx/a.ts', '../anythingllm/b.ts'],
    ['src/http/a.ts', '../rest/onyx/errors.ts'],
  ])('reports that %s imports %s', (file, target) => {
    const [key] = [...excessesOf(file, `import { a } from '${target}';`).keys()];
    expect(key).toMatch(/^barrier /);
  });

  it.each([
    `export { a } from '../modules/a/a.service.ts';`,
    `import '../modules/a/a.service.ts';`,
    `type A = import('../modules/a/a.service.ts').A;`,
    `const a = await import('../modules/a/a.service.ts');`,
  ])('reports an import across a barrier that is written as %s', (text) => {
    expect([...excessesOf('src/store/a.ts', text).keys()]).toEqual([expect.stringMatching(/^barrier /)]);
  });

  it('reports modules that import each other, unless the pair is known with a reason', () => {
    const pairs = mutualImports(
      new Map([
        ['src/modules/a/a.ts', `import { b } from '../b/b.ts';\nimport type { C } from '../c/c.ts';`],
        ['src/modules/b/b.ts', `import { other } from './other.ts';`],
        ['src/modules/b/other.ts', `export type { A } from '../a/a.ts';`],
        ['src/modules/c/c.ts', `import { shared } from '../shared.ts';`],
      ]),
    );
    expect([...pairs]).toEqual([
      ['a <-> b', ['src/modules/a/a.ts -> src/modules/b/b.ts', 'src/modules/b/other.ts -> src/modules/a/a.ts']],
    ]);
    expect(pairProblemsOf(pairs, {})).toEqual([expect.stringContaining('a <-> b')]);
    expect(pairProblemsOf(pairs, { 'a <-> b': 'a reason' })).toEqual([]);
    expect(pairProblemsOf(new Map(), { 'a <-> b': 'a reason' })).toHaveLength(1);
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
