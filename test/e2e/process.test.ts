import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit.ts';
import { gather, jsonLines } from '../lines.ts';
import { type ModelServer, makeGate, startModelServer } from '../model-server.ts';

/** Each test waits for whole processes, several in turn. */
const timeout = 60_000;
const root = join(import.meta.dirname, '..', '..');
type Environment = Record<string, string>;

/** A Latchkey in a process of its own, as `npm start` runs it. */
interface Latchkey {
  process: ChildProcessWithoutNullStreams;
  /** What it wrote so far. */
  output: { stdout: string; stderr: string };
  /** Its exit code; null when a signal killed it. */
  exited: Promise<number | null>;
}

const running = new Set<Latchkey>();

function run(environment: Environment): Latchkey {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['dist/main.js'], {
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

/** Waits until something is written. Throws when the process ends first. */
async function written({ process, output, exited }: Latchkey, pattern: RegExp): Promise<RegExpExecArray> {
  const ended = exited.then((code) => {
    throw new Error(`ended with ${code}: ${output.stderr}`);
  });
  for (;;) {
    const found = pattern.exec(output.stdout);
    if (found) return found;
    await Promise.race([once(process.stdout, 'data'), ended]);
  }
}

async function start(environment: Environment): Promise<Latchkey & { url: string }> {
  const latchkey = run(environment);
  // The address is the first line of the welcome, the question of the curl line its last.
  const [, url = ''] = await written(latchkey, /Latchkey listens on (\S+)\n[\s\S]*send-chat-message\n/);
  return { ...latchkey, url };
}

const keyIn = ({ output }: Latchkey) => /\bon_[0-9A-Za-z]{36}\b/.exec(output.stdout)?.[0];

/** A database of one's own, kept between starts: a folder, or a database on the server that DATABASE_URL names. */
async function storage(): Promise<{ environment: Environment; drop: () => Promise<void> }> {
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
    await onServer(`CREATE DATABASE ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    environment.DATABASE_URL = url.href;
  }
  return {
    environment,
    async drop() {
      if (server) await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function api(url: string, key: string | undefined) {
  const call = (method: string, path: string, body?: object) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  return {
    send: (body: object) =>
      call('POST', '/api/chat/send-chat-message', { message: 'Hello', allowed_tool_ids: [], ...body }),
    session: async (id: string): Promise<any> => (await call('GET', `/api/chat/get-chat-session/${id}`)).json(),
    graphql: async (query: string): Promise<any> => (await call('POST', '/graphql', { query })).json(),
    call,
  };
}

beforeAll(async () => {
  // Does nothing where dist/main.js is of these sources.
  const build = spawn(process.execPath, ['scripts/prepare.mjs', '--build'], { cwd: root, stdio: 'inherit' });
  expect(await once(build, 'exit')).toEqual([0, null]);
});
afterAll(async () => {
  for (const { process, exited } of [...running]) {
    process.kill('SIGKILL');
    await exited;
  }
});

describe('the first start', { timeout }, () => {
  let store: Awaited<ReturnType<typeof storage>>;
  let latchkey: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    store = await storage();
    latchkey = await start(store.environment);
  });
  afterAll(() => store?.drop());

  it('says where it is and how to ask, and the question that it prints has an answer with a citation', async () => {
    const { url, output } = latchkey;
    const key = keyIn(latchkey);
    expect(output.stdout).toContain(`GraphiQL    ${url}/graphql`);
    expect(output.stdout).toContain(`REST API    ${url}/api/docs`);
    expect(output.stdout).toContain(`The first admin key, shown this once:  ${key}`);
    for (const page of ['/graphql', '/api/docs'])
      expect([page, (await fetch(`${url}${page}`, { headers: { accept: 'text/html' } })).status]).toEqual([page, 200]);

    const command = /curl [\s\S]*?send-chat-message/.exec(output.stdout)?.[0].replaceAll('\\\n', ' ') ?? '';
    const headers = [...command.matchAll(/-H "([^:"]+): ([^"]+)"/g)].map(
      ([, name, value]) => [name, value] as [string, string],
    );
    const body = /-d '([^']+)'/.exec(command)?.[1] ?? '';
    const response = await fetch(/https?:\S+$/.exec(command)?.[0] ?? '', { method: 'POST', headers, body });
    expect(response.status).toBe(200);
    const { answer, citation_info, error_msg } = (await response.json()) as any;
    expect(answer).toContain('[[1]](');
    expect(answer).toContain(`](${url}/guide/README.md)`);
    expect(citation_info[0]).toMatchObject({ type: 'citation_info', citation_number: 1 });
    expect(error_msg).toBeNull();
    expect((await fetch(`${url}/guide/README.md`)).status).toBe(200);
    expect(output.stderr).toBe('');
  });

  it('ends when it is asked to, whoever holds a connection', async () => {
    const { hostname, port } = new URL(latchkey.url);
    const half = 'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{';
    const sockets = await Promise.all(
      ['', 'GET /health HT', half].map(async (request) => {
        const socket = connect(Number(port), hostname);
        socket.on('error', () => {});
        await once(socket, 'connect');
        socket.write(request);
        return socket;
      }),
    );
    // Answered behind the others, on a connection that stays open.
    expect((await fetch(`${latchkey.url}/health`)).status).toBe(200);
    latchkey.process.kill('SIGTERM');
    expect(await latchkey.exited).toBe(0);
    expect(latchkey.output.stderr).toBe('');
    for (const socket of sockets) socket.destroy();
  });
});

describe('an answer under way', { timeout }, () => {
  let store: Awaited<ReturnType<typeof storage>>;
  let model: ModelServer;
  /** Printed by whichever start was the first. */
  let key: string | undefined;

  beforeAll(async () => {
    [store, model] = await Promise.all([storage(), startModelServer()]);
  });
  afterAll(() => Promise.all([store?.drop(), model?.close()]));

  async function startScripted() {
    const scripted = { LLM_PROVIDER: 'openai-compatible', LLM_BASE_URL: model.baseUrl, LLM_MODEL: 'scripted' };
    const latchkey = await start({ ...store.environment, ...scripted });
    key ??= keyIn(latchkey);
    return latchkey;
  }

  async function kill(latchkey: Latchkey): Promise<void> {
    latchkey.process.kill('SIGKILL');
    expect(await latchkey.exited).toBeNull();
  }

  it('is there as far as it was saved after kill -9, and everything goes on', async () => {
    const gate = makeGate();
    model.script({ text: ['One ', 'two ', 'three'], gate });
    const first = await startScripted();
    const before = api(first.url, key);
    const lines = jsonLines(await before.send({ message: 'Count' }));
    const [{ chat_session_id: id }] = await gather(lines, ({ obj }) => obj?.type === undefined);
    gate.release();
    gate.release();
    await until(async () => (await before.session(id)).messages.at(-1).message === 'One two ');
    await kill(first);
    await expect(gather(lines)).rejects.toThrow();
    gate.open();

    const second = await startScripted();
    expect(keyIn(second)).toBeUndefined();
    const after = api(second.url, key);
    const session = await after.session(id);
    expect(session.current_run).toBeNull();
    expect(session.messages.slice(1)).toMatchObject([
      { message_type: 'user', message: 'Count', error: null },
      { message_type: 'assistant', message: 'One two ', error: 'The server stopped while this was being written.' },
    ]);
    const { data } = await after.graphql(
      `{ chatSession(id: "${id}") { currentRunId messages(first: 10) { nodes { role status text } } } }`,
    );
    expect(data.chatSession).toEqual({
      currentRunId: null,
      messages: {
        nodes: [
          { role: 'SYSTEM', status: 'COMPLETE', text: '' },
          { role: 'USER', status: 'COMPLETE', text: 'Count' },
          { role: 'ASSISTANT', status: 'INTERRUPTED', text: 'One two ' },
        ],
      },
    });
    const next = await after.send({ chat_session_id: id, message: 'Go on', stream: false });
    expect(await next.json()).toMatchObject({ answer: 'You said: Go on', error_msg: null });
    const heard = model.requests.at(-1)?.body.messages?.map(({ content }) => content);
    expect(heard?.slice(1)).toEqual(['Count', 'One two ', 'Go on']);
    await kill(second);
  });

  it('is finished before a process that is asked to stop ends', async () => {
    const gate = makeGate();
    model.script({ text: ['One ', 'two'], gate });
    const first = await startScripted();
    const lines = jsonLines(await api(first.url, key).send({ message: 'Count' }));
    const [{ chat_session_id: id }] = await gather(lines, ({ obj }) => obj?.type === undefined);
    gate.release();
    await gather(lines, ({ obj }) => obj?.type === 'message_delta');
    first.process.kill('SIGTERM');
    await written(first, /shutting down/);
    await expect(fetch(`${first.url}/health`)).rejects.toThrow();
    gate.open();
    expect((await gather(lines)).map(({ obj }) => obj)).toEqual([
      { type: 'message_delta', content: 'two' },
      { type: 'stop', stop_reason: null },
    ]);
    expect(await first.exited).toBe(0);
    expect(first.output.stderr).toBe('');

    const second = await startScripted();
    const { messages } = await api(second.url, key).session(id);
    expect(messages.at(-1)).toMatchObject({ message: 'One two', error: null });
    await kill(second);
  });
});

describe('a setting that cannot be used', { timeout }, () => {
  it.each([
    ['PORT', { PORT: 'abc' }],
    ['PORT', { PORT: '65536' }],
    ['LLM_PROVIDER', { LLM_PROVIDER: 'nope' }],
    ['LLM_BASE_URL', { LLM_PROVIDER: 'openai-compatible', LLM_MODEL: 'x' }],
    ['BOOTSTRAP_ADMIN_KEY', { BOOTSTRAP_ADMIN_KEY: 'on_malformed' }],
    ['DATABASE_URL', { DATABASE_URL: 'foo' }],
  ])('ends the start with one line that names it: %s', async (name, setting: Environment) => {
    const latchkey = run(setting);
    expect(await latchkey.exited).toBe(1);
    expect(latchkey.output.stderr).toMatch(new RegExp(`^latchkey: [^\\n]*\\b${name}\\b[^\\n]*\\n$`));
    expect(latchkey.output.stderr).not.toContain('malformed');
    expect(latchkey.output.stdout).toBe('');
  });

  it('costs no first admin key, be it a port that is taken', async () => {
    const store = await storage();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const first = run({ ...store.environment, PORT: String(port) });
    expect(await first.exited).toBe(1);
    expect(first.output.stderr).toBe(`latchkey: PORT ${port} of HOST 127.0.0.1 cannot be opened: EADDRINUSE\n`);
    other.close();
    const second = await start({ ...store.environment, PORT: String(port) });
    expect(second.url).toBe(`http://127.0.0.1:${port}`);
    expect((await api(second.url, keyIn(second)).graphql('{ viewer { role } }')).data).toEqual({
      viewer: { role: 'ADMIN' },
    });
    second.process.kill('SIGKILL');
    await second.exited;
    await store.drop();
  });
});
