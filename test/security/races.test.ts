import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownerId } from '../../src/modules/users/builtin-owner.ts';
import { type Kit, startKit } from '../kit.ts';
import { deleteKey, updateKey } from './keys.ts';

/** Objects that are created while their creator is ended: either they end too, or they were never created. */
let kit: Kit;
let round = 0;
beforeAll(async () => {
  kit = await startKit({ environment: { TRUSTED_PROXIES: '1' } });
});
afterAll(() => kit.close());

const rounds = [1, 2, 3, 4];
const works = async (key: string, on = kit) => (await on.gql('{ viewer { role } }', {}, key)).data?.viewer != null;
const working = async (secrets: string[], on = kit): Promise<number> =>
  (await Promise.all(secrets.map((secret) => works(secret, on)))).filter(Boolean).length;

/** Runs many operations at once with another one among them, and returns the results. */
async function beside<T, U>(count: number, make: () => Promise<T>, other: () => Promise<U>): Promise<[T[], U]> {
  const first = Array.from({ length: count / 2 }, make);
  const between = other();
  const second = Array.from({ length: count / 2 }, make);
  const [made, done] = await Promise.all([Promise.all([...first, ...second]), between]);
  return [made, done];
}

describe('TOK 9 logins', () => {
  /** Logs in from an unused address and returns the session's secret, if any. */
  const logIn = async (login: string, password: string): Promise<string[]> => {
    const { body } = await kit.rest('POST', '/api/auth/mobile/login', {
      key: null,
      body: new URLSearchParams({ username: login, password }).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-forwarded-for': `192.0.2.${(++round % 250) + 1}`,
      },
    });
    return body.access_token ? [body.access_token] : [];
  };
  const byEmail = (method: string, path: string, email: string) =>
    kit.rest(method, path, { body: { user_email: email } });

  test.each(rounds)('leave no working session when the password is reset concurrently (%i)', async () => {
    const { email, password, session, userId } = await kit.person();
    const [made, reset] = await beside(
      8,
      () => logIn(email, password),
      () => byEmail('POST', '/api/password/reset_password', email),
    );
    expect(reset.status).toBe(200);
    expect(await working([session, ...made.flat()])).toBe(0);
    expect(await kit.prisma.token.count({ where: { userId, revokedAt: null } })).toBe(0);
    expect(await working(await logIn(email, reset.body.new_password))).toBe(1);
  });

  test.each(rounds)(
    'leave no working session when the user is deactivated concurrently, even after a reactivation (%i)',
    async () => {
      const { email, password, session, userId } = await kit.person();
      const [made, off] = await beside(
        8,
        () => logIn(email, password),
        () => byEmail('PATCH', '/api/manage/admin/deactivate-user', email),
      );
      expect(off.status).toBe(200);
      expect(await working([session, ...made.flat()])).toBe(0);
      expect(await kit.prisma.token.count({ where: { userId, revokedAt: null } })).toBe(0);
      expect((await byEmail('PATCH', '/api/manage/admin/activate-user', email)).status).toBe(200);
      expect(await working([session, ...made.flat()])).toBe(0);
      expect(await working(await logIn(email, password))).toBe(1);
    },
  );
});

/**
 * Returns the secret of a create payload, or an empty list when the operation was denied and its root field is null.
 */
const secretOf = (payload: { secret: string } | null | undefined): string[] => (payload ? [payload.secret] : []);

const createPat = async (key: string, on = kit): Promise<string[]> => {
  const { data } = await on.gql(
    'mutation { createPersonalAccessToken(input: { name: "beside" }) { secret } }',
    {},
    key,
  );
  return secretOf(data?.createPersonalAccessToken);
};

describe.each([
  ['a reset of the password', 'POST', '/api/password/reset_password'],
  ['a deactivation', 'PATCH', '/api/manage/admin/deactivate-user'],
])('TOK 9 creating personal tokens during %s', (_what, method, path) => {
  test.each(rounds)('does not block it and causes no internal errors (%i)', async () => {
    const { email, session } = await kit.person();
    const codes: unknown[] = [];
    const make = async () => {
      const { errors } = await kit.gql(
        'mutation { createPersonalAccessToken(input: { name: "beside" }) { secret } }',
        {},
        session,
      );
      codes.push(...errors.map(({ extensions }) => extensions.code));
    };
    const [, done] = await beside(16, make, () => kit.rest(method, path, { body: { user_email: email } }));
    expect([done.status, codes.filter((code) => code !== 'UNAUTHENTICATED')]).toEqual([200, []]);
    expect(await works(session)).toBe(false);
  });
});

