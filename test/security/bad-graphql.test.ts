import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytes,
  changesNothing,
  clean,
  graph,
  json,
  kit,
  megabyte,
  nested,
  nothingChanges,
  send,
  startServers,
} from './bad-requests.ts';

startServers();

describe('GraphQL requests', () => {
  const list =
    'query ($first: Int, $after: String, $offset: Int) { agents(first: $first, after: $after, offset: $offset) { totalCount nodes { databaseId } } }';

  it('rejects a body that is not a GraphQL request', async () => {
    const bodies: [string, BodyInit, RegExp][] = [
      ['malformed', '{"query": ', /body: is not valid JSON/],
      ['empty', '', /body: is required/],
      ['a number', '1', /must be a JSON object/],
      ['a text', '"{ viewer { role } }"', /must be a JSON object/],
      ['null', 'null', /must be a JSON object/],
      ['an empty array', '[]', /Batching/],
      ['a batch', '[{"query": "{ __typename }"}]', /Batching/],
      ['no query', '{}', /query/],
      ['a query of another type', '{"query": {"a": 1}}', /query/],
      ['an unknown parameter', '{"query": "{ __typename }", "quer": 1}', /quer/],
      ['variables that are a list', '{"query": "{ __typename }", "variables": []}', /variables/],
      ['variables that are a text', '{"query": "{ __typename }", "variables": "{}"}', /variables/],
      ['extensions that are a number', '{"query": "{ __typename }", "extensions": 1}', /extensions/],
      ['an operation that does not exist', '{"query": "query A { __typename }", "operationName": "B"}', /operation/],
      ['no operation at all', '{"query": "fragment F on Query { __typename }"}', /operation|never used/],
      ['two without a choice', '{"query": "query A { __typename } query B { __typename }"}', /operation/],
      [
        '100,000 brackets',
        `{"query": "{ __typename }", "variables": {"a": ${nested(100_000)}}}`,
        /nested more than 200 levels/,
      ],
      ['1000 braces in a query', JSON.stringify({ query: '{a'.repeat(1000) }), /more than 1000 tokens/],
      ['100,000 braces in a query', JSON.stringify({ query: '{a'.repeat(100_000) }), /longer than 20000 characters/],
      [
        'a million lines in a query',
        JSON.stringify({ query: `${'\n'.repeat(1_000_000)}{ ${'x '.repeat(20)} }` }),
        /longer than 20000 characters/,
      ],
      [
        '20,001 values',
        JSON.stringify({ query: '{ __typename }', variables: { a: Array(20_001).fill(0) } }),
        /more than 20000 values/,
      ],
      ['not UTF-8', bytes('{"query": "{ __typename } #', [0xff], '"}'), /not valid UTF-8/],
      ['a NUL in a query', '{"query": "{ \\u0000 }"}', /Syntax Error/],
      ['a lone surrogate in a query', '{"query": "{ \\ud800 }"}', /Syntax Error/],
      ['nothing but space', `{"query": "${' '.repeat(1000)}"}`, /Syntax Error/],
    ];
    await changesNothing(async () => {
      for (const [what, body, message] of bodies) {
        const reply = await send('POST', '/graphql', {
          body,
          headers: { ...json, accept: 'application/graphql-response+json' },
        });
        clean(reply, what);
        expect(reply.status, `${what}: ${reply.text}`).toBe(400);
        expect(reply.body.data, what).toBeUndefined();
        expect(reply.body.errors[0].message, what).toMatch(message);
        expect(reply.body.errors[0].extensions.code, what).toMatch(/^[A-Z_]+$/);
      }
    });
  });

  it('caches no long document and at most 256 documents', async () => {
    const { recentDocuments } = await import('../../src/graphql/document-cache.ts');
    const documents = recentDocuments<object>();
    documents.set(`{ viewer { role } } #${'x'.repeat(10_000)}`, {});
    expect(documents.get(`{ viewer { role } } #${'x'.repeat(10_000)}`)).toBeUndefined();
    for (let i = 0; i < 1000; i++) documents.set(`{ a${i} }`, { i });
    const kept = Array.from({ length: 1000 }, (_, i) => documents.get(`{ a${i} }`)).filter(Boolean);
    expect(kept).toHaveLength(256);
    expect(documents.get('{ a999 }')).toEqual({ i: 999 });
  });

  /** An object that can be converted to neither text nor number. */
  const untellable = { toString: 0, valueOf: 0 };
  const variables: [string, string, object, string][] = [
    ['a text for a number', list, { first: 'ten' }, 'first'],
    ['a fraction', list, { first: 1.5 }, 'first'],
    ['2^31', list, { first: 2 ** 31 }, 'first'],
    ['2^53', list, { first: 2 ** 53 }, 'first'],
    ['a list for a number', list, { first: [1, 2] }, 'first'],
    ['an object for a text', list, { after: {} }, 'after'],
    ['no value where one is needed', 'query ($id: ID!) { chatSession(id: $id) { id } }', {}, 'id'],
    ['null where a value is needed', 'query ($id: ID!) { chatSession(id: $id) { id } }', { id: null }, 'id'],
    ['an object that is no text', 'query ($id: ID!) { chatSession(id: $id) { id } }', { id: untellable }, 'id'],
    [
      'an object that is no date',
      'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
      { d: untellable },
      'd',
    ],
    [
      'an object that is no number',
      'mutation ($i: CreateRateLimitInput!) { createRateLimit(input: $i) { rateLimit { databaseId } } }',
      { i: { subject: { scope: 'GLOBAL' }, tokenBudget: untellable, periodHours: 1 } },
      'i.tokenBudget',
    ],
    [
      'no date',
      'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
      { d: 'yesterday' },
      'd',
    ],
    [
      'a year that the database has not',
      'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
      { d: '0000-01-01T00:00:00Z' },
      'd',
    ],
    [
      'a day that does not exist',
      'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
      { d: '2024-02-30T00:00:00Z' },
      'd',
    ],
    [
      'a number for a date',
      'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
      { d: 8.64e15 },
      'd',
    ],
    [
      'an enum value that does not exist',
      'mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { secret } }',
      { i: { role: 'OWNER' } },
      'i.role',
    ],
    [
      'a field that does not exist',
      'mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { secret } }',
      { i: { nonsense: 1 } },
      'i.nonsense',
    ],
    ['a list for an input', 'mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { secret } }', { i: [] }, 'i'],
    [
      'a wrong value deep inside',
      'mutation ($i: ShareAgentInput!) { shareAgent(input: $i) { agent { id } } }',
      { i: { agent: { id: 1 }, shares: [{ userId: 'x', permission: 'NONE' }] } },
      'i.shares.0.permission',
    ],
    [
      'a list for a JSON object',
      'mutation ($i: IngestDocumentInput!) { ingestDocument(input: $i) { alreadyExisted } }',
      { i: { title: 'x', sections: [], metadata: [] } },
      'i.metadata',
    ],
  ];

  describe('variables', () => {
    nothingChanges();

    it.each([
      ['a text that is neither a UUID nor a global ID', "1' OR '1'='1"],
      ['a number', 7],
      ['the global ID of another type', Buffer.from('Agent:1').toString('base64')],
    ])('rejects an ID that is invalid for its field, and names the argument: %s', async (_what, id) => {
      const reply = await graph({ query: 'query ($id: ID!) { chatSession(id: $id) { id } }', variables: { id } });
      clean(reply, 'id');
      expect(reply.body.data).toEqual({ chatSession: null });
      expect(reply.body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['id'] }] });
    });

    it.each(variables)('rejects a variable: %s', async (_what, query, values, field) => {
      const reply = await graph({ query, variables: values });
      clean(reply, field);
      expect(reply.status, reply.text).toBe(400);
      expect(reply.body.data).toBeUndefined();
      const [{ extensions }] = reply.body.errors;
      expect(extensions.code).toBe('BAD_USER_INPUT');
      expect(extensions.fields[0].path.join('.')).toBe(field);
      // For `Accept: application/json`, a well-formed request has status 200 with any errors.
      expect((await graph({ query, variables: values }, { headers: { accept: 'application/json' } })).status).toBe(200);
    });
  });

  const refused: [string, string, object, string][] = [
    [
      'a name of 10,000 characters',
      'mutation ($i: CreateAgentInput!) { createAgent(input: $i) { agent { id } } }',
      { i: { name: 'n'.repeat(10_000) } },
      'input.name',
    ],
    [
      'a NUL',
      'mutation ($i: CreateAgentInput!) { createAgent(input: $i) { agent { id } } }',
      { i: { name: 'a\0b' } },
      'input.name',
    ],
    [
      'a lone surrogate',
      'mutation ($i: CreateAgentInput!) { createAgent(input: $i) { agent { id } } }',
      { i: { name: 'a\ud800b' } },
      'input.name',
    ],
    [
      'a label of NULs',
      'mutation ($i: CreateLabelInput!) { createLabel(input: $i) { label { name } } }',
      { i: { name: '\0' } },
      'input.name',
    ],
    ['no id', 'mutation ($i: DeleteApiKeyInput!) { deleteApiKey(input: $i) { deletedApiKeyId } }', { i: {} }, 'i.id'],
    [
      'a text that is no id',
      'mutation ($i: DeleteApiKeyInput!) { deleteApiKey(input: $i) { deletedApiKeyId } }',
      { i: { id: 'ApiKey:1' } },
      'input.id',
    ],
    [
      'the id of another type',
      'mutation ($i: DeleteApiKeyInput!) { deleteApiKey(input: $i) { deletedApiKeyId } }',
      { i: { id: Buffer.from('Agent:1').toString('base64') } },
      'input.id',
    ],
    [
      'an id that is no number',
      'mutation ($i: DeleteApiKeyInput!) { deleteApiKey(input: $i) { deletedApiKeyId } }',
      { i: { id: Buffer.from('ApiKey:one').toString('base64') } },
      'input.id',
    ],
    ['first below 0', list, { first: -1 }, 'first'],
    ['offset below 0', list, { offset: -1 }, 'offset'],
    ['offset beside after', list, { offset: 1, after: 'x' }, 'offset'],
    [
      '101 ids',
      'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
      { ids: Array.from({ length: 101 }, (_, i) => Buffer.from(`Agent:${i}`).toString('base64')) },
      'ids',
    ],
  ];

  it.each(refused)('rejects an input: %s', async (_what, query, values, field) => {
    await changesNothing(async () => {
      // A lone surrogate cannot be encoded as UTF-8, but its JSON escape can be sent.
      const text = JSON.stringify({ query, variables: values });
      const reply = await graph(text);
      clean(reply, field);
      expect(reply.body.errors).toHaveLength(1);
      const [{ extensions }] = reply.body.errors;
      expect(extensions.code, reply.text).toBe('BAD_USER_INPUT');
      expect(extensions.fields[0].path.join('.')).toBe(field);
      expect(reply.text.length).toBeLessThan(2000);
    });
  });

  it('does not repeat long input values in errors', async () => {
    const long = 'x'.repeat(megabyte);
    for (const request of [
      { query: list, variables: { first: long } },
      { query: 'query ($id: ID!) { chatSession(id: $id) { id } }', variables: { id: long } },
      { query: 'query ($id: ID!) { node(id: $id) { id } }', variables: { id: long } },
      {
        query: 'query ($d: DateTime) { chatSessions(filter: { updatedBefore: $d }) { totalCount } }',
        variables: { d: long },
      },
      { query: list, variables: { after: long } },
      { query: `{ ${long} }` },
      { query: '{ __typename }', operationName: long },
    ]) {
      const reply = await graph(request);
      clean(reply, JSON.stringify(request).slice(0, 100));
      expect(reply.body.errors.length).toBeGreaterThan(0);
      expect(reply.text.length, reply.text.slice(0, 200)).toBeLessThan(5000);
    }
  });

  it('limits a page to 100 nodes and returns an empty page for 0', async () => {
    await kit.prisma.label.createMany({ data: Array.from({ length: 120 }, (_, i) => ({ name: `clamp ${i}` })) });
    const pages =
      'query ($first: Int) { labels(first: $first) { nodes { name } pageInfo { hasNextPage } totalCount } }';
    for (const [first, length] of [
      [0, 0],
      [1, 1],
      [100, 100],
      [101, 100],
      [2 ** 31 - 1, 100],
      [null, 20],
    ]) {
      const { body } = await graph({ query: pages, variables: { first } });
      expect(body.data.labels.nodes).toHaveLength(length as number);
      expect(body.data.labels.pageInfo.hasNextPage).toBe(true);
    }
    expect((await graph({ query: pages, variables: { first: 2 ** 31 } })).status).toBe(400);
    expect((await graph({ query: '{ labels(first: 2147483648) { totalCount } }' })).status).toBe(400);
  });

  it('rejects a cursor of another list and names `after`', async () => {
    await graph({ query: 'mutation { createChatSession(input: {}) { sessionId } }' });
    const lists = ['agents', 'apiKeys', 'chatSessions', 'documents', 'actions', 'labels', 'auditEvents'];
    const cursors = new Map<string, string>();
    for (const name of lists) {
      const { body } = await graph({ query: `{ ${name}(first: 1) { edges { cursor } } }` });
      expect(body.errors).toBeUndefined();
      cursors.set(name, body.data[name].edges[0].cursor);
    }
    for (const name of lists)
      for (const [from, after] of cursors) {
        const { body, text } = await graph({
          query: `query ($after: String) { ${name}(after: $after) { nodes { __typename } } }`,
          variables: { after },
        });
        if (from === name) expect(body.errors, text).toBeUndefined();
        else expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['after'] }] });
      }
  });

  it('rejects a malformed cursor and names `after`', async () => {
    const { body } = await graph({
      query: '{ chatSessions(first: 1) { edges { cursor } } agents(first: 1) { edges { cursor } } }',
    });
    const real: [string, string][] = ['chatSessions', 'agents'].map((name) => [name, body.data[name].edges[0].cursor]);
    const cursor = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url');
    const id = '11111111-2222-4333-8444-555555555555';
    const mangled: [string, string][] = [
      ...['', ' ', 'x', 'null', '[]', nested(1000), '\0', '\ud800', '🔑'].flatMap((text): [string, string][] => [
        ['agents', text],
        ['agents', Buffer.from(text).toString('base64url')],
      ]),
      ['agents', cursor('agents')],
      ['agents', cursor('agents', 1)],
      ['agents', cursor('agents', 1, 2, 3)],
      ['agents', cursor('agents', 1, null)],
      ['agents', cursor('agents', '1', 2)],
      ['agents', cursor('agents', 1, 2 ** 31)],
      ['agents', cursor('agents', 0.5, 2)],
      ['agents', cursor('agents', { gt: 0 }, 2)],
      ['agents', cursor('agents', [1], 2)],
      ['agents', cursor('chatSessions', 1, 2)],
      ...[
        '0000-01-01T00:00:00.000Z',
        '2024-02-30T00:00:00.000Z',
        '2024-01-01T00:00:00Z',
        '+010000-01-01T00:00:00.000Z',
        '2024-13-01T00:00:00.000Z',
        'now',
        '',
        null,
        0,
      ].map((date): [string, string] => ['chatSessions', cursor('chatSessions', date, id)]),
      ...['not-a-uuid', null, 0, {}, `${id}'`].map((value): [string, string] => [
        'chatSessions',
        cursor('chatSessions', '2024-01-01T00:00:00.000Z', value),
      ]),
    ];
    const ask = (name: string, after: string) =>
      graph({
        query: `query ($after: String) { ${name}(after: $after) { totalCount nodes { __typename } } }`,
        variables: { after },
      });
    for (const [name, after] of mangled) {
      const reply = await ask(name, after);
      clean(reply, after);
      expect(reply.body.errors?.[0].extensions, `${name} ${after}`).toMatchObject({
        code: 'BAD_USER_INPUT',
        fields: [{ path: ['after'] }],
      });
    }
    // A modified cursor is either rejected or is a cursor of the same list.
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...real),
        fc.nat(),
        fc.string({ maxLength: 3 }),
        fc.nat(3),
        async ([name, after], at, insert, drop) => {
          const place = at % (after.length + 1);
          const changed = after.slice(0, place) + insert + after.slice(place + drop);
          const reply = await ask(name, changed);
          clean(reply, changed);
          if (reply.body.errors)
            expect(reply.body.errors[0].extensions).toMatchObject({
              code: 'BAD_USER_INPUT',
              fields: [{ path: ['after'] }],
            });
        },
      ),
      { numRuns: 100 },
    );
  });

  it('returns no node for an unknown or malformed ID', async () => {
    const node = 'query ($id: ID!) { node(id: $id) { __typename id } }';
    const global = (text: string) => Buffer.from(text).toString('base64');
    for (const id of [
      'Agent:2147483647',
      'Agent:99999999999999999999',
      'Agent:-1',
      'Agent:1.5',
      'Agent:1e3x',
      'Agent:x',
      'Agent:\0',
      'Agent: ',
      'Agent:',
      'ChatSession:7',
      'ChatSession:11111111-2222-4333-8444-555555555555',
      'ChatMessage:0',
      'Document:x',
      'ApiKey:0',
      'PersonalAccessToken:-7',
      'Viewer:1',
      'Nothing:1',
      '__Schema:1',
      'Query:1',
      'constructor:1',
      '__proto__:1',
    ].map(global)) {
      const { status, body, text } = await graph({ query: node, variables: { id } });
      expect(status, text).toBe(200);
      expect(body.errors?.[0].extensions.code ?? 'NONE', Buffer.from(id, 'base64').toString()).toMatch(
        /NONE|BAD_USER_INPUT/,
      );
      expect(body.data?.node ?? null).toBeNull();
    }
    for (const id of [
      '',
      'x',
      '🔑',
      '\0',
      '\ud800',
      'Agent:0',
      global('Agent'),
      global(':'),
      '=',
      ...Array.from({ length: 20 }, () => randomBytes(12).toString('base64')),
    ]) {
      const reply = await graph({ query: node, variables: { id } });
      clean(reply, id);
      expect(reply.body.data?.node ?? null).toBeNull();
    }
  });

  it('returns nodes in the order of the IDs, and null for those that the caller cannot read', async () => {
    const global = (text: string) => Buffer.from(text).toString('base64');
    const agent = async (name: string, key: string) => {
      const query = 'mutation ($i: CreateAgentInput!) { createAgent(input: $i) { agent { id } } }';
      return (await graph({ query, variables: { i: { name } } }, { key })).body.data.createAgent.agent.id as string;
    };
    const other = await kit.createKey('BASIC');
    const own = await agent('one’s own', kit.keys.BASIC);
    const foreign = await agent('somebody else’s', other.secret);
    const builtin = global('Agent:0');
    const nothing = ['Agent:77777', 'Agent:x', 'Nothing:1', 'ChatSession:7'].map(global);
    for (const ids of [
      [foreign, own],
      [own, foreign],
      [foreign, ...nothing, own, builtin, own],
      [...nothing, foreign],
      [],
      [own, own],
    ]) {
      const reply = await graph(
        { query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Agent { name } } }', variables: { ids } },
        { key: kit.keys.BASIC },
      );
      clean(reply, String(ids));
      const known: Record<string, object> = {
        [own]: { id: own, name: 'one’s own' },
        [builtin]: { id: builtin, name: 'Assistant' },
      };
      expect(reply.body.data.nodes).toEqual(ids.map((id) => known[id] ?? null));
    }
  });

  it('accepts any text as a search query', async () => {
    const queries = [
      '\0',
      '\ud800',
      "'",
      '"',
      '\\',
      '%',
      '_',
      '(((',
      '& | !',
      '<-> :*',
      '-'.repeat(5000),
      'ab '.repeat(50_000),
      '🔑'.repeat(1000),
      '\u202e',
      '; DROP TABLE "User"; --',
    ];
    for (const query of queries) {
      const reply = await graph({
        query:
          'query ($q: String!) { search(query: $q) { title } chatSessions(filter: { search: $q }) { totalCount } }',
        variables: { q: query },
      });
      clean(reply, query);
      expect(reply.body.errors, reply.text).toBeUndefined();
      const rest = await send(
        'GET',
        `/api/chat/search?query=${encodeURIComponent(query.toWellFormed().slice(0, 1000))}`,
      );
      clean(rest, query);
      expect(rest.status).toBe(200);
    }
  });

  it('validates GET requests as strictly as POST requests', async () => {
    const get = (search: string) => send('GET', `/graphql?${search}`);
    await changesNothing(async () => {
      for (const search of [
        '',
        'query=',
        'query={',
        'query={__typename}&variables={',
        'query={__typename}&variables=[]',
        'query={__typename}&variables=1',
        'query={__typename}&extensions=}',
        'query={__typename}&operationName=x',
        'query=%ff%fe',
        'query=%00',
        'variables={}',
        'query={__typename}&query={',
      ]) {
        const reply = await send('GET', `/graphql?${search}`, {
          headers: { accept: 'application/graphql-response+json' },
        });
        clean(reply, search);
        if (search === 'query={__typename}&query={') continue;
        expect(reply.status, `${search}: ${reply.text}`).toBe(400);
        expect(reply.body.data).toBeUndefined();
      }
      const mutation = await get('query=mutation{deleteAllChatSessions{deletedCount}}');
      expect(mutation.status).toBe(405);
      expect(mutation.headers.get('allow')).toBe('POST');
      expect(mutation.body.data).toBeUndefined();
    });
    expect(await get('query={__typename}')).toMatchObject({ status: 200, body: { data: { __typename: 'Query' } } });
  });

  it('returns the error of a denied subscription as a stream, and 406 to a client that accepts only JSON', async () => {
    const run = 'subscription ($id: ID!) { chatRun(run: { id: $id }) { __typename } }';
    const turn = 'subscription ($i: SendChatMessageInput!) { chatTurn(input: $i) { __typename } }';
    const id = '11111111-2222-4333-8444-555555555555';
    const requests: [string, object, string | null, RegExp][] = [
      [run, { id: 'x' }, kit.keys.ADMIN, /BAD_USER_INPUT/],
      [run, {}, kit.keys.ADMIN, /BAD_USER_INPUT/],
      [run, { id }, kit.keys.ADMIN, /NOT_FOUND/],
      [run, { id }, kit.keys.LIMITED, /FORBIDDEN/],
      [run, { id }, null, /UNAUTHENTICATED/],
      [turn, { i: { message: '\0' } }, kit.keys.LIMITED, /BAD_USER_INPUT.*input/],
      [turn, { i: { message: 'x', sessionId: id } }, kit.keys.LIMITED, /NOT_FOUND/],
      [turn, { i: { message: 'x', parent: { messageId: 2 ** 31 } } }, kit.keys.LIMITED, /BAD_USER_INPUT/],
      [turn, { i: { message: 'x' } }, null, /UNAUTHENTICATED/],
    ];
    await changesNothing(async () => {
      for (const [query, variables, key, code] of requests)
        for (const accept of ['text/event-stream', 'application/json', 'application/graphql-response+json', '*/*']) {
          const reply = await graph({ query, variables }, { key, headers: { accept } });
          clean(reply, `${accept} ${JSON.stringify(variables)}`);
          expect(reply.text).toMatch(/json$/.test(accept) ? /"NOT_ACCEPTABLE"/ : code);
        }
    });
  });

  it('accepts GET and JSON POST with and without a trailing slash, and rejects other methods and media types', async () => {
    for (const path of ['/graphql', '/graphql/']) {
      expect(await send('POST', path, { body: '{"query": "{ __typename }"}' })).toMatchObject({ status: 200 });
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']) {
        const reply = await send(method, path);
        clean(reply, method);
        expect(reply.status, method).toBe(405);
        expect(reply.headers.get('allow'), method).toBe('GET, POST');
      }
      for (const type of [
        'application/x-www-form-urlencoded',
        'text/plain',
        'application/graphql',
        'text/xml',
        'nonsense',
      ]) {
        const reply = await send('POST', path, { body: 'query={__typename}', headers: { 'content-type': type } });
        clean(reply, type);
        expect(reply.status, type).toBe(415);
        expect(reply.body.errors).toHaveLength(1);
      }
    }
  });
});
