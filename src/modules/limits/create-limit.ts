import type { Principal } from '../../authz/principal.ts';
import { conflict, notFound, parse } from '../../errors.ts';
import type { Prisma, RateLimit } from '../../generated/prisma/client.ts';
import type { LimitDeps } from './limit-deps.ts';
import { CreateRateLimit, type CreateRateLimitInput, checkAmounts } from './limit-input.ts';
import { limitEntry } from './rate-limits.ts';

/** Maximum number of limits with the same scope and subject. */
const maxPerSubject = 100;

/** Throws NOT_FOUND for an unknown user or token, and prevents its deletion until the transaction ends. */
async function lockSubject(
  transaction: Prisma.TransactionClient,
  { userId, tokenId }: Pick<RateLimit, 'userId' | 'tokenId'>,
) {
  if (userId !== null) {
    const users = await transaction.$queryRaw<unknown[]>`
      SELECT 1 FROM "User" WHERE "id" = ${userId}::uuid FOR KEY SHARE`;
    if (users.length === 0) throw notFound('USER_NOT_FOUND');
  }
  if (tokenId !== null) {
    const tokens = await transaction.$queryRaw<unknown[]>`
      SELECT 1 FROM "Token" WHERE "id" = ${tokenId} AND "revokedAt" IS NULL FOR KEY SHARE`;
    if (tokens.length === 0) throw notFound('TOKEN_NOT_FOUND');
  }
}

export const limitCreation = ({ db, audit, active }: Pick<LimitDeps, 'db' | 'audit' | 'active'>) => ({
  /**
   * Creates a limit, which takes effect with the next request. Throws BAD_USER_INPUT, NOT_FOUND, CONFLICT (a subject
   * has at most 100 limits).
   */
  async create(principal: Principal, raw: CreateRateLimitInput): Promise<RateLimit> {
    const input = parse(CreateRateLimit, raw);
    checkAmounts(input);
    const subject = {
      scope: input.scope,
      role: input.role ?? null,
      userId: input.userId ?? null,
      tokenId: input.tokenId ?? null,
    };
    const created = await db.prisma.$transaction(async (transaction) => {
      await lockSubject(transaction, subject);
      if ((await transaction.rateLimit.count({ where: subject })) >= maxPerSubject)
        throw conflict('TOO_MANY_RATE_LIMITS', `Too many limits for this scope and subject (limit: ${maxPerSubject}).`);
      const limit = await transaction.rateLimit.create({
        data: {
          ...subject,
          enabled: input.enabled ?? true,
          requestsPerMinute: input.requestsPerMinute ?? null,
          tokenBudget: input.tokenBudget ?? null,
          periodHours: input.periodHours ?? null,
        },
      });
      await audit.record(transaction, limitEntry(principal, 'create', limit));
      return limit;
    });
    await active.changed();
    return created;
  },
});
