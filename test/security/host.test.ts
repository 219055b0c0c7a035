import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHostCheck } from '../../src/http/host-check.ts';
import { readSettings, SettingsError } from '../../src/settings.ts';
import { type Kit, startKit } from '../kit.ts';
import { httpExchange } from './raw-http.ts';

/** DNS rebinding: a page whose name resolves to this server's address sends that name in `Host`. */
let kit: Kit;
let configured: Kit;
beforeAll(async () => {
  kit = await startKit({ environment: { PUBLIC_URL: 'https://chat.example.com:8443/latchkey' } });
  configured = await startKit({ environment: { ALLOWED_HOSTS: 'latchkey, api.example:8080, .internal.example' } });
});
afterAll(async () => {
  await kit?.close();
  await configured?.close();
});

const portOf = (server: Kit) => Number(new URL(server.url).port);

interface RawAnswer {
  status: number;
  body: string;
}

async function exchange(lines: string[], server = kit): Promise<RawAnswer> {
  const answer = await httpExchange(portOf(server), `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), body };
}

const get = (host: string, { path = '/health', headers = [] as string[], server = kit } = {}) =>
  exchange([`GET ${path} HTTP/1.1`, `Host: ${host}`, ...headers], server);

describe('the Host header', () => {
  test.each([
    'localhost',
    'localhost:4000',
    'LocalHost.',
    '127.0.0.1',
    '127.0.0.1:4000',
    '10.1.2.3:80',
    '[::1]',
    '[::1]:4000',
    '[fd00::7]:4000',
    'chat.example.com',
    'chat.example.com:8443',
    'CHAT.example.com:80',
  ])('%s is accepted', async (host) => {
    expect((await get(host)).status).toBe(200);
  });

  test.each([
    'evil.example',
    'evil.example:4000',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.localhost',
    'notlocalhost',
    'sub.chat.example.com',
    'example.com',
    '0x7f000.1',
    'latchkey',
  ])('%s is rejected with 421, and the response names the setting', async (host) => {
    const { status, body } = await get(host);
    expect(status).toBe(421);
    expect(JSON.parse(body).detail).toContain('ALLOWED_HOSTS');
    expect(JSON.parse(body).detail).toContain(`"${host}"`);
  });

  test.each([
    '',
    'evil.example/x',
    'a@127.0.0.1',
    '::1',
    '[::1',
    '[evil]',
    'localhost:x',
    '2130706433',
    'a b',
    'é.example',
  ])('"%s" is rejected with 400 or 421', async (host) => {
    expect([400, 421]).toContain((await get(host)).status);
  });

  test('a request without the header is rejected with 400', async () => {
    expect((await exchange(['GET /health HTTP/1.1'])).status).toBe(400);
    expect((await exchange(['GET /health HTTP/1.0'])).status).toBe(400);
  });

  test('two Host headers are rejected with 400, in either order', async () => {
    for (const [first, second] of [
      ['localhost', 'evil.example'],
      ['evil.example', 'localhost'],
      ['localhost', 'localhost'],
    ])
      expect((await exchange(['GET /health HTTP/1.1', `Host: ${first}`, `Host: ${second}`])).status).toBe(400);
  });

  test('is not replaced by other headers, such as X-Forwarded-Host', async () => {
    const headers = ['X-Forwarded-Host: localhost', 'Forwarded: host=localhost', 'X-Host: localhost'];
    expect((await get('evil.example', { headers })).status).toBe(421);
    expect((await get('localhost', { headers: ['X-Forwarded-Host: evil.example'] })).status).toBe(200);
  });

  test('is checked together with the host of an absolute request target', async () => {
    expect((await exchange(['GET http://evil.example/health HTTP/1.1', 'Host: localhost'])).status).toBe(421);
    expect((await exchange(['GET http://localhost/health HTTP/1.1', 'Host: evil.example'])).status).toBe(421);
    expect((await exchange(['GET http://localhost/health HTTP/1.1', 'Host: localhost'])).status).toBe(200);
  });

  test('is checked in a request for a protocol upgrade', async () => {
    const headers = ['Upgrade: h2c', 'Connection: Upgrade'];
    const sent = `GET /health HTTP/1.1\r\nHost: evil.example\r\n${headers.join('\r\n')}\r\n\r\n`;
    expect(await httpExchange(portOf(kit), sent, { endAfterSending: true })).toMatch(/^HTTP\/1.1 421 /);
  });
});

describe('a request with an unknown host', () => {
  const paths = [
    '/',
    '/graphql',
    '/api/docs',
    '/api/me',
    '/metrics',
    '/api/v1/auth',
    '/api/v1/openai/models',
    '/nowhere',
  ];
  test.each(paths)('is rejected at %s, even with a valid key', async (path) => {
    const headers = [`Authorization: Bearer ${kit.keys.ADMIN}`];
    const { status, body } = await get('evil.example', { path, headers });
    expect(status).toBe(421);
    expect(body).toContain('ALLOWED_HOSTS');
  });

  test('receives the error in the format of the dialect', async () => {
    const bodyOf = async (path: string) => JSON.parse((await get('evil.example', { path })).body);
    expect(await bodyOf('/graphql')).toEqual({
      errors: [{ message: expect.stringContaining('ALLOWED_HOSTS'), extensions: { code: 'MISDIRECTED_REQUEST' } }],
    });
    expect(await bodyOf('/api/chat/send-chat-message')).toEqual({ detail: expect.any(String) });
    expect(await bodyOf('/api/v1/workspaces')).toEqual({ error: expect.any(String) });
    expect((await bodyOf('/api/v1/openai/models')).error.message).toEqual(expect.any(String));
  });

  test('cannot register an account', async () => {
    const before = await kit.fingerprint();
    const body = JSON.stringify({ email: 'first@evil.example', password: 'a long password' });
    const head = ['POST /api/auth/register HTTP/1.1', 'Host: evil.example', 'Origin: http://evil.example'];
    const sent = [...head, 'Content-Type: application/json', `Content-Length: ${body.length}`, 'Connection: close'];
    expect(await httpExchange(portOf(kit), `${sent.join('\r\n')}\r\n\r\n${body}`)).toMatch(/^HTTP\/1.1 421 /);
    expect(await kit.fingerprint()).toBe(before);
  });

  test('cannot open a WebSocket', async () => {
    const upgrade = (host: string) =>
      httpExchange(
        portOf(kit),
        [
          'GET /graphql HTTP/1.1',
          `Host: ${host}`,
          'Connection: Upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Protocol: graphql-transport-ws',
          '\r\n',
        ].join('\r\n'),
        { endAfterSending: true },
      );
    const refused = await upgrade('evil.example');
    expect(refused).toMatch(/^HTTP\/1.1 421 Misdirected Request\r\n/);
    expect(refused).toContain('ALLOWED_HOSTS');
    expect(await upgrade('localhost')).toMatch(/^HTTP\/1.1 101 /);
  });
});

describe('ALLOWED_HOSTS', () => {
  test.each([
    ['latchkey:4000', 200],
    ['api.example:8080', 200],
    ['api.example:8081', 421],
    ['api.example', 421],
    ['internal.example', 200],
    ['a.b.internal.example:9', 200],
    ['notinternal.example', 421],
    ['localhost', 200],
  ])('%s receives status %i', async (host, status) => {
    expect((await get(host, { server: configured })).status).toBe(status);
  });

  test('* accepts every host except a malformed one', () => {
    const { publicUrl, allowedHosts } = readSettings({ ALLOWED_HOSTS: '*' });
    const check = createHostCheck(publicUrl, allowedHosts);
    expect(check({ rawHeaders: ['Host', 'evil.example'] })).toBeNull();
    expect(check({ rawHeaders: ['Host', 'evil.example/'] })?.status).toBe(400);
  });

  test('compares an international name in its ASCII form', () => {
    const { publicUrl, allowedHosts } = readSettings({ ALLOWED_HOSTS: 'Bücher.example' });
    expect(createHostCheck(publicUrl, allowedHosts)({ rawHeaders: ['host', 'xn--bcher-kva.example'] })).toBeNull();
  });

  test('matches an entry with a default port when the header has no port', () => {
    const { publicUrl, allowedHosts } = readSettings({ ALLOWED_HOSTS: 'a.example:443' });
    const check = createHostCheck(publicUrl, allowedHosts);
    expect(check({ rawHeaders: ['Host', 'a.example'] })).toBeNull();
    expect(check({ rawHeaders: ['Host', 'a.example:4000'] })?.status).toBe(421);
  });

  test.each(['https://a.example', 'a.example/path', '*.example', 'a b', 'user@a.example', '.'])(
    '"%s" prevents the start with an error that names the setting',
    (value) => {
      expect(() => readSettings({ ALLOWED_HOSTS: value })).toThrow(SettingsError);
      expect(() => readSettings({ ALLOWED_HOSTS: value })).toThrow(/^ALLOWED_HOSTS must be /);
    },
  );
});
