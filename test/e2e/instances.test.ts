import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit.ts';
import { gather, jsonLines } from '../lines.ts';
import { type ModelServer, makeGate, startModelServer } from '../model-server.ts';
import { type RedisProxy, startRedisProxy } from '../redis-proxy.ts';
import { api, build, type Environment, keyIn, kill, killAll, run, start, storage } from './latchkey.ts';

const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl = '' } = process.env;

type Server = Awaited<ReturnType<typeof start>> & ReturnType<typeof api>;

const timeout = 120_000;
const interrupted = 'The server stopped before the answer was complete.';

describe.runIf(databaseUrl && redisUrl)('several instances (skipped without DATABASE_URL and REDIS_URL)', () => {
  let store: Awaited<ReturnType<typeof storage>>;
  let model: ModelServer;
  let proxy: RedisProxy;
  let one: Server;
  let other: Server;
  /** Printed by the first start. */
  let key: string | undefined;

  async function join(environment: Environment = {}): Promise<Server> {
    const latchkey = await start({
      ...store.environment,
      REDIS_URL: redisUrl,
      LLM_PROVIDER: 'openai-compatible',
      LLM_BASE_URL: model.baseUrl,
      LLM_MODEL: 'scripted',
      REGISTRATION: 'open',
      ...environment,
    });
    key ??= keyIn(latchkey);
    return { ...latchkey, ...api(latchkey.url, key) };
  }

  beforeAll(async () => {
    [store, model, proxy] = await Promise.all([storage(), startModelServer(), startRedisProxy(redisUrl), build()]);
    one = await join({ REDIS_URL: proxy.url });
    other = await join();
  }, timeout);
  afterAll(async () => {
    await killAll();
    await Promise.all([store?.drop(), model?.close(), proxy?.close()]);
  });

  /** Runs a statement on the database of the instances. */
  async function onDatabase(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: store.environment.DATABASE_URL });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  }

  /** Starts an answer of which only the first delta is sent until the gate opens. */
  async function startAnswer(server: Server, text = ['One ', 'two ', 'three']) {
    const gate = makeGate();
    model.script({ text, gate });
    const lines = jsonLines(await server.send({ message: 'Count' }));
    const [{ chat_session_id: id }] = await gather(lines, ({ obj }) => obj?.type === undefined);
    gate.release();
    await gather(lines, ({ obj }) => obj?.type === 'message_delta');
    return { id: id as string, gate, lines };
  }
  const resume = async (server: Server, id: string) =>
    jsonLines(await server.call('GET', `/api/chat/chat-session/${id}/resume-stream`));
  const textOf = (packets: any[]): string =>
    packets.flatMap(({ obj }) => (obj?.type === 'message_delta' ? [obj.content] : [])).join('');

  it('an answer is read from its start on another instance while it is generated', { timeout }, async () => {
    const { id, gate, lines } = await startAnswer(one);
    expect((await other.session(id)).current_run).not.toBeNull();
    const resumed = await resume(other, id);
    await gather(resumed, ({ obj }) => obj?.type === 'message_delta');
    gate.open();
    expect(textOf(await gather(resumed))).toBe('two three');
    await gather(lines);
    expect((await other.session(id)).messages.at(-1)).toMatchObject({ message: 'One two three', error: null });
    expect(textOf(await gather(await resume(other, id)))).toBe('One two three');
  });

  it('an answer is stopped from another instance, on which its chat can then continue', {
    timeout,
  }, async () => {
    const { id, lines } = await startAnswer(one);
    const next = { chat_session_id: id, message: 'Next', stream: false };
    expect((await other.send(next)).status).toBe(409);
    expect((await other.call('POST', `/api/chat/stop-chat-session/${id}`)).status).toBe(200);
    expect((await gather(lines)).at(-1)).toMatchObject({ obj: { type: 'stop', stop_reason: 'user_cancelled' } });
    expect(await (await other.send(next)).json()).toMatchObject({ answer: 'You said: Next', error_msg: null });
  });

  it('a revoked credential ends its streams on another instance', { timeout }, async () => {
    const { data } = await one.graphql(
      'mutation { createApiKey(input: { name: "revoked", role: BASIC }) { secret apiKey { id } } }',
    );
    const { secret, apiKey } = data.createApiKey;
    const { lines } = await startAnswer({ ...other, ...api(other.url, secret) });
    await one.graphql(`mutation { deleteApiKey(input: { id: "${apiKey.id}" }) { deletedApiKeyId } }`);
    await gather(lines).catch(() => {});
    expect((await api(other.url, secret).call('GET', '/api/me')).status).toBe(403);
  });

  it('limits, failed logins and idempotency keys count for all instances', { timeout }, async () => {
    const { data } = await one.graphql(
      'mutation { createApiKey(input: { name: "limited", role: BASIC }) { secret apiKey { id } } }',
    );
    const { secret, apiKey } = data.createApiKey;
    const limit = await one.graphql(
      `mutation { createRateLimit(input: { subject: { tokenId: "${apiKey.id}" }, requestsPerMinute: 2 }) { rateLimit { id } } }`,
    );
    expect(limit.errors).toBeUndefined();
    const limited = [one, other].map(({ url }) => api(url, secret));
    // The other instance loads the new limit within a second; no request is counted before that.
    await until(async () => (await limited[1]?.call('GET', '/api/me'))?.status === 429);
    expect((await limited[0]?.call('GET', '/api/me'))?.status).toBe(429);

    const logIn = ({ url }: Server) =>
      fetch(`${url}/api/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'username=someone%40example.com&password=wrong',
      });
    const attempts: number[] = [];
    for (let attempt = 0; attempt < 12; attempt++) attempts.push((await logIn(attempt % 2 ? one : other)).status);
    expect(attempts.slice(0, 10)).not.toContain(429);
    expect(attempts.slice(10)).toEqual([429, 429]);

    const create = ({ url }: Server) =>
      fetch(`${url}/api/admin/api-key`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': 'same' },
        body: JSON.stringify({ name: 'once', role: 'limited' }),
      });
    const replies = await Promise.all([one, other, one, other].map(create));
    expect(replies.map(({ status }) => status).filter((status) => status !== 200 && status !== 409)).toEqual([]);
    const keys = await other.graphql('{ apiKeys(filter: { search: "once" }, first: 10) { totalCount } }');
    expect(keys.data.apiKeys.totalCount).toBe(1);
  });

  it('while Redis is unavailable, requests continue and logins are rejected with 503', { timeout }, async () => {
    await proxy.refuse();
    expect((await one.call('GET', '/api/me')).status).toBe(200);
    const answer = await one.send({ message: 'Alone', stream: false });
    expect(await answer.json()).toMatchObject({ answer: 'You said: Alone', error_msg: null });
    const login = await fetch(`${one.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: 'mutation { login(input: { login: "a@example.com", password: "wrong" }) { token } }',
      }),
    });
    expect([login.status, login.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await login.json()).toMatchObject({
      errors: [{ extensions: { code: 'UNAVAILABLE', reason: 'SHARED_STATE_UNAVAILABLE' } }],
    });
    const session = await fetch(`${one.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'username=a%40example.com&password=wrong',
    });
    expect([session.status, session.headers.get('retry-after')]).toEqual([503, '5']);
    expect(
      (
        await fetch(`${one.url}/api/request-token`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ username: 'someone', password: 'wrong' }),
        })
      ).status,
    ).toBe(503);
    await proxy.open();
    await until(() => /Redis is available again/.test(one.output.stdout));
    expect(one.output.stdout.match(/Redis is not available/g)).toHaveLength(1);
    expect(one.output.stderr).toBe('');
  });

  it('does not start with another SECRET_KEY, or without REDIS_URL', { timeout }, async () => {
    const stranger = run({ ...store.environment, REDIS_URL: redisUrl, SECRET_KEY: 'x'.repeat(32) });
    expect(await stranger.exited).toBe(1);
    expect(stranger.output.stderr).toMatch(/^latchkey: SECRET_KEY differs from[^\n]*\n$/);
    const alone = run(store.environment);
    expect(await alone.exited).toBe(1);
    expect(alone.output.stderr).toMatch(/^latchkey: another Latchkey serves this DATABASE_URL[^\n]*REDIS_URL[^\n]*\n$/);
  });

  it('after kill -9, the others end the answers of that instance only and read its files, and a restart ends no answers', {
    timeout,
  }, async () => {
    const third = await join();
    const { id, lines } = await startAnswer(third);
    const living = await startAnswer(one);
    const form = new FormData();
    form.append('files', new Blob(['Some words.']), 'words.txt');
    const uploaded = await fetch(`${third.url}/api/user/projects/file/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: form,
    });
    const { user_files: files } = (await uploaded.json()) as { user_files: { id: string }[] };
    const fileId = files[0]?.id;
    const statusOf = async () => {
      const { data } = await other.graphql(`{ file(id: "${fileId}") { status } }`);
      return data.file.status;
    };
    await until(async () => (await statusOf()) === 'COMPLETED');
    // As if the instance were still reading the file.
    await onDatabase(`DELETE FROM "Document" WHERE "fileId" = '${fileId}'`);
    await onDatabase(`UPDATE "File" SET "status" = 'PROCESSING' WHERE "id" = '${fileId}'`);
    const resumed = await resume(other, id);
    await gather(resumed, ({ obj }) => obj?.type === 'message_delta');
    await kill(third);
    await expect(gather(lines)).rejects.toThrow();
    expect(await gather(resumed)).toContainEqual(expect.objectContaining({ error: interrupted }));
    const session = await other.session(id);
    expect(session.current_run).toBeNull();
    expect(session.messages.at(-1)).toMatchObject({ error: interrupted });
    await until(async () => (await statusOf()) === 'COMPLETED');
    const next = await one.send({ chat_session_id: id, message: 'Go on', stream: false });
    expect(await next.json()).toMatchObject({ answer: 'You said: Go on', error_msg: null });

    // A restart does not interrupt the answers of the instances that live.
    const restarted = await join();
    living.gate.open();
    await gather(living.lines);
    expect((await restarted.session(living.id)).messages.at(-1)).toMatchObject({
      message: 'One two three',
      error: null,
    });
    restarted.process.kill('SIGTERM');
    expect(await restarted.exited).toBe(0);
  });
});
