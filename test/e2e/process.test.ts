import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit.ts';
import { gather, jsonLines } from '../lines.ts';
import { type ModelServer, makeGate, startModelServer } from '../model-server.ts';
import {
  api,
  build,
  type Environment,
  keyFileIn,
  keyIn,
  kill,
  killAll,
  run,
  start,
  storage,
  written,
} from './latchkey.ts';

/** Each test waits for several processes in turn. */
const timeout = 60_000;

beforeAll(build);
afterAll(killAll);

describe('the first start of the server', { timeout }, () => {
  let store: Awaited<ReturnType<typeof storage>>;
  let latchkey: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    store = await storage({ isNew: true });
    latchkey = await start(store.environment);
  });
  afterAll(() => store?.drop());

  it('prints its URLs and a curl command whose answer contains a citation', async () => {
    const { url, output } = latchkey;
    const key = keyIn(latchkey);
    expect(output.stdout).toContain(`GraphiQL    ${url}/graphql`);
    expect(output.stdout).toContain(`REST API    ${url}/api/docs`);
    expect(output.stdout).toContain(`Docs        ${url}/docs`);
    // Output that is not written to a terminal may be collected by other systems. It therefore contains the path of a
    // file that only the server's user can read, and not the key.
    expect(output.stdout).not.toContain(key);
    const file = keyFileIn(latchkey) ?? '';
    expect(file).toBe(`${store.environment.DATA_DIR}/first-admin-key`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    for (const page of ['/graphql', '/api/docs', '/docs'])
      expect([page, (await fetch(`${url}${page}`, { headers: { accept: 'text/html' } })).status]).toEqual([page, 200]);

    const command = /curl [\s\S]*?send-chat-message/.exec(output.stdout)?.[0].replaceAll('\\\n', ' ') ?? '';
    const filled = command.replace(/\$\(cat '([^']+)'\)/, (_, path) => readFileSync(path, 'utf8').trim());
    const headers = [...filled.matchAll(/-H "([^:"]+): ([^"]+)"/g)].map(
      ([, name, value]) => [name, value] as [string, string],
    );
    const body = /-d '([^']+)'/.exec(command)?.[1] ?? '';
    const response = await fetch(/https?:\S+$/.exec(command)?.[0] ?? '', { method: 'POST', headers, body });
    expect(response.status).toBe(200);
    const { answer, citation_info, error_msg } = (await response.json()) as any;
    expect(answer).toContain('[[1]](');
    const page = `${url}/docs/keys-and-permissions`;
    expect(answer).toContain(`](${page})`);
    expect(citation_info[0]).toMatchObject({ type: 'citation_info', citation_number: 1 });
    expect(error_msg).toBeNull();
    expect((await fetch(page)).status).toBe(200);
    expect(output.stderr).toBe('');
  });

  it('ends on SIGTERM while clients hold connections open', async () => {
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
    // Answered after the others on a connection that stays open.
    expect((await fetch(`${latchkey.url}/health`)).status).toBe(200);
    latchkey.process.kill('SIGTERM');
    expect(await latchkey.exited).toBe(0);
    expect(latchkey.output.stderr).toBe('');
    for (const socket of sockets) socket.destroy();
  });
});

describe('in production', { timeout }, () => {
  it('every line of the output is JSON, and the first admin key is stored in a file', async () => {
    const store = await storage();
    const latchkey = run({ ...store.environment, NODE_ENV: 'production' });
    const [, url = ''] = await written(latchkey, /"url":"([^"]+)"[^\n]*"msg":"Latchkey is listening"\}\n/);
    const key = keyIn(latchkey);
    const request = fetch(`${url}/api/me`, { headers: { authorization: `Bearer ${key}`, 'x-request-id': 'first' } });
    expect((await request).status).toBe(200);
    await written(latchkey, /"msg":"request"/);
    latchkey.process.kill('SIGTERM');
    expect(await latchkey.exited).toBe(0);
    const lines = latchkey.output.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const file = `${store.environment.DATA_DIR}/first-admin-key`;
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'Latchkey is listening', graphiql: `${url}/graphql`, firstAdminKeyFile: file }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: 'request',
        requestId: 'first',
        path: '/api/me',
        status: 200,
        client: '127.0.0.1',
      }),
    );
    expect(latchkey.output.stdout).not.toContain(key);
    expect(latchkey.output.stderr).toBe('');
    await store.drop();
  });

  it('a failed start reports its reason in one line of JSON', async () => {
    const latchkey = run({ NODE_ENV: 'production', PORT: 'abc' });
    expect(await latchkey.exited).toBe(1);
    expect(latchkey.output.stdout).toBe('');
    const [line, end] = latchkey.output.stderr.split('\n');
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 60, msg: expect.stringContaining('PORT') });
    expect(end).toBe('');
  });

  it('writes no access log at LOG_LEVEL=warn', async () => {
    const store = await storage();
    const latchkey = await start({ ...store.environment, LOG_LEVEL: 'warn' });
    expect((await fetch(`${latchkey.url}/health`)).status).toBe(200);
    latchkey.process.kill('SIGTERM');
    expect(await latchkey.exited).toBe(0);
    expect(latchkey.output.stdout).not.toContain('"msg"');
    await store.drop();
  });
});

