import { describe, expect, test } from 'vitest';
import type { Answer, RoleName } from '../../../test/kit.ts';
import { isWellFormedSecret } from '../../authz/secret.ts';
import {
  codeOf,
  createKey,
  day,
  deleteKey,
  groupsOf,
  insufficient,
  kit,
  lacking,
  listKeys,
  regenerateKey,
  restRole,
  revokePat,
  rightsOf,
  roleNames,
  unchanged,
  updateKey,
  useTokenKit,
  viewer,
} from './fixtures.ts';

useTokenKit();

describe('creating an API key', () => {
  test.each(roleNames)('%s through GraphQL: creates a service account with exactly that role', async (role) => {
    const { data } = await createKey({ name: `made ${role}`, role });
    const { secret, apiKey } = data.createApiKey;
    expect(isWellFormedSecret(secret, 'API_KEY')).toBe(true);
    expect(apiKey).toMatchObject({
      name: `made ${role}`,
      display: `${secret.slice(0, 7)}********${secret.slice(-4)}`,
      role,
      scopes: null,
      expiresAt: null,
      disabled: false,
      lastUsedAt: null,
      lastUsedAddress: null,
      previousSecretExpiresAt: null,
      createdBy: { accountType: 'SERVICE_ACCOUNT', name: 'First admin key' },
    });
    expect(await viewer(secret)).toEqual({
      id: apiKey.user.databaseId,
      name: `made ${role}`,
      email: `api_key__made ${role}@${apiKey.user.databaseId}onyxapikey.ai`.toLowerCase(),
      role,
      permissions: rightsOf(role),
      token: { scopes: null, expiresAt: null },
    });
  });

  test.each(roleNames)('%s through REST: creates a service account, and returns its role and groups', async (role) => {
    const { status, body } = await kit.rest('POST', '/api/admin/api-key', {
      body: { name: 'rest', role: restRole(role) },
    });
    expect(status).toBe(200);
    expect(isWellFormedSecret(body.api_key, 'API_KEY')).toBe(true);
    expect(body).toEqual({
      api_key_id: expect.any(Number),
      api_key_display: `${body.api_key.slice(0, 7)}********${body.api_key.slice(-4)}`,
      api_key: body.api_key,
      api_key_name: 'rest',
      api_key_role: restRole(role),
      groups: groupsOf[role],
      user_id: expect.any(String),
      scopes: null,
      project_id: null,
      created_at: expect.any(String),
      expires_at: null,
      last_used_at: null,
    });
    expect(await viewer(body.api_key)).toMatchObject({ id: body.user_id, role, permissions: rightsOf(role) });
    const me = await kit.rest('GET', '/me', { key: body.api_key });
    expect(me.body).toMatchObject({
      id: body.user_id,
      email: `api_key__rest@${body.user_id}onyxapikey.ai`,
      role: restRole(role),
      account_type: 'SERVICE_ACCOUNT',
    });
  });

  test.each<[string, object, RoleName]>([
    ['nothing: basic', {}, 'BASIC'],
    ['group 1: admin', { group_ids: [1] }, 'ADMIN'],
    ['group 2: basic', { group_ids: [2] }, 'BASIC'],
    ['both groups: admin', { group_ids: [2, 1] }, 'ADMIN'],
    ['no group: limited', { group_ids: [] }, 'LIMITED'],
    ['a role beside groups: the role', { role: 'limited', group_ids: [1] }, 'LIMITED'],
    ['a null name: a key without a name', { name: null }, 'BASIC'],
    ['fields that nobody knows: ignored', { color: 'red', role: 'basic' }, 'BASIC'],
  ])('determines the role, groups and name of a REST request: %s', async (_what, body, role) => {
    const answer = await kit.rest('POST', '/admin/api-key/', { body });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ api_key_name: null, api_key_role: restRole(role), groups: groupsOf[role] });
    const { email, role: held } = await viewer(answer.body.api_key);
    expect(held).toBe(role);
    expect(email).toBe(`api_key__unnamed@${answer.body.user_id}onyxapikey.ai`);
  });

  test('restricts the key to the given scopes, and removes duplicates', async () => {
    const wanted = ['read:chat', 'write:chat', 'read:chat'];
    const graph = await createKey({ role: 'BASIC', scopes: wanted });
    expect(graph.data.createApiKey.apiKey.scopes).toEqual(['READ_CHAT', 'WRITE_CHAT']);
    expect((await viewer(graph.data.createApiKey.secret)).permissions).toEqual(['write:chat', 'read:chat']);
    const rest = await kit.rest('POST', '/api/admin/api-key', { body: { role: 'basic', scopes: wanted } });
    expect(rest.body.scopes).toEqual(['read:chat', 'write:chat']);
    const refused = await kit.rest('GET', '/api/user/pats', { key: rest.body.api_key });
    expect([refused.status, refused.body]).toEqual([403, insufficient]);
  });

  test('accepts a name of 100 characters', async () => {
    const name = 'é'.repeat(100);
    expect((await createKey({ name, role: 'LIMITED' })).data.createApiKey.apiKey.name).toBe(name);
    expect((await kit.rest('POST', '/api/user/pats', { body: { name } })).body.name).toBe(name);
  });

  test('returns the expiry in every response', async () => {
    const expiresAt = new Date(Date.now() + 30 * day).toISOString();
    const { data } = await createKey({ role: 'LIMITED', expiresAt });
    expect(data.createApiKey.apiKey.expiresAt).toBe(expiresAt);
    expect((await viewer(data.createApiKey.secret)).token.expiresAt).toBe(expiresAt);
    const rest = await kit.rest('POST', '/api/admin/api-key', { body: { expires_at: expiresAt } });
    expect(rest.body.expires_at).toBe(expiresAt);
    const me = await kit.rest('GET', '/api/me', { key: rest.body.api_key });
    expect(me.body.token_expires_at).toBe(expiresAt);
  });

  test.each<[string, () => Promise<string | null>, string]>([
    ['a limited key', async () => kit.keys.LIMITED, 'FORBIDDEN'],
    ['a basic key', async () => kit.keys.BASIC, 'FORBIDDEN'],
    [
      'an admin’s token without manage:api_keys',
      async () => (await kit.createPat(kit.keys.ADMIN, { scopes: ['read:audit'] })).secret,
      'FORBIDDEN',
    ],
    ['a stranger', async () => null, 'UNAUTHENTICATED'],
  ])('is denied to %s, as is every other operation on keys', async (_who, credential, code) => {
    const key = await credential();
    const { id } = await kit.createKey('LIMITED');
    await unchanged(async () => {
      const answers = [
        await createKey({ role: 'LIMITED' }, key),
        await updateKey({ id, role: 'ADMIN' }, key),
        await regenerateKey({ id }, key),
        await deleteKey({ id }, key),
        await kit.gql('{ apiKeys { totalCount nodes { name } } }', {}, key),
      ];
      for (const answer of answers) {
        expect(codeOf(answer)).toBe(code);
        if (code === 'FORBIDDEN') expect(answer.errors[0]?.extensions).toEqual(lacking('manage:api_keys'));
        else expect(answer.status).toBe(401);
      }
      const rows: Answer[] = [
        await kit.rest('GET', '/api/admin/api-key', { key }),
        await kit.rest('POST', '/api/admin/api-key', { key, body: { role: 'admin' } }),
        await kit.rest('PATCH', `/api/admin/api-key/${id}`, { key, body: { role: 'admin' } }),
        await kit.rest('POST', `/api/admin/api-key/${id}/regenerate`, { key }),
        await kit.rest('DELETE', `/api/admin/api-key/${id}`, { key }),
      ];
      const body = code === 'FORBIDDEN' ? insufficient : { detail: 'Access denied. User is not authenticated.' };
      for (const row of rows) expect([row.status, row.body]).toEqual([403, body]);
    });
  });
});

