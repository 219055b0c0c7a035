import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { rolePermissions } from '../../authz/permissions.ts';
import { isWellFormedSecret, newSecret } from '../../authz/secret.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
/** An administrator who is a person. */
let admin: Awaited<ReturnType<Kit['person']>>;
beforeAll(async () => {
  kit = await startKit();
  admin = await kit.person({ role: 'ADMIN' });
});
afterAll(() => kit.close());

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const password = 'a long password';
let count = 0;
const fresh = () => `guest${++count}`;
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const create = (input: object = {}, key?: string | null) =>
  kit.gql(
    `mutation ($input: CreateInviteCodeInput!) {
      createInviteCode(input: $input) {
        code inviteCode { databaseId display status agentDatabaseIds createdBy { id: databaseId } claimedBy { id: databaseId } }
      }
    }`,
    { input },
    key,
  );
const disable = (id: number, key?: string | null) =>
  kit.gql(
    'mutation ($input: DisableInviteCodeInput!) { disableInviteCode(input: $input) { inviteCode { status } } }',
    { input: { id } },
    key,
  );
const list = (key?: string | null) =>
  kit.gql('{ inviteCodes(first: 100) { nodes { databaseId display status } } }', {}, key);
const accept = (input: object) =>
  kit.gql(
    'mutation ($input: AcceptInviteInput!) { acceptInvite(input: $input) { user { id: databaseId username role } } }',
    { input: { password, ...input } },
    null,
  );
const look = (invite: string) =>
  kit.gql('query ($code: String!) { invite(code: $code) { status } }', { code: invite }, null);
const claim = (invite: string, body: object): Promise<Answer> =>
  kit.rest('POST', `/api/invite/${invite}`, { key: null, body: { password, ...body } });
const newCode = async (input: object = {}, key?: string): Promise<{ id: number; code: string }> => {
  const { data, errors } = await create(input, key);
  expect(errors).toEqual([]);
  return { id: data.createInviteCode.inviteCode.databaseId, code: data.createInviteCode.code };
};
const agentOf = async (data: object = {}) =>
  (await kit.prisma.agent.create({ data: { name: fresh(), ownerId: admin.userId, ...data } })).id;

