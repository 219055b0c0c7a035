import { once } from 'node:events';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { newSecret } from '../../src/authz/secret.ts';
import { queryLimits } from '../../src/graphql/plugins/limits.ts';
import { type Answer, type Kit, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';
import { makeCallers } from './callers.ts';
import { deleteKey, regenerateKey, revokePat, updateKey } from './keys.ts';
import { httpExchange } from './raw-http.ts';

/** GraphQL over WebSocket: the same operations with the same permissions, while the credential works. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { GRAPHIQL: 'false' } });
});
afterEach(() => void vi.useRealTimers());
afterAll(() => kit?.close());

type Payload = Answer['body'];

const protocol = 'graphql-transport-ws';
const urlOf = (path = '/graphql', { url } = kit) => `${url.replace(/^http/, 'ws')}${path}`;

/** Returns the graphql-ws client. */
function clientOf(key: string, onClosed: (event: unknown) => void = () => {}) {
  const client = createClient({
    url: urlOf(),
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${key}` },
    retryAttempts: 0,
    on: { closed: onClosed },
  });
  return {
    iterate: (query: string, variables: Record<string, unknown> = {}): AsyncIterator<Payload> =>
      client.iterate({ query, variables }),
    /** Returns the single result of an operation; errors are thrown as a list. */
    async run(query: string, variables: Record<string, unknown> = {}): Promise<Payload> {
      const results: Payload[] = [];
      for await (const result of client.iterate({ query, variables })) results.push(result);
      expect(results).toHaveLength(1);
      return results[0];
    },
    close: () => client.dispose(),
  };
}

interface WireOptions {
  server?: Kit;
  path?: string;
  headers?: Record<string, string>;
  autoPong?: boolean;
}

const unasked = Symbol('nothing was told');

/** Opens a WebSocket for single messages. Returns the server's messages, and the close code and reason, in order. */
async function wire({ server = kit, path, headers = {}, autoPong = true }: WireOptions = {}) {
  const socket = new WebSocket(urlOf(path, server), protocol, { headers, autoPong });
  const told: Payload[] = [];
  let wake = () => {};
  const tell = (what: Payload) => {
    told.push(what);
    wake();
  };
  socket.on('message', (data) => tell(JSON.parse(String(data))));
  socket.on('close', (code, reason) => tell({ code, reason: String(reason) }));
  await once(socket, 'open');
  return {
    socket,
    send: (...messages: unknown[]) => {
      for (const message of messages) socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    },
    async next(): Promise<Payload> {
      while (told.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return told.shift();
    },
    /** Returns the next message without consuming it. */
    peek: (): Payload => told[0] ?? unasked,
  };
}
type Wire = Awaited<ReturnType<typeof wire>>;

const init = (key: string) => ({ type: 'connection_init', payload: { Authorization: `Bearer ${key}` } });
const operation = (id: string, query: string, variables: object = {}) => ({
  id,
  type: 'subscribe',
  payload: { query, variables },
});

/** Opens an authenticated WebSocket. */
async function opened(key: string, options?: WireOptions): Promise<Wire> {
  const line = await wire(options);
  line.send(init(key));
  expect(await line.next()).toEqual({ type: 'connection_ack' });
  return line;
}

/** Returns the response to an operation with one result. */
async function answer(line: Wire, query: string, variables: object = {}, id = 'one'): Promise<Payload> {
  line.send(operation(id, query, variables));
  const first = await line.next();
  expect(first).toMatchObject({ id });
  if (first.type === 'next') expect(await line.next()).toEqual({ id, type: 'complete' });
  return first;
}

/** Returns the cost that the result of an operation reports. */
const cost = (requested: number) => ({ cost: { requested, limit: queryLimits.cost } });

const unauthorized = { code: 4401, reason: 'Unauthorized' };
const invalid = { code: 4400, reason: 'Invalid message received' };

const viewer = '{ viewer { user { name } } }';
const sessions = '{ chatSessions(first: 5) { totalCount } }';
const turn = `subscription ($input: SendChatMessageInput!) {
  chatTurn(input: $input) {
    __typename
    ... on ChatMessageIds { runId assistantMessageId }
    ... on ChatAnswerDelta { text }
    ... on ChatTurnStopped { reason }
  }
}`;
const again = `subscription ($runId: ID!, $from: Int) {
  chatRun(run: { id: $runId }, from: $from) {
    __typename
    ... on ChatAnswerStarted { index }
    ... on ChatAnswerDelta { index text }
    ... on ChatTurnStopped { index reason }
  }
}`;
const hello = { input: { message: 'Hello' } };

/** Starts a turn on an open WebSocket whose model has sent the first word and waits. */
async function begun(line: Wire, id: string, words = ['one ', 'two ', 'three']) {
  const gate = makeGate();
  kit.model.script({ text: words, gate });
  line.send(operation(id, turn, hello));
  gate.release();
  let ids: Payload;
  for (;;) {
    const message = await line.next();
    const event = message.payload?.data?.chatTurn;
    if (event?.__typename === 'ChatMessageIds') ids = event;
    if (event?.__typename !== 'ChatAnswerDelta') continue;
    expect(event.text).toBe(words[0]);
    return { gate, runId: ids.runId as string, messageId: ids.assistantMessageId as number };
  }
}

/** Returns the messages up to and including the first that matches. */
async function upTo(line: Wire, matches: (message: Payload) => boolean): Promise<Payload[]> {
  const messages = [];
  for (;;) {
    messages.push(await line.next());
    if (matches(messages.at(-1))) return messages;
  }
}
const completes = (id: string) => (message: Payload) => message.id === id && message.type === 'complete';
const textOf = (messages: Payload[], field = 'chatTurn') =>
  messages.map(({ payload }) => payload?.data?.[field]?.text ?? '').join('');

/** Returns the response to a rejected upgrade request. */
async function refusal(
  path: string,
  { protocols = protocol, headers = {} }: { protocols?: string | string[]; headers?: Record<string, string> } = {},
): Promise<{ status: number | undefined; body: string }> {
  const socket = new WebSocket(urlOf(path), protocols, { headers });
  const [, response] = await once(socket, 'unexpected-response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, body };
}

describe('operations over a WebSocket', () => {
  test('return the same results and errors as over HTTP', async () => {
    const { secret, id } = await kit.createKey('BASIC');
    const client = clientOf(secret);
    const query = 'query ($n: Int) { viewer { role } agents(first: $n) { totalCount nodes { name } } }';
    expect(await client.run(query, { n: 3 })).toEqual({
      data: (await kit.gql(query, { n: 3 }, secret)).data,
      extensions: cost(5),
    });
    const create = 'mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { sessionId } }';
    const { data } = await client.run(create, { input: {} });
    const { sessionId } = data.createChatSession;
    expect(await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: sessionId } })).toMatchObject({
      userId: (await kit.prisma.token.findUniqueOrThrow({ where: { id } })).userId,
    });
    const missing = 'query ($id: ID!) { viewer { role } chatSession(id: $id) { id } }';
    const variables = { id: '00000000-0000-4000-8000-00000000dead' };
    const overHttp = await kit.gql(missing, variables, secret);
    expect(overHttp.errors).toHaveLength(1);
    expect(await client.run(missing, variables)).toEqual({
      data: overHttp.data,
      errors: overHttp.errors,
      extensions: cost(2),
    });
    await client.close();
  });

  test('send the same events of a turn as over SSE', async () => {
    const words = ['Under ', 'the ', 'bridge.'];
    const shown = (event: Payload) => ({ ...event, runId: undefined, assistantMessageId: undefined });
    kit.model.script({ text: words }, { text: words });
    const overSse = [];
    for await (const { data } of kit.subscribe(turn, hello, kit.keys.BASIC)) overSse.push(shown(data.chatTurn));
    const client = clientOf(kit.keys.BASIC);
    const events = client.iterate(turn, hello);
    const overSocket = [];
    for (let next = await events.next(); !next.done; next = await events.next())
      overSocket.push(shown(next.value.data.chatTurn));
    expect(overSocket).toEqual(overSse);
    expect(overSocket.map(({ text = '' }) => text).join('')).toBe('Under the bridge.');
    expect(overSocket.at(-1)).toMatchObject({ __typename: 'ChatTurnStopped', reason: 'FINISHED' });
    await client.close();
  });

  test('resume a run where a disconnected client stopped', async () => {
    const first = await opened(kit.keys.BASIC);
    const { gate, runId } = await begun(first, 'turn');
    first.socket.terminate();
    const second = await opened(kit.keys.BASIC);
    second.send(operation('all', again, { runId }));
    const start = await upTo(second, ({ payload }) => payload.data?.chatRun.text === 'one ');
    const { index } = start.at(-1).payload.data.chatRun;
    second.send({ id: 'all', type: 'complete' }, operation('rest', again, { runId, from: index + 1 }));
    gate.open();
    expect(textOf(await upTo(second, completes('rest')), 'chatRun')).toBe('two three');
    second.socket.close();
  });

  test('receive only their own events when two run concurrently', async () => {
    const line = await opened(kit.keys.BASIC);
    const slow = await begun(line, 'slow', ['slow 1 ', 'slow 2']);
    const quick = await begun(line, 'quick', ['quick 1 ', 'quick 2']);
    expect((await answer(line, viewer, {}, 'between')).payload).toEqual({
      data: { viewer: { user: { name: 'basic' } } },
      extensions: cost(2),
    });
    quick.gate.open();
    const first = await upTo(line, completes('quick'));
    expect(first.every(({ id }) => id === 'quick')).toBe(true);
    expect(textOf(first)).toBe('quick 2');
    slow.gate.open();
    const second = await upTo(line, completes('slow'));
    expect(second.every(({ id }) => id === 'slow')).toBe(true);
    expect(textOf(second)).toBe('slow 2');
    line.socket.close();
  });

  test('`complete` stops the events but not the run, and frees the ID', async () => {
    const line = await opened(kit.keys.BASIC);
    const { gate, messageId } = await begun(line, 'same');
    const { aborted } = kit.model;
    line.send({ id: 'same', type: 'complete' });
    expect((await answer(line, viewer, {}, 'same')).payload).toEqual({
      data: { viewer: { user: { name: 'basic' } } },
      extensions: cost(2),
    });
    gate.open();
    const stored = await until(() =>
      kit.prisma.chatMessage.findFirst({ where: { id: messageId, status: 'COMPLETE' } }),
    );
    expect(stored.text).toBe('one two three');
    expect(kit.model.aborted).toBe(aborted);
    expect((await answer(line, viewer, {}, 'same')).type).toBe('next');
    expect(line.peek()).toBe(unasked);
    line.socket.close();
  });

  test('send no late result of a completed operation under its reused ID', async () => {
    const line = await opened(kit.keys.BASIC);
    const send = 'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }';
    const begin = async (text: string) => {
      const gate = makeGate();
      kit.model.script({ text: [text], gate });
      const asked = kit.model.requests.length;
      line.send(operation('same', send, hello));
      await until(() => kit.model.requests.length > asked);
      return gate;
    };
    const completed = await begin('too late');
    line.send({ id: 'same', type: 'complete' });
    const awaited = await begin('in time');
    completed.open();
    await until(() => kit.prisma.chatMessage.findFirst({ where: { text: 'too late', status: 'COMPLETE' } }));
    awaited.open();
    expect((await line.next()).payload).toEqual({
      data: { sendChatMessage: { answer: 'in time' } },
      extensions: cost(1),
    });
    expect(await line.next()).toEqual({ id: 'same', type: 'complete' });
    line.socket.close();
  });

  test('return an error and no result for a denied subscription', async () => {
    const line = await opened(kit.keys.BASIC);
    const refused = await answer(line, again, { runId: newId() });
    expect(refused).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'NOT_FOUND' } }] });
    line.socket.close();
  });
});

const newId = () => '00000000-0000-4000-8000-00000000dead';

describe('authenticating a WebSocket', () => {
  const refusedInit = async (payload: unknown, options?: WireOptions): Promise<Payload> => {
    const line = await wire(options);
    line.send({ type: 'connection_init', ...(payload !== undefined && { payload }) });
    return line.next();
  };

  test('TOK 6 closes it in the same way for every invalid credential and changes no data', async () => {
    const dead = [...(await makeCallers(kit)).values()].filter(({ state }) => state === 'dead');
    expect(dead.length).toBeGreaterThan(10);
    await kit.booted.background.settled();
    const before = await kit.fingerprint();
    for (const { name, secret } of dead)
      expect([name, await refusedInit({ Authorization: `Bearer ${secret}` })]).toEqual([name, unauthorized]);
    const texts = ['', 'Bearer', 'Bearer ', kit.keys.ADMIN, `Basic ${kit.keys.ADMIN}`, 'Bearer a\nb', 'Bearer \u2603'];
    for (const Authorization of [...texts, 1, null, {}, [`Bearer ${kit.keys.ADMIN}`]])
      expect([Authorization, await refusedInit({ Authorization })]).toEqual([Authorization, unauthorized]);
    for (const payload of [undefined, {}, { token: kit.keys.ADMIN }, { headers: { authorization: kit.keys.ADMIN } }])
      expect([payload, await refusedInit(payload)]).toEqual([payload, unauthorized]);
    await kit.booted.background.settled();
    expect(await kit.fingerprint()).toBe(before);
  });

  test('records a rejected credential in the audit trail without its secret', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    await updateKey(kit, { id, disabled: true });
    expect(await refusedInit({ authorization: `Bearer ${secret}` })).toEqual(unauthorized);
    await kit.booted.background.settled();
    const events = await kit.prisma.auditEvent.findMany({ where: { tokenId: id, action: 'credential.refused' } });
    expect(events).toHaveLength(1);
    expect(JSON.stringify(events[0]?.detail)).not.toContain(secret);
  });

  test('accepts the field name in any case, and the upgrade request’s header when the field is absent', async () => {
    const { secret } = await kit.createKey('BASIC', { name: 'other' });
    const line = await wire({ headers: { authorization: `Bearer ${kit.keys.BASIC}` } });
    line.send({ type: 'connection_init', payload: { authorization: `bearer ${secret}` } });
    expect(await line.next()).toEqual({ type: 'connection_ack' });
    expect((await answer(line, viewer)).payload.data.viewer.user.name).toBe('other');
    line.socket.close();
    const withHeader = await wire({ headers: { authorization: `Bearer ${kit.keys.BASIC}` } });
    withHeader.send({ type: 'connection_init' });
    expect(await withHeader.next()).toEqual({ type: 'connection_ack' });
    expect((await answer(withHeader, viewer)).payload.data.viewer.user.name).toBe('basic');
    withHeader.socket.close();
  });

  test('accepts a session cookie from the server’s own pages only', async () => {
    const person = await kit.person();
    const cookie = `fastapiusersauth=${person.session}`;
    const own: Record<string, string>[] = [
      { cookie, origin: kit.url },
      { cookie, origin: 'http://latchkey.test' },
      { cookie },
    ];
    for (const headers of own) {
      const line = await wire({ headers });
      line.send({ type: 'connection_init' });
      expect(await line.next()).toEqual({ type: 'connection_ack' });
      expect((await answer(line, '{ viewer { user { databaseId email } } }')).payload.data.viewer.user).toMatchObject({
        email: person.email,
      });
      line.socket.close();
    }
    await kit.booted.background.settled();
    const before = await kit.fingerprint();
    for (const origin of ['https://evil.example', 'null', `${kit.url}0`])
      expect([origin, await refusedInit(undefined, { headers: { cookie, origin } })]).toEqual([origin, unauthorized]);
    expect(await refusedInit(undefined, { headers: { cookie: `fastapiusersauth=${kit.keys.ADMIN}` } })).toEqual(
      unauthorized,
    );
    expect(await kit.fingerprint()).toBe(before);
    // A credential in a header takes precedence, from any page.
    const line = await opened(kit.keys.BASIC, { headers: { cookie, origin: 'https://evil.example' } });
    expect((await answer(line, viewer)).payload.data.viewer.user.name).toBe('basic');
    line.socket.close();
  });

  test('rejects a secret in the URL before any other check', async () => {
    const before = await kit.fingerprint();
    const urls = [
      `?token=${kit.keys.ADMIN}`,
      `?a=${encodeURIComponent(` ${newSecret('ANYTHINGLLM')}`)}`,
      `?%6fn_${'a'.repeat(36)}`,
    ];
    for (const url of urls) {
      const refused = await refusal(`/graphql${url}`);
      expect(refused.status).toBe(400);
      expect(JSON.parse(refused.body).detail).toMatch(/^Credentials are not accepted in the URL/);
      expect((await refusal(`/elsewhere${url}`)).status).toBe(400);
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  test('rejects other paths and other subprotocols', async () => {
    for (const path of ['/', '/api', '/graphql/', '/graphql/ws', '/api/graphql', '/health'])
      expect([path, (await refusal(path)).status]).toEqual([path, 404]);
    for (const protocols of [[], 'graphql-ws', ['mqtt', 'graphql-transport-wss']])
      expect([protocols, (await refusal('/graphql', { protocols })).status]).toEqual([protocols, 400]);
    const line = new WebSocket(urlOf(), ['mqtt', protocol]);
    await once(line, 'open');
    expect(line.protocol).toBe(protocol);
    expect(line.extensions).toBe('');
    line.terminate();
  });

  test('serves a request for another upgrade as a plain HTTP request', async () => {
    const body = JSON.stringify({ query: viewer });
    const head = (more: string[]) =>
      [
        'POST /graphql HTTP/1.1',
        `Host: ${new URL(kit.url).host}`,
        `Authorization: Bearer ${kit.keys.BASIC}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        ...more,
        '',
        '',
      ].join('\r\n');
    const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'];
    // Three on one connection, which stays open.
    const asked = [head(upgrade) + body, head([]) + body, head([...upgrade, 'Connection: close']) + body].join('');
    const replies = await httpExchange(Number(new URL(kit.url).port), asked);
    expect(replies.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
    expect(replies.match(/"name":"basic"/g)).toHaveLength(3);
  });

  test('rejects a request for another upgrade when it has too many headers', async () => {
    const many = Array.from({ length: 2100 }, () => 'a:').join('\r\n');
    const host = `Host: ${new URL(kit.url).host}`;
    const asked = `POST /health HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n${host}\r\n${many}\r\n\r\n`;
    expect(await httpExchange(Number(new URL(kit.url).port), asked)).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('permissions', () => {
  test('AUTHZ a limited key is denied the chat history and changes no data', async () => {
    const line = await opened(kit.keys.BASIC);
    const { gate, runId } = await begun(line, 'turn');
    gate.open();
    await upTo(line, completes('turn'));
    line.socket.close();
    await kit.booted.background.settled();
    const before = await kit.fingerprint();
    const limited = await opened(kit.keys.LIMITED);
    const forbidden = {
      extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:chat'] },
    };
    expect(await answer(limited, sessions)).toMatchObject({
      type: 'next',
      payload: { data: { chatSessions: null }, errors: [forbidden] },
    });
    expect(await answer(limited, again, { runId })).toMatchObject({ type: 'error', payload: [forbidden] });
    const create = 'mutation { createApiKey(input: { name: "x", role: ADMIN }) { secret } }';
    expect(await answer(limited, create)).toMatchObject({
      payload: {
        data: { createApiKey: null },
        errors: [
          { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['manage:api_keys'] } },
        ],
      },
    });
    await kit.booted.background.settled();
    expect(await kit.fingerprint()).toBe(before);
    const refused = await kit.prisma.auditEvent.findMany({ where: { action: 'permission.refused' } });
    const details = JSON.stringify(refused.map(({ detail }) => detail));
    for (const field of ['chatSessions', 'chatRun', 'createApiKey']) expect(details).toContain(field);
    limited.socket.close();
  });

  test('errors contain no HTTP details', async () => {
    const line = await opened(kit.keys.LIMITED);
    for (const query of [sessions, '{ nothing }', '{', again]) {
      const text = JSON.stringify(await answer(line, query));
      expect(text).toContain('"code"');
      expect(text).not.toContain('"http"');
    }
    line.socket.close();
  });

  test.each(['a demoted owner', 'a demoted owner, by hand'])(
    '%s has fewer permissions at the next operation',
    async (how) => {
      const owner = await kit.createKey('BASIC');
      const { secret } = await kit.createPat(owner.secret);
      const line = await opened(secret);
      expect((await answer(line, sessions)).payload).toEqual({
        data: { chatSessions: { totalCount: 0 } },
        extensions: cost(1),
      });
      if (how === 'a demoted owner') await updateKey(kit, { id: owner.id, role: 'LIMITED' });
      else await kit.prisma.user.update({ where: { id: owner.userId }, data: { role: 'LIMITED' } });
      expect(await answer(line, sessions)).toMatchObject({
        payload: { data: { chatSessions: null }, errors: [{ extensions: { code: 'FORBIDDEN' } }] },
      });
      expect((await answer(line, viewer)).type).toBe('next');
      // The WebSocket still closes with its credential.
      await deleteKey(kit, owner.id);
      expect(await line.next()).toEqual(unauthorized);
    },
  );

  test('a stream ends when its credential loses permissions, and the socket stays open', async () => {
    const owner = await kit.createKey('BASIC');
    const line = await opened((await kit.createPat(owner.secret)).secret);
    await begun(line, 'turn');
    const hungUp = kit.model.nextAbort();
    await updateKey(kit, { id: owner.id, role: 'LIMITED' });
    expect(await line.next()).toMatchObject({
      id: 'turn',
      type: 'error',
      payload: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
    await hungUp;
    expect((await answer(line, viewer)).type).toBe('next');
    line.socket.close();
  });

  test('exceeding the rate limit is an error of that operation, and the socket stays open', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const create = 'mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { id } } }';
    const limit = await kit.gql(create, { input: { subject: { tokenId: id }, requestsPerMinute: 2 } });
    expect(limit.errors).toEqual([]);
    const line = await opened(secret);
    for (const _ of [1, 2]) expect((await answer(line, viewer)).type).toBe('next');
    expect(await answer(line, viewer)).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } }],
    });
    line.send({ type: 'ping' });
    expect(await line.next()).toEqual({ type: 'pong' });
    line.socket.close();
  });
});

