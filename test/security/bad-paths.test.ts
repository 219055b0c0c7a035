import { z } from '@hono/zod-openapi';
import { describe, expect, it } from 'vitest';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import type { Answer } from '../kit.ts';
import {
  bytes,
  changesNothing,
  clean,
  exact,
  inWordsOf,
  kit,
  nested,
  nothingChanges,
  onyxInvalid,
  pattern,
  peopled,
  prefixesOf,
  preflighted,
  send,
  serverOf,
  startServers,
  type Told,
  told,
  wordsOf,
} from './bad-requests.ts';
import { httpExchange } from './raw-http.ts';
import { withMissingIds } from './server-pair.ts';

startServers();

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
