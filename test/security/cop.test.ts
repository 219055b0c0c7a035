import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../../src/authz/secret.ts';
import { queryLimits } from '../../src/graphql/plugins/limits.ts';
import { type Answer, type Kit, startKit } from '../kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ environment: { GRAPHIQL: 'false' } });
});
afterAll(() => kit?.close());

async function send(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${kit.url}${path}`, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : null,
  };
}

const post = (body: unknown, headers: Record<string, string> = {}) =>
  send('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

const times = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

describe('graphql-cop checks of an anonymous client', () => {
  it('1: rejects 101 aliases', async () => {
    const { status, body } = await post({ query: `query cop { ${times(101, (i) => `alias${i}:__typename`)} }` });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors[0].extensions.limit).toBe('aliases');
  });

  it('2: rejects a batch', async () => {
    const { status, body } = await post(Array.from({ length: 10 }, () => ({ query: 'query cop { __typename }' })));
    expect(status).toBe(400);
    expect(body).toEqual({ errors: [expect.objectContaining({ message: 'Batching is not supported.' })] });
  });

  it('3: returns a single error for ten unknown directives', async () => {
    const { status, body } = await post({ query: `query cop { __typename ${'@aa'.repeat(10)} }` });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors).toHaveLength(1);
  });

  it('4 and 5: rejects introspection, circular or not', async () => {
    const circular = `${'fields { type { '.repeat(5)}name${' } }'.repeat(5)}`;
    expect(await post({ query: '{ __schema { types { name } } }' })).toMatchObject({ status: 400 });
    for (const query of [
      `query cop { __schema { types { ${circular} } } }`,
      'query cop { __schema { types { name fields { name } } } }',
      '{ __type(name: "Query") { name } }',
      'query cop { ...F } fragment F on Query { s: __schema { queryType { name } } }',
    ]) {
      const { body } = await post({ query });
      expect(body.data ?? null, query).toBeNull();
      expect(body.errors, query).toHaveLength(1);
    }
  });

  it('6: rejects a mutation over GET', async () => {
    const before = await kit.fingerprint();
    for (const query of ['mutation cop { __typename }', 'mutation { deleteAllChatSessions { deletedCount } }'])
      for (const headers of [undefined, { 'x-graphql-yoga-csrf': '1' }]) {
        const { status, body } = await send(`/graphql?query=${encodeURIComponent(query)}`, headers && { headers });
        expect([400, 405]).toContain(status);
        expect(body.data).toBeUndefined();
      }
    expect(await kit.fingerprint()).toBe(before);
  });

  it('7: rejects a field that is repeated 500 times', async () => {
    const { status, body } = await post({ query: `query cop { ${'__typename \n'.repeat(500)} }` });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors[0].extensions.limit).toBe('repeats');
  });

  it('8: rejects a query over GET without the CSRF header', async () => {
    const path = `/graphql?query=${encodeURIComponent('query cop { __typename }')}`;
    const { status, body } = await send(path);
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(await send(path, { headers: { 'x-graphql-yoga-csrf': '1' } })).toMatchObject({ status: 200 });
  });

  it('9: rejects a POST with a media type that HTML forms can send, with and without a credential', async () => {
    const query = 'query cop { __typename }';
    const form = new FormData();
    form.set('operations', JSON.stringify({ query }));
    const forms: [string | null, BodyInit][] = [
      ['application/x-www-form-urlencoded', new URLSearchParams({ query })],
      ['text/plain', JSON.stringify({ query })],
      ['text/plain; a=application/json', JSON.stringify({ query })],
      [null, form],
    ];
    for (const [type, body] of forms)
      for (const key of [null, kit.keys.ADMIN]) {
        const headers = { ...(type && { 'content-type': type }), ...(key && { authorization: `Bearer ${key}` }) };
        const reply = await send('/graphql', { method: 'POST', headers, body });
        // Multipart requests require a credential that can upload; this one contains no files.
        const [withKey, without] = type === null ? [400, 401] : [415, 400];
        expect(reply.status).toBe(key ? withKey : without);
        expect(reply.body.data).toBeUndefined();
      }
  });

  it('10: suggests no fields, arguments, types, enum values or input fields', async () => {
    const requests = [
      { query: 'query cop { __schema { directive } }' },
      { query: '{ viewr { id } }' },
      { query: '{ agents(frst: 1) { totalCount } }' },
      { query: '{ node(id: "x") { ... on Agnt { id } } }' },
      { query: '{ node(id: "x") { name } }' },
      { query: 'query ($input: CreateAgentInpt) { __typename }' },
      { query: 'mutation { createApiKey(input: { role: ADMN }) { secret } }' },
      { query: 'mutation { createApiKey(input: { nam: "x" }) { secret } }' },
      ...[{ role: 'ADMN' }, { nam: 'x' }].map((input) => ({
        query: 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
        variables: { input },
      })),
    ];
    // An invalid enum value in a variable is answered with the list of values.
    const suggestion = /did you mean|must be one of/i;
    let shown = 0;
    for (const request of requests) {
      const refused = await post(request);
      expect(refused.body.errors.length).toBeGreaterThan(0);
      expect(refused.text).not.toMatch(suggestion);
      // Sent with a key that can read the schema, to show that the hidden parts exist.
      const { text } = await post(request, { authorization: `Bearer ${kit.keys.ADMIN}` });
      if (suggestion.test(text)) shown++;
    }
    expect(shown).toBe(requests.length);
  });

  it('11: serves no GraphQL explorer', async () => {
    for (const path of ['/graphql', '/graphql?query={__typename}', '/graphiql', '/playground', '/console', '/altair']) {
      const { status, text } = await send(path, { headers: { accept: 'text/html' } });
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect(text, path).not.toMatch(/<html|graphiql|playground/i);
    }
    const signedIn = { accept: 'text/html', authorization: `Bearer ${kit.keys.LIMITED}` };
    expect((await send('/graphql', { headers: signedIn })).text).toMatch(/GraphiQL/);
  });

  it('12 and 13: returns no traces or exceptions in extensions', async () => {
    for (const query of [
      'query cop { __typename }',
      'qwerty cop { abc }',
      'query cop { abc }',
      '{ viewer { role } }',
    ]) {
      const { body, text } = await post({ query }, { 'x-apollo-tracing': '1' });
      for (const name of Object.keys(body.extensions ?? {})) expect(name).toBe('cost');
      for (const error of body.errors ?? [])
        expect(['code', 'reason']).toEqual(expect.arrayContaining(Object.keys(error.extensions)));
      expect(text).not.toMatch(/stack|node_modules|\.ts:/i);
    }
  });
});

type Limit = keyof typeof queryLimits;

/** Returns a query that measures exactly this value and is within all other limits. */
const measured: Record<Limit, (measure: number) => string> = {
  characters: (n) => `{ __typename }${' '.repeat(n - 14)}`,
  // Sixteen tokens surround the numbers.
  tokens: (n) => `{ agents(filter: { ids: [${times(n - 16, String)}] }) { totalCount } }`,
  depth: (n) => `{ __type(name: "Query") { ${'ofType { '.repeat(n - 2)}name${' }'.repeat(n - 2)} } }`,
  aliases: (n) => `{ ${times(n, (i) => `a${i}: __typename`)} }`,
  directives: (n) => `{ ${'__typename @include(if: true) '.repeat(n)} }`,
  // 49 agents with 100 documents each: 1 + 49 × (1 + 1 + 100) = 4,999, plus 1 for the list of labels itself.
  cost: (n) => `{ agents(first: 49) { nodes { documents(first: 100) { nodes { id } } } }
    labels(first: ${n - 5000}) { nodes { name } } }`,
  repeats: (n) => `{ ${'__typename '.repeat(n)} }`,
};

/** Returns a query with the same measure that no single selection set shows. */
const hidden: Partial<Record<Limit, (measure: number) => string>> = {
  depth: (n) => {
    const half = Math.floor((n - 2) / 2);
    return `{ __type(name: "Query") { ${'ofType { '.repeat(half)}...Rest${' }'.repeat(half)} } }
      fragment Rest on __Type { ... on __Type { ${'ofType { '.repeat(n - 2 - half)}name${' }'.repeat(n - 2 - half)} } }`;
  },
  aliases: (n) =>
    `{ ...A ... on Query { ${times(n - 8, (i) => `b${i}: __typename`)} } } fragment A on Query { ${times(8, (i) => `a${i}: __typename`)} }`,
  directives: (n) =>
    `{ ...A ... on Query @include(if: true) { __typename } } fragment A on Query { ${'__typename @skip(if: false) '.repeat(n - 1)} }`,
};

async function refusals(): Promise<Record<string, number>> {
  const { text } = await send('/metrics', { headers: { authorization: `Bearer ${kit.keys.ADMIN}` } });
  return Object.fromEntries(
    [...text.matchAll(/^graphql_refused_total\{limit="(\w+)"\} (\d+)$/gm)].map(([, limit, count]) => [
      limit,
      Number(count),
    ]),
  );
}

/** Returns the statements without the credential lookup. */
const work = () => kit.statements.filter((text) => !text.includes('FROM "Token" t JOIN "User" u'));

describe('limits for signed-in callers', () => {
  const signedIn = (query: string, accept: string) =>
    post({ query }, { accept, authorization: `Bearer ${kit.keys.BASIC}` });
  const types = ['application/json', 'application/graphql-response+json'];
  const cases = (Object.keys(queryLimits) as Limit[]).flatMap((limit) => [
    { limit, where: 'in sight', make: measured[limit] },
    ...(hidden[limit] ? [{ limit, where: 'within fragments', make: hidden[limit] }] : []),
  ]);

  it.each(cases)(
    '$limit, $where: accepts the limit, rejects one more with 400 before any database query, and counts it',
    async ({ limit, make }) => {
      const most = queryLimits[limit];
      const passes = await signedIn(make(most), types[0] as string);
      expect(passes.body.errors).toBeUndefined();
      expect(passes.status).toBe(200);

      // Waits until the use of the key is recorded, which is not work of the rejected request.
      await kit.booted.background.settled();
      const counted = (await refusals())[limit] ?? 0;
      for (const [index, type] of types.entries()) {
        kit.statements.length = 0;
        const { status, body } = await signedIn(make(most + 1), type);
        expect(work()).toEqual([]);
        expect(status).toBe(400);
        expect(body.data).toBeUndefined();
        expect(body.errors).toHaveLength(1);
        expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', limit });
        expect((await refusals())[limit]).toBe(counted + index + 1);
      }
    },
  );

  it('counts only requests that exceed a limit', async () => {
    const before = await refusals();
    await signedIn('{ viewer { role } }', types[0] as string);
    await signedIn('{ nothing }', types[0] as string);
    expect(await refusals()).toEqual(before);
  });
});

describe('denied fields', () => {
  it('are recorded once per field in the audit trail, for any number of aliases and list items', async () => {
    const key = await kit.createKey('LIMITED', { name: 'aliases' });
    await kit.prisma.agent.createMany({
      data: times(10, (i) => `public${i}`)
        .split(' ')
        .map((name) => ({ name, isPublic: true })),
    });
    for (const prefix of ['a', 'b'])
      await post(
        {
          query: `{ ${times(12, (i) => `${prefix}${i}: apiKeys { totalCount }`)} agents { nodes { ${prefix}: actions { name } owner { name } } } }`,
        },
        { authorization: `Bearer ${key.secret}` },
      );
    await post(
      { query: '{ agents { nodes { actions { name } owner { name } } } }' },
      { authorization: `Bearer ${key.secret}` },
    );
    await kit.booted.background.settled();
    const rows = await kit.prisma.auditEvent.findMany({ where: { tokenId: key.id, action: 'permission.refused' } });
    expect(rows.map(({ detail }) => (detail as { operation: string }).operation).sort()).toEqual([
      'actions',
      'apiKeys',
      'owner',
    ]);
  });
});

describe('the metrics', () => {
  const metrics = (key: string | null) => kit.rest('GET', '/metrics', { key });

  it('require read:analytics', async () => {
    const [held, other] = await Promise.all(
      [['read:analytics'], ['read:audit']].map((scopes) => kit.createKey('ADMIN', { name: 'metrics', scopes })),
    );
    for (const key of [kit.keys.ADMIN, held?.secret as string]) {
      const { status, headers, text } = await metrics(key);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
      expect(text).toMatch(/^process_cpu_seconds_total /m);
    }
    for (const key of [null, 'nonsense', newSecret('API_KEY')]) {
      const { status, headers, text } = await metrics(key);
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer');
      expect(text).not.toContain('_total');
    }
    for (const key of [kit.keys.LIMITED, kit.keys.BASIC, other?.secret as string]) {
      const { status, text } = await metrics(key);
      expect(status).toBe(403);
      expect(text).not.toContain('_total');
    }
  });

  it('report the last run of each job', async () => {
    await kit.booted.background.settled();
    const { text } = await metrics(kit.keys.ADMIN);
    for (const job of ['blob-sweep', 'idempotency-retention']) {
      expect(text).toMatch(new RegExp(`^job_last_success_timestamp_seconds\\{job="${job}"\\} 1\\d{9}`, 'm'));
      expect(text).toMatch(new RegExp(`^job_failures_total\\{job="${job}"\\} 0$`, 'm'));
    }
  });

  it('count requests by route pattern and contain no values that callers sent', async () => {
    const id = '11111111-2222-4333-8444-555555555555';
    await kit.rest('GET', `/api/chat/get-chat-session/${id}`);
    await kit.rest('GET', `/api/chat/get-chat-session/${id}/`);
    await kit.rest('GET', `/chat/get-chat-session/${id}`, { key: null });
    await kit.rest('PUT', '/api/me');
    await kit.rest('GET', `/nowhere/${id}`);
    await kit.rest('PROPFIND', `/elsewhere/${id}`);
    const { text } = await metrics(kit.keys.ADMIN);
    const count = (method: string, route: string, status: number) => requests(text, method, route, status);
    expect(count('GET', '/api/chat/get-chat-session/:session_id', 404)).toBe(2);
    expect(count('GET', '/chat/get-chat-session/:session_id', 403)).toBe(1);
    expect(count('PUT', '/api/me', 405)).toBe(1);
    expect(count('GET', 'unmatched', 404)).toBeGreaterThanOrEqual(1);
    expect(count('other', 'unmatched', 404)).toBe(1);
    expect(text).not.toContain(id);
    expect(text).not.toContain('nowhere');
  });

  /** Returns the value of a request counter, or 0 when it does not exist. */
  function requests(text: string, method: string, route: string, status: number): number {
    const line = `http_requests_total{method="${method}",route="${route}",status="${status}"} `;
    const found = text.split('\n').find((candidate) => candidate.startsWith(line));
    return found ? Number(found.slice(line.length)) : 0;
  }
});
