import { describe, expect, test } from 'vitest';
import { permissionConstant } from '../../authz/permissions.ts';
import { isWellFormedSecret } from '../../authz/secret.ts';
import {
  codeOf,
  createPat,
  insufficient,
  kit,
  lacking,
  listPats,
  revokePat,
  rightsOf,
  roleNames,
  unchanged,
  useTokenKit,
  viewer,
  works,
} from './fixtures.ts';
import { endOfDay } from './lifetime.ts';

useTokenKit();

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
