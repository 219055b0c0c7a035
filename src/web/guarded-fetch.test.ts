import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../settings.ts';
import { type GuardedFetchOptions, guardedFetch } from './guarded-fetch.ts';

const page = '<p>Hello</p>';
const seen: { path: string; headers: IncomingHttpHeaders }[] = [];
const servers: Server[] = [];
/** Two hosts on this machine, each with its own origin. */
let here: string;
let there: string;

const routes: Record<string, RequestListener> = {
  '/page': (_request, reply) => reply.setHeader('content-type', 'Text/HTML; charset="utf-8"').end(page),
  '/gzip': (_request, reply) => reply.setHeader('content-encoding', 'gzip').end(gzipSync(page)),
  '/br': (_request, reply) => reply.setHeader('content-encoding', 'br').end(brotliCompressSync(page)),
  '/bomb': (_request, reply) => reply.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(5_000_000))),
  '/damaged': (_request, reply) => reply.setHeader('content-encoding', 'gzip').end('no gzip'),
  '/cut': (_request, reply) => {
    reply.setHeader('content-length', '100');
    reply.write('x');
    setImmediate(() => reply.destroy());
  },
  '/strange': (_request, reply) => reply.setHeader('content-encoding', 'zip').end('x'),
  '/long': (_request, reply) => reply.end('x'.repeat(2000)),
  '/announced': (_request, reply) => reply.setHeader('content-length', '2000').end('x'.repeat(2000)),
  '/missing': (_request, reply) => reply.writeHead(404).end(),
  '/silent': () => {},
  '/slow': (_request, reply) => void reply.write('x'),
  '/relative': (_request, reply) => reply.writeHead(302, { location: 'page?from=here' }).end(),
  '/across': (_request, reply) => reply.writeHead(307, { location: `${there}/page` }).end(),
  '/round': (_request, reply) => reply.writeHead(301, { location: '/round' }).end(),
  '/inside': (_request, reply) => reply.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
  '/file': (_request, reply) => reply.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/password': (_request, reply) => reply.writeHead(302, { location: `http://a:b@${new URL(there).host}/page` }).end(),
};

