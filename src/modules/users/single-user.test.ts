import { RateLimiterMemory } from 'rate-limiter-flexible';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, returned, startKit } from '../../../test/kit.ts';
import { readSettings } from '../../settings.ts';
import { ownerId } from './builtin-owner.ts';
import { type AttemptCounters, createLoginThrottle } from './login-throttle.ts';
import { createSingleUserService } from './single-user.service.ts';

const password = 'the password of the server';

const requestToken = (kit: Kit, input: object) =>
  kit.gql(
    `mutation ($input: RequestTokenInput!) {
      requestToken(input: $input) { token expiresAt user { id: databaseId name username role accountType passwordConfigured } }
    }`,
    { input },
    null,
  );
const enable = (kit: Kit, input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: EnableMultiUserInput!) {
      enableMultiUser(input: $input) { user { id: databaseId email username name role accountType } }
    }`,
    { input },
    key,
  );
const viewer = async (kit: Kit, secret: string) =>
  (await kit.gql('{ viewer { role user { databaseId } } }', {}, secret)).data?.viewer;
const mode = async (kit: Kit): Promise<boolean> =>
  (await kit.gql('{ authentication { multiUserMode } }', {}, null)).data.authentication.multiUserMode;
const ownersToken = async (kit: Kit): Promise<string> =>
  (await requestToken(kit, { password })).data.requestToken.token;

/** Creates the service on a kit's database with its own limiters. */
function serviceWith(kit: Kit, limiters: Partial<AttemptCounters>) {
  const { services, foundation } = kit.booted;
  const limiter = () => new RateLimiterMemory({ points: 1000, duration: 900 });
  const attempts = createLoginThrottle({
    account: limiter(),
    address: limiter(),
    registration: limiter(),
    ...limiters,
  });
  return createSingleUserService({ ...foundation, ...services, attempts });
}
const stranger = { address: '192.0.2.1', userAgent: null };

describe('the built-in owner', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ environment: { AUTH_TOKEN: password } });
  });
  afterAll(() => kit.close());

  test('logs in with the password of the server, as one service account with the role ADMIN', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => requestToken(kit, { password })));
    const tokens = answers.map(({ data }) => data.requestToken.token as string);
    expect(new Set(tokens).size).toBe(3);
    for (const { data } of answers)
      expect(data.requestToken.user).toEqual({
        id: ownerId,
        name: 'Owner',
        username: null,
        role: 'ADMIN',
        accountType: 'SERVICE_ACCOUNT',
        passwordConfigured: false,
      });
    expect(await kit.prisma.user.count({ where: { name: 'Owner' } })).toBe(1);
    for (const token of tokens)
      expect(await viewer(kit, token)).toEqual({ role: 'ADMIN', user: { databaseId: ownerId } });
    expect(await mode(kit)).toBe(false);
    expect((await kit.gql('mutation { logout { endedUserCredentialId } }', {}, tokens[0])).errors).toEqual([]);
    expect(await viewer(kit, tokens[0] as string)).toBeUndefined();
    expect(await viewer(kit, tokens[1] as string)).toMatchObject({ user: { databaseId: ownerId } });
  });

  test('TOK 22: every wrong password gets the same error, regardless of its length and its matching part', async () => {
    const service = serviceWith(kit, {});
    const wrong = [
      '',
      'x',
      password.slice(0, -1),
      `${password} `,
      password.toUpperCase(),
      `\0${password}`,
      'x'.repeat(password.length),
      'x'.repeat(100_000),
      '\ud800',
    ];
    await nothingStored(kit, async () => {
      for (const attempt of wrong)
        await expect(service.requestToken(stranger, { password: attempt })).rejects.toMatchObject({
          code: 'UNAUTHENTICATED',
          message: 'Wrong password.',
        });
    });
    await expect(service.requestToken(stranger, { password })).resolves.toMatchObject({ user: { id: ownerId } });
  });

  test('failed attempts are limited per account under any username, and per address', async () => {
    const account = new RateLimiterMemory({ points: 3, duration: 900 });
    const service = serviceWith(kit, { account });
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(
        service.requestToken(stranger, { username: `name${attempt}`, password: 'wrong' }),
      ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const over = { code: 'RATE_LIMITED', details: { retryAfter: expect.any(Number) } };
    await nothingStored(kit, async () => {
      await expect(service.requestToken(stranger, { password })).rejects.toMatchObject(over);
    });
    const address = new RateLimiterMemory({ points: 1, duration: 900 });
    const other = serviceWith(kit, { address });
    await expect(other.requestToken(stranger, { password: 'wrong' })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    await expect(other.requestToken(stranger, { password })).rejects.toMatchObject(over);
    const elsewhere = { ...stranger, address: '192.0.2.2' };
    await expect(other.requestToken(elsewhere, { password })).resolves.toMatchObject({ user: { id: ownerId } });
  });

  test('a successful login clears the count of failed attempts', async () => {
    const service = serviceWith(kit, { account: new RateLimiterMemory({ points: 2, duration: 900 }) });
    for (let round = 0; round < 3; round++) {
      await expect(service.requestToken(stranger, { password: 'wrong' })).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
      await service.requestToken(stranger, { password });
    }
  });

  test('a failing limiter rejects every login with 503', async () => {
    const broken = async () => {
      throw new Error('the store is gone');
    };
    const service = serviceWith(kit, { account: { consume: broken, delete: broken } });
    await nothingStored(kit, async () => {
      await expect(service.requestToken(stranger, { password })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        reason: 'SHARED_STATE_UNAVAILABLE',
      });
    });
  });

  test('has at most 100 sessions, and a further login ends the oldest session', async () => {
    const first = await ownersToken(kit);
    const service = serviceWith(kit, {});
    for (let made = 0; made < 100; made++) await service.requestToken(stranger, { password });
    expect(await viewer(kit, first)).toBeUndefined();
    expect(await kit.prisma.token.count({ where: { userId: ownerId, kind: 'SESSION' } })).toBe(100);
  });

  test('each login attempt is recorded in the audit trail without the password', async () => {
    await requestToken(kit, { password: 'not the password' });
    await ownersToken(kit);
    const events = await kit.prisma.auditEvent.findMany({ orderBy: { id: 'desc' }, take: 2 });
    expect(events.map(({ action, actorId }) => [action, actorId])).toEqual([
      ['session.create', ownerId],
      ['session.refused', null],
    ]);
    const dump = JSON.stringify(events, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
    expect(dump).not.toContain('password');
    expect(kit.log.join('')).not.toContain(password);
  });
});

describe('a server without a password', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.close());

  test('rejects every password with the same error as a wrong password', async () => {
    for (const attempt of ['', 'undefined', 'null', password]) {
      const { data, errors } = await nothingStored(kit, () => requestToken(kit, { password: attempt }));
      expect(returned(data)).toEqual([]);
      expect(errors[0]).toMatchObject({ message: 'Wrong password.', extensions: { code: 'UNAUTHENTICATED' } });
    }
    expect(await kit.prisma.user.count({ where: { id: ownerId } })).toBe(0);
  });

  test('requires all permissions of ADMIN to create the first user', async () => {
    const { secret: manager } = await kit.createKey('ADMIN', { scopes: ['manage:users'] });
    const { secret: keys } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    const input = { username: 'first', password: 'a long password' };
    await nothingStored(kit, async () => {
      for (const key of [kit.keys.LIMITED, kit.keys.BASIC, keys]) {
        const { data, errors } = await enable(kit, input, key);
        expect(returned(data)).toEqual([]);
        expect(errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'MISSING_PERMISSION',
          requiredPermissions: ['manage:users'],
        });
      }
      expect((await enable(kit, input, manager)).errors[0]?.extensions.code).toBe('FORBIDDEN');
      expect((await enable(kit, input, null)).errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    });
  });

  test.each([
    ['username', { username: 'a' }],
    ['username', { username: 'Anna' }],
    ['username', { username: '1anna' }],
    ['username', { username: 'an na' }],
    ['username', { username: `a${'b'.repeat(64)}` }],
    ['username', { username: 'somebody@onyxapikey.ai' }],
    ['password', { password: 'short' }],
    ['password', { password: 'x'.repeat(65) }],
  ])('rejects an invalid %s: %o', async (field, change) => {
    const input = { username: 'anna', password: 'a long password', ...change };
    const { errors } = await nothingStored(kit, () => enable(kit, input));
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] });
  });

  test('creates one user when requests to create the first user race', async () => {
    const answers = await Promise.all(
      ['anna', 'bert', 'carl'].map((username) => enable(kit, { username, password: 'a long password' })),
    );
    const made = answers.filter(({ errors }) => errors.length === 0);
    expect(made).toHaveLength(1);
    const { username, ...account } = made[0]?.data.enableMultiUser.user ?? {};
    expect(account).toEqual({
      id: expect.any(String),
      email: `${username}@anythingllm.invalid`,
      name: username,
      role: 'ADMIN',
      accountType: 'STANDARD',
    });
    for (const { errors } of answers.filter(({ errors }) => errors.length > 0))
      expect(errors[0]).toMatchObject({
        message: 'Multi-user mode is already enabled.',
        extensions: { code: 'CONFLICT' },
      });
    expect(await mode(kit)).toBe(true);
    const { errors } = await nothingStored(kit, () => enable(kit, { username: 'dora', password: 'a long password' }));
    expect(errors[0]?.extensions.code).toBe('CONFLICT');
  });
});

describe('creating the first user', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ environment: { AUTH_TOKEN: password } });
  });
  afterAll(() => kit.close());

  test('ends the owner’s sessions and personal tokens, and keeps API keys valid', async () => {
    const sessions = [await ownersToken(kit), await ownersToken(kit)];
    const [session = ''] = sessions;
    const pat = await kit.createPat(session);
    const made = await kit.gql(
      'mutation { createApiKey(input: { name: "kept", role: ADMIN }) { secret } }',
      {},
      session,
    );
    const key = made.data.createApiKey.secret;
    for (const secret of [...sessions, pat.secret, key]) expect(await viewer(kit, secret)).toBeTruthy();

    const input = { username: 'anna@people.example', password: 'a long password' };
    const { data } = await enable(kit, input, session);
    expect(data.enableMultiUser.user).toMatchObject({ email: input.username, username: input.username });

    for (const secret of [...sessions, pat.secret]) expect(await viewer(kit, secret)).toBeUndefined();
    expect(await viewer(kit, key)).toMatchObject({ role: 'ADMIN' });
    expect(await viewer(kit, kit.keys.ADMIN)).toMatchObject({ role: 'ADMIN' });
    const [event] = await kit.prisma.auditEvent.findMany({ where: { action: 'multi_user_mode.enable' } });
    expect(event).toMatchObject({ actorId: ownerId, detail: { username: input.username, sessionsEnded: 3 } });
  });

  test('ends login with the password of the server, and the new user logs in with their own password', async () => {
    for (const input of [{ password }, { username: 'owner', password }, { username: ownerId, password }]) {
      const { errors } = await nothingStored(kit, () => requestToken(kit, input));
      expect(errors[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
    }
    const { data } = await requestToken(kit, { username: 'anna@people.example', password: 'a long password' });
    expect(data.requestToken.user).toMatchObject({ role: 'ADMIN', accountType: 'STANDARD' });
    expect(await viewer(kit, data.requestToken.token)).toMatchObject({ role: 'ADMIN' });
  });
});

test.each([
  [
    'register',
    'mutation { register(input: { email: "anna@people.example", password: "a long password" }) { user { role } } }',
  ],
  [
    'createUser',
    'mutation { createUser(input: { email: "anna@people.example", password: "a long password", role: BASIC }) { user { role } } }',
  ],
])('%s ends the owner’s sessions when it creates the first user', async (_name, mutation) => {
  const kit = await startKit({ environment: { AUTH_TOKEN: password, REGISTRATION: 'open' } });
  const session = await ownersToken(kit);
  expect((await kit.gql(mutation)).errors).toEqual([]);
  expect(await viewer(kit, session)).toBeUndefined();
  const { errors } = await nothingStored(kit, () => requestToken(kit, { password }));
  expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  await kit.close();
});

test('a session that is created concurrently with the first user does not stay valid', async () => {
  const kit = await startKit({ environment: { AUTH_TOKEN: password } });
  const input = { username: 'anna', password: 'a long password' };
  const asked = Array.from({ length: 5 }, () => requestToken(kit, { password }));
  const [made, ...answers] = await Promise.all([enable(kit, input), ...asked]);
  expect(made.errors).toEqual([]);
  for (const { data } of answers)
    if (data?.requestToken) expect(await viewer(kit, data.requestToken.token)).toBeUndefined();
  const left = await kit.prisma.token.count({ where: { userId: ownerId, revokedAt: null } });
  expect(left).toBe(0);
  await kit.close();
});

test('an AUTH_TOKEN of fewer than 8 characters stops the start', () => {
  expect(() => readSettings({ AUTH_TOKEN: 'hunter2' })).toThrow('AUTH_TOKEN must have at least 8 characters');
  expect(readSettings({ AUTH_TOKEN: 'hunter22' }).authToken).toBe('hunter22');
  expect(readSettings({}).authToken).toBeUndefined();
});