describe('closing a socket', () => {
  const endings: Record<string, (key: { id: number; secret: string }) => Promise<[string, () => Promise<unknown>]>> = {
    'the key is disabled': async ({ id, secret }) => [secret, () => updateKey(kit, { id, disabled: true })],
    'the key is regenerated': async ({ id, secret }) => [secret, () => regenerateKey(kit, { id })],
    'the key is deleted': async ({ id, secret }) => [secret, () => deleteKey(kit, id)],
    'the personal token is revoked': async ({ secret }) => {
      const pat = await kit.createPat(secret);
      return [pat.secret, () => revokePat(kit, pat.id, secret)];
    },
    'the key behind a personal token is disabled': async ({ id, secret }) => [
      (await kit.createPat(secret)).secret,
      () => updateKey(kit, { id, disabled: true }),
    ],
    'the key expires': async ({ id, secret }) => [
      secret,
      // Repeated when the moment has passed before the request arrives, which is then denied.
      () =>
        until(async () => {
          const soon = new Date(Date.now() + 500);
          return (await updateKey(kit, { id, expiresAt: soon })).errors.length === 0;
        }),
    ],
  };

  test.each(Object.keys(endings))('TOK 5 TOK 9 closes an idle socket when %s', async (what) => {
    const [secret, end] = (await endings[what]?.(await kit.createKey('BASIC'))) ?? [];
    if (!secret || !end) throw new Error('no such end');
    const idle = await opened(secret);
    const bystander = await opened(kit.keys.BASIC);
    await end();
    expect(await idle.next()).toEqual(unauthorized);
    expect((await answer(bystander, viewer)).type).toBe('next');
    bystander.socket.close();
  });

  test.each(Object.keys(endings))(
    'TOK 5 TOK 9 closes a streaming socket and aborts the request to the model when %s',
    async (what) => {
      const [secret, end] = (await endings[what]?.(await kit.createKey('BASIC'))) ?? [];
      if (!secret || !end) throw new Error('no such end');
      const line = await opened(secret);
      const { messageId } = await begun(line, 'turn');
      const hungUp = kit.model.nextAbort();
      await end();
      const last = await upTo(line, (message) => 'code' in message);
      expect(last.at(-1)).toEqual(unauthorized);
      // The stream can report only why it ends.
      for (const message of last.slice(0, -1))
        expect(message).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
      await hungUp;
      await kit.booted.background.settled();
      const stored = await kit.prisma.chatMessage.findUnique({ where: { id: messageId } });
      if (what === 'the key is deleted') expect(stored).toBeNull();
      else expect(stored).toMatchObject({ text: 'one ', status: 'STOPPED' });
    },
  );

  test('closes the socket over which its session logs out', async () => {
    const person = await kit.person();
    const line = await opened(person.session);
    line.send(operation('bye', 'mutation { logout { __typename } }'));
    expect((await upTo(line, (message) => 'code' in message)).at(-1)).toEqual(unauthorized);
  });

  test('closes the socket at the next operation when the end of its credential was not announced', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const line = await opened(secret);
    await kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } });
    line.send(operation('one', viewer));
    expect(await line.next()).toEqual(unauthorized);
  });

  test('keeps the socket of the old secret open during an overlap', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const line = await opened(secret);
    await regenerateKey(kit, { id, overlapMinutes: 5 });
    expect((await answer(line, viewer)).type).toBe('next');
    line.socket.close();
  });

  test('executes no operation that arrives after the socket was closed', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const line = await opened(secret);
    const create = 'mutation { createChatSession(input: {}) { sessionId } }';
    line.send(...Array.from({ length: 20 }, (_, n) => [operation(`q${n}`, viewer)]).flat(), 'no JSON');
    line.send(...Array.from({ length: 20 }, (_, n) => operation(`m${n}`, create)));
    expect((await upTo(line, (message) => 'code' in message)).at(-1)).toEqual(invalid);
    await kit.booted.background.settled();
    const { userId } = await kit.prisma.token.findUniqueOrThrow({ where: { id } });
    expect(await kit.prisma.chatSession.count({ where: { userId } })).toBe(0);
  });
});

