import { randomBytes } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import fc from 'fast-check';
import {
  type GraphQLInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { multiUserOnly } from '../../src/rest/anythingllm/mode.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import type { Dialect } from '../../src/rest/dialect.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { oauth } from '../../src/rest/oauth.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import type { Answer, Kit } from '../kit.ts';
import { insides } from './leak-check.ts';
import { httpExchange } from './raw-http.ts';
import { type ServerPair, startServerPair, withMissingIds } from './server-pair.ts';

let servers: ServerPair;
let kit: Kit;
let peopled: Kit;
beforeAll(async () => {
  servers = await startServerPair({ environment: { GRAPHIQL: 'false' } });
  ({ single: kit, peopled } = servers);
});
afterAll(() => servers?.close());

interface Sent {
  body?: BodyInit;
  headers?: Record<string, string>;
  key?: string | null;
  on?: Kit;
}

const megabyte = 1024 * 1024;
const json = { 'content-type': 'application/json' };

async function send(
  method: string,
  path: string,
  { body, headers = {}, on = kit, key = on.keys.ADMIN }: Sent = {},
): Promise<Answer> {
  const response = await fetch(`${on.url}${path}`, {
    method,
    redirect: 'manual',
    headers: { ...(body !== undefined && json), ...(key && { authorization: `Bearer ${key}` }), ...headers },
    ...(body !== undefined && { body, duplex: 'half' }),
  } as RequestInit);
  const text = await response.text();
  const structured = /^application\/([\w-]+\+)?json\b/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, body: structured ? JSON.parse(text) : null };
}

/** Sends a GraphQL request with a media type whose status reports an invalid request. */
const graph = (request: object | string, { headers = {}, ...rest }: Sent = {}) =>
  send('POST', '/graphql', {
    body: typeof request === 'string' ? request : JSON.stringify(request),
    headers: { accept: 'application/graphql-response+json', ...headers },
    ...rest,
  });

/** Expects that a response does not reveal internal details and is not an internal error. */
function clean({ status, headers, text }: Answer, what: string): void {
  expect(status, `${what}: ${text.slice(0, 500)}`).toBeLessThan(500);
  expect(headers.get('x-request-id'), what).toMatch(/^[0-9a-f-]{36}$/);
  expect(insides(status, text), what).toBeNull();
  expect(text, what).not.toContain('"INTERNAL');
}

const failures = () => [...kit.log, ...peopled.log].filter((line) => JSON.parse(line).level >= 50);

/** Every request in this file is an error of the caller: the server must not log an error. */
beforeEach(() => {
  kit.log.length = 0;
  peopled.log.length = 0;
});
afterEach(() => {
  expect(failures()).toEqual([]);
});

const stored = (kits: readonly Kit[]) =>
  Promise.all(
    kits.map(async ({ booted, fingerprint }) => {
      await booted.background.settled();
      return fingerprint();
    }),
  );

async function changesNothing(work: () => Promise<void>, kits: readonly Kit[] = [kit]): Promise<void> {
  const before = await stored(kits);
  await work();
  expect(await stored(kits)).toEqual(before);
}

/** Expects that the data is unchanged at the end of a block of rejected requests. */
function nothingChanges(): void {
  let before: string[];
  beforeAll(async () => {
    before = await stored([kit, peopled]);
  });
  afterEach(async () => {
    expect(await stored([kit])).toEqual(before.slice(0, 1));
  });
  afterAll(async () => {
    expect(await stored([kit, peopled])).toEqual(before);
  });
}

/** The response to a caller: a status, and a body of JSON or text. */
interface Told {
  status: number;
  body: unknown;
}
const told = ({ status, body, text }: Answer): Told => ({ status, body: body ?? text });

/** The error format of a family of clients. */
interface Words {
  /** The body for a method that a path does not have, and for an unsupported media type. */
  said(text: unknown): object;
  unreadable(message: unknown): Told;
  wrongField(message: unknown): Told;
  wrongId(message: unknown): Told;
  stranger: Told;
  /** The field names of its error bodies. */
  shapes: string[];
}

const anythingllmWords = {
  said: (error: unknown) => ({ error }),
  unreadable: (error: unknown) => ({ status: 400, body: { error } }),
  wrongField: (error: unknown) => ({ status: 422, body: { error } }),
  wrongId: () => ({ status: 400, body: 'Bad Request' }),
  shapes: ['error'],
};
const onyxInvalid = (message: unknown): Told => ({ status: 422, body: { status_code: 422, message, data: null } });
const oauthInvalid = (error_description: unknown) => ({ error: 'invalid_request', error_description });
const oauthWrong = (description: unknown): Told => ({ status: 400, body: oauthInvalid(description) });

const words = new Map<Dialect, Words>([
  [
    onyx,
    {
      said: (detail) => ({ detail }),
      unreadable: onyxInvalid,
      wrongField: onyxInvalid,
      wrongId: onyxInvalid,
      stranger: { status: 403, body: { detail: 'Access denied. User is not authenticated.' } },
      shapes: ['data,message,status_code', 'detail', 'detail,error_code', 'message'],
    },
  ],
  [anythingllm, { ...anythingllmWords, stranger: { status: 403, body: { error: 'No valid api key found.' } } }],
  [anythingllmSession, { ...anythingllmWords, stranger: { status: 401, body: { error: 'No auth token found.' } } }],
  [
    openai,
    {
      said: (message) => ({ error: expect.objectContaining({ message }) }),
      unreadable: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      wrongField: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      wrongId: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      stranger: {
        status: 403,
        body: { error: expect.objectContaining({ message: 'No valid api key found.', code: 'invalid_api_key' }) },
      },
      shapes: ['error'],
    },
  ],
  [
    oauth,
    {
      said: oauthInvalid,
      unreadable: oauthWrong,
      wrongField: oauthWrong,
      wrongId: oauthWrong,
      stranger: {
        status: 401,
        body: { error: 'invalid_token', error_description: 'A valid credential is required.' },
      },
      shapes: ['error,error_description'],
    },
  ],
]);
function wordsOf(row: AnyEndpoint): Words {
  const found = words.get(dialectOf(row));
  if (!found) throw new Error(`${row.path}: say above how its dialect tells what is wrong`);
  return found;
}

/** Expects an error in the format of the endpoint's dialect. */
function inWordsOf(row: AnyEndpoint, reply: Answer, what: string): void {
  expect(reply.status, `${what}: ${reply.text}`).toBeGreaterThanOrEqual(400);
  expect(wordsOf(row).shapes, what).toContain(
    Object.keys(reply.body ?? {})
      .sort()
      .join(),
  );
}

