// `npm test` runs the tests on PGlite regardless of the environment: a DATABASE_URL of the server must not be used as a
// test database. `npm run test:postgres` runs them on DATABASE_URL, where they create temporary databases.
//
// usage: npm test -- [vitest arguments]
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './prepare.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const postgres = process.argv[2] === '--postgres';
const args = process.argv.slice(postgres ? 3 : 2);

const { DATABASE_URL, REDIS_URL, ...env } = process.env;
if (postgres && !DATABASE_URL) {
  console.error('latchkey: test:postgres needs DATABASE_URL, of a role that may create databases');
  process.exit(2);
}

await prepare({ build: true }); // the tests start dist/main.js and kill it

const vitest = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
  cwd: root,
  stdio: 'inherit',
  env: postgres ? process.env : env,
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => vitest.kill(signal));
vitest.on('exit', (code) => process.exit(code ?? 1));
