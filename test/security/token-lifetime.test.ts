import { describe, expect, test, vi } from 'vitest';
import { type Permission, permissions, rolePermissions } from '../../src/authz/permissions.ts';
import { hashSecret, newSecret } from '../../src/authz/secret.ts';
import { createAuthenticator } from '../../src/modules/tokens/authenticate.ts';
import type { Background } from '../../src/store/background.ts';
import type { Database } from '../../src/store/database.ts';
import { until } from '../kit.ts';
import { deleteKey, regenerateKey, revokePat, updateKey } from './keys.ts';
import { code, createKey, createPat, kit, permissionsOf, useTokenKit, works } from './token-kit.ts';

useTokenKit();

describe('the end of a token', () => {
  test('TOK 5 TOK 9 revoked, disabled, deleted and regenerated tokens are rejected by the very next request', async () => {
    const owner = await kit.createKey('BASIC');
    const ends: [string, () => Promise<{ dies: string[]; lives: string[]; end: () => Promise<unknown> }>][] = [
      [
        'revoked',
        async () => {
          const [one, other] = [await kit.createPat(owner.secret), await kit.createPat(owner.secret)];
          return {
            dies: [one.secret],
            lives: [other.secret, owner.secret],
            end: () => revokePat(kit, one.id, owner.secret),
          };
        },
      ],
      [
        'disabled, with the tokens of its user',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          const end = () => updateKey(kit, { id: key.id, disabled: true });
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end };
        },
      ],
      [
        'deleted, with the tokens of its user',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end: () => deleteKey(kit, key.id) };
        },
      ],
      [
        'regenerated, with the tokens that it created',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return {
            dies: [key.secret, pat.secret],
            lives: [owner.secret],
            end: () => regenerateKey(kit, { id: key.id }),
          };
        },
      ],
      [
        'regenerated, without the tokens that it created',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return {
            dies: [key.secret],
            lives: [pat.secret, owner.secret],
            end: () => regenerateKey(kit, { id: key.id, keepDerivedCredentials: true }),
          };
        },
      ],
      [
        'of a user who is deactivated',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          const end = () => kit.prisma.user.update({ where: { id: key.userId }, data: { active: false } });
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end };
        },
      ],
    ];
    for (const [name, prepare] of ends) {
      const { dies, lives, end } = await prepare();
      for (const secret of [...dies, ...lives]) expect([name, await works(secret)]).toEqual([name, true]);
      await end();
      for (const secret of dies) expect([name, await works(secret)]).toEqual([name, false]);
      for (const secret of lives) expect([name, await works(secret)]).toEqual([name, true]);
    }
  });

  test('TOK 6 expiry is determined by the server’s clock, not by headers of the client', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const past = {
      date: 'Mon, 01 Jan 2001 00:00:00 GMT',
      'x-date': '2001-01-01',
      'if-modified-since': 'Mon, 01 Jan 2001 00:00:00 GMT',
    };
    await kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date(Date.now() + 3_600_000) } });
    const future = { ...past, date: 'Fri, 01 Jan 2100 00:00:00 GMT' };
    expect((await kit.rest('GET', '/api/me', { key: secret, headers: future })).status).toBe(200);
    await kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } });
    expect((await kit.rest('GET', '/api/me', { key: secret, headers: past })).status).toBe(403);
    expect(await works(secret)).toBe(false);
  });

  test('TOK 6 a token and an overlap are valid until their last millisecond', async () => {
    const secret = newSecret('API_KEY');
    const end = new Date('2030-01-01T23:59:59.999Z');
    const row: Record<string, unknown> = {
      current: true,
      expiresAt: end,
      allScopes: true,
      role: 'BASIC',
      active: true,
    };
    const audited: unknown[] = [];
    const db = { query: async () => [{ credential: { ...row } }] } as unknown as Database;
    const refused = (entry: { detail?: { reason?: unknown } }) => audited.push(entry.detail?.reason);
    const { authenticate } = createAuthenticator(db, { refused } as never, { run() {} } as unknown as Background);
    const client = { address: null, userAgent: null };
    vi.useFakeTimers({ toFake: ['Date'], now: end.getTime() - 1 });
    expect(await authenticate(secret, client)).toMatchObject({ role: 'BASIC' });
    vi.setSystemTime(end);
    expect(await authenticate(secret, client)).toBeNull();
    Object.assign(row, { expiresAt: null, current: false, previousExpiresAt: end });
    expect(await authenticate(secret, client)).toBeNull();
    vi.setSystemTime(end.getTime() - 1);
    expect(await authenticate(secret, client)).toMatchObject({ role: 'BASIC' });
    expect(audited).toEqual(['expired', 'regenerated']);
  });

  test('TOK 16 both secrets work during an overlap, and the old one is rejected afterwards', async () => {
    const { id, secret: old } = await kit.createKey('BASIC', { scopes: ['read:chat'] });
    const secret = await regenerateKey(kit, { id, overlapMinutes: 60 });
    expect([await permissionsOf(old), await permissionsOf(secret)]).toEqual([['read:chat'], ['read:chat']]);
    await kit.prisma.token.update({ where: { id }, data: { previousExpiresAt: new Date() } });
    expect([await works(old), await works(secret)]).toEqual([false, true]);
    // During an overlap, disabling and deleting apply to both secrets.
    const newest = await regenerateKey(kit, { id, overlapMinutes: 60 });
    await updateKey(kit, { id, disabled: true });
    expect([await works(secret), await works(newest)]).toEqual([false, false]);
    await updateKey(kit, { id, disabled: false });
    expect([await works(secret), await works(newest)]).toEqual([true, true]);
    await deleteKey(kit, id);
    expect([await works(secret), await works(newest)]).toEqual([false, false]);
  });
});

