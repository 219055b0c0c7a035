// Checks the structure of src/: the length of functions, the number of parameters and of imports, and which part may
// import which. Known exceptions are ceilings in structure-exceptions.json, which may only go down.
//
// usage: node scripts/structure.mjs            checks
//        node scripts/structure.mjs --update   lowers ceilings and removes exceptions that are not needed any more
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const exceptionsFile = join(root, 'scripts', 'structure-exceptions.json');

export const limits = { lines: 80, parameters: 4, imports: 15 };

/** Which files must not import which, and why. */
const barriers = [
  {
    from: /^src\/modules\/.*(?<!\.graphql)\.ts$/,
    to: /^src\/(graphql|rest)\//,
    why: 'services import neither GraphQL nor REST',
  },
  { from: /^src\/(authz|store)\//, to: /^src\/(modules|graphql|rest|http)\//, why: 'authz and store import no module' },
  { from: /^src\/rest\/onyx\//, to: /^src\/rest\/anythingllm\//, why: 'a dialect does not import the other' },
  { from: /^src\/rest\/anythingllm\//, to: /^src\/rest\/onyx\//, why: 'a dialect does not import the other' },
  { from: /^src\/(server\.ts|http\/)/, to: /^src\/rest\/(onyx|anythingllm)\//, why: 'the server names no dialect' },
];

const isFunction = (node) =>
  (ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node) ||
    ts.isArrowFunction(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node)) &&
  node.body !== undefined;

/** Returns the name of a function, or that of the variable or property which holds it. */
const nameOf = (node, source) =>
  node.name?.getText(source) ??
  node.parent?.name?.getText?.(source) ??
  node.parent?.expression?.getText?.(source) ??
  '';

/**
 * Returns what a file has above the limits, and its imports that cross a barrier: a key for each, with its number.
 *
 * @param {string} file
 * @param {string} text
 * @returns {Map<string, number>}
 */
export function excessesOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = new Map();
  const note = (key, value) => found.set(key, Math.max(value, found.get(key) ?? 0));
  const visit = (node) => {
    if (isFunction(node)) {
      const [start, end] = [node.getStart(source), node.end].map((at) => source.getLineAndCharacterOfPosition(at).line);
      const name = nameOf(node, source).slice(0, 40);
      if (end - start + 1 > limits.lines) note(`lines ${file} ${name}`, end - start + 1);
      if (node.parameters.length > limits.parameters) note(`parameters ${file} ${name}`, node.parameters.length);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  const imports = source.statements.filter(ts.isImportDeclaration).flatMap(({ moduleSpecifier }) => {
    const target = moduleSpecifier.getText(source).slice(1, -1);
    return target.startsWith('.') ? [normalize(join(dirname(file), target))] : [];
  });
  if (imports.length > limits.imports) note(`imports ${file}`, imports.length);
  for (const target of imports)
    for (const { from, to, why } of barriers)
      if (from.test(file) && to.test(target)) note(`barrier ${file} -> ${target} (${why})`, 1);
  return found;
}

/**
 * Compares excesses with the exceptions. Returns one line per problem: an excess without an exception or above its
 * ceiling, and an exception that is higher than needed.
 *
 * @param {Map<string, number>} excesses
 * @param {Record<string, number>} exceptions
 */
export function problemsOf(excesses, exceptions) {
  const above = [...excesses].filter(([key, value]) => value > (exceptions[key] ?? 0));
  const stale = Object.entries(exceptions).filter(([key, ceiling]) => ceiling > (excesses.get(key) ?? 0));
  return [
    ...above.map(([key, value]) => `${key}: ${value}, allowed ${exceptions[key] ?? 'none'}`),
    ...stale.map(([key]) => `${key}: the exception is too high; run \`node scripts/structure.mjs --update\``),
  ];
}

function check() {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('src', name))
    .filter((name) => /\.ts$/.test(name) && !/\.test\.ts$|\.d\.ts$|^src\/generated\/|fixtures\.ts$/.test(name));
  const excesses = new Map(files.flatMap((file) => [...excessesOf(file, readFileSync(join(root, file), 'utf8'))]));
  const exceptions = JSON.parse(readFileSync(exceptionsFile, 'utf8'));
  if (process.argv.includes('--update')) {
    const lowered = Object.entries(exceptions).flatMap(([key, ceiling]) => {
      const value = Math.min(ceiling, excesses.get(key) ?? 0);
      return value > 0 ? [[key, value]] : [];
    });
    writeFileSync(exceptionsFile, `${JSON.stringify(Object.fromEntries(lowered), null, 2)}\n`);
    return;
  }
  const problems = problemsOf(excesses, exceptions);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`structure: ${files.length} files, ${Object.keys(exceptions).length} exceptions`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) check();
