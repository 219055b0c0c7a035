import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { atFullCost } from '../../../test/argon2.ts';
import { type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { AppError } from '../../errors.ts';
import { globalId } from '../../graphql/id-input.ts';
import { readSettings } from '../../settings.ts';
import type { Counter } from '../../store/shared/counters.ts';
import { createLoginThrottle } from './login-throttle.ts';
import { hashPassword, verifyPassword } from './password.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

const password = 'correct horse';
let count = 0;
const fresh = () => `someone-${++count}@people.example`;

const register = (input: object, on = kit, key: string | null = null) =>
  on.gql(
    'mutation ($input: RegisterInput!) { register(input: $input) { user { id: databaseId email name role accountType active passwordConfigured } } }',
    { input },
    key,
  );
const login = (loginName: string, given: string, on = kit, key: string | null = null) =>
  on.gql(
    'mutation ($input: LoginInput!) { login(input: $input) { token expiresAt user { id: databaseId email lastLoginAt } } }',
    { input: { login: loginName, password: given } },
    key,
  );
const change = (key: string | null, currentPassword: string, newPassword: string) =>
  kit.gql(
    'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id: databaseId } } }',
    { input: { currentPassword, newPassword } },
    key,
  );
const logout = (key: string | null) => kit.gql('mutation { logout { endedUserCredentialId } }', {}, key);
const refresh = (key: string | null) =>
  kit.gql('mutation { refreshSession { token expiresAt user { id: databaseId } } }', {}, key);
const invite = (emails: string[], on = kit) =>
  on.gql('mutation ($input: InviteUsersInput!) { inviteUsers(input: $input) { invitedCount } }', { input: { emails } });
const works = async (key: string, on = kit) => (await on.gql('{ viewer { role } }', {}, key)).data?.viewer != null;
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const form = (fields: Record<string, string>) => ({
  key: null,
  body: new URLSearchParams(fields).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});

/** Expects that a call is denied with this code and changes no data. */
async function refused(call: () => Promise<GraphQLAnswer>, expected: string, on = kit): Promise<GraphQLAnswer> {
  const before = await on.fingerprint();
  const answer = await call();
  expect(code(answer)).toBe(expected);
  expect(await on.fingerprint()).toBe(before);
  return answer;
}

describe('passwords', () => {
  test('are stored as argon2id hashes with 19 MiB, two passes and one lane', async () => {
    const hash = await atFullCost(() => hashPassword(password));
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect([await verifyPassword(hash, password), await verifyPassword(hash, 'another one')]).toEqual([true, false]);
    expect([await verifyPassword(null, password), await verifyPassword(undefined, '')]).toEqual([false, false]);
  });

  test('two users with the same password have different hashes, and the database does not contain the password', async () => {
    const [one, other] = [await kit.person({ password }), await kit.person({ password })];
    const users = await kit.prisma.user.findMany({ where: { id: { in: [one.userId, other.userId] } } });
    expect(new Set(users.map(({ passwordHash }) => passwordHash)).size).toBe(2);
    expect(JSON.stringify(users)).not.toContain(password);
  });
});

describe('registration', () => {
  test('with REGISTRATION=open the first user becomes ADMIN and later users become BASIC, in GraphQL and REST', async () => {
    const own = await startKit({ environment: { REGISTRATION: 'open' } });
    try {
      const asked = () =>
        own.gql(
          '{ authentication { registration passwordMinLength passwordMaxLength hasUsers multiUserMode } }',
          {},
          null,
        );
      const how = { registration: 'OPEN', passwordMinLength: 8, passwordMaxLength: 64 };
      expect((await asked()).data.authentication).toEqual({ ...how, hasUsers: false, multiUserMode: false });
      const type = await own.rest('GET', '/auth/type', { key: null });
      expect([type.body.has_users, type.headers.get('cache-control')]).toEqual([false, 'no-store']);

      const first = await register({ email: 'First@People.Example', password }, own);
      expect(first.data.register.user).toEqual({
        id: expect.any(String),
        email: 'first@people.example',
        name: 'first',
        role: 'ADMIN',
        accountType: 'STANDARD',
        active: true,
        passwordConfigured: true,
      });
      const second = await own.rest('POST', '/auth/register', {
        key: null,
        body: {
          email: 'second@people.example',
          password,
          username: 'ignored',
          is_superuser: false,
          account_type: 'BOT',
        },
      });
      expect([second.status, second.body]).toEqual([
        201,
        {
          id: expect.any(String),
          email: 'second@people.example',
          is_active: true,
          is_superuser: false,
          is_verified: true,
          role: 'basic',
          account_type: 'STANDARD',
        },
      ]);
      expect((await asked()).data.authentication).toEqual({ ...how, hasUsers: true, multiUserMode: true });
      const later = await own.rest('GET', '/api/auth/type', { key: null });
      expect(later.headers.get('cache-control')).toBe('public, max-age=60');
      expect(later.body).toMatchObject({
        auth_type: 'basic',
        password_min_length: 8,
        password_max_length: 64,
        sso_providers: [],
      });
    } finally {
      await own.close();
    }
  });

  test.each([
    ['GraphQL', 'default'],
    ['REST', 'default'],
    ['GraphQL', 'invite'],
    ['REST', 'invite'],
  ])('in %s the first user becomes BASIC unless the operator set REGISTRATION=open (mode: %s)', async (api, mode) => {
    const own = await startKit({ environment: mode === 'default' ? {} : { REGISTRATION: mode } });
    try {
      const email = 'first@people.example';
      if (mode === 'invite') expect((await invite([email], own)).errors).toEqual([]);
      if (api === 'GraphQL') expect((await register({ email, password }, own)).data.register.user.role).toBe('BASIC');
      else {
        const answer = await own.rest('POST', '/auth/register', { key: null, body: { email, password } });
        expect([answer.status, answer.body.role, answer.body.is_superuser]).toEqual([201, 'basic', false]);
      }
      const { data } = await login(email, password, own);
      const session = data.login.token;
      const viewer = await own.gql('{ viewer { role } can(permission: MANAGE_API_KEYS) }', {}, session);
      expect(viewer.data).toEqual({ viewer: { role: 'BASIC' }, can: false });
      await refused(() => own.gql('{ apiKeys { totalCount } }', {}, session), 'FORBIDDEN', own);
    } finally {
      await own.close();
    }
  });

  test.each([
    [{}, 'open', false],
    [{ HOST: '127.0.0.5' }, 'open', false],
    [{ HOST: '::1' }, 'open', false],
    [{ HOST: 'localhost' }, 'open', false],
    [{ HOST: '0.0.0.0' }, 'invite', false],
    [{ HOST: '::' }, 'invite', false],
    [{ HOST: '192.168.1.2' }, 'invite', false],
    [{ HOST: '127.evil.example' }, 'invite', false],
    [{ NODE_ENV: 'production' }, 'invite', false],
    [{ AUTH_TOKEN: 'the server’s own', HOST: '0.0.0.0' }, 'closed', false],
    [{ REGISTRATION: 'open', HOST: '0.0.0.0', NODE_ENV: 'production' }, 'open', true],
    [{ REGISTRATION: 'invite' }, 'invite', false],
  ])('the settings %j result in %s registration', (environment, registration, firstPersonIsAdmin) => {
    expect(readSettings(environment as Record<string, string>)).toMatchObject({ registration, firstPersonIsAdmin });
  });

  test('a production server rejects registration without an invitation by default', async () => {
    const own = await startKit({ environment: { NODE_ENV: 'production' } });
    try {
      await refused(() => register({ email: fresh(), password }, own), 'FORBIDDEN', own);
      const before = await own.fingerprint();
      const rest = await own.rest('POST', '/auth/register', { key: null, body: { email: fresh(), password } });
      expect([rest.status, rest.body.error_code]).toEqual([403, 'UNAUTHORIZED']);
      expect(await own.fingerprint()).toBe(before);
    } finally {
      await own.close();
    }
  });

  test('racing registrations create one ADMIN, and one account for each address', async () => {
    const own = await startKit({ environment: { REGISTRATION: 'open' } });
    try {
      const answers = await Promise.all(
        ['a', 'b', 'c'].map((who) => register({ email: `${who}@people.example`, password }, own)),
      );
      expect(answers.map(({ data }) => data.register.user.role).sort()).toEqual(['ADMIN', 'BASIC', 'BASIC']);
      const same = await Promise.all([1, 2, 3].map(() => register({ email: 'same@people.example', password }, own)));
      expect(same.map((answer) => code(answer) ?? 'made').sort()).toEqual(['CONFLICT', 'CONFLICT', 'made']);
      expect(await own.prisma.user.count({ where: { accountType: 'STANDARD' } })).toBe(4);
      expect(await own.prisma.auditEvent.count({ where: { action: 'user.register' } })).toBe(4);
    } finally {
      await own.close();
    }
  });

  test('rejects an address that is already taken, in any letter case', async () => {
    const { email } = await kit.person();
    await refused(() => register({ email: email.toUpperCase(), password }), 'CONFLICT');
    const before = await kit.fingerprint();
    const rest = await kit.rest('POST', '/auth/register', { key: null, body: { email, password } });
    expect([rest.status, rest.body]).toEqual([400, { detail: 'REGISTER_USER_ALREADY_EXISTS' }]);
    expect(await kit.fingerprint()).toBe(before);
  });

  test.each([
    ['of 7 characters', 'a'.repeat(7)],
    ['of 65 characters', 'a'.repeat(65)],
    ['of 10,000 characters', 'a'.repeat(10_000)],
    ['with NUL', 'abcdefgh\0'],
    ['with half a character', 'abcdefgh\ud800'],
  ])('TOK 13 rejects a password %s and does not repeat it in the error', async (_what, given) => {
    const answer = await refused(() => register({ email: fresh(), password: given }), 'BAD_USER_INPUT');
    const rest = await kit.rest('POST', '/auth/register', { key: null, body: { email: fresh(), password: given } });
    expect(rest.status).toBe(400);
    expect(rest.body.detail).toEqual({ code: 'REGISTER_INVALID_PASSWORD', reason: expect.any(String) });
    expect(JSON.stringify([answer.errors, rest.body])).not.toContain(given.slice(0, 7));
  });

  test.each([
    '',
    'nobody',
    'a b@people.example',
    `${'a'.repeat(250)}@people.example`,
    'x@y',
    'api_key__x@1onyxapikey.ai',
    'a@b.example\0',
  ])('rejects an invalid email address: %j', async (email) => {
    const answer = await refused(() => register({ email, password }), 'BAD_USER_INPUT');
    expect(answer.errors[0]?.extensions.fields[0].path).toEqual(['input', 'email']);
    const rest = await kit.rest('POST', '/auth/register', { key: null, body: { email, password } });
    expect(rest.status).toBe(email.endsWith('onyxapikey.ai') ? 400 : 422);
  });

  test('when closed, rejects every registration, and administrators create the accounts', async () => {
    const own = await startKit({ environment: { REGISTRATION: 'closed' } });
    try {
      await refused(() => register({ email: fresh(), password }, own), 'FORBIDDEN', own);
      const rest = await own.rest('POST', '/auth/register', { key: null, body: { email: fresh(), password } });
      expect([rest.status, rest.body.error_code]).toEqual([403, 'REGISTRATION_DISABLED']);
      expect(await works((await own.person()).session, own)).toBe(true);
      expect((await own.gql('{ authentication { registration } }', {}, null)).data.authentication.registration).toBe(
        'CLOSED',
      );
    } finally {
      await own.close();
    }
  });

  test('by invitation, an invited address can register once, and a scoped key cannot invite the first user', async () => {
    const own = await startKit({ environment: { REGISTRATION: 'invite' } });
    try {
      const scoped = await own.createKey('ADMIN', { scopes: ['manage:users'] });
      await refused(
        () =>
          own.gql(
            'mutation { inviteUsers(input: { emails: ["me@people.example"] }) { invitedCount } }',
            {},
            scoped.secret,
          ),
        'FORBIDDEN',
        own,
      );
      await refused(() => register({ email: 'guest@people.example', password }, own), 'FORBIDDEN', own);
      expect((await invite(['Guest@people.example'], own)).data.inviteUsers.invitedCount).toBe(1);
      const rest = await own.rest('POST', '/auth/register', {
        key: null,
        body: { email: 'other@people.example', password },
      });
      expect([rest.status, rest.body]).toEqual([
        403,
        { error_code: 'UNAUTHORIZED', detail: 'This workspace is invite-only. Please ask your admin to invite you.' },
      ]);
      expect((await register({ email: 'guest@People.example', password }, own)).data.register.user.role).toBe('BASIC');
      expect(await own.prisma.invitation.count()).toBe(0);
      await refused(() => register({ email: 'guest@people.example', password }, own), 'FORBIDDEN', own);
    } finally {
      await own.close();
    }
  });

  test.each(['register', 'createUser'])(
    'creating the first user by %s ends the sessions of the built-in owner',
    async (way) => {
      const own = await startKit({ environment: { AUTH_TOKEN: 'the server’s own', REGISTRATION: 'open' } });
      try {
        const request = 'mutation ($input: RequestTokenInput!) { requestToken(input: $input) { token } }';
        const { data } = await own.gql(request, { input: { password: 'the server’s own' } }, null);
        const owner = data.requestToken.token;
        expect(await works(owner, own)).toBe(true);
        if (way === 'register') await register({ email: fresh(), password }, own);
        else await own.person();
        expect(await works(owner, own)).toBe(false);
      } finally {
        await own.close();
      }
    },
  );

  test('an invalid REGISTRATION setting stops the start', () => {
    expect(() => readSettings({ REGISTRATION: 'maybe' })).toThrow(/REGISTRATION/);
  });
});

describe('login', () => {
  test('returns a session and its expiry over GraphQL, for an address or username in any letter case', async () => {
    const { email, password: given, userId } = await kit.person();
    await kit.prisma.user.update({
      where: { id: userId },
      data: { username: `user-${userId.slice(0, 8)}`, lastLoginAt: null },
    });
    for (const name of [email, email.toUpperCase(), `User-${userId.slice(0, 8)}`]) {
      const { data } = await login(name, given);
      expect(data.login.token).toMatch(/^ses_[0-9A-Za-z]{36}$/);
      expect(data.login.user).toMatchObject({ id: userId, email, lastLoginAt: expect.any(String) });
      const days = (Date.parse(data.login.expiresAt) - Date.now()) / 86_400_000;
      expect(Math.round(days)).toBe(7);
      const viewer = await kit.gql(
        '{ viewer { user { databaseId passwordConfigured } token { kind name scopes } } }',
        {},
        data.login.token,
      );
      expect(viewer.data.viewer).toEqual({
        user: { databaseId: userId, passwordConfigured: true },
        token: { kind: 'SESSION', name: null, scopes: null },
      });
    }
    const event = await kit.prisma.auditEvent.findFirst({ where: { action: 'session.create', actorId: userId } });
    expect(event?.tokenId).toEqual(expect.any(Number));
  });

  test('sets a cookie over REST that authenticates later requests', async () => {
    const { email, password: given } = await kit.person();
    const answer = await kit.rest(
      'POST',
      '/api/auth/login',
      form({ username: email, password: given, grant_type: 'password' }),
    );
    expect([answer.status, answer.text]).toEqual([204, '']);
    const cookie = answer.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^fastapiusersauth=ses_[0-9A-Za-z]{36}; HttpOnly; Max-Age=608400; Path=\/; SameSite=lax$/);
    const me = await kit.rest('GET', '/me', { key: null, headers: { cookie: cookie.split(';')[0] ?? '' } });
    expect([me.status, me.body.email, me.body.password_configured]).toEqual([200, email, true]);
    const json = await kit.rest('POST', '/auth/login', { key: null, body: { username: email, password: given } });
    expect(json.status).toBe(204);
  });

  test('marks the cookie as Secure when the public URL uses https', async () => {
    const own = await startKit({ environment: { PUBLIC_URL: 'https://latchkey.test' } });
    try {
      const { email, password: given } = await own.person();
      const answer = await own.rest('POST', '/auth/login', form({ username: email, password: given }));
      expect(answer.headers.get('set-cookie')).toMatch(/; Secure$/);
    } finally {
      await own.close();
    }
  });

  test('returns a bearer token on the mobile path, and logout ends it', async () => {
    const { email, password: given } = await kit.person();
    const { body } = await kit.rest('POST', '/auth/mobile/login', form({ username: email, password: given }));
    expect(body).toEqual({ access_token: expect.stringMatching(/^ses_/), token_type: 'bearer' });
    const next = await kit.rest('POST', '/auth/mobile/refresh', { key: body.access_token });
    expect([next.status, await works(next.body.access_token)]).toEqual([200, true]);
    expect((await kit.rest('POST', '/auth/mobile/logout', { key: next.body.access_token })).status).toBe(204);
    expect([await works(body.access_token), await works(next.body.access_token)]).toEqual([false, false]);
  });

  test('TOK 21 returns the same error for an unknown user, a wrong password, a key’s user and a deactivated user', async () => {
    const own = await startKit();
    try {
      const person = await own.person();
      const shut = await own.person();
      await own.gql(
        'mutation ($id: ID!) { deactivateUser(input: { user: { id: $id } }) { user { id: databaseId } } }',
        {
          id: shut.userId,
        },
      );
      const key = await own.createKey('ADMIN');
      const { email: keyEmail } = await own.prisma.user.findUniqueOrThrow({ where: { id: key.userId } });
      await own.prisma.user.update({ where: { id: key.userId }, data: { passwordHash: await hashPassword(password) } });
      const bare = await own.prisma.user.create({ data: { email: 'bare@people.example', name: 'bare' } });
      const attempts = [
        ['nobody@people.example', password],
        [person.email, 'not the password'],
        [person.email, ''],
        [shut.email, shut.password],
        [keyEmail, password],
        [keyEmail, key.secret],
        [bare.email, ''],
        [bare.email, password],
      ] as const;
      const before = await own.fingerprint();
      const seen = new Set<string>();
      for (const [name, given] of attempts) {
        const { status, data, errors } = await login(name, given, own);
        seen.add(JSON.stringify([status, data, errors]));
        const rest = await own.rest('POST', '/auth/login', form({ username: name, password: given }));
        expect([rest.status, rest.text, rest.headers.get('set-cookie')]).toEqual([
          400,
          '{"detail":"LOGIN_BAD_CREDENTIALS"}',
          null,
        ]);
      }
      expect([...seen]).toEqual([expect.stringContaining('Wrong address or password.')]);
      expect(await own.fingerprint()).toBe(before);
      expect(await own.prisma.auditEvent.count({ where: { action: 'session.refused' } })).toBe(attempts.length * 2);
    } finally {
      await own.close();
    }
  });

  test.each(['a'.repeat(65), 'a'.repeat(10_000), 'abc\0defgh'])(
    'TOK 13 rejects a password that no account can have: case %#',
    async (given) => {
      const { email } = await kit.person();
      await refused(() => login(email, given), 'BAD_USER_INPUT');
      const rest = await kit.rest('POST', '/auth/mobile/login', form({ username: email, password: given }));
      expect([rest.status, rest.body]).toEqual([400, { detail: 'LOGIN_BAD_CREDENTIALS' }]);
    },
  );

  test('returns 422 for a form without a password', async () => {
    expect((await kit.rest('POST', '/auth/login', form({ username: 'x@people.example' }))).status).toBe(422);
    expect(
      (await kit.rest('POST', '/auth/login', { key: null, headers: { 'content-type': 'text/plain' }, body: 'x' }))
        .status,
    ).toBe(415);
  });

  test('OWG 21 rejects the 11th attempt on an account, existing or not, and aliases do not raise the limit', async () => {
    const own = await startKit();
    try {
      const person = await own.person();
      for (const name of [person.email, 'nobody@people.example']) {
        for (let i = 0; i < 9; i++) expect(code(await login(name, 'wrong', own))).toBe('BAD_USER_INPUT');
        const both = await own.gql(
          `mutation ($input: LoginInput!) { a: login(input: $input) { token } b: login(input: $input) { token } }`,
          { input: { login: name, password: person.password } },
          null,
        );
        expect([both.status, both.data]).toEqual([400, null]);
        expect(code(await login(name.toUpperCase(), 'wrong', own))).toBe('BAD_USER_INPUT');
        const right = await refused(() => login(name, person.password, own), 'RATE_LIMITED', own);
        expect(right.errors[0]?.extensions.retryAfter).toBeGreaterThan(0);
        expect(right.errors[0]?.extensions.retryAfter).toBeLessThanOrEqual(900);
      }
      const rest = await own.rest('POST', '/auth/login', form({ username: person.email, password: person.password }));
      expect([rest.status, Number(rest.headers.get('retry-after')) > 0]).toEqual([429, true]);
      expect(await works(person.session, own)).toBe(true);
    } finally {
      await own.close();
    }
  });

  test('a successful login clears the count of the account', async () => {
    const { email, password: given } = await kit.person();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 9; i++) expect(code(await login(email, 'wrong', kit, kit.keys.BASIC))).toBe('BAD_USER_INPUT');
      expect((await login(email, given)).data.login.user.email).toBe(email);
    }
  });

  test('a user has at most 100 sessions, and a further login ends the oldest session', async () => {
    const person = await kit.person();
    const { userId } = person;
    await kit.prisma.token.createMany({
      data: Array.from({ length: 100 }, (_, i) => ({
        kind: 'SESSION' as const,
        hash: Buffer.from(`session ${userId} ${i}`.padEnd(32)),
        display: 'ses_',
        allScopes: true,
        userId,
        expiresAt: new Date(Date.now() + 3_600_000),
      })),
    });
    await login(person.email, person.password);
    expect(await kit.prisma.token.count({ where: { userId, kind: 'SESSION', revokedAt: null } })).toBe(100);
    expect(await works(person.session)).toBe(false);
  });
});

