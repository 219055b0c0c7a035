// Prepares a clone for starting the server: packages, generated code, bundle. Uses only Node's own modules, since no
// packages may be installed yet.
//
// usage: node scripts/prepare.mjs [--build] [--omit=dev]
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { lock } from './lock.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...path) => join(root, ...path);
const say = (line) => console.error(`latchkey: ${line}`); // stdout belongs to the command that follows

/** @type {Awaited<ReturnType<typeof lock>>} */
let held;

/**
 * A step runs when one of its outputs is missing or its inputs have changed since its last run. The stamps are stored
 * inside node_modules, so a new installation runs every step again.
 *
 * @typedef {{ name: string, title: string, outputs: string[], inputs: () => string, run: () => Promise<void>, holds?: () => boolean }} Step
 * `holds`: returns true when the outputs already match the inputs although the stamp differs.
 */

/**
 * Installs the packages that building and running the server needs, or all packages. A complete installation serves
 * both.
 *
 * @type {(options: { dev: boolean }) => Step}
 */
const install = ({ dev }) => ({
  name: dev ? 'install-dev' : 'install',
  title: dev ? 'installing all packages (npm ci)' : 'installing packages (npm ci --omit=dev)',
  outputs: ['node_modules/.package-lock.json'],
  inputs: () => sha256(read('package-lock.json')),
  holds: () => {
    const wanted = packagesIn('package-lock.json');
    const present = packagesIn('node_modules/.package-lock.json');
    const canBeAbsent = (of) => of.optional || (!dev && (of.dev || of.devOptional));
    return (
      Object.keys(present).every((path) => path in wanted) &&
      Object.entries(wanted).every(([path, of]) =>
        path in present ? present[path].version === of.version : path === '' || canBeAbsent(of),
      )
    );
  },
  run: () =>
    npm('ci', '--ignore-scripts', dev ? '--include=dev' : '--omit=dev', '--loglevel=error', '--no-audit', '--no-fund'),
});

/** @type {Step} */
const generate = {
  name: 'generate',
  title: 'generating the database client',
  outputs: ['src/generated/prisma/client.ts', 'src/generated/pothos.ts', 'src/generated/read-models.ts'],
  inputs: () =>
    sha256(
      ...['prisma/schema.prisma', 'scripts/prisma.mjs', 'scripts/read-models.mjs'].map(read),
      ...['@prisma/client-generator-ts', '@pothos/plugin-prisma'].map((name) =>
        read(`node_modules/${name}/package.json`),
      ), // versions
    ),
  run: () => node(['scripts/prisma.mjs']),
};

/**
 * Packages that load files from their own folder. All others are bundled, which starts in two thirds of the time of a
 * thousand files.
 */
const externals = ['@electric-sql/pglite', '@node-rs/argon2', 'pg-native', 'sql.js'];

/** The commands that operators run on a database, in scripts/. */
const commands = ['backup', 'import-anythingllm', 'import-onyx', 'restore'];

/** @type {Step} */
const pages = {
  name: 'pages',
  title: 'compressing the scripts of the web pages into dist/pages/',
  outputs: ['dist/pages/manifest.json'],
  inputs: () =>
    sha256(
      ...['scripts/pages.mjs', 'scripts/web-files.mjs'].map(read),
      ...['node_modules/@graphql-yoga/render-graphiql/package.json', 'node_modules/swagger-ui-dist/package.json'].map(
        read,
      ),
      fingerprint(at('src', 'pages', 'client')),
    ),
  run: () => node(['scripts/pages.mjs']),
};