/** Endpoints with lenient parsing, each with its own responses, are tested in loose-input.test.ts. */
const exact = (row: AnyEndpoint) =>
  ![anythingllm, openai].includes(dialectOf(row)) && !row.invalid && !row.path.startsWith('/invite/');
/** Returns whether a preflight request of another origin is answered. */
const preflighted = (path: string) => path.startsWith('/embed/');

/** Returns where an endpoint is served: paths of Onyx clients and of standards at the root as well. */
const prefixesOf = (row: AnyEndpoint): string[] => (dialectOf(row).atRoot ? ['/api', ''] : ['/api']);
const serverOf = (row: AnyEndpoint): Kit => servers.of(row);

const pattern = (path: string) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
/** Returns the endpoint of a path. */
function rowAt(method: string, path: string): AnyEndpoint {
  const bare = path.replace(/^\/api\b|\?.*$/g, '').replace(/\?.*$/, '');
  const found = endpoints.find((row) => row.method === method.toLowerCase() && pattern(row.path).test(bare));
  if (!found) throw new Error(`no row is ${method} ${path}`);
  return found;
}

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part)))),
  );

describe('REST bodies', () => {
  const posts = [
    '/api/chat/create-chat-session',
    '/api/chat/send-chat-message',
    '/api/admin/api-key',
    '/api/persona',
    '/api/user/pats',
    '/api/onyx-api/ingestion',
    '/persona/labels',
    '/auth/register',
    '/api/admin/generate-api-key',
    '/oauth/introspect',
  ];

  it.each(posts)('%s rejects malformed JSON and bodies of another shape with a one-line reason', async (path) => {
    const row = rowAt('POST', path);
    const on = serverOf(row);
    const unreadable: [string, BodyInit, RegExp][] = [
      ['malformed', '{"name": ', /body: is not valid JSON/],
      ['cut off', '{"name": "x"', /body: is not valid JSON/],
      ['two values', '{} {}', /body: is not valid JSON/],
      ['empty', '', /body: is required/],
      ['a number', '1', /body: must be an object/],
      ['a text', '"text"', /body: must be an object/],
      ['true', 'true', /body: must be an object/],
      ['null', 'null', /body: must be an object/],
      ['an array', '[]', /body: must be an object/],
      ['an array of objects', '[{"name": "x", "message": "y"}]', /body: must be an object/],
      ['100,000 brackets', nested(100_000), /body: is nested more than 200 levels deep/],
      ['100 open brackets', '['.repeat(100), /body: is not valid JSON/],
      ['100,000 open brackets', '['.repeat(100_000), /body: is nested more than 200 levels deep/],
      [
        '100,000 objects',
        `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
        /body: is nested more than 200 levels deep/,
      ],
      ['depth in an unknown field', `{"unknown": ${nested(100_000)}}`, /body: is nested more than 200 levels deep/],
      ['20,001 values', `{"unknown": [${'0,'.repeat(19_999)}0]}`, /body: has more than 20000 values/],
      ['bytes that are not UTF-8', bytes('{"name": "', [0xff, 0xfe], '"}'), /body: is not valid UTF-8/],
      ['half of a character', bytes('{"name": "', [0xe2, 0x82], '"}'), /body: is not valid UTF-8/],
      ['UTF-16', bytes(Buffer.from('{"name": "x"}', 'utf16le').toJSON().data), /body: is not valid JSON/],
    ];
    const manyWrong = `{"unknown": 1, "name": [], "message": [], "description": [], "email": 1, "scopes": [${'0,'.repeat(9_999)}0], "sections": [${'0,'.repeat(9_000)}0]}`;
    const { unreadable: words, wrongField } = wordsOf(row);
    await changesNothing(async () => {
      for (const [what, body, message] of unreadable) {
        // Clients of these endpoints send an empty body for an empty object.
        if (what === 'empty' && dialectOf(row).looseBodies) continue;
        const reply = await send('POST', path, { body, headers: json, on });
        clean(reply, what);
        expect(told(reply), what).toEqual(words(expect.stringMatching(message)));
      }
      const reply = await send('POST', path, { body: manyWrong, headers: json, on });
      clean(reply, '10,000 wrong values');
      expect(told(reply)).toEqual(wrongField(expect.stringMatching(/^.{1,4000}$/)));
    }, [on]);
  });

  it('rejects an invalid name or password of the first user in the endpoint’s error format', async () => {
    const asked: [object, RegExp][] = [
      [{}, /username/],
      [{ username: 5, password: 'long enough' }, /username/],
      [{ username: 'anna\0', password: 'long enough' }, /username.*NUL/],
      [{ username: 'anna', password: ['long enough'] }, /password/],
      [{ username: 'anna', password: 'short77' }, /password.*at least 8/],
      [{ username: 'anna', password: 'x'.repeat(10_000) }, /password.*at most 64/],
    ];
    await changesNothing(async () => {
      for (const [body, error] of asked) {
        const reply = await send('POST', '/api/system/enable-multi-user', { body: JSON.stringify(body) });
        clean(reply, JSON.stringify(body));
        expect(told(reply)).toEqual({ status: 400, body: { success: false, error: expect.stringMatching(error) } });
      }
    });
  });

  it('returns the same response for every invalid name and password', async () => {
    const reply = { status: 401, body: { valid: false, token: null, message: '[003] Invalid password provided' } };
    await changesNothing(async () => {
      for (const body of [{}, { username: [], password: {} }, { username: 'a', password: 'x\0'.repeat(10_000) }]) {
        const answer = await send('POST', '/api/request-token', { body: JSON.stringify(body), key: null });
        clean(answer, JSON.stringify(body).slice(0, 100));
        expect(told(answer)).toEqual(reply);
      }
    });
  });

  it('rejects an invalid value in a streamed turn before it sends or stores data', async () => {
    await changesNothing(async () => {
      for (const field of [
        '"parent_message_id": 4294967296',
        '"allowed_tool_ids": [2147483648]',
        '"additional_context": "\\u0000"',
      ]) {
        const reply = await send('POST', '/api/chat/send-chat-message', { body: `{"message": "x", ${field}}` });
        clean(reply, field);
        expect(reply.text).toMatch(/parent_?message_?id|tool_?ids|actionIds|additional_?context/i);
      }
    });
  });

  it('ignores unknown fields, including prototype properties', async () => {
    const body =
      '{"name": "plain", "nonsense": 1, "__proto__": {"role": "admin"}, "constructor": {"prototype": {"role": "admin"}}}';
    const { status, body: key } = await send('POST', '/api/admin/api-key', { body });
    expect(status).toBe(200);
    expect(key).toMatchObject({ api_key_name: 'plain', api_key_role: 'basic' });
  });

  it('accepts every spelling of the JSON media type and rejects other types', async () => {
    const body = '{"name": "typed"}';
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/vnd.api+json',
    ])
      expect((await send('POST', '/api/admin/api-key', { body, headers: { 'content-type': type } })).status, type).toBe(
        200,
      );
    await changesNothing(async () => {
      for (const type of [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/jsonx',
        'text/json',
        'x'.repeat(5000),
      ]) {
        const reply = await send('POST', '/api/admin/api-key', { body, headers: { 'content-type': type } });
        clean(reply, type);
        expect(reply.status, type).toBe(415);
        expect(reply.body.detail.length, type).toBeLessThan(300);
        expect(reply.body).toEqual({ detail: expect.stringMatching(/^Unsupported Media Type/) });
      }
    });
  });
});

describe('every endpoint', () => {
  nothingChanges();

  /** Endpoints that accept any text as a name and password, with one response to all that are wrong. */
  const anyText = ['/request-token', '/system/enable-multi-user'];
  /** Fields that are accepted without effect, with any value. */
  const ignored = [
    'remove_image',
    'uploaded_image_id',
    'num_chunks',
    'recency_bias',
    'llm_filter_extraction',
    'llm_relevance_filter',
    'llm_model_provider_override',
  ];
  const form = 'application/x-www-form-urlencoded';

  const shapeOf = (part: unknown): [string, z.ZodType][] => {
    if (!(part instanceof z.ZodObject)) throw new Error('the parts of a row are objects');
    return Object.entries(part.shape as Record<string, z.ZodType>);
  };
  const refuses = (field: z.ZodType, value: unknown) => !field.safeParse(value).success;
  const naming = (field: string) => expect.stringMatching(`(^|; )${field}[.:]`);
  const having = (select: (row: AnyEndpoint) => unknown) =>
    endpoints
      .filter((row) => exact(row) && select(row))
      .map((row) => ({ name: `${row.method.toUpperCase()} ${row.path}`, row }));

  async function call(row: AnyEndpoint, search: string, body?: BodyInit, type = 'application/json'): Promise<Answer> {
    const reply = await send(row.method.toUpperCase(), `/api${withMissingIds(row.path)}${search}`, {
      on: serverOf(row),
      ...(body !== undefined && { body, headers: { 'content-type': type } }),
    });
    clean(reply, `${search} ${type} ${body}`.slice(0, 200));
    return reply;
  }

  it.each(having(({ body, form }) => body && form !== 'files'))('$name rejects a malformed body', async ({ row }) => {
    const { unreadable } = wordsOf(row);
    const { looseBodies } = dialectOf(row);
    const bodies: [BodyInit, string][] = [
      ['{"a": ', 'is not valid JSON'],
      ['a=b', 'is not valid JSON'],
      ['1', 'must be an object'],
      ['null', 'must be an object'],
      ['[{}]', 'must be an object'],
      [`{"a": ${nested(200)}}`, 'is nested more than 200 levels deep'],
      [bytes('{"a": "', [0xff], '"}'), 'is not valid UTF-8'],
    ];
    // Clients of the other endpoints send an empty body for an empty object.
    if (!looseBodies && !row.optionalBody) bodies.push(['', 'is required']);
    for (const type of looseBodies ? ['application/json', 'text/plain'] : ['application/json'])
      for (const [body, message] of bodies)
        expect(told(await call(row, '', body, type)), `${type} ${body}`).toEqual(
          unreadable(expect.stringMatching(`^body: .*${message}$|^body: .*${message}, `)),
        );
    if (!row.form && !looseBodies) return;
    for (const [body, message] of [
      ['a=b&'.repeat(20_000), 'has more than 20000 values'],
      [bytes('a=', [0xff]), 'is not valid UTF-8'],
    ] as const)
      expect(told(await call(row, '', body, form)), message).toEqual(unreadable(`body: ${message}`));
  });

  it.each(having(({ body }) => body))('$name rejects a body of an unsupported media type', async ({ row }) => {
    const { looseBodies } = dialectOf(row);
    const types = ['text/xml', 'application/jsonx', 'x'.repeat(5000)];
    if (row.form === 'files') types.push('application/json');
    else if (!looseBodies) types.push('multipart/form-data; boundary=x');
    if (!looseBodies) types.push('text/plain');
    if (!looseBodies && row.form !== true) types.push(form);
    const body = wordsOf(row).said(expect.stringMatching(/^Unsupported Media Type: /));
    for (const type of types) {
      const reply = await call(row, '', '{}', type);
      expect(told(reply), type).toEqual({ status: 415, body });
      expect(reply.text.length, type).toBeLessThan(300);
    }
  });

  it.each(having(({ body, form, path }) => body && form !== 'files' && !anyText.includes(path)))(
    '$name names every invalid or missing field',
    async ({ row }) => {
      const { wrongField } = wordsOf(row);
      for (const [name, field] of shapeOf(row.body)) {
        if (ignored.includes(name)) continue;
        const refusal = wrongField(naming(name));
        // Different values: of other types, and empty.
        const wrong = [5, 'x\0', [[]], { a: [] }, null].filter((value) => refuses(field, value)).slice(0, 3);
        expect(wrong.length, `what is wrong for ${name}?`).toBeGreaterThan(0);
        for (const value of wrong)
          expect(told(await call(row, '', JSON.stringify({ [name]: value }))), `${name}: ${value}`).toEqual(refusal);
        if (!refuses(field, undefined)) continue;
        expect(told(await call(row, '', '{}')), name).toEqual(refusal);
        if (row.form) expect(told(await call(row, '', 'a=b', form)), name).toEqual(refusal);
      }
    },
  );

  const boundary = 'multipart/form-data; boundary=x';
  const part = (name: string, value: string, more = '') =>
    `--x\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
  const file = (name: string) => part(name, 'text', '; filename="a.txt"');

  it.each(having(({ form }) => form === 'files'))(
    '$name rejects a malformed form and a form with invalid parts',
    async ({ row }) => {
      const { unreadable, wrongField } = wordsOf(row);
      for (const body of ['', 'a=b', '{}', '--x', part('files', 'x'), `${file('files')}--x\r\nContent-`])
        expect(told(await call(row, '', body, boundary)), body).toEqual(unreadable(expect.stringMatching(/^body/)));
      for (const [body, field] of [
        [`${part('files', 'no file')}--x--`, 'files'],
        [`${file('other')}--x--`, 'files'],
        [`${file('files')}${part('project_id', 'x')}--x--`, 'project_id'],
        [`${file('files')}${part('project_id', '1')}${part('project_id', '2')}--x--`, 'project_id'],
        [`${file('files')}${file('temp_id_map')}--x--`, 'temp_id_map'],
      ] as const)
        expect(told(await call(row, '', body, boundary)), body).toEqual(wrongField(naming(field)));
    },
  );

  it.each(having(({ query }) => query))('$name names every invalid or missing parameter', async ({ row }) => {
    const { wrongField } = wordsOf(row);
    for (const [name, field] of shapeOf(row.query)) {
      const wrong = ['', 'x', '-1', '1e400', '\0', 'x'.repeat(2000)].filter((value) => refuses(field, value));
      const searches = wrong.map((value) => `?${name}=${encodeURIComponent(value)}`);
      if (refuses(field, ['1', '1'])) searches.push(`?${name}=1&${name}=1`);
      if (refuses(field, undefined)) searches.push('');
      expect(searches.length, `what is wrong for ${name}?`).toBeGreaterThan(0);
      for (const search of searches) expect(told(await call(row, search)), search).toEqual(wrongField(naming(name)));
    }
  });
});

describe('invalid values', () => {
  nothingChanges();

  const lonely = '"\\ud800"';
  const persona = (fields: string) =>
    `{"description": "d", "document_set_ids": [], "tool_ids": [], "system_prompt": "", "task_prompt": "", "datetime_aware": true, ${fields}}`;
  const wrong: [string, string, string, string | RegExp][] = [
    ['POST', '/api/chat/create-chat-session', '{"persona_id": "zero"}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 1e400}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 9007199254740993}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"persona_id": 0.5}', /persona_id/],
    ['POST', '/api/chat/create-chat-session', '{"description": 5}', /description/],
    ['POST', '/api/chat/create-chat-session', '{"description": "a\\u0000b"}', /description: .*NUL/],
    ['POST', '/api/chat/create-chat-session', `{"description": ${lonely}}`, /description: .*Unicode/],
    ['POST', '/api/chat/send-chat-message', '{"stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": null, "stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": ["x"], "stream": false}', /message/],
    ['POST', '/api/chat/send-chat-message', '{"message": "\\u0000", "stream": false}', /message.*NUL/],
    ['POST', '/api/chat/send-chat-message', `{"message": ${lonely}, "stream": false}`, /message.*Unicode/],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 9007199254740993}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 1e400}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "parent_message_id": 4294967296}',
      /parent_?message_?id/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "allowed_tool_ids": [2147483648]}',
      /tool_ids|actionIds/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "allowed_tool_ids": "all"}',
      /allowed_tool_ids/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "chat_session_id": "not-a-uuid"}',
      /chat_session_id/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "llm_override": {"temperature": 1e400}}',
      /temperature/,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "internal_search_filters": {"time_cutoff": "0000-01-01T00:00:00Z"}}',
      /time_?cutoff|since|DateTime/i,
    ],
    [
      'POST',
      '/api/chat/send-chat-message',
      '{"message": "x", "stream": false, "internal_search_filters": {"tags": [{"tag_key": "\\u0000", "tag_value": "x"}]}}',
      /tags.*NUL/,
    ],
    ['POST', '/api/admin/api-key', '{"name": {"first": "x"}}', /name/],
    ['POST', '/api/admin/api-key', '{"name": "x", "role": "owner"}', /role/],
    ['POST', '/api/admin/api-key', '{"name": "x", "group_ids": [1e400]}', /group_ids/],
    ['POST', '/api/admin/api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
    ['POST', '/api/admin/api-key', `{"name": ${lonely}}`, /name.*Unicode/],
    [
      'POST',
      '/api/admin/api-key',
      '{"name": "x", "expires_at": "0000-01-01T00:00:00Z"}',
      /expires_at: must have a year from 1 to 9999/,
    ],
    ['POST', '/api/admin/api-key', '{"name": "x", "expires_at": "tomorrow"}', /expires_at/],
    ['POST', '/api/user/pats', '{}', /name/],
    ['POST', '/api/user/pats', '{"name": "x", "expiration_days": 1e400}', /expiration_days/],
    ['POST', '/api/user/pats', '{"name": "x", "expiration_days": 9007199254740993}', /expiration_days/],
    ['POST', '/api/user/pats', '{"name": "x", "scopes": ["everything"]}', /scope/],
    ['POST', '/api/user/pats', '{"name": "x", "scopes": {"0": "read:chat"}}', /scopes/],
    ['POST', '/api/persona', '{"description": "no name"}', /name/],
    ['POST', '/api/persona', persona(`"name": "${'n'.repeat(10_000)}"`), /name/],
    ['POST', '/api/persona', persona('"name": "a\\u0000b"'), /name.*NUL/],
    ['POST', '/api/persona', persona(`"name": ${lonely}`), /name.*Unicode/],
    ['POST', '/api/persona', persona('"name": "x", "is_public": "yes please"'), /is_public/],
    ['POST', '/api/persona', persona('"name": "x", "label_ids": [9007199254740993]'), /label_ids/],
    [
      'POST',
      '/api/persona',
      persona('"name": "x", "search_start_date": "0000-01-01T00:00:00Z"'),
      /search_start_date must have a year from 1 to 9999/,
    ],
    ['POST', '/persona/labels', '{"name": "\\u0000"}', /name|NUL/],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [], "metadata": {}}}',
      /sections/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [{"text": 5}], "metadata": {}}}',
      /sections\.0\.text/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "a\\u0000b", "sections": [{"text": "y"}], "metadata": {}}}',
      /document\.semantic_identifier: .*NUL/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      `{"document": {"semantic_identifier": "x", "sections": [{"text": ${lonely}}], "metadata": {}}}`,
      /text.*Unicode/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      `{"document": {"semantic_identifier": "x", "sections": [{"text": "y"}], "metadata": {${lonely}: "z"}}}`,
      /metadata/,
    ],
    [
      'POST',
      '/api/onyx-api/ingestion',
      '{"document": {"semantic_identifier": "x", "sections": [{"text": "y"}], "metadata": {}, "doc_updated_at": "0000-01-01T00:00:00Z"}}',
      /document\.doc_updated_at: must have a year from 1 to 9999/,
    ],
    ['PATCH', '/api/admin/api-key/1e400', '{"name": "x"}', /api_key_id/],
    ['PATCH', '/api/admin/api-key/9007199254740993', '{"name": "x"}', /api_key_id/],
    ['PUT', '/api/chat/rename-chat-session', '{"chat_session_id": 5, "name": "x"}', /chat_session_id/],
    [
      'PATCH',
      '/api/chat/chat-session/11111111-2222-4333-8444-555555555555',
      '{"sharing_status": "friends"}',
      /sharing_status/,
    ],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=0', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=1e400', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?page_size=1&page_size=2', '', /page_size/],
    ['GET', '/api/chat/get-user-chat-sessions?before=yesterday', '', /before/],
    ['GET', '/api/chat/get-user-chat-sessions?before=0000-01-01T00:00:00', '', /before|DateTime/],
    ['GET', '/api/chat/get-user-chat-sessions?include_failed_chats=maybe', '', /include_failed_chats/],
    ['GET', '/api/chat/search?page=-1', '', /page/],
    ['GET', '/api/chat/search?page=99999999999999999999', '', /page/],
    ['GET', '/api/chat/get-chat-session/not-a-uuid', '', /session_id/],
    ['GET', '/api/agents?page_num=-1', '', /page_num/],
    ['GET', '/api/persona?persona_ids=x', '', /persona_ids/],
    ['GET', '/api/admin/audit-events/export?format=xml', '', /format/],
    ['GET', '/api/chat/export?format=xml', '', /format/],
    ['GET', '/api/chat/export?session_id=x', '', /session_id/],
    ['GET', '/api/admin/audit-events/export?since=0000-01-01T00:00:00Z', '', /since/],
    ['GET', '/api/admin/audit-events/export?token_id=4294967296', '', /token_id/],
    ['GET', '/api/admin/audit-events/export?target_id=%00', '', /target_?id.*NUL/i],
    ['POST', '/auth/register', '{"email": "nobody", "password": "long enough"}', /email/],
    ['POST', '/auth/register', '{"email": "a\\u0000@people.example", "password": "long enough"}', /email.*NUL/],
    ['POST', '/auth/register', `{"email": ${lonely}, "password": "long enough"}`, /email.*Unicode/],
    ['POST', '/auth/register', '{"email": "a@people.example", "password": "long\\u0000enough"}', /PASSWORD.*NUL/],
    ['POST', '/auth/register', '{"email": "a@people.example", "password": "short77"}', /PASSWORD.*at least 8/],
    // One response to every failed login.
    ['POST', '/auth/login', '{"username": "\\u0000", "password": "long enough"}', /LOGIN_BAD_CREDENTIALS/],
    ['POST', '/auth/mobile/login', `{"username": "a", "password": ${lonely}}`, /LOGIN_BAD_CREDENTIALS/],
    ['POST', '/password/reset_password', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PUT', '/manage/admin/users', '{"emails": []}', /emails/],
    ['PUT', '/manage/admin/users', '{"emails": ["a@people.example", "nobody"]}', /Invalid email address: nobody/],
    ['PUT', '/manage/admin/users', `{"emails": [${lonely}]}`, /Invalid email address/],
    ['PATCH', '/manage/admin/remove-invited-user', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PATCH', '/manage/admin/deactivate-user', '{"user_email": "a\\u0000b"}', /email.*NUL/],
    ['PATCH', '/manage/admin/activate-user', `{"user_email": ${lonely}}`, /email.*Unicode/],
    ['DELETE', '/manage/admin/delete-user', `{"user_email": "${'n'.repeat(10_000)}"}`, /email.*at most 254/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "a@people.example", "new_role": "owner"}', /new_role/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "a@people.example", "new_role": "curator"}', /new_role/],
    ['PATCH', '/manage/set-user-role', '{"user_email": "\\u0000", "new_role": "admin"}', /email.*NUL/],
    ['PATCH', '/manage/admin/users/admin-access', '{"user_email": "\\u0000", "is_admin": true}', /email.*NUL/],
    ['GET', '/manage/users?q=%00', '', /q: .*NUL/],
    ['GET', '/manage/users/accepted?q=%00', '', /q: .*NUL/],
    ['GET', '/manage/users/accepted?roles=admin&roles=owner', '', /roles/],
    ['POST', '/user/projects/create?name=%00', '', /name.*NUL/],
    ['POST', `/user/projects/create?name=${'n'.repeat(3000)}`, '', /name/],
    ['POST', '/user/projects/create?name=%20', '', /name cannot be empty/],
    ['PATCH', '/user/projects/2147483647', '{"name": "\\u0000"}', /name.*NUL/],
    ['PATCH', '/user/projects/2147483647', `{"description": ${lonely}}`, /description.*Unicode/],
    ['POST', '/user/projects/2147483647/instructions', '{"instructions": "\\u0000"}', /instructions.*NUL/],
    ['POST', '/user/projects/2147483647/move_chat_session', '{"chat_session_id": "x"}', /chat_session_id/],
    ['POST', '/oauth/introspect', '{"token": ""}', /token/],
    ['POST', '/oauth/introspect', `{"token": "${'x'.repeat(1001)}"}`, /token/],
    ['POST', '/api/system/generate-api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
    ['POST', '/api/system/generate-api-key', `{"name": ${lonely}}`, /name.*Unicode/],
    ['POST', '/api/system/generate-api-key', `{"name": "${'n'.repeat(10_000)}"}`, /name/],
    ['POST', '/api/system/generate-api-key', '{"role": "owner"}', /role/],
    ['POST', '/api/system/generate-api-key', '{"scopes": []}', /scope/],
    ['POST', '/api/system/generate-api-key', '{"expires_at": "0000-01-01T00:00:00Z"}', /expires_?at|DateTime/i],
    ['POST', '/api/admin/generate-api-key', '{"scopes": ["everything"]}', /scope/],
    ['POST', '/api/admin/generate-api-key', '{"name": "a\\u0000b"}', /name.*NUL/],
  ];

  const everyWrong = wrong.map(([method, path, body, message]) => ({
    name: `${method} ${path} ${body.slice(-80)}`,
    method,
    path,
    body,
    message,
  }));
  it.each(everyWrong)('$name: returns an error that describes the problem', async ({ method, path, body, message }) => {
    // The downloads are not endpoints; their errors have the format of neighboring endpoints.
    const row = rowAt(method, /^\/api\/(admin\/audit-events|chat)\/export/.test(path) ? '/admin/api-key' : path);
    const reply = await send(method, path, { on: serverOf(row), ...(body !== '' && { body }) });
    clean(reply, body);
    inWordsOf(row, reply, body);
    expect(reply.text).toMatch(message);
    expect(reply.text.length).toBeLessThan(1000);
  });
});

