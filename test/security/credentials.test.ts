import type { GraphQLObjectType } from 'graphql';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { permissionConstant, permissions } from '../../src/authz/permissions.ts';
import { changesCredentials } from '../../src/graphql/plugins/current-secret.ts';
import { schema } from '../../src/graphql/schema.ts';
import { rootFields } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit, until } from '../kit.ts';
import { type Caller, grantOf } from './callers.ts';
import { updateKey } from './keys.ts';
import { baseOf, operations } from './operations.ts';
import { freshTargets } from './targets.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { REGISTRATION: 'invite' } });
});
afterAll(() => kit.close());

const day = 24 * 3600 * 1000;
const inDays = (days: number) => new Date(Date.now() + days * day).toISOString();
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const fieldOf = ({ errors }: GraphQLAnswer): string => errors[0]?.extensions.fields?.[0].path.join('.');
const works = async (secret: string): Promise<boolean> =>
  (await kit.gql('{ viewer { role } }', {}, secret)).data?.viewer != null;

/** Calls a mutation that takes one input. */
const mutate = (field: string, input: object, selection = '__typename', key?: string, type = `${cap(field)}Input`) =>
  kit.gql(`mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} } }`, { input }, key);
const cap = (text: string) => `${text[0]?.toUpperCase()}${text.slice(1)}`;

const keyFields = 'secret apiKey { databaseId expiresAt }';
const createKey = (input: object, key?: string) => mutate('createApiKey', input, keyFields, key);
const regenerate = (input: object, key?: string) =>
  mutate('regenerateApiKey', input, 'secret revokedCredentialCount apiKey { databaseId }', key);
const createPat = (input: object, key: string) =>
  mutate('createPersonalAccessToken', input, 'secret personalAccessToken { databaseId expiresAt }', key);

