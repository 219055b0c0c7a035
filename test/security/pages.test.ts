import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { type Kit, startKit } from '../kit.ts';

let kit: Kit;
let widget: Kit;
let anybody: Kit;
beforeAll(async () => {
  kit = await startKit();
  widget = await startKit({ environment: { CORS_ORIGINS: 'https://widget.example, http://localhost:3000' } });
  anybody = await startKit({ environment: { CORS_ORIGINS: '*' } });
});
afterAll(async () => {
  await kit?.close();
  await widget?.close();
  await anybody?.close();
});

const get = (path: string, headers: Record<string, string> = {}, server = kit) =>
  fetch(`${server.url}${path}`, { headers, redirect: 'manual' });

const pages = [
  { path: '/', title: 'Latchkey' },
  { path: '/api/docs', title: 'Latchkey REST API' },
  { path: '/api/docs/', title: 'Latchkey REST API' },
  { path: '/graphql', title: 'Latchkey GraphiQL' },
  { path: '/docs', title: 'Latchkey documentation' },
  { path: '/docs/', title: 'Latchkey documentation' },
  { path: '/docs/search', title: 'Search – Latchkey' },
];
const html = { accept: 'text/html,application/xhtml+xml' };

/** Returns the tags of a page, without the content of scripts and styles. */
const tags = (page: string) =>
  page.replaceAll(/(<(script|style)\b[^>]*>)[\s\S]*?(<\/\2>)/g, '$1$3').match(/<[a-z][^>]*>/g) ?? [];

