import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Answer, GraphQLAnswer } from '../../../test/kit.ts';
import {
  codeOf,
  createKey,
  createPat,
  day,
  deleteKey,
  kit,
  regenerateKey,
  revokePat,
  unchanged,
  updateKey,
  useTokenKit,
} from './fixtures.ts';

useTokenKit();

describe('invalid input', () => {
  const badNames: [string, unknown][] = [
    ['of no characters', ''],
    ['of blanks', '   '],
    ['of 101 characters', 'x'.repeat(101)],
    ['of 10,000 characters', 'x'.repeat(10_000)],
    ['with a NUL', 'a\0b'],
    ['with a lone surrogate', 'a\ud800b'],
    ['that is a number', 7],
    ['that is a list', ['x']],
  ];
  const badExpiries: [string, string][] = [
    ['in the past', '2020-01-01T00:00:00.000Z'],
    ['beyond 10 years', new Date(Date.now() + 4000 * day).toISOString()],
    ['that is no date', 'tomorrow'],
    ['that is no day', '2027-02-30T00:00:00Z'],
  ];

  /** Expects an error in GraphQL that names the field, in `fields` or in the message. */
  async function names(field: string, attempt: () => Promise<GraphQLAnswer>) {
    const answer = await attempt();
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
    expect(answer.status).toBeLessThan(500);
    const [error] = answer.errors;
    const fields = error?.extensions.fields?.map(({ path }: { path: string[] }) => path.join('.')) ?? [];
    expect([...fields, error?.message].join(' ')).toContain(field);
  }

  /** Expects an error of an endpoint, in one of the formats of the dialect, that names the field. */
  async function rowNames(field: string, status: number, attempt: () => Promise<Answer>) {
    const answer = await attempt();
    expect(answer.status).toBe(status);
    if (status === 422)
      expect(answer.body).toEqual({ status_code: 422, message: expect.stringContaining(field), data: null });
    else expect(answer.body).toEqual({ message: expect.stringContaining(field) });
    expect(answer.text).not.toContain('\n');
  }

  let key: { id: number; secret: string };
  let before: string;
  beforeAll(async () => {
    key = await kit.createKey('BASIC');
  });
  beforeEach(async () => {
    before = await kit.fingerprint();
  });
  // A denied operation changes no data.
  afterEach(async () => {
    expect(await kit.fingerprint()).toBe(before);
  });

  test.each(badNames)('a name %s is rejected', async (what, name) => {
    await names('name', () => createKey({ name }));
    await names('name', () => updateKey({ id: key.id, name }));
    await names('name', () => createPat({ name }));
    await rowNames('name', 422, () => kit.rest('POST', '/api/user/pats', { body: { name } }));
    // In the contract of keys, an empty name counts as absent.
    if (what === 'of no characters') return;
    const status = /(blanks|NUL|surrogate)$/.test(what) ? 400 : 422;
    await rowNames('name', status, () => kit.rest('POST', '/api/admin/api-key', { body: { name } }));
    await rowNames('name', status, () => kit.rest('PATCH', `/api/admin/api-key/${key.id}`, { body: { name } }));
  });

  test('a token without a name is rejected', async () => {
    await names('name', () => createPat({}));
    await rowNames('name', 422, () => kit.rest('POST', '/api/user/pats', { body: {} }));
  });

  test.each(badExpiries)('an expiry %s is rejected', async (what, expiry) => {
    await names('expiresAt', () => createKey({ expiresAt: expiry }));
    await names('expiresAt', () => updateKey({ id: key.id, expiresAt: expiry }));
    const status = /^that/.test(what) ? 422 : 400;
    await rowNames('expires_at', status, () =>
      kit.rest('POST', '/api/admin/api-key', { body: { expires_at: expiry } }),
    );
    await rowNames('expires_at', status, () =>
      kit.rest('PATCH', `/api/admin/api-key/${key.id}`, { body: { expires_at: expiry } }),
    );
  });

  test.each([0, -1, 3651, 1.5, 2 ** 31, '7'])('a lifetime of %j days is rejected', async (days) => {
    await names('expiresInDays', () => createPat({ name: 'x', expiresInDays: days }));
    await rowNames('expiration_days', 422, () =>
      kit.rest('POST', '/api/user/pats', { body: { name: 'x', expiration_days: days } }),
    );
  });

  test('an empty list of scopes is rejected', async () => {
    await names('scopes', () => createKey({ scopes: [] }));
    await names('scopes', () => updateKey({ id: key.id, scopes: [] }));
    await names('scopes', () => createPat({ name: 'x', scopes: [] }));
    await rowNames('scope', 400, () => kit.rest('POST', '/api/admin/api-key', { body: { scopes: [] } }));
    const pat = await kit.rest('POST', '/api/user/pats', { body: { name: 'x', scopes: [] } });
    expect([pat.status, pat.body]).toEqual([
      400,
      { error_code: 'INVALID_INPUT', detail: 'A scoped token must include at least one scope.' },
    ]);
  });

  test.each(['read:everything', '', 'READ:CHAT', 'read:chat ', '__proto__', 'admin'])(
    'the scope %j is rejected',
    async (scope) => {
      await names('scopes', () => createKey({ scopes: ['read:agents', scope] }));
      await names('scopes', () => updateKey({ id: key.id, scopes: [scope] }));
      await names('scopes', () => createPat({ name: 'x', scopes: [scope] }));
      await rowNames('scope', 400, () => kit.rest('POST', '/api/admin/api-key', { body: { scopes: [scope] } }));
      const pat = await unchanged(() => kit.rest('POST', '/api/user/pats', { body: { name: 'x', scopes: [scope] } }));
      expect([pat.status, pat.body]).toEqual([
        400,
        { error_code: 'INVALID_INPUT', detail: `Unsupported token scope(s): ${scope}` },
      ]);
    },
  );

  test('a scope beyond the role is rejected', async () => {
    await names('scopes', () => createKey({ role: 'LIMITED', scopes: ['read:chat'] }));
    await names('scopes', () => createPat({ name: 'x', scopes: ['manage:agents'] }, kit.keys.BASIC));
    const pat = await kit.rest('POST', '/api/user/pats', {
      key: kit.keys.BASIC,
      body: { name: 'x', scopes: ['manage:agents'] },
    });
    expect([pat.status, pat.body]).toEqual([
      400,
      { error_code: 'INVALID_INPUT', detail: 'The role BASIC does not include: manage:agents' },
    ]);
  });

  test.each(['OWNER', 'admin', '', 7])('the role %j is rejected', async (role) => {
    await names('role', () => createKey({ role }));
    await names('role', () => updateKey({ id: key.id, role }));
    const wrong = role === 'admin' ? 'ADMIN' : role;
    await rowNames('role', 422, () => kit.rest('POST', '/api/admin/api-key', { body: { role: wrong } }));
    await rowNames('role', 422, () => kit.rest('PATCH', `/api/admin/api-key/${key.id}`, { body: { role: wrong } }));
  });

  test('unknown groups are rejected with the message of the contract; null and other types name the field', async () => {
    for (const [method, path] of [
      ['POST', '/api/admin/api-key'],
      ['PATCH', `/api/admin/api-key/${key.id}`],
    ] as const) {
      const unknown = await kit.rest(method, path, { body: { group_ids: [1, 3, 99] } });
      expect([unknown.status, unknown.body]).toEqual([400, { message: 'Group IDs do not exist: [3, 99]' }]);
      for (const group_ids of [null, 'admin', [1.5], ['1']])
        await rowNames('group_ids', 422, () => kit.rest(method, path, { body: { group_ids } }));
    }
  });

  test('IDs that are malformed or out of range are rejected', async () => {
    for (const [id, status] of [
      [String(2 ** 31), 422],
      [String(-(2 ** 31) - 1), 422],
      ['abc', 422],
      ['1.5', 422],
      ['9'.repeat(400), 422],
      ['-1', 400],
      ['0', 400],
    ] as const) {
      const field = status === 422 ? 'api_key_id' : `API key with id ${id} does not exist`;
      await rowNames(field, status, () => kit.rest('DELETE', `/api/admin/api-key/${id}`));
      await rowNames(field, status, () => kit.rest('PATCH', `/api/admin/api-key/${id}`, { body: {} }));
      await rowNames(field, status, () => kit.rest('POST', `/api/admin/api-key/${id}/regenerate`));
      const pat = await kit.rest('DELETE', `/api/user/pats/${id}`);
      if (status === 422) expect([pat.status, pat.body.message]).toEqual([422, expect.stringContaining('token_id')]);
      else expect([pat.status, pat.body.error_code]).toEqual([404, 'NOT_FOUND']);
    }
    for (const id of [2 ** 31, 'abc', 1.5])
      for (const attempt of [deleteKey, regenerateKey, updateKey, revokePat])
        await names('input.id', () => attempt({ id }));
    for (const attempt of [deleteKey, regenerateKey, updateKey, revokePat])
      expect(codeOf(await attempt({ id: -1 }))).toBe('NOT_FOUND');
    for (const id of [
      'abc',
      '',
      Buffer.from('ApiKey:abc').toString('base64'),
      Buffer.from('ApiKey:99999999999').toString('base64'),
    ])
      expect(codeOf(await deleteKey({ id }))).toBe('BAD_USER_INPUT');
  });

  const bodies: [string, string, string][] = [
    ['POST', '/api/admin/api-key', 'createApiKey'],
    ['PATCH', '/api/admin/api-key/1', 'updateApiKey'],
    ['POST', '/api/user/pats', 'createPersonalAccessToken'],
  ];

  test.each(bodies)(
    '%s %s returns 422 for a body that is missing, malformed or not an object',
    async (method, path) => {
      for (const body of ['{"name":', '', '[]', '"name"', '7', 'null', 'name=x'])
        await rowNames('body', 422, () =>
          kit.rest(method, path, { body, headers: { 'content-type': 'application/json' } }),
        );
      await rowNames('body', 422, () => kit.rest(method, path));
    },
  );

  test.each(bodies)('%s %s returns 415 for another content type', async (method, path) => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
    ]) {
      const headers = { 'content-type': type };
      const answer = await kit.rest(method, path, { body: '{"name":"x"}', headers });
      expect(answer.status).toBe(415);
      expect(answer.body.detail).toContain('application/json');
    }
  });

  test.each([
    ['PUT', '/api/admin/api-key', ['GET', 'POST']],
    ['DELETE', '/api/admin/api-key', ['GET', 'POST']],
    ['GET', '/api/admin/api-key/1', ['DELETE', 'PATCH']],
    ['GET', '/api/admin/api-key/1/regenerate', ['POST']],
    ['PATCH', '/user/pats', ['GET', 'POST']],
    ['GET', '/user/pats/1', ['DELETE']],
    ['POST', '/me', ['GET']],
  ])('%s %s returns 405 for an unsupported method', async (method, path, allowed) => {
    const answer = await kit.rest(method, path);
    expect([answer.status, answer.body]).toEqual([405, { detail: 'Method Not Allowed' }]);
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(allowed);
  });

  test('GraphQL rejects malformed JSON, a missing body, text/plain and other methods', async () => {
    const send = (method: string, body: string | undefined, type = 'application/json') =>
      kit.rest(method, '/graphql', { ...(body !== undefined && { body }), headers: { 'content-type': type } });
    for (const body of ['{"query":', '', '[]', '7']) {
      const answer = await send('POST', body);
      expect(answer.status).toBe(400);
      expect(answer.body.errors[0].extensions.code).toBe('BAD_USER_INPUT');
    }
    const mutation = JSON.stringify({ query: 'mutation { createApiKey(input: {}) { secret } }' });
    expect((await send('POST', mutation, 'text/plain')).status).toBe(415);
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const { status } = await send(method, mutation);
      expect([404, 405]).toContain(status);
    }
    const query = `query=${encodeURIComponent('mutation { createApiKey(input: {}) { secret } }')}`;
    const { status } = await kit.rest('GET', `/graphql?${query}`);
    expect(status).toBe(405);
  });
});