describe('body size limits', () => {
  const large = new Map(
    [20, 21, 50].map((size) => [size, JSON.stringify({ description: 'x'.repeat(size * megabyte - 100) })]),
  );
  const tooLarge = (path: string) =>
    path === '/graphql'
      ? {
          errors: [
            {
              message: 'The body is larger than 2097152 bytes.',
              extensions: { code: 'BAD_USER_INPUT', reason: 'INVALID_REQUEST', limit: 'body' },
            },
          ],
        }
      : { error_code: 'PAYLOAD_TOO_LARGE', detail: 'The body is larger than 20971520 bytes.' };
  /** A body of unknown length that ends when the server stops reading. */
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(megabyte).fill(0x20));
      },
    });

  it.each(['/api/chat/create-chat-session', '/chat/create-chat-session', '/graphql', '/nowhere'])(
    '%s returns 413 for 21 MB and for 50 MB, and the server keeps serving requests',
    async (path) => {
      await changesNothing(async () => {
        for (const size of [21, 50]) {
          const reply = await send('POST', path, { body: large.get(size) as string });
          clean(reply, path);
          expect(reply.status).toBe(413);
          expect(reply.body).toEqual(tooLarge(path));
          expect((await send('GET', '/api/me')).status).toBe(200);
        }
      });
    },
  );

  it.each(['/api/chat/create-chat-session', '/graphql'])(
    '%s stops reading a body of unknown length at the limit',
    async (path) => {
      await changesNothing(async () => {
        const reply = await send('POST', path, { body: endless() });
        clean(reply, path);
        expect(reply.status).toBe(413);
        expect(reply.body).toEqual(tooLarge(path));
      });
      expect((await send('GET', '/api/me')).status).toBe(200);
    },
  );

  it('accepts a body of unknown length below the limit', async () => {
    const text = JSON.stringify({ name: 'chunked' });
    const body = new ReadableStream({
      start(controller) {
        for (const character of text) controller.enqueue(new TextEncoder().encode(character));
        controller.close();
      },
    });
    expect(await send('POST', '/api/admin/api-key', { body })).toMatchObject({
      status: 200,
      body: { api_key_name: 'chunked' },
    });
  });

  it('reports the invalid field of a body just below the limit', async () => {
    await changesNothing(async () => {
      const reply = await send('POST', '/api/chat/create-chat-session', { body: large.get(20) as string });
      clean(reply, 'below the limit');
      expect(reply.status).toBe(400);
      expect(reply.text).toMatch(/description: must be at most 500 characters/);
      expect(reply.text.length).toBeLessThan(1000);
    });
  });

  it('keeps serving requests after a body is cut off', async () => {
    await changesNothing(async () => {
      const { port } = new URL(kit.url);
      const head = `POST /api/admin/api-key HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${kit.keys.ADMIN}\r\nContent-Type: application/json\r\n`;
      await httpExchange(Number(port), `${head}Content-Length: 100\r\n\r\n{"name":`, { endAfterSending: true });
      await httpExchange(Number(port), `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"nam`, {
        endAfterSending: true,
      });
      expect((await send('GET', '/api/me')).status).toBe(200);
    });
  });
});