describe('the list of API keys', () => {
  test('shows name, use, expiry, role, scopes and creator, and only the display form of the secret', async () => {
    const expiresAt = new Date(Date.now() + 9 * day).toISOString();
    const { data } = await createKey({
      name: 'listed',
      role: 'BASIC',
      scopes: ['read:search', 'read:users'],
      expiresAt,
    });
    const { secret, apiKey } = data.createApiKey;
    await viewer(secret);
    await kit.booted.background.settled();
    const { nodes, totalCount } = await listKeys();
    expect(totalCount).toBe(nodes.length);
    expect(nodes.find((node) => node.databaseId === apiKey.databaseId)).toEqual({
      ...apiKey,
      id: expect.any(String),
      lastUsedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      lastUsedAddress: '127.0.0.1',
    });
    const rest = await kit.rest('GET', '/api/admin/api-key');
    expect(rest.body.find((row: { api_key_id: number }) => row.api_key_id === apiKey.databaseId)).toEqual({
      api_key_id: apiKey.databaseId,
      api_key_display: apiKey.display,
      api_key: null,
      api_key_name: 'listed',
      api_key_role: 'basic',
      groups: groupsOf.BASIC,
      user_id: apiKey.user.databaseId,
      scopes: ['read:search', 'read:users'],
      project_id: null,
      created_at: apiKey.createdAt,
      expires_at: expiresAt,
      last_used_at: expect.stringMatching(/Z$/),
    });
    expect(JSON.stringify(nodes) + rest.text).not.toContain(secret.slice(-36));
  });

  test('contains keys, oldest first, and no personal tokens', async () => {
    const pat = await kit.createPat(kit.keys.BASIC);
    const ids = (await listKeys()).nodes.map((node) => node.databaseId);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(ids).not.toContain(pat.id);
    const rest = await kit.rest('GET', '/api/admin/api-key');
    expect(rest.body.map((row: { api_key_id: number }) => row.api_key_id)).toEqual(ids);
  });

  test('a personal token is not accepted as an API key, nor an API key as a personal token', async () => {
    const key = await kit.createKey('BASIC');
    const pat = await kit.createPat(key.secret);
    await unchanged(async () => {
      for (const attempt of [updateKey, regenerateKey, deleteKey])
        expect(codeOf(await attempt({ id: pat.id }))).toBe('NOT_FOUND');
      expect(codeOf(await revokePat({ id: key.id }, key.secret))).toBe('NOT_FOUND');
      const row = await kit.rest('DELETE', `/api/admin/api-key/${pat.id}`);
      expect([row.status, row.body]).toEqual([400, { message: `API key with id ${pat.id} does not exist` }]);
    });
  });
});