/** Runs an attempt, and throws when it changed data other than the audit trail. */
async function unchanged<T>(attempt: () => Promise<T>): Promise<T> {
  await kit.booted.background.settled();
  const before = await kit.fingerprint();
  const answer = await attempt();
  await kit.booted.background.settled();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

/** Returns the secrets that an admin key created, directly or through the credentials that it created, by kind. */
async function derivedFrom(secret: string) {
  const pat = await kit.createPat(secret);
  const throughPat = await kit.createPat(pat.secret);
  const key = (await createKey({ name: 'derived', role: 'ADMIN' }, secret)).data.createApiKey;
  const sk = (await createKey({ kind: 'ANYTHINGLLM', role: 'BASIC' }, pat.secret)).data.createApiKey;
  const patOfKey = await kit.createPat(key.secret);
  const project = (await mutate('createProject', { name: 'derived' }, 'project { databaseId }', secret)).data;
  const { projectToken } = {
    projectToken: (
      await mutate('createProjectToken', { projectId: project.createProject.project.databaseId }, 'secret', secret)
    ).data.createProjectToken,
  };
  const invite = (await mutate('createInviteCode', {}, 'code', key.secret)).data.createInviteCode.code;
  const email = `${crypto.randomUUID()}@people.example`;
  await mutate('inviteUsers', { emails: [email] }, '__typename', secret);
  return {
    secrets: {
      'a personal access token': pat.secret,
      'a personal access token that another one created': throughPat.secret,
      'an API key': key.secret,
      'an sk- key that a personal access token created': sk.secret,
      'a personal access token of a derived key': patOfKey.secret,
      'a project token': projectToken.secret,
    } as Record<string, string>,
    keyId: key.apiKey.databaseId as number,
    invite,
    email,
  };
}

const allWork = async (secrets: Record<string, string>) =>
  Object.fromEntries(
    await Promise.all(Object.entries(secrets).map(async ([name, secret]) => [name, await works(secret)])),
  );
const each = (secrets: Record<string, string>, state: boolean) =>
  Object.fromEntries(Object.keys(secrets).map((name) => [name, state]));

describe('TOK 23 regenerating a key', () => {
  const inviteStatus = async (invite: string) =>
    (await kit.rest('GET', `/api/invite/${invite}`, { key: null })).body.invite?.status;
  const canRegister = async (email: string) =>
    (await kit.rest('POST', '/api/auth/register', { key: null, body: { email, password: 'a long password' } })).status;

  test.each([
    ['GraphQL', (id: number) => regenerate({ id: id })],
    ['REST', (id: number) => kit.rest('POST', `/api/admin/api-key/${id}/regenerate`)],
  ])('revokes the credentials that the old secret created, directly and indirectly, over %s', async (_path, rotate) => {
    const maker = await kit.createKey('ADMIN');
    const { secrets, invite, email, keyId } = await derivedFrom(maker.secret);
    const beside = await kit.createPat((await kit.createKey('BASIC')).secret);
    expect(await allWork(secrets)).toEqual(each(secrets, true));
    await rotate(maker.id);
    expect(await allWork(secrets)).toEqual(each(secrets, false));
    expect(await works(beside.secret)).toBe(true);
    expect([await inviteStatus(invite), await canRegister(email)]).toEqual([undefined, 403]);
    // A key is disabled rather than deleted, so that an administrator who trusts it can enable it again.
    await updateKey(kit, { id: keyId, disabled: false });
    expect(await works(secrets['an API key'] ?? '')).toBe(true);
  });

  test.each([
    ['GraphQL', (id: number) => regenerate({ id: id, keepDerivedCredentials: true })],
    ['REST', (id: number) => kit.rest('POST', `/api/admin/api-key/${id}/regenerate`, { body: { keep_derived: true } })],
  ])(
    'keeps the credentials that the old secret created when the request asks for it, over %s',
    async (_path, rotate) => {
      const maker = await kit.createKey('ADMIN');
      const { secrets, invite, email } = await derivedFrom(maker.secret);
      await rotate(maker.id);
      expect(await allWork(secrets)).toEqual(each(secrets, true));
      expect([await inviteStatus(invite), await canRegister(email)]).toEqual(['pending', 201]);
    },
  );

  test('keeps the credentials that the new secret created until the next regeneration', async () => {
    const maker = await kit.createKey('ADMIN');
    const first = (await regenerate({ id: maker.id })).data.regenerateApiKey;
    const pat = await kit.createPat(first.secret);
    expect([first.revokedCredentialCount, await works(pat.secret)]).toEqual([0, true]);
    const second = (await regenerate({ id: maker.id, overlapMinutes: 5 })).data.regenerateApiKey;
    expect([second.revokedCredentialCount, await works(first.secret), await works(pat.secret)]).toEqual([
      1,
      true,
      false,
    ]);
  });

  test('ends the open streams of the revoked credentials and records their IDs in the audit trail', async () => {
    const maker = await kit.createKey('ADMIN');
    const pat = await kit.createPat(maker.secret);
    kit.model.script({ hang: true });
    const events = kit.subscribe(
      'subscription { chatTurn(input: { message: "Hello" }) { __typename } }',
      {},
      pat.secret,
    );
    await events.next();
    await regenerate({ id: maker.id });
    for await (const _event of events);
    const event = await kit.prisma.auditEvent.findFirstOrThrow({
      where: { action: 'api_key.regenerate', targetId: String(maker.id) },
    });
    expect(event.detail).toEqual({ overlapMinutes: 0, revokedTokenIds: [pat.id] });
  });

  test('invalidates the old secret of a project token too', async () => {
    const owner = await kit.createKey('BASIC');
    const project = (await mutate('createProject', { name: 'p' }, 'project { databaseId }', owner.secret)).data;
    const input = { projectId: project.createProject.project.databaseId };
    const { secret, projectToken } = (
      await mutate('createProjectToken', input, 'secret projectToken { databaseId }', owner.secret)
    ).data.createProjectToken;
    const { data } = await mutate(
      'regenerateProjectToken',
      { id: projectToken.databaseId },
      'secret revokedCredentialCount',
      owner.secret,
    );
    expect(data.regenerateProjectToken.revokedCredentialCount).toBe(0);
    expect([await works(secret), await works(data.regenerateProjectToken.secret)]).toEqual([false, true]);
  });

  test('returns CONFLICT when it would disable the last administrator', async () => {
    const alone = await startKit();
    try {
      const [first] = await alone.prisma.token.findMany({ orderBy: { id: 'asc' } });
      const heir = await alone.createKey('ADMIN');
      await alone.gql(
        'mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }',
        { input: { id: first?.id, scopes: permissions.map(permissionConstant) } },
        heir.secret,
      );
      const rotate = (input: object) =>
        alone.gql(
          'mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret } }',
          { input: { id: first?.id, ...input } },
          heir.secret,
        );
      const before = await alone.fingerprint();
      expect(code(await rotate({}))).toBe('CONFLICT');
      expect(await alone.fingerprint()).toBe(before);
      expect((await rotate({ keepDerivedCredentials: true })).errors).toEqual([]);
    } finally {
      await alone.close();
    }
  });

  test('denies credential changes by a request that was authenticated with the old secret', async () => {
    const { id, secret } = await kit.createKey('ADMIN');
    const { credentials, tokens, inviteCodes } = kit.booted.services;
    const principal = await credentials.authenticate(secret, { address: null, userAgent: null });
    if (!principal) throw new Error('the key does not work');
    await regenerate({ id: id });
    for (const attempt of [
      () => tokens.createPersonalAccessToken(principal, { name: 'late' }),
      () => tokens.createApiKey(principal, { name: 'late' }),
      () => tokens.regenerateApiKey(principal, id),
      () => tokens.updateApiKey(principal, id, { name: 'late' }),
      () => inviteCodes.create(principal, {}),
    ])
      await unchanged(() => expect(attempt()).rejects.toMatchObject({ code: 'FORBIDDEN' }));
  });
});

describe('TOK 23 setting a password', () => {
  const resets: [string, (person: { userId: string; email: string }, keeps: boolean) => Promise<unknown>][] = [
    [
      'resetUserPassword',
      ({ userId }, keepTokens) =>
        mutate('resetUserPassword', { user: { id: userId }, ...(keepTokens && { keepTokens }) }),
    ],
    [
      'updateUser',
      ({ userId }, keepTokens) =>
        mutate('updateUser', { user: { id: userId }, password: 'another password', keepTokens }),
    ],
    [
      'POST /password/reset_password',
      ({ email }, keep_tokens) =>
        kit.rest('POST', '/api/password/reset_password', {
          body: { user_email: email, ...(keep_tokens && { keep_tokens }) },
        }),
    ],
    [
      'POST /v1/admin/users/{id}',
      async ({ userId }, keepTokens) => {
        const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: userId } });
        return kit.rest('POST', `/api/v1/admin/users/${databaseId}`, {
          body: { password: 'another password', ...(keepTokens && { keepTokens }) },
        });
      },
    ],
  ];

  async function personWithTokens() {
    const person = await kit.person();
    const pat = await kit.createPat(person.session);
    const project = (await mutate('createProject', { name: 'p' }, 'project { databaseId }', person.session)).data;
    const input = { projectId: project.createProject.project.databaseId };
    const made = await mutate('createProjectToken', input, 'secret', person.session);
    return { person, secrets: { pat: pat.secret, projectToken: made.data.createProjectToken.secret as string } };
  }

  test.each(resets)('with %s revokes the user’s tokens unless the request keeps them', async (_name, reset) => {
    const { person, secrets } = await personWithTokens();
    expect(await allWork(secrets)).toEqual(each(secrets, true));
    await reset(person, true);
    expect([await works(person.session), await allWork(secrets)]).toEqual([false, each(secrets, true)]);
    await reset(person, false);
    expect(await allWork(secrets)).toEqual(each(secrets, false));
  });

  test('by the user themselves revokes their tokens unless the request keeps them', async () => {
    for (const keeps of [true, false]) {
      const { person, secrets } = await personWithTokens();
      const graph = await mutate(
        'changePassword',
        { currentPassword: person.password, newPassword: 'another password', keepTokens: keeps || null },
        '__typename',
        person.session,
      );
      expect(graph.errors).toEqual([]);
      expect([await works(person.session), await allWork(secrets)]).toEqual([true, each(secrets, keeps)]);
      const again = await personWithTokens();
      await kit.rest('POST', '/api/password/change-password', {
        key: again.person.session,
        body: { old_password: again.person.password, new_password: 'another password', keep_tokens: keeps },
      });
      expect(await allWork(again.secrets)).toEqual(each(again.secrets, keeps));
    }
  });
});