/** @type {Step} */
const documentation = {
  name: 'documentation',
  title: 'building the documentation into dist/docs/',
  outputs: ['dist/docs/manifest.json'],
  inputs: () =>
    sha256(
      ...['scripts/docs.mjs', 'scripts/docs-page.mjs', 'scripts/web-files.mjs', 'node_modules/marked/package.json'].map(
        read,
      ),
      ...['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map(read),
      ...['docs', 'examples', 'schema'].map((folder) => fingerprint(at(folder))),
      read('src/pages/client/docs.css'),
    ),
  run: () => node(['scripts/docs.mjs']),
};

/** @type {Step} */
const bundle = {
  name: 'bundle',
  title: 'bundling src/ into dist/',
  outputs: [
    ...['dist/main.js', 'dist/extract.js', 'dist/pglite-worker.js', 'dist/pglite-create.js'],
    ...commands.map((name) => `dist/${name}.js`),
  ],
  inputs: () =>
    sha256(
      ...['package-lock.json', 'tsconfig.json', ...commands.map((name) => `scripts/${name}.ts`)].map(read),
      fingerprint(at('src')),
      String(externals),
    ),
  run: async () => {
    const esbuild = await import('esbuild');
    try {
      const { outputFiles } = await esbuild.build({
        absWorkingDir: root,
        // The server, the child process that extracts text from files, the worker thread of the embedded database with
        // the child process that creates its files, and the commands.
        entryPoints: {
          main: 'src/main.ts',
          extract: 'src/modules/files/extract/child.ts',
          'pglite-worker': 'src/store/pglite/worker.ts',
          'pglite-create': 'src/store/pglite/create-child.ts',
          ...Object.fromEntries(commands.map((name) => [name, `scripts/${name}.ts`])),
        },
        outdir: 'dist',
        bundle: true,
        // Modules that are imported on demand are not part of the main file.
        splitting: true,
        platform: 'node',
        target: 'node20.19',
        format: 'esm',
        // V8 keeps the source of a module in memory, with two bytes per character if a comment has one beyond Latin-1.
        minifyWhitespace: true,
        // A CommonJS package in a bundle of ES modules is read through getters, which costs 5 % of a request.
        alias: { graphql: './node_modules/graphql/index.mjs' },
        external: externals,
        banner: {
          js: "import { createRequire as bundled } from 'node:module'; const require = bundled(import.meta.url);",
        },
        sourcemap: true,
        sourcesContent: false,
        write: false,
        logLevel: 'warning',
      });
      for (const { path, contents } of outputFiles) replace(path, contents);
    } finally {
      await esbuild.stop(); // its service would keep running as long as this process
    }
  },
};

/**
 * Runs the steps whose output is missing or outdated. The bundle is built on request. Several processes can call it at the same
 * time. When a step fails, its output is shown and the process exits with 1.
 *
 * `dev`: false when only the packages are needed that build and run the server.
 *
 * @param {{ build: boolean, dev?: boolean }} options
 */
export async function prepare({ build, dev = true }) {
  requireNode();
  const sources = [install({ dev }), generate];
  await performAll(build ? [...sources, pages, documentation, bundle] : sources);
}

/** Builds the files of the web pages and the documentation, which the server serves when it runs from `src/`, too. */
export const preparePages = () => performAll([pages, documentation]);

/** @param {Step[]} steps */
async function performAll(steps) {
  if (steps.every(isDone)) return;

  for (const signal of Object.keys(signals)) process.on(signal, leave);
  held = await lock(at('.cache', 'prepare.lock'), () => say('waiting for another process that prepares'));
  try {
    for (const [index, step] of steps.entries()) if (!isDone(step)) await perform(step, `${index + 1}/${steps.length}`);
  } catch (error) {
    say(error.message);
    process.exit(1);
  }
  held.release();
  for (const signal of Object.keys(signals)) process.off(signal, leave);
}

function isDone(step) {
  return step.outputs.every((path) => existsSync(at(path))) && read(stampOf(step)) === step.inputs();
}

/**
 * Runs a step and reports its progress.
 *
 * @param {Step} step
 * @param {string} position
 */
async function perform(step, position) {
  const inputs = step.inputs();
  if (!step.holds?.()) {
    rmSync(at(stampOf(step)), { force: true }); // otherwise, restoring the old inputs would hide an interrupted run
    say(`[${position}] ${step.title}`);
    await timed(step.run);
  }
  mkdirSync(dirname(at(stampOf(step))), { recursive: true });
  writeFileSync(at(stampOf(step)), inputs);
}

/** Runs work, and shows on a terminal how long it has been running. */
async function timed(work) {
  if (!process.stderr.isTTY) return work();
  const began = performance.now();
  const show = () => process.stderr.write(`\r  ${Math.round((performance.now() - began) / 1000)} s`);
  const timer = setInterval(show, 1000);
  try {
    await work();
  } finally {
    clearInterval(timer);
    show();
    process.stderr.write('\n');
  }
}

function stampOf(step) {
  return join('node_modules', '.cache', 'latchkey', step.name);
}

function requireNode() {
  const needed = JSON.parse(read('package.json')).engines.node.replace('>=', '');
  const [major, minor] = needed.split('.').map(Number);
  const [nodeMajor, nodeMinor] = process.versions.node.split('.').map(Number);
  if (nodeMajor > major || (nodeMajor === major && nodeMinor >= minor)) return;
  say(`Node ${needed} or newer is needed, this is ${process.versions.node}`);
  process.exit(1);
}

function npm(...args) {
  const cli = process.env.npm_execpath ?? '';
  if (/npm-cli\.c?js$/.test(cli)) return node([cli, ...args]);
  return run('npm', args, { shell: process.platform === 'win32' });
}

function node(args, env) {
  return run(process.execPath, args, { env: { ...process.env, ...env } });
}

/** Runs a program in the project's folder. Its output is shown only on failure. */
function run(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const output = [];
    child.stdout.on('data', (data) => output.push(data));
    child.stderr.on('data', (data) => output.push(data));
    if (child.pid) held.addChild(child.pid);
    // Not SIGTERM: npm would complete the installation and roll it back, which takes long.
    const stop = () => child.kill('SIGKILL');
    process.on('exit', stop);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('exit', stop);
      if (code === 0) return resolve();
      process.stderr.write(Buffer.concat(output));
      reject(new Error(`${[program, ...args].join(' ')} failed (${signal ?? code})`));
    });
  });
}

const signals = { SIGINT: 130, SIGTERM: 143 };

/** Exits with the code of the signal, through the exit handlers that stop a running step and release the lock. */
function leave(signal) {
  process.exit(signals[signal]);
}

/** Returns the text of a file, or an empty text when it does not exist. */
function read(path) {
  try {
    return readFileSync(at(path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

function packagesIn(path) {
  return JSON.parse(read(path) || '{}').packages ?? {};
}

/** Returns the names, sizes and times of a folder's files. */
function fingerprint(folder) {
  return readdirSync(folder, { recursive: true })
    .sort()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs}`;
    })
    .join('\n');
}

/** Writes a temporary file and renames it: a process that is loading the old file keeps it. */
function replace(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

function sha256(...texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest('hex');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await prepare({ build: process.argv.includes('--build'), dev: !process.argv.includes('--omit=dev') });