/** Returns the URLs that a tag makes a browser load, directly or through a script. */
const fetched = (tag: string) =>
  /^<a\b/.test(tag)
    ? []
    : [...tag.matchAll(/\s(?:src|href|srcset|poster|data|action)\s*=\s*["']?([^"'\s>]+)/g)].map(
        ([, url]) => url as string,
      );

describe('HTML pages', () => {
  it.each(pages)('$path is an HTML page that loads all its resources from this server', async ({ path, title }) => {
    const response = await get(path, html);
    const page = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(page).toContain(`<title>${title}</title>`);
    const named = tags(page).flatMap(fetched);
    for (const url of named) {
      expect(url).toMatch(/^(\/(?!\/)|data:)/);
      if (url.startsWith('/')) expect((await get(url)).status, url).toBe(200);
    }
    for (const [, style] of page.matchAll(/<style\b[^>]*>([\s\S]*?)<\/style>/g))
      expect(style).not.toMatch(/@import|url\(\s*["']?(https?:)?\/\//);
  });

  it.each(pages)('$path has a policy that forbids resources of other origins and framing', async ({ path }) => {
    const { headers } = await get(path, html);
    const policy = new Map(
      headers
        .get('content-security-policy')
        ?.split(';')
        .map((part) => part.trim().split(/\s+/))
        .map(([name, ...sources]) => [name, sources]),
    );
    expect(policy.get('default-src')).toEqual(["'self'"]);
    expect(policy.get('frame-ancestors')).toEqual(["'none'"]);
    expect(policy.get('object-src')).toEqual(["'none'"]);
    for (const source of [...policy.values()].flat())
      expect(source).toMatch(/^('self'|'none'|'unsafe-inline'|data:|blob:)$/);
  });

  it.each([
    ...pages.map(({ path }) => path),
    '/api/me',
    '/api/openapi.json',
    '/nowhere',
    '/docs/nowhere',
    '/health',
    '/guide/README.md',
    '/assets/swagger-ui.css',
  ])('%s has headers against MIME sniffing, framing and referrer leaks', async (path) => {
    const { headers } = await get(path, html);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.get('x-powered-by')).toBeNull();
  });

  it('the REST API page is served with its scripts, its style sheet and its OpenAPI document', async () => {
    const page = await (await get('/api/docs')).text();
    for (const [name, type, content] of [
      [/\/assets\/swagger-ui-[0-9a-f]{16}\.js/, 'text/javascript; charset=utf-8', /SwaggerUIBundle/],
      [/\/assets\/api-docs-[0-9a-f]{16}\.js/, 'text/javascript; charset=utf-8', /url: '\/api\/openapi\.json'/],
      [/\/assets\/swagger-ui-[0-9a-f]{16}\.css/, 'text/css; charset=utf-8', /\.swagger-ui/],
    ] as const) {
      const response = await get(name.exec(page)?.[0] ?? 'missing');
      expect(response.headers.get('content-type')).toBe(type);
      expect(await response.text()).toMatch(content);
    }
    const document = await get('/api/openapi.json');
    expect(document.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await document.json()).toEqual(JSON.parse(readFileSync(join(projectRoot, 'schema/openapi.json'), 'utf8')));
    expect((await get('/api')).headers.get('location')).toBe('/api/docs');
  });

  it('the guide that answers cite is served as plain text, and other files return 404', async () => {
    for (const name of ['README.md', 'docs/search.md', 'schema/permissions.md', 'permissions.md', 'schema.graphql']) {
      const response = await get(`/guide/${name}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    }
    for (const path of [
      '/guide/package.json',
      '/guide/../package.json',
      '/guide/..%2fpackage.json',
      '/guide/%2e%2e/.env',
      '/api/docs/..%2f..%2fpackage.json',
      '/guide/',
    ])
      expect((await get(path)).status, path).toBe(404);
  });
});

/** Sends a request without decompressing the response. */
const raw = (path: string, headers: Record<string, string>) =>
  new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    request(`${kit.url}${path}`, { headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    })
      .on('error', reject)
      .end();
  });

describe('the delivery of pages', () => {
  const decoders = { br: brotliDecompressSync, gzip: gunzipSync };

  /** Returns the scripts and styles of a page. */
  const assetsOf = async (path: string): Promise<string[]> => {
    const page = await (await get(path, html)).text();
    return [...new Set(page.match(/\/assets\/[\w.-]+/g))];
  };

  it.each(['/', '/api/docs', '/graphql', '/docs', '/docs/search'])(
    '%s and its assets are compressed with an encoding that the client accepts',
    async (path) => {
      const assets = await assetsOf(path);
      expect(assets.length).toBeGreaterThan(0);
      for (const url of [path, ...assets]) {
        const plain = await raw(url, html);
        expect(plain.status, url).toBe(200);
        expect(plain.headers['content-encoding']).toBeUndefined();
        expect(plain.headers.vary).toMatch(/\bAccept-Encoding\b/);
        for (const [accepted, encoding] of [
          ['gzip, deflate, br, zstd', 'br'],
          ['GZIP', 'gzip'],
          ['br;q=0, gzip;q=0.5', 'gzip'],
          ['br;q=0.1, gzip', 'gzip'],
          ['*', 'br'],
        ] as const) {
          const packed = await raw(url, { ...html, 'accept-encoding': accepted });
          expect(packed.headers['content-encoding'], `${url} ${accepted}`).toBe(encoding);
          expect(packed.headers.vary).toMatch(/\bAccept-Encoding\b/);
          expect(decoders[encoding](packed.body).equals(plain.body), `${url} ${accepted}`).toBe(true);
        }
        for (const accepted of ['', 'deflate', 'br;q=0', 'identity', ';;q=,,'])
          expect(
            (await raw(url, { ...html, 'accept-encoding': accepted })).headers['content-encoding'],
          ).toBeUndefined();
      }
    },
  );

  it.each(['/', '/api/docs', '/graphql', '/docs', '/docs/search'])(
    '%s is revalidated on each visit, and its assets are cached permanently',
    async (path) => {
      const page = await raw(path, { ...html, 'accept-encoding': 'br' });
      expect(page.headers['cache-control']).toBe('no-cache');
      const etag = page.headers.etag as string;
      const again = await raw(path, { ...html, 'accept-encoding': 'br', 'if-none-match': `"other", W/${etag}` });
      expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, etag]);
      const other = await raw(path, { ...html, 'accept-encoding': 'gzip', 'if-none-match': etag });
      expect(other.status).toBe(200);
      for (const url of await assetsOf(path)) {
        const { headers, body } = await raw(url, {});
        expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
        expect(url).toContain(createHash('sha256').update(body).digest('hex').slice(0, 16));
      }
    },
  );

  it('the pages run no inline script', async () => {
    for (const { path } of pages) {
      const response = await get(path, html);
      expect(response.headers.get('content-security-policy')).toMatch(/script-src 'self';/);
      for (const script of (await response.text()).match(/<script\b[^>]*>/g) ?? [])
        expect(script).toMatch(/ src="\/assets\/| type="application\/json"/);
    }
  });

  it('returns 404 for an asset that does not exist', async () => {
    for (const path of ['/assets/manifest.json', '/assets/', '/assets/..%2f..%2fpackage.json', '/assets/x.js'])
      expect((await get(path)).status, path).toBe(404);
  });
});

describe('public endpoints', () => {
  it.each(['', '/api'])('%s/health and /version respond without a credential', async (prefix) => {
    const health = await get(`${prefix}/health`);
    expect(health.status).toBe(200);
    expect(await health.json()).toEqual({ success: true, message: 'ok', data: null });
    const version = await get(`${prefix}/version/`);
    expect(await version.json()).toEqual({ backend_version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });
});

describe('requests from pages of other origins', () => {
  const paths = ['/api/me', '/graphql', '/health', '/nowhere', '/metrics', '/'];
  const preflight = (server: Kit, path: string, origin: string) =>
    fetch(`${server.url}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
  const allowed = (response: Response) =>
    [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));

  it.each(paths)('%s sends no CORS headers when CORS_ORIGINS is not set', async (path) => {
    for (const origin of ['https://widget.example', 'null', kit.url]) {
      expect(allowed(await get(path, { origin }))).toEqual([]);
      expect(allowed(await preflight(kit, path, origin))).toEqual([]);
    }
  });

  it.each(paths)('%s allows the origins that CORS_ORIGINS names, and no others', async (path) => {
    for (const origin of ['https://widget.example', 'http://localhost:3000']) {
      const response = await get(path, { origin }, widget);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
      expect(response.headers.get('vary')).toMatch(/origin/i);
      const asked = await preflight(widget, path, origin);
      expect(asked.status).toBe(204);
      expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
      expect(asked.headers.get('access-control-allow-methods')).toMatch(/POST/);
      expect(asked.headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/authorization.*content-type/);
    }
    for (const origin of [
      'https://elsewhere.example',
      'https://widget.example.elsewhere.example',
      'http://widget.example',
      'null',
    ]) {
      expect((await get(path, { origin }, widget)).headers.get('access-control-allow-origin')).toBeNull();
      expect((await preflight(widget, path, origin)).headers.get('access-control-allow-origin')).toBeNull();
    }
    expect(
      (await get(path, { origin: 'https://elsewhere.example' }, anybody)).headers.get('access-control-allow-origin'),
    ).toBe('*');
  });

  it('a page with a key can read the response and its X-Request-Id', async () => {
    const response = await fetch(`${widget.url}/api/persona`, {
      headers: { origin: 'https://widget.example', authorization: `Bearer ${widget.keys.LIMITED}` },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-expose-headers')).toMatch(/X-Request-Id/);
  });
});