describe('TOK 24 a superseded secret', () => {
  const mutations = Object.values((schema.getMutationType() as GraphQLObjectType).getFields());
  const flagged = mutations.filter(changesCredentials).map(({ name }) => name);
  const flaggedRows = endpoints
    .filter(({ document }) => rootFields(document).some(({ name }) => flagged.includes(name)))
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`);

  test('is rejected by exactly the listed mutations', () => {
    expect(flagged.sort()).toEqual(
      [
        ...['createApiKey', 'updateApiKey', 'regenerateApiKey', 'deleteApiKey'],
        ...['createProjectToken', 'updateProjectToken', 'regenerateProjectToken', 'deleteProjectToken'],
        ...['createPersonalAccessToken', 'revokePersonalAccessToken'],
        ...['revokeUserCredential', 'revokeUserCredentials'],
        ...['createUser', 'updateUser', 'activateUser', 'deactivateUser', 'deleteUser', 'changeUserRole'],
        ...['resetUserPassword', 'changePassword', 'enableMultiUser'],
        ...['inviteUsers', 'removeInvitation', 'createInviteCode', 'disableInviteCode', 'createEmbed'],
      ].sort(),
    );
  });

  test('cannot create, change or revoke credentials over GraphQL and REST, but can read', async () => {
    const { id, secret, userId } = await kit.createKey('ADMIN');
    // The credentials that it created earlier are kept as targets for the operations.
    await regenerate({ id: id, overlapMinutes: 60, keepDerivedCredentials: true });
    const caller: Caller = { name: 'superseded', secret, state: 'live', permissions: new Set(permissions), userId };
    const scene = { targets: freshTargets(kit, userId), grant: grantOf(caller), word: 'throwaway' };
    const tried = operations.filter(({ name }) => {
      const base = baseOf(name);
      // These paths are closed to all callers as soon as the server has users.
      if (base.includes(' /system/')) return false;
      return flagged.includes(base.replace('Mutation.', '')) || flaggedRows.includes(base);
    });
    expect(tried.length).toBeGreaterThan(flagged.length + flaggedRows.length / 2);
    const wrong: string[] = [];
    for (const { name, prepare } of tried) {
      const call = await prepare(scene);
      const reply = await unchanged(() => call(kit, caller));
      if (reply.verdict !== 'FORBIDDEN' || !reply.text.includes('This secret was replaced by a newer one.'))
        wrong.push(`${name}: ${reply.status} ${reply.verdict} ${reply.text.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
    expect((await kit.gql('{ apiKeys { totalCount } }', {}, secret)).data.apiKeys.totalCount).toBeGreaterThan(0);
    expect((await kit.rest('GET', '/api/admin/api-key', { key: secret })).status).toBe(200);
  }, 60_000);

  test('of a login session cannot set a password or create a token', async () => {
    const person = await kit.person();
    await kit.gql('mutation { refreshSession { token } }', {}, person.session);
    const password = { currentPassword: person.password, newPassword: 'another password' };
    for (const attempt of [
      () => mutate('changePassword', password, '__typename', person.session),
      () => createPat({ name: 'late' }, person.session),
    ])
      expect(code(await unchanged(attempt))).toBe('FORBIDDEN');
  });
});

