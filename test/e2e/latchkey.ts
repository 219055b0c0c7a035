import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { unpackSnapshot } from '../pglite.ts';

const root = join(import.meta.dirname, '..', '..');
export type Environment = Record<string, string>;

/**
 * Options for processes that run for a few seconds. Optimizing the WebAssembly of PostgreSQL takes longer than the start
 * of the server, and such a process ends before the result is of use.
 */
export const shortLived = ['--liftoff-only'];

/** A server in a separate process, started as `npm start` does. */
export interface Latchkey {
  process: ChildProcessWithoutNullStreams;
  /** The output so far. */
  output: { stdout: string; stderr: string };
  /** The exit code; null when a signal killed it. */
  exited: Promise<number | null>;
}

const running = new Set<Latchkey>();

export function run(environment: Environment): Latchkey {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [...shortLived, 'dist/main.js'], {
    cwd: root,
    env: { PATH, HOME, PORT: '0', ...environment },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text));
  const latchkey: Latchkey = {
    process: child,
    output,
    exited: once(child, 'close').then(([code]) => {
      running.delete(latchkey);
      return code as number | null;
    }),
  };
  running.add(latchkey);
  return latchkey;
}

/** Waits for output. Throws when the process ends first. */
export async function written({ process, output, exited }: Latchkey, pattern: RegExp): Promise<RegExpExecArray> {
  const ended = exited.then((code) => {
    throw new Error(`ended with ${code}: ${output.stderr}`);
  });
  for (;;) {
    const found = pattern.exec(output.stdout);
    if (found) return found;
    await Promise.race([once(process.stdout, 'data'), ended]);
  }
}

export async function start(environment: Environment): Promise<Latchkey & { url: string }> {
  const latchkey = run(environment);
  // The address is the first line of the banner, the question of the curl command the last.
  const [, url = ''] = await written(latchkey, /Latchkey listens on (\S+)\n[\s\S]*send-chat-message\n/);
  return { ...latchkey, url };
}

/** Returns the path of the admin key file that the first start prints. */
export const keyFileIn = ({ output }: Latchkey) => /\/[^\s"]+\/first-admin-key\b/.exec(output.stdout)?.[0];

/** Returns the admin key of a first start, or undefined for any later start. */
export function keyIn(latchkey: Latchkey): string | undefined {
  const file = keyFileIn(latchkey);
  return file && readFileSync(file, 'utf8').trim();
}

/**
 * A database that is kept between starts: a folder, or a database on the server in DATABASE_URL. It is migrated unless
 * the first start is to create it, which takes several seconds.
 */
export async function storage({ isNew = false } = {}): Promise<{
  environment: Environment;
  drop: () => Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-e2e-'));
  const environment: Environment = { DATA_DIR: folder };
  const server = process.env.DATABASE_URL;
  const name = `latchkey_e2e_${randomUUID().replaceAll('-', '')}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  if (server) {
    await onServer(`CREATE DATABASE ${name} ${isNew ? '' : `TEMPLATE ${process.env.TEST_TEMPLATE}`}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    environment.DATABASE_URL = url.href;
  } else if (!isNew) {
    await unpackSnapshot(join(folder, 'pglite'));
  }
  return {
    environment,
    async drop() {
      if (server) await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function api(url: string, key: string | undefined) {
  const call = (method: string, path: string, body?: object) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  return {
    key,
    send: (body: object) =>
      call('POST', '/api/chat/send-chat-message', { message: 'Hello', allowed_tool_ids: [], ...body }),
    session: async (id: string): Promise<any> => (await call('GET', `/api/chat/get-chat-session/${id}`)).json(),
    graphql: async (query: string): Promise<any> => (await call('POST', '/graphql', { query })).json(),
    call,
  };
}

/** Bundles the sources. Has no effect when dist/main.js is up to date. */
export async function build(): Promise<void> {
  const prepare = spawn(process.execPath, ['scripts/prepare.mjs', '--build'], { cwd: root, stdio: 'inherit' });
  const [code] = await once(prepare, 'exit');
  if (code !== 0) throw new Error(`the build ended with ${code}`);
}

/** Kills a process as the system does when it is out of memory. Throws when it had already ended. */
export async function kill({ process, exited }: Latchkey): Promise<void> {
  process.kill('SIGKILL');
  const code = await exited;
  if (code !== null) throw new Error(`ended with ${code} before it was killed`);
}

/** Stops a server as a process manager does. Throws when it does not end normally. */
export async function stop({ process, exited, output }: Latchkey): Promise<void> {
  process.kill('SIGTERM');
  const code = await exited;
  if (code !== 0) throw new Error(`ended with ${code}: ${output.stderr}`);
}

/** Kills processes that tests left running. */
export async function killAll(): Promise<void> {
  for (const latchkey of [...running]) await kill(latchkey);
}
