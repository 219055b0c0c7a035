import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Answer, type GraphQLAnswer, type Kit, type RoleName, startKit, withScopes } from '../../../test/kit.ts';
import { permissionConstant, permissions, rolePermissions } from '../../authz/permissions.ts';
import { isWellFormedSecret, newSecret } from '../../authz/secret.ts';
import { globalId } from '../../graphql/id-input.ts';
import { permissionNames } from '../../rest/permission-names.ts';
import { endOfDay } from './lifetime.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

const day = 24 * 3600 * 1000;
const roleNames: RoleName[] = ['LIMITED', 'BASIC', 'ADMIN'];
const restRole = (role: RoleName) => role.toLowerCase();
const groupsOf = { LIMITED: [], BASIC: [{ id: 2, name: 'Basic' }], ADMIN: [{ id: 1, name: 'Admin' }] };
const rightsOf = (role: RoleName) => permissions.filter((name) => rolePermissions(role).has(name));

const keyFields = `databaseId name display role user { databaseId } scopes createdAt expiresAt disabled lastUsedAt lastUsedAddress
  previousSecretExpiresAt createdBy { id: databaseId name accountType }`;
const patFields = 'databaseId name display scopes createdAt expiresAt lastUsedAt lastUsedAddress';

const createKey = (input: object, key?: string | null, on = kit) =>
  on.gql(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
const updateKey = (input: object, key?: string | null, on = kit) =>
  on.gql(
    `mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
const regenerateKey = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
const deleteKey = (input: object, key?: string | null, on = kit) =>
  on.gql('mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedApiKeyId } }', { input }, key);
const createPat = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: CreatePersonalAccessTokenInput!) {
      createPersonalAccessToken(input: $input) { secret personalAccessToken { ${patFields} } }
    }`,
    { input: withScopes(input) },
    key,
  );
const revokePat = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: RevokePersonalAccessTokenInput!) {
      revokePersonalAccessToken(input: $input) { personalAccessToken { databaseId } }
    }`,
    { input: withScopes(input) },
    key,
  );
interface ListedKey extends Record<string, unknown> {
  id: string;
  databaseId: number;
}
/** Returns all keys, page by page. */
async function listKeys(key?: string | null): Promise<{ nodes: ListedKey[]; totalCount: number }> {
  const nodes: ListedKey[] = [];
  for (let after: string | null = null; ; ) {
    const { data } = await kit.gql(
      `query ($after: String) { apiKeys(first: 50, after: $after) {
        totalCount nodes { id ${keyFields} } pageInfo { hasNextPage endCursor }
      } }`,
      { after },
      key,
    );
    nodes.push(...data.apiKeys.nodes);
    if (!data.apiKeys.pageInfo.hasNextPage) return { nodes, totalCount: data.apiKeys.totalCount };
    after = data.apiKeys.pageInfo.endCursor;
  }
}
/** Returns a key as the list contains it. */
async function listedKey(id: number): Promise<ListedKey> {
  const found = (await listKeys()).nodes.find((node) => node.databaseId === id);
  if (!found) throw new Error(`the key ${id} is not listed`);
  return found;
}
const listPats = async (key: string) =>
  (await kit.gql(`{ personalAccessTokens(first: 100) { totalCount nodes { ${patFields} } } }`, {}, key)).data
    .personalAccessTokens;

/** Returns the viewer of a secret, or null when it does not work. */
async function viewer(secret: string, on = kit) {
  const query = '{ viewer { role permissions token { scopes expiresAt } user { id: databaseId name email } } }';
  const { viewer: found } = (await on.gql(query, {}, secret)).data ?? {};
  if (!found) return null;
  const { user, permissions: held, token, ...rest } = found;
  const scopes = token.scopes && permissionNames(token.scopes);
  return { ...rest, ...user, permissions: permissionNames(held), token: { ...token, scopes } };
}
const works = async (secret: string): Promise<boolean> => {
  const [graph, rest] = [await viewer(secret), await kit.rest('GET', '/api/me', { key: secret })];
  expect(rest.status).toBe(graph ? 200 : 403);
  return graph !== null;
};

/** Expects that an operation is denied and changes no data. */
async function unchanged<T>(attempt: () => Promise<T>, on = kit): Promise<T> {
  const before = await on.fingerprint();
  const answer = await attempt();
  expect(await on.fingerprint()).toBe(before);
  return answer;
}
const codeOf = ({ data, errors }: GraphQLAnswer): unknown => {
  expect(data === null || Object.values(data).every((value) => value === null)).toBe(true);
  return errors[0]?.extensions.code;
};
const lacking = (permission: string) => ({
  code: 'FORBIDDEN',
  reason: 'MISSING_PERMISSION',
  requiredPermissions: [permission],
});
const insufficient = {
  error_code: 'INSUFFICIENT_PERMISSIONS',
  detail: 'You do not have the required permissions for this action.',
};

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

describe('updating an API key', () => {
  test('changes the e-mail address of its user immediately when the key is renamed', async () => {
    const { id, secret, userId } = await kit.createKey('BASIC', { name: 'before' });
    const { data } = await updateKey({ id, name: '  After  ' });
    expect(data.updateApiKey.apiKey).toMatchObject({ name: 'After', role: 'BASIC', user: { databaseId: userId } });
    expect(await viewer(secret)).toMatchObject({ name: 'After', email: `api_key__after@${userId}onyxapikey.ai` });
    await updateKey({ id, clear: ['NAME'] });
    expect(await viewer(secret)).toMatchObject({ name: 'Unnamed', email: `api_key__unnamed@${userId}onyxapikey.ai` });
  });

  test('leaves a field unchanged that is null or absent', async () => {
    const expiresAt = new Date(Date.now() + day).toISOString();
    const { data } = await createKey({ name: 'kept', role: 'BASIC', scopes: ['read:chat'], expiresAt });
    const { databaseId } = data.createApiKey.apiKey;
    const nulls = { name: null, role: null, scopes: null, allScopes: null, expiresAt: null, neverExpires: null };
    const off = { allScopes: false, neverExpires: false, clear: [] };
    for (const change of [{}, { name: 'kept' }, { ...nulls, disabled: null, clear: null }, off])
      expect((await updateKey({ id: databaseId, ...change })).data.updateApiKey.apiKey).toEqual(
        data.createApiKey.apiKey,
      );
  });

  test('applies a higher or lower role from the next request', async () => {
    const { id, secret, userId } = await kit.createKey('LIMITED');
    for (const role of ['ADMIN', 'BASIC', 'LIMITED'] as const) {
      await updateKey({ id, role });
      expect(await viewer(secret)).toMatchObject({ id: userId, role, permissions: rightsOf(role) });
    }
  });

  test('restricts the key with scopes, and removes the restriction with allScopes', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    await updateKey({ id, scopes: ['read:agents'] });
    expect((await viewer(secret)).permissions).toEqual(['read:agents']);
    await updateKey({ id, allScopes: true });
    expect((await viewer(secret)).permissions).toEqual(rightsOf('BASIC'));
  });

  test('drops the scopes beyond a lesser role, and is rejected when no scope would remain', async () => {
    const { id, secret } = await kit.createKey('BASIC', { scopes: ['read:agents', 'read:chat'] });
    const { data } = await updateKey({ id, role: 'LIMITED' });
    expect(data.updateApiKey.apiKey.scopes).toEqual(['READ_AGENTS']);
    await updateKey({ id, role: 'BASIC' });
    expect((await viewer(secret)).permissions).toEqual(['read:agents']);
    await updateKey({ id, scopes: ['read:chat'] });
    const refused = await unchanged(() => updateKey({ id, role: 'LIMITED' }));
    expect(refused.errors[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      fields: [{ path: ['input', 'role'] }],
    });
  });

  test('sets and changes the expiry, and removes it with neverExpires', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    for (const expiresAt of [new Date(Date.now() + day).toISOString(), new Date(Date.now() + 2 * day).toISOString()]) {
      await updateKey({ id, expiresAt });
      expect((await viewer(secret)).token.expiresAt).toBe(expiresAt);
    }
    await updateKey({ id, neverExpires: true });
    expect((await viewer(secret)).token.expiresAt).toBe(null);
  });

  test.each([
    [{ scopes: ['read:agents'], allScopes: true }, 'input.allScopes'],
    [{ expiresAt: '2027-01-01T00:00:00Z', neverExpires: true }, 'input.neverExpires'],
    [{ name: 'x', clear: ['NAME'] }, 'input.clear.0'],
  ])('rejects the contradictory input %j, and names %s', async (change, field) => {
    const { id } = await kit.createKey('BASIC', { scopes: ['read:chat'] });
    const { errors } = await unchanged(() => updateKey({ id, ...change }));
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(errors[0]?.extensions.fields[0].path.join('.')).toBe(field);
  });

  test('disables the key and all tokens of its user, and enables them again', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const pat = await kit.createPat(secret);
    expect((await updateKey({ id, disabled: true })).data.updateApiKey.apiKey.disabled).toBe(true);
    expect([await works(secret), await works(pat.secret)]).toEqual([false, false]);
    expect(await listedKey(id)).toMatchObject({ disabled: true });
    // A change without the field leaves the key disabled.
    await updateKey({ id, name: 'still off' });
    await kit.rest('PATCH', `/api/admin/api-key/${id}`, { body: { name: 'still off' } });
    expect([await works(secret), await works(pat.secret)]).toEqual([false, false]);
    await updateKey({ id, disabled: false });
    expect([await works(secret), await works(pat.secret)]).toEqual([true, true]);
  });

  test('keeps the changes of all concurrent updates', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const answers = await Promise.all([
      updateKey({ id, disabled: true }),
      updateKey({ id, name: 'renamed' }),
      updateKey({ id, role: 'LIMITED' }),
      updateKey({ id, expiresAt: new Date(Date.now() + day).toISOString() }),
    ]);
    expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    expect(await listedKey(id)).toMatchObject({
      disabled: true,
      name: 'renamed',
      role: 'LIMITED',
      expiresAt: expect.any(String),
    });
    expect(await works(secret)).toBe(false);
  });

  test('REST PATCH changes the given fields and keeps the secret', async () => {
    const expires_at = new Date(Date.now() + day).toISOString();
    const first = { name: 'whole', role: 'admin', scopes: ['read:audit', 'read:agents'], expires_at };
    const { body: made } = await kit.rest('POST', '/api/admin/api-key', { body: first });
    const renamed = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, {
      body: { ...first, name: 'New' },
    });
    expect([renamed.status, renamed.body]).toEqual([200, { ...made, api_key: null, api_key_name: 'New' }]);
    // The request body that Onyx documents has neither scopes nor an expiry; some clients send null for fields that
    // they do not set.
    const nulls = { name: null, role: null, scopes: null, expires_at: null, all_scopes: null, never_expires: null };
    for (const body of [{}, { name: 'New', role: 'admin' }, { name: 'New', group_ids: [1] }, nulls])
      expect((await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, { body })).body).toEqual(renamed.body);
    const lifted = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, {
      body: { name: '', role: 'basic', all_scopes: true, never_expires: true },
    });
    expect(lifted.body).toEqual({
      ...made,
      api_key: null,
      api_key_name: null,
      api_key_role: 'basic',
      groups: groupsOf.BASIC,
      scopes: null,
      expires_at: null,
    });
    expect(await viewer(made.api_key)).toMatchObject({
      role: 'BASIC',
      permissions: rightsOf('BASIC'),
      email: `api_key__unnamed@${made.user_id}onyxapikey.ai`,
    });
    const groups = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, { body: { group_ids: [] } });
    expect(groups.body).toMatchObject({ api_key_role: 'limited', groups: [] });
  });
});

describe('regenerating an API key', () => {
  test('GraphQL: invalidates the old secret immediately, and keeps the ID, user and name', async () => {
    const { data } = await createKey({ name: 'turned', role: 'BASIC', scopes: ['read:chat', 'write:chat'] });
    const before = data.createApiKey;
    const { data: again } = await regenerateKey({ id: before.apiKey.databaseId });
    const after = again.regenerateApiKey;
    expect(after.secret).not.toBe(before.secret);
    expect(after.apiKey).toEqual({
      ...before.apiKey,
      display: `${after.secret.slice(0, 7)}********${after.secret.slice(-4)}`,
    });
    expect([await works(before.secret), await works(after.secret)]).toEqual([false, true]);
    expect((await viewer(after.secret)).permissions).toEqual(['write:chat', 'read:chat']);
  });

  test('REST: invalidates the old secret immediately, and keeps all other fields', async () => {
    const { body: before } = await kit.rest('POST', '/api/admin/api-key', { body: { name: 'turned' } });
    const { status, body: after } = await kit.rest('POST', `/api/admin/api-key/${before.api_key_id}/regenerate`);
    expect(status).toBe(200);
    expect(after).toEqual({ ...before, api_key: after.api_key, api_key_display: after.api_key_display });
    expect([await works(before.api_key), await works(after.api_key)]).toEqual([false, true]);
  });

  test('keeps both secrets valid until the end of the overlap, by the server’s clock', async () => {
    const { id, secret: old } = await kit.createKey('BASIC');
    const { data } = await regenerateKey({ id, overlapMinutes: 10 });
    const { secret, apiKey } = data.regenerateApiKey;
    const left = Date.parse(apiKey.previousSecretExpiresAt) - Date.now();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(10 * 60_000);
    expect([await works(old), await works(secret)]).toEqual([true, true]);
    await kit.prisma.token.update({ where: { id }, data: { previousExpiresAt: new Date() } });
    expect([await works(old), await works(secret)]).toEqual([false, true]);
  });

  test('repeated within the overlap invalidates the oldest secret; without an overlap, all but the newest', async () => {
    const { id, secret: first } = await kit.createKey('BASIC');
    const second = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey.secret;
    const third = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey.secret;
    expect([await works(first), await works(second), await works(third)]).toEqual([false, true, true]);
    const { body } = await kit.rest('POST', `/api/admin/api-key/${id}/regenerate`);
    expect([await works(second), await works(third), await works(body.api_key)]).toEqual([false, false, true]);
  });

  test('keeps a disabled key disabled', async () => {
    const { id, secret: old } = await kit.createKey('BASIC');
    await updateKey({ id, disabled: true });
    const { secret } = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey;
    expect([await works(old), await works(secret)]).toEqual([false, false]);
  });

  test.each([-1, 10081, 2 ** 31])('rejects an overlap of %d minutes, and keeps the secret', async (overlapMinutes) => {
    const { id, secret } = await kit.createKey('BASIC');
    const refused = await unchanged(() => regenerateKey({ id, overlapMinutes }));
    expect(codeOf(refused)).toBe('BAD_USER_INPUT');
    expect(refused.errors[0]?.message).toContain('overlapMinutes');
    expect(await works(secret)).toBe(true);
  });
});

describe('deleting an API key', () => {
  const ask = async (secret: string, agentId?: number): Promise<{ sessionId: string; assistantMessageId: number }> => {
    const { data, errors } = await kit.gql(
      `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId assistantMessageId } }`,
      {
        input: { message: 'How do I create a limited key?', ...(agentId !== undefined && { newSession: { agentId } }) },
      },
      secret,
    );
    expect(errors).toEqual([]);
    return data.sendChatMessage;
  };
  const createAgent = async (secret: string, input: object): Promise<number> => {
    const { data, errors } = await kit.gql(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input },
      secret,
    );
    expect(errors).toEqual([]);
    return data.createAgent.agent.databaseId;
  };

  test('deletes the private data of its user, and keeps agents and documents that other users can access', async () => {
    const key = await kit.createKey('BASIC', { name: 'doomed' });
    const friend = await kit.createKey('BASIC', { name: 'friend' });
    const pat = await kit.createPat(key.secret);
    const own = await ask(key.secret);
    const secretAgent = await createAgent(key.secret, { name: 'private' });
    const selfish = await createAgent(key.secret, { name: 'shared with itself', userIds: [key.userId] });
    const shared = await createAgent(key.secret, { name: 'shared', userIds: [friend.userId] });
    const open = await createAgent(key.secret, { name: 'public', isPublic: true });
    const byAdmin = await ask(kit.keys.ADMIN, secretAgent);
    const byFriend = await ask(friend.secret, shared);
    const document = { title: 'mine', contentHash: Uint8Array.from([1]), ownerId: key.userId };
    await kit.prisma.document.create({ data: { ...document, externalId: 'private-of-doomed', isPublic: false } });
    await kit.prisma.document.create({ data: { ...document, externalId: 'public-of-doomed', isPublic: true } });
    // A key that this key created is independent of it.
    await kit.prisma.token.update({ where: { id: friend.id }, data: { creatorId: key.userId } });

    const { data } = await deleteKey({ id: key.id });
    expect(data.deleteApiKey).toEqual({ deletedApiKeyId: globalId('ApiKey', key.id) });

    expect([await works(key.secret), await works(pat.secret), await works(friend.secret)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(await kit.prisma.user.count({ where: { id: key.userId } })).toBe(0);
    expect(await kit.prisma.token.count({ where: { id: { in: [key.id, pat.id] } } })).toBe(0);
    expect(await kit.prisma.chatSession.count({ where: { id: own.sessionId } })).toBe(0);
    expect(await kit.prisma.chatMessage.count({ where: { id: own.assistantMessageId } })).toBe(0);
    expect(await kit.prisma.run.count({ where: { sessionId: own.sessionId } })).toBe(0);
    const agents = await kit.prisma.agent.findMany({
      where: { id: { in: [secretAgent, selfish, shared, open] } },
      orderBy: { id: 'asc' },
    });
    expect(agents.map(({ id, ownerId }) => [id, ownerId])).toEqual([
      [shared, null],
      [open, null],
    ]);
    const documents = await kit.prisma.document.findMany({ where: { externalId: { endsWith: '-of-doomed' } } });
    expect(documents.map(({ externalId, ownerId }) => [externalId, ownerId])).toEqual([['public-of-doomed', null]]);
    const { nodes } = await listKeys();
    expect(nodes.map((node) => node.databaseId)).not.toContain(key.id);
    expect(await listedKey(friend.id)).toMatchObject({ createdBy: null });

    // The admin's chat with the deleted agent continues with the default agent, the friend's with the shared one.
    for (const [secret, { sessionId }, agentId] of [
      [kit.keys.ADMIN, byAdmin, 0],
      [friend.secret, byFriend, shared],
    ] as const) {
      const { data: chat } = await kit.gql(
        `query ($id: ID!) { chatSession(id: $id) { agentId messages { totalCount } } }`,
        { id: sessionId },
        secret,
      );
      expect(chat.chatSession).toEqual({ agentId, messages: { totalCount: 3 } });
      const more = await kit.gql(
        'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId answer failure { code } } }',
        { input: { message: 'And then?', sessionId } },
        secret,
      );
      expect(more.errors).toEqual([]);
      expect(more.data.sendChatMessage).toMatchObject({ sessionId, failure: null });
    }
  });

  test('returns null over REST, and 400 for a key that is already deleted', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const gone = await kit.rest('DELETE', `/api/admin/api-key/${id}`);
    expect([gone.status, gone.body]).toEqual([200, null]);
    expect(await works(secret)).toBe(false);
    const unknown = { message: `API key with id ${id} does not exist` };
    await unchanged(async () => {
      for (const [method, path, body] of [
        ['DELETE', `/api/admin/api-key/${id}`, undefined],
        ['PATCH', `/api/admin/api-key/${id}`, {}],
        ['POST', `/api/admin/api-key/${id}/regenerate`, undefined],
      ] as const) {
        const answer = await kit.rest(method, path, { body });
        expect([answer.status, answer.body]).toEqual([400, unknown]);
      }
      for (const attempt of [updateKey, regenerateKey, deleteKey])
        expect(codeOf(await attempt({ id }))).toBe('NOT_FOUND');
    });
  });

  test('accepts the global ID, and rejects a missing ID and an ID of another type', async () => {
    const { id } = await kit.createKey('BASIC', { name: 'global' });
    const listed = await listedKey(id);
    expect(listed.id).toBe(globalId('ApiKey', id));
    await unchanged(async () => {
      for (const input of [{}, { id: null }, { id: listed.id, databaseId: id }, { id: globalId('Agent', 0) }])
        expect(codeOf(await deleteKey(input))).toBe('BAD_USER_INPUT');
    });
    expect((await deleteKey({ id: listed.id })).data.deleteApiKey).toEqual({ deletedApiKeyId: listed.id });
  });
});

describe('the last admin key', () => {
  let alone: Kit;
  let id: number;
  beforeAll(async () => {
    alone = await startKit();
    ({ id } = await alone.prisma.token.findFirstOrThrow({ where: { user: { role: 'ADMIN' } } }));
  });
  afterAll(() => alone.close());

  const hopeless: Record<string, (secret: { id: number; userId: string }) => Promise<unknown>> = {
    disabled: ({ id: databaseId }) => updateKey({ id: databaseId, disabled: true }, undefined, alone),
    expired: ({ id: keyId }) => alone.prisma.token.update({ where: { id: keyId }, data: { expiresAt: new Date() } }),
    'cut to one scope': ({ id: databaseId }) =>
      updateKey({ id: databaseId, scopes: ['manage:api_keys'] }, undefined, alone),
    'of a deactivated user': ({ userId }) =>
      alone.prisma.user.update({ where: { id: userId }, data: { active: false } }),
  };

  const refused = async () => {
    await unchanged(async () => {
      for (const answer of [
        await deleteKey({ id }, undefined, alone),
        await updateKey({ id, role: 'BASIC' }, undefined, alone),
        await updateKey({ id, disabled: true }, undefined, alone),
        await updateKey({ id, scopes: ['read:audit'] }, undefined, alone),
      ])
        expect(codeOf(answer)).toBe('CONFLICT');
      for (const answer of [
        await alone.rest('DELETE', `/api/admin/api-key/${id}`),
        await alone.rest('PATCH', `/api/admin/api-key/${id}`, { body: { role: 'basic' } }),
        await alone.rest('PATCH', `/api/admin/api-key/${id}`, { body: { group_ids: [] } }),
      ])
        expect([answer.status, answer.body.error_code]).toEqual([409, 'CONFLICT']);
    }, alone);
    expect(await viewer(alone.keys.ADMIN, alone)).toMatchObject({ role: 'ADMIN', permissions: rightsOf('ADMIN') });
  };

  test('cannot be deleted, demoted, disabled or restricted to scopes', async () => {
    await refused();
  });

  test.each(Object.keys(hopeless))('remains the last one when another admin key is %s', async (state) => {
    const other = await alone.createKey('ADMIN');
    await hopeless[state]?.(other);
    await refused();
    // The other key can be deleted, since it is not the last one.
    expect((await deleteKey({ id: other.id }, undefined, alone)).errors).toEqual([]);
  });

  test('can be updated with its current name, role and state', async () => {
    expect(
      (await updateKey({ id, name: 'First admin key', role: 'ADMIN', disabled: false }, undefined, alone)).errors,
    ).toEqual([]);
  });

  test('one request fails when two admin keys delete, demote or disable each other concurrently', async () => {
    const {
      tokens,
      credentials: { authenticate },
    } = alone.booted.services;
    const client = { address: null, userAgent: null };
    const acts = {
      delete: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.deleteApiKey(by, target),
      demote: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.updateApiKey(by, target, { role: 'BASIC' }),
      disable: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.updateApiKey(by, target, { disabled: true }),
    };
    let one = { id, secret: alone.keys.ADMIN };
    for (const act of Object.values(acts)) {
      const other = await alone.createKey('ADMIN');
      // Both passed authentication before either acts.
      const [first, second] = await Promise.all([one, other].map(({ secret }) => authenticate(secret, client)));
      if (!first || !second) throw new Error('an admin key does not work');
      const ends = await Promise.allSettled([act(first, other.id), act(second, one.id)]);
      expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(ends.find((end) => end.status === 'rejected')).toMatchObject({ reason: { code: 'CONFLICT' } });
      if (ends[1].status === 'fulfilled') one = other;
      alone.keys.ADMIN = one.secret;
      expect((await viewer(one.secret, alone)).permissions).toEqual(rightsOf('ADMIN'));
    }
    id = one.id;
  });

  test('is replaced by a new key at a start without one; a used bootstrap key is not accepted again', async () => {
    const { tokens } = alone.booted.services;
    expect(await tokens.createFirstAdminKey(null)).toBeNull();
    await alone.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } });
    const spent = alone.keys.ADMIN;
    const made = await tokens.createFirstAdminKey(spent);
    expect(made).not.toBe(spent);
    expect((await viewer(made as string, alone)).role).toBe('ADMIN');
    expect(await viewer(spent, alone)).toBeNull();
    await alone.prisma.token.updateMany({ where: { user: { role: 'ADMIN' } }, data: { expiresAt: new Date() } });
    const given = newSecret('API_KEY');
    expect(await tokens.createFirstAdminKey(given)).toBe(given);
    expect((await viewer(given, alone)).permissions).toEqual(rightsOf('ADMIN'));
  });
});

describe('a key with the scope manage:api_keys only', () => {
  let manager: { id: number; secret: string };
  let admin: { id: number; secret: string };
  beforeAll(async () => {
    manager = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    admin = await kit.createKey('ADMIN');
  });

  test('can create keys with the same scope', async () => {
    const { data } = await createKey({ role: 'ADMIN', scopes: ['manage:api_keys'] }, manager.secret);
    expect((await viewer(data.createApiKey.secret)).permissions).toEqual(['manage:api_keys']);
    const listed = await kit.rest('GET', '/api/admin/api-key', { key: manager.secret });
    expect(listed.status).toBe(200);
  });

  test.each<[string, (secret: string) => Promise<GraphQLAnswer>]>([
    ['make an admin key', (secret) => createKey({ role: 'ADMIN' }, secret)],
    ['make a limited key, which may chat', (secret) => createKey({ role: 'LIMITED' }, secret)],
    [
      'make a key with another scope',
      (secret) => createKey({ role: 'ADMIN', scopes: ['manage:api_keys', 'read:audit'] }, secret),
    ],
    ['regenerate an admin key', (secret) => regenerateKey({ id: admin.id }, secret)],
    ['delete an admin key', (secret) => deleteKey({ id: admin.id }, secret)],
    ['rename an admin key', (secret) => updateKey({ id: admin.id, name: 'x' }, secret)],
    [
      'cut an admin key down to its own size',
      (secret) => updateKey({ id: admin.id, scopes: ['manage:api_keys'] }, secret),
    ],
    ['lift its own scopes', (secret) => updateKey({ id: manager.id, allScopes: true }, secret)],
    [
      'give itself another scope',
      (secret) => updateKey({ id: manager.id, scopes: ['manage:api_keys', 'read:chat'] }, secret),
    ],
  ])('cannot %s', async (_what, attempt) => {
    expect(codeOf(await unchanged(() => attempt(manager.secret)))).toBe('FORBIDDEN');
    expect((await viewer(manager.secret)).permissions).toEqual(['manage:api_keys']);
    expect(await works(admin.secret)).toBe(true);
  });

  test.each<[string, () => Promise<Answer>]>([
    [
      'make an admin key',
      () => kit.rest('POST', '/api/admin/api-key', { key: manager.secret, body: { role: 'admin' } }),
    ],
    [
      'regenerate an admin key',
      () => kit.rest('POST', `/api/admin/api-key/${admin.id}/regenerate`, { key: manager.secret }),
    ],
    ['delete an admin key', () => kit.rest('DELETE', `/api/admin/api-key/${admin.id}`, { key: manager.secret })],
    [
      'lift its own scopes',
      () => kit.rest('PATCH', `/api/admin/api-key/${manager.id}`, { key: manager.secret, body: { all_scopes: true } }),
    ],
  ])('cannot %s through REST', async (_what, attempt) => {
    const answer = await unchanged(attempt);
    expect([answer.status, answer.body.error_code]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
  });
});

describe('personal access tokens', () => {
  test.each(['BASIC', 'ADMIN'] as const)('of a %s key: act as their creator, with the creator’s role', async (role) => {
    const owner = await kit.createKey(role);
    const { data } = await createPat({ name: 'laptop' }, owner.secret);
    const { secret, personalAccessToken } = data.createPersonalAccessToken;
    expect(isWellFormedSecret(secret, 'PERSONAL')).toBe(true);
    expect(personalAccessToken).toEqual({
      databaseId: expect.any(Number),
      name: 'laptop',
      display: `${secret.slice(0, 12)}****${secret.slice(-4)}`,
      scopes: null,
      createdAt: expect.any(String),
      expiresAt: null,
      lastUsedAt: null,
      lastUsedAddress: null,
    });
    expect(await viewer(secret)).toMatchObject({ id: owner.userId, role, permissions: rightsOf(role) });
  });

  test('REST: returns 200 with the fields of the contract, and the secret only once', async () => {
    const owner = await kit.createKey('BASIC');
    const { status, body } = await kit.rest('POST', '/api/user/pats', {
      key: owner.secret,
      body: { name: 'ci', scopes: ['read:chat'], expiration_days: 7 },
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.any(Number),
      name: 'ci',
      token_display: `${body.token.slice(0, 12)}****${body.token.slice(-4)}`,
      created_at: expect.any(String),
      expires_at: expect.stringMatching(/T23:59:59\.999Z$/),
      last_used_at: null,
      scopes: ['read:chat'],
      token: body.token,
    });
    expect(isWellFormedSecret(body.token, 'PERSONAL')).toBe(true);
    const { token: _secret, ...shown } = body;
    const list = await kit.rest('GET', '/user/pats', { key: owner.secret });
    expect([list.status, list.body]).toEqual([200, [shown]]);
  });

  test('are listed only for their owner, newest first, with their last use, without expired and revoked ones', async () => {
    const owner = await kit.createKey('BASIC');
    const made: { secret: string; personalAccessToken: { databaseId: number } }[] = [];
    for (const name of ['first', 'second', 'third', 'expired', 'revoked'])
      made.push((await createPat({ name }, owner.secret)).data.createPersonalAccessToken);
    const idOf = (at: number) => made[at]?.personalAccessToken.databaseId ?? -1;
    // Keys with the same creation time are ordered by ID.
    const createdAt = new Date();
    await kit.prisma.token.updateMany({ where: { id: { in: [idOf(0), idOf(1)] } }, data: { createdAt } });
    await kit.prisma.token.update({ where: { id: idOf(2) }, data: { createdAt: new Date(createdAt.getTime() + 1) } });
    await kit.prisma.token.update({ where: { id: idOf(3) }, data: { expiresAt: new Date() } });
    await revokePat({ id: idOf(4) }, owner.secret);
    await viewer(made[0]?.secret ?? '');
    await kit.booted.background.settled();
    const { nodes, totalCount } = await listPats(owner.secret);
    expect(totalCount).toBe(3);
    expect(nodes.map(({ name }: { name: string }) => name)).toEqual(['third', 'second', 'first']);
    expect(nodes[2]).toMatchObject({ lastUsedAt: expect.stringMatching(/Z$/), lastUsedAddress: '127.0.0.1' });
    const rest = await kit.rest('GET', '/api/user/pats', { key: owner.secret });
    expect(rest.body.map(({ name }: { name: string }) => name)).toEqual(['third', 'second', 'first']);
    for (const { secret } of made) expect(JSON.stringify(nodes) + rest.text).not.toContain(secret.slice(-36));
    // No other user's list contains them, including an administrator's.
    for (const key of [kit.keys.BASIC, kit.keys.ADMIN]) {
      const ids = (await listPats(key)).nodes.map((node: { databaseId: number }) => node.databaseId);
      expect(ids.filter((id: number) => made.some((one) => one.personalAccessToken.databaseId === id))).toEqual([]);
    }
  });

  test.each([1, 7, 30, 365, 3650])(
    '%d days: expire at 23:59:59.999 UTC of that day, in GraphQL and REST',
    async (days) => {
      const key = kit.keys.BASIC;
      const today = new Date();
      const { data } = await createPat({ name: 'ending', expiresInDays: days }, key);
      const rest = await kit.rest('POST', '/api/user/pats', { key, body: { name: 'ending', expiration_days: days } });
      // The day may have changed meanwhile.
      const expected = [endOfDay(days, today), endOfDay(days)].map((date) => date.toISOString());
      for (const expiresAt of [data.createPersonalAccessToken.personalAccessToken.expiresAt, rest.body.expires_at]) {
        expect(expected).toContain(expiresAt);
        expect(expiresAt).toMatch(/T23:59:59\.999Z$/);
      }
    },
  );

  test('expire at the end of a day in UTC, regardless of the month and the time of day', () => {
    for (const [days, now, expected] of [
      [1, '2028-02-28T23:59:59.999Z', '2028-02-29T23:59:59.999Z'],
      [1, '2028-02-29T00:00:00.000Z', '2028-03-01T23:59:59.999Z'],
      [1, '2026-12-31T23:30:00.000-05:00', '2027-01-02T23:59:59.999Z'],
      [365, '2027-03-01T12:00:00.000Z', '2028-02-29T23:59:59.999Z'],
    ] as const)
      expect(endOfDay(days, new Date(now)).toISOString()).toBe(expected);
  });

  test('stop working when they expire', async () => {
    const { id, secret } = await kit.createPat(kit.keys.BASIC, { expiresInDays: 1 });
    expect(await works(secret)).toBe(true);
    await kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } });
    expect(await works(secret)).toBe(false);
  });

  test('hold only the given scopes', async () => {
    const { secret } = await kit.createPat(kit.keys.BASIC, { scopes: ['read:agents', 'write:tokens'] });
    expect((await viewer(secret)).permissions).toEqual(['read:agents', 'write:tokens']);
    const refused = await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key: secret });
    expect([refused.status, refused.body]).toEqual([403, insufficient]);
  });

  test('with scopes can create tokens only within those scopes', async () => {
    const scopes = ['write:tokens', 'read:agents'];
    const { secret } = await kit.createPat(kit.keys.BASIC, { scopes });
    await unchanged(async () => {
      expect(codeOf(await createPat({ name: 'x' }, secret))).toBe('FORBIDDEN');
      const beyond = await createPat({ name: 'x', scopes: ['read:agents', 'read:chat'] }, secret);
      expect(beyond.errors[0]?.extensions).toEqual({ ...lacking('read:chat'), reason: 'PERMISSIONS_EXCEED_CALLER' });
      for (const body of [{ name: 'x' }, { name: 'x', scopes: null }, { name: 'x', scopes: ['read:chat'] }]) {
        const answer = await kit.rest('POST', '/api/user/pats', { key: secret, body });
        expect([answer.status, answer.body.error_code]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
      }
    });
    const { data } = await createPat({ name: 'x', scopes: ['read:agents'] }, secret);
    expect((await viewer(data.createPersonalAccessToken.secret)).permissions).toEqual(['read:agents']);
  });

  test('can be restricted to exactly the scopes that the scopes endpoint returns', async () => {
    const narrow = await kit.createPat(kit.keys.ADMIN, { scopes: ['write:tokens', 'read:audit'] });
    for (const [key, expected] of [
      [kit.keys.BASIC, rightsOf('BASIC')],
      [kit.keys.ADMIN, rightsOf('ADMIN')],
      [narrow.secret, ['write:tokens', 'read:audit']],
    ] as const) {
      const { status, body } = await kit.rest('GET', '/api/user/pats/scopes', { key });
      expect(status).toBe(200);
      expect(body.map(({ scope }: { scope: string }) => scope)).toEqual(expected);
      for (const scope of body) {
        expect(scope).toEqual({
          scope: expect.any(String),
          group_label: expect.any(String),
          label: expect.any(String),
          description: expect.any(String),
          min_tier: 'community',
          implies: [],
        });
        // Each of them can be used to create a token.
        const made = await kit.rest('POST', '/api/user/pats', { key, body: { name: 'one', scopes: [scope.scope] } });
        expect([made.status, made.body.scopes]).toEqual([200, [scope.scope]]);
      }
    }
  });

  test('can be revoked only once and only by their owner, and stop working immediately', async () => {
    const owner = await kit.createKey('BASIC');
    const other = await kit.createKey('BASIC');
    const [graph, rest, expired] = [
      await kit.createPat(owner.secret),
      await kit.createPat(owner.secret),
      await kit.createPat(owner.secret),
    ];
    await kit.prisma.token.update({ where: { id: expired.id }, data: { expiresAt: new Date() } });
    const missing = { error_code: 'NOT_FOUND', detail: 'Token not found or not owned by user' };
    const neverThere = 2_000_000_000;

    await unchanged(async () => {
      for (const key of [other.secret, kit.keys.ADMIN]) {
        const [foreign, absent] = [await revokePat({ id: graph.id }, key), await revokePat({ id: neverThere }, key)];
        expect(codeOf(foreign)).toBe('NOT_FOUND');
        expect(foreign.errors).toEqual(absent.errors);
        for (const id of [rest.id, neverThere, -1]) {
          const answer = await kit.rest('DELETE', `/api/user/pats/${id}`, { key });
          expect([answer.status, answer.body]).toEqual([404, missing]);
        }
      }
    });
    expect([await works(graph.secret), await works(rest.secret)]).toEqual([true, true]);

    expect((await revokePat({ id: graph.id }, owner.secret)).data.revokePersonalAccessToken).toEqual({
      personalAccessToken: { databaseId: graph.id },
    });
    const deleted = await kit.rest('DELETE', `/api/user/pats/${rest.id}`, { key: owner.secret });
    expect([deleted.status, deleted.body]).toEqual([200, { message: 'Token deleted successfully' }]);
    expect([await works(graph.secret), await works(rest.secret), await works(owner.secret)]).toEqual([
      false,
      false,
      true,
    ]);
    const { revokedAt } = await kit.prisma.token.findUniqueOrThrow({ where: { id: rest.id } });
    expect(revokedAt).toBeInstanceOf(Date);

    await unchanged(async () => {
      for (const { id } of [graph, rest, expired]) {
        expect(codeOf(await revokePat({ id }, owner.secret))).toBe('NOT_FOUND');
        const again = await kit.rest('DELETE', `/api/user/pats/${id}`, { key: owner.secret });
        expect([again.status, again.body]).toEqual([404, missing]);
      }
    });
  });

  test('can revoke themselves', async () => {
    const { id, secret } = await kit.createPat(kit.keys.BASIC);
    expect((await revokePat({ id }, secret)).errors).toEqual([]);
    expect(await works(secret)).toBe(false);
  });

  test('are limited to 100 valid tokens for each user; expired and revoked tokens do not count', async () => {
    const owner = await kit.createKey('BASIC');
    const row = (number: number, ended: object = {}) => ({
      kind: 'PERSONAL' as const,
      name: `made ${number}`,
      hash: Uint8Array.from(Buffer.from(`limit-${owner.userId}-${number}`.padEnd(32))),
      display: 'onyx_pat_xxx****xxxx',
      allScopes: true,
      userId: owner.userId,
      ...ended,
    });
    await kit.prisma.token.createMany({
      data: [
        ...Array.from({ length: 98 }, (_, number) => row(number)),
        row(998, { revokedAt: new Date() }),
        row(999, { expiresAt: new Date() }),
      ],
    });
    // Two concurrent creations for the last two places.
    const last = await Promise.all([createPat({ name: '99' }, owner.secret), createPat({ name: '100' }, owner.secret)]);
    expect(last.flatMap(({ errors }) => errors)).toEqual([]);
    await unchanged(async () => {
      expect(codeOf(await createPat({ name: '101' }, owner.secret))).toBe('CONFLICT');
      const rest = await kit.rest('POST', '/api/user/pats', { key: owner.secret, body: { name: '101' } });
      expect([rest.status, rest.body]).toEqual([
        409,
        { error_code: 'CONFLICT', detail: 'Too many personal access tokens (limit: 100).' },
      ]);
    });
    expect((await listPats(owner.secret)).totalCount).toBe(100);
    await revokePat({ id: last[0].data.createPersonalAccessToken.personalAccessToken.databaseId }, owner.secret);
    // Two concurrent creations for the last place.
    const race = await Promise.all([createPat({ name: 'a' }, owner.secret), createPat({ name: 'b' }, owner.secret)]);
    expect(race.map(({ errors }) => errors[0]?.extensions.code ?? 'made').sort()).toEqual(['CONFLICT', 'made']);
    // Other users are not affected.
    expect((await createPat({ name: 'mine' }, kit.keys.BASIC)).errors).toEqual([]);
  });

  test.each<[string, () => Promise<string | null>, string]>([
    ['a limited key', async () => kit.keys.LIMITED, 'FORBIDDEN'],
    [
      'a token without write:tokens',
      async () => (await kit.createPat(kit.keys.BASIC, { scopes: ['read:chat'] })).secret,
      'FORBIDDEN',
    ],
    ['a stranger', async () => null, 'UNAUTHENTICATED'],
  ])('are denied to %s, in every operation', async (_who, credential, code) => {
    const key = await credential();
    const { id } = await kit.createPat(kit.keys.BASIC);
    await unchanged(async () => {
      for (const answer of [
        await createPat({ name: 'x', scopes: ['read:agents'] }, key),
        await revokePat({ id }, key),
        await kit.gql('{ personalAccessTokens { totalCount nodes { name } } }', {}, key),
      ]) {
        expect(codeOf(answer)).toBe(code);
        if (code === 'FORBIDDEN') expect(answer.errors[0]?.extensions).toEqual(lacking('write:tokens'));
      }
      const body = code === 'FORBIDDEN' ? insufficient : { detail: 'Access denied. User is not authenticated.' };
      for (const row of [
        await kit.rest('GET', '/api/user/pats', { key }),
        await kit.rest('GET', '/api/user/pats/scopes', { key }),
        await kit.rest('POST', '/api/user/pats', { key, body: { name: 'x' } }),
        await kit.rest('DELETE', `/api/user/pats/${id}`, { key }),
      ])
        expect([row.status, row.body]).toEqual([403, body]);
    });
  });

  test('of a basic user grant the permissions of that user, and no access to administration', async () => {
    const { secret } = await kit.createPat(kit.keys.BASIC);
    expect((await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key: secret })).status).toBe(200);
    expect((await kit.rest('GET', '/api/admin/api-key', { key: secret })).status).toBe(403);
  });
});

describe('the identity and permissions of the caller', () => {
  test('are the same in viewer, can and /me/permissions, for every role and for scopes', async () => {
    const scoped = await kit.createKey('ADMIN', { scopes: ['read:audit', 'write:chat'] });
    for (const [key, expected] of [
      ...roleNames.map((role) => [kit.keys[role], rightsOf(role)] as const),
      [scoped.secret, ['write:chat', 'read:audit']] as const,
    ]) {
      expect((await viewer(key)).permissions).toEqual(expected);
      const rest = await kit.rest('GET', '/api/me/permissions', { key });
      const own = rest.body.permissions.filter((name: string) => name !== 'basic' && name !== 'admin');
      expect(own).toEqual([...expected].sort());
      for (const permission of ['read:audit', 'read:chat', 'write:chat'] as const) {
        const variables = { permission: permissionConstant(permission) };
        const { data } = await kit.gql(
          'query ($permission: Permission!) { can(permission: $permission) }',
          variables,
          key,
        );
        expect(data.can).toBe((expected as string[]).includes(permission));
      }
      const { errors } = await kit.gql('{ can(permission: NONSENSE) }', {}, key);
      expect(errors).toMatchObject([{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }]);
    }
    const whole = async (key: string) =>
      (await kit.rest('GET', '/api/me', { key })).body.effective_permissions.filter((name: string) =>
        /^(basic|admin)$/.test(name),
      );
    expect(await whole(kit.keys.ADMIN)).toEqual(['admin', 'basic']);
    expect(await whole(kit.keys.BASIC)).toEqual(['basic']);
    expect(await whole(kit.keys.LIMITED)).toEqual([]);
    expect(await whole(scoped.secret)).toEqual([]);
  });

  test('are empty for an anonymous client', async () => {
    const { data } = await kit.gql('{ viewer { role } can(permission: READ_AGENTS) }', {}, null);
    expect(data).toEqual({ viewer: null, can: false });
    const me = await kit.rest('GET', '/api/me', { key: null });
    expect([me.status, me.body]).toEqual([403, { detail: 'Unauthorized' }]);
    const rights = await kit.rest('GET', '/api/me/permissions', { key: null });
    expect([rights.status, rights.body]).toEqual([403, { detail: 'Access denied. User is not authenticated.' }]);
  });
});

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