describe('methods and paths', () => {
  const paths = [...new Set(endpoints.map(({ path }) => path))];
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
  const notThere = { status: 404, body: { detail: 'Not Found' } };

  describe('unsupported methods', () => {
    nothingChanges();

    it.each(paths)('%s returns 405 with Allow for every method that it does not support', async (path) => {
      const here = endpoints.filter((row) => pattern(row.path).test(withMissingIds(path)));
      const names = new Set(here.map((row) => row.method.toUpperCase()));
      const [row] = here as [AnyEndpoint];
      const others = methods.filter((name) => !names.has(name));
      for (const method of preflighted(path) ? others : [...others, 'OPTIONS'])
        for (const prefix of prefixesOf(row)) {
          const reply = await send(method, `${prefix}${withMissingIds(path)}`);
          clean(reply, method);
          expect(told(reply), method).toEqual({ status: 405, body: wordsOf(row).said('Method Not Allowed') });
          expect(new Set(reply.headers.get('allow')?.split(', '))).toEqual(names);
        }
    });
  });

  it('serves the paths of AnythingLLM clients only under /api', async () => {
    const under = endpoints.filter((row) => [anythingllm, anythingllmSession, openai].includes(dialectOf(row)));
    expect(under.length).toBeGreaterThan(0);
    await changesNothing(async () => {
      for (const { path } of under)
        for (const method of methods) expect(told(await send(method, withMissingIds(path))), path).toEqual(notThere);
    });
  });

  it('lists in Allow the methods of every pattern that matches the path', async () => {
    const { headers } = await send('PUT', '/api/user/pats/scopes');
    expect(headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET']);
  });

  /** Returns every path of an endpoint, with and without a slash. */
  const places = (row: AnyEndpoint) =>
    prefixesOf(row).flatMap((prefix) => [
      `${prefix}${withMissingIds(row.path)}`,
      `${prefix}${withMissingIds(row.path)}/`,
    ]);

  it.each(endpoints.filter(({ method }) => method === 'get'))(
    'GET $path responds the same at every prefix and with a trailing slash, and to HEAD without a body',
    async (row) => {
      const on = serverOf(row);
      const answers = await Promise.all(places(row).map((full) => send('GET', full, { on })));
      const [first] = answers as [Answer];
      expect(first.status).not.toBe(405);
      // 404 is also a response of an endpoint; a path without one has another body.
      expect(first.text).not.toBe('{"detail":"Not Found"}');
      for (const { status, text } of answers)
        expect({ status, text }).toEqual({ status: first.status, text: first.text });
      const head = await send('HEAD', `/api${withMissingIds(row.path)}`, { on });
      expect(head).toMatchObject({ status: first.status, text: '' });
      expect(head.headers.get('content-type')).toBe(first.headers.get('content-type'));
    },
  );

  const bodyRequired = onyxInvalid('body: is required');
  const noSession = { status: 401, body: { detail: 'Unauthorized' } };
  /**
   * Where an anonymous caller without a body gets another response: paths that are public, and paths for sessions only.
   */
  const strangersAt: Record<string, Told> = {
    '/auth/register': bodyRequired,
    '/auth/login': bodyRequired,
    '/auth/mobile/login': bodyRequired,
    '/request-token': {
      status: 401,
      body: { valid: false, token: null, message: '[003] Invalid password provided' },
    },
    '/auth/logout': noSession,
    '/auth/refresh': noSession,
    '/auth/mobile/logout': noSession,
    '/auth/mobile/refresh': noSession,
    '/invite/{code}': { status: 200, body: { success: false, error: expect.any(String) } },
    '/embed/{embedUuid}/stream-chat': { status: 404, body: expect.objectContaining({ type: 'abort' }) },
    '/embed/{embedUuid}/{sessionId}': { status: 404, body: { error: expect.any(String) } },
  };

  describe('anonymous clients', () => {
    nothingChanges();

    it.each(endpoints.filter(({ method }) => method !== 'get'))(
      '$method $path responds the same with and without a trailing slash, under /api and at the root',
      async (row) => {
        const method = row.method.toUpperCase();
        const answers = await Promise.all(
          places(row).map((full) => send(method, full, { key: null, on: serverOf(row) })),
        );
        for (const answer of answers) expect(told(answer)).toEqual(strangersAt[row.path] ?? wordsOf(row).stranger);
      },
    );
  });

  it('returns 404 for an unknown path with every method', async () => {
    for (const path of [
      '/nowhere',
      '/api/nowhere',
      '/api/chat',
      '/api/api/me',
      '/graphql/x',
      '/api//me',
      '/api/me/x',
      '/.env',
      '/index.php',
      `/${'x'.repeat(5000)}`,
    ])
      for (const method of methods) {
        const reply = await send(method, path);
        clean(reply, path);
        const missing = path.startsWith('/graphql/')
          ? { errors: [{ message: 'Not Found', extensions: { code: 'NOT_FOUND', reason: 'PATH_NOT_FOUND' } }] }
          : { detail: 'Not Found' };
        expect(reply, path).toMatchObject({ status: 404, body: missing });
      }
  });

  const withIds = endpoints.filter((row) => exact(row) && row.path.includes('{'));
  const place = (path: string, text: string) => `/api${path.replaceAll(/\{\w+\}/g, text)}`;

  it.each([
    '%00',
    '%ff',
    '%',
    '%zz',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '%c0%ae',
    '%ed%a0%80',
    '%F0%9F%94%91',
    '~',
    "'",
    '"',
    '%27%20OR%201=1--',
    '%0d%0aX-Injected:%201',
    '%25',
    ':id',
    '{id}',
    '*',
    '-1',
  ])('a path with %s as an ID is rejected in the endpoint’s error format and changes no data', async (garbage) => {
    await changesNothing(async () => {
      for (const row of withIds) {
        const { method, path } = row;
        const what = `${method} ${path}`;
        const reply = await send(method.toUpperCase(), place(path, garbage), {
          on: serverOf(row),
          ...(method === 'patch' && { body: '{}' }),
        });
        clean(reply, what);
        expect(reply.headers.get('x-injected')).toBeNull();
        // IDs of documents and downloads can be any text; -1 is a valid number that does not exist.
        const wrong = [...path.matchAll(/\{(\w+)\}/g)]
          .map(([, name]) => name)
          .filter((name) => name !== 'document_id' && !row.download)
          .filter((name) => garbage !== '-1' || /session|file/.test(name as string));
        for (const name of wrong)
          expect(told(reply), what).toEqual(wordsOf(row).wrongId(expect.stringMatching(`(^|; )${name}: `)));
        if (wrong.length > 0) continue;
        // AnythingLLM clients expect success when they delete a missing key.
        if (method === 'delete' && row.gate) expect(told(reply), what).toEqual({ status: 200, body: '' });
        else inWordsOf(row, reply, what);
      }
    }, [kit, peopled]);
  });

  it.each(['%2e%2e', '..', '%2e', '%20', '//', '%2f'])(
    'a path with %s as an ID causes no internal error and changes no data',
    async (garbage) => {
      await changesNothing(async () => {
        for (const row of withIds) {
          const { method, path } = row;
          const body = method === 'patch' && { body: '{}' };
          clean(await send(method.toUpperCase(), place(path, garbage), { on: serverOf(row), ...body }), path);
        }
      }, [kit, peopled]);
    },
  );

  it('rejects malformed requests that browsers cannot send', async () => {
    const port = Number(new URL(kit.url).port);
    const lines = [
      'GET /api/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe',
      'GET /api/chat/search?query=%ff%00 HTTP/1.1\r\nHost: x',
      'TRACE /api/me HTTP/1.1\r\nHost: x',
      'GET http://elsewhere.example/api/nowhere HTTP/1.1\r\nHost: elsewhere.example',
      'GET \\api\\me HTTP/1.1\r\nHost: x',
      'GET /api/me HTTP/1.1\r\nHost: a b c',
      'POST /api/admin/api-key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked',
      'POST /api/admin/api-key HTTP/1.1\r\nHost: x\r\nContent-Length: -1',
      'POST /api/admin/api-key HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999',
    ];
    for (const line of lines) {
      const reply = await httpExchange(port, `${line}\r\nConnection: close\r\n\r\n`);
      expect(reply, line).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(reply, line).not.toMatch(/node_modules|\.ts:\d/);
    }
    expect((await send('GET', '/api/me')).status).toBe(200);
  });
});

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

describe('random input', () => {
  /**
   * Values that often cause errors. Small positive numbers are left out, since they are IDs of objects that the tests
   * need.
   */
  const nasty: fc.Arbitrary<unknown> = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      '',
      ' ',
      '\0',
      '\ud800',
      'x'.repeat(10_001),
      '🔑',
      '-1',
      '0x10',
      '1e3',
      [],
      {},
      [null],
      [[[]]],
      -1,
      0,
      0.5,
      -0,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 53,
      1e308,
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
      '2024-02-30T00:00:00Z',
      '11111111-2222-4333-8444-555555555555',
      'javascript:alert(1)',
      '__proto__',
      'constructor',
      'read:chat',
      'admin',
      'SearchTool',
    ),
    fc
      .jsonValue({ maxDepth: 2 })
      .map((value) => (typeof value === 'number' && value > 0 && value < 10_000 ? -value : value)),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  const often = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: nasty });
  const ids = fc.constantFrom(-1, 0, 2_000_000_000, -(2 ** 31), 2 ** 31 - 1);
  const texts = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      'hello',
      'a\0',
      '\udfff',
      'y'.repeat(600),
      '2024-01-01T00:00:00Z',
      '11111111-2222-4333-8444-555555555555',
      'https://example.com/',
    ),
  );

  interface JsonSchema {
    $ref?: string;
    type?: string | string[];
    enum?: unknown[];
    const?: unknown;
    properties?: Record<string, JsonSchema>;
    items?: JsonSchema;
    anyOf?: JsonSchema[];
    allOf?: JsonSchema[];
  }

  interface Operation {
    parameters?: { name: string; in: string }[];
    requestBody?: { content: { 'application/json': { schema: JsonSchema } } };
  }

  interface OpenApi {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, JsonSchema> };
  }

  /** Generates values that mostly fit a schema. */
  function like(description: JsonSchema, openApi: OpenApi): fc.Arbitrary<unknown> {
    if (description.$ref)
      return like(openApi.components.schemas[description.$ref.replace('#/components/schemas/', '')] ?? {}, openApi);
    const parts = description.anyOf ?? description.allOf;
    if (parts) return often(fc.oneof(...parts.map((part) => like(part, openApi))));
    if (description.enum) return often(fc.constantFrom(...description.enum));
    const [type] = [description.type].flat();
    if (type === 'object' && description.properties)
      return often(
        fc.record(
          Object.fromEntries(
            Object.entries(description.properties).map(([name, property]) => [name, like(property, openApi)]),
          ),
          { requiredKeys: [] },
        ),
      );
    if (type === 'object') return often(fc.dictionary(texts, nasty, { maxKeys: 3 }));
    if (type === 'array') return often(fc.array(like(description.items ?? {}, openApi), { maxLength: 3 }));
    if (type === 'integer' || type === 'number') return often(ids);
    if (type === 'boolean') return often(fc.boolean());
    return type === 'string' ? often(texts) : nasty;
  }

  it('causes no internal error in a REST endpoint', async () => {
    const { body: openApi }: Answer<OpenApi> = await send('GET', '/api/openapi.json');
    const operations = Object.entries(openApi.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    const multiUserPaths = new Set(
      endpoints.filter(({ gate }) => gate === multiUserOnly).map(({ path }) => `/api${path}`),
    );
    const parameter = fc.oneof(
      ids.map(String),
      texts,
      fc.string({ unit: 'binary', maxLength: 10 }),
      fc.constantFrom('..', '%', '\0', '11111111-2222-4333-8444-555555555555'),
    );
    const requests = fc.constantFrom(...operations).chain(({ path, method, operation }) => {
      const parameters: { name: string; in: string }[] = operation.parameters ?? [];
      // Endpoints for files reject JSON, which is sent too.
      const [content] = Object.values<{ schema: object }>(operation.requestBody?.content ?? {});
      const shape = content?.schema;
      return fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.constant(path),
        values: fc.record(Object.fromEntries(parameters.map(({ name }) => [name, parameter]))),
        query: fc.subarray(parameters.filter((one) => one.in === 'query').map(({ name }) => name)),
        body: shape ? like(shape, openApi) : fc.constant(undefined),
      });
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, path, values, query, body }) => {
        const encoded = (name: string) =>
          encodeURIComponent(String((values as Record<string, string>)[name]).toWellFormed());
        const full = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encoded(name) || '_');
        const search = query.map((name) => `${name}=${encoded(name)}`).join('&');
        clean(
          await send(method, `${full}?${search}`, {
            ...(multiUserPaths.has(path) && { on: peopled }),
            ...(body !== undefined && { body: JSON.stringify(body) }),
          }),
          `${method} ${full}?${search} ${JSON.stringify(body)}`,
        );
      }),
      { numRuns: 300 },
    );
    expect((await send('GET', '/api/me')).body).toMatchObject({ role: 'admin' });
  });

  /** Generates values that mostly fit a GraphQL type. */
  function fitting(type: GraphQLInputType, depth = 0): fc.Arbitrary<unknown> {
    if (isNonNullType(type)) return fitting(type.ofType, depth);
    if (isListType(type)) return often(fc.array(fitting(type.ofType, depth + 1), { maxLength: 3 }));
    if (isEnumType(type)) return often(fc.constantFrom(...type.getValues().map(({ name }) => name)));
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const needed = fields.filter((field) => isNonNullType(field.type)).map(({ name }) => name);
      return often(
        fc.record(Object.fromEntries(fields.map((field) => [field.name, fitting(field.type, depth + 1)])), {
          requiredKeys: needed,
        }),
      );
    }
    if (type.name === 'Int' || type.name === 'Float') return often(ids);
    if (type.name === 'Boolean') return often(fc.boolean());
    if (type.name === 'UUID') return often(fc.uuid());
    if (type.name === 'DateTime') return often(fc.date({ noInvalidDate: true }).map((date) => date.toISOString()));
    if (type.name === 'JSONObject')
      return often(fc.dictionary(texts, fc.oneof(texts, fc.array(texts, { maxLength: 2 })), { maxKeys: 3 }));
    if (type.name === 'ID')
      return often(
        fc
          .tuple(fc.constantFrom('Agent', 'ChatSession', 'ApiKey', 'Document', 'Nothing'), texts)
          .map(([name, id]) => Buffer.from(`${name}:${id}`).toString('base64')),
      );
    return often(texts);
  }

  it('causes no internal error in a GraphQL field', async () => {
    const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.values(type?.getFields() ?? {}).map((field) => ({ operation: type?.name.toLowerCase(), field })),
    );
    const requests = fc
      .constantFrom(...fields.filter(({ field }) => field.args.length > 0))
      .chain(({ operation, field }) =>
        fc.record({
          query: fc.constant(
            `${operation} (${field.args.map(({ name, type }) => `$${name}: ${type}`).join(', ')}) { ${field.name}(${field.args.map(({ name }) => `${name}: $${name}`).join(', ')}) ${isLeafType(getNamedType(field.type)) ? '' : '{ __typename }'} }`,
          ),
          variables: fc.record(Object.fromEntries(field.args.map(({ name, type }) => [name, fitting(type)])), {
            requiredKeys: field.args.filter(({ type }) => isNonNullType(type)).map(({ name }) => name),
          }),
        }),
      );
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        clean(await graph(request), JSON.stringify(request));
      }),
      { numRuns: 300 },
    );
    expect((await send('GET', '/api/me')).body).toMatchObject({ role: 'admin' });
  });
});
