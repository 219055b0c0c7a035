import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Kit, returned, startKit, until } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import type { Principal } from '../../authz/principal.ts';
import { globalId } from '../../graphql/id-input.ts';

const hour = 3600 * 1000;
/** Returns the start of the hour that began this number of hours ago. */
const hoursAgo = (hours: number) => new Date((Math.floor(Date.now() / hour) - hours) * hour);

let kit: Kit;
let key: { id: number; secret: string; userId: string };
let other: { id: number; secret: string; userId: string };

const Create =
  'mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { databaseId } } }';
const limit = async (input: object): Promise<number> => {
  const { data, errors } = await kit.gql(Create, { input: { periodHours: 24, ...input } });
  expect(errors).toEqual([]);
  return data.createRateLimit.rateLimit.databaseId;
};
const lift = (id: number) =>
  kit.gql('mutation ($id: ID!) { deleteRateLimit(input: { id: $id }) { deletedRateLimitId } }', { id });
const Send = 'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }';
const ask = (secret: string) => kit.gql(Send, { input: { message: 'Hi', actionIds: [] } }, secret);
const post = (secret: string, body: object = {}) =>
  kit.rest('POST', '/api/chat/send-chat-message', {
    key: secret,
    body: { message: 'Hi', allowed_tool_ids: [], ...body },
  });
const use = (of: { userId: string; id: number }, tokens: number, at = hoursAgo(0), model = 'earlier') =>
  kit.prisma.usageRecord.create({
    data: { hour: at, userId: of.userId, senderId: of.userId, tokenId: of.id, model, turns: 1, inputTokens: tokens },
  });
const records = (userId = key.userId) =>
  kit.prisma.usageRecord.findMany({ where: { userId }, orderBy: [{ hour: 'asc' }, { model: 'asc' }] });

beforeAll(async () => {
  // The clock is set to the middle of an hour, so that no test crosses its end.
  vi.useFakeTimers({ toFake: ['Date'], now: (Math.floor(Date.now() / hour) + 0.5) * hour });
  kit = await startKit({ scripted: true });
});
afterAll(async () => {
  vi.useRealTimers();
  await kit?.close();
});
beforeEach(async () => {
  [key, other] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
});
afterEach(async () => {
  for (const { id } of await kit.prisma.rateLimit.findMany({ select: { id: true } })) await lift(id);
  await kit.prisma.usageRecord.deleteMany();
});