describe('the address of a client', () => {
  const from = (own: Kit, forwarded: string | null, login: string) =>
    own.rest('POST', '/auth/login', {
      key: null,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(forwarded !== null && { 'x-forwarded-for': forwarded }),
      },
      body: new URLSearchParams({ username: login, password: 'a wrong one' }).toString(),
    });
  const guess = (number: number) => `nobody${number}@people.example`;

  test('OWG 11 is limited to 50 failed logins, regardless of the account and the X-Forwarded-For header', async () => {
    const own = await startKit();
    try {
      const person = await own.person();
      for (let i = 0; i < 50; i++) expect((await from(own, `192.0.2.${i}`, guess(i))).status).toBe(400);
      expect((await from(own, '198.51.100.7', guess(51))).status).toBe(429);
      expect(code(await login(person.email, person.password, own))).toBe('RATE_LIMITED');
    } finally {
      await own.close();
    }
  });

  test('OWG 11 is taken from the trusted proxy and not from the header that the client sends', async () => {
    const own = await startKit({ environment: { TRUSTED_PROXIES: '1' } });
    try {
      for (let i = 0; i < 50; i++) expect((await from(own, `203.0.113.${i}, 192.0.2.1`, guess(i))).status).toBe(400);
      expect((await from(own, '203.0.113.99, 192.0.2.1', guess(51))).status).toBe(429);
      expect((await from(own, '192.0.2.1, 192.0.2.2', guess(52))).status).toBe(400);
      const addresses = await own.prisma.auditEvent.groupBy({
        by: ['address'],
        where: { action: 'session.refused' },
        _count: true,
        orderBy: { address: 'asc' },
      });
      expect(addresses.map(({ address, _count }) => [address, _count])).toEqual([
        ['192.0.2.1', 50],
        ['192.0.2.2', 1],
      ]);
    } finally {
      await own.close();
    }
  });
});

