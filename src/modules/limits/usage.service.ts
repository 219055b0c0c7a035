import { z } from 'zod';
import type { Role } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import { Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../../zod-types.ts';
import { storableDate } from '../knowledge/retrieval.ts';

const hour = 3600 * 1000;
const day = 24 * hour;
/** Number of days in a user's own usage report, including today. */
const ownDays = 30;
/** Maximum number of rows in a user's own usage report, with one row for each day and model. */
const maxOwnRows = 1000;
/** Maximum and default number of days in a report of the whole server. */
const maxDays = 366;
const defaultDays = 30;
const defaultRecords = 100;
const maxRecords = 1000;

/** The usage of a turn or another model call. Non-negative integers. */
export interface ModelUse {
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** The number of these tokens that the provider did not report. */
  estimatedTokens: number;
}

/**
 * Returns the user whose daily limit a principal's messages count against: for a project token, the owner of the
 * project.
 */
export const senderOf = ({ userId, credential }: Principal): string => credential.projectOwnerId ?? userId;

/** A token budget and the subject whose usage counts; all usage without `subject`. */
export interface UsageWindow {
  subject: { userId?: string; tokenId?: number; role?: Role };
  budget: number;
  hours: number;
}

export interface WindowUse {
  tokens: number;
  /** The time when enough usage has left the window; null while the usage is below the budget. */
  fullUntil: Date | null;
}

export interface UsageFigures {
  turns: number;
  inputTokens: number;
  outputTokens: number;
  estimatedTokens: number;
}

/** The usage of one UTC day. `date` is its start. */
export interface UsageOfDay extends UsageFigures {
  date: Date;
  model: string;
}

export interface UsageRecord extends UsageOfDay {
  userId: string;
  tokenId: number;
}

const Filter = z.object({
  userId: z.uuid().nullish(),
  tokenId: databaseId.nullish(),
  since: storableDate.nullish(),
  until: storableDate.nullish(),
});
export type UsageFilter = z.input<typeof Filter>;

/** Hours are counted as a whole: the window starts with the hour that began this number of hours ago. */
const startOf = (hours: number, now: number): Date => new Date(Math.floor(now / hour - hours) * hour);

function whose({ userId, tokenId, role }: UsageWindow['subject']): Prisma.Sql {
  if (tokenId !== undefined) return Prisma.sql`AND "tokenId" = ${tokenId}`;
  if (userId !== undefined) return Prisma.sql`AND "userId" = ${userId}::uuid`;
  if (role === undefined) return Prisma.empty;
  return Prisma.sql`AND "userId" IN (SELECT "id" FROM "User" WHERE "role" = ${role}::"Role")`;
}

const figures = Prisma.sql`coalesce(sum("turns"), 0)::float8 AS "turns",
  coalesce(sum("inputTokens"), 0)::float8 AS "inputTokens", coalesce(sum("outputTokens"), 0)::float8 AS "outputTokens",
  coalesce(sum("estimatedTokens"), 0)::float8 AS "estimatedTokens"`;
const ofDay = Prisma.sql`date_trunc('day', "hour", 'UTC') AS "date"`;

/** Returns the conditions of a report. Throws BAD_USER_INPUT that names the field. */
function matching(filter: UsageFilter): Prisma.Sql {
  const { userId, tokenId, since, until } = parse(Filter, filter, ['filter']);
  const to = until ?? new Date();
  const from = since ?? new Date(Math.max(to.getTime() - defaultDays * day, Date.parse('0001-01-01T00:00:00Z')));
  if (from >= to) throw badInput(['filter', 'until'], 'must be later than `since`');
  if (to.getTime() - from.getTime() > maxDays * day)
    throw badInput(['filter', 'since'], `must be at most ${maxDays} days before \`until\``);
  return Prisma.sql`WHERE "hour" >= ${from}::timestamptz AND "hour" < ${to}::timestamptz
    ${userId == null ? Prisma.empty : whose({ userId })} ${tokenId == null ? Prisma.empty : whose({ tokenId })}`;
}

/** Creates the service for model usage by hour, user, credential and model. */
export function createUsageService(db: Database) {
  return {
    /**
     * Adds a model call to the current hour, in one statement that can be part of a transaction. Concurrent calls are
     * both counted.
     */
    record: (principal: Principal, { model, inputTokens, outputTokens, estimatedTokens }: ModelUse) =>
      db.prisma.$executeRaw`
        INSERT INTO "UsageRecord" AS u
          ("hour", "userId", "senderId", "tokenId", "model", "turns", "inputTokens", "outputTokens", "estimatedTokens")
        VALUES (${startOf(0, Date.now())}::timestamptz, ${principal.userId}::uuid, ${senderOf(principal)}::uuid,
          ${principal.credential.tokenId}, ${model}, 1, ${inputTokens}, ${outputTokens}, ${estimatedTokens})
        ON CONFLICT ("hour", "userId", "tokenId", "model") DO UPDATE SET
          "turns" = u."turns" + excluded."turns",
          "inputTokens" = u."inputTokens" + excluded."inputTokens",
          "outputTokens" = u."outputTokens" + excluded."outputTokens",
          "estimatedTokens" = u."estimatedTokens" + excluded."estimatedTokens"`,

    /** Returns the usage in each window up to now, in order, with one statement. An empty list needs no statement. */
    async within(windows: readonly UsageWindow[]): Promise<WindowUse[]> {
      if (windows.length === 0) return [];
      const now = Date.now();
      // `since_then` is the usage from that hour on: usage up to the latest hour at which it reaches the budget must
      // leave the window.
      const each = windows.map(
        ({ subject, budget, hours }, index) => Prisma.sql`
          SELECT ${index}::int AS "window", ${budget}::bigint AS "budget", "hour",
            sum("inputTokens" + "outputTokens") AS "tokens",
            sum(sum("inputTokens" + "outputTokens")) OVER (ORDER BY "hour" DESC) AS "since_then"
          FROM "UsageRecord" WHERE "hour" >= ${startOf(hours, now)}::timestamptz ${whose(subject)} GROUP BY "hour"`,
      );
      const rows = await db.prisma.$queryRaw<{ window: number; tokens: number; last: Date | null }[]>`
        SELECT "window", sum("tokens")::float8 AS "tokens", max("hour") FILTER (WHERE "since_then" >= "budget") AS "last"
        FROM (${Prisma.join(each, ' UNION ALL ')}) AS hours GROUP BY "window"`;
      return windows.map(({ hours }, index) => {
        const { tokens, last } = rows.find((row) => row.window === index) ?? { tokens: 0, last: null };
        return { tokens, fullUntil: last && new Date(last.getTime() + (hours + 1) * hour) };
      });
    },

    /**
     * Returns the usage of the caller's user on each of the last 30 UTC days, by model, newest first. A project token
     * sees its own usage.
     */
    perDay: ({ userId, credential: { tokenId, projectId } }: Principal): Promise<UsageOfDay[]> =>
      db.prisma.$queryRaw`
        SELECT ${ofDay}, "model", ${figures} FROM "UsageRecord"
        WHERE "hour" >= ${new Date((Math.floor(Date.now() / day) - ownDays + 1) * day)}::timestamptz
          ${whose(projectId === null ? { userId } : { tokenId })}
        GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT ${maxOwnRows}`,

    /**
     * Returns the usage of the whole server by UTC day, user, credential and model, newest first. `first` defaults to
     * 100; at most 1000. Throws BAD_USER_INPUT.
     */
    async records(
      filter: UsageFilter,
      { first, offset }: { first?: number | null | undefined; offset?: number | null | undefined },
    ): Promise<UsageRecord[]> {
      if (first != null && first < 0) throw badInput(['first'], 'must not be negative');
      if (offset != null && offset < 0) throw badInput(['offset'], 'must not be negative');
      return db.prisma.$queryRaw`
        SELECT ${ofDay}, "userId"::text AS "userId", "tokenId", "model", ${figures}
        FROM "UsageRecord" ${matching(filter)} GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4
        LIMIT ${Math.min(first ?? defaultRecords, maxRecords)} OFFSET ${offset ?? 0}`;
    },

    /** Returns the totals of a report. Throws BAD_USER_INPUT. */
    async totals(filter: UsageFilter): Promise<UsageFigures> {
      const [sums] = await db.prisma.$queryRaw<
        UsageFigures[]
      >`SELECT ${figures} FROM "UsageRecord" ${matching(filter)}`;
      return sums ?? { turns: 0, inputTokens: 0, outputTokens: 0, estimatedTokens: 0 };
    },
  };
}

export type UsageService = ReturnType<typeof createUsageService>;