describe('the recorded usage of a turn', () => {
  it('is the usage that the provider reports, added up per hour', async () => {
    kit.model.script(
      { text: 'One', usage: { prompt_tokens: 7, completion_tokens: 2 } },
      { text: 'Two', usage: { prompt_tokens: 30, completion_tokens: 4 } },
    );
    expect((await ask(key.secret)).errors).toEqual([]);
    expect((await post(key.secret, { stream: false })).status).toBe(200);
    const rows = await records();
    const sum = (of: (row: (typeof rows)[number]) => number | bigint) =>
      rows.reduce((total, row) => total + Number(of(row)), 0);
    expect(rows.every((row) => row.tokenId === key.id && row.model === 'scripted')).toBe(true);
    expect([sum((row) => row.turns), sum((row) => row.inputTokens), sum((row) => row.outputTokens)]).toEqual([
      2, 37, 6,
    ]);
    expect(sum((row) => row.estimatedTokens)).toBe(0);
  });

  it('is estimated, and marked as estimated, when the provider reports no usage', async () => {
    kit.model.script({ text: 'Four letters or so', usage: { prompt_tokens: 0, completion_tokens: 0 } });
    await ask(key.secret);
    const [row] = await records();
    expect(row?.turns).toBe(1);
    expect(Number(row?.outputTokens)).toBe(estimateTokens('Four letters or so'));
    expect(row?.inputTokens).toBeGreaterThan(0n);
    expect(row?.estimatedTokens).toBe((row?.inputTokens ?? 0n) + (row?.outputTokens ?? 0n));
  });

  it('is estimated only for the side that the provider does not report', async () => {
    kit.model.script({ text: 'Half reported', usage: { prompt_tokens: 11, completion_tokens: 0 } });
    await ask(key.secret);
    const [row] = await records();
    expect([row?.inputTokens, row?.estimatedTokens]).toEqual([11n, BigInt(estimateTokens('Half reported'))]);
  });

  it('is recorded when the provider’s stream breaks off', async () => {
    kit.model.script({ text: 'words that break off', breakAfter: 2 });
    await post(key.secret, { stream: false });
    const [row] = await records();
    expect(row?.turns).toBe(1);
    expect(row?.outputTokens).toBeGreaterThan(0n);
    expect(row?.estimatedTokens).toBeGreaterThan(0n);
  });

  it('is recorded when the turn is stopped', async () => {
    const gate = makeGate();
    kit.model.script({ text: 'one two three', gate });
    const session = await kit.rest('POST', '/api/chat/create-chat-session', { key: key.secret, body: {} });
    const turn = post(key.secret, { stream: false, chat_session_id: session.body.chat_session_id });
    gate.release();
    await gate.reached(1);
    await kit.rest('POST', `/api/chat/stop-chat-session/${session.body.chat_session_id}`, { key: key.secret });
    await turn;
    const [row] = await until(async () => ((await records()).length > 0 ? records() : null));
    expect(row?.turns).toBe(1);
    expect(row?.inputTokens).toBeGreaterThan(0n);
    expect(row?.estimatedTokens).toBe((row?.inputTokens ?? 0n) + (row?.outputTokens ?? 0n));
    gate.open();
  });

  it('is not recorded when the provider rejects the call', async () => {
    kit.model.script({ status: 401 });
    const { body } = await post(key.secret, { stream: false });
    expect(body.error_msg ?? body.detail).toContain('HTTP 401');
    expect(await records()).toEqual([]);
  });

  it('includes all turns that end concurrently', async () => {
    const principal = { userId: key.userId, credential: { tokenId: key.id, projectOwnerId: null } } as Principal;
    const turn = { model: 'at once', inputTokens: 3, outputTokens: 2, estimatedTokens: 1 };
    await Promise.all(Array.from({ length: 20 }, () => kit.booted.services.usage.record(principal, turn)));
    const rows = await records();
    const sums = [0, 0, 0, 0];
    for (const row of rows)
      for (const [index, value] of [row.turns, row.inputTokens, row.outputTokens, row.estimatedTokens].entries())
        sums[index] = (sums[index] ?? 0) + Number(value);
    expect(sums).toEqual([20, 60, 40, 20]);
  });
});

