// Checks the structure of src/: the length of functions, the number of parameters and of imports, which part may import
// which, and that modules do not import each other. Known exceptions are ceilings in structure-exceptions.json, which may
// only go down, and the pairs of modules in `knownPairs`.
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

/** Which files must not import which files or packages, and why. */
const barriers = [
  {
    from: /^src\/modules\/.*(?<!\.graphql)\.ts$/,
    to: /^src\/(graphql|rest)\/|\.graphql\.ts$|^(graphql|graphql-yoga|hono|@pothos\/.*|@hono\/.*)$/,
    why: 'services import neither GraphQL nor REST',
  },
  { from: /^src\/(authz|store)\//, to: /^src\/(modules|graphql|rest|http)\//, why: 'authz and store import no module' },
  { from: /^src\/rest\/onyx\//, to: /^src\/rest\/anythingllm\//, why: 'a dialect does not import the other' },
  { from: /^src\/rest\/anythingllm\//, to: /^src\/rest\/onyx\//, why: 'a dialect does not import the other' },
  { from: /^src\/(server\.ts|http\/)/, to: /^src\/rest\/(onyx|anythingllm)\//, why: 'the server names no dialect' },
];

/**
 * The pairs of modules that import each other, and why they are not separated.
 *
 * @type {Record<string, string>}
 */
export const knownPairs = {
  'agents <-> chat': 'an agent checks the name of its model with the rules that a chat applies to its own',
  'files <-> knowledge': 'the text of a file is a document, and an uploaded document is read like a file',
  'tokens <-> users':
    'a login session is a token, tokens act as users and check their roles, and a change of a user ends tokens',
};

const isFunction = (node) =>
  (ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node) ||
    ts.isArrowFunction(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node)) &&
  node.body !== undefined;

/** @type {Map<string, ts.SourceFile>} */
const parsed = new Map();

/** Returns the syntax tree of a file. Each text is parsed once. */
function sourceOf(file, text) {
  const source = parsed.get(text) ?? ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  parsed.set(text, source);
  return source;
}

/** Returns the name of a function, or that of the variable or property which holds it. */
const nameOf = (node, source) =>
  node.name?.getText(source) ??
  node.parent?.name?.getText?.(source) ??
  node.parent?.expression?.getText?.(source) ??
  '';

/**
 * Returns the files and packages that a file imports: `declared` are the files of its import declarations, `all` are also
 * packages, re-exports and imports within an expression or a type.
 *
 * @param {string} file
 * @param {ts.SourceFile} source
 */
function importsOf(file, source) {
  const targetOf = (specifier) => {
    const text = specifier.getText(source).slice(1, -1);
    return text.startsWith('.') ? normalize(join(dirname(file), text)) : text;
  };
  const declared = source.statements
    .filter(ts.isImportDeclaration)
    .map(({ moduleSpecifier }) => targetOf(moduleSpecifier))
    .filter((target) => target.startsWith('src/'));
  const all = [];
  const visit = (node) => {
    const specifier = ts.isCallExpression(node)
      ? node.expression.kind === ts.SyntaxKind.ImportKeyword && node.arguments[0]
      : ts.isImportTypeNode(node)
        ? node.argument.literal
        : (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier;
    if (specifier && ts.isStringLiteralLike(specifier)) all.push(targetOf(specifier));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { declared, all };
}

/**
 * Returns the pairs of modules that import each other, each with the imports of both directions.
 *
 * @param {ReadonlyMap<string, string>} texts The text of each file, by its path.
 * @returns {Map<string, string[]>}
 */
export function mutualImports(texts) {
  const moduleOf = (path) => /^src\/modules\/([^/]+)\//.exec(path)?.[1];
  /** @type {Map<string, string[]>} */
  const directions = new Map();
  for (const [file, text] of texts) {
    const from = moduleOf(file);
    for (const target of from ? importsOf(file, sourceOf(file, text)).all : []) {
      const to = moduleOf(target);
      if (!to || to === from) continue;
      const key = `${from} -> ${to}`;
      directions.set(key, [...(directions.get(key) ?? []), `${file} -> ${target}`]);
    }
  }
  const pairs = new Map();
  for (const [key, imports] of directions) {
    const [from, to] = key.split(' -> ');
    const back = directions.get(`${to} -> ${from}`);
    if (back && from < to) pairs.set(`${from} <-> ${to}`, [...imports, ...back]);
  }
  return pairs;
}

/**
 * Returns one line per problem: a pair of modules that import each other without a known reason, with its imports,
 * and a known pair that does not exist any more.
 *
 * @param {ReadonlyMap<string, readonly string[]>} pairs
 * @param {Record<string, string>} known
 */
export function pairProblemsOf(pairs, known) {
  const added = [...pairs].filter(([pair]) => !known[pair]);
  const stale = Object.keys(known).filter((pair) => !pairs.has(pair));
  return [
    ...added.map(([pair, imports]) => `${pair}: the modules import each other:\n  ${imports.join('\n  ')}`),
    ...stale.map(
      (pair) => `${pair}: the modules do not import each other any more; remove the pair from \`knownPairs\``,
    ),
  ];
}

/**
 * Returns what a file has above the limits, and its imports that cross a barrier: a key for each, with its number.
 *
 * @param {string} file
 * @param {string} text
 * @returns {Map<string, number>}
 */
export function excessesOf(file, text) {
  const source = sourceOf(file, text);
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
  const { declared, all } = importsOf(file, source);
  if (declared.length > limits.imports) note(`imports ${file}`, declared.length);
  for (const target of all)
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
  const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  const excesses = new Map([...texts].flatMap(([file, text]) => [...excessesOf(file, text)]));
  const exceptions = JSON.parse(readFileSync(exceptionsFile, 'utf8'));
  if (process.argv.includes('--update')) {
    const lowered = Object.entries(exceptions).flatMap(([key, ceiling]) => {
      const value = Math.min(ceiling, excesses.get(key) ?? 0);
      return value > 0 ? [[key, value]] : [];
    });
    writeFileSync(exceptionsFile, `${JSON.stringify(Object.fromEntries(lowered), null, 2)}\n`);
    return;
  }
  const problems = [...problemsOf(excesses, exceptions), ...pairProblemsOf(mutualImports(texts), knownPairs)];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else {
    const [lists, pairs] = [exceptions, knownPairs].map((known) => Object.keys(known).length);
    console.log(
      `structure: ${files.length} files, ${lists} exceptions, ${pairs} pairs of modules that import each other`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) check();
