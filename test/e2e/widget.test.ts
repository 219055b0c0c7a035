import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, browserFile, type Payload, startBrowser } from '../browser.ts';
import { type Kit, startKit } from '../kit.ts';

/** A chat widget on the page of another site: what a browser allows, and what the server tells the browser. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit.close());

const made = async (body: object = {}): Promise<string> => {
  const answer = await kit.rest('POST', '/api/v1/embed/new', {
    body: { workspace_slug: 'default', chat_mode: 'chat', ...body },
  });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.embed.uuid;
};

describe('CORS headers for chat widgets', () => {
  const origin = 'https://shop.example';
  const preflight = (path: string, from: string) =>
    fetch(`${kit.url}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-other',
      },
    });
  const corsOf = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'));

  test.each([
    ['no page', {}],
    ['that page', { allowlist_domains: 'shop.example' }],
  ])('allow the page’s origin for a widget that names %s', async (_name, body) => {
    const uuid = await made(body);
    const asked = await preflight(`/api/embed/${uuid}/stream-chat`, origin);
    expect([asked.status, await asked.text()]).toEqual([204, '']);
    expect(corsOf(asked)).toEqual({
      vary: 'Origin, Access-Control-Request-Headers',
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
      'access-control-allow-headers': 'content-type,x-other',
    });
    for (const [method, path] of [
      ['POST', 'stream-chat'],
      ['GET', randomUUID()],
      ['DELETE', randomUUID()],
    ] as const) {
      const answer = await fetch(`${kit.url}/api/embed/${uuid}/${path}`, {
        method,
        headers: { origin },
        ...(method === 'POST' && { body: JSON.stringify({ sessionId: randomUUID(), message: 'Hello' }) }),
      });
      expect(answer.status, await answer.text()).toBe(200);
      expect(corsOf(answer)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'X-Request-Id, Retry-After',
      });
    }
  });

  test('do not allow the origin of a page that the widget does not name', async () => {
    const uuid = await made({ allowlist_domains: 'other.example' });
    const asked = await preflight(`/api/embed/${uuid}/stream-chat`, origin);
    expect([asked.status, corsOf(asked)]).toEqual([204, { vary: 'Origin' }]);
    const answer = await fetch(`${kit.url}/api/embed/${uuid}/${randomUUID()}`, { headers: { origin } });
    expect([answer.status, corsOf(answer)]).toEqual([401, { vary: 'Origin' }]);
  });

  test('let the page read the error of a disabled or unknown widget', async () => {
    const uuid = await made();
    await kit.rest('POST', `/api/v1/embed/${uuid}`, { body: { enabled: false } });
    for (const id of [uuid, randomUUID()]) {
      const answer = await fetch(`${kit.url}/API/Embed/${id}/Stream-Chat`, { method: 'POST', headers: { origin } });
      expect(answer.status).toBe(404);
      expect(corsOf(answer)['access-control-allow-origin']).toBe(origin);
    }
  });

  test('do not allow other origins on other paths', async () => {
    for (const path of ['/api/v1/embed', '/graphql', '/api/v1/auth']) {
      const answer = await preflight(path, origin);
      await answer.text();
      expect(corsOf(answer)['access-control-allow-origin'], path).toBeUndefined();
    }
  });
});

/** The script of a widget: it asks, reads the streamed answer, reads the chat, and deletes it. */
const script = `
  const chat = async (base, sessionId) => {
    const response = await fetch(base + '/stream-chat', {
      method: 'POST',
      body: JSON.stringify({ message: 'Hello', sessionId, username: null, prompt: null, model: null, temperature: null }),
    });
    const frames = [];
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let buffer = ''; ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (buffer + value).split('\\n\\n');
      buffer = parts.pop();
      for (const part of parts) frames.push(JSON.parse(part.slice('data: '.length)));
    }
    const { history } = await (await fetch(base + '/' + sessionId)).json();
    const deleted = await fetch(base + '/' + sessionId, { method: 'DELETE' });
    const left = await (await fetch(base + '/' + sessionId)).json();
    return { status: response.status, type: response.headers.get('content-type'), frames, history, deleted: deleted.ok, left };
  };
  const [base, sessionId] = new URLSearchParams(location.search).getAll('a');
  window.result = chat(base, sessionId).catch((error) => ({ failed: error.name }));
`;

describe.skipIf(browserFile === undefined)('in a browser', () => {
  let browser: Browser;
  let site: Server;
  let page: string;
  beforeAll(async () => {
    site = createServer((_request, response) => {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<!doctype html><title>A shop</title><script>${script}</script>`);
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    page = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    browser = await startBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    site.closeAllConnections();
    site.close();
  });

  const visit = (uuid: string, sessionId: string) =>
    browser.visit(
      `${page}/?${new URLSearchParams([
        ['a', `${kit.url}/api/embed/${uuid}`],
        ['a', sessionId],
      ])}`,
    );

  test('a page of another origin sends a message, reads its chat and deletes it', async () => {
    const uuid = await made({ allowlist_domains: page });
    kit.model.script({ text: ['one ', 'two'] });
    const { status, type, frames, history, deleted, left } = await visit(uuid, randomUUID());
    expect([status, type]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(frames.map(({ type, textResponse, close, error }: Payload) => [type, textResponse, close, error])).toEqual([
      ['textResponseChunk', 'one', false, false],
      ['textResponseChunk', ' two', false, false],
      ['textResponseChunk', '', true, false],
    ]);
    expect(new Set(frames.map(({ uuid }: Payload) => uuid)).size).toBe(1);
    expect(history.map(({ role, content }: Payload) => [role, content])).toEqual([
      ['user', 'Hello'],
      ['assistant', 'one two'],
    ]);
    expect([deleted, left]).toEqual([true, { history: [] }]);
  }, 120_000);

  test('a page of an origin that the widget does not name is blocked by the browser and stores no data', async () => {
    const uuid = await made({ allowlist_domains: 'https://shop.example' });
    const before = await kit.fingerprint();
    expect(await visit(uuid, randomUUID())).toEqual({ failed: 'TypeError' });
    expect(await kit.fingerprint()).toBe(before);
  }, 120_000);
});