async function serve(): Promise<string> {
  const server = createServer((request, reply) => {
    const { pathname } = new URL(request.url ?? '', 'http://x');
    seen.push({ path: request.url ?? '', headers: request.headers });
    (routes[pathname] ?? routes['/missing'])?.(request, reply);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  [here, there] = [await serve(), await serve()];
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const get = (path: string, options: Partial<GuardedFetchOptions> = {}) =>
  guardedFetch(path.startsWith('/') ? `${here}${path}` : path, {
    maxBytes: 1000,
    allowedHosts: [new URL(here).host, new URL(there).host],
    ...options,
  });
const text = async (path: string) => Buffer.from((await get(path)).bytes).toString();

describe('a fetched page', () => {
  it('has its content, media type, charset and URL', async () => {
    const fetched = await get('/page');
    expect(fetched).toMatchObject({ mediaType: 'text/html', charset: 'utf-8' });
    expect(fetched.url.href).toBe(`${here}/page`);
    expect(Buffer.from(fetched.bytes).toString()).toBe(page);
  });

  it('is decompressed from gzip and Brotli', async () => {
    expect(await text('/gzip')).toBe(page);
    expect(await text('/br')).toBe(page);
  });

  it('has the final URL after redirects', async () => {
    expect((await get('/relative')).url.href).toBe(`${here}/page?from=here`);
    expect((await get('/across')).url.href).toBe(`${there}/page`);
  });
});

describe('request headers', () => {
  it('are sent to the requested origin only, also after a redirect', async () => {
    const headers = { Authorization: 'Bearer x', Cookie: 'a=b', 'X-Own': '1' };
    seen.length = 0;
    await get('/across', { headers });
    expect(seen.map(({ headers: { authorization, cookie } }) => [authorization, cookie])).toEqual([
      ['Bearer x', 'a=b'],
      [undefined, undefined],
    ]);
    expect(seen[1]?.headers['x-own']).toBeUndefined();
    seen.length = 0;
    await get('/relative', { headers });
    expect(seen.map(({ headers: { authorization } }) => authorization)).toEqual(['Bearer x', 'Bearer x']);
  });

  it('cannot override Host, Transfer-Encoding and Content-Length', async () => {
    seen.length = 0;
    await get('/page', {
      headers: { Host: 'evil.example', 'Transfer-Encoding': 'chunked', 'content-length': '5', 'User-Agent': 'mine' },
    });
    const [{ headers } = { headers: {} as IncomingHttpHeaders }] = seen;
    expect(headers.host).toBe(new URL(here).host);
    expect(headers['transfer-encoding']).toBeUndefined();
    expect(headers['content-length']).toBeUndefined();
    expect(headers['user-agent']).toBe('mine');
  });
});

describe('a fetch that fails', () => {
  it.each([
    'http://127.0.0.1/',
    'http://localhost/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0.0.0.0/',
    'http://10.1.2.3/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://224.0.0.1/',
    'http://[::1]/',
    'http://[::]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'https://127.0.0.1/',
  ])('rejects %s, whose address is not public', async (address) => {
    await expect(get(address)).rejects.toThrow('has an address that is not public');
  });

  it('rejects an address on this machine at a port that is not allowed', async () => {
    seen.length = 0;
    await expect(get('/page', { allowedHosts: [new URL(there).host] })).rejects.toThrow('not public');
    await expect(get('/page', { allowedHosts: [] })).rejects.toThrow('not public');
    expect(seen).toEqual([]);
    expect((await get('/page', { allowedHosts: ['127.0.0.1'] })).mediaType).toBe('text/html');
  });

  it.each([
    ['/inside', 'has an address that is not public'],
    ['/file', 'is not an http or https URL'],
    ['/password', 'has a user name or password in its URL'],
    ['/round', 'redirects too often'],
    ['/missing', 'responds with HTTP 404'],
    ['/long', 'is larger than 0 MB'],
    ['/announced', 'is larger than 0 MB'],
    ['/bomb', 'is larger than 0 MB'],
    ['/damaged', 'is damaged'],
    ['/cut', 'cannot be reached'],
    ['/strange', 'has an unsupported content encoding'],
    ['ftp://127.0.0.1/', 'is not an http or https URL'],
    ['javascript:alert(1)', 'is not an http or https URL'],
    ['nothing', 'has an invalid URL'],
    ['http://user:secret@127.0.0.1/', 'has a user name or password in its URL'],
    ['http://nowhere.invalid/', 'has an unknown host'],
  ])('rejects %s because it %s', async (path, reason) => {
    await expect(get(path)).rejects.toMatchObject({ name: 'FetchError', message: reason });
  });

  it('rejects a redirect to a host that is not allowed', async () => {
    seen.length = 0;
    await expect(get('/across', { allowedHosts: [new URL(here).host] })).rejects.toThrow('not public');
    expect(seen.map(({ path }) => path)).toEqual(['/across']);
  });

  it.each(['/silent', '/slow'])('rejects %s after the timeout', async (path) => {
    await expect(get(path, { timeoutMs: 50 })).rejects.toThrow('did not respond in time');
  });

  it.each(['/silent', '/slow'])('stops fetching %s when the caller aborts', async (path) => {
    const gone = new AbortController();
    seen.length = 0;
    const fetching = get(path, { signal: gone.signal });
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    gone.abort();
    await expect(fetching).rejects.toThrow('is no longer requested');
  });
});

describe('the setting LINK_ALLOWED_HOSTS', () => {
  it('accepts hosts with or without a port', () => {
    expect(readSettings({ LINK_ALLOWED_HOSTS: 'Wiki.example, 10.0.0.7:8080,[fd00::1]' }).linkAllowedHosts).toEqual([
      'wiki.example',
      '10.0.0.7:8080',
      '[fd00::1]',
    ]);
    expect(readSettings({}).linkAllowedHosts).toEqual([]);
  });

  it.each(['http://wiki.example', 'wiki.example/path', 'a b', 'wiki.example:80', 'u@wiki.example'])(
    'rejects %s',
    (text) => {
      expect(() => readSettings({ LINK_ALLOWED_HOSTS: text })).toThrow('LINK_ALLOWED_HOSTS');
    },
  );
});