describe('permissions', () => {
  test('TOK 7 an API key can grant every permission that it has, and no other', async () => {
    const grantable = permissions.filter((name) => name !== 'manage:api_keys');
    const before = await kit.prisma.token.count();
    for (const [index, held] of grantable.entries()) {
      const lacked = grantable[(index + 1) % grantable.length] as Permission;
      const { secret } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys', held] });
      const granted = await createKey({ role: 'ADMIN', scopes: [held] }, secret);
      expect(await permissionsOf(granted.data.createApiKey.secret)).toEqual([held]);
      const refused = await createKey({ role: 'ADMIN', scopes: [held, lacked] }, secret);
      expect(refused.errors[0]?.extensions).toEqual({
        code: 'FORBIDDEN',
        reason: 'PERMISSIONS_EXCEED_CALLER',
        requiredPermissions: [lacked],
      });
    }
    expect(await kit.prisma.token.count()).toBe(before + 2 * grantable.length);
  });

  test('TOK 8 changing tokens requires write:tokens or manage:api_keys and never exceeds the caller’s permissions', async () => {
    const scopes = permissions.filter((name) => name !== 'write:tokens' && name !== 'manage:api_keys');
    const weak = await kit.createKey('ADMIN', { scopes });
    const weakPat = await kit.createPat(kit.keys.ADMIN, { scopes });
    const minter = await kit.createPat(kit.keys.ADMIN, { scopes: ['write:tokens', 'manage:api_keys', 'read:agents'] });
    const before = await kit.fingerprint();
    for (const { secret, id } of [weak, weakPat]) {
      for (const answer of [
        await createKey({ role: 'LIMITED', scopes: ['read:agents'] }, secret),
        await updateKey(kit, { id: weak.id, allScopes: true }, secret),
        await createPat({ name: 'x', scopes: ['read:agents'] }, secret),
        await revokePat(kit, id, secret),
      ])
        expect(code(answer)).toBe('FORBIDDEN');
      for (const [method, path, body] of [
        ['POST', '/api/admin/api-key', { role: 'limited' }],
        ['PATCH', `/api/admin/api-key/${weak.id}`, { role: 'admin' }],
        ['POST', `/api/admin/api-key/${weak.id}/regenerate`, undefined],
        ['DELETE', `/api/admin/api-key/${weak.id}`, undefined],
        ['POST', '/api/user/pats', { name: 'x', scopes: ['read:agents'] }],
      ] as const)
        expect((await kit.rest(method, path, { key: secret, body })).status).toBe(403);
    }
    for (const answer of [
      await createKey({ role: 'ADMIN' }, minter.secret),
      await createKey({ role: 'LIMITED' }, minter.secret),
      await createKey({ role: 'ADMIN', scopes: ['read:agents', 'read:audit'] }, minter.secret),
      await updateKey(kit, { id: weak.id, scopes: ['read:agents'] }, minter.secret),
      await createPat({ name: 'x' }, minter.secret),
      await createPat({ name: 'x', scopes: ['read:chat'] }, minter.secret),
    ])
      expect(code(answer)).toBe('FORBIDDEN');
    expect(await kit.fingerprint()).toBe(before);
    const { data } = await createPat({ name: 'x', scopes: ['read:agents', 'write:tokens'] }, minter.secret);
    expect(await permissionsOf(data.createPersonalAccessToken.secret)).toEqual(['read:agents', 'write:tokens']);
  });

  test('TOK 10 demotion reduces the permissions of existing tokens at once, and scopes do not restore them', async () => {
    const key = await kit.createKey('ADMIN');
    const whole = await kit.createPat(key.secret);
    const scoped = await kit.createPat(key.secret, { scopes: ['read:agents', 'read:chat', 'manage:agents'] });
    const rights = async () => [await permissionsOf(whole.secret), await permissionsOf(scoped.secret)];
    expect(await rights()).toEqual([permissions, ['read:agents', 'read:chat', 'manage:agents']]);
    await updateKey(kit, { id: key.id, role: 'BASIC' });
    expect(await rights()).toEqual([
      permissions.filter((name) => rolePermissions('BASIC').has(name)),
      ['read:agents', 'read:chat'],
    ]);
    expect((await kit.rest('GET', '/api/admin/api-key', { key: whole.secret })).status).toBe(403);
    await updateKey(kit, { id: key.id, role: 'LIMITED' });
    expect(await rights()).toEqual([
      permissions.filter((name) => rolePermissions('LIMITED').has(name)),
      ['read:agents'],
    ]);
    expect((await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key: scoped.secret })).status).toBe(403);
    expect(code(await kit.gql('{ chatSessions { totalCount } }', {}, whole.secret))).toBe('FORBIDDEN');
  });

  test('TOK 17 a user has at most 100 personal tokens', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    await kit.prisma.token.createMany({
      data: Array.from({ length: 99 }, (_, number) => ({
        kind: 'PERSONAL' as const,
        hash: Uint8Array.from(hashSecret(`${userId} ${number}`)),
        display: 'onyx_pat_xxx****xxxx',
        userId,
      })),
    });
    const answers = await Promise.all([1, 2, 3].map((number) => createPat({ name: `${number}` }, secret)));
    expect(answers.map((answer) => code(answer) ?? 'made').sort()).toEqual(['CONFLICT', 'CONFLICT', 'made']);
    expect(await kit.prisma.token.count({ where: { userId, kind: 'PERSONAL' } })).toBe(100);
  });
});

