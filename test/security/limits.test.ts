import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { queryLimits } from '../../src/graphql/plugins/limits.ts';
import { type Kit, startKit } from '../kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterEach(() => void vi.restoreAllMocks());
afterAll(() => kit?.close());

async function post(body: object, { key = kit.keys.BASIC, accept = 'application/json' } = {}) {
  const response = await fetch(`${kit.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : null };
}

async function counter(name: string, limit: string): Promise<number> {
  const { text } = await kit.rest('GET', '/metrics');
  return Number(new RegExp(`^${name}\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

const tooMuch = '{ agents(first: 100) { nodes { documents(first: 100) { nodes { id } } } } }';
const tooMuchCost = { requested: 1 + 100 * (1 + 1 + 100), limit: queryLimits.cost };

describe('the cost of an operation', () => {
  it('is included in the response to a query, a mutation and a request that fails during execution', async () => {
    const { body } = await post({
      query: 'query ($n: Int) { agents(first: $n) { nodes { id } } }',
      variables: { n: 3 },
    });
    expect(body).toMatchObject({ data: {}, extensions: { cost: { requested: 4, limit: queryLimits.cost } } });
    const label = 'mutation { createLabel(input: { name: "costs" }) { label { name } } }';
    expect((await post({ query: label })).body.extensions).toEqual({ cost: { requested: 2, limit: queryLimits.cost } });
    const denied = await post({ query: '{ apiKeys { nodes { id } } }' });
    expect(denied.body.errors[0].extensions.code).toBe('FORBIDDEN');
    expect(denied.body.extensions.cost.requested).toBe(21);
  });

  it('is included in a query result and in the first event of a stream over server-sent events', async () => {
    const { text } = await post({ query: '{ agents { nodes { id } } }' }, { accept: 'text/event-stream' });
    expect(text).toContain('"extensions":{"cost":{"requested":21,"limit":5000}}');
    const events: { extensions?: object }[] = [];
    const turn = `subscription { chatTurn(input: { message: "What is Latchkey?" }) { __typename } }`;
    for await (const event of kit.subscribe(turn)) events.push(event);
    expect(events.length).toBeGreaterThan(2);
    const [first, ...rest] = events.map(({ extensions }) => extensions);
    expect(first).toEqual({ cost: { requested: 1, limit: queryLimits.cost } });
    expect(rest.filter(Boolean)).toEqual([]);
  });

  it('is included in results and rejections over a WebSocket', async () => {
    const client = createClient({
      url: `${kit.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${kit.keys.BASIC}` },
      retryAttempts: 0,
    });
    const run = async (query: string) => {
      for await (const result of client.iterate({ query })) return result;
      return null;
    };
    expect(await run('{ agents { nodes { id } } }')).toMatchObject({
      extensions: { cost: { requested: 21, limit: queryLimits.cost } },
    });
    await expect(run(tooMuch)).rejects.toMatchObject([{ extensions: { limit: 'cost', cost: tooMuchCost } }]);
    await client.dispose();
  });

  it('is included in the message and the response of a rejection, which contains no data', async () => {
    const rejected = await post({ query: tooMuch });
    expect(rejected.status).toBe(400);
    expect(rejected.body).toEqual({
      errors: [
        {
          message:
            'The operation costs 10201; the limit is 5000. Request smaller pages with `first`, or fewer lists within lists.',
          extensions: { code: 'BAD_USER_INPUT', reason: 'OPERATION_LIMIT', limit: 'cost', cost: tooMuchCost },
        },
      ],
      extensions: { cost: tooMuchCost },
    });
  });

  it.each<[string, string, object?]>([
    [
      'variables',
      'query ($n: Int) { agents(first: $n) { nodes { documents(first: $n) { nodes { id } } } } }',
      { n: 100 },
    ],
    ['defaults', 'query ($n: Int = 100) { agents(first: $n) { nodes { documents(first: $n) { nodes { id } } } } }'],
    ['missing page sizes', '{ agents { nodes { documents { nodes { agents { nodes { id } } } } } } }'],
    [
      'lists without pages',
      `{ agents(first: 100) { nodes { ${['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].map((name) => `${name}: labels { name }`)} } } }`,
    ],
    [
      'subscriptions',
      'subscription { chatTurn(input: { message: "x" }) { ... on ChatTurnCompleted { __typename } } a: chatTurn(input: { message: "x" }) { __typename } }',
    ],
  ])('leads to a rejection that changes no data when %s make it too high', async (_name, query, variables) => {
    const before = await kit.fingerprint();
    const { status, body } = await post({ query, variables });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(await kit.fingerprint()).toBe(before);
  });

  it('counts a selection once when several fragments repeat it', async () => {
    const nodes = '{ agents(first: 100) { nodes { documents(first: 20) { nodes { id } } } } }';
    const fragments = ['A', 'B', 'C'].map((name) => `fragment ${name} on Query ${nodes}`).join(' ');
    const { status, body } = await post({ query: `{ ...A ...B ...C } ${fragments}` });
    expect(status).toBe(200);
    expect(body.extensions.cost.requested).toBe(1 + 100 * 22);
  });
});

describe('limits of a document with several operations', () => {
  const heavy: Record<string, string> = {
    depth: `query Heavy { __type(name: "Query") { ${'ofType { '.repeat(20)}name${' }'.repeat(20)} } }`,
    aliases: `query Heavy { ${Array.from({ length: 16 }, (_, i) => `a${i}: __typename`).join(' ')} }`,
    directives: `query Heavy { ${'__typename @include(if: true) '.repeat(6)} }`,
    repeats: `query Heavy { ${'__typename '.repeat(21)} }`,
    cost: `query Heavy ${tooMuch}`,
    'the copies of the schema': 'query Heavy { a: __schema { queryType { name } } b: __schema { queryType { name } } }',
    'attempts to guess a password':
      'mutation Heavy { a: login(input: { login: "x", password: "y" }) { token } b: login(input: { login: "x", password: "z" }) { token } }',
  };

  it.each(Object.entries(heavy))('count %s of the selected operation only', async (name, query) => {
    const document = `query Light { viewer { role } } ${query}`;
    const light = await post({ query: document, operationName: 'Light' });
    expect(light).toMatchObject({ status: 200, body: { data: { viewer: {} } } });
    const rejected = await post({ query: document, operationName: 'Heavy' });
    expect(rejected.status).toBe(400);
    expect(rejected.body.errors).toHaveLength(1);
    const [{ message, extensions }] = rejected.body.errors;
    expect(message).not.toMatch(/^Syntax Error/);
    expect(extensions.limit).toBe(name in queryLimits ? name : 'repeats');
    // The cached document still distinguishes its operations.
    expect((await post({ query: document, operationName: 'Light' })).status).toBe(200);
    expect((await post({ query: document, operationName: 'Heavy' })).status).toBe(400);
  });

  it('count the tokens and the characters of all operations', async () => {
    for (const [limit, query] of [
      ['tokens', `query Light { viewer { role } } query Heavy { ${'__typename '.repeat(1000)} }`],
      ['characters', `query Light { viewer { role } } ${' '.repeat(queryLimits.characters)}`],
    ] as const) {
      const { status, body } = await post({ query, operationName: 'Light' });
      expect(status).toBe(400);
      expect(body.errors).toHaveLength(1);
      expect(body.errors[0].message).not.toMatch(/^Syntax Error/);
      expect(body.errors[0].extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_LIMIT', limit });
    }
  });

  it('reject exponential and circular fragments without expanding them', async () => {
    const chain = Array.from({ length: 80 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(
      ' ',
    );
    const unfolded = await post({ query: `{ ...F0 } ${chain} fragment F80 on Query { a: viewer { role } }` });
    expect(unfolded.body.errors[0].extensions.limit).toBe('aliases');
    const circular = await post({ query: '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }' });
    expect(circular.body.errors[0].message).toContain('Cannot spread fragment');
  });
});

describe('a running operation', () => {
  /** Advances the clock by one hour when a statement that contains this text is sent. */
  function delayAt(text: string): void {
    const { now } = performance;
    const push = kit.statements.push.bind(kit.statements);
    let skew = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + skew);
    vi.spyOn(kit.statements, 'push').mockImplementation((...texts) => {
      if (texts.some((statement) => statement.includes(text))) skew += 3_600_000;
      return push(...texts);
    });
  }

  it('is stopped at its deadline, between two steps, with a typed error that is counted', async () => {
    await kit.ingest('deadline', 'The heliotrope blooms in June.');
    const query = '{ search(query: "heliotrope", first: 1) { title document { title createdAt } } }';
    expect((await post({ query })).body.data.search[0].document).toMatchObject({ title: 'deadline' });
    const counted = await counter('graphql_stopped_total', 'deadline');
    delayAt('ts_rank');
    kit.statements.length = 0;
    const { status, body } = await post({ query });
    expect(kit.statements.some((statement) => statement.includes('ts_rank'))).toBe(true);
    expect(kit.statements.filter((statement) => statement.includes('"public"."Document"'))).toEqual([]);
    expect(status).toBe(503);
    expect(body.data).toBeUndefined();
    expect(body.errors).toEqual([
      {
        message:
          'The operation exceeded the time limit of 30 seconds and was stopped. Changes made before that remain.',
        extensions: { code: 'TIMEOUT', reason: 'OPERATION_TIMEOUT', limit: 'deadline' },
      },
    ]);
    vi.restoreAllMocks();
    expect(await counter('graphql_stopped_total', 'deadline')).toBe(counted + 1);
    expect((await post({ query })).status).toBe(200);
  });

  it('is stopped at its deadline over REST, with an error in the format of the dialect', async () => {
    delayAt('"public"."Agent"');
    for (const [path, body] of [
      ['/api/persona', { error_code: 'TIMEOUT', detail: expect.stringContaining('the time limit of 30 seconds') }],
      ['/api/v1/workspaces', { error: expect.stringContaining('the time limit of 30 seconds') }],
    ] as const)
      expect(await kit.rest('GET', path)).toMatchObject({ status: 503, body });
  });

  it('makes no further changes after its deadline when it is a mutation', async () => {
    delayAt('INSERT INTO "public"."Label"');
    const { status, body } = await post({
      query: `mutation {
        a: createLabel(input: { name: "before the deadline" }) { label { name } }
        b: createLabel(input: { name: "after the deadline" }) { label { name } }
      }`,
    });
    expect(status).toBe(503);
    expect(body.errors).toHaveLength(1);
    vi.restoreAllMocks();
    const labels = await kit.prisma.label.findMany({ where: { name: { contains: 'the deadline' } } });
    expect(labels.map(({ name }) => name)).toEqual(['before the deadline']);
  });

  it('is not stopped at the regular deadline when it waits for a model', async () => {
    delayAt('INSERT INTO "public"."ChatMessage"');
    const send = 'mutation { sendChatMessage(input: { message: "What is Latchkey?" }) { answer failure { code } } }';
    const { status, body } = await post({ query: send });
    expect(status).toBe(200);
    expect(body.errors).toBeUndefined();
    expect(body.data.sendChatMessage).not.toBeNull();
  });

  it('is stopped when it resolves more objects than its estimate allowed', async () => {
    await kit.prisma.agent.deleteMany({ where: { id: { not: 0 } } });
    for (let i = 0; i < 100; i++)
      await kit.prisma.agent.create({
        data: {
          name: `many ${i}`,
          isPublic: true,
          systemPrompt: 'x'.repeat(90_000),
          starterMessages: {
            createMany: { data: Array.from({ length: 50 }, (_, position) => ({ position, name: 'a', message: 'b' })) },
          },
        },
      });
    const query = (aliases: string[]) =>
      `{ agents(first: 100) { nodes { ${aliases.map((alias) => `${alias}: starterMessages { name }`)} } } }`;
    const passes = await post({ query: query(['a']) });
    expect(passes.body.data.agents.nodes[50].a).toHaveLength(50);
    const counted = await counter('graphql_stopped_total', 'nodes');
    const { status, body } = await post({ query: query(['a', 'b', 'c']) });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors).toEqual([
      {
        message: 'The response contains more than 10000 objects. Request smaller pages with `first`.',
        extensions: { code: 'BAD_USER_INPUT', reason: 'RESPONSE_TOO_LARGE', limit: 'nodes' },
      },
    ]);
    expect(await counter('graphql_stopped_total', 'nodes')).toBe(counted + 1);
  });

  it('is stopped when the texts of its response are too long in total', async () => {
    const query = (count: number) =>
      `{ agents(first: 100) { nodes { ${Array.from({ length: count }, (_, i) => `a${i}: systemPrompt`)} } } }`;
    expect((await post({ query: query(2) })).status).toBe(200);
    const { status, body } = await post({ query: query(6) });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors[0].extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'RESPONSE_TOO_LARGE', limit: 'text' });
  });
});