describe('TOK 26 a credential that expires', () => {
  /** Returns the secrets of credentials that expire in about 10 days, by kind. */
  async function makers(): Promise<Record<string, string>> {
    const key = (await createKey({ role: 'ADMIN', expiresAt: inDays(10) })).data.createApiKey.secret;
    const person = await kit.person({ role: 'ADMIN' });
    const owner = await kit.createKey('ADMIN');
    return {
      'an API key': key,
      'a token of that key': (await kit.createPat(key)).secret,
      'a token of a person': (await kit.createPat(person.session, { expiresInDays: 9 })).secret,
      'a token of a key that does not expire': (await kit.createPat(owner.secret, { expiresInDays: 9 })).secret,
    };
  }
  const endOf = async (secret: string): Promise<string> =>
    (await kit.gql('{ viewer { token { expiresAt } } }', {}, secret)).data.viewer.token.expiresAt;

  test('cannot create a credential that expires later, and the error names the latest expiry', async () => {
    for (const [name, maker] of Object.entries(await makers())) {
      const end = await endOf(maker);
      const project = (await mutate('createProject', { name: 'p' }, 'project { databaseId }', maker)).data;
      const { databaseId: projectId } = project.createProject.project;
      const bad: [string, () => Promise<GraphQLAnswer>][] = [
        ['input.expiresAt', () => createKey({ role: 'BASIC', expiresAt: inDays(12) }, maker)],
        ['input.neverExpires', () => createKey({ role: 'BASIC', neverExpires: true }, maker)],
        ['input.expiresAt', () => createKey({ projectId, expiresAt: inDays(12) }, maker)],
        ['input.expiresAt', () => mutate('createProjectToken', { projectId, expiresAt: inDays(12) }, 'secret', maker)],
        ['input.expiresInDays', () => createPat({ name: 'long', expiresInDays: 12 }, maker)],
        ['input.neverExpires', () => createPat({ name: 'long', neverExpires: true }, maker)],
      ];
      for (const [field, attempt] of bad) {
        const answer = await unchanged(attempt);
        expect([name, code(answer), fieldOf(answer)]).toEqual([name, 'BAD_USER_INPUT', field]);
        expect(answer.errors[0]?.message).toContain(end);
      }
      const badRest: [string, number, string, object][] = [
        ['expires_at', 400, '/api/admin/api-key', { expires_at: inDays(12) }],
        ['never_expires', 400, '/api/admin/api-key', { never_expires: true }],
        ['expiration_days', 422, '/api/user/pats', { name: 'x', expiration_days: 12 }],
        ['never_expires', 422, '/api/user/pats', { name: 'x', never_expires: true }],
        ['expires_at', 422, '/api/admin/generate-api-key', { expires_at: inDays(12) }],
      ];
      for (const [field, status, path, body] of badRest) {
        const answer: Answer = await unchanged(() => kit.rest('POST', path, { key: maker, body }));
        expect([name, path, answer.status, answer.text]).toEqual([name, path, status, expect.stringContaining(field)]);
        expect(answer.text).toContain(end);
        expect(answer.text).not.toContain('input.');
      }
      // A credential that is created without an expiry inherits the expiry of its creator.
      const made = [
        (await createKey({ role: 'BASIC' }, maker)).data.createApiKey.apiKey,
        (await createKey({ projectId }, maker)).data.createApiKey.apiKey,
        (await createPat({ name: 'clamped' }, maker)).data.createPersonalAccessToken.personalAccessToken,
        { expiresAt: (await kit.rest('POST', '/api/admin/api-key', { key: maker, body: {} })).body.expires_at },
        { expiresAt: (await kit.rest('POST', '/api/user/pats', { key: maker, body: { name: 'c' } })).body.expires_at },
      ];
      expect(made.map(({ expiresAt }) => expiresAt)).toEqual(made.map(() => end));
      const sooner = inDays(1);
      expect((await createKey({ role: 'BASIC', expiresAt: sooner }, maker)).data.createApiKey.apiKey.expiresAt).toBe(
        sooner,
      );
    }
  });

  test('cannot extend a credential beyond its own expiry or regenerate one that expires later', async () => {
    for (const [name, maker] of Object.entries(await makers())) {
      const lasting = await kit.createKey('BASIC');
      const brief = (await createKey({ role: 'BASIC', expiresAt: inDays(2) })).data.createApiKey.apiKey;
      const update = (input: object) => updateKey(kit, { id: brief.databaseId, ...input }, maker);
      for (const [field, input] of [
        ['input.expiresAt', { expiresAt: inDays(12) }],
        ['input.neverExpires', { neverExpires: true }],
      ] as const) {
        const answer = await unchanged(() => update(input));
        expect([name, code(answer), fieldOf(answer)]).toEqual([name, 'BAD_USER_INPUT', field]);
      }
      const row = await unchanged(() =>
        kit.rest('PATCH', `/api/admin/api-key/${brief.databaseId}`, { key: maker, body: { never_expires: true } }),
      );
      expect([row.status, row.body.message]).toEqual([400, expect.stringMatching(/^never_expires: /)]);
      expect(code(await unchanged(() => regenerate({ id: lasting.id }, maker)))).toBe('FORBIDDEN');
      const refused = await unchanged(() =>
        kit.rest('POST', `/api/admin/api-key/${lasting.id}/regenerate`, { key: maker }),
      );
      expect(refused.status).toBe(403);
      expect((await update({ expiresAt: inDays(3) })).errors).toEqual([]);
      expect((await update({ name: 'renamed' })).errors).toEqual([]);
      expect((await regenerate({ id: brief.databaseId }, maker)).errors).toEqual([]);
    }
  });

  test('can regenerate itself, while a login session does not limit the expiry of new tokens', async () => {
    const key = (await createKey({ role: 'ADMIN', expiresAt: inDays(10) })).data.createApiKey;
    expect((await regenerate({ id: key.apiKey.databaseId }, key.secret)).errors).toEqual([]);
    const { session } = await kit.person({ role: 'ADMIN' });
    expect((await createPat({ name: 'lasting' }, session)).data.createPersonalAccessToken.personalAccessToken).toEqual({
      databaseId: expect.any(Number),
      expiresAt: null,
    });
  });
});

