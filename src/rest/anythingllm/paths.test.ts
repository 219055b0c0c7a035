import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

/** Paths, bodies and credentials as AnythingLLM clients send them (contract 0, 2.1). */
describe('requests of AnythingLLM clients', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ environment: { CORS_ORIGINS: 'https://app.example' } });
  });
  afterAll(() => kit.close());

  const send = (method: string, path: string, headers: Record<string, string> = {}, body?: BodyInit) =>
    fetch(`${kit.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${kit.keys.ADMIN}`, ...headers },
      ...(body !== undefined && { body }),
    });

  test.each(['/api/v1/auth', '/api/V1/Auth', '/API/v1/AUTH', '/api/v1/auth/', '/Api/V1/Auth/'])(
    '%s is treated as the same path',
    async (path) => {
      const answer = await send('GET', path);
      expect([answer.status, await answer.json()]).toEqual([200, { authenticated: true }]);
    },
  );

  test('path parameters are not converted to lower case', async () => {
    const answer = await send('DELETE', '/api/SYSTEM/Api-Key/Abc');
    expect([answer.status, await answer.text()]).toEqual([400, 'Bad Request']);
  });

  test('paths of other clients are case-sensitive', async () => {
    expect((await send('GET', '/api/Health')).status).toBe(404);
    expect((await send('GET', '/api/Persona')).status).toBe(404);
  });

  test('GET and HEAD /api/ping need no key', async () => {
    const answer = await fetch(`${kit.url}/api/ping`);
    expect([answer.status, await answer.json()]).toEqual([200, { online: true }]);
    const head = await fetch(`${kit.url}/api/ping/`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await fetch(`${kit.url}/api/ping`, { method: 'POST' })).status).toBe(404);
  });

  test('HEAD returns the headers of a GET without its body', async () => {
    const answer = await send('HEAD', '/api/v1/Auth');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await answer.text()).toBe('');
    expect((await fetch(`${kit.url}/api/v1/auth`, { method: 'HEAD' })).status).toBe(403);
  });

  test.each(['Bearer', 'bearer', 'Basic', 'Token', 'X'])('accept the authorization scheme %s', async (scheme) => {
    const answer = await send('GET', '/api/v1/auth', { authorization: `${scheme} ${kit.keys.LIMITED}` });
    expect(answer.status).toBe(200);
  });

  test('are rejected when the key has no scheme or follows two spaces', async () => {
    for (const authorization of [kit.keys.ADMIN, `Bearer  ${kit.keys.ADMIN}`]) {
      const answer = await send('GET', '/api/v1/auth', { authorization });
      expect([answer.status, await answer.json()]).toEqual([403, { error: 'No valid api key found.' }]);
    }
  });

  const form = () => {
    const data = new FormData();
    data.append('name', 'sent');
    return data;
  };
  test.each<[string, Record<string, string>, () => BodyInit | undefined, string | null]>([
    ['JSON', { 'content-type': 'application/json' }, () => '{"name":"sent"}', 'sent'],
    ['JSON under text/plain', { 'content-type': 'text/plain;charset=UTF-8' }, () => '{"name":"sent"}', 'sent'],
    ['a string without a content type', {}, () => '{"name":"sent"}', 'sent'],
    ['an urlencoded form', { 'content-type': 'application/x-www-form-urlencoded' }, () => 'name=sent', 'sent'],
    ['a multipart form', {}, form, 'sent'],
    ['nothing', {}, () => undefined, null],
    ['an empty text', { 'content-type': 'application/json' }, () => '', null],
  ])('a body may be %s', async (_name, headers, body, name) => {
    const answer = await send('POST', '/api/system/generate-api-key', headers, body());
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as { apiKey: { name: string | null } }).apiKey.name).toBe(name);
  });

  describe('a URL-encoded form', () => {
    const post = async (path: string, fields: string): Promise<any> =>
      (await send('POST', path, { 'content-type': 'application/x-www-form-urlencoded' }, fields)).json();
    const add = async (fields: string) => (await post('/api/v1/document/raw-text', fields)).documents[0];

    test('can contain an object', async () => {
      const document = await add('textContent=x&metadata[title]=Boxed&metadata[docAuthor]=Anna&metadata[__proto__]=y');
      expect(document).toMatchObject({ title: 'boxed.txt', docAuthor: 'Anna' });
    });

    test('can contain a list, in each of its notations', async () => {
      const { workspace } = await post('/api/v1/workspace/new', 'name=Listed');
      const { location } = await add('textContent=x&metadata[title]=Listed');
      const change = async (fields: string) =>
        (await post(`/api/v1/workspace/${workspace.slug}/update-embeddings`, fields)).workspace.documents.length;
      for (const spelt of ['LIST[]=', 'LIST[0]=', 'LIST=nothing&LIST=']) {
        const list = (name: string) => spelt.replaceAll('LIST', name) + location;
        expect([spelt, await change(list('adds')), await change(list('deletes'))]).toEqual([spelt, 1, 0]);
      }
    });
  });

  test('unknown paths, large bodies and keys in the URL return errors in the AnythingLLM format', async () => {
    const missing = await send('GET', '/api/v1/no-such-thing');
    expect([missing.status, await missing.json()]).toEqual([404, { error: 'Not Found' }]);
    const wrong = await send('PATCH', '/api/v1/auth');
    expect([wrong.status, await wrong.json()]).toEqual([405, { error: 'Method Not Allowed' }]);
    expect(wrong.headers.get('allow')).toBe('GET');
    const large = await send('POST', '/api/system/generate-api-key', {}, 'x'.repeat(21 * 1024 * 1024));
    expect([large.status, Object.keys((await large.json()) as object)]).toEqual([413, ['error']]);
    const leaked = await send('GET', `/api/v1/auth?key=${kit.keys.ADMIN}`);
    expect([leaked.status, Object.keys((await leaked.json()) as object)]).toEqual([400, ['error']]);
    const other = await send('GET', '/api/chat/no-such-thing');
    expect([other.status, await other.json()]).toEqual([404, { detail: 'Not Found' }]);
  });

  test('a preflight allows any header to a configured origin, and denies other origins', async () => {
    const ask = (origin: string) =>
      fetch(`${kit.url}/api/v1/auth`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'authorization,x-stainless-lang',
        },
      });
    const asked = await ask('https://app.example');
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(asked.headers.get('access-control-allow-headers')).toBe('authorization,x-stainless-lang');
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull();
    expect((await ask('https://elsewhere.example')).headers.get('access-control-allow-origin')).toBeNull();
  });
});
