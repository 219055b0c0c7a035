import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import { type Role, roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput, conflict, notFound, parse, rateLimited } from '../../errors.ts';
import type { Prisma, RateLimit } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import { senderOf, type UsageService, type UsageWindow } from './usage.service.ts';

/** The scopes of a limit: which requests it counts together. */
export const limitScopes = ['GLOBAL', 'EACH_USER', 'EACH_TOKEN', 'ROLE', 'USER', 'TOKEN'] as const;
export type LimitScope = (typeof limitScopes)[number];
/** The scopes whose limits have no role, user or credential as their subject. */
export const generalScopes = ['GLOBAL', 'EACH_USER', 'EACH_TOKEN'] as const;

/** Maximum number of limits with the same scope and subject. */
const maxPerSubject = 100;

const amounts = {
  requestsPerMinute: z.number().int().min(1).max(1_000_000).nullish(),
  tokenBudget: z.number().int().min(1).max(1e12).nullish(),
  periodHours: z.number().int().min(1).max(8760).nullish(),
};
const subject = {
  role: z.enum(roles).nullish(),
  userId: z.uuid().nullish(),
  tokenId: databaseId.nullish(),
};
const CreateRateLimit = z.object({
  scope: z.enum(limitScopes),
  ...subject,
  enabled: z.boolean().nullish(),
  ...amounts,
});
const UpdateRateLimit = z.object({
  enabled: z.boolean().nullish(),
  ...amounts,
  clear: clearList(['requestsPerMinute', 'tokenBudget']),
});
const Filter = z.object({ scope: z.enum(limitScopes).nullish(), ...subject });

export type CreateRateLimitInput = z.input<typeof CreateRateLimit>;
export type UpdateRateLimitInput = z.input<typeof UpdateRateLimit>;
export type RateLimitFilter = z.input<typeof Filter>;

