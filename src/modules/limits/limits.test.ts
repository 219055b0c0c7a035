import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, returned, startKit } from '../../../test/kit.ts';
import type { Principal } from '../../authz/principal.ts';
import { AppError } from '../../errors.ts';
import { globalId } from '../../graphql/id-input.ts';
import { createLimitsService } from './limits.service.ts';

let kit: Kit;

const Fields =
  'id databaseId scope role userDatabaseId tokenDatabaseId enabled requestsPerMinute tokenBudget periodHours';
const Create = `mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { ${Fields} } } }`;
const Update = `mutation ($input: UpdateRateLimitInput!) { updateRateLimit(input: $input) { rateLimit { ${Fields} } } }`;
const Delete = `mutation ($input: DeleteRateLimitInput!) { deleteRateLimit(input: $input) { deletedRateLimitId } }`;
const List = `query ($filter: RateLimitFilter, $first: Int, $after: String) {
  rateLimits(filter: $filter, first: $first, after: $after) {
    totalCount nodes { ${Fields} createdAt updatedAt } pageInfo { hasNextPage endCursor }
  }
}`;

const create = async (input: object) => {
  const { data, errors } = await kit.gql(Create, { input });
  expect(errors).toEqual([]);
  return data.createRateLimit.rateLimit;
};
const update = async (input: object) => {
  const { data, errors } = await kit.gql(Update, { input });
  expect(errors).toEqual([]);
  return data.updateRateLimit.rateLimit;
};
const admin = () => principalOf(kit.keys.ADMIN);

async function principalOf(secret: string): Promise<Principal> {
  const client = { address: null, userAgent: null };
  const principal = await kit.booted.services.credentials.authenticate(secret, client);
  if (!principal) throw new Error('the key opens nothing');
  return principal;
}

/** Returns the error of a request, or `null` when it is admitted. */
const outcome = (admission: Promise<void>): Promise<AppError | null> =>
  admission.then(
    () => null,
    (error: unknown) => error as AppError,
  );
const admit = async (secret: string) => outcome(kit.booted.services.limits.admitRequest(await principalOf(secret)));

beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());
afterEach(async () => {
  // Not through HTTP, which can be limited.
  const principal = await admin();
  for (const { id } of await kit.prisma.rateLimit.findMany({ select: { id: true } }))
    await kit.booted.services.limits.delete(principal, id, null);
});