describe('an invite code', () => {
  test('is a secret that is shown once, and stored as its hash', async () => {
    const { data } = await create({}, admin.session);
    const { code: secret, inviteCode } = data.createInviteCode;
    expect(isWellFormedSecret(secret, 'INVITE')).toBe(true);
    expect(inviteCode).toEqual({
      databaseId: expect.any(Number),
      display: `${secret.slice(0, 8)}********${secret.slice(-4)}`,
      status: 'PENDING',
      agentDatabaseIds: [],
      createdBy: { id: admin.userId },
      claimedBy: null,
    });
    expect(JSON.stringify((await list()).data)).not.toContain(secret);
    expect(JSON.stringify(await kit.prisma.inviteCode.findMany())).not.toContain(secret);
    expect((await look(secret)).data.invite).toEqual({ status: 'PENDING' });
    for (const none of ['', 'x', '\0', newSecret('INVITE'), newSecret('API_KEY'), `${secret}0`])
      expect((await look(none)).data.invite).toBeNull();
    // A code is not a credential.
    expect((await kit.gql('{ viewer { role } }', {}, secret)).status).toBe(401);
  });

  test('creates exactly one account with the role BASIC when it is used concurrently', async () => {
    const invite = await newCode();
    const answers = await Promise.all([1, 2, 3, 4].map(() => accept({ code: invite.code, username: fresh() })));
    expect(answers.map((answer) => code(answer) ?? 'made').sort()).toEqual([
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'made',
    ]);
    const made = answers.find(({ data }) => data.acceptInvite)?.data.acceptInvite.user;
    expect(made).toEqual({ id: expect.any(String), username: expect.any(String), role: 'BASIC' });
    expect(await kit.prisma.inviteCode.findUnique({ where: { id: invite.id } })).toMatchObject({
      status: 'CLAIMED',
      claimedById: made.id,
    });
    const login = await kit.gql(
      'mutation ($input: LoginInput!) { login(input: $input) { user { id: databaseId } } }',
      { input: { login: made.username, password } },
      null,
    );
    expect(login.data.login.user.id).toBe(made.id);
    await unchanged(async () => {
      expect(code(await accept({ code: invite.code, username: fresh() }))).toBe('NOT_FOUND');
    });
    const events = await kit.prisma.auditEvent.findMany({
      where: { targetType: 'InviteCode', targetId: String(invite.id) },
      orderBy: { id: 'asc' },
    });
    expect(events.map(({ action, actorId }) => [action, actorId])).toEqual([
      ['invite_code.create', expect.any(String)],
      ['invite_code.claim', made.id],
    ]);
  });

  test('gives the new user viewer access to its agents, except deleted ones', async () => {
    const [own, gone] = [await agentOf(), await agentOf()];
    const invite = await newCode({ agentIds: [own, gone] }, admin.session);
    await kit.prisma.agent.update({ where: { id: gone }, data: { deletedAt: new Date() } });
    const { data } = await accept({ code: invite.code, username: fresh() });
    expect(await kit.prisma.agentShare.findMany({ where: { userId: data.acceptInvite.user.id } })).toEqual([
      { agentId: own, userId: data.acceptInvite.user.id, permission: 'VIEWER' },
    ]);
  });

  test('lists its agents in pages, without those that the caller cannot read', async () => {
    const agentIds = [await agentOf(), await agentOf(), await agentOf({ isPublic: true }), await agentOf()];
    const { id } = await newCode({ agentIds: [...agentIds].reverse() }, admin.session);
    const other = await newCode({ agentIds: agentIds.slice(1, 2) }, admin.session);
    await kit.prisma.agent.update({ where: { id: agentIds[3] as number }, data: { deletedAt: new Date() } });
    const agentsOf = async (args: string, key?: string) => {
      const { data, errors } = await kit.gql(
        `query ($ids: [ID!]!) {
          nodes(ids: $ids) {
            ... on InviteCode {
              agents${args} {
                totalCount nodes { databaseId labels { name } }
                pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
              }
              agentDatabaseIds
            }
          }
        }`,
        { ids: [globalId('InviteCode', id), globalId('InviteCode', other.id)] },
        key,
      );
      expect(errors).toEqual([]);
      expect(data.nodes[0].agentDatabaseIds).toEqual([...agentIds].reverse());
      return data.nodes.map(({ agents: { nodes, ...rest } }: { agents: { nodes: { databaseId: number }[] } }) => ({
        ...rest,
        ids: nodes.map(({ databaseId }) => databaseId),
      }));
    };
    expect(await agentsOf('', admin.session)).toMatchObject([
      { totalCount: 4, ids: agentIds },
      { totalCount: 1, ids: agentIds.slice(1, 2) },
    ]);
    const [start] = await agentsOf('(first: 2)', admin.session);
    expect(start).toMatchObject({
      totalCount: 4,
      ids: agentIds.slice(0, 2),
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    const [end] = await agentsOf(`(first: 2, after: "${start.pageInfo.endCursor}")`, admin.session);
    expect(end).toMatchObject({
      totalCount: 4,
      ids: agentIds.slice(2),
      pageInfo: { hasNextPage: false, hasPreviousPage: true },
    });
    expect((await agentsOf('(last: 1)', admin.session))[0]).toMatchObject({
      ids: agentIds.slice(3),
      pageInfo: { hasPreviousPage: true },
    });
    expect((await agentsOf(`(last: 5, before: "${end.pageInfo.startCursor}")`, admin.session))[0]).toMatchObject({
      ids: agentIds.slice(0, 2),
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    expect((await agentsOf('(first: 1, offset: 2)', admin.session))[0].ids).toEqual(agentIds.slice(2, 3));

    const some = await kit.createKey('ADMIN', { scopes: ['manage:users', 'read:agents'] });
    expect(await agentsOf('', some.secret)).toMatchObject([
      { totalCount: 1, ids: agentIds.slice(2, 3) },
      { totalCount: 0, ids: [] },
    ]);
    const none = await kit.createKey('ADMIN', { scopes: ['manage:users'] });
    const denied = await kit.gql('{ inviteCodes(last: 1) { nodes { agents { totalCount } } } }', {}, none.secret);
    expect(denied.data.inviteCodes.nodes).toEqual([{ agents: null }]);
    expect(denied.errors).toMatchObject([
      { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:agents'] } },
    ]);
    const wrong = await kit.gql('{ inviteCodes(last: 1) { nodes { agents(first: -1) { totalCount } } } }');
    expect(code(wrong)).toBe('BAD_USER_INPUT');
  });

  test('rejects agents that its creator cannot share', async () => {
    const other = await agentOf({ isPublic: true });
    const scopes = ['manage:users', ...rolePermissions('BASIC')];
    const some = await kit.createKey('ADMIN', { scopes });
    for (const agentIds of [[other], [0], [999_999]]) {
      const { errors } = await unchanged(() => create({ agentIds }, some.secret));
      expect(errors[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        fields: [{ path: ['input', 'agentIds'] }],
      });
    }
    const own = await agentOf({ ownerId: some.userId });
    expect((await create({ agentIds: [own] }, some.secret)).errors).toEqual([]);
    for (const agentIds of [
      [own, 2 ** 31],
      [own, 'x'],
      [own, globalId('User', admin.userId)],
    ]) {
      const { errors } = await unchanged(() => create({ agentIds }));
      expect(errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'agentIds', 1] }] } },
      ]);
    }
    expect(code(await unchanged(() => create({ agentIds: Array.from({ length: 1001 }, (_, id) => id) })))).toBe(
      'BAD_USER_INPUT',
    );
  });

  test('requires manage:users, and a creator who holds all permissions that it grants', async () => {
    const { id } = await newCode();
    const scoped = await kit.createKey('ADMIN', { scopes: ['manage:api_keys', ...rolePermissions('BASIC')] });
    for (const key of [kit.keys.BASIC, kit.keys.LIMITED, scoped.secret])
      for (const attempt of [() => list(key), () => create({}, key), () => disable(id, key)])
        expect((await unchanged(attempt)).errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'MISSING_PERMISSION',
          requiredPermissions: ['manage:users'],
        });
    for (const attempt of [() => list(null), () => create({}, null), () => disable(id, null)])
      expect(code(await unchanged(attempt))).toBe('UNAUTHENTICATED');
    const alone = await kit.createKey('ADMIN', { scopes: ['manage:users'] });
    expect(code(await unchanged(() => create({}, alone.secret)))).toBe('FORBIDDEN');
  });

  test('becomes invalid when it is disabled, and when its creator loses the required permissions', async () => {
    const off = await newCode();
    expect((await disable(off.id)).data.disableInviteCode.inviteCode.status).toBe('DISABLED');
    expect((await unchanged(() => disable(off.id))).errors).toEqual([]);
    expect(code(await unchanged(() => disable(999_999)))).toBe('NOT_FOUND');
    const makers = await Promise.all([1, 2, 3].map(() => kit.person({ role: 'ADMIN' })));
    const codes = await Promise.all(makers.map(({ session }) => newCode({}, session)));
    const key = await kit.createKey('ADMIN');
    codes.push(await newCode({}, key.secret), off);
    const [demoted, shut, gone] = makers.map(({ userId }) => userId);
    await kit.gql(
      `mutation { changeUserRole(input: { user: { id: "${demoted}" }, role: BASIC }) { user { id: databaseId } } }`,
    );
    await kit.gql(`mutation { deactivateUser(input: { user: { id: "${shut}" } }) { user { id: databaseId } } }`);
    await kit.gql(`mutation { deleteUser(input: { user: { id: "${gone}" }, evenActive: true }) { deletedUserId } }`);
    await kit.gql(`mutation { updateApiKey(input: { id: ${key.id}, disabled: true }) { apiKey { name } } }`);
    for (const { code: secret } of codes) {
      expect(code(await unchanged(() => accept({ code: secret, username: fresh() })))).toBe('NOT_FOUND');
      expect((await look(secret)).data.invite).toEqual({ status: 'DISABLED' });
    }
    await kit.gql(`mutation { updateApiKey(input: { id: ${key.id}, disabled: false }) { apiKey { name } } }`);
    expect((await accept({ code: codes[3]?.code, username: fresh() })).errors).toEqual([]);
  });

  test.each([
    ['a short password', { password: 'short' }, 'password'],
    ['a name with a capital', { username: 'Guest' }, 'username'],
    ['a name with NUL', { username: 'a\0b' }, 'username'],
    ['an address of a key', { username: 'x@onyxapikey.ai' }, 'username'],
  ])('is not used up by %s', async (_what, wrong, field) => {
    const { code: secret } = await newCode();
    const { errors } = await unchanged(() => accept({ code: secret, username: fresh(), ...wrong }));
    expect([errors[0]?.extensions.code, errors[0]?.extensions.fields[0].path]).toEqual([
      'BAD_USER_INPUT',
      ['input', field],
    ]);
    const answer = await unchanged(() => claim(secret, { username: fresh(), ...wrong }));
    expect([answer.status, answer.body]).toEqual([
      200,
      { success: false, error: expect.stringMatching(new RegExp(`^${field} `)) },
    ]);
  });

  test('is not used up by a username that is taken', async () => {
    const { code: secret } = await newCode();
    const username = fresh();
    await accept({ code: (await newCode()).code, username });
    expect(code(await unchanged(() => accept({ code: secret, username })))).toBe('CONFLICT');
    expect((await claim(secret, { username: fresh() })).body).toEqual({ success: true, error: null });
  });

  test('can be tried only once in a GraphQL document', async () => {
    const one =
      'acceptInvite(input: { code: "x", username: "ab", password: "a long password" }) { user { id: databaseId } }';
    expect(code(await kit.gql(`mutation { a: ${one} b: ${one} }`, {}, null))).toBe('BAD_USER_INPUT');
  });
});

