import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { rolePermissions } from '../../authz/permissions.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit.close());

type Person = Awaited<ReturnType<Kit['person']>>;
let count = 0;
const fresh = () => `made-${++count}@people.example`;
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const works = async (key: string) => (await kit.gql('{ viewer { role } }', {}, key)).data?.viewer != null;
const role = async ({ userId }: { userId: string }) =>
  (await kit.prisma.user.findUnique({ where: { id: userId } }))?.role;

const account = 'user { id: databaseId email name username role active passwordConfigured }';
const mutations = {
  inviteUsers: ['InviteUsersInput', 'invitedCount'],
  removeInvitation: ['RemoveInvitationInput', 'deletedInvitationId remainingCount'],
  createUser: ['CreateUserInput', account],
  activateUser: ['ActivateUserInput', account],
  deactivateUser: ['DeactivateUserInput', account],
  deleteUser: ['DeleteUserInput', 'deletedUserId'],
  changeUserRole: ['ChangeUserRoleInput', account],
  resetUserPassword: ['ResetUserPasswordInput', `newPassword ${account}`],
} as const;
type Mutation = keyof typeof mutations;

/**
 * Runs a mutation. For a mutation that changes a person, the input's fields include `userId` or `email` to identify
 * that person.
 */
const call = (
  mutation: Mutation,
  { userId, ...input }: { userId?: string; email?: string; [field: string]: unknown },
  key?: string | null,
  on = kit,
) =>
  on.gql(
    `mutation ($input: ${mutations[mutation][0]}!) { ${mutation}(input: $input) { ${mutations[mutation][1]} } }`,
    { input: mutation in targeted ? named(userId, input) : input },
    key,
  );

const named = (id: string | undefined, { email, ...input }: { email?: string }) => ({
  user: { ...(id !== undefined && { id }), ...(email !== undefined && { email }) },
  ...input,
});

/** Expects that a call is denied with this code and changes no data. */
async function refused(run: () => Promise<GraphQLAnswer>, expected: string, on = kit): Promise<GraphQLAnswer> {
  const before = await on.fingerprint();
  const answer = await run();
  expect(code(answer)).toBe(expected);
  expect(await on.fingerprint()).toBe(before);
  return answer;
}

async function refusedRest(run: () => Promise<Answer>, status: number, body?: unknown): Promise<void> {
  const before = await kit.fingerprint();
  const answer = await run();
  expect(answer.status).toBe(status);
  if (body !== undefined) expect(answer.body).toEqual(body);
  expect(await kit.fingerprint()).toBe(before);
}

const byEmail = ({ email }: { email: string }) => ({ user_email: email });

/** Every mutation of one person with the corresponding endpoint. */
const targeted: Record<
  Exclude<Mutation, 'inviteUsers' | 'removeInvitation' | 'createUser'>,
  { extra?: object; method: string; path: string; body?: object }
> = {
  activateUser: { method: 'PATCH', path: '/manage/admin/activate-user' },
  deactivateUser: { method: 'PATCH', path: '/manage/admin/deactivate-user' },
  deleteUser: { method: 'DELETE', path: '/manage/admin/delete-user' },
  changeUserRole: {
    extra: { role: 'ADMIN' },
    method: 'PATCH',
    path: '/manage/set-user-role',
    body: { new_role: 'admin' },
  },
  resetUserPassword: { method: 'POST', path: '/password/reset_password' },
};
const targetedEntries = Object.entries(targeted) as [keyof typeof targeted, (typeof targeted)[keyof typeof targeted]][];