describe('the credential lifetimes in the preferences', () => {
  const prefer = (input: object, key?: string) =>
    mutate('updatePreferences', input, 'preferences { maxTokenLifetimeDays defaultTokenLifetimeDays }', key);
  /** Returns 23:59:59.999 UTC on the day that is the given number of days from now. */
  const endOfDay = (days: number) => `${inDays(days).slice(0, 10)}T23:59:59.999Z`;
  beforeEach(async () => {
    await prefer({ clear: ['MAX_TOKEN_LIFETIME_DAYS', 'DEFAULT_TOKEN_LIFETIME_DAYS'] });
  });
  afterAll(() => prefer({ clear: ['MAX_TOKEN_LIFETIME_DAYS', 'DEFAULT_TOKEN_LIFETIME_DAYS'] }));

  /** Returns the expiry of a credential that is created without one, for every path that creates a credential. */
  async function unasked(): Promise<(string | null)[]> {
    const project = (await mutate('createProject', { name: 'p' }, 'project { databaseId }')).data.createProject.project;
    const inProject = await mutate(
      'createProjectToken',
      { projectId: project.databaseId },
      'projectToken { expiresAt }',
    );
    return [
      (await createKey({ role: 'BASIC', expiresAt: null })).data.createApiKey.apiKey.expiresAt,
      (await createKey({ kind: 'ANYTHINGLLM' })).data.createApiKey.apiKey.expiresAt,
      inProject.data.createProjectToken.projectToken.expiresAt,
      (await createPat({ name: 'x', expiresInDays: null }, kit.keys.ADMIN)).data.createPersonalAccessToken
        .personalAccessToken.expiresAt,
      (await kit.rest('POST', '/api/admin/api-key', { body: { name: 'x' } })).body.expires_at,
      (await kit.rest('POST', '/api/user/pats', { body: { name: 'x' } })).body.expires_at,
      (await kit.rest('POST', '/api/admin/generate-api-key', { body: {} })).body.apiKey.expires_at,
    ];
  }

  test('apply to new keys and tokens: the default lifetime, or the maximum when there is no default', async () => {
    const existing = await kit.createKey('BASIC');
    expect(new Set(await unasked())).toEqual(new Set([null]));
    expect((await prefer({ defaultTokenLifetimeDays: 7 })).errors).toEqual([]);
    expect(new Set(await unasked())).toEqual(new Set([endOfDay(7)]));
    expect((await createKey({ neverExpires: true })).data.createApiKey.apiKey.expiresAt).toBe(null);
    await prefer({ clear: ['DEFAULT_TOKEN_LIFETIME_DAYS'], maxTokenLifetimeDays: 30 });
    expect(new Set(await unasked())).toEqual(new Set([endOfDay(30)]));
    expect((await kit.prisma.token.findUniqueOrThrow({ where: { id: existing.id } })).expiresAt).toBe(null);
    expect(await works(existing.secret)).toBe(true);
  });

  test('reject a later expiry and an unlimited lifetime, and name the field', async () => {
    await prefer({ maxTokenLifetimeDays: 30, defaultTokenLifetimeDays: 7 });
    const key = await kit.createKey('BASIC');
    const graph: [string, () => Promise<GraphQLAnswer>][] = [
      ['input.expiresAt', () => createKey({ expiresAt: inDays(32) })],
      ['input.neverExpires', () => createKey({ neverExpires: true })],
      ['input.expiresInDays', () => createPat({ name: 'x', expiresInDays: 31 }, kit.keys.ADMIN)],
      ['input.neverExpires', () => createPat({ name: 'x', neverExpires: true }, kit.keys.ADMIN)],
      ['input.expiresAt', () => updateKey(kit, { id: key.id, expiresAt: inDays(32) })],
      ['input.neverExpires', () => updateKey(kit, { id: key.id, neverExpires: true })],
    ];
    for (const [field, attempt] of graph) {
      const answer = await unchanged(attempt);
      expect([code(answer), fieldOf(answer)]).toEqual(['BAD_USER_INPUT', field]);
      expect(answer.errors[0]?.message).toContain('the maximum lifetime of credentials is 30 days');
    }
    const rest: [string, number, string, string, object][] = [
      ['expires_at', 400, 'POST', '/api/admin/api-key', { expires_at: inDays(32) }],
      ['never_expires', 400, 'POST', '/api/admin/api-key', { never_expires: true }],
      ['expires_at', 400, 'PATCH', `/api/admin/api-key/${key.id}`, { expires_at: inDays(32) }],
      ['never_expires', 400, 'PATCH', `/api/admin/api-key/${key.id}`, { never_expires: true }],
      ['expiration_days', 422, 'POST', '/api/user/pats', { name: 'x', expiration_days: 31 }],
      ['never_expires', 422, 'POST', '/api/user/pats', { name: 'x', never_expires: true }],
      ['expires_at', 422, 'POST', '/api/admin/generate-api-key', { expires_at: inDays(32) }],
    ];
    for (const [field, status, method, path, body] of rest) {
      const answer = await unchanged(() => kit.rest(method, path, { body }));
      expect([path, answer.status, answer.text]).toEqual([path, status, expect.stringContaining(field)]);
    }
    expect((await createPat({ name: 'x', expiresInDays: 30 }, kit.keys.ADMIN)).errors).toEqual([]);
    expect((await updateKey(kit, { id: key.id, expiresAt: inDays(30) })).errors).toEqual([]);
  });

  test('accept 1 to 3650 days and a default within the maximum, and deny callers without permission', async () => {
    for (const [field, input] of [
      ['input.maxTokenLifetimeDays', { maxTokenLifetimeDays: 0 }],
      ['input.maxTokenLifetimeDays', { maxTokenLifetimeDays: 3651 }],
      ['input.defaultTokenLifetimeDays', { defaultTokenLifetimeDays: -1 }],
      ['input.defaultTokenLifetimeDays', { defaultTokenLifetimeDays: 31, maxTokenLifetimeDays: 30 }],
    ] as const) {
      const answer = await unchanged(() => prefer(input));
      expect([code(answer), fieldOf(answer)]).toEqual(['BAD_USER_INPUT', field]);
    }
    expect(code(await unchanged(() => prefer({ maxTokenLifetimeDays: 30 }, kit.keys.BASIC)))).toBe('FORBIDDEN');
    await kit.person();
    const path = '/api/v1/admin/preferences';
    const set = await kit.rest('POST', path, { body: { max_token_lifetime_days: 30 } });
    expect(set.body).toEqual({ success: true, error: null });
    const read = async () => (await kit.gql('{ preferences { maxTokenLifetimeDays } }')).data.preferences;
    await kit.rest('POST', path, { body: { max_token_lifetime_days: null } });
    expect(await read()).toEqual({ maxTokenLifetimeDays: 30 });
    const bad = await kit.rest('POST', path, { body: { max_token_lifetime_days: 4000 } });
    expect(bad.body).toEqual({ success: false, error: expect.stringMatching(/^max_token_lifetime_days /) });
    await kit.rest('POST', path, { body: { max_token_lifetime_days: 0 } });
    expect(await read()).toEqual({ maxTokenLifetimeDays: null });
  });
});

