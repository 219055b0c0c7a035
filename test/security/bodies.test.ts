import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { newSecret } from '../../src/authz/secret.ts';
import { type Kit, startKit, until } from '../kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterEach(() => void vi.useRealTimers());
afterAll(() => kit?.close());

const mebibyte = 1024 * 1024;

/** Returns a GraphQL request of exactly the given number of bytes. */
function sized(bytes: number): string {
  const text = JSON.stringify({ query: '{ __typename }', variables: { fill: '' } });
  return text.replace('"fill":""', `"fill":"${'x'.repeat(bytes - text.length)}"`);
}

async function post(path: string, body: BodyInit, key: string | null, headers: Record<string, string> = {}) {
  const response = await fetch(`${kit.url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body,
    duplex: 'half',
  } as RequestInit);
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
}

/** Returns the same bytes as a stream, so that no length is announced. */
const chunked = (text: string) => new Blob([text]).stream();

const tooLarge = (limit: number) => ({
  status: 413,
  body: {
    errors: [
      {
        message: `The body is larger than ${limit} bytes.`,
        extensions: { code: 'BAD_USER_INPUT', reason: 'INVALID_REQUEST', limit: 'body' },
      },
    ],
  },
});

describe('the body of an anonymous request', () => {
  it.each([
    ['announced', (text: string): BodyInit => text],
    ['not announced', chunked],
  ])('is limited to 1 MiB when its length is %s', async (_how, send) => {
    expect((await post('/graphql', send(sized(mebibyte)), null)).status).toBe(200);
    expect(await post('/graphql', send(sized(mebibyte + 1)), null)).toMatchObject(tooLarge(mebibyte));
  });

  it('has the same limit when the credential is invalid', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    await kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } });
    for (const key of ['nonsense', newSecret('API_KEY'), secret])
      for (const body of [sized(mebibyte + 1), sized(3 * mebibyte)])
        expect([401, 413]).toContain((await post('/graphql', body, key)).status);
    const cookie = { cookie: `fastapiusersauth=${newSecret('SESSION')}` };
    expect(await post('/graphql', sized(mebibyte + 1), null, cookie)).toMatchObject(tooLarge(mebibyte));
  });

  it('is limited to 1 MiB on every public path, and other paths reject the request', async () => {
    const body = JSON.stringify({ username: 'x'.repeat(mebibyte), message: 'y' });
    for (const path of [
      '/api/auth/login',
      '/auth/register',
      '/api/request-token',
      `/api/embed/${randomUUID()}/stream-chat`,
    ])
      for (const key of [null, 'nonsense']) expect((await post(path, body, key)).status, path).toBe(413);
    // These paths check the credential first and do not read the body.
    for (const path of ['/api/chat/send-chat-message', '/api/v1/document/raw-text', '/api/v1/openai/chat/completions'])
      expect([401, 403]).toContain((await post(path, body, null)).status);
  });
});

describe('the body of a GraphQL request with a credential', () => {
  it.each([
    ['announced', (text: string): BodyInit => text],
    ['not announced', chunked],
  ])('is limited to 2 MiB when its length is %s', async (_how, send) => {
    expect((await post('/graphql', send(sized(2 * mebibyte)), kit.keys.BASIC)).status).toBe(200);
    const rejected = await post('/graphql', send(sized(2 * mebibyte + 1)), kit.keys.BASIC);
    expect(rejected).toMatchObject(tooLarge(2 * mebibyte));
  });

  it('has a higher limit when it contains files', async () => {
    const form = new FormData();
    form.set(
      'operations',
      JSON.stringify({
        query: 'mutation ($files: [Upload!]!) { uploadFiles(input: { files: $files }) { files { name } } }',
        variables: { files: [null] },
      }),
    );
    form.set('map', JSON.stringify({ 0: ['variables.files.0'] }));
    form.set('0', new Blob(['word '.repeat(mebibyte)]), 'large.txt');
    const response = await fetch(`${kit.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${kit.keys.ADMIN}`, 'x-graphql-yoga-csrf': '1' },
      body: form,
    });
    expect(await response.json()).toMatchObject({ data: { uploadFiles: { files: [{ name: 'large.txt' }] } } });
  });
});

describe('a body with many values', () => {
  /** Bodies that take a parser much longer than their size suggests. */
  const heavy: Record<string, (bytes: number) => string> = {
    'an object of numbered keys': (bytes) => {
      const parts: string[] = [];
      for (let i = 0, size = 0; size < bytes - 200; i++) size += parts[parts.push(`"${i}":1`) - 1]?.length ?? 0 + 1;
      return `{"query":"{viewer{id}}","variables":{${parts.slice(0, Math.floor(parts.length * 0.8))}}}`;
    },
    'an array of zeros': (bytes) => `{"query":"{viewer{id}}","variables":{"a":[${'0,'.repeat(bytes / 2 - 100)}0]}}`,
    'empty objects': (bytes) => `{"query":"{viewer{id}}","variables":{"a":[${'{},'.repeat(bytes / 3 - 100)}{}]}}`,
    brackets: (bytes) => '['.repeat(bytes - 1),
  };
  const told = /^body: (has more than 20000 values|is nested more than 200 levels deep)$/;

  it.each(Object.keys(heavy))('is rejected before it is parsed: %s', async (name) => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      for (const [key, size] of [
        [null, mebibyte],
        [kit.keys.BASIC, 2 * mebibyte],
      ] as const) {
        const { status, body } = await post('/graphql', heavy[name]?.(size) ?? '', key);
        expect(status).toBe(400);
        expect(body.errors[0].message).toMatch(told);
      }
      const rest = await post('/api/chat/send-chat-message', heavy[name]?.(20 * mebibyte) ?? '', kit.keys.BASIC);
      expect(rest.status).toBe(422);
      // Only the replies, which the test itself parses, were passed to `JSON.parse`, and not the request bodies.
      expect(parse.mock.calls.filter(([text]) => String(text).length > 100_000)).toEqual([]);
    } finally {
      parse.mockRestore();
    }
  });

  it('does not count commas, colons and brackets within strings as values', async () => {
    const text = `${'{"[,:]}\\'.repeat(5000)}"`;
    const query = 'query ($id: ID!) { node(id: $id) { id } }';
    const { status, body } = await post('/graphql', JSON.stringify({ query, variables: { id: text } }), kit.keys.BASIC);
    expect(status).toBe(200);
    expect(body.errors ?? []).not.toContainEqual(expect.objectContaining({ message: expect.stringMatching(/^body/) }));
  });
});