describe('managing rate limits', () => {
  it('creates, changes, lists, fetches and deletes limits, and audits every change', async () => {
    const { id: tokenId, userId } = await kit.createKey('BASIC');
    const made = [
      await create({ subject: { scope: 'GLOBAL' }, requestsPerMinute: 1_000_000 }),
      await create({ subject: { userId }, tokenBudget: 1_000_000_000_000, periodHours: 8760 }),
      await create({ subject: { tokenId }, requestsPerMinute: 1, tokenBudget: 1, periodHours: 1, enabled: false }),
      await create({ subject: { role: 'LIMITED' }, requestsPerMinute: 50_000 }),
    ];
    const nothing = { role: null, userDatabaseId: null, tokenDatabaseId: null, enabled: true };
    const noBudget = { tokenBudget: null, periodHours: null };
    expect(made).toMatchObject([
      { ...nothing, ...noBudget, scope: 'GLOBAL', requestsPerMinute: 1_000_000 },
      {
        ...nothing,
        scope: 'USER',
        userDatabaseId: userId,
        requestsPerMinute: null,
        tokenBudget: 1_000_000_000_000,
        periodHours: 8760,
      },
      {
        ...nothing,
        scope: 'TOKEN',
        tokenDatabaseId: tokenId,
        enabled: false,
        requestsPerMinute: 1,
        tokenBudget: 1,
        periodHours: 1,
      },
      { ...nothing, ...noBudget, scope: 'ROLE', role: 'LIMITED', requestsPerMinute: 50_000 },
    ]);

    const [everybody, ofUser, ofToken] = made;
    const changed = await update({ id: everybody.id, tokenBudget: 5_000_000_000, periodHours: 2, enabled: false });
    expect(changed).toEqual({ ...everybody, tokenBudget: 5_000_000_000, periodHours: 2, enabled: false });
    const nulls = { requestsPerMinute: null, tokenBudget: null, periodHours: null, enabled: null, clear: null };
    expect(await update({ id: everybody.databaseId, ...nulls })).toEqual(changed);
    expect(await update({ id: everybody.databaseId, clear: ['TOKEN_BUDGET'] })).toEqual({
      ...everybody,
      enabled: false,
    });
    expect((await kit.gql(Delete, { input: { id: ofToken.id } })).data).toEqual({
      deleteRateLimit: { deletedRateLimitId: ofToken.id },
    });

    const list = (await kit.gql(List)).data.rateLimits;
    expect(list.totalCount).toBe(3);
    expect(list.nodes.map((limit: any) => limit.scope)).toEqual(['GLOBAL', 'USER', 'ROLE']);
    const one = (await kit.gql(List, { first: 1, after: null })).data.rateLimits;
    expect(one.pageInfo.hasNextPage).toBe(true);
    const next = (await kit.gql(List, { first: 5, after: one.pageInfo.endCursor })).data.rateLimits;
    expect(next.nodes.map((limit: any) => limit.scope)).toEqual(['USER', 'ROLE']);
    const filtered = async (filter: object) => (await kit.gql(List, { filter })).data.rateLimits.nodes.length;
    expect([
      await filtered({ scope: 'USER' }),
      await filtered({ userId }),
      await filtered({ role: 'ADMIN' }),
      await filtered({ scope: 'ROLE', role: 'LIMITED' }),
      await filtered({ tokenId }),
      await filtered({ userId: globalId('User', userId) }),
    ]).toEqual([1, 1, 0, 1, 0, 1]);
    const node = await kit.gql(`query ($id: ID!) { node(id: $id) { ... on RateLimit { scope userDatabaseId } } }`, {
      id: ofUser.id,
    });
    expect(node.data.node).toEqual({ scope: 'USER', userDatabaseId: userId });

    const trail = await kit.prisma.auditEvent.findMany({
      where: { targetType: 'RateLimit', targetId: String(everybody.databaseId) },
      orderBy: { id: 'asc' },
    });
    expect(trail.map(({ action }) => action)).toEqual(['rate_limit.create', 'rate_limit.update', 'rate_limit.update']);
    expect(trail[1]?.detail).toMatchObject({ scope: 'GLOBAL', tokenBudget: 5_000_000_000, enabled: false });
    const lifted = { targetType: 'RateLimit', targetId: String(ofToken.databaseId), action: 'rate_limit.delete' };
    expect(await kit.prisma.auditEvent.count({ where: lifted })).toBe(1);
  });

  it.each([
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: 0 }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: -1 }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: 1_000_001 }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: 1.5 }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: 2 ** 63 }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' } }],
    ['requestsPerMinute', { subject: { scope: 'GLOBAL' }, requestsPerMinute: null, enabled: true }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: 0, periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: -5, periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: 1.5, periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: 1e12 + 1, periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: 2 ** 63, periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, tokenBudget: '5', periodHours: 1 }],
    ['tokenBudget', { subject: { scope: 'GLOBAL' }, requestsPerMinute: 5, periodHours: 1 }],
    ['periodHours', { subject: { scope: 'GLOBAL' }, tokenBudget: 5 }],
    ['periodHours', { subject: { scope: 'GLOBAL' }, tokenBudget: 5, periodHours: 0 }],
    ['periodHours', { subject: { scope: 'GLOBAL' }, tokenBudget: 5, periodHours: 8761 }],
    ['periodHours', { subject: { scope: 'GLOBAL' }, tokenBudget: 5, periodHours: 0.5 }],
    ['subject', { subject: null, requestsPerMinute: 5 }],
    ['subject', { subject: {}, requestsPerMinute: 5 }],
    ['subject', { subject: { scope: 'GLOBAL', role: 'ADMIN' }, requestsPerMinute: 5 }],
    ['subject', { subject: { userId: randomUUID(), tokenId: 1 }, requestsPerMinute: 5 }],
    ['subject.role', { subject: { role: null }, requestsPerMinute: 5 }],
    ['subject.scope', { subject: { scope: 'NOBODY' }, requestsPerMinute: 5 }],
    ['subject.scope', { subject: { scope: 'USER' }, requestsPerMinute: 5 }],
    ['subject.userId', { subject: { userId: 'me' }, requestsPerMinute: 5 }],
    ['subject.userId', { subject: { userId: globalId('ApiKey', 1) }, requestsPerMinute: 5 }],
    ['subject.tokenId', { subject: { tokenId: 'abc' }, requestsPerMinute: 5 }],
    ['subject.tokenId', { subject: { tokenId: globalId('User', randomUUID()) }, requestsPerMinute: 5 }],
  ])('rejects an invalid %s, and names the field: %j', async (field, input) => {
    const before = await kit.fingerprint();
    const { errors } = await kit.gql(Create, { input });
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(errors[0]?.extensions.fields.map((problem: any) => problem.path.join('.'))).toEqual([`input.${field}`]);
    expect(await kit.fingerprint()).toBe(before);
  });

  it.each([
    ['subject', { requestsPerMinute: 5 }],
    ['subject', { scope: 'GLOBAL', requestsPerMinute: 5 }],
    ['scope', { scope: 'GLOBAL', subject: { scope: 'GLOBAL' }, requestsPerMinute: 5 }],
  ])('rejects a limit without a subject, or with a field of an earlier version: %s %j', async (field, input) => {
    const before = await kit.fingerprint();
    const { errors } = await kit.gql(Create, { input });
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] });
    expect(errors[0]?.message).toContain(`input.${field}: `);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('rejects a change that is contradictory or leaves the limit without a value', async () => {
    const { databaseId } = await create({ subject: { scope: 'GLOBAL' }, tokenBudget: 5, periodHours: 1 });
    const before = await kit.fingerprint();
    for (const [field, change] of [
      ['input.tokenBudget', { clear: ['TOKEN_BUDGET'], periodHours: 2 }],
      ['input.clear.0', { clear: ['TOKEN_BUDGET'], tokenBudget: 2 }],
      ['input.requestsPerMinute', { clear: ['TOKEN_BUDGET'] }],
      ['input.requestsPerMinute', { requestsPerMinute: 0 }],
    ] as const) {
      const { errors } = await kit.gql(Update, { input: { id: databaseId, ...change } });
      expect(errors[0]?.extensions.fields[0].path.join('.')).toBe(field);
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  it('returns NOT_FOUND for a missing user, token or limit', async () => {
    const before = await kit.fingerprint();
    const missing = 0x7fff_ffff;
    for (const [query, input] of [
      [Create, { subject: { userId: randomUUID() }, requestsPerMinute: 5 }],
      [Create, { subject: { tokenId: missing }, requestsPerMinute: 5 }],
      [Update, { id: missing, enabled: false }],
      [Delete, { id: missing }],
    ] as const) {
      const { errors } = await kit.gql(query, { input });
      expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  it('requires manage:rate_limits in GraphQL and REST', async () => {
    const { databaseId, id } = await create({ subject: { role: 'BASIC' }, tokenBudget: 1e9, periodHours: 24 });
    const scoped = async (scopes: string[]) => (await kit.createPat(kit.keys.ADMIN, { scopes })).secret;
    const refused = [kit.keys.BASIC, kit.keys.LIMITED, await scoped(['manage:settings', 'read:analytics'])];
    const body = { enabled: true, token_budget: 5, period_hours: 24 };
    const rows = [
      ['GET', '/global'],
      ['POST', '/global', body],
      ['GET', '/users'],
      ['POST', '/users', body],
      ['GET', '/user-groups'],
      ['GET', '/user-group/2'],
      ['POST', '/user-group/2', body],
      ['PUT', `/user-group/2/rate-limit/${databaseId}`, body],
      ['DELETE', `/user-group/2/rate-limit/${databaseId}`],
      ['PUT', `/rate-limit/${databaseId}`, body],
      ['DELETE', `/rate-limit/${databaseId}`],
    ] as const;
    const before = await kit.fingerprint();
    for (const secret of [null, ...refused]) {
      const code = secret === null ? 'UNAUTHENTICATED' : 'FORBIDDEN';
      for (const [query, input] of [
        [Create, { subject: { scope: 'GLOBAL' }, requestsPerMinute: 5 }],
        [Update, { id, enabled: false }],
        [Delete, { id: databaseId }],
        [List, {}],
      ] as const) {
        const { data, errors } = await kit.gql(query, { input }, secret);
        expect([...returned(data), errors[0]?.extensions.code]).toEqual([code]);
      }
      const node = await kit.gql(`query ($id: ID!) { node(id: $id) { id } }`, { id }, secret);
      expect(node.errors[0]?.extensions.code).toBe(code);
      for (const [method, path, sent] of rows) {
        const answer = await kit.rest(method, `/api/admin/token-rate-limits${path}`, { key: secret, body: sent });
        expect([method, path, answer.status]).toEqual([method, path, 403]);
      }
    }
    expect(await kit.fingerprint()).toBe(before);

    const holder = await scoped(['manage:rate_limits']);
    expect((await kit.gql(List, {}, holder)).data.rateLimits.totalCount).toBe(1);
    for (const [method, path, sent] of rows.slice(0, -2)) {
      const answer = await kit.rest(method, `/api/admin/token-rate-limits${path}`, { key: holder, body: sent });
      expect([method, path, answer.status]).toEqual([method, path, 200]);
    }
  });

  it('returns the edge of a new limit, and its user and credential only to callers who can read them', async () => {
    const key = await kit.createKey('BASIC', { name: 'limited' });
    const pat = await kit.createPat(key.secret);
    const objects = 'user { databaseId } apiKey { name role } userCredential { kind user { databaseId } }';
    const made = await kit.gql(
      `mutation ($userId: ID!, $keyId: ID!, $patId: ID!) {
        ofUser: createRateLimit(input: { subject: { userId: $userId }, requestsPerMinute: 1000 }) { rateLimitEdge { cursor node { ${objects} } } }
        ofKey: createRateLimit(input: { subject: { tokenId: $keyId }, requestsPerMinute: 1000 }) { rateLimit { ${objects} } }
        ofPat: createRateLimit(input: { subject: { tokenId: $patId }, requestsPerMinute: 1000 }) { rateLimit { id ${objects} } }
      }`,
      {
        userId: globalId('User', key.userId),
        keyId: globalId('ApiKey', key.id),
        patId: globalId('PersonalAccessToken', pat.id),
      },
    );
    expect(made.errors).toEqual([]);
    const { ofUser, ofKey, ofPat } = made.data;
    expect(ofUser.rateLimitEdge.node).toEqual({
      user: { databaseId: key.userId },
      apiKey: null,
      userCredential: null,
    });
    expect(ofKey.rateLimit).toEqual({ user: null, apiKey: { name: 'limited', role: 'BASIC' }, userCredential: null });
    expect(ofPat.rateLimit).toMatchObject({
      user: null,
      apiKey: null,
      userCredential: { kind: 'PERSONAL', user: { databaseId: key.userId } },
    });
    const after = await kit.gql(List, { after: ofUser.rateLimitEdge.cursor });
    expect(after.data.rateLimits.nodes.map(({ tokenDatabaseId }: any) => tokenDatabaseId)).toEqual([key.id, pat.id]);
    const { secret } = await kit.createPat(kit.keys.ADMIN, { scopes: ['manage:rate_limits'] });
    const denied = await kit.gql(`{ rateLimits(first: 1) { nodes { userDatabaseId ${objects} } } }`, {}, secret);
    expect(denied.data.rateLimits.nodes).toEqual([
      { userDatabaseId: key.userId, user: null, apiKey: null, userCredential: null },
    ]);
    expect(denied.errors.map(({ extensions }) => extensions.requiredPermissions[0]).sort()).toEqual([
      'manage:api_keys',
      'manage:users',
      'read:users',
    ]);
  });

  it('lists limits with a constant number of statements', async () => {
    const count = async () => {
      kit.statements.length = 0;
      await kit.gql(List, { first: 100 });
      return kit.statements.length;
    };
    await create({ subject: { scope: 'GLOBAL' }, requestsPerMinute: 900_000 });
    await count();
    const few = await count();
    for (let i = 0; i < 10; i++) await create({ subject: { scope: 'EACH_USER' }, requestsPerMinute: 900_000 });
    expect(await count()).toBe(few);
  });

  it('allows at most 100 limits with the same scope and subject', async () => {
    await kit.prisma.rateLimit.createMany({
      data: Array.from({ length: 100 }, () => ({ scope: 'EACH_TOKEN' as const, requestsPerMinute: 900_000 })),
    });
    const { errors } = await kit.gql(Create, {
      input: { subject: { scope: 'EACH_TOKEN' }, requestsPerMinute: 900_000 },
    });
    expect(errors[0]?.extensions.code).toBe('CONFLICT');
    await create({ subject: { scope: 'EACH_USER' }, requestsPerMinute: 900_000 });
    await kit.prisma.rateLimit.deleteMany();
    await kit.booted.services.limits.load();
  });
});

describe('a limit of requests per minute', () => {
  it('counts requests together according to its scope, and admits all others', async () => {
    const [one, two] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
    const limited = await kit.createKey('LIMITED');
    const pat = await kit.createPat(one.secret);
    const callers = { one: one.secret, pat: pat.secret, two: two.secret, limited: limited.secret };
    /** Returns which callers are denied when each sends one request, in this order, and then another one. */
    const refused = async (input: object) => {
      const { databaseId } = await create({ requestsPerMinute: 1, ...input });
      const names = [];
      for (let round = 1; round <= 2; round++)
        for (const [name, secret] of Object.entries(callers)) if (await admit(secret)) names.push(`${name} ${round}`);
      await kit.booted.services.limits.delete(await admin(), databaseId, null);
      return names;
    };
    expect(await refused({ subject: { tokenId: one.id } })).toEqual(['one 2']);
    expect(await refused({ subject: { scope: 'EACH_TOKEN' } })).toEqual(['one 2', 'pat 2', 'two 2', 'limited 2']);
    expect(await refused({ subject: { userId: one.userId } })).toEqual(['pat 1', 'one 2', 'pat 2']);
    expect(await refused({ subject: { scope: 'EACH_USER' } })).toEqual([
      'pat 1',
      'one 2',
      'pat 2',
      'two 2',
      'limited 2',
    ]);
    expect(await refused({ subject: { role: 'BASIC' } })).toEqual(['pat 1', 'two 1', 'one 2', 'pat 2', 'two 2']);
    expect(await refused({ subject: { role: 'LIMITED' } })).toEqual(['limited 2']);
    expect(await refused({ subject: { scope: 'GLOBAL' } })).toEqual([
      'pat 1',
      'two 1',
      'limited 1',
      'one 2',
      'pat 2',
      'two 2',
      'limited 2',
    ]);
    expect(await refused({ subject: { scope: 'GLOBAL' }, enabled: false })).toEqual([]);
    expect(await refused({ subject: { userId: (await admin()).userId }, requestsPerMinute: 1000 })).toEqual([]);
  });

  it('names its scope and the whole seconds until the minute ends when it rejects a request', async () => {
    const key = await kit.createKey('BASIC');
    await create({ subject: { tokenId: key.id }, requestsPerMinute: 2 });
    expect([await admit(key.secret), await admit(key.secret)]).toEqual([null, null]);
    const refusal = await admit(key.secret);
    expect(refusal).toBeInstanceOf(AppError);
    expect(refusal?.message).toBe('Too many requests (limit of this credential: 2 per minute).');
    const { retryAfter = 0, scope, resetAt } = refusal?.details ?? {};
    expect([refusal?.code, scope, Number.isInteger(retryAfter)]).toEqual(['RATE_LIMITED', 'TOKEN', true]);
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(resetAt).toBeInstanceOf(Date);
  });

  it('applies a change, disabling and deletion from the next request, and keeps its count', async () => {
    const key = await kit.createKey('BASIC');
    const { databaseId } = await create({ subject: { tokenId: key.id }, requestsPerMinute: 1 });
    const admitted = async () => (await admit(key.secret)) === null;
    expect([await admitted(), await admitted()]).toEqual([true, false]);
    await update({ id: databaseId, requestsPerMinute: 4 });
    expect([await admitted(), await admitted()]).toEqual([true, true]);
    expect(await admitted()).toBe(false);
    await update({ id: databaseId, enabled: false });
    expect(await admitted()).toBe(true);
    await update({ id: databaseId, enabled: true, requestsPerMinute: 1 });
    expect([await admitted(), await admitted()]).toEqual([true, false]);
    await kit.gql(Delete, { input: { id: databaseId } });
    expect([await admitted(), await admitted()]).toEqual([true, true]);
  });

  it('does not count a rejected request against other limits', async () => {
    const [key, other] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
    const wide = await create({ subject: { role: 'BASIC' }, requestsPerMinute: 3 });
    await create({ subject: { tokenId: key.id }, requestsPerMinute: 1 });
    expect(await admit(key.secret)).toBeNull();
    for (let i = 0; i < 5; i++) expect((await admit(key.secret))?.details.scope).toBe('TOKEN');
    // The role has two of three requests left.
    expect([await admit(other.secret), await admit(other.secret)]).toEqual([null, null]);
    const narrow = await create({ subject: { userId: other.userId }, requestsPerMinute: 1 });
    for (let i = 0; i < 3; i++) expect((await admit(other.secret))?.details.scope).toBe('ROLE');
    await kit.booted.services.limits.delete(await admin(), wide.databaseId, null);
    // The denied request was not counted against the user.
    expect(await admit(other.secret)).toBeNull();
    expect((await admit(other.secret))?.details.scope).toBe('USER');
    expect(narrow.enabled).toBe(true);
  });

  it('admits requests without a database statement', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    await create({ subject: { tokenId: id }, requestsPerMinute: 5 });
    await create({ subject: { scope: 'GLOBAL' }, requestsPerMinute: 100_000 });
    const principal = await principalOf(secret);
    await kit.booted.background.settled();
    kit.statements.length = 0;
    await kit.booted.services.limits.admitRequest(principal);
    expect(kit.statements).toEqual([]);
  });

  it('admits requests when the counter fails, and logs the failure', async () => {
    const { services, foundation } = kit.booted;
    const fail = () => Promise.reject(new Error('the store is gone'));
    const counters = { create: () => ({ points: 5, consume: fail, reward: fail, delete: fail }) };
    await create({ subject: { scope: 'GLOBAL' }, requestsPerMinute: 100_000 });
    const { audit, usage } = services;
    const limits = createLimitsService({ ...foundation, audit, usage, shared: { ...foundation.shared, counters } });
    await limits.load();
    expect(await outcome(limits.admitRequest(await admin()))).toBeNull();
    expect(kit.log.join('')).toContain('the store is gone');
  });

  it('is loaded from the database at the start', async () => {
    const { services, foundation } = kit.booted;
    const { id, secret } = await kit.createKey('BASIC');
    await create({ subject: { tokenId: id }, requestsPerMinute: 1 });
    const { audit, usage } = services;
    const limits = createLimitsService({ ...foundation, audit, usage });
    const principal = await principalOf(secret);
    expect(await outcome(limits.admitRequest(principal))).toBeNull();
    await limits.load();
    expect(await outcome(limits.admitRequest(principal))).toBeNull();
    expect((await outcome(limits.admitRequest(principal)))?.code).toBe('RATE_LIMITED');
  });

  it('returns 429 with the time to wait in GraphQL and REST, and changes no data', async () => {
    const key = await kit.createKey('BASIC');
    await create({ subject: { userId: key.userId }, requestsPerMinute: 2 });
    expect((await kit.gql('{ viewer { role } }', {}, key.secret)).errors).toEqual([]);
    expect((await kit.rest('GET', '/api/me', { key: key.secret })).status).toBe(200);
    const before = await kit.fingerprint();

    const graph = await kit.gql('mutation { createChatSession(input: {}) { __typename } }', {}, key.secret);
    expect(graph.status).toBe(429);
    expect(graph.errors[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
    expect(graph.headers.get('retry-after')).toBe(String(graph.errors[0]?.extensions.retryAfter));

    const rest = await kit.rest('POST', '/api/chat/create-chat-session', { key: key.secret, body: {} });
    expect({ status: rest.status, body: rest.body }).toEqual({
      status: 429,
      body: {
        scope: 'user',
        reset_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        retry_after_seconds: expect.any(Number),
        error_code: 'RATE_LIMITED',
        detail: 'Too many requests (limit of this user: 2 per minute).',
      },
    });
    expect(rest.headers.get('retry-after')).toBe(String(rest.body.retry_after_seconds));
    expect(await kit.fingerprint()).toBe(before);
    expect((await kit.rest('GET', '/api/me', { key: kit.keys.BASIC })).status).toBe(200);
  });

  it('also applies to /metrics, /me, the export of audit events and subscriptions over SSE', async () => {
    const key = await kit.createKey('ADMIN');
    await create({ subject: { userId: key.userId }, requestsPerMinute: 1 });
    expect(await admit(key.secret)).toBeNull();
    expect((await kit.rest('GET', '/api/admin/audit-events/export', { key: key.secret })).status).toBe(429);
    for (const path of ['/metrics', '/me']) {
      const { status, headers } = await kit.rest('GET', path, { key: key.secret });
      expect([path, status, headers.get('retry-after')]).toEqual([path, 429, expect.stringMatching(/^[1-9]\d?$/)]);
    }
    const stream = await fetch(`${kit.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${key.secret}`,
      },
      body: JSON.stringify({ query: 'subscription { chatRun(run: { id: "x" }) { __typename } }' }),
    });
    expect(stream.status).toBe(429);
    await stream.body?.cancel();
    expect((await kit.rest('GET', '/api/health', { key: key.secret })).status).toBe(200);
  });
});

describe('the REST endpoints of token budgets', () => {
  const path = '/api/admin/token-rate-limits';
  const body = (token_budget: number, more: object = {}) => ({
    enabled: true,
    token_budget,
    period_hours: 24,
    ...more,
  });
  const shown = (token_id: number, token_budget: number, more: object = {}) => ({
    token_id,
    ...body(token_budget),
    cost_budget_cents: null,
    requests_per_minute: null,
    ...more,
  });

  it.each([
    ['/global', 'GLOBAL'],
    ['/users', 'EACH_USER'],
  ])('%s sets and lists the budgets of the scope %s, in thousands of tokens', async (end, scope) => {
    const { status, body: made } = await kit.rest('POST', `${path}${end}`, { body: body(1_000_000_000) });
    expect({ status, made }).toEqual({ status: 200, made: shown(made.token_id, 1_000_000_000) });
    const odd = await create({ subject: { scope }, tokenBudget: 1001, periodHours: 24 });
    await create({ subject: { scope }, requestsPerMinute: 900_000 });
    await create({ subject: { scope: 'EACH_TOKEN' }, tokenBudget: 5, periodHours: 24 });
    expect((await kit.rest('GET', `${path}${end}`)).body).toEqual([
      shown(made.token_id, 1_000_000_000),
      shown(odd.databaseId, 2),
    ]);
    const stored = await kit.prisma.rateLimit.findUnique({ where: { id: made.token_id } });
    expect(stored).toMatchObject({ scope, tokenBudget: 1_000_000_000_000n, periodHours: 24, enabled: true });
  });

  it('change and delete a budget by its ID', async () => {
    const { databaseId } = await create({
      subject: { scope: 'GLOBAL' },
      tokenBudget: 5000,
      periodHours: 24,
      requestsPerMinute: 1000,
    });
    const change = { enabled: false, token_budget: 7, period_hours: 48 };
    const changed = await kit.rest('PUT', `${path}/rate-limit/${databaseId}`, { body: change });
    expect(changed.body).toEqual(shown(databaseId, 7, { ...change, requests_per_minute: 1000 }));
    const lifted = await kit.rest('DELETE', `${path}/rate-limit/${databaseId}`);
    expect([lifted.status, lifted.body]).toEqual([200, null]);
    expect(await kit.prisma.rateLimit.count()).toBe(0);
    for (const [method, sent] of [['PUT', change], ['DELETE']] as const) {
      const answer = await kit.rest(method, `${path}/rate-limit/${databaseId}`, { body: sent });
      expect([answer.status, answer.body]).toEqual([404, { error_code: 'NOT_FOUND', detail: 'Rate limit not found' }]);
    }
  });

  it('use the two default groups for the roles', async () => {
    const ofBasic = (await kit.rest('POST', `${path}/user-group/2`, { body: body(3) })).body;
    expect(ofBasic).toEqual(shown(ofBasic.token_id, 3));
    expect(await kit.prisma.rateLimit.findMany({ select: { scope: true, role: true } })).toEqual([
      { scope: 'ROLE', role: 'BASIC' },
    ]);
    expect((await kit.rest('GET', `${path}/user-groups`)).body).toEqual({ Basic: [ofBasic] });
    expect((await kit.rest('GET', `${path}/user-group/1`)).body).toEqual([]);
    expect((await kit.rest('GET', `${path}/user-group/2`)).body).toEqual([ofBasic]);

    const everybody = await create({ subject: { scope: 'GLOBAL' }, tokenBudget: 5000, periodHours: 24 });
    const before = await kit.fingerprint();
    for (const [group, id] of [
      [1, ofBasic.token_id],
      [2, everybody.databaseId],
      [3, ofBasic.token_id],
    ])
      for (const [method, sent] of [['PUT', body(9)], ['DELETE']] as const) {
        const answer = await kit.rest(method, `${path}/user-group/${group}/rate-limit/${id}`, { body: sent });
        expect([answer.status, answer.body.error_code]).toEqual([404, 'NOT_FOUND']);
      }
    for (const [method, sent] of [['GET'], ['POST', body(9)]] as const)
      expect((await kit.rest(method, `${path}/user-group/3`, { body: sent })).status).toBe(404);
    expect(await kit.fingerprint()).toBe(before);

    const one = `${path}/user-group/2/rate-limit/${ofBasic.token_id}`;
    expect((await kit.rest('PUT', one, { body: body(9) })).body).toEqual(shown(ofBasic.token_id, 9));
    expect((await kit.rest('DELETE', one)).status).toBe(200);
    expect((await kit.rest('GET', `${path}/user-groups`)).body).toEqual({});
  });

  it.each([
    ['token_budget', { enabled: true, period_hours: 24 }],
    ['token_budget', body(0)],
    ['token_budget', body(1e9 + 1)],
    ['token_budget', body(1.5)],
    ['period_hours', { enabled: true, token_budget: 5 }],
    ['period_hours', body(5, { period_hours: 0 })],
    ['enabled', { token_budget: 5, period_hours: 24 }],
    ['cost_budget_cents', body(5, { cost_budget_cents: 100 })],
  ])('return 422 for an invalid %s: %j', async (field, sent) => {
    const before = await kit.fingerprint();
    const { status, body: answer } = await kit.rest('POST', `${path}/global`, { body: sent });
    expect([status, answer.data]).toEqual([422, null]);
    expect(answer.message).toContain(`${field}: `);
    expect(await kit.fingerprint()).toBe(before);
  });
});