describe('user administration', () => {
  test.each(targetedEntries)('%s is denied without manage:users, in GraphQL and REST', async (mutation, row) => {
    const target = await kit.person();
    const basic = await kit.person();
    const scoped = await kit.createKey('ADMIN', { scopes: ['manage:api_keys', 'read:users'] });
    const body = { ...byEmail(target), ...row.body };
    for (const key of [kit.keys.BASIC, kit.keys.LIMITED, basic.session, scoped.secret]) {
      const answer = await refused(() => call(mutation, { userId: target.userId, ...row.extra }, key), 'FORBIDDEN');
      expect(answer.errors[0]?.extensions.requiredPermissions).toEqual(['manage:users']);
      await refusedRest(() => kit.rest(row.method, row.path, { key, body }), 403);
    }
    await refused(() => call(mutation, { userId: target.userId, ...row.extra }, null), 'UNAUTHENTICATED');
    await refusedRest(() => kit.rest(row.method, row.path, { key: null, body }), 403);
  });

  test.each(targetedEntries)('%s returns NOT_FOUND for service accounts and unknown users', async (mutation, row) => {
    const key = await kit.createKey('LIMITED');
    const { email } = await kit.prisma.user.findUniqueOrThrow({ where: { id: key.userId } });
    await refused(() => call(mutation, { userId: key.userId, ...row.extra }), 'NOT_FOUND');
    await refused(() => call(mutation, { email, ...row.extra }), 'NOT_FOUND');
    await refused(() => call(mutation, { email: 'nobody@people.example', ...row.extra }), 'NOT_FOUND');
    await refused(() => call(mutation, { userId: '00000000-0000-4000-8000-000000000000', ...row.extra }), 'NOT_FOUND');
    for (const user_email of [email, 'nobody@people.example'])
      await refusedRest(() => kit.rest(row.method, row.path, { body: { user_email, ...row.body } }), 404, {
        detail: 'User not found',
      });
  });

  test.each(targetedEntries)('%s requires exactly one of ID and e-mail address', async (mutation, row) => {
    const { userId, email } = await kit.person();
    for (const reference of [{}, { userId, email }]) {
      const answer = await refused(() => call(mutation, { ...reference, ...row.extra }), 'BAD_USER_INPUT');
      expect(answer.errors[0]?.extensions.fields[0].path).toEqual(['input', 'user']);
    }
    for (const id of ['x', '', globalId('Agent', 0), globalId('User', 'x')]) {
      const answer = await refused(() => call(mutation, { userId: id, ...row.extra }), 'BAD_USER_INPUT');
      expect(answer.errors[0]?.extensions.fields[0].path).toEqual(['input', 'user', 'id']);
    }
    const nul = await refused(() => call(mutation, { email: 'a\0b', ...row.extra }), 'BAD_USER_INPUT');
    expect(nul.errors[0]?.extensions.fields[0].path).toEqual(['input', 'user', 'email']);
    expect((await kit.rest(row.method, row.path, { body: row.body ?? {} })).status).toBe(422);
  });

  test.each(targetedEntries)(
    'TOK 7 %s is denied for a user who holds permissions that the caller lacks',
    async (mutation, row) => {
      const admin = await kit.person({ role: 'ADMIN' });
      const limited = await kit.person({ role: 'LIMITED' });
      const alone = await kit.createKey('ADMIN', { scopes: ['manage:users'] });
      const some = await kit.createKey('ADMIN', { scopes: ['manage:users', ...rolePermissions('BASIC')] });
      for (const [key, target] of [
        [alone, admin],
        [alone, limited],
        [some, admin],
      ] as const) {
        const answer = await refused(
          () => call(mutation, { userId: target.userId, ...row.extra }, key.secret),
          'FORBIDDEN',
        );
        expect(answer.errors[0]?.extensions.requiredPermissions.length).toBeGreaterThan(0);
        await refusedRest(
          () => kit.rest(row.method, row.path, { key: key.secret, body: { ...byEmail(target), ...row.body } }),
          403,
        );
      }
    },
  );

  test('TOK 7 a role with permissions that the caller lacks cannot be assigned by a change or at creation', async () => {
    const some = await kit.createKey('ADMIN', { scopes: ['manage:users', ...rolePermissions('BASIC')] });
    const person = await kit.person();
    await refused(() => call('changeUserRole', { userId: person.userId, role: 'ADMIN' }, some.secret), 'FORBIDDEN');
    await refusedRest(
      () =>
        kit.rest('PATCH', '/manage/admin/users/admin-access', {
          key: some.secret,
          body: { ...byEmail(person), is_admin: true },
        }),
      403,
    );
    const made = { email: fresh(), password: 'long enough', role: 'ADMIN' };
    await refused(() => call('createUser', made, some.secret), 'FORBIDDEN');
    const lesser = await call('createUser', { ...made, role: 'BASIC' }, some.secret);
    expect(lesser.data.createUser.user.role).toBe('BASIC');
    const down = await call('changeUserRole', { userId: person.userId, role: 'LIMITED' }, some.secret);
    expect(down.data.changeUserRole.user.role).toBe('LIMITED');
  });

  test('users cannot deactivate, delete or demote themselves', async () => {
    const admin = await kit.person({ role: 'ADMIN' });
    const self = { userId: admin.userId };
    await refused(() => call('deactivateUser', self, admin.session), 'CONFLICT');
    await refused(() => call('deleteUser', self, admin.session), 'CONFLICT');
    await refused(() => call('changeUserRole', { ...self, role: 'BASIC' }, admin.session), 'CONFLICT');
    const rest = (method: string, path: string, body: object) =>
      kit.rest(method, path, { key: admin.session, body: { ...byEmail(admin), ...body } });
    await refusedRest(() => rest('PATCH', '/manage/admin/deactivate-user', {}), 400, {
      detail: 'You cannot deactivate yourself',
    });
    await refusedRest(() => rest('DELETE', '/manage/admin/delete-user', {}), 400, {
      detail: 'You cannot delete yourself',
    });
    await refusedRest(() => rest('PATCH', '/manage/set-user-role', { new_role: 'basic' }), 400, {
      detail: 'An admin cannot demote themselves from admin role!',
    });
    const same = await call('changeUserRole', { ...self, role: 'ADMIN' }, admin.session);
    expect(same.data.changeUserRole.user.role).toBe('ADMIN');
  });

  test('the last administrator remains when two administrators deactivate each other concurrently', async () => {
    const own = await startKit();
    try {
      const [one, other] = [await own.person({ role: 'ADMIN' }), await own.person({ role: 'ADMIN' })];
      const keys = await own.gql('{ apiKeys { nodes { databaseId role } } }');
      const first = keys.data.apiKeys.nodes.find((key: { role: string }) => key.role === 'ADMIN');
      await own.gql('mutation ($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }', {
        id: first.databaseId,
      });
      const answers = await Promise.all([
        call('deactivateUser', { userId: other.userId }, one.session, own),
        call('deactivateUser', { userId: one.userId }, other.session, own),
      ]);
      expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
      const left = await own.prisma.user.findMany({ where: { accountType: 'STANDARD', active: true } });
      expect(left).toHaveLength(1);
      // A token of the last administrator: a different credential of the same user.
      const last = left[0]?.id === one.userId ? one : other;
      for (const run of [
        () => call('deactivateUser', { userId: last.userId }, last.session, own),
        () => call('changeUserRole', { userId: last.userId, role: 'BASIC' }, last.session, own),
      ])
        await refused(run, 'CONFLICT', own);
    } finally {
      await own.close();
    }
  });

  test('the last administrator cannot be deactivated or demoted by another principal with manage:users', async () => {
    const own = await startKit();
    try {
      const admin = await own.person({ role: 'ADMIN' });
      // Has all permissions but is restricted to scopes: it cannot replace the last administrator.
      const scopes = [...rolePermissions('ADMIN')];
      const scoped = await own.createKey('ADMIN', { scopes });
      const keys = await own.prisma.token.findMany({
        where: { kind: 'API_KEY', allScopes: true, user: { role: 'ADMIN' } },
      });
      for (const { id } of keys)
        await own.gql(
          'mutation ($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }',
          { id },
          admin.session,
        );
      const self = { userId: admin.userId };
      await refused(() => call('deactivateUser', self, scoped.secret, own), 'CONFLICT', own);
      await refused(() => call('changeUserRole', { ...self, role: 'BASIC' }, scoped.secret, own), 'CONFLICT', own);
    } finally {
      await own.close();
    }
  });

  test('TOK 9 deactivating a user blocks sessions and personal tokens from the next request', async () => {
    const person = await kit.person();
    const pat = await kit.createPat(person.session);
    const { data } = await call('deactivateUser', { email: person.email.toUpperCase() });
    expect(data.deactivateUser.user).toMatchObject({ id: person.userId, active: false });
    expect([await works(person.session), await works(pat.secret)]).toEqual([false, false]);
    for (const key of [person.session, pat.secret]) expect((await kit.rest('GET', '/me', { key })).status).toBe(403);
    expect((await call('activateUser', { userId: person.userId })).data.activateUser.user.active).toBe(true);
    // Sessions were ended; personal access tokens were paused.
    expect([await works(person.session), await works(pat.secret)]).toEqual([false, true]);
  });

  test('TOK 9 deactivating over REST has the same effect, and is required before deletion', async () => {
    const person = await kit.person();
    const pat = await kit.createPat(person.session);
    const rest = (method: string, path: string) =>
      kit.rest(method, `/api/manage/admin/${path}`, { body: byEmail(person) });
    await refusedRest(() => rest('DELETE', 'delete-user'), 400, {
      detail: 'User must be deactivated before deleting',
    });
    await refused(() => call('deleteUser', { userId: person.userId }), 'CONFLICT');
    expect((await rest('PATCH', 'deactivate-user')).text).toBe('null');
    expect((await rest('PATCH', 'activate-user')).text).toBe('null');
    expect(await works(pat.secret)).toBe(true);
    await rest('PATCH', 'deactivate-user');
    expect((await rest('DELETE', 'delete-user')).text).toBe('null');
    expect([await works(person.session), await works(pat.secret)]).toEqual([false, false]);
    expect(await kit.prisma.user.findUnique({ where: { id: person.userId } })).toBeNull();
  });

  test('deleting a user removes chats, documents, private agents, projects and the users of project tokens', async () => {
    const person = await kit.person();
    const other = await kit.person();
    const { prisma } = kit;
    const project = await prisma.project.create({ data: { name: 'p', ownerId: person.userId } });
    const machine = await prisma.user.create({
      data: {
        name: 'machine',
        email: `machine-${person.userId}@people.example`,
        accountType: 'SERVICE_ACCOUNT',
        tokens: {
          create: {
            kind: 'PROJECT',
            hash: Buffer.from(person.userId.slice(0, 32)),
            display: 'proj_',
            projectId: project.id,
          },
        },
      },
    });
    const document = (externalId: string, data: object) =>
      prisma.document.create({
        data: { externalId, title: 'd', contentHash: Buffer.from('x'), isPublic: false, ...data },
      });
    const own = await document(`own ${person.userId}`, { ownerId: person.userId });
    const ofProject = await document(`project ${person.userId}`, { projectId: project.id });
    const privateAgent = await prisma.agent.create({ data: { name: 'private', ownerId: person.userId } });
    const shared = await prisma.agent.create({
      data: { name: 'shared', ownerId: person.userId, shares: { create: { userId: other.userId } } },
    });
    const chats = await Promise.all(
      [person.userId, machine.id].map((userId) =>
        prisma.chatSession.create({ data: { userId, agentId: privateAgent.id, projectId: project.id } }),
      ),
    );
    const kept = await prisma.chatSession.create({ data: { userId: other.userId, agentId: privateAgent.id } });
    await call('deactivateUser', { userId: person.userId });
    const { data } = await call('deleteUser', { userId: person.userId });
    expect(data.deleteUser.deletedUserId).toBe(globalId('User', person.userId));
    expect(await prisma.user.count({ where: { id: { in: [person.userId, machine.id] } } })).toBe(0);
    expect(await prisma.token.count({ where: { userId: { in: [person.userId, machine.id] } } })).toBe(0);
    expect(await prisma.project.count({ where: { id: project.id } })).toBe(0);
    expect(await prisma.document.count({ where: { id: { in: [own.id, ofProject.id] } } })).toBe(0);
    expect(await prisma.chatSession.count({ where: { id: { in: chats.map(({ id }) => id) } } })).toBe(0);
    expect(await prisma.agent.findUnique({ where: { id: privateAgent.id } })).toBeNull();
    expect(await prisma.agent.findUnique({ where: { id: shared.id } })).toMatchObject({ ownerId: null });
    expect(await prisma.chatSession.findUnique({ where: { id: kept.id } })).toMatchObject({ agentId: 0 });
  });

  test('TOK 10 a demotion reduces the permissions of a person’s tokens from the next request', async () => {
    const person = await kit.person({ role: 'ADMIN' });
    const pat = await kit.createPat(person.session);
    const manages = async (key: string) => (await kit.gql('{ can(permission: MANAGE_USERS) }', {}, key)).data?.can;
    expect([await manages(person.session), await manages(pat.secret)]).toEqual([true, true]);
    await kit.rest('PATCH', '/manage/set-user-role', { body: { ...byEmail(person), new_role: 'basic' } });
    expect([await manages(person.session), await manages(pat.secret)]).toEqual([false, false]);
    await kit.rest('PATCH', '/manage/admin/users/admin-access', { body: { ...byEmail(person), is_admin: true } });
    expect([await role(person), await manages(pat.secret)]).toEqual(['ADMIN', true]);
    await kit.rest('PATCH', '/manage/admin/users/admin-access', { body: { ...byEmail(person), is_admin: false } });
    expect(await role(person)).toBe('BASIC');
    const nobody = { user_email: 'nobody@people.example', is_admin: true };
    await refusedRest(() => kit.rest('PATCH', '/manage/admin/users/admin-access', { body: nobody }), 404, {
      error_code: 'NOT_FOUND',
      detail: 'User not found',
    });
  });

  test('a role that does not exist or cannot be assigned is rejected', async () => {
    const person = await kit.person();
    await refused(() => call('changeUserRole', { userId: person.userId, role: 'OWNER' }), 'BAD_USER_INPUT');
    for (const new_role of ['limited', 'curator', 'global_curator', 'slack_user', 'ext_perm_user'])
      await refusedRest(
        () => kit.rest('PATCH', '/manage/set-user-role', { body: { ...byEmail(person), new_role } }),
        400,
      );
    await refusedRest(
      () => kit.rest('PATCH', '/manage/set-user-role', { body: { ...byEmail(person), new_role: 'owner' } }),
      422,
    );
  });

  test('a password reset returns a working password once, ends the sessions and revokes the tokens', async () => {
    const person = await kit.person();
    const pat = await kit.createPat(person.session);
    const { data } = await call('resetUserPassword', { userId: person.userId });
    const first = data.resetUserPassword.newPassword;
    expect(first).toMatch(/^[0-9A-Za-z]{24}$/);
    expect([await works(person.session), await works(pat.secret)]).toEqual([false, false]);
    const login = (password: string) =>
      kit.rest('POST', '/auth/mobile/login', { key: null, body: { username: person.email, password } });
    expect([(await login(person.password)).status, (await login(first)).status]).toEqual([400, 200]);
    const { body } = await kit.rest('POST', '/password/reset_password', { body: byEmail(person) });
    expect(body).toEqual({ user_id: person.userId, new_password: expect.stringMatching(/^[0-9A-Za-z]{24}$/) });
    expect([(await login(first)).status, (await login(body.new_password)).status]).toEqual([400, 200]);
    const trail = await kit.prisma.auditEvent.findMany({ where: { targetId: person.userId } });
    const texts = JSON.stringify(trail.map(({ detail }) => detail)) + kit.log.join('\n');
    for (const secret of [first, body.new_password]) expect(texts).not.toContain(secret);
  });

  test('an account is created with the given fields, and its e-mail address and username are unique', async () => {
    const input = {
      email: fresh().toUpperCase(),
      password: 'long enough',
      role: 'LIMITED',
      name: 'Ann',
      username: `ann${++count}`,
    };
    const { data } = await call('createUser', input);
    expect(data.createUser.user).toEqual({
      id: expect.any(String),
      email: input.email.toLowerCase(),
      name: 'Ann',
      username: input.username,
      role: 'LIMITED',
      active: true,
      passwordConfigured: true,
    });
    await refused(() => call('createUser', { ...input, username: 'another' }), 'CONFLICT');
    await refused(() => call('createUser', { ...input, email: fresh() }), 'CONFLICT');
    const raced = { ...input, email: fresh(), username: null };
    const answers = await Promise.all([1, 2].map(() => call('createUser', raced)));
    expect(answers.map((answer) => code(answer) ?? 'made').sort()).toEqual(['CONFLICT', 'made']);
  });

  test.each([
    ['a password of 7 characters', { password: 'a'.repeat(7) }],
    ['a password of 65 characters', { password: 'a'.repeat(65) }],
    ['a password of 10,000 characters', { password: 'a'.repeat(10_000) }],
    ['an e-mail that is none', { email: 'nobody' }],
    ['an address of a key', { email: 'x@1onyxapikey.ai' }],
    ['a username with a space', { username: 'a b' }],
    ['a name with NUL', { name: 'a\0' }],
    ['a role that does not exist', { role: 'OWNER' }],
  ])('%s is rejected, and no account is created', async (_what, wrong) => {
    const input = { email: fresh(), password: 'long enough', role: 'BASIC', ...wrong };
    const answer = await refused(() => call('createUser', input), 'BAD_USER_INPUT');
    expect(answer.errors[0]?.extensions.fields[0].path).toEqual(['input', Object.keys(wrong)[0]]);
  });

  test('every operation is recorded in the audit trail with its actor', async () => {
    const admin = await kit.person({ role: 'ADMIN' });
    const userId = (await call('createUser', { email: fresh(), password: 'long enough', role: 'BASIC' }, admin.session))
      .data.createUser.user.id;
    await call('changeUserRole', { userId, role: 'LIMITED' }, admin.session);
    await call('resetUserPassword', { userId }, admin.session);
    await call('deactivateUser', { userId }, admin.session);
    await call('activateUser', { userId }, admin.session);
    await call('deactivateUser', { userId }, admin.session);
    await call('deleteUser', { userId }, admin.session);
    const events = await kit.prisma.auditEvent.findMany({ where: { targetId: userId }, orderBy: { id: 'asc' } });
    expect(events.map(({ action }) => action)).toEqual([
      'user.create',
      'user.change_role',
      'user.reset_password',
      'user.deactivate',
      'user.activate',
      'user.deactivate',
      'user.delete',
    ]);
    expect(events.every(({ actorId, address }) => actorId === admin.userId && address !== null)).toBe(true);
    expect(events[1]?.detail).toMatchObject({ before: 'BASIC', after: 'LIMITED' });
  });
});

