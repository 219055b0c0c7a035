import type { Role } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import type { RateLimit } from '../../generated/prisma/client.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitEntry, lockLimit } from './rate-limits.ts';

export const limitDeletion = ({ db, audit, active }: Pick<LimitDeps, 'db' | 'audit' | 'active'>) => ({
  /**
   * Deletes a limit. Takes effect with the next request. Throws NOT_FOUND, also for a limit that is not of `role` when
   * that is given.
   */
  async delete(principal: Principal, id: number, role: Role | null): Promise<RateLimit> {
    const deleted = await db.prisma.$transaction(async (transaction) => {
      const limit = await lockLimit(transaction, id, role);
      await transaction.rateLimit.delete({ where: { id } });
      await audit.record(transaction, limitEntry(principal, 'delete', limit));
      return limit;
    });
    await active.changed();
    return deleted;
  },
});
