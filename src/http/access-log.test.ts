import { once } from 'node:events';
import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Kit, startKit, until } from '../../test/kit.ts';
import { gather, jsonLines } from '../../test/lines.ts';
import { makeGate } from '../../test/model-server.ts';

let kit: Kit;
let tokenId: number;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { TRUSTED_PROXIES: '1' } });
  const { data } = await kit.gql('{ viewer { token { databaseId } } }', {}, kit.keys.BASIC);
  tokenId = data.viewer.token.databaseId;
});
afterAll(() => kit?.close());
beforeEach(() => {
  kit.log.length = 0;
});

interface Line {
  level: number;
  requestId: string;
  client: string | null;
  tokenId: number | null;
  method: string;
  path: string;
  status: number;
  bytes: number;
  durationMs: number;
  aborted?: true;
}
const lines = (): Line[] => kit.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
/** Waits until the access log has at least this number of lines, and returns them. */
const written = (count: number) => until(() => lines().length >= count && lines());

const headers = () => ({ authorization: `Bearer ${kit.keys.BASIC}`, 'content-type': 'application/json' });

describe('the access log', () => {
  it('has one line per request with client, token, status, bytes and duration, without the query string', async () => {
    const response = await fetch(`${kit.url}/api/me?email=a@b.example`, {
      headers: { ...headers(), 'x-forwarded-for': '198.51.100.7', 'x-request-id': 'proxy-1.2_3' },
    });
    const body = await response.text();
    const [line, ...others] = await written(1);
    expect(others).toEqual([]);
    expect(line).toMatchObject({
      level: 30,
      requestId: 'proxy-1.2_3',
      client: '198.51.100.7',
      tokenId,
      method: 'GET',
      path: '/api/me',
      status: 200,
      bytes: expect.any(Number),
      durationMs: expect.any(Number),
    });
    expect(line).not.toHaveProperty('aborted');
    expect(line?.bytes).toBeGreaterThan(body.length);
    expect(response.headers.get('x-request-id')).toBe('proxy-1.2_3');
  });

  it('has a line for a rejected, unknown, malformed or anonymous request', async () => {
    await kit.rest('GET', '/api/me', { key: 'on_wrong' });
    await kit.rest('GET', '/nothing/here', { key: null });
    await kit.rest('POST', '/graphql', { body: '{', key: null });
    expect((await written(3)).map(({ path, status, tokenId }) => [path, status, tokenId])).toEqual([
      ['/api/me', 403, null],
      ['/nothing/here', 404, null],
      ['/graphql', 400, null],
    ]);
  });

  it('has the line of a stream with all of its bytes when the stream ends', async () => {
    const gate = makeGate();
    const words = Array.from({ length: 50 }, (_, index) => `${'word'.repeat(50)}${index} `);
    kit.model.script({ text: words, gate });
    gate.release();
    const response = await fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: headers(),
      body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [] }),
    });
    const packets = jsonLines(response);
    await gather(packets, ({ obj }) => obj?.type === 'message_delta');
    expect(lines()).toEqual([]);
    gate.open();
    await gather(packets);
    const [line] = await written(1);
    expect(line).toMatchObject({ path: '/api/chat/send-chat-message', status: 200, tokenId });
    expect(line?.bytes).toBeGreaterThan(words.join('').length);
    expect(line).not.toHaveProperty('aborted');
  });

  it('marks a stream as aborted when its client disconnects in the middle', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    gate.release();
    const leaving = new AbortController();
    const response = await fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: headers(),
      body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [] }),
      signal: leaving.signal,
    });
    await gather(jsonLines(response), ({ obj }) => obj?.type === 'message_delta');
    leaving.abort();
    const [line] = await written(1);
    expect(line).toMatchObject({ path: '/api/chat/send-chat-message', status: 200, aborted: true, tokenId });
    gate.open();
    await kit.booted.background.settled();
  });

  it('records status 499 when the client disconnects before the response', async () => {
    const { hostname, port } = new URL(kit.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const head = ['host: localhost', 'content-type: application/json', 'content-length: 9', 'expect: 100-continue'];
    socket.write(`POST /graphql HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 100 /);
    socket.destroy();
    const [line] = await written(1);
    expect(line).toMatchObject({ path: '/graphql', status: 499, aborted: true, tokenId: null });
    expect(line?.bytes).toBeGreaterThanOrEqual(answer.length);
  });

  it('counts the bytes of each request on a keep-alive connection separately', async () => {
    const { hostname, port } = new URL(kit.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    const get = (path: string, last = '') => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${last}\r\n`;
    socket.write(get('/health') + get('/api/openapi.json') + get('/version', 'connection: close\r\n'));
    await once(socket, 'close');
    const all = await written(3);
    expect(all.map(({ path }) => path)).toEqual(['/health', '/api/openapi.json', '/version']);
    const [health, openApi, version] = all.map(({ bytes }) => bytes);
    expect((health ?? 0) + (openApi ?? 0) + (version ?? 0)).toBe(received);
    expect(openApi).toBeGreaterThan(100_000);
    expect(health).toBeLessThan(2000);
  });

  it('has one line for a WebSocket when it closes and one for a rejected upgrade', async () => {
    const address = kit.url.replace('http', 'ws');
    const client = createClient({
      url: `${address}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${kit.keys.BASIC}` },
      lazy: true,
      retryAttempts: 0,
    });
    for await (const result of client.iterate({ query: '{ viewer { role } }' })) expect(result.errors).toBeUndefined();
    await client.dispose();
    await written(1);
    const refused = new WebSocket(`${address}/elsewhere`, 'graphql-transport-ws');
    await once(refused, 'error');
    expect((await written(2)).map(({ method, path, status, tokenId }) => [method, path, status, tokenId])).toEqual([
      ['GET', '/graphql', 101, tokenId],
      ['GET', '/elsewhere', 404, null],
    ]);
  });

  it('contains no secret, not even in a path, and no session ID of a visitor’s chat', async () => {
    const chat = '0e6dd1c8-3b0f-4d5e-9d5e-3c2f2f0d1c11';
    const embed = '9a1f7b46-52d0-4f7c-8f0e-2f9b3c4d5e6f';
    await kit.rest('GET', `/api/embed/${embed}/${chat}`, { key: null });
    await kit.rest('GET', `/embed/${embed}/${chat}`, { key: null });
    await kit.rest('GET', `/api/invite/${kit.keys.ADMIN}`, { key: null });
    await kit.rest('GET', `/api/me?token=${kit.keys.ADMIN}`, { headers: { 'x-request-id': kit.keys.ADMIN } });
    const all = await written(4);
    expect(all.map(({ path }) => path)).toEqual([
      `/api/embed/${embed}/[session]`,
      `/embed/${embed}/[session]`,
      '/api/invite/on_[redacted]',
      '/api/me',
    ]);
    expect(kit.log.join('')).not.toContain(kit.keys.ADMIN.slice(3));
    expect(kit.log.join('')).not.toContain(chat);
  });
});

describe('a request ID', () => {
  const sent = async (id: string) =>
    (await kit.rest('GET', '/health', { key: null, headers: { 'x-request-id': id } })).headers.get('x-request-id');
  const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

  it.each(['a', 'A-Z_0.9', 'x'.repeat(128)])('is kept when it is well-formed: %s', async (id) => {
    expect(await sent(id)).toBe(id);
  });

  it.each(['', 'a b', 'ä', 'a/b', 'a"b', 'x'.repeat(129)])(
    'is replaced by a UUID when it is malformed: %j',
    async (id) => {
      expect(await sent(id)).toMatch(uuid);
    },
  );

  it('is replaced by a UUID when it is a credential', async () => {
    expect(await sent(kit.keys.ADMIN)).toMatch(uuid);
  });

  it('is generated and written to the access log for a request that fails', async () => {
    const { errors } = await kit.gql('{ nothing }');
    expect(errors).toHaveLength(1);
    const [line] = await written(1);
    expect(line?.requestId).toMatch(uuid);
  });
});
