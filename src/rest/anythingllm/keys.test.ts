import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, returned, startKit, until } from '../../../test/kit.ts';
import { isWellFormedSecret, newSecret } from '../../authz/secret.ts';
import { permissionNames } from '../permission-names.ts';

const password = 'the password of the server';
const person = { username: 'anna', password: 'a long password' };

const told = ({ status, text, headers }: Answer) => [status, text, headers.get('content-type')?.split(';')[0] ?? null];
const json = 'application/json';
const unauthorized = [401, 'Unauthorized', 'text/plain'];
const noToken = [401, '{"error":"No auth token found."}', json];
const invalidToken = [401, '{"error":"Invalid auth token."}', json];
const noKey = [403, '{"error":"No valid api key found."}', json];

/** Sends a request with exactly these headers. */
async function send(kit: Kit, method: string, path: string, headers: Record<string, string>, body?: string) {
  const response = await fetch(`${kit.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith('{') && JSON.parse(text) };
}

interface Mode {
  generate: string;
  list: string;
  remove(id: number | string): string;
}
const single: Mode = {
  generate: '/api/system/generate-api-key',
  list: '/api/system/api-keys',
  remove: (id) => `/api/system/api-key/${id}`,
};
const multi: Mode = {
  generate: '/api/admin/generate-api-key',
  list: '/api/admin/api-keys',
  remove: (id) => `/api/admin/delete-api-key/${id}`,
};

const generated = async (kit: Kit, at: Mode, body: object = {}, key?: string) => {
  const answer = await kit.rest('POST', at.generate, { body, ...(key && { key }) });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.apiKey as { id: number; secret: string; name: string | null; createdBy: number };
};
const listed = async (kit: Kit, at: Mode, key?: string): Promise<{ id: number; secret: string }[]> =>
  (await kit.rest('GET', at.list, key ? { key } : {})).body.apiKeys;
const requestToken = (kit: Kit, body: object) => kit.rest('POST', '/api/request-token', { key: null, body });

/** Credentials without permission to manage keys, and the response to each. */
async function callersRefused(kit: Kit): Promise<[name: string, key: string | null, reply: unknown[]][]> {
  const dead = await kit.createKey('ADMIN');
  await kit.gql(`mutation { deleteApiKey(input: { id: ${dead.id} }) { deletedApiKeyId } }`);
  const off = await kit.createKey('ADMIN');
  await kit.gql(`mutation { updateApiKey(input: { id: ${off.id}, disabled: true }) { apiKey { name } } }`);
  return [
    ['a stranger', null, noToken],
    ['a deleted key', dead.secret, invalidToken],
    ['a disabled key', off.secret, invalidToken],
    ['an unknown key', newSecret('ANYTHINGLLM'), invalidToken],
    ['a malformed key', 'sk-nothing', invalidToken],
    ['a limited key', kit.keys.LIMITED, unauthorized],
    ['a basic key', kit.keys.BASIC, unauthorized],
    ['a personal token of a basic key', (await kit.createPat(kit.keys.BASIC)).secret, unauthorized],
    ['a scoped admin', (await kit.createKey('ADMIN', { scopes: ['read:agents'] })).secret, unauthorized],
    [
      'a scoped personal token',
      (await kit.createPat(kit.keys.ADMIN, { scopes: ['manage:documents'] })).secret,
      unauthorized,
    ],
  ];
}

describe.each([
  ['single-user mode', single, multi],
  ['multi-user mode', multi, single],
])('in %s', (_name, here, elsewhere) => {
  let kit: Kit;
  /** The session of the built-in owner or of a person, depending on the mode. */
  let session: string;
  beforeAll(async () => {
    kit = await startKit({ environment: { AUTH_TOKEN: password } });
    if (here === multi) await kit.rest('POST', '/api/system/enable-multi-user', { body: person });
    session = (await requestToken(kit, here === multi ? person : { password })).body.token;
    expect(session).toMatch(/^ses_/);
  });
  afterAll(() => kit.close());

  test('the mode is visible to an anonymous client and with an invalid credential', async () => {
    for (const key of [null, newSecret('ANYTHINGLLM'), kit.keys.LIMITED])
      expect((await kit.rest('GET', '/api/system/multi-user-mode', { key })).body).toEqual({
        multiUserMode: here === multi,
      });
  });

  test('TOK 2: a key is shown in full only in the response that creates it', async () => {
    for (const key of [session, kit.keys.ADMIN]) {
      const { status, body } = await kit.rest('POST', here.generate, { key, body: { name: '  script  ' } });
      expect(status).toBe(200);
      const { secret } = body.apiKey;
      expect(isWellFormedSecret(secret, 'ANYTHINGLLM')).toBe(true);
      expect(secret).toHaveLength(31);
      const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/);
      expect(body).toEqual({
        apiKey: {
          id: expect.any(Number),
          name: 'script',
          secret,
          createdBy: expect.any(Number),
          createdAt: moment,
          lastUpdatedAt: moment,
          role: 'admin',
          scopes: null,
          expires_at: null,
          last_used_at: null,
        },
        error: null,
      });
      expect((await kit.rest('GET', here.list)).text).not.toContain(secret);
    }
    const stored = JSON.stringify(await kit.prisma.token.findMany());
    expect(stored).not.toMatch(/sk-[0-9A-Za-z]{28}/);
    expect(kit.log.join('')).not.toMatch(/sk-[0-9A-Za-z]{28}/);
  });

  test('TOK 12: the list contains AnythingLLM keys only, in their display form', async () => {
    const { id, secret } = await generated(kit, here);
    const other = await kit.createKey('BASIC');
    const keys = await listed(kit, here);
    expect(keys.find((key) => key.id === id)?.secret).toBe(`${secret.slice(0, 7)}********${secret.slice(-4)}`);
    expect(keys.map((key) => key.id)).not.toContain(other.id);
    for (const key of keys) expect(key.secret).toMatch(/^sk-[0-9A-Za-z]{4}\*{8}[0-9A-Za-z]{4}$/);
    expect(await listed(kit, here, session)).toEqual(await listed(kit, here));
  });

  test('the list takes the same number of SQL statements, regardless of its length', async () => {
    await generated(kit, here);
    const count = async () => {
      await kit.rest('GET', here.list);
      kit.statements.length = 0;
      await kit.rest('GET', here.list);
      return kit.statements.filter((text) => !text.startsWith('UPDATE')).length;
    };
    const before = await count();
    for (let made = 0; made < 5; made++) await generated(kit, here);
    expect(await count()).toBe(before);
  });

  test('deleting a key takes effect immediately, and deleting it again returns 200', async () => {
    const { id, secret } = await generated(kit, here);
    expect((await kit.rest('GET', '/api/v1/auth', { key: secret })).body).toEqual({ authenticated: true });
    expect(told(await kit.rest('DELETE', here.remove(id), { key: session }))).toEqual([200, '', null]);
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: secret }))).toEqual(noKey);
    expect((await listed(kit, here)).map((key) => key.id)).not.toContain(id);
    const again = await nothingStored(kit, () => kit.rest('DELETE', here.remove(id)));
    expect(told(again)).toEqual([200, '', null]);
  });

  test.each(['abc', '1.5', '99999999999', '1e3'])('returns 400 for the key id %s', async (id) => {
    const answer = await nothingStored(kit, () => kit.rest('DELETE', here.remove(id)));
    expect(told(answer)).toEqual([400, 'Bad Request', 'text/plain']);
  });

  test('the paths of the other mode reject every caller', async () => {
    const { id } = await generated(kit, here);
    const calls: [string, string][] = [
      ['POST', elsewhere.generate],
      ['GET', elsewhere.list],
      ['DELETE', elsewhere.remove(id)],
      ['DELETE', elsewhere.remove('abc')],
    ];
    await nothingStored(kit, async () => {
      for (const [method, path] of calls) {
        for (const key of [session, kit.keys.ADMIN, kit.keys.BASIC])
          expect(told(await kit.rest(method, path, { key })), path).toEqual(unauthorized);
        expect(told(await kit.rest(method, path, { key: null })), path).toEqual(noToken);
      }
    });
  });

  test('rejects creating, listing and deleting keys without `manage:api_keys`', async () => {
    const { id } = await generated(kit, here);
    const callers = await callersRefused(kit);
    const calls: [string, string, object?][] = [
      ['POST', here.generate, { name: 'taken' }],
      ['POST', here.generate],
      ['GET', here.list],
      ['DELETE', here.remove(id)],
      ['DELETE', here.remove(0x7fff_ffff)],
      ['DELETE', here.remove('abc')],
    ];
    await nothingStored(kit, async () => {
      for (const [name, key, reply] of callers)
        for (const [method, path, body] of calls)
          expect(told(await kit.rest(method, path, { key, body })), `${name}: ${method} ${path}`).toEqual(reply);
    });
  });

  test('GraphQL denies creating, listing and deleting keys without `manage:api_keys`', async () => {
    const { id } = await generated(kit, here);
    const queries = [
      'mutation { createApiKey(input: { kind: ANYTHINGLLM, role: ADMIN }) { secret } }',
      '{ apiKeys(filter: { kinds: [ANYTHINGLLM] }) { nodes { databaseId } } }',
      `mutation { deleteApiKey(input: { id: ${id} }) { deletedApiKeyId } }`,
    ];
    await nothingStored(kit, async () => {
      for (const query of queries)
        for (const key of [kit.keys.LIMITED, kit.keys.BASIC]) {
          const { data, errors } = await kit.gql(query, {}, key);
          expect(returned(data)).toEqual([]);
          expect(errors[0]?.extensions).toEqual({
            code: 'FORBIDDEN',
            reason: 'MISSING_PERMISSION',
            requiredPermissions: ['manage:api_keys'],
          });
        }
    });
  });

  test('a scoped key cannot create a key with more permissions than its own', async () => {
    const scopes = ['manage:api_keys', 'read:agents'];
    const { secret } = await kit.createKey('ADMIN', { scopes });
    await nothingStored(kit, async () => {
      for (const body of [{}, { role: 'basic' }, { scopes: ['manage:users'] }])
        expect(told(await kit.rest('POST', here.generate, { key: secret, body }))).toEqual(unauthorized);
    });
    const made = await generated(kit, here, { scopes: ['read:agents'] }, secret);
    expect(
      permissionNames((await kit.gql('{ viewer { permissions } }', {}, made.secret)).data.viewer.permissions),
    ).toEqual(['read:agents']);
    expect((await listed(kit, here, secret)).map((key) => key.id)).toContain(made.id);
  });

  test('a key can have the limited role, scopes and an expiry', async () => {
    const rights = async (secret: string): Promise<string[]> =>
      permissionNames((await kit.gql('{ viewer { permissions } }', {}, secret)).data.viewer.permissions);
    const limited = await generated(kit, here, { role: 'limited' });
    expect(await rights(limited.secret)).toEqual(['read:agents', 'write:chat']);
    expect((await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key: limited.secret })).status).toBe(403);
    expect((await kit.rest('GET', '/api/v1/auth', { key: limited.secret })).status).toBe(200);

    const scoped = await generated(kit, here, { role: 'basic', scopes: ['read:search'] });
    expect(scoped).toMatchObject({ role: 'basic', scopes: ['read:search'] });
    expect(await rights(scoped.secret)).toEqual(['read:search']);

    const end = new Date(Date.now() + 3600_000).toISOString();
    const ending = await generated(kit, here, { expires_at: end });
    expect(ending).toMatchObject({ expires_at: end });
    expect((await kit.rest('GET', '/api/v1/auth', { key: ending.secret })).status).toBe(200);
    await kit.prisma.token.update({ where: { id: ending.id }, data: { expiresAt: new Date(Date.now() - 1) } });
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: ending.secret }))).toEqual(noKey);
    expect(told(await kit.rest('GET', '/api/system/check-token', { key: ending.secret }))).toEqual(invalidToken);
  });

  test('a key can be disabled, get a new secret and get another role', async () => {
    const { id, secret } = await generated(kit, here);
    const update = (change: string) =>
      kit.gql(`mutation { updateApiKey(input: { id: ${id}, ${change} }) { apiKey { kind role disabled } } }`);
    await update('disabled: true');
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: secret }))).toEqual(noKey);
    await update('disabled: false');
    expect((await update('role: LIMITED')).data.updateApiKey.apiKey).toEqual({
      kind: 'ANYTHINGLLM',
      role: 'LIMITED',
      disabled: false,
    });
    expect(told(await kit.rest('GET', here.list, { key: secret }))).toEqual(unauthorized);
    const { data } = await kit.gql(`mutation { regenerateApiKey(input: { id: ${id} }) { secret } }`);
    expect(isWellFormedSecret(data.regenerateApiKey.secret, 'ANYTHINGLLM')).toBe(true);
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: secret }))).toEqual(noKey);
    expect((await kit.rest('GET', '/api/v1/auth', { key: data.regenerateApiKey.secret })).status).toBe(200);
  });

  test.each([
    [422, { role: 'owner' }, 'role'],
    [422, { name: 7 }, 'name'],
    [422, { name: 'x'.repeat(101) }, 'name'],
    [422, { name: 'a\0b' }, 'name'],
    [422, { scopes: [] }, 'scopes'],
    [422, { scopes: ['nothing'] }, 'scopes'],
    [422, { expires_at: 'tomorrow' }, 'expires_at'],
    [422, { expires_at: '2001-01-01T00:00:00Z' }, 'expires_at'],
    [400, '{"name":', 'body'],
    [400, '"name"', 'body'],
    [400, '[]', 'body'],
  ])('returns %i for an invalid new key: %j', async (status, body, named) => {
    const answer = await nothingStored(kit, () => kit.rest('POST', here.generate, { body }));
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: expect.stringContaining(named) });
  });

  test.each([
    ['JSON', 'application/json', '{"name":"sent"}', 'sent'],
    ['JSON as text', 'text/plain;charset=UTF-8', '{"name":"sent"}', 'sent'],
    ['a form', 'application/x-www-form-urlencoded', 'name=sent', 'sent'],
    ['an empty object', 'application/json', '{}', null],
    ['a blank name', 'application/json', '{"name":"  "}', null],
    ['null', 'application/json', '{"name":null}', null],
    ['an empty body of JSON', 'application/json', '', null],
    ['an empty text', 'text/plain', '', null],
    ['nothing', undefined, undefined, null],
  ])('accepts %s as the body', async (_what, type, body, name) => {
    const headers = { authorization: `Bearer ${session}`, ...(type && { 'content-type': type }) };
    const answer = await send(kit, 'POST', here.generate, headers, body);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.apiKey).toMatchObject({ name, role: 'admin' });
  });

  test('returns 400 for malformed JSON under text/plain', async () => {
    const headers = { authorization: `Bearer ${session}`, 'content-type': 'text/plain' };
    const answer = await nothingStored(kit, () => send(kit, 'POST', here.generate, headers, '{"name"'));
    expect(told(answer)).toEqual([400, '{"error":"body: is not valid JSON"}', json]);
  });

  test('accepts any word as the scheme, and rejects a bare key, two spaces and an empty token', async () => {
    const { secret } = await generated(kit, here);
    const ask = (path: string, authorization: string) => send(kit, 'GET', path, { authorization });
    for (const scheme of ['Bearer', 'bearer', 'Basic', 'Token', 'x'])
      for (const key of [secret, kit.keys.LIMITED]) {
        expect((await ask('/api/v1/auth', `${scheme} ${key}`)).body).toEqual({ authenticated: true });
        expect(told(await ask('/api/system/check-token', `${scheme} ${key}`))).toEqual([200, 'OK', 'text/plain']);
      }
    for (const header of [secret, `Bearer  ${secret}`, `Basic`, kit.keys.ADMIN, `Basic Bearer ${secret}`]) {
      expect(told(await ask('/api/v1/auth', header)), header).toEqual(noKey);
      expect(told(await ask('/api/system/check-token', header)), header).toEqual(invalidToken);
    }
    for (const headers of [{}, { authorization: 'Bearer' }, { 'x-onyx-authorization': `Bearer ${secret}` }]) {
      expect(told(await send(kit, 'GET', '/api/v1/auth', headers as Record<string, string>))).toEqual(noKey);
      const told401 = told(await send(kit, 'GET', '/api/system/check-token', headers as Record<string, string>));
      expect(told401).toEqual(noToken);
    }
  });

  test('/v1/auth and check-token accept every valid credential and return one error for all invalid ones', async () => {
    const pat = (await kit.createPat(kit.keys.BASIC)).secret;
    for (const key of [kit.keys.ADMIN, kit.keys.BASIC, kit.keys.LIMITED, pat, session]) {
      expect(told(await kit.rest('GET', '/api/v1/auth', { key }))).toEqual([200, '{"authenticated":true}', json]);
      expect(told(await kit.rest('GET', '/api/system/check-token', { key }))).toEqual([200, 'OK', 'text/plain']);
    }
    const dead = await generated(kit, here);
    await kit.rest('DELETE', here.remove(dead.id));
    for (const key of [
      dead.secret,
      newSecret('ANYTHINGLLM'),
      newSecret('API_KEY'),
      'sk-short',
      'ABCDEFG-1234567-HJKMNPQ-7654321',
      `dn_${'a'.repeat(40)}`,
      'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl',
    ]) {
      expect(told(await kit.rest('GET', '/api/v1/auth', { key })), key).toEqual(noKey);
      expect(told(await kit.rest('GET', '/api/system/check-token', { key })), key).toEqual(invalidToken);
    }
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: null }))).toEqual(noKey);
  });

  test('TOK 19: an sk- key also works in GraphQL and on Onyx paths, and an on_ key on AnythingLLM paths', async () => {
    const { secret } = await generated(kit, here);
    expect((await kit.gql('{ viewer { role token { kind } } }', {}, secret)).data.viewer).toEqual({
      role: 'ADMIN',
      token: { kind: 'ANYTHINGLLM' },
    });
    const me = (headers: Record<string, string>) => send(kit, 'GET', '/api/me', headers);
    expect((await me({ authorization: `Bearer ${secret}` })).body).toMatchObject({ role: 'admin' });
    expect((await me({ 'x-onyx-authorization': `Bearer ${secret}`, authorization: 'Bearer no' })).status).toBe(200);
    const onyxKey = kit.keys.ADMIN;
    expect((await me({ authorization: onyxKey })).status).toBe(200);
    expect((await me({ 'x-onyx-authorization': onyxKey })).status).toBe(200);
    expect((await me({ authorization: secret })).status).toBe(403);
    expect((await kit.rest('GET', '/api/v1/auth', { key: onyxKey })).status).toBe(200);
    expect((await kit.rest('GET', here.list, { key: onyxKey })).status).toBe(200);
    expect(told(await send(kit, 'GET', '/api/v1/auth', { authorization: onyxKey }))).toEqual(noKey);
  });

  test('DELETE /admin/api-key/{id}, the path in the guides, deletes an sk- key', async () => {
    const { id, secret } = await generated(kit, here);
    const path = `/api/admin/api-key/${id}`;
    await nothingStored(kit, async () => {
      for (const key of [null, kit.keys.LIMITED, kit.keys.BASIC])
        expect((await kit.rest('DELETE', path, { key })).status).toBe(403);
    });
    expect((await kit.rest('DELETE', path)).status).toBe(200);
    expect(told(await kit.rest('GET', '/api/v1/auth', { key: secret }))).toEqual(noKey);
  });

  test('ignores a trailing slash, and returns 404 for the paths without /api', async () => {
    expect((await kit.rest('GET', `${here.list}/`)).status).toBe(200);
    expect((await kit.rest('GET', '/api/v1/auth/')).body).toEqual({ authenticated: true });
    for (const path of [here.list, '/api/v1/auth', '/api/system/check-token'])
      expect((await kit.rest('GET', path.replace('/api', ''))).status).toBe(404);
  });

  test('records a denied request in the audit trail', async () => {
    await kit.rest('GET', here.list, { key: kit.keys.BASIC });
    const operation = `GET ${here.list.replace('/api', '')}`;
    const where = { action: 'permission.refused', detail: { equals: { operation } } };
    expect(await until(() => kit.prisma.auditEvent.findFirst({ where }))).toMatchObject({ targetId: null });
  });
});

describe('logging in', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ environment: { AUTH_TOKEN: password } });
  });
  afterAll(() => kit.close());

  test('accepts the password of the server with any username until the first user exists', async () => {
    for (const body of [{ password }, { username: 'anything', password }]) {
      const answer = await requestToken(kit, body);
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({ valid: true, token: expect.stringMatching(/^ses_/), message: null });
      expect((await kit.rest('GET', '/api/system/check-token', { key: answer.body.token })).text).toBe('OK');
    }
    const asText = await send(
      kit,
      'POST',
      '/api/request-token',
      { 'content-type': 'text/plain' },
      JSON.stringify({ password }),
    );
    expect(asText.body).toMatchObject({ valid: true });
    const form = await send(
      kit,
      'POST',
      '/api/request-token',
      { 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams({ password }).toString(),
    );
    expect(form.body).toMatchObject({ valid: true });
  });

  test('returns 401 for a wrong or missing password', async () => {
    for (const body of [{}, { password: 'wrong' }, { password: 7 }, { password: null }]) {
      const answer = await nothingStored(kit, () => requestToken(kit, body));
      expect(told(answer)).toEqual([
        401,
        '{"valid":false,"token":null,"message":"[003] Invalid password provided"}',
        json,
      ]);
    }
    await requestToken(kit, { password });
  });

  test('succeeds when the request also carries an invalid credential', async () => {
    const answer = await kit.rest('POST', '/api/request-token', { key: newSecret('SESSION'), body: { password } });
    expect(answer.body).toMatchObject({ valid: true });
  });

  test('creating the first user requires `manage:users` and all permissions of ADMIN', async () => {
    const { secret: keys } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    const { secret: users } = await kit.createKey('ADMIN', { scopes: ['manage:users'] });
    const path = '/api/system/enable-multi-user';
    await nothingStored(kit, async () => {
      for (const key of [kit.keys.LIMITED, kit.keys.BASIC, keys, users])
        expect(told(await kit.rest('POST', path, { key, body: person }))).toEqual(unauthorized);
      expect(told(await kit.rest('POST', path, { key: null, body: person }))).toEqual(noToken);
      expect(told(await kit.rest('POST', path, { key: newSecret('ANYTHINGLLM'), body: person }))).toEqual(invalidToken);
      for (const body of [
        {},
        { ...person, username: 'Anna' },
        { ...person, password: 'short' },
        { ...person, username: 7 },
      ]) {
        const answer = await kit.rest('POST', path, { body });
        expect(answer.status).toBe(400);
        expect(answer.body).toEqual({ success: false, error: expect.stringMatching(/^(?:username|password): /) });
      }
      expect((await kit.rest('POST', path, { body: '{"username"' })).status).toBe(400);
    });
  });

  test('creating the first user ends the existing sessions and keeps the keys valid', async () => {
    const { token } = (await requestToken(kit, { password })).body;
    const key = await generated(kit, single, {}, token);
    const before = await generated(kit, single);
    const path = '/api/system/enable-multi-user';
    const racing = await Promise.all(
      [person, { ...person, username: 'bert' }].map((body) => kit.rest('POST', path, { body })),
    );
    expect(racing.map(({ status }) => status)).toEqual([200, 200]);
    expect(racing.filter(({ body }) => body.success).map(({ body }) => body)).toEqual([{ success: true, error: null }]);
    const already = { success: false, error: 'Multi-user mode is already enabled.' };
    expect(racing.filter(({ body }) => !body.success).map(({ body }) => body)).toEqual([already]);
    expect((await nothingStored(kit, () => kit.rest('POST', path, { body: person }))).body).toEqual(already);

    expect((await kit.rest('GET', '/api/system/multi-user-mode', { key: null })).body).toEqual({ multiUserMode: true });
    expect(told(await kit.rest('GET', '/api/system/check-token', { key: token }))).toEqual(invalidToken);
    for (const { secret } of [key, before])
      expect((await kit.rest('GET', '/api/v1/auth', { key: secret })).status).toBe(200);
    const ids = (await listed(kit, multi, before.secret)).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([key.id, before.id]));
  });

  test('accepts a username or an address after the first user exists', async () => {
    const [first] = await kit.prisma.user.findMany({ where: { accountType: 'STANDARD' } });
    const right = { username: first?.username ?? '', password: person.password };
    for (const username of [right.username, first?.email ?? '']) {
      const { status, body } = await requestToken(kit, { ...right, username });
      expect(status).toBe(200);
      expect(body).toEqual({
        valid: true,
        user: {
          id: first?.databaseId,
          username: right.username,
          pfpFilename: null,
          role: 'admin',
          suspended: 0,
          seen_recovery_codes: true,
          createdAt: first?.createdAt.toISOString(),
          lastUpdatedAt: expect.any(String),
          dailyMessageLimit: null,
          bio: '',
        },
        token: expect.stringMatching(/^ses_/),
        message: null,
      });
      expect(body).not.toHaveProperty('user.password');
    }
  });

  test('returns the same error for an unknown name, a wrong password and a suspended user', async () => {
    const [first] = await kit.prisma.user.findMany({ where: { accountType: 'STANDARD' } });
    const suspended = { username: 'carl', password: 'a long password' };
    const made = await kit.gql(
      'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id: databaseId } } }',
      {
        input: { ...suspended, email: 'carl@people.example', role: 'BASIC' },
      },
    );
    expect((await requestToken(kit, suspended)).body).toMatchObject({ user: { role: 'default', username: 'carl' } });
    const { id } = made.data.createUser.user;
    await kit.gql(`mutation { deactivateUser(input: { user: { id: "${id}" } }) { user { id: databaseId } } }`);
    for (const body of [
      { username: 'nobody', password: person.password },
      { username: first?.username, password: 'wrong' },
      { username: first?.username },
      { password },
      { username: 'Owner', password },
      { username: first?.username, password: 'x'.repeat(1000) },
      { username: 'a\0b', password },
      { username: 7, password },
      suspended,
    ]) {
      const answer = await nothingStored(kit, () => requestToken(kit, body));
      expect(told(answer), JSON.stringify(body)).toEqual([
        200,
        '{"valid":false,"token":null,"message":"[001] Invalid login credentials.","user":null}',
        json,
      ]);
    }
  });

  test('the list shows the creator of a key to callers with `manage:users`, and only its id to others', async () => {
    const [first] = await kit.prisma.user.findMany({ where: { accountType: 'STANDARD' } });
    const right = { username: first?.username ?? '', password: person.password };
    const { token } = (await requestToken(kit, right)).body;
    const mine = await generated(kit, multi, { name: 'mine' }, token);
    expect(mine.createdBy).toBe(first?.databaseId);
    const madeBy = async (key: string) =>
      (await kit.rest('GET', multi.list, { key })).body.apiKeys.find(({ id }: { id: number }) => id === mine.id)
        .createdBy;
    expect(await madeBy(token)).toEqual({ id: first?.databaseId, username: right.username, role: 'admin' });
    const { secret: keysOnly } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    expect(await madeBy(keysOnly)).toBe(first?.databaseId);
    const asked = '{ apiKeys(filter: { kinds: [ANYTHINGLLM] }) { nodes { databaseId createdBy { email active } } } }';
    const { data, errors } = await kit.gql(asked, {}, keysOnly);
    for (const { createdBy } of data.apiKeys.nodes) expect(createdBy).toEqual({ email: null, active: null });
    expect(errors[0]?.extensions).toEqual({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['manage:users'],
    });
    // A person without the permission: a session is treated like any other credential.
    const made = await kit.person();
    expect(told(await kit.rest('GET', multi.list, { key: made.session }))).toEqual(unauthorized);
    expect((await kit.rest('GET', '/api/system/check-token', { key: made.session })).text).toBe('OK');
  });

  test('returns 429 for too many attempts, with the fields of the other responses', async () => {
    let answer = await requestToken(kit, { username: 'dora', password: 'wrong' });
    for (let attempt = 0; attempt < 10; attempt++)
      answer = await requestToken(kit, { username: 'dora', password: 'wrong' });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const message = 'Too many attempts. Try again later.';
    expect(answer.body).toEqual({ valid: false, token: null, message, user: null, error: message });
  });
});
