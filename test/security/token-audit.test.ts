import { describe, expect, test } from 'vitest';
import { deleteKey, revokePat, updateKey } from './keys.ts';
import { createKey, kit, useTokenKit } from './token-kit.ts';

useTokenKit();

describe('the audit trail', () => {
  const agent = { 'user-agent': 'auditor/1.0 (test)' };
  const rows = async (where: object) => {
    await kit.booted.background.settled();
    const found = await kit.prisma.auditEvent.findMany({ where, orderBy: { id: 'asc' } });
    return found.map(({ id: _id, at, ...row }) => {
      expect(at).toBeInstanceOf(Date);
      return row;
    });
  };

  test('TOK 15 records creating, changing, regenerating and deleting a key, with its actor, client and changes', async () => {
    const actor = await kit.createKey('ADMIN', { name: 'actor' });
    const as = { key: actor.secret, headers: agent };
    const { body: made } = await kit.rest('POST', '/api/admin/api-key', {
      ...as,
      body: { name: 'audited', role: 'basic' },
    });
    const path = `/api/admin/api-key/${made.api_key_id}`;
    await kit.rest('PATCH', path, { ...as, body: { name: 'renamed', role: 'basic', scopes: ['read:chat'] } });
    await kit.rest('POST', `${path}/regenerate`, as);
    const query = 'mutation ($id: ID!) { updateApiKey(input: { id: $id, disabled: true }) { apiKey { name } } }';
    await kit.rest('POST', '/graphql', { ...as, body: { query, variables: { id: made.api_key_id } } });
    await kit.rest('DELETE', path, as);
    const common = {
      actorId: actor.userId,
      actorName: 'actor',
      tokenId: actor.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: 'ApiKey',
      targetId: String(made.api_key_id),
    };
    const first = {
      name: 'audited',
      role: 'BASIC',
      scopes: null,
      projectId: null,
      expiresAt: null,
      disabled: false,
    };
    const second = { ...first, name: 'renamed', scopes: ['read:chat'] };
    expect(await rows({ targetType: 'ApiKey', targetId: String(made.api_key_id) })).toEqual([
      { ...common, action: 'api_key.create', detail: { kind: 'API_KEY', ...first } },
      { ...common, action: 'api_key.update', detail: { before: first, after: second } },
      { ...common, action: 'api_key.regenerate', detail: { overlapMinutes: 0, revokedTokenIds: [] } },
      { ...common, action: 'api_key.update', detail: { before: second, after: { ...second, disabled: true } } },
      { ...common, action: 'api_key.delete', detail: { ...second, disabled: true } },
    ]);
  });

  test('TOK 15 records creating and revoking a personal token', async () => {
    const actor = await kit.createKey('BASIC', { name: 'owner' });
    const as = { key: actor.secret, headers: agent };
    const { body: made } = await kit.rest('POST', '/api/user/pats', {
      ...as,
      body: { name: 'audited', scopes: ['read:chat'] },
    });
    await kit.rest('DELETE', `/api/user/pats/${made.id}`, as);
    const common = {
      actorId: actor.userId,
      actorName: 'owner',
      tokenId: actor.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: 'PersonalAccessToken',
      targetId: String(made.id),
    };
    expect(await rows({ targetType: 'PersonalAccessToken', targetId: String(made.id) })).toEqual([
      { ...common, action: 'personal_access_token.create', detail: { name: 'audited', scopes: ['read:chat'] } },
      { ...common, action: 'personal_access_token.revoke', detail: { name: 'audited' } },
    ]);
  });

  test('TOK 15 records no success for a rejected or failed operation', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const before = await kit.prisma.auditEvent.count({ where: { action: { startsWith: 'api_key.' } } });
    await createKey({ name: '' });
    await updateKey(kit, { id, scopes: ['read:everything'] });
    await createKey({ role: 'ADMIN' }, secret);
    await deleteKey(kit, 2_000_000_000);
    expect(await kit.prisma.auditEvent.count({ where: { action: { startsWith: 'api_key.' } } })).toBe(before);
  });

  test.each<[string, (token: { id: number; secret: string; owner: string }) => Promise<unknown>]>([
    ['revoked', ({ id, owner }) => revokePat(kit, id, owner)],
    ['expired', ({ id }) => kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } })],
    ['disabled', ({ id }) => kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } })],
  ])('TOK 15 records the rejected use of a token that is %s, at most once per minute', async (reason, end) => {
    const owner = await kit.createKey('BASIC', { name: 'owner' });
    const pat = await kit.createPat(owner.secret);
    await end({ ...pat, owner: owner.secret });
    for (let use = 0; use < 3; use++) {
      expect((await kit.rest('GET', '/api/me', { key: pat.secret, headers: agent })).status).toBe(403);
      await kit.gql('{ viewer { role } }', {}, pat.secret);
    }
    expect(await rows({ tokenId: pat.id, action: 'credential.refused' })).toEqual([
      {
        action: 'credential.refused',
        actorId: owner.userId,
        actorName: 'owner',
        tokenId: pat.id,
        address: '127.0.0.1',
        userAgent: 'auditor/1.0 (test)',
        targetType: null,
        targetId: null,
        detail: { reason },
      },
    ]);
  });

  test('TOK 15 records a denied operation of a valid token, over GraphQL and REST', async () => {
    const key = await kit.createKey('LIMITED', { name: 'curious' });
    const as = { key: key.secret, headers: agent };
    expect((await kit.rest('GET', '/api/admin/api-key', as)).status).toBe(403);
    const graph = await kit.rest('POST', '/graphql', { ...as, body: { query: '{ mine: apiKeys { totalCount } }' } });
    expect(graph.body.errors[0].extensions.code).toBe('FORBIDDEN');
    const common = {
      action: 'permission.refused',
      actorId: key.userId,
      actorName: 'curious',
      tokenId: key.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: null,
      targetId: null,
    };
    const found = await rows({ tokenId: key.id, action: 'permission.refused' });
    expect(found).toHaveLength(2);
    expect(found).toEqual(
      expect.arrayContaining([
        { ...common, detail: { operation: 'GET /admin/api-key' } },
        { ...common, detail: { operation: 'apiKeys' } },
      ]),
    );
  });

  test('truncates a user agent to 500 characters', async () => {
    const key = await kit.createKey('LIMITED');
    const headers = { 'user-agent': `x${'é'.repeat(3000)}` };
    expect((await kit.rest('GET', '/api/user/pats', { key: key.secret, headers })).status).toBe(403);
    const [row] = await rows({ tokenId: key.id, action: 'permission.refused' });
    expect(row?.userAgent).toHaveLength(500);
  });
});
