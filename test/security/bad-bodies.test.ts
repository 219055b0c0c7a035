import { describe, expect, it } from 'vitest';
import { dialectOf } from '../../src/rest/routes.ts';
import {
  bytes,
  changesNothing,
  clean,
  json,
  kit,
  megabyte,
  nested,
  rowAt,
  send,
  serverOf,
  startServers,
  told,
  wordsOf,
} from './bad-requests.ts';
import { httpExchange } from './raw-http.ts';

startServers();

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
