import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { build } from './latchkey.ts';

beforeAll(build);

const read = (...path: string[]) => readFileSync(join(projectRoot, ...path), 'utf8');

/** Returns the modules that a bundled file imports at its start. */
const importsOf = (text: string): string[] =>
  ts
    .createSourceFile('bundle.js', text, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS)
    .statements.flatMap((statement) =>
      ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier)
        ? [statement.moduleSpecifier.text]
        : [],
    );

it('copies the packages that the bundle loads, and no others, into the container image', () => {
  const scripts = readdirSync(join(projectRoot, 'dist')).filter((name) => name.endsWith('.js'));
  const imported = scripts.flatMap((name) => importsOf(read('dist', name)));
  const packages = [...new Set(imported.filter((from) => !from.startsWith('.') && !isBuiltin(from)))].toSorted();
  expect(packages).toEqual(['@electric-sql/pglite', '@node-rs/argon2', 'sql.js']);
  const copied = [...read('Dockerfile').matchAll(/^COPY --from=build \/app\/node_modules\/(\S+) /gm)];
  // The binary of argon2 is a package of its own in the same scope.
  expect(copied.map(([, name]) => name)).toEqual(['@electric-sql/pglite', '@node-rs', 'sql.js']);
});

it('declares the packages that `npm start` uses as dependencies', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const steps = ['prepare', 'pages', 'docs', 'docs-page', 'web-files', 'prisma', 'start']
    .map((name) => read('scripts', `${name}.mjs`))
    .join('\n');
  const used = [...steps.matchAll(/(?:from |import\(|\)\()'(@[^/']+\/[^/']+|[^@./'][^/']*)[/']/g)]
    .map(([, name = '']) => name)
    .filter((name) => !isBuiltin(name) && !name.startsWith('node:'));
  expect(used.toSorted()).toEqual([
    '@graphql-yoga/render-graphiql',
    '@prisma/client-generator-ts',
    '@prisma/internals',
    'esbuild',
    'marked',
  ]);
  expect(Object.keys(dependencies)).toEqual(expect.arrayContaining([...used, 'swagger-ui-dist']));
});
