import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isEnumType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { errorCodes } from '../../src/errors.ts';
import { schema } from '../../src/graphql/schema.ts';
import { projectRoot } from '../../src/project-root.ts';
import { type Answer, expectListedCodes, type Kit, startKit } from '../kit.ts';

/** How `/graphql` answers what GraphQL clients send besides an ordinary operation. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const query = '{ viewer { role } }';
const hash = createHash('sha256').update(query).digest('hex');
const extensions = { persistedQuery: { version: 1, sha256Hash: hash } };
const notSupported = {
  errors: [{ message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } }],
};

const post = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  kit.rest('POST', '/graphql', { body, headers });
const get = (parameters: Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> =>
  kit.rest('GET', `/graphql?${new URLSearchParams(parameters)}`, { headers });

describe('persisted queries', () => {
  it('returns PERSISTED_QUERY_NOT_SUPPORTED for a hash without a query, over POST and GET', async () => {
    for (const accept of ['application/json', '*/*'])
      for (const answer of [
        await post({ extensions }, { accept }),
        await post({ query: null, variables: {}, operationName: null, extensions }, { accept }),
        await post({ query: '', extensions }, { accept }),
        await get({ extensions: JSON.stringify(extensions) }, { accept }),
        await get({ operationName: 'Who', variables: '{}', extensions: JSON.stringify(extensions) }, { accept }),
      ])
        expect([answer.headers.get('content-type'), answer.body]).toEqual([
          expect.stringMatching(/^application\/(graphql-response\+)?json/),
          notSupported,
        ]);
  });

  it('uses the statuses of GraphQL over HTTP: 400 as application/graphql-response+json, 200 as application/json', async () => {
    expect((await post({ extensions }, { accept: 'application/graphql-response+json' })).status).toBe(400);
    expect((await post({ extensions }, { accept: 'application/json' })).status).toBe(200);
  });

  it('answers the second request of a client that falls back to the whole query', async () => {
    /** The link of Apollo: the hash alone first, and the whole query after PersistedQueryNotSupported. */
    async function persisted(send: (request: { query?: string; extensions?: object }) => Promise<any>) {
      const first = await send({ extensions });
      const [error] = first.errors ?? [];
      if (error?.message !== 'PersistedQueryNotSupported') return first;
      return send({ query });
    }
    expect(await persisted(async (request) => (await post(request)).body)).toMatchObject({
      data: { viewer: { role: 'ADMIN' } },
    });
    const overGet = async ({ query, extensions }: { query?: string; extensions?: object }) =>
      (await get({ ...(query && { query }), ...(extensions && { extensions: JSON.stringify(extensions) }) })).body;
    expect(await persisted(overGet)).toMatchObject({ data: { viewer: { role: 'ADMIN' } } });
  });

  it('runs a query that is sent with its hash', async () => {
    expect((await post({ query, extensions })).body).toMatchObject({ data: { viewer: { role: 'ADMIN' } } });
  });

  it('returns BAD_USER_INPUT for a request with neither a query nor a hash', async () => {
    for (const body of [
      {},
      { extensions: {} },
      { extensions: { persistedQuery: null } },
      { extensions: { persistedQuery: { version: 1 } } },
      { extensions: { persistedQuery: 'x' } },
      { extensions: 'x' },
    ]) {
      const answer = await post(body, { accept: 'application/graphql-response+json' });
      expect([answer.status, answer.body.errors[0].extensions.code], JSON.stringify(body)).toEqual([
        400,
        'BAD_USER_INPUT',
      ]);
    }
  });

  it('returns the error over WebSocket, and runs the whole query on the same connection', async () => {
    const socket = new WebSocket(`${kit.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    const next = async () => JSON.parse(String((await once(socket, 'message'))[0]));
    const send = async (message: object) => {
      const answer = next();
      socket.send(JSON.stringify(message));
      return answer;
    };
    const payload = { Authorization: `Bearer ${kit.keys.BASIC}` };
    expect(await send({ type: 'connection_init', payload })).toEqual({ type: 'connection_ack' });
    for (const request of [{ extensions }, { query: '', extensions }])
      expect(await send({ id: '1', type: 'subscribe', payload: request })).toEqual({
        id: '1',
        type: 'error',
        payload: notSupported.errors,
      });
    expect(await send({ id: '2', type: 'subscribe', payload: { query, extensions } })).toMatchObject({
      id: '2',
      type: 'next',
      payload: { data: { viewer: { role: 'BASIC' } } },
    });
    socket.close();
    await once(socket, 'close');
  });
});

describe('the Accept header', () => {
  const turn = 'subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename } }';
  const unsuitable = [
    'application/json',
    'application/graphql-response+json',
    'multipart/mixed',
    'text/html',
    'image/*',
  ];

  it('returns 406 with the header to send for a subscription that cannot be streamed, and starts no turn', async () => {
    const before = await kit.fingerprint();
    for (const accept of unsuitable) {
      const body = { query: turn, variables: { input: { message: 'hello' } } };
      const answer = await post(body, { accept });
      expect(answer.status, accept).toBe(406);
      expect(answer.headers.get('content-type')).toMatch(/^application\/(graphql-response\+)?json/);
      expect(answer.body).toEqual({
        errors: [{ message: expect.stringContaining('text/event-stream'), extensions: { code: 'NOT_ACCEPTABLE' } }],
      });
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  it.each(['text/event-stream', '*/*', 'text/*', 'application/json, text/event-stream;q=0.9', ''])(
    'streams a subscription with the header %j',
    async (accept) => {
      const response = await fetch(`${kit.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${kit.keys.BASIC}` },
        body: JSON.stringify({ query: turn, variables: { input: { message: 'hello' } } }),
      });
      expect([response.status, response.headers.get('content-type')]).toEqual([
        200,
        expect.stringMatching(/^text\/event-stream/),
      ]);
      expect(await response.text()).toContain('ChatMessageIds');
    },
  );

  it('returns 406 with the header to send for a mutation whose response type is not accepted, and changes no data', async () => {
    const before = await kit.fingerprint();
    const mutation = 'mutation { createApiKey(input: { name: "x" }) { secret } }';
    for (const accept of ['text/html', 'image/png', 'application/json;charset=latin1']) {
      const answer = await post({ query: mutation }, { accept });
      expect([answer.status, answer.body], accept).toEqual([
        406,
        { errors: [{ message: expect.stringContaining('application/json'), extensions: { code: 'NOT_ACCEPTABLE' } }] },
      ]);
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('deprecated elements', () => {
  it('name their replacement, or the REST paths that they serve', () => {
    const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
    const elements = types.flatMap((type) => [
      ...('getFields' in type ? Object.values(type.getFields()) : []),
      ...(isEnumType(type) ? type.getValues() : []),
      ...(isObjectType(type) ? Object.values(type.getFields()).flatMap(({ args }) => args) : []),
    ]);
    expect(elements.length).toBeGreaterThan(1000);
    const unclear = elements
      .map(({ deprecationReason }) => deprecationReason)
      .filter((reason) => reason != null && !/^(Use `\w+|For the REST paths of )/.test(reason));
    expect(unclear).toEqual([]);
  });
});