describe('the overlap of a regeneration over REST', () => {
  const rotate = (id: number, body?: unknown) => kit.rest('POST', `/api/admin/api-key/${id}/regenerate`, { body });

  test('keeps the old secret valid for the given minutes, and ends it at once when it is absent', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const { body } = await rotate(id, { overlap_minutes: 5 });
    expect([await works(secret), await works(body.api_key)]).toEqual([true, true]);
    const { previousExpiresAt } = await kit.prisma.token.findUniqueOrThrow({ where: { id } });
    expect(Math.abs((previousExpiresAt?.getTime() ?? 0) - Date.now() - 5 * 60_000)).toBeLessThan(60_000);
    for (const last of [undefined, {}, { overlap_minutes: null }]) {
      const key = await kit.createKey('BASIC');
      const renewed = await rotate(key.id, last);
      expect([renewed.status, await works(key.secret), await works(renewed.body.api_key)]).toEqual([200, false, true]);
    }
  });

  test.each([-1, 1.5, 10_081, 2 ** 40, '5', true])('rejects %j minutes and names the field', async (minutes) => {
    const { id, secret } = await kit.createKey('BASIC');
    const answer = await unchanged(() => rotate(id, { overlap_minutes: minutes }));
    expect([answer.status >= 400 && answer.status < 500, answer.text]).toEqual([
      true,
      expect.stringContaining('overlap_minutes'),
    ]);
    expect(await works(secret)).toBe(true);
  });
});