describe('the last use of a token', () => {
  const lastUse = async (id: number) => {
    const { lastUsedAt, lastUsedAddress } = await kit.prisma.token.findUniqueOrThrow({ where: { id } });
    return { lastUsedAt, lastUsedAddress };
  };
  const writes = () => kit.statements.filter((text) => /^UPDATE .*"lastUsedAt"/s.test(text)).length;

  test('TOK 11 is recorded with the address, at most once per minute', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    expect(await lastUse(id)).toEqual({ lastUsedAt: null, lastUsedAddress: null });
    await kit.booted.background.settled();
    kit.statements.length = 0;
    const before = Date.now();
    await Promise.all(Array.from({ length: 5 }, () => works(secret)));
    const { lastUsedAt } = await until(async () => {
      const use = await lastUse(id);
      return use.lastUsedAt && use.lastUsedAddress === '127.0.0.1' ? { lastUsedAt: use.lastUsedAt } : null;
    });
    expect(lastUsedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(lastUsedAt.getTime()).toBeLessThanOrEqual(Date.now());
    for (let use = 0; use < 3; use++) await works(secret);
    await kit.booted.background.settled();
    expect(writes()).toBe(1);
    expect((await lastUse(id)).lastUsedAt).toEqual(lastUsedAt);
  });

  test('TOK 11 is not recorded again within a minute after another instance recorded it', async () => {
    const [recent, old] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
    const at = (seconds: number) => ({
      lastUsedAt: new Date(Date.now() - seconds * 1000),
      lastUsedAddress: '192.0.2.1',
    });
    const within = at(30);
    await kit.prisma.token.update({ where: { id: recent.id }, data: within });
    await kit.prisma.token.update({ where: { id: old.id }, data: at(61) });
    for (const { secret } of [recent, old]) expect(await works(secret)).toBe(true);
    await until(async () => (await lastUse(old.id)).lastUsedAddress === '127.0.0.1');
    await kit.booted.background.settled();
    expect(await lastUse(recent.id)).toEqual(within);
  });

  test('TOK 11 is recorded again after exactly one minute, and never for a rejected request', async () => {
    const secret = newSecret('API_KEY');
    const start = Date.parse('2030-01-01T00:00:00.000Z');
    const row: Record<string, unknown> = {
      id: 1,
      current: true,
      allScopes: true,
      role: 'BASIC',
      active: true,
      lastUsedAt: null,
    };
    const written: string[] = [];
    const updateMany = async ({ data }: { data: { lastUsedAt: Date } }) => written.push(data.lastUsedAt.toISOString());
    const db = {
      query: async () => [{ credential: { ...row } }],
      prisma: { token: { updateMany } },
    } as unknown as Database;
    const background = { run: (_name: string, work: () => Promise<void>) => void work() } as unknown as Background;
    const { authenticate } = createAuthenticator(db, { refused() {} } as never, background);
    vi.useFakeTimers({ toFake: ['Date'] });
    for (const after of [0, 1, 59_999, 60_000, 60_001, 119_999, 120_000]) {
      vi.setSystemTime(start + after);
      expect(await authenticate(secret, { address: null, userAgent: null })).not.toBeNull();
    }
    row.disabledAt = new Date();
    vi.setSystemTime(start + 600_000);
    expect(await authenticate(secret, { address: null, userAgent: null })).toBeNull();
    expect(written).toEqual(['2030-01-01T00:00:00.000Z', '2030-01-01T00:01:00.000Z', '2030-01-01T00:02:00.000Z']);
  });
});