describe('error codes', () => {
  it('are listed for every request that is rejected before execution', async () => {
    const codes: [string, Promise<Answer>][] = [
      ['GRAPHQL_PARSE_FAILED', post({ query: '{' })],
      ['GRAPHQL_VALIDATION_FAILED', post({ query: '{ nonsense }' })],
      ['OPERATION_RESOLUTION_FAILURE', post({ query: 'query A { __typename } query B { __typename }' })],
      ['OPERATION_RESOLUTION_FAILURE', post({ query, operationName: 'Other' })],
      ['BAD_USER_INPUT', post({ query: 1 })],
      ['BAD_USER_INPUT', post({ query, other: 1 })],
      ['BAD_USER_INPUT', post({ query, variables: [] })],
      ['BAD_USER_INPUT', post([{ query }])],
      ['BAD_USER_INPUT', post('{')],
      ['BAD_USER_INPUT', get({ query, variables: '{' })],
      ['METHOD_NOT_ALLOWED', get({ query: 'mutation { deleteAllChatSessions { deletedCount } }' })],
      ['METHOD_NOT_ALLOWED', kit.rest('PUT', '/graphql', { body: { query } })],
      ['UNSUPPORTED_MEDIA_TYPE', post('query', { 'content-type': 'application/graphql' })],
      ['NOT_ACCEPTABLE', post({ query }, { accept: 'image/png' })],
      ['BAD_USER_INPUT', post({ query, variables: { text: 'x'.repeat(2 ** 21 + 1) } })],
      ['UNAUTHENTICATED', kit.rest('POST', '/graphql', { body: { query }, key: 'on_nonsense' })],
    ];
    for (const [code, answer] of codes) {
      const { body, status } = await answer;
      expect([body?.errors?.[0]?.extensions?.code, status < 500], JSON.stringify(body)).toEqual([code, true]);
      expectListedCodes(body);
    }
  });

  it('are listed wherever the source in src/graphql names one', () => {
    const folder = join(projectRoot, 'src', 'graphql');
    const named = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .flatMap((name) => [
        ...readFileSync(join(folder, name), 'utf8').matchAll(/\bcode\w*(?:: \w+)? ?[:=] '([A-Z_]+)'/g),
      ])
      .map(([, code]) => code);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((code) => !(errorCodes as readonly unknown[]).includes(code))).toEqual([]);
  });

  it('are all explained in docs/errors.md', () => {
    const text = readFileSync(join(projectRoot, 'docs', 'errors.md'), 'utf8');
    const section = text.split(/^## /m).find((each) => each.startsWith('GraphQL error codes')) ?? '';
    const explained = [...section.matchAll(/^\| `([A-Z_]+)` *\| *\S/gm)].map(([, code]) => code);
    expect(explained.toSorted()).toEqual([...errorCodes].toSorted());
  });
});