describe('a token budget', () => {
  it('rejects turns in GraphQL and REST once it is used up, with its reset time, and stores no data', async () => {
    await limit({ subject: { scope: 'EACH_USER' }, tokenBudget: 9 });
    await use(key, 9);
    const before = await kit.fingerprint();
    const resetAt = hoursAgo(-25);

    const graph = await ask(key.secret);
    expect(graph.status).toBe(429);
    expect(graph.errors[0]?.message).toBe("You've reached the usage budget for this user.");
    expect(graph.errors[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
    expect(graph.headers.get('retry-after')).toBe(String(graph.errors[0]?.extensions.retryAfter));

    for (const stream of [true, false]) {
      const sentAt = Date.now();
      const { status, headers, body } = await post(key.secret, { stream });
      const seconds = body.retry_after_seconds;
      expect({ status, body }).toEqual({
        status: 429,
        body: {
          scope: 'user',
          reset_at: resetAt.toISOString(),
          retry_after_seconds: expect.any(Number),
          error_code: 'RATE_LIMITED',
          detail: "You've reached the usage budget for this user.",
        },
      });
      expect(headers.get('retry-after')).toBe(String(seconds));
      expect(seconds).toBeLessThanOrEqual(Math.ceil((resetAt.getTime() - sentAt) / 1000));
      expect(seconds).toBeGreaterThan(23 * 3600);
    }
    const payloads = [];
    for await (const payload of kit.subscribe(
      'subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename } }',
      { input: { message: 'Hi', actionIds: [] } },
      key.secret,
    ))
      payloads.push(payload);
    expect(payloads.map(({ errors }) => errors[0].extensions.code)).toEqual(['RATE_LIMITED']);
    expect(await kit.fingerprint()).toBe(before);
    expect((await ask(other.secret)).errors).toEqual([]);
  });

  it('admits turns again when earlier usage has left its period', async () => {
    await limit({ subject: { userId: key.userId }, tokenBudget: 100, periodHours: 3 });
    await use(key, 1000, hoursAgo(3));
    expect((await ask(key.secret)).status).toBe(429);
    await kit.prisma.usageRecord.updateMany({ where: { userId: key.userId }, data: { hour: hoursAgo(4) } });
    expect((await ask(key.secret)).errors).toEqual([]);
  });

  it('resets when enough usage has left its period, not only when all usage has', async () => {
    await limit({ subject: { userId: key.userId }, tokenBudget: 100, periodHours: 10 });
    await use(key, 50, hoursAgo(9));
    await use(key, 60, hoursAgo(5));
    await use(key, 30, hoursAgo(2));
    await use(key, 20, hoursAgo(1));
    // 160 in total; 110 without the oldest, 50 without the two oldest.
    expect((await post(key.secret)).body.reset_at).toBe(hoursAgo(5 - 11).toISOString());
  });

  it('reports the latest reset time when several budgets are used up', async () => {
    await limit({ subject: { scope: 'EACH_TOKEN' }, tokenBudget: 10, periodHours: 1 });
    await limit({ subject: { scope: 'EACH_USER' }, tokenBudget: 20, periodHours: 48 });
    await use(key, 30);
    const { body } = await post(key.secret);
    expect(body).toMatchObject({ scope: 'user', reset_at: hoursAgo(-49).toISOString() });
  });

  it('applies only to the callers that its scope counts together', async () => {
    const pat = await kit.createPat(key.secret);
    const limited = await kit.createKey('LIMITED');
    const callers = { key: key.secret, pat: pat.secret, other: other.secret, limited: limited.secret };
    await use(key, 1_000_000);
    const refused = async (input: object) => {
      const id = await limit({ tokenBudget: 1_000_000, ...input });
      const names = [];
      for (const [name, secret] of Object.entries(callers)) {
        const { status, errors } = await ask(secret);
        if (status === 429) names.push(name);
        else expect(errors).toEqual([]);
      }
      await lift(id);
      return names;
    };
    expect(await refused({ subject: { tokenId: key.id } })).toEqual(['key']);
    expect(await refused({ subject: { tokenId: pat.id } })).toEqual([]);
    expect(await refused({ subject: { scope: 'EACH_TOKEN' } })).toEqual(['key']);
    expect(await refused({ subject: { userId: key.userId } })).toEqual(['key', 'pat']);
    expect(await refused({ subject: { userId: other.userId } })).toEqual([]);
    expect(await refused({ subject: { scope: 'EACH_USER' } })).toEqual(['key', 'pat']);
    expect(await refused({ subject: { role: 'BASIC' } })).toEqual(['key', 'pat', 'other']);
    expect(await refused({ subject: { role: 'LIMITED' } })).toEqual([]);
    expect(await refused({ subject: { scope: 'GLOBAL' } })).toEqual(['key', 'pat', 'other', 'limited']);
    expect(await refused({ subject: { scope: 'GLOBAL' }, enabled: false })).toEqual([]);
    expect(await refused({ subject: { scope: 'GLOBAL' }, tokenBudget: 2_000_000 })).toEqual([]);
  });

  it('names its scope when it rejects a turn', async () => {
    await use(key, 10);
    for (const [input, scope] of [
      [{ subject: { scope: 'GLOBAL' } }, 'global'],
      [{ subject: { role: 'BASIC' } }, 'user_group'],
      [{ subject: { tokenId: key.id } }, 'token'],
    ] as const) {
      const id = await limit({ ...input, tokenBudget: 5 });
      expect((await post(key.secret)).body.scope).toBe(scope);
      await lift(id);
    }
  });

  it('costs one statement regardless of the number of budgets, and no statement without a budget', async () => {
    const reads = async () => {
      kit.statements.length = 0;
      expect((await ask(key.secret)).errors).toEqual([]);
      return kit.statements.filter((text) => /FROM "UsageRecord"/.test(text)).length;
    };
    expect(await reads()).toBe(0);
    for (const subject of [{ scope: 'GLOBAL' }, { scope: 'EACH_USER' }, { role: 'BASIC' }])
      await limit({ subject, tokenBudget: 1_000_000_000_000, periodHours: 8760 });
    expect(await reads()).toBe(1);
  });
});

const Own = `{ viewer { usage {
  limits { scope requestsPerMinute tokenBudget periodHours usedTokens remainingTokens resetsAt }
  perDay { date model turns inputTokens outputTokens estimatedTokens }
} } }`;

describe('the caller’s usage', () => {
  it('shows the limits that apply, without the consumption of limits shared with other users', async () => {
    const limited = await kit.createKey('LIMITED');
    await use(limited, 40);
    await use(other, 500);
    await limit({ subject: { tokenId: limited.id }, tokenBudget: 30 });
    await limit({ subject: { scope: 'EACH_USER' }, tokenBudget: 100, periodHours: 5 });
    await limit({ subject: { role: 'LIMITED' }, tokenBudget: 1000 });
    await limit({ subject: { scope: 'GLOBAL' }, tokenBudget: 9000, requestsPerMinute: 100_000 });
    await limit({ subject: { userId: other.userId }, tokenBudget: 7 });
    await limit({ subject: { scope: 'EACH_TOKEN' }, tokenBudget: 7, enabled: false });
    const { data, errors } = await kit.gql(Own, {}, limited.secret);
    expect(errors).toEqual([]);
    const unknown = { usedTokens: null, remainingTokens: null, resetsAt: null };
    const day = { requestsPerMinute: null, periodHours: 24 };
    expect(data.viewer.usage.limits).toEqual([
      {
        ...day,
        scope: 'TOKEN',
        tokenBudget: 30,
        usedTokens: 40,
        remainingTokens: 0,
        resetsAt: hoursAgo(-25).toISOString(),
      },
      {
        ...day,
        scope: 'EACH_USER',
        tokenBudget: 100,
        periodHours: 5,
        usedTokens: 40,
        remainingTokens: 60,
        resetsAt: null,
      },
      { ...day, scope: 'ROLE', tokenBudget: 1000, ...unknown },
      { ...day, scope: 'GLOBAL', tokenBudget: 9000, requestsPerMinute: 100_000, ...unknown },
    ]);
    expect(data.viewer.usage.perDay).toEqual([
      {
        date: `${hoursAgo(0).toISOString().slice(0, 10)}T00:00:00.000Z`,
        model: 'earlier',
        turns: 1,
        inputTokens: 40,
        outputTokens: 0,
        estimatedTokens: 0,
      },
    ]);
  });

  it('is added up per day and model for the last 30 days, without the usage of other users', async () => {
    await use(other, 1);
    const today = new Date(`${hoursAgo(0).toISOString().slice(0, 10)}T00:00:00.000Z`).getTime();
    const ago = (days: number, hours = 0) => new Date(today - days * 24 * hour + hours * hour);
    await use(key, 5, ago(2, 3));
    await use(key, 6, ago(2, 20));
    await use(key, 7, ago(2, 20), 'another');
    await use(key, 8, ago(29));
    await use(key, 9, ago(29, -1));
    const { status, body } = await kit.rest('GET', '/api/user/usage', { key: key.secret });
    expect(status).toBe(200);
    const day = (date: Date, model: string, turns: number, input_tokens: number) => ({
      day: date.toISOString().slice(0, 10),
      model,
      turns,
      input_tokens,
      output_tokens: 0,
      estimated_tokens: 0,
      cache_read_tokens: 0,
      cost_cents: 0,
    });
    expect(body).toEqual({
      per_day_by_model: [day(ago(2), 'another', 1, 7), day(ago(2), 'earlier', 2, 11), day(ago(29), 'earlier', 1, 8)],
      window_cost_cents: 0,
      budget_cents: null,
      budget_remaining_cents: null,
      budget_period_hours: null,
      selected_model_price: null,
      limits: [],
    });
  });

  it('covers only the token when the caller is a project token, not its user', async () => {
    const { credentials, usage, limits } = kit.booted.services;
    const principal = await credentials.authenticate(key.secret, { address: null, userAgent: null });
    if (!principal) throw new Error('the key opens nothing');
    const confined = { ...principal, credential: { ...principal.credential, tokenId: key.id + 1, projectId: 1 } };
    await use(key, 40);
    await use({ userId: key.userId, id: key.id + 1 }, 2);
    await limit({ subject: { scope: 'EACH_USER' }, tokenBudget: 100 });
    await limit({ subject: { scope: 'EACH_TOKEN' }, tokenBudget: 50 });
    const used = async (of: typeof principal) => (await limits.applyingTo(of)).map(({ usedTokens }) => usedTokens);
    const perDay = async (of: typeof principal) => (await usage.perDay(of)).map(({ inputTokens }) => inputTokens);
    expect([await used(principal), await perDay(principal)]).toEqual([[40, 42], [42]]);
    expect([await used(confined), await perDay(confined)]).toEqual([[2, null], [2]]);
  });

  it('is not available to an anonymous client', async () => {
    expect((await kit.gql(Own, {}, null)).data).toEqual({ viewer: null });
    expect((await kit.rest('GET', '/api/user/usage', { key: null })).status).toBe(403);
  });

  it('costs a constant number of statements', async () => {
    const count = async () => {
      kit.statements.length = 0;
      expect((await kit.gql(Own, {}, key.secret)).errors).toEqual([]);
      return kit.statements.filter((text) => /"UsageRecord"|"RateLimit"/.test(text)).length;
    };
    await limit({ subject: { scope: 'EACH_USER' }, tokenBudget: 100 });
    await use(key, 1);
    const few = await count();
    expect(few).toBe(2);
    for (let hours = 1; hours < 6; hours++) {
      await limit({ subject: { scope: 'EACH_TOKEN' }, tokenBudget: 100, periodHours: hours });
      await use(key, 1, hoursAgo(hours * 24));
    }
    expect(await count()).toBe(few);
  });
});

describe('the usage of the whole server', () => {
  const Report = `query ($filter: UsageFilter, $first: Int, $offset: Int) { usage(filter: $filter) {
    totals { turns inputTokens outputTokens estimatedTokens }
    records(first: $first, offset: $offset) { date userDatabaseId tokenDatabaseId model turns inputTokens }
  } }`;
  const report = async (filter: object = {}, page: object = {}) => {
    const { data, errors } = await kit.gql(Report, { filter, ...page });
    expect(errors).toEqual([]);
    return data.usage;
  };
  const today = () => new Date(`${hoursAgo(0).toISOString().slice(0, 10)}T00:00:00.000Z`).getTime();

  beforeEach(async () => {
    for (const hours of [1, 5, 20]) await use(key, hours, new Date(today() - 24 * hour + hours * hour));
    await use(other, 100, new Date(today() - 24 * hour));
    await use(other, 200, new Date(today() - 40 * 24 * hour));
  });

  it('is grouped by day, user, credential and model, newest first', async () => {
    const yesterday = new Date(today() - 24 * hour).toISOString();
    const rows = [
      {
        date: yesterday,
        userDatabaseId: key.userId,
        tokenDatabaseId: key.id,
        model: 'earlier',
        turns: 3,
        inputTokens: 26,
      },
      {
        date: yesterday,
        userDatabaseId: other.userId,
        tokenDatabaseId: other.id,
        model: 'earlier',
        turns: 1,
        inputTokens: 100,
      },
    ].sort((a, b) => (a.userDatabaseId < b.userDatabaseId ? -1 : 1));
    const { records: found, totals } = await report();
    expect(found).toEqual(rows);
    expect(totals).toEqual({ turns: 4, inputTokens: 126, outputTokens: 0, estimatedTokens: 0 });
    expect((await report({}, { first: 1, offset: 1 })).records).toEqual(rows.slice(1));
  });

  it('resolves users and credentials with one statement each, regardless of the number of records', async () => {
    const pat = await kit.createPat(key.secret);
    await use({ userId: key.userId, id: pat.id }, 1, new Date(today() - 24 * hour));
    await use({ userId: randomUUID(), id: 0x7fff_ffff }, 1, new Date(today() - 24 * hour));
    const query = `query ($first: Int) { usage { records(first: $first) {
      userDatabaseId tokenDatabaseId user { databaseId } apiKey { databaseId } userCredential { databaseId kind }
    } } }`;
    const { data, errors } = await kit.gql(query);
    expect(errors).toEqual([]);
    expect(data.usage.records).toHaveLength(4);
    for (const { userDatabaseId, tokenDatabaseId, ...objects } of data.usage.records)
      expect(objects).toEqual({
        user: [key.userId, other.userId].includes(userDatabaseId) ? { databaseId: userDatabaseId } : null,
        apiKey: [key.id, other.id].includes(tokenDatabaseId) ? { databaseId: tokenDatabaseId } : null,
        userCredential: tokenDatabaseId === pat.id ? { databaseId: pat.id, kind: 'PERSONAL' } : null,
      });
    const statements = async (first: number) => {
      kit.statements.length = 0;
      await kit.gql(query, { first });
      return kit.statements.length;
    };
    await statements(1);
    expect(await statements(4)).toBe(await statements(1));
  });

  it('can be filtered by user, credential and time', async () => {
    const inputs = async (filter: object) => (await report(filter)).totals.inputTokens;
    const since = new Date(today() - 366 * 24 * hour).toISOString();
    expect(await inputs({ userId: key.userId })).toBe(26);
    expect(await inputs({ userId: globalId('User', key.userId) })).toBe(26);
    expect(await inputs({ tokenId: other.id })).toBe(100);
    expect(await inputs({ tokenId: globalId('ApiKey', other.id) })).toBe(100);
    expect(await inputs({ userId: key.userId, tokenId: other.id })).toBe(0);
    expect(await inputs({ since, until: new Date(today()).toISOString() })).toBe(326);
    expect(await inputs({ until: new Date(today() - 24 * hour + 5 * hour).toISOString() })).toBe(101);
    expect(await inputs({ since: new Date(today() - 24 * hour + 5 * hour).toISOString() })).toBe(25);
    expect((await report({ userId: randomUUID() })).records).toEqual([]);
  });

  it('requires read:analytics', async () => {
    for (const [secret, code] of [
      [null, 'UNAUTHENTICATED'],
      [kit.keys.LIMITED, 'FORBIDDEN'],
      [kit.keys.BASIC, 'FORBIDDEN'],
      [(await kit.createPat(kit.keys.ADMIN, { scopes: ['manage:rate_limits'] })).secret, 'FORBIDDEN'],
    ] as const) {
      const { data, errors } = await kit.gql(Report, {}, secret);
      expect([...returned(data), errors[0]?.extensions.code]).toEqual([code]);
    }
    const scoped = await kit.createPat(kit.keys.ADMIN, { scopes: ['read:analytics'] });
    expect((await kit.gql(Report, {}, scoped.secret)).errors).toEqual([]);
  });

  it.each([
    ['filter.until', { filter: { since: '2026-02-01T00:00:00Z', until: '2026-02-01T00:00:00Z' } }],
    ['filter.since', { filter: { since: '2025-01-01T00:00:00Z', until: '2026-01-03T00:00:00Z' } }],
    ['filter.tokenId', { filter: { tokenId: 1.5 } }],
    ['filter.userId', { filter: { userId: 'me' } }],
    ['first', { first: -1 }],
    ['offset', { offset: -1 }],
  ])('rejects an invalid %s', async (path, variables) => {
    const { errors } = await kit.gql(Report, variables);
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(errors[0]?.extensions.fields.map((field: any) => field.path.join('.'))).toEqual([path]);
  });

  it('costs a constant number of statements', async () => {
    const count = async () => {
      kit.statements.length = 0;
      await report();
      return kit.statements.filter((text) => /"UsageRecord"/.test(text)).length;
    };
    const few = await count();
    for (let i = 0; i < 10; i++) await use(key, 1, hoursAgo(1), `model ${i}`);
    expect(await count()).toBe(few);
    expect(few).toBe(2);
  });
});