describe('open streams', () => {
  const subscription = `subscription { chatTurn(input: { message: "Hello" }) { __typename ... on ChatAnswerDelta { text } } }`;

  const ends: Record<string, (person: Person) => Promise<unknown>> = {
    'they are deactivated': ({ userId }) => call('deactivateUser', { userId }),
    'they are demoted': ({ userId }) => call('changeUserRole', { userId, role: 'LIMITED' }),
    'their password is reset': ({ userId }) => call('resetUserPassword', { userId }),
    'they log out': ({ session }) => kit.gql('mutation { logout { endedUserCredentialId } }', {}, session),
  };
  test.each(Object.keys(ends))('TOK 5 TOK 9 the stream and the turn of a person end when %s', async (what) => {
    const person = await kit.person();
    const gate = makeGate();
    kit.model.script({ text: ['one ', 'two ', 'three'], gate });
    const events = kit.subscribe(subscription, {}, person.session);
    gate.release();
    for (let said = ''; said === ''; ) {
      const { value, done } = await events.next();
      if (done) throw new Error('the stream ended before the model spoke');
      said = value.data?.chatTurn?.text ?? '';
    }
    const hungUp = kit.model.nextAbort();
    await ends[what]?.(person);
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(rest.map((event) => event.errors?.[0]?.extensions?.code)).toEqual(['UNAUTHENTICATED']);
    await hungUp;
  });
});