describe('incomplete bodies of anonymous clients', () => {
  const open: Socket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy();
  });

  /** Sends the head of a request and the beginning of its body, but never the rest. */
  async function begin(path: string, headers: string[] = [], body = '{') {
    const { hostname, port } = new URL(kit.url);
    const socket = connect(Number(port), hostname);
    open.push(socket);
    let answer = '';
    let closed = false;
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      closed = true;
    });
    const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', 'Content-Type: application/json', ...headers, '', body];
    await new Promise<void>((resolve) => socket.write(head.join('\r\n'), () => resolve()));
    return { socket, answer: () => answer, closed: () => closed };
  }
  const announced = ['Content-Length: 1000'];
  const query = JSON.stringify({ query: '{ __typename }' });

  it('are limited to 16 per address: a further one ends the oldest with 429, and complete bodies are served', async () => {
    const held: Awaited<ReturnType<typeof begin>>[] = [];
    for (let i = 0; i < 16; i++) held.push(await begin('/graphql', announced));
    held.push(await begin('/graphql', announced));
    const rejected = await until(() => held.find(({ answer }) => answer() !== ''));
    expect(rejected.answer()).toMatch(/^HTTP\/1\.1 429 /);
    expect(rejected.answer()).toMatch(/retry-after: 1/i);
    expect(rejected.answer()).toContain('"code":"RATE_LIMITED"');
    expect((await post('/graphql', query, null)).status).toBe(200);
    expect((await post('/graphql', query, kit.keys.BASIC)).status).toBe(200);
    // New requests are accepted as soon as these connections are closed.
    for (const { socket } of held) socket.destroy();
    await until(async () => {
      const next = await begin('/graphql', [`Content-Length: ${query.length}`], query.slice(0, 5));
      next.socket.write(query.slice(5));
      await until(() => next.answer() !== '');
      return next.answer().startsWith('HTTP/1.1 200 ');
    });
  });

  it('are not limited for a client with a credential', async () => {
    const headers = [`Authorization: Bearer ${kit.keys.BASIC}`, ...announced];
    const held = [];
    for (let i = 0; i < 20; i++) held.push(await begin('/graphql', headers));
    const own = await begin(
      '/graphql',
      [`Authorization: Bearer ${kit.keys.BASIC}`, `Content-Length: ${query.length}`],
      query.slice(0, 5),
    );
    own.socket.write(query.slice(5));
    await until(() => own.answer() !== '');
    expect(own.answer()).toMatch(/^HTTP\/1\.1 200 /);
    expect(held.map(({ answer }) => answer()).join('')).toBe('');
  });

  it.each([
    ['/graphql', announced, /"message":"The body did not arrive within 20 seconds\."/],
    [
      '/api/auth/login',
      announced,
      /"error_code":"REQUEST_TIMEOUT","detail":"The body did not arrive within 20 seconds\."/,
    ],
    ['/api/request-token', announced, /"error":"The body did not arrive within 20 seconds\."/],
    ['/graphql', ['Transfer-Encoding: chunked'], /"message":"The body did not arrive within 20 seconds\."/],
  ])('%s returns 408 and closes the connection when the body takes too long', async (path, headers, message) => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const { answer, closed } = await begin(path, headers, headers === announced ? '{' : '1\r\n{\r\n');
    await until(() => vi.getTimerCount() > 0);
    await until(() => {
      vi.advanceTimersByTime(20_000);
      return answer() !== '';
    });
    expect(answer()).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer()).toMatch(message);
    await until(() => {
      vi.advanceTimersByTime(1000);
      return closed();
    });
  });
});
