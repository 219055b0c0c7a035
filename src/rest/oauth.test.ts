import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Kit, startKit } from '../../test/kit.ts';
import { permissions, rolePermissions } from '../authz/permissions.ts';
import { newSecret } from '../authz/secret.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const form = 'application/x-www-form-urlencoded';
const introspect = (fields: Record<string, string>, key: string | null = kit.keys.ADMIN): Promise<Answer> =>
  kit.rest('POST', '/oauth/introspect', {
    key,
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': form },
  });

const seconds = (date: string) => Math.floor(Date.parse(date) / 1000);

describe('token introspection (RFC 7662)', () => {
  test('returns the scope, owner and times of an active token', async () => {
    const { body: key } = await kit.rest('POST', '/api/admin/api-key', {
      body: {
        name: 'gateway',
        role: 'basic',
        scopes: ['read:chat', 'read:agents'],
        expires_at: '2030-01-01T00:00:00Z',
      },
    });
    const { status, headers, body } = await introspect({ token: key.api_key, token_type_hint: 'access_token' });
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      active: true,
      scope: 'read:agents read:chat',
      client_id: key.user_id,
      sub: key.user_id,
      username: `api_key__gateway@${key.user_id}onyxapikey.ai`,
      token_type: 'Bearer',
      exp: seconds('2030-01-01T00:00:00Z'),
      iat: seconds(key.created_at),
      jti: String(key.api_key_id),
      token_kind: 'API_KEY',
      role: 'basic',
    });
  });

  test('returns the current permissions of the token as its scope, not the permissions that it was created with', async () => {
    const { secret, id, userId } = await kit.createKey('ADMIN');
    const held = async (token: string) => (await introspect({ token })).body.scope;
    expect(await held(secret)).toBe(permissions.join(' '));
    const pat = await kit.createPat(secret, { scopes: ['read:audit', 'read:chat'] });
    expect((await held(pat.secret)).split(' ').sort()).toEqual(['read:audit', 'read:chat']);
    await kit.rest('PATCH', `/api/admin/api-key/${id}`, { body: { role: 'basic' } });
    expect(await held(secret)).toBe(permissions.filter((name) => rolePermissions('BASIC').has(name)).join(' '));
    expect((await introspect({ token: pat.secret })).body).toMatchObject({ scope: 'read:chat', sub: userId });
  });

  test('returns only `active: false` for an unknown, revoked, disabled or expired token', async () => {
    const revoked = await kit.createPat(kit.keys.BASIC);
    await kit.rest('DELETE', `/api/user/pats/${revoked.id}`, { key: kit.keys.BASIC });
    const disabled = await kit.createKey('BASIC');
    await kit.prisma.token.update({ where: { id: disabled.id }, data: { disabledAt: new Date() } });
    const expired = await kit.createKey('BASIC');
    await kit.prisma.token.update({ where: { id: expired.id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    for (const token of ['x', 'x'.repeat(1000), newSecret('API_KEY'), revoked.secret, disabled.secret, expired.secret])
      expect((await introspect({ token })).text).toBe('{"active":false}');
  });

  test('counts neither as a use of the token nor as a rejected credential', async () => {
    const { secret, id } = await kit.createKey('BASIC');
    await introspect({ token: secret });
    await kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } });
    await introspect({ token: secret });
    await kit.booted.background.settled();
    expect((await kit.prisma.token.findUniqueOrThrow({ where: { id } })).lastUsedAt).toBeNull();
    expect(await kit.prisma.auditEvent.count({ where: { action: 'credential.refused', tokenId: id } })).toBe(0);
  });

  test('accepts JSON, and is also available under /api', async () => {
    const { body } = await kit.rest('POST', '/api/oauth/introspect', { body: { token: kit.keys.BASIC } });
    expect(body).toMatchObject({ active: true, role: 'basic' });
  });
});

describe('rejected introspection', () => {
  test('returns 401 with a challenge when the credential is missing or invalid', async () => {
    for (const key of [null, newSecret('API_KEY')]) {
      const { status, headers, body } = await introspect({ token: kit.keys.BASIC }, key);
      expect([status, headers.get('www-authenticate'), body.error]).toEqual([401, 'Bearer', 'invalid_token']);
    }
  });

  test('returns 403 to callers without `manage:api_keys`, in REST and in GraphQL', async () => {
    const scoped = await kit.createKey('ADMIN', { scopes: ['read:audit'] });
    for (const key of [kit.keys.LIMITED, kit.keys.BASIC, scoped.secret]) {
      const { status, body } = await introspect({ token: kit.keys.ADMIN }, key);
      expect([status, body.error]).toEqual([403, 'insufficient_scope']);
      const { errors } = await kit.gql('{ introspectToken(token: "x") { active } }', {}, key);
      expect(errors[0]?.extensions).toMatchObject({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['manage:api_keys'],
      });
    }
  });

  test('returns 400 and names the token when it is missing, empty or too long', async () => {
    for (const fields of [{}, { token: '' }, { token: 'x'.repeat(1001) }] as Record<string, string>[]) {
      const { status, body } = await introspect(fields);
      expect([status, body.error]).toEqual([400, 'invalid_request']);
      expect(body.error_description).toContain('token');
    }
  });

  test('TOK 20 returns 400 for a token in the query string', async () => {
    const { status } = await kit.rest('POST', `/oauth/introspect?token=${kit.keys.BASIC}`, { body: {} });
    expect(status).toBe(400);
  });
});

describe('`viewer.token`', () => {
  const own = async (key: string) =>
    (await kit.gql('{ viewer { token { kind name scopes projectDatabaseId expiresAt lastUsedAt } } }', {}, key)).data
      .viewer.token;

  test('describes the credential of the request', async () => {
    const { secret } = await kit.createKey('BASIC', { name: 'itself', scopes: ['read:agents'] });
    expect(await own(secret)).toEqual({
      kind: 'API_KEY',
      name: 'itself',
      scopes: ['READ_AGENTS'],
      projectDatabaseId: null,
      expiresAt: null,
      lastUsedAt: null,
    });
    await kit.booted.background.settled();
    expect(Date.parse((await own(secret)).lastUsedAt)).toBeGreaterThan(Date.now() - 60_000);
    const pat = await kit.createPat(kit.keys.BASIC, { expiresInDays: 7 });
    expect(await own(pat.secret)).toMatchObject({ kind: 'PERSONAL', scopes: null });
    expect((await own(pat.secret)).expiresAt).toMatch(/T23:59:59\.999Z$/);
  });
});