describe('invitations', () => {
  test('are created only for new addresses, listed and removed, in GraphQL and REST', async () => {
    const person = await kit.person();
    const [one, other, third] = [fresh(), fresh(), fresh()];
    const { data } = await call('inviteUsers', { emails: [one.toUpperCase(), one, other, person.email] });
    expect(data.inviteUsers.invitedCount).toBe(2);
    const rest = await kit.rest('PUT', '/manage/admin/users', { body: { emails: [other, third] } });
    expect([rest.status, rest.body]).toEqual([200, { invited_count: 1, email_invite_status: 'NOT_CONFIGURED' }]);
    const listed = await kit.gql(
      'query ($q: String) { invitations(filter: { search: $q }) { totalCount nodes { email createdAt } } }',
      { q: third.toUpperCase() },
    );
    expect(listed.data.invitations).toEqual({
      totalCount: 1,
      nodes: [{ email: third, createdAt: expect.any(String) }],
    });
    expect((await kit.rest('GET', '/manage/users/invited')).body.map(({ email }: { email: string }) => email)).toEqual(
      expect.arrayContaining([one, other, third]),
    );
    const before = await kit.prisma.invitation.count();
    const { id } = await kit.prisma.invitation.findUniqueOrThrow({ where: { email: one } });
    expect((await call('removeInvitation', { email: one.toUpperCase() })).data.removeInvitation).toEqual({
      deletedInvitationId: globalId('Invitation', id),
      remainingCount: before - 1,
    });
    const removed = await kit.rest('PATCH', '/manage/admin/remove-invited-user', { body: { user_email: other } });
    expect([removed.status, removed.body]).toEqual([200, before - 2]);
    await refused(() => call('removeInvitation', { email: one }), 'NOT_FOUND');
    // A person with an account needs no invitation.
    await call('createUser', { email: third, password: 'long enough', role: 'BASIC' });
    expect(await kit.prisma.invitation.count({ where: { email: third } })).toBe(0);
  });

  test('are all rejected when one address is invalid, or when the list is empty or has 1001 addresses', async () => {
    const answer = await refused(() => call('inviteUsers', { emails: [fresh(), 'nobody'] }), 'BAD_USER_INPUT');
    expect(answer.errors[0]?.extensions.fields[0].path).toEqual(['input', 'emails', 1]);
    await refusedRest(() => kit.rest('PUT', '/manage/admin/users', { body: { emails: [fresh(), 'nobody'] } }), 400, {
      detail: 'Invalid email address: nobody',
    });
    const many = Array.from({ length: 1001 }, (_, i) => `many-${i}@people.example`);
    for (const emails of [[], many]) await refused(() => call('inviteUsers', { emails }), 'BAD_USER_INPUT');
    expect((await call('inviteUsers', { emails: many.slice(1) })).data.inviteUsers.invitedCount).toBe(1000);
  });

  test('are created once when concurrent requests invite the same address', async () => {
    const emails = [fresh()];
    const answers = await Promise.all([1, 2, 3].map(() => call('inviteUsers', { emails })));
    expect(answers.map(({ data }) => data.inviteUsers.invitedCount).sort()).toEqual([0, 0, 1]);
  });

  test('are denied without manage:users', async () => {
    const email = fresh();
    await call('inviteUsers', { emails: [email] });
    const { session } = await kit.person();
    for (const key of [session, kit.keys.BASIC, kit.keys.LIMITED]) {
      await refused(() => call('inviteUsers', { emails: [fresh()] }, key), 'FORBIDDEN');
      await refused(() => call('removeInvitation', { email }, key), 'FORBIDDEN');
      await refused(() => call('createUser', { email, password: 'long enough', role: 'BASIC' }, key), 'FORBIDDEN');
      await refused(() => kit.gql('{ invitations { totalCount } }', {}, key), 'FORBIDDEN');
      await refusedRest(() => kit.rest('PUT', '/manage/admin/users', { key, body: { emails: [fresh()] } }), 403);
      await refusedRest(
        () => kit.rest('PATCH', '/manage/admin/remove-invited-user', { key, body: { user_email: email } }),
        403,
      );
      await refusedRest(() => kit.rest('GET', '/manage/users/invited', { key }), 403);
    }
  });
});