export const rateLimitOrder = new ListOrder('rateLimits', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** Counts the requests of one minute. A failing store rejects requests; see `admitRequest`. */
export type RequestCounter = Pick<RateLimiterMemory, 'points' | 'consume' | 'reward'>;
const inMemory = (points: number): RequestCounter => new RateLimiterMemory({ points, duration: 60 });

/** An enabled limit in memory. */
interface ActiveLimit {
  id: number;
  scope: LimitScope;
  requestsPerMinute: number | null;
  requests: RequestCounter | null;
  budget: { tokens: number; hours: number } | null;
}

/** A limit, in the form shown to the callers it applies to. The usage of other callers is not shown. */
export interface ViewerLimit {
  scope: LimitScope;
  requestsPerMinute: number | null;
  tokenBudget: number | null;
  periodHours: number | null;
  usedTokens: number | null;
  remainingTokens: number | null;
  resetsAt: Date | null;
}

/** The field that names the subject of a scope. */
const subjectOf: Partial<Record<LimitScope, 'role' | 'userId' | 'tokenId'>> = {
  ROLE: 'role',
  USER: 'userId',
  TOKEN: 'tokenId',
};

/** Returns the keys of the limits that apply to a principal, the narrowest first. */
const keysOf = ({ userId, role, credential: { tokenId } }: Principal): string[] => [
  `TOKEN:${tokenId}`,
  'EACH_TOKEN',
  `USER:${userId}`,
  'EACH_USER',
  `ROLE:${role}`,
  'GLOBAL',
];

const keyOf = ({ scope, ...limit }: Pick<RateLimit, 'role' | 'userId' | 'tokenId'> & { scope: LimitScope }): string => {
  const field = subjectOf[scope];
  return field ? `${scope}:${limit[field]}` : scope;
};

/** Returns the subject whose usage counts against a limit. */
function counted(scope: LimitScope, { userId, role, credential: { tokenId } }: Principal) {
  if (scope === 'GLOBAL') return { subject: {}, key: 'global', name: 'this server' };
  if (scope === 'ROLE') return { subject: { role }, key: role, name: `the role ${role}` };
  if (scope === 'USER' || scope === 'EACH_USER') return { subject: { userId }, key: userId, name: 'this user' };
  return { subject: { tokenId }, key: tokenId, name: 'this credential' };
}

/** Returns whether only the caller's own usage counts against a limit. A project token does not act for its user. */
const isOwn = (scope: LimitScope, { credential: { projectId } }: Principal): boolean =>
  scope === 'TOKEN' || scope === 'EACH_TOKEN' || (projectId === null && (scope === 'USER' || scope === 'EACH_USER'));

/** Returns the whole seconds until a time, at least one. */
const secondsUntil = (date: Date): number => Math.max(1, Math.ceil((date.getTime() - Date.now()) / 1000));

const limited = (scope: LimitScope, message: string, resetAt: Date) =>
  rateLimited('REQUEST_LIMIT', message, secondsUntil(resetAt), { scope, resetAt });

/** Throws BAD_USER_INPUT unless a limit has an amount, and a budget its period. */
function checkAmounts({ requestsPerMinute, tokenBudget, periodHours }: z.input<z.ZodObject<typeof amounts>>): void {
  if (tokenBudget == null && periodHours != null)
    throw badInput(['input', 'tokenBudget'], 'is required when `periodHours` is set');
  if (tokenBudget != null && periodHours == null)
    throw badInput(['input', 'periodHours'], 'is required when `tokenBudget` is set');
  if (requestsPerMinute == null && tokenBudget == null)
    throw badInput(['input', 'requestsPerMinute'], 'is required unless `tokenBudget` and `periodHours` are set');
}

const detailOf = ({
  scope,
  role,
  userId,
  tokenId,
  enabled,
  requestsPerMinute,
  tokenBudget,
  periodHours,
}: RateLimit) => ({
  scope,
  role,
  userId,
  tokenId,
  enabled,
  requestsPerMinute,
  tokenBudget: tokenBudget === null ? null : Number(tokenBudget),
  periodHours,
});

/**
 * Creates the service for limits on requests and model tokens. Enabled limits are held in memory, so that a request is
 * admitted without a database query. Request counters belong to this process and start over with it.
 */
export function createLimitsService(
  db: Database,
  audit: AuditService,
  usage: UsageService,
  log: Log,
  newCounter: (requestsPerMinute: number) => RequestCounter = inMemory,
) {
  let active = new Map<string, ActiveLimit[]>();
  let countsRequests = false;
  let loading = Promise.resolve();
  /** Messages in progress that are not stored yet, by the user whose limit they count against. */
  const unwritten = new Map<string, number>();

  /** Returns the counter of a limit. Requests that were already counted still count after the limit is changed. */
  function counterOf(id: number, requestsPerMinute: number, before: ReadonlyMap<number, RequestCounter>) {
    const counter = before.get(id);
    if (!counter) return newCounter(requestsPerMinute);
    counter.points = requestsPerMinute;
    return counter;
  }

  async function read(): Promise<void> {
    const limits = await db.prisma.rateLimit.findMany({ where: { enabled: true }, orderBy: { id: 'asc' } });
    const before = new Map<number, RequestCounter>();
    for (const { id, requests } of [...active.values()].flat()) if (requests) before.set(id, requests);
    const next = new Map<string, ActiveLimit[]>();
    for (const limit of limits) {
      const { id, scope, requestsPerMinute, tokenBudget, periodHours } = limit;
      const requests = requestsPerMinute === null ? null : counterOf(id, requestsPerMinute, before);
      const budget =
        tokenBudget === null || periodHours === null ? null : { tokens: Number(tokenBudget), hours: periodHours };
      const key = keyOf(limit);
      next.set(key, [...(next.get(key) ?? []), { id, scope, requestsPerMinute, requests, budget }]);
    }
    active = next;
    countsRequests = limits.some((limit) => limit.requestsPerMinute !== null);
  }

  /** One load at a time, so that an older result never replaces a newer one. */
  function load(): Promise<void> {
    loading = loading.catch(() => {}).then(read);
    return loading;
  }

  const applying = (principal: Principal): ActiveLimit[] =>
    active.size === 0 ? [] : keysOf(principal).flatMap((key) => active.get(key) ?? []);

  /**
   * Requires that a user with a daily limit can send another message. Started turns count regardless of their outcome;
   * of erased chats, those in which a model was called. Must be the first call in the transaction that stores the
   * message: concurrent turns of the user are counted one after the other. Messages of tokens of the user's projects
   * count for the user. Throws RATE_LIMITED with the time of the next allowed message. Uses one statement for users
   * without a limit and two for others.
   */
  async function admitMessage(transaction: Prisma.TransactionClient, principal: Principal): Promise<void> {
    const userId = senderOf(principal);
    const [held] = await transaction.$queryRaw<{ most: number }[]>`
      SELECT "dailyMessageLimit" AS "most" FROM "User"
      WHERE "id" = ${userId}::uuid AND "dailyMessageLimit" IS NOT NULL FOR NO KEY UPDATE`;
    if (!held) return;
    const most = held.most - (unwritten.get(userId) ?? 0);
    const since = new Date(Date.now() - 24 * 3600 * 1000);
    // Usage is stored by the hour: an hour counts while all of it is within the 24 hours.
    const [full] = await transaction.$queryRaw<{ last: Date | null }[]>`
      SELECT greatest(
        (SELECT r."startedAt" FROM "Run" r JOIN "ChatSession" s ON s."id" = r."sessionId"
          WHERE r."startedAt" > ${since}::timestamptz
            AND s."updatedAt" > ${since}::timestamptz
            AND (s."userId" = ${userId}::uuid
              OR s."projectId" IN (SELECT "id" FROM "Project" WHERE "ownerId" = ${userId}::uuid))
          ORDER BY r."startedAt" DESC OFFSET ${Math.max(most - 1, 0)} LIMIT 1),
        (SELECT max("hour") FROM (
          SELECT "hour", sum(sum("turns")) OVER (ORDER BY "hour" DESC) AS "since_then" FROM "UsageRecord"
          WHERE "senderId" = ${userId}::uuid AND "hour" > ${since}::timestamptz AND "outputTokens" > 0
          GROUP BY "hour") AS hours WHERE "since_then" >= ${most})) AS "last"`;
    const last = most > 0 ? full?.last : new Date();
    if (!last) return;
    const resetAt = new Date(last.getTime() + 24 * 3600 * 1000);
    throw limited('USER', `You've reached your limit of ${held.most} messages in 24 hours.`, resetAt);
  }

  const windowOf = ({ scope }: ActiveLimit, budget: { tokens: number; hours: number }, principal: Principal) => ({
    subject: counted(scope, principal).subject,
    budget: budget.tokens,
    hours: budget.hours,
  });

  /** Throws NOT_FOUND for an unknown user or token, and prevents its deletion until the transaction ends. */
  async function holdSubject(transaction: Prisma.TransactionClient, { userId, tokenId }: Partial<RateLimit>) {
    if (userId != null) {
      const users = await transaction.$queryRaw<unknown[]>`
        SELECT 1 FROM "User" WHERE "id" = ${userId}::uuid FOR KEY SHARE`;
      if (users.length === 0) throw notFound('USER_NOT_FOUND');
    }
    if (tokenId != null) {
      const tokens = await transaction.$queryRaw<unknown[]>`
        SELECT 1 FROM "Token" WHERE "id" = ${tokenId} AND "revokedAt" IS NULL FOR KEY SHARE`;
      if (tokens.length === 0) throw notFound('TOKEN_NOT_FOUND');
    }
  }

  /** Returns the limit, locked against other changes. `role` requires a limit of that role. Throws NOT_FOUND. */
  async function hold(transaction: Prisma.TransactionClient, id: number, role: Role | null): Promise<RateLimit> {
    await transaction.$queryRaw`SELECT 1 FROM "RateLimit" WHERE "id" = ${id} FOR UPDATE`;
    const limit = await transaction.rateLimit.findUnique({ where: { id } });
    if (!limit || (role !== null && (limit.scope !== 'ROLE' || limit.role !== role)))
      throw notFound('RATE_LIMIT_NOT_FOUND');
    return limit;
  }

  const where = (filter: RateLimitFilter): Prisma.RateLimitWhereInput =>
    Object.fromEntries(Object.entries(parse(Filter, filter, ['filter'])).filter(([, value]) => value != null));

  const recorded = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    change: 'create' | 'update' | 'delete',
    limit: RateLimit,
  ) =>
    audit.record(transaction, {
      ...by(principal),
      action: `rate_limit.${change}`,
      target: { type: 'RateLimit', id: limit.id },
      detail: detailOf(limit),
    });

  return {
    /** Loads all enabled limits. Called at startup and after every change, before its response. */
    load,

    async list(filter: RateLimitFilter, args: PageArgs, limit: number, query: object) {
      const page = rateLimitOrder.page(args, limit);
      const rows = await db.prisma.rateLimit.findMany({
        ...query,
        ...page,
        where: { AND: [where(filter), page.where] },
      });
      return cut(rows, page);
    },

    count: (filter: RateLimitFilter) => db.prisma.rateLimit.count({ where: where(filter) }),

    /**
     * Takes effect with the next request. Throws BAD_USER_INPUT, NOT_FOUND, CONFLICT (a subject has at most 100
     * limits).
     */
    async create(principal: Principal, raw: CreateRateLimitInput): Promise<RateLimit> {
      const input = parse(CreateRateLimit, raw);
      checkAmounts(input);
      const whose = {
        scope: input.scope,
        role: input.role ?? null,
        userId: input.userId ?? null,
        tokenId: input.tokenId ?? null,
      };
      const created = await db.prisma.$transaction(async (transaction) => {
        await holdSubject(transaction, whose);
        if ((await transaction.rateLimit.count({ where: whose })) >= maxPerSubject)
          throw conflict(
            'TOO_MANY_RATE_LIMITS',
            `Too many limits for this scope and subject (limit: ${maxPerSubject}).`,
          );
        const limit = await transaction.rateLimit.create({
          data: {
            ...whose,
            enabled: input.enabled ?? true,
            requestsPerMinute: input.requestsPerMinute ?? null,
            tokenBudget: input.tokenBudget ?? null,
            periodHours: input.periodHours ?? null,
          },
        });
        await recorded(transaction, principal, 'create', limit);
        return limit;
      });
      await load();
      return created;
    },

    /**
     * An absent field is unchanged, null clears. Earlier usage still counts. Takes effect with the next request. Throws
     * BAD_USER_INPUT, and NOT_FOUND also for a limit that is not of `role` when that is given.
     */
    async update(principal: Principal, id: number, role: Role | null, raw: UpdateRateLimitInput): Promise<RateLimit> {
      const change = changesOf(parse(UpdateRateLimit, raw));
      // A period has no effect without a token budget.
      const data = { ...change, ...(change.tokenBudget === null && { periodHours: change.periodHours ?? null }) };
      const updated = await db.prisma.$transaction(async (transaction) => {
        const held = await hold(transaction, id, role);
        if (Object.keys(data).length === 0) return held;
        const { requestsPerMinute, tokenBudget, periodHours } = held;
        const before = {
          requestsPerMinute,
          periodHours,
          tokenBudget: tokenBudget === null ? null : Number(tokenBudget),
        };
        checkAmounts({ ...before, ...data });
        const limit = await transaction.rateLimit.update({ where: { id }, data });
        await recorded(transaction, principal, 'update', limit);
        return limit;
      });
      await load();
      return updated;
    },

    /**
     * Takes effect with the next request. Throws NOT_FOUND, also for a limit that is not of `role` when that is given.
     */
    async delete(principal: Principal, id: number, role: Role | null): Promise<RateLimit> {
      const deleted = await db.prisma.$transaction(async (transaction) => {
        const limit = await hold(transaction, id, role);
        await transaction.rateLimit.delete({ where: { id } });
        await recorded(transaction, principal, 'delete', limit);
        return limit;
      });
      await load();
      return deleted;
    },

    /**
     * Counts a request against every applicable request limit, the narrowest first. Throws RATE_LIMITED when one is
     * reached, and then does not count the request against the others. A failing counter rejects the request too.
     */
    async admitRequest(principal: Principal): Promise<void> {
      if (!countsRequests) return;
      const charged: { requests: RequestCounter; key: string | number }[] = [];
      for (const { scope, requests } of applying(principal)) {
        if (!requests) continue;
        const { key, name } = counted(scope, principal);
        try {
          await requests.consume(key);
        } catch (refusal) {
          await Promise.allSettled(charged.map((one) => one.requests.reward(one.key)));
          if (refusal instanceof RateLimiterRes)
            throw limited(
              scope,
              `Too many requests (limit of ${name}: ${requests.points} per minute).`,
              new Date(Date.now() + refusal.msBeforeNext),
            );
          log.error({ error: refusal, scope }, 'a limit could not be checked');
          throw limited(scope, `The limit of ${name} cannot be checked right now. Try again later.`, new Date());
        }
        charged.push({ requests, key });
      }
    },

    /**
     * Requires that the usage in the period is below every applicable token budget. Throws RATE_LIMITED with the time
     * when enough usage has left the period. Budgets are checked at the start of a turn and count completed turns, so
     * running turns can exceed them. Uses one statement when a budget applies.
     */
    async admitTurn(principal: Principal): Promise<void> {
      const windows: (UsageWindow & { scope: LimitScope })[] = [];
      for (const limit of applying(principal))
        if (limit.budget) windows.push({ scope: limit.scope, ...windowOf(limit, limit.budget, principal) });
      const uses = await usage.within(windows);
      let last: { scope: LimitScope; until: Date } | null = null;
      for (const [index, { scope }] of windows.entries()) {
        const until = uses[index]?.fullUntil;
        if (until && (!last || until > last.until)) last = { scope, until };
      }
      if (!last) return;
      const { name } = counted(last.scope, principal);
      throw limited(last.scope, `You've reached the usage budget for ${name}.`, last.until);
    },

    /** Admits a message. See {@link admitMessage}. */
    admitMessage,

    /**
     * Admits a message that is not stored before it is answered. It counts until the returned function is called, when
     * its usage is stored. Throws RATE_LIMITED.
     */
    async admitUnwritten(principal: Principal): Promise<() => void> {
      const sender = senderOf(principal);
      const count = (change: number) => {
        const next = (unwritten.get(sender) ?? 0) + change;
        if (next > 0) unwritten.set(sender, next);
        else unwritten.delete(sender);
      };
      let counted = false;
      try {
        await db.prisma.$transaction(async (transaction) => {
          await admitMessage(transaction, principal);
          // Counted before the next message of this user is admitted.
          count(1);
          counted = true;
        });
      } catch (error) {
        if (counted) count(-1);
        throw error;
      }
      return () => count(-1);
    },

    /** Returns the enabled limits that apply to a caller, the narrowest first, with at most one statement. */
    async applyingTo(principal: Principal): Promise<ViewerLimit[]> {
      const limits = applying(principal);
      const own = limits.flatMap((limit) =>
        limit.budget && isOwn(limit.scope, principal)
          ? [{ id: limit.id, window: windowOf(limit, limit.budget, principal) }]
          : [],
      );
      const uses = await usage.within(own.map(({ window }) => window));
      return limits.map(({ id, scope, requestsPerMinute, budget }) => {
        const use = uses[own.findIndex((one) => one.id === id)];
        return {
          scope,
          requestsPerMinute,
          tokenBudget: budget?.tokens ?? null,
          periodHours: budget?.hours ?? null,
          usedTokens: use?.tokens ?? null,
          remainingTokens: budget && use ? Math.max(0, budget.tokens - use.tokens) : null,
          resetsAt: use?.fullUntil ?? null,
        };
      });
    },
  };
}

export type LimitsService = ReturnType<typeof createLimitsService>;
