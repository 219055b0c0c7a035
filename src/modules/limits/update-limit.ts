import type { Role } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { RateLimit } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import type { LimitDeps } from './limit-deps.ts';
import { checkAmounts, UpdateRateLimit, type UpdateRateLimitInput } from './limit-input.ts';
import { limitEntry, lockLimit } from './rate-limits.ts';

export const limitUpdates = ({ db, audit, active }: Pick<LimitDeps, 'db' | 'audit' | 'active'>) => ({
  /**
   * Changes a limit. An absent field is unchanged, null clears. Earlier usage still counts. Takes effect with the next
   * request. Throws BAD_USER_INPUT, and NOT_FOUND also for a limit that is not of `role` when that is given.
   */
  async update(principal: Principal, id: number, role: Role | null, raw: UpdateRateLimitInput): Promise<RateLimit> {
    const change = changesOf(parse(UpdateRateLimit, raw));
    // A period has no effect without a token budget.
    const data = { ...change, ...(change.tokenBudget === null && { periodHours: change.periodHours ?? null }) };
    const updated = await db.prisma.$transaction(async (transaction) => {
      const held = await lockLimit(transaction, id, role);
      if (Object.keys(data).length === 0) return held;
      const { requestsPerMinute, tokenBudget, periodHours } = held;
      const before = {
        requestsPerMinute,
        periodHours,
        tokenBudget: tokenBudget === null ? null : Number(tokenBudget),
      };
      checkAmounts({ ...before, ...data });
      const limit = await transaction.rateLimit.update({ where: { id }, data });
      await audit.record(transaction, limitEntry(principal, 'update', limit));
      return limit;
    });
    await active.changed();
    return updated;
  },
});