describe('lists of users', () => {
  let own: Kit;
  let people: { admin: Person; basic: Person; limited: Person; shut: Person };
  beforeAll(async () => {
    own = await startKit();
    people = {
      admin: await own.person({ role: 'ADMIN', email: 'ada@people.example' }),
      basic: await own.person({ email: 'ben_1@people.example' }),
      limited: await own.person({ role: 'LIMITED', email: 'lea@people.example' }),
      shut: await own.person({ email: 'sam@people.example' }),
    };
    await call('deactivateUser', { userId: people.shut.userId }, undefined, own);
    await call('inviteUsers', { emails: ['guest@people.example', 'other@people.example'] }, undefined, own);
  });
  afterAll(() => own.close());

  const users = (args: string, key?: string) =>
    own.gql(`{ users(${args}) { totalCount nodes { id: databaseId name email accountType } } }`, {}, key);
  const accounts = async (args: string) =>
    (await own.gql(`{ allUsers(${args}) { totalCount nodes { email role accountType active passwordConfigured } } }`))
      .data.allUsers;
  const emails = (list: { nodes: { email: string }[] }) => list.nodes.map(({ email }) => email);

  test('the directory shows active users to callers with read:users', async () => {
    const { data } = await users('first: 10', people.basic.session);
    expect(emails(data.users)).toEqual(['ada@people.example', 'ben_1@people.example', 'lea@people.example']);
    expect(data.users.totalCount).toBe(3);
    const keys = await users('first: 10, filter: { accountTypes: [STANDARD, SERVICE_ACCOUNT] }', people.basic.session);
    expect(keys.data.users.totalCount).toBe(6);
    const page = await users('first: 1, offset: 1', people.basic.session);
    expect(emails(page.data.users)).toEqual(['ben_1@people.example']);
    expect(emails((await users('filter: { search: "EN_1" }')).data.users)).toEqual(['ben_1@people.example']);
    for (const query of ['_da', '%', '\\\\', 'sam'])
      expect((await users(`filter: { search: "${query}" }`)).data.users.totalCount).toBe(0);
    await refused(() => users('filter: { search: "a\\u0000" }'), 'BAD_USER_INPUT', own);
    await refused(() => users('first: 10', people.limited.session), 'FORBIDDEN', own);
    await refused(() => users('first: 10', own.keys.LIMITED), 'FORBIDDEN', own);
    const rest = await own.rest('GET', '/users', { key: people.basic.session });
    expect(rest.body).toEqual(data.users.nodes.map(({ id, email }: { id: string; email: string }) => ({ id, email })));
    expect((await own.rest('GET', '/users?include_api_keys=true')).body).toHaveLength(6);
    expect((await own.rest('GET', '/users', { key: people.limited.session })).status).toBe(403);
  });

  test('the directory can be paginated with cursors', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data }: GraphQLAnswer = await own.gql(
        'query ($after: String) { users(first: 1, after: $after) { nodes { email } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      seen.push(...emails(data.users));
      after = data.users.pageInfo.hasNextPage ? data.users.pageInfo.endCursor : null;
    } while (after);
    expect(seen).toEqual(['ada@people.example', 'ben_1@people.example', 'lea@people.example']);
  });

  test('a list costs a constant number of statements regardless of its length', async () => {
    const cost = async (first: number) => {
      own.statements.length = 0;
      await own.gql(`{ allUsers(first: ${first}) { totalCount nodes { id email passwordConfigured } } }`);
      return own.statements.length;
    };
    await cost(1);
    expect(await cost(4)).toBe(await cost(1));
  });

  test('accounts can be filtered by several criteria at once', async () => {
    expect((await accounts('first: 10')).totalCount).toBe(4);
    expect(emails(await accounts('filter: { active: false }'))).toEqual(['sam@people.example']);
    expect(emails(await accounts('filter: { roles: [ADMIN, LIMITED] }'))).toEqual([
      'ada@people.example',
      'lea@people.example',
    ]);
    expect(emails(await accounts('filter: { roles: [BASIC], active: true, search: "people" }'))).toEqual([
      'ben_1@people.example',
    ]);
    expect((await accounts('filter: { roles: [] }')).totalCount).toBe(0);
    const keys = await accounts('filter: { accountTypes: [SERVICE_ACCOUNT] }');
    expect([
      keys.totalCount,
      keys.nodes.every((node: { passwordConfigured: boolean }) => !node.passwordConfigured),
    ]).toEqual([3, true]);
    for (const key of [people.basic.session, own.keys.BASIC, own.keys.LIMITED])
      await refused(() => own.gql('{ allUsers { totalCount } }', {}, key), 'FORBIDDEN', own);
  });

  test('GET /manage/users returns all users, or pages of ten when all three page numbers are given', async () => {
    const { body } = await own.rest('GET', '/manage/users');
    expect(body).toMatchObject({ slack_users: [], accepted_pages: 1, invited_pages: 1, slack_users_pages: 1 });
    expect([body.accepted.length, body.invited]).toEqual([
      4,
      [{ email: 'guest@people.example' }, { email: 'other@people.example' }],
    ]);
    expect(body.accepted[0]).toEqual({
      id: people.admin.userId,
      email: 'ada@people.example',
      role: 'admin',
      is_active: true,
      password_configured: true,
      account_type: 'STANDARD',
      personal_name: 'ada',
      created_at: expect.any(String),
      updated_at: expect.any(String),
      groups: [{ id: 1, name: 'Admin' }],
      is_scim_synced: false,
      craft_enabled: false,
      is_admin: true,
    });
    const found = await own.rest('GET', '/manage/users?q=GUEST');
    expect([found.body.accepted, found.body.invited]).toEqual([[], [{ email: 'guest@people.example' }]]);
    expect((await own.rest('GET', '/manage/users?include_api_keys=true')).body.accepted).toHaveLength(7);
    const paged = await own.rest('GET', '/manage/users?accepted_page=1&invited_page=0&slack_users_page=0');
    expect(paged.body).toMatchObject({ accepted: [], accepted_pages: 1, invited_pages: 1, slack_users_pages: 0 });
    expect(paged.body.invited).toHaveLength(2);
    expect((await own.rest('GET', '/manage/users', { key: own.keys.BASIC })).status).toBe(403);
  });

  test('GET /manage/users/accepted supports paging and all filters, and rejects invalid ones', async () => {
    const get = async (query: string) => (await own.rest('GET', `/manage/users/accepted?${query}`)).body;
    expect((await get('page_num=1&page_size=3')).items.map(({ email }: { email: string }) => email)).toEqual([
      'sam@people.example',
    ]);
    expect((await get('page_size=1')).total_items).toBe(4);
    expect((await get('is_active=false')).total_items).toBe(1);
    expect((await get('roles=admin')).total_items).toBe(1);
    expect((await get('roles=admin&roles=limited')).total_items).toBe(2);
    expect((await get('roles=curator')).total_items).toBe(0);
    expect((await get('account_types=SERVICE_ACCOUNT&account_types=STANDARD')).total_items).toBe(7);
    expect((await get('q=lea')).items[0]).toMatchObject({ role: 'limited', groups: [], is_admin: false });
    for (const wrong of ['page_size=0', 'page_size=1001', 'page_num=-1', 'roles=owner', 'is_active=maybe'])
      expect((await own.rest('GET', `/manage/users/accepted?${wrong}`)).status).toBe(422);
    expect((await own.rest('GET', '/manage/users/accepted', { key: own.keys.BASIC })).status).toBe(403);
  });

  test('/manage/users/accepted/all and /manage/users/counts return all accounts and their counts', async () => {
    expect((await own.rest('GET', '/manage/users/accepted/all')).body).toHaveLength(4);
    expect((await own.rest('GET', '/manage/users/counts')).body).toEqual({
      role_counts: { limited: 1, basic: 2, admin: 1 },
      status_counts: { active: 3, inactive: 1 },
    });
    for (const path of ['/manage/users/accepted/all', '/manage/users/counts'])
      for (const key of [own.keys.BASIC, people.limited.session, null])
        expect((await own.rest('GET', path, { key })).status).toBe(403);
  });

  test('GET /get-user-role returns the role of the caller', async () => {
    expect((await own.rest('GET', '/get-user-role', { key: people.basic.session })).body).toEqual({ role: 'basic' });
    expect((await own.rest('GET', '/get-user-role', { key: own.keys.LIMITED })).status).toBe(403);
  });

  test('the default groups represent the roles', async () => {
    const { body } = await own.rest('GET', '/manage/admin/user-group?include_default=true');
    expect(body.map(({ id, name, is_default }: Record<string, unknown>) => [id, name, is_default])).toEqual([
      [1, 'Admin', true],
      [2, 'Basic', true],
    ]);
    const people = ({ users }: { users: { email: string; account_type: string }[] }) =>
      users.filter((user) => user.account_type === 'STANDARD').map(({ email }) => email);
    expect(people(body[0])).toEqual(['ada@people.example']);
    expect(people(body[1])).toEqual(['ben_1@people.example', 'sam@people.example']);
    // A key is a member like a person, as its `groups` show.
    const { body: key } = await own.rest('POST', '/admin/api-key', { body: { name: 'member', group_ids: [2] } });
    const after = await own.rest('GET', '/manage/admin/user-group?include_default=true');
    const membership = after.body.map(({ users }: { users: { id: string }[] }) =>
      users.some(({ id }) => id === key.user_id),
    );
    expect([membership, key.groups]).toEqual([[false, true], [{ id: 2, name: 'Basic' }]]);
    expect(body[0]).toMatchObject({ manager_ids: [], curator_ids: [] });
    expect(body[0].users[0]).toMatchObject({
      is_superuser: false,
      is_verified: true,
      preferences: { chosen_assistants: null, hidden_assistants: [], pinned_assistants: [], default_app_mode: 'CHAT' },
      effective_permissions: [],
    });
    const mayDo = { manage: false, manage_members: false, delete: false, edit_permissions: false };
    expect(body[0].permissions).toMatchObject({ ...mayDo, edit_token_limits: true });
    const { secret: people_only } = await own.createKey('ADMIN', { scopes: ['manage:users'] });
    const theirs = await own.rest('GET', '/manage/admin/user-group?include_default=true', { key: people_only });
    expect(theirs.body[0].permissions).toMatchObject({ ...mayDo, edit_token_limits: false });
    expect(body[0].permissions).toMatchObject({ admin: true, basic: true, 'manage:users': true });
    expect(body[1].permissions).toMatchObject({ basic: true, 'read:chat': true });
    expect(body[1].permissions).not.toHaveProperty('manage:users');
    expect(body[1].permissions).not.toHaveProperty('admin');
    expect((await own.rest('GET', '/manage/admin/user-group')).body).toEqual([]);
    const held = await own.rest('GET', '/manage/admin/user-group/2/permissions');
    expect(held.body).toEqual([...rolePermissions('BASIC'), 'basic'].sort());
    const missing = await own.rest('GET', '/manage/admin/user-group/3/permissions');
    expect([missing.status, missing.body]).toEqual([404, { error_code: 'NOT_FOUND', detail: 'User group not found' }]);
    const { session } = await own.person();
    for (const path of ['/manage/admin/user-group', '/manage/admin/user-group/1/permissions'])
      expect((await own.rest('GET', path, { key: session })).status).toBe(403);
  });

  test('the names of groups are those of the caller, or all names with manage:users', async () => {
    const minimal = (key: string | undefined, query = '?include_default=true') =>
      own.rest('GET', `/manage/user-groups/minimal${query}`, key === undefined ? {} : { key });
    const [admin, basic] = [
      { id: 1, name: 'Admin', is_default: true },
      { id: 2, name: 'Basic', is_default: true },
    ];
    expect((await minimal(undefined)).body).toEqual([admin, basic]);
    expect((await minimal(people.basic.session)).body).toEqual([basic]);
    expect((await minimal(people.basic.session, '')).body).toEqual([]);
    expect((await minimal(people.limited.session)).status).toBe(403);
  });
});
