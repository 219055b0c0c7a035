import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../kit.ts';
import { anchorsOf, pages, readPage } from '../markdown.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

const get = (path: string, init: RequestInit = {}) => fetch(`${kit.url}${path}`, { redirect: 'manual', ...init });

/** Returns the path of the page of a Markdown file. */
const pathOf = (file: string): string => {
  if (file === 'README.md') return '/docs';
  const name = file.replace(/^docs\//, '').replace(/(\/README)?\.md$/, '');
  return `/docs/${name.includes('/') ? name : name.toLowerCase()}`;
};

const all = (html: string, pattern: RegExp): string[] => [...html.matchAll(pattern)].map(([, found = '']) => found);
const linksIn = (html: string): string[] => all(html, /<a [^>]*?href="([^"]*)"/g);
const idsIn = (html: string): string[] => all(html, /<[a-z0-9]+ [^>]*?id="([^"]*)"/g);

describe('the pages under /docs', () => {
  it.each(pages)(
    'has a page of %s with its title, its headings and one current entry in the navigation',
    async (file) => {
      const response = await get(pathOf(file));
      expect(response.status).toBe(200);
      const html = await response.text();
      expect(all(html, /<html lang="(\w+)">/g)).toEqual(['en']);
      expect(all(html, /<(h1)[ >]/g)).toHaveLength(1);
      const ids = idsIn(html);
      expect(new Set(ids).size).toBe(ids.length);
      for (const anchor of anchorsOf(readPage(file))) if (anchor !== 'contents') expect(ids).toContain(anchor);
      expect(all(html, /<a href="(\/docs[^"]*)" aria-current="page">/g)).toEqual([
        file.startsWith('docs/decisions/') ? '/docs/decisions' : pathOf(file),
      ]);
      expect(html).not.toContain('<!--');
    },
  );

  it('link only to pages and headings that exist, and every page can be reached from /docs', async () => {
    const visited = new Map<string, string[]>();
    const anchors: string[] = [];
    const waiting = ['/docs'];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const response = await get(path, { headers: { accept: 'text/html' } });
      expect([path, response.status]).toEqual([path, 200]);
      const html = await response.text();
      visited.set(path, idsIn(html));
      if (!/^\/docs(\/|$)/.test(path)) continue;
      for (const link of linksIn(html)) {
        if (/^https?:/.test(link)) continue;
        const [target, anchor] = link.startsWith('#') ? [path, link.slice(1)] : link.split('#');
        expect(target).toMatch(/^\//);
        if (anchor !== undefined) anchors.push(`${target}#${anchor}`);
        if (!visited.has(target as string) && !waiting.includes(target as string)) waiting.push(target as string);
      }
    }
    const broken = anchors.filter((link) => {
      const [path = '', anchor = ''] = link.split('#');
      return !visited.get(path)?.includes(anchor);
    });
    expect(anchors.length).toBeGreaterThan(100);
    expect(broken).toEqual([]);
    for (const file of pages) expect([...visited.keys()]).toContain(pathOf(file));
  });

  it('are linked from the landing page, from GraphiQL and from the REST documentation', async () => {
    for (const [path, link] of [
      ['/', '/docs'],
      ['/graphql', '/docs/graphql'],
      ['/api/docs', '/docs'],
    ] as const) {
      const response = await get(path, { headers: { accept: 'text/html' } });
      expect(linksIn(await response.text())).toContain(link);
    }
  });

  it('show images with a text alternative, which browsers revalidate', async () => {
    const html = await (await get('/docs')).text();
    const images = html.match(/<img [^>]*>/g) ?? [];
    expect(images).toHaveLength(1);
    for (const image of images) {
      expect(image).toMatch(/ alt="[^"]{20,}"/);
      const path = / src="([^"]+)"/.exec(image)?.[1] ?? '';
      const { status, headers } = await get(path);
      expect([status, headers.get('content-type')]).toEqual([200, 'image/svg+xml; charset=utf-8']);
      const again = await get(path, { headers: { 'if-none-match': headers.get('etag') ?? '' } });
      expect([again.status, await again.text()]).toEqual([304, '']);
    }
  });

  it('respond to HEAD without a body', async () => {
    const [head, whole] = [await get('/docs/search', { method: 'HEAD' }), await get('/docs/search')];
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const name of ['content-type', 'etag', 'cache-control', 'content-security-policy'])
      expect(head.headers.get(name)).toBe(whole.headers.get(name));
  });

  it.each([
    '/docs/nowhere',
    '/docs/search.md',
    '/docs/..%2fpackage.json',
    '/docs/decisions/0001',
    '/docs/SEARCH',
    '/docs/manifest.json',
  ])('%s returns 404 as a page with the navigation, for every method', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const response = await get(path, { method });
      expect([response.status, response.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
      const html = await response.text();
      expect(html).toContain('<h1>Page not found</h1>');
      expect(linksIn(html)).toContain('/docs/quickstart');
      expect(html).not.toContain('aria-current');
    }
  });

  it.each(['/docs', '/docs/', '/docs/search'])(
    '%s returns 405 as a page for other methods than GET and HEAD',
    async (path) => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const response = await get(path, { method, ...(method !== 'OPTIONS' && { body: 'x' }) });
        expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
        expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
        expect(await response.text()).toContain('<h1>Method not allowed</h1>');
      }
    },
  );

  it.each([
    ['What is Latchkey?', 'quickstart'],
    ['Which port does the server listen on?', 'settings'],
    ['Can a limited key read chat history?', 'keys-and-permissions'],
    ['How do I create a limited key?', 'keys-and-permissions'],
    ['How do I back up the embedded database?', 'deployment'],
    ['How do I stream an answer with a subscription?', 'graphql'],
  ])('answer "%s" with a citation of /docs/%s', async (message, page) => {
    const { body } = await kit.rest('POST', '/api/chat/send-chat-message', { body: { message, stream: false } });
    const cited = all(body.answer, /\]\((http[^)]+)\)/g).map((link) => new URL(link).pathname);
    expect(cited).toContain(`/docs/${page}`);
    for (const path of cited) expect((await get(path)).status).toBe(200);
    expect(body.answer).not.toContain('<!--');
  });
});