describe('limits', () => {
  const refusedFor = async (query: string): Promise<unknown> => {
    const line = await opened(kit.keys.ADMIN);
    const refused = await answer(line, query);
    line.socket.close();
    expect(refused.type).toBe('error');
    return refused.payload[0].extensions;
  };

  test('reject hostile documents as over HTTP and count them', async () => {
    const metric = async (limit: string) => {
      const { text } = await kit.rest('GET', '/metrics');
      return Number(new RegExp(`graphql_refused_total\\{limit="${limit}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
    };
    const ofTypes = queryLimits.depth - 1;
    const hostile: Record<string, string> = {
      depth: `{ __type(name: "Query") { ${'ofType { '.repeat(ofTypes)}name${' }'.repeat(ofTypes)} } }`,
      characters: `{ viewer { role } }${' '.repeat(queryLimits.characters)}`,
      tokens: `{ ${'viewer { role } '.repeat(queryLimits.tokens)} }`,
      aliases: `{ ${Array.from({ length: queryLimits.aliases + 1 }, (_, n) => `a${n}: __typename`).join(' ')} }`,
      directives: `{ viewer { role ${'@a'.repeat(queryLimits.directives + 1)} } }`,
      cost: '{ agents(first: 100) { nodes { documents(first: 100) { nodes { id } } } } }',
      repeats: `{ ${'__typename '.repeat(queryLimits.repeats + 1)} }`,
    };
    expect(Object.keys(hostile).sort()).toEqual(Object.keys(queryLimits).sort());
    for (const [limit, query] of Object.entries(hostile)) {
      const before = await metric(limit);
      expect(await refusedFor(query)).toMatchObject({ code: 'BAD_USER_INPUT', limit });
      expect(await metric(limit)).toBe(before + 1);
    }
    const twice = `mutation ($input: SendChatMessageInput!) {
      a: sendChatMessage(input: $input) { answer } b: sendChatMessage(input: $input) { answer }
    }`;
    expect(await refusedFor(twice)).toMatchObject({ limit: 'repeats' });
  });

  test('check request parameters and variables as over HTTP', async () => {
    const line = await opened(kit.keys.BASIC);
    line.send({ id: 'one', type: 'subscribe', payload: { query: viewer, extra: 1 } });
    expect(await line.next()).toMatchObject({
      type: 'error',
      payload: [{ message: expect.stringContaining('"extra"') }],
    });
    const many = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }';
    const wrong = { ids: Array.from({ length: 50 }, () => ({})) };
    const refused = await answer(line, many, wrong);
    expect(refused.type).toBe('error');
    expect(refused.payload).toEqual((await kit.gql(many, wrong, kit.keys.BASIC)).errors);
    line.socket.close();
  });

  test('allow introspection to authenticated clients only', async () => {
    const query = '{ __schema { queryType { name } } }';
    expect((await kit.gql(query, {}, null)).errors).toHaveLength(1);
    const stranger = await wire();
    stranger.send(operation('one', query));
    expect(await stranger.next()).toEqual(unauthorized);
    const line = await opened(kit.keys.LIMITED);
    expect((await answer(line, query)).payload).toEqual({
      data: { __schema: { queryType: { name: 'Query' } } },
      extensions: cost(0),
    });
    line.socket.close();
  });

  test('allow messages of up to 256 KiB', async () => {
    const sized = (bytes: number) => {
      const text = JSON.stringify({ type: 'ping', payload: { fill: '' } });
      return text.replace('""', `"${'x'.repeat(bytes - text.length)}"`);
    };
    const line = await opened(kit.keys.BASIC);
    line.send(sized(256 * 1024));
    expect((await line.next()).type).toBe('pong');
    line.send(sized(256 * 1024 + 1));
    expect(await line.next()).toMatchObject({ code: 1009 });
  });

  test('allow 100 concurrent operations, and one more closes the socket', async () => {
    const first = await opened(kit.keys.BASIC);
    const { gate, runId } = await begun(first, 'turn');
    const line = await opened(kit.keys.BASIC);
    line.send(...Array.from({ length: 100 }, (_, n) => operation(`${n}`, again, { runId })));
    const started = new Set<string>();
    await upTo(line, ({ id, payload }) => payload.data.chatRun.text === 'one ' && started.add(id).size === 100);
    // A completed operation releases its slot immediately.
    line.send({ id: '0', type: 'complete' }, operation('more', viewer));
    expect(await line.next()).toMatchObject({ id: 'more', type: 'next' });
    expect(await line.next()).toEqual({ id: 'more', type: 'complete' });
    line.send(operation('100', again, { runId }), operation('101', again, { runId }));
    const last = await upTo(line, (message) => 'code' in message);
    expect(last.at(-1)).toEqual({ code: 4429, reason: 'Too many operations under way' });
    gate.open();
    await upTo(first, completes('turn'));
    first.socket.close();
  });

  test('release a completed operation even when its stream has no further event', async () => {
    const first = await opened(kit.keys.BASIC);
    const { gate, runId } = await begun(first, 'turn');
    const line = await opened(kit.keys.BASIC);
    for (const round of [1, 2, 3, 4]) {
      const ids = Array.from({ length: 100 }, (_, n) => `${round}.${n}`);
      line.send(...ids.map((id) => operation(id, again, { runId })));
      const started = new Set<string>();
      await upTo(line, ({ id, payload }) => payload.data.chatRun.text === 'one ' && started.add(id).size === 100);
      line.send(...ids.map((id) => ({ id, type: 'complete' })));
    }
    expect((await answer(line, viewer)).type).toBe('next');
    line.socket.close();
    gate.open();
    await upTo(first, completes('turn'));
    first.socket.close();
  });

  test('a client that reads slowly receives every response', async () => {
    const line = await opened(kit.keys.ADMIN);
    const query = '{ __schema { types { name description fields { name description args { name description } } } } }';
    const size = JSON.stringify((await kit.gql(query)).data).length;
    expect(size).toBeGreaterThan(100_000);
    line.socket.pause();
    const ids = Array.from({ length: 60 }, (_, n) => `${n}`);
    line.send(...ids.map((id) => operation(id, query)));
    // The server continues to serve other clients.
    expect((await kit.gql(viewer)).status).toBe(200);
    line.socket.resume();
    const answered = new Set<string>();
    await upTo(line, ({ id, type }) => type === 'complete' && answered.add(id).size === ids.length);
    line.socket.close();
  });

  test('close the socket of a client that does not authenticate within 10 seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const silent = await wire();
    const known = await opened(kit.keys.BASIC);
    vi.advanceTimersByTime(9_999);
    silent.send({ type: 'ping' });
    expect(await silent.next()).toEqual({ type: 'pong' });
    vi.advanceTimersByTime(1);
    expect(await silent.next()).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
    expect((await answer(known, viewer)).type).toBe('next');
    known.socket.close();
  });

  test('close the socket of a client that answers no ping at the third interval', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const lively = await opened(kit.keys.BASIC);
    const gone = await opened(kit.keys.BASIC, { autoPong: false });
    for (const _ of [1, 2]) {
      const pinged = [lively, gone].map(({ socket }) => once(socket, 'ping'));
      vi.advanceTimersByTime(12_000);
      await Promise.all(pinged);
      // The pong arrived before this message.
      expect((await answer(lively, viewer)).type).toBe('next');
    }
    vi.advanceTimersByTime(12_000);
    expect(await gone.next()).toMatchObject({ code: 1006 });
    expect((await answer(lively, viewer)).type).toBe('next');
    lively.socket.close();
  });
});

describe('a message that violates the protocol', () => {
  const deep = `{"type":"ping","payload":${'{"a":'.repeat(300)}1${'}'.repeat(300)}}`;
  const bad: Record<string, [unknown[], { code: number; reason: string }]> = {
    'no JSON': [['{'], invalid],
    nothing: [[''], invalid],
    'a list': [[[operation('one', viewer)]], invalid],
    'no type': [[{ id: 'one' }], invalid],
    'an unknown type': [[{ type: 'start' }], invalid],
    'a type of the server’s': [[{ type: 'connection_ack' }], invalid],
    'an answer': [[{ id: 'one', type: 'next', payload: {} }], invalid],
    'too many levels': [[deep], invalid],
    'too many values': [[{ type: 'ping', payload: { a: Array.from({ length: 20_001 }, () => 1) } }], invalid],
    'no id': [[{ type: 'subscribe', payload: { query: viewer } }], invalid],
    'an id that is too long': [[operation('x'.repeat(257), viewer)], invalid],
    'no query': [[{ id: 'one', type: 'subscribe', payload: {} }], invalid],
    'a second initialisation': [[init('x')], { code: 4429, reason: 'Too many initialisation requests' }],
    'an id that is taken': [
      [operation('one', viewer), operation('one', viewer)],
      { code: 4409, reason: 'Subscriber already exists' },
    ],
  };

  test.each(Object.keys(bad))('closes the socket: %s', async (what) => {
    const [messages, end] = bad[what] ?? [];
    const line = await opened(kit.keys.BASIC);
    line.send(...(messages ?? []));
    expect((await upTo(line, (message) => 'code' in message)).at(-1)).toEqual(end);
  });

  test('closes the socket when it is binary', async () => {
    const line = await opened(kit.keys.BASIC);
    line.socket.send(Buffer.from(JSON.stringify({ type: 'ping' })), { binary: true });
    expect(await line.next()).toEqual(invalid);
  });

  test('closes the socket when it is an operation before the acknowledgement', async () => {
    const line = await wire();
    line.send(init(kit.keys.BASIC), operation('one', viewer));
    expect(await line.next()).toEqual(unauthorized);
  });
});

test('a ping message receives a pong with its payload, also before authentication', async () => {
  const line = await wire();
  line.send({ type: 'ping', payload: { n: 1 } }, { type: 'pong' }, { type: 'ping' });
  expect(await line.next()).toEqual({ type: 'pong', payload: { n: 1 } });
  expect(await line.next()).toEqual({ type: 'pong' });
  line.socket.close();
});

test('the metric of open sockets excludes closed sockets, even while one of their runs continues', async () => {
  const count = async () => {
    const { text } = await kit.rest('GET', '/metrics');
    return Number(/^graphql_websockets_open (\d+)$/m.exec(text)?.[1]);
  };
  await until(async () => (await count()) === 0);
  const lines = [await opened(kit.keys.BASIC), await wire()];
  expect(await count()).toBe(2);
  const { gate } = await begun(lines[0] as Wire, 'turn');
  for (const { socket } of lines) socket.terminate();
  await until(async () => (await count()) === 0);
  gate.open();
});

test('a shutdown waits for the runs, then closes the sockets and rejects new ones with 503', async () => {
  const other = await startKit({ scripted: true });
  try {
    const line = await opened(other.keys.BASIC, { server: other });
    const gate = makeGate();
    other.model.script({ text: ['the ', 'last ', 'words'], gate });
    line.send(operation('turn', turn, hello));
    gate.release();
    await upTo(line, ({ payload }) => payload.data.chatTurn.text === 'the ');
    const drained = other.booted.drain(10_000);
    gate.open();
    expect(textOf(await upTo(line, completes('turn')))).toBe('last words');
    expect(await line.next()).toEqual({ code: 1001, reason: 'Going away' });
    await drained;
    const late = new WebSocket(urlOf('/graphql', other), protocol);
    const [, response] = await once(late, 'unexpected-response');
    expect(response.statusCode).toBe(503);
  } finally {
    await other.close();
  }
});