describe('registration attempts of an address', () => {
  test('60 users can register from one address in GraphQL and REST, and only failed attempts count', async () => {
    const own = await startKit({ environment: { REGISTRATION: 'open' } });
    try {
      for (let i = 0; i < 30; i++) {
        expect((await register({ email: fresh(), password }, own)).errors).toEqual([]);
        const body = { email: fresh(), password };
        expect((await own.rest('POST', '/auth/register', { key: null, body })).status).toBe(201);
      }
      const taken = { key: null, body: { email: `someone-${count}@people.example`, password } };
      for (let i = 0; i < 50; i++) expect((await own.rest('POST', '/auth/register', taken)).status).toBe(400);
      const before = await own.prisma.user.count();
      const over = await own.rest('POST', '/auth/register', { key: null, body: { email: fresh(), password } });
      expect(over.status).toBe(429);
      expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(code(await register({ email: fresh(), password }, own))).toBe('RATE_LIMITED');
      expect(await own.prisma.user.count()).toBe(before);
    } finally {
      await own.close();
    }
  });
});

describe('login and registration attempts', () => {
  const client = { address: '192.0.2.1', userAgent: null };
  const memory = (points: number): Counter => new RateLimiterMemory({ points, duration: 900 });
  const caught = async (work: Promise<unknown>): Promise<AppError> => {
    const error = await work.then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof AppError)) throw new Error('was not refused');
    return error;
  };

  test('an address over its limit is rejected without using up the limit of any account', async () => {
    const account = memory(10);
    const attempts = createLoginThrottle({ account, address: memory(2), registration: memory(1) });
    await attempts.login('a', client);
    await attempts.login('b', client);
    for (let i = 0; i < 20; i++) expect((await caught(attempts.login('victim', client))).code).toBe('RATE_LIMITED');
    await attempts.login('victim', { ...client, address: '192.0.2.2' });
  });

  test('a successful login counts neither against the account nor against the address', async () => {
    const attempts = createLoginThrottle({ account: memory(1), address: memory(1), registration: memory(1) });
    for (let i = 0; i < 5; i++) await (await attempts.login('a', client)).succeeded();
  });

  test.each([
    ['2001:db8::1', '2001:0DB8:0000:0000:ffff:0:0:2'],
    ['2001:db8:0:0:1:2:3:4', '2001:db8::'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['::1', '0:0:0:0:0:0:0:2'],
    ['fe80::1%eth0', 'fe80::2'],
  ])('OWG 11 %s and %s are in the same /64 network and count as one address', async (one, other) => {
    const attempts = createLoginThrottle({ account: memory(10), address: memory(2), registration: memory(1) });
    await attempts.login('a', { ...client, address: one });
    await attempts.login('b', { ...client, address: other });
    for (const address of [one, other])
      expect((await caught(attempts.login('c', { ...client, address }))).code).toBe('RATE_LIMITED');
    await attempts.registration({ ...client, address: one });
    expect((await caught(attempts.registration({ ...client, address: other }))).code).toBe('RATE_LIMITED');
  });

  test.each([
    ['2001:db8:0:1::1', '2001:db8::1'],
    ['2001:db8:1::1', '2001:db8:0:1::1'],
    ['::1', '1::'],
    ['192.0.2.1', '192.0.2.2'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2'],
  ])('OWG 11 %s and %s count as separate addresses', async (one, other) => {
    const attempts = createLoginThrottle({ account: memory(10), address: memory(1), registration: memory(1) });
    await attempts.login('a', { ...client, address: one });
    await attempts.login('b', { ...client, address: other });
    for (const address of [one, other])
      expect((await caught(attempts.login('c', { ...client, address }))).code).toBe('RATE_LIMITED');
  });

  test('OWG 11 two names of the same account share a count, and a successful login clears it for both', async () => {
    const attempts = createLoginThrottle({ account: memory(2), address: memory(50), registration: memory(1) });
    const attempt = async (name: string) => {
      const made = await attempts.login(name, client);
      await made.on('one account');
      return made;
    };
    await attempt('a');
    await (await attempt('b')).succeeded();
    await attempt('b');
    await attempt('c');
    expect((await caught(attempt('d'))).code).toBe('RATE_LIMITED');
    await (await attempts.login('another account', client)).on('another account');
  });

  test('registrations are counted by address', async () => {
    const attempts = createLoginThrottle({ account: memory(1), address: memory(1), registration: memory(2) });
    await attempts.registration(client);
    await attempts.registration(client);
    const error = await caught(attempts.registration(client));
    expect([error.code, error.details.retryAfter]).toEqual(['RATE_LIMITED', 900]);
    await attempts.registration({ ...client, address: null });
  });

  test('successful registrations do not count against their address, even when many run concurrently', async () => {
    const attempts = createLoginThrottle({ account: memory(1), address: memory(1), registration: memory(2) });
    for (let i = 0; i < 5; i++) await (await attempts.registration(client)).succeeded();
    await Promise.all([1, 2].map(async () => (await attempts.registration(client)).succeeded()));
    for (let i = 0; i < 2; i++) await attempts.registration(client);
    expect((await caught(attempts.registration(client))).code).toBe('RATE_LIMITED');
  });

  test('a created account is not rejected when the limiter’s store fails afterwards', async () => {
    const registration: Counter = {
      points: 1,
      consume: async () => undefined,
      reward: () => Promise.reject(new Error('the store is gone')),
      delete: async () => undefined,
    };
    const attempts = createLoginThrottle({ account: memory(1), address: memory(1), registration });
    await expect((await attempts.registration(client)).succeeded()).resolves.toBeUndefined();
  });

  test('concurrent attempts are all counted', async () => {
    const attempts = createLoginThrottle({ account: memory(10), address: memory(50), registration: memory(1) });
    const made = await Promise.allSettled(Array.from({ length: 40 }, () => attempts.login('a', client)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  });

  test('a failing store of the limiter rejects every attempt', async () => {
    const fail = () => Promise.reject(new Error('the store is gone'));
    const broken: Counter = { points: 1, consume: fail, reward: fail, delete: fail };
    const working = memory(10);
    const unavailable = { code: 'UNAVAILABLE', reason: 'SHARED_STATE_UNAVAILABLE', details: { retryAfter: 5 } };
    for (const limiters of [
      { account: broken, address: working, registration: broken },
      { account: working, address: broken, registration: broken },
    ]) {
      const attempts = createLoginThrottle(limiters);
      for (const attempt of [attempts.login('a', client), attempts.registration(client)])
        expect(await caught(attempt)).toMatchObject(unavailable);
    }
    const clearing = createLoginThrottle({
      account: { ...broken, consume: async () => new RateLimiterRes(1, 1, 1, true) },
      address: working,
      registration: working,
    });
    expect(await caught((await clearing.login('a', client)).succeeded())).toMatchObject(unavailable);
  });
});

describe('a session', () => {
  test('ends immediately at logout in GraphQL and REST, and the user’s other sessions stay valid', async () => {
    const person = await kit.person();
    const session = await kit.prisma.token.findFirstOrThrow({ where: { userId: person.userId, kind: 'SESSION' } });
    const other = (await login(person.email, person.password)).data.login.token;
    const third = (await login(person.email, person.password)).data.login.token;
    expect((await logout(person.session)).data.logout.endedUserCredentialId).toBe(
      globalId('UserCredential', session.id),
    );
    const answer = await kit.rest('POST', '/auth/logout', {
      key: null,
      headers: { cookie: `fastapiusersauth=${other}` },
    });
    expect([answer.status, answer.text, answer.headers.get('set-cookie')]).toEqual([
      204,
      '',
      'fastapiusersauth=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax',
    ]);
    expect([await works(person.session), await works(other), await works(third)]).toEqual([false, false, true]);
    const again = await kit.rest('POST', '/auth/logout', { key: other });
    expect([again.status, again.body]).toEqual([401, { detail: 'Unauthorized' }]);
  });

  test('continues under a new secret when refreshed, and the old secret works for one minute', async () => {
    const person = await kit.person();
    await kit.prisma.token.updateMany({
      where: { userId: person.userId },
      data: { expiresAt: new Date(Date.now() + 60_000) },
    });
    const { data } = await refresh(person.session);
    expect(data.refreshSession.user.id).toBe(person.userId);
    expect(Math.round((Date.parse(data.refreshSession.expiresAt) - Date.now()) / 86_400_000)).toBe(7);
    expect([await works(data.refreshSession.token), await works(person.session)]).toEqual([true, true]);
    await kit.prisma.token.updateMany({ where: { userId: person.userId }, data: { previousExpiresAt: new Date() } });
    expect([await works(data.refreshSession.token), await works(person.session)]).toEqual([true, false]);
    const rest = await kit.rest('POST', '/auth/refresh', { key: data.refreshSession.token });
    const secret = /^fastapiusersauth=(ses_\w+);/.exec(rest.headers.get('set-cookie') ?? '')?.[1] ?? '';
    expect([rest.status, await works(secret)]).toEqual([204, true]);
    expect(await kit.prisma.token.count({ where: { userId: person.userId, kind: 'SESSION' } })).toBe(1);
  });

  test('TOK 21 is required for logout, refresh and password changes, which reject keys and personal tokens', async () => {
    const person = await kit.person();
    const pat = await kit.createPat(person.session);
    for (const key of [kit.keys.ADMIN, kit.keys.LIMITED, pat.secret]) {
      await refused(() => logout(key), 'FORBIDDEN');
      await refused(() => refresh(key), 'FORBIDDEN');
      await refused(() => change(key, person.password, 'another password'), 'FORBIDDEN');
      for (const path of ['/auth/logout', '/auth/refresh', '/auth/mobile/logout', '/auth/mobile/refresh'])
        expect((await kit.rest('POST', path, { key })).body).toEqual({ detail: 'Unauthorized' });
      const body = { old_password: person.password, new_password: 'another password' };
      expect((await kit.rest('POST', '/password/change-password', { key, body })).status).toBe(403);
    }
    for (const call of [logout, refresh]) await refused(() => call(null), 'UNAUTHENTICATED');
    await refused(() => change(null, person.password, 'another password'), 'UNAUTHENTICATED');
    expect((await kit.rest('POST', '/auth/logout', { key: null })).status).toBe(401);
    expect(await works(person.session)).toBe(true);
  });

  test('GET /users/me returns the user of the session, and 401 to an anonymous client', async () => {
    const person = await kit.person({ role: 'ADMIN' });
    expect((await kit.rest('GET', '/users/me', { key: person.session })).body).toMatchObject({
      id: person.userId,
      email: person.email,
      is_superuser: false,
      role: 'admin',
    });
    const stranger = await kit.rest('GET', '/users/me', { key: null });
    expect([stranger.status, stranger.body]).toEqual([401, { detail: 'Unauthorized' }]);
  });
});

describe('changing the user’s own password', () => {
  test('requires the current password, ends the other sessions and revokes personal tokens', async () => {
    const person = await kit.person();
    const other = (await login(person.email, person.password)).data.login.token;
    const pat = await kit.createPat(person.session);
    expect((await change(person.session, person.password, 'another password')).data.changePassword.user.id).toBe(
      person.userId,
    );
    expect([await works(person.session), await works(other), await works(pat.secret)]).toEqual([true, false, false]);
    expect(code(await login(person.email, person.password))).toBe('BAD_USER_INPUT');
    const rest = await kit.rest('POST', '/password/change-password', {
      key: person.session,
      body: { old_password: 'another password', new_password: person.password },
    });
    expect([rest.status, rest.text]).toEqual([200, 'null']);
    expect((await login(person.email, person.password)).data.login.token).toEqual(expect.any(String));
  });

  test('is rejected when the current password is wrong or the new password is invalid', async () => {
    const person = await kit.person();
    const wrong = await refused(() => change(person.session, 'not mine', 'another password'), 'BAD_USER_INPUT');
    expect(wrong.errors[0]?.extensions.fields[0].path).toEqual(['input', 'currentPassword']);
    for (const next of ['short77', 'a'.repeat(65), 'a'.repeat(10_000)])
      await refused(() => change(person.session, person.password, next), 'BAD_USER_INPUT');
    const rest = await kit.rest('POST', '/password/change-password', {
      key: person.session,
      body: { old_password: 'not mine', new_password: 'another password' },
    });
    expect([rest.status, rest.body]).toEqual([400, { detail: 'Invalid current password' }]);
  });

  test('is limited to 10 attempts, so that a stolen session cannot guess the password', async () => {
    const person = await kit.person();
    for (let i = 0; i < 10; i++)
      expect(code(await change(person.session, `guess ${i}`, 'another password'))).toBe('BAD_USER_INPUT');
    await refused(() => change(person.session, person.password, 'another password'), 'RATE_LIMITED');
  });

  test('succeeds once when two changes run concurrently', async () => {
    const person = await kit.person();
    const answers = await Promise.all(
      ['one password', 'other password'].map((next) => change(person.session, person.password, next)),
    );
    const made = answers.filter(({ errors }) => errors.length === 0);
    expect(made).toHaveLength(1);
  });
});

test('TOK 13 the log, the audit trail and the errors contain no password', async () => {
  const secret = 'PeculiarPassword';
  const person = await kit.person({ password: `${secret} one` });
  const texts = [
    await login(person.email, `${secret} wrong`),
    await login(person.email, `${secret}\0`),
    await register({ email: 'no address', password: `${secret} two` }),
    await change(person.session, `${secret} wrong`, `${secret} three`),
    await change(person.session, `${secret} one`, `${secret} three`),
    await kit.rest('POST', '/auth/login', form({ username: person.email, password: `${secret} wrong` })),
    await kit.rest('POST', '/auth/register', { key: null, body: `{"email":"x@people.example","password":"${secret}` }),
  ].map((answer) => JSON.stringify('errors' in answer ? answer.errors : answer.body));
  expect(
    code(
      await kit.gql(
        'mutation ($input: LoginInput!) { login(input: $input) { token } }',
        { input: { login: person.email, password: [`${secret} list`, 1] } },
        null,
      ),
    ),
  ).toBe('BAD_USER_INPUT');
  await kit.booted.background.settled();
  const events = await kit.prisma.auditEvent.findMany();
  const trail = JSON.stringify(events.map(({ id: _id, ...event }) => event));
  expect(kit.log.length).toBeGreaterThan(10);
  for (const place of [kit.log.join('\n'), trail]) expect(place).not.toContain(secret);
  expect(texts.filter((text) => text.includes(secret))).toEqual([]);
});