describe('an answer in progress', { timeout }, () => {
  let store: Awaited<ReturnType<typeof storage>>;
  let model: ModelServer;
  /** Printed by the first start. */
  let key: string | undefined;

  beforeAll(async () => {
    [store, model] = await Promise.all([storage(), startModelServer()]);
  });
  afterAll(() => Promise.all([store?.drop(), model?.close()]));

  async function startScripted(environment: Environment = {}) {
    const scripted = { LLM_PROVIDER: 'openai-compatible', LLM_BASE_URL: model.baseUrl, LLM_MODEL: 'scripted' };
    const latchkey = await start({ ...store.environment, ...scripted, ...environment });
    key ??= keyIn(latchkey);
    return latchkey;
  }

  it('is kept as far as it was stored after kill -9, and the chat can continue', async () => {
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
      { message_type: 'assistant', message: 'One two ', error: 'The server stopped before the answer was complete.' },
    ]);
    const { data } = await after.graphql(
      `{ chatSession(id: "${id}") { currentRun { id } messages(first: 10) { nodes { role status text } } } }`,
    );
    expect(data.chatSession).toEqual({
      currentRun: null,
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

  it('is completed before the process exits on SIGTERM', async () => {
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

  it('is reported as stopped by the server when it does not end in time after SIGTERM', async () => {
    const gate = makeGate();
    model.script({ text: ['One ', 'two'], gate });
    const first = await startScripted({ SHUTDOWN_SECONDS: '0.1' });
    const lines = jsonLines(await api(first.url, key).send({ message: 'Count' }));
    const [{ chat_session_id: id }] = await gather(lines, ({ obj }) => obj?.type === undefined);
    gate.release();
    await gather(lines, ({ obj }) => obj?.type === 'message_delta');
    first.process.kill('SIGTERM');
    const error = 'The server stopped before the answer was complete.';
    expect(await gather(lines)).toMatchObject([
      { error, error_code: 'SERVICE_UNAVAILABLE', is_retryable: true },
      { obj: { type: 'stop', stop_reason: null } },
    ]);
    expect(await first.exited).toBe(0);

    const second = await startScripted();
    const { messages } = await api(second.url, key).session(id);
    expect(messages.at(-1)).toMatchObject({ message: 'One ', error });
    await kill(second);
  });
});

describe('an invalid setting', { timeout }, () => {
  it.each([
    ['PORT', { PORT: 'abc' }],
    ['PORT', { PORT: '65536' }],
    ['LLM_PROVIDER', { LLM_PROVIDER: 'nope' }],
    ['LLM_BASE_URL', { LLM_PROVIDER: 'openai-compatible', LLM_MODEL: 'x' }],
    ['BOOTSTRAP_ADMIN_KEY', { BOOTSTRAP_ADMIN_KEY: 'on_malformed' }],
    ['DATABASE_URL', { DATABASE_URL: 'foo' }],
  ])('aborts the start with one line that names it: %s', async (name, setting: Environment) => {
    const latchkey = run(setting);
    expect(await latchkey.exited).toBe(1);
    expect(latchkey.output.stderr).toMatch(new RegExp(`^latchkey: [^\\n]*\\b${name}\\b[^\\n]*\\n$`));
    expect(latchkey.output.stderr).not.toContain('malformed');
    expect(latchkey.output.stdout).toBe('');
  });

  it('does not use up the first admin key when the port is already taken', async () => {
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
