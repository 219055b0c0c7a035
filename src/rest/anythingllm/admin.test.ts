import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';
import { rolePermissions } from '../../authz/permissions.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const told = ({ status, text, headers }: Answer) => [status, text, headers.get('content-type')];
const unauthorized = [401, 'Unauthorized', 'text/plain; charset=UTF-8'];
const noKey = [403, '{"error":"No valid api key found."}', 'application/json'];
const html = 'text/html; charset=utf-8';
const password = 'a long password';
let count = 0;
const fresh = () => `person${++count}`;
const make = (body: object, key?: string) =>
  kit.rest('POST', '/api/v1/admin/users/new', { body: { password, ...body }, ...(key && { key }) });
const change = (id: number | string, body: unknown, key?: string) =>
  kit.rest('POST', `/api/v1/admin/users/${id}`, { body, ...(key && { key }) });
const remove = (id: number | string, key?: string) =>
  kit.rest('DELETE', `/api/v1/admin/users/${id}`, key ? { key } : {});
const made = async (body: object = {}): Promise<{ id: number; username: string }> => {
  const answer = await make({ username: fresh(), ...body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.user;
};
const login = async (username: string, secret = password): Promise<string | null> =>
  (await kit.rest('POST', '/api/request-token', { key: null, body: { username, password: secret } })).body.token;
const stored = (id: number) => kit.prisma.user.findUniqueOrThrow({ where: { databaseId: id } });
const done = { success: true, error: null };

/** The paths of this file for keys, each with a body that would change something. */
const rows: [method: string, path: string, permission: string, body?: object][] = [
  ['GET', '/api/v1/admin/users', 'manage:users'],
  ['POST', '/api/v1/admin/users/new', 'manage:users', { username: 'nobody', password }],
  ['POST', '/api/v1/admin/users/1', 'manage:users', { username: 'other' }],
  ['DELETE', '/api/v1/admin/users/1', 'manage:users'],
  ['GET', '/api/v1/admin/invites', 'manage:users'],
  ['POST', '/api/v1/admin/invite/new', 'manage:users', {}],
  ['DELETE', '/api/v1/admin/invite/1', 'manage:users'],
  ['POST', '/api/v1/admin/preferences', 'manage:settings', { custom_app_name: 'x' }],
  ['POST', '/api/v1/admin/workspace-chats', 'read:query_history', {}],
  ['GET', '/api/v1/system', 'manage:settings'],
  ['GET', '/api/v1/system/env-dump', 'manage:settings'],
  ['POST', '/api/v1/system/update-env', 'manage:settings', { LLMProvider: 'openai' }],
  ['GET', '/api/v1/system/export-chats', 'read:query_history'],
  ['GET', '/api/v1/users/1/issue-auth-token', 'manage:users'],
];

describe('before the first user exists', () => {
  test('the paths for users check the permissions, return 401 and change no data', async () => {
    expect((await kit.rest('GET', '/api/v1/admin/is-multi-user-mode')).body).toEqual({ isMultiUser: false });
    for (const [method, path, , body] of rows.slice(0, 8))
      expect(told(await unchanged(() => kit.rest(method, path, { body }))), path).toEqual(unauthorized);
    const users = await kit.rest('GET', '/api/v1/users');
    expect(told(users)).toEqual([401, 'Instance is not in Multi-User mode. Permission denied.', html]);
    expect((await kit.rest('POST', '/api/v1/admin/workspace-chats')).body).toMatchObject({ chats: [] });
    expect((await kit.rest('GET', '/api/v1/admin/users', { key: kit.keys.BASIC })).status).toBe(403);
    await kit.rest('POST', '/api/system/enable-multi-user', { body: { username: 'root', password } });
    expect((await kit.rest('GET', '/api/v1/admin/is-multi-user-mode', { key: kit.keys.LIMITED })).body).toEqual({
      isMultiUser: true,
    });
  });
});

describe('permissions', () => {
  test('callers without the permission or without a valid credential are rejected, and no data changes', async () => {
    const asked = new Set<string>(rows.map(([, , permission]) => permission));
    const scopes = [...rolePermissions('ADMIN')].filter((name) => !asked.has(name));
    const scoped = await kit.createKey('ADMIN', { scopes });
    const before = await kit.fingerprint();
    for (const [method, path, permission, body] of rows) {
      for (const key of [kit.keys.BASIC, kit.keys.LIMITED, scoped.secret]) {
        const answer = await kit.rest(method, path, { key, body });
        expect([answer.status, answer.body?.error], `${method} ${path}`).toEqual([
          403,
          `This credential lacks \`${permission}\`.`,
        ]);
      }
      for (const key of [null, 'sk-nothing'])
        expect(told(await kit.rest(method, path, { key, body })), path).toEqual(noKey);
    }
    expect(await kit.fingerprint()).toBe(before);
    for (const path of ['/api/v1/users', '/api/v1/admin/is-multi-user-mode'])
      expect(told(await kit.rest('GET', path, { key: null }))).toEqual(noKey);
    expect((await kit.rest('GET', '/api/v1/users', { key: kit.keys.LIMITED })).status).toBe(403);
  });

  test('a caller cannot create or change an account with more permissions than their own', async () => {
    const admin = await made({ role: 'admin' });
    const scopes = ['manage:users', ...rolePermissions('BASIC')];
    const { secret } = await kit.createKey('ADMIN', { scopes });
    for (const attempt of [
      () => make({ username: fresh(), role: 'admin' }, secret),
      () => change(admin.id, { username: 'taken-over' }, secret),
      () => change(admin.id, { password: 'another password' }, secret),
      () => remove(admin.id, secret),
    ])
      expect((await unchanged(attempt)).status).toBe(403);
    const basic = await made();
    expect((await unchanged(() => change(basic.id, { role: 'admin' }, secret))).status).toBe(403);
    expect((await change(basic.id, { bio: 'hello' }, secret)).body).toEqual(done);
  });
});

describe('users', () => {
  test('are created with a username and no address, and log in with it', async () => {
    const answer = await make({ username: 'anna', dailyMessageLimit: '7', bio: 'hi', unknown: 1 });
    expect(answer.status).toBe(200);
    const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/);
    const user = {
      id: expect.any(Number),
      username: 'anna',
      pfpFilename: null,
      role: 'default',
      suspended: 0,
      seen_recovery_codes: true,
      createdAt: moment,
      lastUpdatedAt: moment,
      dailyMessageLimit: 7,
      bio: 'hi',
    };
    expect(answer.body).toEqual({ user, error: null });
    expect((await kit.rest('GET', '/api/v1/admin/users')).body.users).toContainEqual(answer.body.user);
    expect((await kit.rest('GET', '/api/v1/users', { key: kit.keys.BASIC })).body.users).toContainEqual({
      id: answer.body.user.id,
      username: 'anna',
      role: 'default',
    });
    expect(await login('anna')).toMatch(/^ses_/);
    expect(await login('anna', 'another')).toBeNull();
  });

  test.each([
    ['a short password', { password: 'short' }, /password must be at least 8/],
    ['a password that is none', { password: null }, /password/],
    ['a username with a capital', { username: 'Bob' }, /^username must have 2 to 64/],
    ['a username of one letter', { username: 'b' }, /^username must have 2 to 64/],
    ['no username', { username: undefined }, /^username must have 2 to 64/],
    ['a username with NUL', { username: 'b\0b' }, /username/],
    ['an address of a key', { username: 'b@onyxapikey.ai' }, /^username is reserved/],
    ['a manager', { role: 'manager' }, /role must be admin or default/],
    ['a role that does not exist', { role: 'owner' }, /role must be/],
    ['a limit of none', { dailyMessageLimit: 0 }, /dailyMessageLimit must be/],
    ['a limit that is none', { dailyMessageLimit: 'many' }, /dailyMessageLimit must be/],
    ['a limit beyond all numbers', { dailyMessageLimit: 1e300 }, /dailyMessageLimit must be/],
    ['a long bio', { bio: 'x'.repeat(1001) }, /bio must be/],
    ['a name that is taken', { username: 'root' }, /user name already exists/],
  ])('are rejected with 400 for %s, and no account is created', async (_what, wrong, error) => {
    const answer = await unchanged(() => make({ username: fresh(), ...wrong }));
    expect([answer.status, answer.body]).toEqual([400, { user: null, error: expect.stringMatching(error) }]);
  });

  test('are changed only in the fields that the request sets', async () => {
    const { id, username } = await made({ bio: 'before' });
    const session = await login(username);
    expect((await change(id, { role: 'admin', dailyMessageLimit: 3, bio: 'after' })).body).toEqual(done);
    expect(await stored(id)).toMatchObject({ role: 'ADMIN', dailyMessageLimit: 3, bio: 'after', username });
    // Null does not lift a limit; listing the field in `clear` does.
    const nulls = { dailyMessageLimit: null, bio: null, username: null, role: null, suspended: null, password: null };
    expect((await change(id, nulls)).body).toEqual({ success: false, error: 'No valid updates applied.' });
    expect(await stored(id)).toMatchObject({ role: 'ADMIN', dailyMessageLimit: 3, bio: 'after', username });
    expect((await change(id, { clear: ['dailyMessageLimit'] })).body).toEqual(done);
    expect(await stored(id)).toMatchObject({ dailyMessageLimit: null, bio: 'after' });
    // A new user name replaces the old one for login.
    const renamed = fresh();
    expect((await change(id, { username: renamed })).body).toEqual(done);
    expect([await login(username), typeof (await login(renamed))]).toEqual([null, 'string']);
    await made({ username });
    // A new password ends the sessions.
    expect((await change(id, { password: 'another password' })).body).toEqual(done);
    expect((await kit.rest('GET', '/api/system/check-token', { key: session })).status).toBe(401);
    expect([await login(renamed), typeof (await login(renamed, 'another password'))]).toEqual([null, 'string']);
  });

  test.each([
    [1, 0],
    [true, false],
    ['1', '0'],
  ])('are suspended by %s and reactivated by %s', async (on, off) => {
    const { id, username } = await made();
    const session = await login(username);
    expect((await change(id, { suspended: on })).body).toEqual(done);
    expect([(await stored(id)).active, await login(username)]).toEqual([false, null]);
    expect((await kit.rest('GET', '/api/system/check-token', { key: session })).status).toBe(401);
    const { users } = (await kit.rest('GET', '/api/v1/admin/users')).body;
    expect(users.find((user: { id: number }) => user.id === id).suspended).toBe(1);
    expect((await change(id, { suspended: off })).body).toEqual(done);
    expect(await login(username)).toMatch(/^ses_/);
  });

  test('keep their name when an update repeats the listed name, even if it is an email address', async () => {
    const person = await kit.person({ email: 'a+b@example.com' });
    const { databaseId: id } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const listed = await kit.rest('GET', '/api/v1/admin/users');
    const { username } = listed.body.users.find((user: { id: number }) => user.id === id);
    expect(username).toBe('a+b@example.com');
    expect((await change(id, { username, dailyMessageLimit: 5 })).body).toEqual(done);
    expect(await stored(id)).toMatchObject({ username: null, email: 'a+b@example.com', dailyMessageLimit: 5 });
    expect((await unchanged(() => change(id, { username: 'b+a@example.com' }))).body.success).toBe(false);
  });

  test('return 200 with an error for an invalid update', async () => {
    const { id } = await made();
    const cases: [object | undefined, string | RegExp][] = [
      [{}, 'No valid updates applied.'],
      [undefined, 'No valid updates applied.'],
      [{ pfpFilename: 'x.png', id: 7 }, 'No valid updates applied.'],
      [{ password: 'short' }, /password must be/],
      [{ username: 'Not A Name' }, /^username must have 2 to 64/],
      [{ username: 'root' }, /user name already exists/],
      [{ username: 'fine', password: 'short' }, /password/],
      [{ dailyMessageLimit: -1 }, /dailyMessageLimit/],
      [{ dailyMessageLimit: {} }, /dailyMessageLimit/],
      [{ bio: '\ud800' }, /bio/],
      [{ role: 'manager' }, /role must be/],
    ];
    for (const [body, error] of cases) {
      const answer = await unchanged(() => change(id, body));
      expect([answer.status, answer.body], JSON.stringify(body)).toEqual([
        200,
        { success: false, error: typeof error === 'string' ? error : expect.stringMatching(error) },
      ]);
    }
  });

  test('return the documented errors for an unknown ID, and 400 when the ID to delete is malformed', async () => {
    const key = await kit.prisma.user.findFirstOrThrow({ where: { accountType: 'SERVICE_ACCOUNT' } });
    for (const id of [999_999, -1, 0, key.databaseId]) {
      const missing = { success: false, error: 'User not found' };
      expect([(await change(id, { bio: 'x' })).status, (await change(id, { bio: 'x' })).body]).toEqual([200, missing]);
      for (const attempt of [() => change(id, { role: 'admin' }), () => remove(id)]) {
        const answer = await unchanged(attempt);
        expect([answer.status, answer.body]).toEqual([404, missing]);
      }
    }
    for (const id of ['x', '1e3', '99999999999', '1.5'])
      expect(told(await unchanged(() => remove(id)))).toEqual([400, 'Bad Request', 'text/plain; charset=UTF-8']);
  });

  test('can be deleted while they are active, which ends their sessions', async () => {
    const { id, username } = await made();
    const session = await login(username);
    expect((await remove(id)).body).toEqual(done);
    expect((await kit.rest('GET', '/api/system/check-token', { key: session })).status).toBe(401);
    expect(await kit.prisma.user.count({ where: { databaseId: id } })).toBe(0);
    expect((await remove(id)).status).toBe(404);
  });

  test('the last admin cannot be deleted, suspended or demoted', async () => {
    const own = await startKit();
    try {
      const admin = await own.person({ role: 'ADMIN' });
      const { databaseId } = await own.prisma.user.findUniqueOrThrow({ where: { id: admin.userId } });
      const cut = await own.createKey('ADMIN', { scopes: [...rolePermissions('ADMIN')] });
      await own.prisma.user.deleteMany({
        where: { accountType: 'SERVICE_ACCOUNT', tokens: { some: { allScopes: true } } },
      });
      const path = `/api/v1/admin/users/${databaseId}`;
      const kept = { success: false, error: 'No system admins will remain if you do this. Update failed.' };
      const before = await own.fingerprint();
      for (const body of [{ role: 'default' }, { suspended: 1 }, { suspended: 1, role: 'default' }])
        expect((await own.rest('POST', path, { key: cut.secret, body })).body).toEqual(kept);
      const answer = await own.rest('DELETE', path, { key: cut.secret });
      expect([answer.status, answer.body]).toEqual([200, kept]);
      expect(await own.fingerprint()).toBe(before);
      // People cannot deactivate themselves or remove their own permissions.
      for (const body of [{ role: 'default' }, { suspended: 1 }])
        expect((await own.rest('POST', path, { key: admin.session, body })).body.success).toBe(false);
      expect((await own.rest('DELETE', path, { key: admin.session })).body.success).toBe(false);
      expect(await own.fingerprint()).toBe(before);
    } finally {
      await own.close();
    }
  });

  test('a login token for use in a URL is not issued', async () => {
    for (const id of [1, 999_999])
      expect(told(await kit.rest('GET', `/api/v1/users/${id}/issue-auth-token`))).toEqual([
        403,
        'Simple SSO is not enabled. It must be enabled to validate or issue temporary auth tokens.',
        html,
      ]);
  });

  test('an update is recorded in the audit trail without the password', async () => {
    const { id } = await made();
    await change(id, { password: 'one of its own kind', bio: 'new' });
    const { id: target } = await stored(id);
    const event = await kit.prisma.auditEvent.findFirstOrThrow({
      where: { targetId: target, action: 'user.update' },
    });
    expect(event.detail).toMatchObject({ changed: ['bio', 'password'] });
    expect(JSON.stringify(event.detail)).not.toContain('one of its own kind');
  });
});

describe('the daily message limit', () => {
  const ask = (key: string, sessionId?: string) =>
    kit.rest('POST', '/api/chat/send-chat-message', {
      key,
      body: { message: 'hello', stream: false, ...(sessionId ? { chat_session_id: sessionId } : {}) },
    });
  const begun = async (dailyMessageLimit: number) => {
    const { id, username } = await made({ dailyMessageLimit });
    return { id, session: (await login(username)) as string };
  };

  test('applies on every access path and to that user only, until the messages are older than 24 hours', async () => {
    const { id, session } = await begun(2);
    expect((await ask(session)).status).toBe(200);
    const sent = 'mutation { sendChatMessage(input: { message: "again" }) { answer } }';
    expect((await kit.gql(sent, {}, session)).errors).toEqual([]);
    const { userId } = await kit.prisma.chatSession.findFirstOrThrow({ where: { user: { databaseId: id } } });
    const messages = () => kit.prisma.chatMessage.count({ where: { session: { userId } } });
    const before = await messages();
    const refused = await ask(session);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(23 * 3600);
    const { errors } = await kit.gql(sent, {}, session);
    expect(errors[0]).toMatchObject({
      message: "You've reached your limit of 2 messages in 24 hours.",
      extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) },
    });
    const pat = await kit.createPat(session);
    expect((await ask(pat.secret)).status).toBe(429);
    expect(await messages()).toBe(before);
    expect((await ask(kit.keys.BASIC)).status).toBe(200);
    // A day later.
    const earlier = new Date(Date.now() - 25 * 3600 * 1000);
    await kit.prisma.run.updateMany({ where: { session: { userId } }, data: { startedAt: earlier } });
    await kit.prisma.usageRecord.deleteMany({ where: { userId } });
    expect((await ask(session)).status).toBe(200);
    await change(id, { clear: ['dailyMessageLimit'] });
    expect((await ask(session)).status).toBe(200);
  });

  test('is not exceeded by concurrent messages, and deleting the chat does not reset it', async () => {
    const { id, session } = await begun(3);
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(session)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429, 429]);
    const { userId } = await kit.prisma.chatSession.findFirstOrThrow({ where: { user: { databaseId: id } } });
    await kit.booted.background.settled();
    await kit.prisma.chatSession.deleteMany({ where: { userId } });
    expect((await ask(session)).status).toBe(429);
  });
});