test('TOK 9 tokens that the built-in owner creates while multi-user mode is enabled do not work afterwards', async () => {
  const password = 'the password of the server';
  const own = await startKit({ environment: { AUTH_TOKEN: password } });
  try {
    const request = 'mutation ($input: RequestTokenInput!) { requestToken(input: $input) { token } }';
    const open = await own.gql(request, { input: { password } }, null);
    const session: string = open.data.requestToken.token;
    const [made, enabled] = await beside(
      16,
      () => createPat(session, own),
      () =>
        own.gql(
          'mutation { enableMultiUser(input: { username: "anna", password: "a long password" }) { user { id: databaseId } } }',
        ),
    );
    expect(enabled.errors).toEqual([]);
    expect(await working([session, ...made.flat()], own)).toBe(0);
    expect(await own.prisma.token.count({ where: { userId: ownerId, revokedAt: null } })).toBe(0);
  } finally {
    await own.close();
  }
});

describe('TOK 9 credentials that an API key creates', () => {
  const createKey = async (key: string): Promise<string[]> => {
    const { data } = await kit.gql(
      'mutation { createApiKey(input: { name: "beside", role: BASIC }) { secret } }',
      {},
      key,
    );
    return secretOf(data?.createApiKey);
  };

  test.each(rounds)(
    'stop working when the key is disabled concurrently, and rejected creations store no data (%i)',
    async () => {
      const { id, secret, userId } = await kit.createKey('ADMIN');
      const [made, disabled] = await beside(
        8,
        () => createPat(secret),
        () => updateKey(kit, { id, disabled: true }),
      );
      expect(disabled.errors).toEqual([]);
      expect(await working([secret, ...made.flat()])).toBe(0);
      expect(await kit.prisma.token.count({ where: { userId, kind: 'PERSONAL' } })).toBe(made.flat().length);
    },
  );

  test.each(rounds)(
    'are deleted when the key is deleted concurrently, and no call fails with an internal error (%i)',
    async () => {
      const { id, secret, userId } = await kit.createKey('ADMIN');
      const failures: unknown[] = [];
      const make = async () => {
        const answer = await kit.gql(
          'mutation { createPersonalAccessToken(input: { name: "beside" }) { secret } }',
          {},
          secret,
        );
        failures.push(...answer.errors.map(({ extensions }) => extensions.code));
        return secretOf(answer.data?.createPersonalAccessToken);
      };
      const [made, deleted] = await beside(8, make, () => deleteKey(kit, id));
      expect(deleted.errors).toEqual([]);
      expect(await working([secret, ...made.flat()])).toBe(0);
      expect(await kit.prisma.token.count({ where: { userId } })).toBe(0);
      expect(failures.filter((code) => code !== 'UNAUTHENTICATED' && code !== 'CONFLICT')).toEqual([]);
    },
  );

  const ends: Record<string, (id: number) => Promise<unknown>> = {
    disabled: (id) => updateKey(kit, { id, disabled: true }),
    deleted: (id) => deleteKey(kit, id),
  };
  const makers: Record<string, string> = {
    'a personal token': 'personal',
    'an API key': 'key',
  };
  describe.each(Object.keys(ends))('by a request that was authenticated before the key was %s', (what) => {
    test.each(Object.keys(makers))(
      'creating %s is rejected with UNAUTHENTICATED and changes no data',
      async (thing) => {
        const { id, secret } = await kit.createKey('ADMIN');
        const { credentials, tokens } = kit.booted.services;
        const client = { address: '192.0.2.1', userAgent: null };
        const principal = (await credentials.authenticate(secret, client)) ?? expect.unreachable();
        await kit.booted.background.settled();
        await ends[what]?.(id);
        const before = await kit.fingerprint();
        const made =
          makers[thing] === 'personal'
            ? tokens.createPersonalAccessToken(principal, { name: 'late' })
            : tokens.createApiKey(principal, { name: 'late', role: 'ADMIN' });
        await expect(made).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
        expect(await kit.fingerprint()).toBe(before);
      },
    );
  });

  test('keep working after the deletion of the key when they are API keys', async () => {
    const { id, secret } = await kit.createKey('ADMIN');
    const made = await createKey(secret);
    await deleteKey(kit, id);
    expect(await working(made)).toBe(1);
  });
});