describe('the AnythingLLM endpoints of invite codes', () => {
  const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/);

  test('create, show, claim and list a code', async () => {
    const agentId = await agentOf();
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: admin.userId } });
    const created = await kit.rest('POST', '/api/v1/admin/invite/new', {
      key: admin.session,
      body: { workspaceIds: [String(agentId)] },
    });
    const { invite } = created.body;
    expect([created.status, created.body.error]).toEqual([200, null]);
    expect(invite).toEqual({
      id: expect.any(Number),
      code: expect.stringMatching(/^inv_[0-9A-Za-z]{36}$/),
      status: 'pending',
      claimedBy: null,
      workspaceIds: `[${agentId}]`,
      createdAt: moment,
      createdBy: { id: databaseId, username: admin.email },
      lastUpdatedAt: moment,
    });
    const path = `/api/invite/${invite.code}`;
    expect((await kit.rest('GET', path, { key: null })).body).toEqual({
      invite: { code: invite.code, status: 'pending' },
      error: null,
    });
    const username = fresh();
    expect((await claim(invite.code, { username })).body).toEqual({ success: true, error: null });
    const { invites } = (await kit.rest('GET', '/api/v1/admin/invites')).body;
    const listed = invites.find(({ id }: { id: number }) => id === invite.id);
    expect(listed).toMatchObject({ status: 'claimed', claimedBy: { id: expect.any(Number), username } });
    expect(listed.code).toContain('****');
    expect((await unchanged(() => claim(invite.code, { username: fresh() }))).body).toEqual({
      success: false,
      error: 'Invite not found or is invalid.',
    });
    expect((await kit.rest('GET', path, { key: null })).body).toEqual({
      invite: null,
      error: 'Invite is no longer valid.',
    });
    expect((await kit.rest('GET', '/api/invite/nothing', { key: null })).body).toEqual({
      invite: null,
      error: 'Invite not found.',
    });
  });

  test('return no creator name for a code created by a key, and disable a code repeatedly without an error', async () => {
    const { invite } = (await kit.rest('POST', '/api/v1/admin/invite/new')).body;
    expect([invite.createdBy, invite.workspaceIds]).toEqual([0, '[]']);
    for (let time = 0; time < 2; time++)
      expect((await kit.rest('DELETE', `/api/v1/admin/invite/${invite.id}`)).body).toEqual({
        success: true,
        error: null,
      });
    const missing = await unchanged(() => kit.rest('DELETE', '/api/v1/admin/invite/999999'));
    const error = 'Invite not found or already disabled';
    expect([missing.status, missing.body]).toEqual([404, { success: false, error }]);
    for (const id of ['x', '1.5', '99999999999']) {
      const { status, body } = await unchanged(() => kit.rest('DELETE', `/api/v1/admin/invite/${id}`));
      expect([status, body]).toEqual([400, { success: false, error: 'Invalid invite id' }]);
    }
    for (const workspaceIds of ['x', ['x'], {}, [999_999], [2 ** 40]]) {
      const answer = await unchanged(() => kit.rest('POST', '/api/v1/admin/invite/new', { body: { workspaceIds } }));
      expect([answer.status, answer.body.invite], JSON.stringify(workspaceIds)).toEqual([400, null]);
    }
  });

  test('list codes with a constant number of statements regardless of their number', async () => {
    const cost = async () => {
      await kit.rest('GET', '/api/v1/admin/invites');
      kit.statements.length = 0;
      await kit.rest('GET', '/api/v1/admin/invites');
      return kit.statements.filter((text) => text.startsWith('SELECT')).length;
    };
    const before = await cost();
    for (let more = 0; more < 3; more++) await newCode({}, admin.session);
    await claim((await newCode()).code, { username: fresh() });
    expect(await cost()).toBe(before);
  });

  test('do not count accepted codes as failed attempts of their address', async () => {
    for (let i = 0; i < 55; i++)
      expect((await claim((await newCode()).code, { username: fresh() })).status, String(i)).toBe(200);
  });

  test('return 429 after too many attempts from one address, and then reject valid codes as well', async () => {
    const { code: secret } = await newCode();
    let answer = await claim(newSecret('INVITE'), { username: fresh() });
    for (let attempt = 0; attempt < 50 && answer.status !== 429; attempt++)
      answer = await claim(newSecret('INVITE'), { username: fresh() });
    expect([answer.status, answer.body]).toEqual([
      429,
      { success: false, error: 'Too many attempts. Try again later.' },
    ]);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await unchanged(() => claim(secret, { username: fresh() }))).status).toBe(429);
    expect(code(await unchanged(() => accept({ code: secret, username: fresh() })))).toBe('RATE_LIMITED');
  });
});