describe('TOK 27 administrators of users', () => {
  const nodes = 'id databaseId kind name display scopes expiresAt lastUsedAt lastUsedAddress disabled user { name }';
  const list = async (filter?: object, key?: string) =>
    kit.gql(
      `query ($filter: UserCredentialFilter) {
        userCredentials(first: 100, filter: $filter) { totalCount nodes { ${nodes} } }
      }`,
      { filter },
      key,
    );

  async function someone(role: 'BASIC' | 'ADMIN' = 'BASIC') {
    const person = await kit.person({ role });
    const pat = await kit.createPat(person.session, { scopes: ['read:chat'] });
    const project = (await mutate('createProject', { name: 'p' }, 'project { databaseId }', person.session)).data;
    const input = { name: 'bot', projectId: project.createProject.project.databaseId };
    const { secret } = (await mutate('createProjectToken', input, 'secret', person.session)).data.createProjectToken;
    return { ...person, pat, projectToken: secret as string };
  }

  test('list the tokens and sessions of a user without secrets, over GraphQL and REST', async () => {
    const person = await someone();
    await kit.booted.background.settled();
    const { data } = await list({ userId: person.userId });
    expect(data.userCredentials.totalCount).toBe(3);
    expect(data.userCredentials.nodes).toMatchObject([
      { kind: 'PROJECT', name: 'bot', disabled: false },
      { kind: 'PERSONAL', name: 'test', databaseId: person.pat.id, scopes: ['READ_CHAT'] },
      { kind: 'SESSION', name: null, lastUsedAddress: expect.any(String) },
    ]);
    const rest = await kit.rest('GET', `/api/manage/admin/users/${person.userId}/tokens`);
    expect(rest.body).toMatchObject([
      { kind: 'project_token', name: 'bot', disabled: false, project_id: expect.any(Number) },
      { kind: 'personal_access_token', id: person.pat.id, scopes: ['read:chat'], expires_at: null },
      { kind: 'session', last_used_address: expect.any(String) },
    ]);
    for (const secret of [person.session, person.pat.secret, person.projectToken])
      expect(JSON.stringify(data) + rest.text).not.toContain(secret.slice(-36));
    const one = await list({ userId: person.userId, kinds: ['SESSION'] });
    expect(one.data.userCredentials.nodes).toHaveLength(1);
    const all = await list();
    expect(all.data.userCredentials.nodes.map(({ databaseId }: { databaseId: number }) => databaseId)).toEqual(
      expect.arrayContaining([person.pat.id]),
    );
    // The tokens of the service account behind a key are included.
    const key = await kit.createKey('BASIC');
    const pat = await kit.createPat(key.secret);
    expect((await list({ userId: key.userId })).data.userCredentials.nodes).toMatchObject([{ databaseId: pat.id }]);
  });

  test('revoke one credential at once, end its streams and add an audit event', async () => {
    const person = await someone();
    kit.model.script({ hang: true });
    const events = kit.subscribe(
      'subscription { chatTurn(input: { message: "Hello" }) { __typename } }',
      {},
      person.session,
    );
    await events.next();
    const [, , session] = (await list({ userId: person.userId })).data.userCredentials.nodes;
    const revoked = await mutate('revokeUserCredential', { id: session.id }, 'revokedUserCredentialId');
    expect(revoked.data.revokeUserCredential).toEqual({ revokedUserCredentialId: session.id });
    for await (const _event of events);
    expect([await works(person.session), await works(person.pat.secret)]).toEqual([false, true]);
    const path = `/api/manage/admin/users/${person.userId}/tokens/${person.pat.id}`;
    expect((await kit.rest('DELETE', path)).body).toEqual({ message: 'Token revoked successfully' });
    expect([await works(person.pat.secret), await works(person.projectToken)]).toEqual([false, true]);
    expect((await kit.rest('DELETE', path)).status).toBe(404);
    const where = { action: 'credential.revoke', targetId: String(person.pat.id) };
    expect(await until(() => kit.prisma.auditEvent.findFirst({ where }))).toMatchObject({
      targetType: 'UserCredential',
      detail: { kind: 'PERSONAL', name: 'test', userId: person.userId },
    });
  });

  test('revoke all credentials of a user, or those of one kind', async () => {
    const [one, other] = [await someone(), await someone()];
    const sessions = { userId: one.userId, kinds: ['SESSION'] };
    expect((await mutate('revokeUserCredentials', sessions, 'revokedCount')).data.revokeUserCredentials).toEqual({
      revokedCount: 1,
    });
    expect(await allWork({ a: one.session, b: one.pat.secret, c: one.projectToken })).toEqual({
      a: false,
      b: true,
      c: true,
    });
    const all = await kit.rest('DELETE', `/api/manage/admin/users/${one.userId}/tokens`);
    expect([all.status, all.body]).toEqual([200, { revoked_count: 2 }]);
    expect(await allWork({ b: one.pat.secret, c: one.projectToken })).toEqual({ b: false, c: false });
    expect(await allWork({ a: other.session, b: other.pat.secret, c: other.projectToken })).toEqual({
      a: true,
      b: true,
      c: true,
    });
  });

  test('are denied access to users with more permissions than their own credential', async () => {
    const [admin, basic] = [await someone('ADMIN'), await someone('BASIC')];
    const scopes = permissions.filter((name) => name !== 'read:audit');
    const { secret } = await kit.createKey('ADMIN', { scopes });
    const seen = (await list(undefined, secret)).data.userCredentials.nodes;
    const ids = seen.map(({ databaseId }: { databaseId: number }) => databaseId);
    expect([ids.includes(basic.pat.id), ids.includes(admin.pat.id)]).toEqual([true, false]);
    for (const attempt of [
      () => list({ userId: admin.userId }, secret),
      () => mutate('revokeUserCredentials', { userId: admin.userId }, '__typename', secret),
    ])
      expect(code(await unchanged(attempt))).toBe('FORBIDDEN');
    const one = await unchanged(() =>
      mutate('revokeUserCredential', { id: String(admin.pat.id) }, '__typename', secret),
    );
    expect(code(one)).toBe('NOT_FOUND');
    for (const [method, path] of [
      ['GET', `/api/manage/admin/users/${admin.userId}/tokens`],
      ['DELETE', `/api/manage/admin/users/${admin.userId}/tokens`],
      ['DELETE', `/api/manage/admin/users/${admin.userId}/tokens/${admin.pat.id}`],
    ] as const)
      expect((await unchanged(() => kit.rest(method, path, { key: secret }))).status).toBe(403);
    expect(await works(admin.pat.secret)).toBe(true);
  });

  test('receive NOT_FOUND for missing credentials, for API keys and for tokens of another user', async () => {
    const [one, other] = [await someone(), await someone()];
    const key = await kit.createKey('BASIC');
    for (const input of [
      { id: '2147483647' },
      { id: String(key.id) },
      { id: String(other.pat.id), userId: one.userId },
    ])
      expect(code(await unchanged(() => mutate('revokeUserCredential', input)))).toBe('NOT_FOUND');
    const path = `/api/manage/admin/users/${one.userId}/tokens/${other.pat.id}`;
    expect((await unchanged(() => kit.rest('DELETE', path))).status).toBe(404);
    const missing = '00000000-0000-4000-8000-00000000dead';
    expect(code(await list({ userId: missing }))).toBe('NOT_FOUND');
    expect((await kit.rest('GET', `/api/manage/admin/users/${missing}/tokens`)).status).toBe(404);
    expect((await kit.rest('GET', '/api/manage/admin/users/nobody/tokens')).status).toBe(422);
  });
});
