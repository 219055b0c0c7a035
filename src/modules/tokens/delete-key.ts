import type { Principal } from '../../authz/principal.ts';
import { by } from '../audit/audit.service.ts';
import { allKeys, findKey, grantHeldBy, ownProjects, type Sphere, summary } from './api-keys.ts';
import { within } from './grants.ts';
import type { TokenDeps } from './token-deps.ts';

export function keyDeletion({ db, audit, users, revocations }: TokenDeps) {
  async function remove(principal: Principal, sphere: Sphere, id: number): Promise<{ id: number; userId: string }> {
    const { userId, erased } = await db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const key = await findKey(transaction, sphere, id);
      within(principal, grantHeldBy(key));
      if (key.user.role === 'ADMIN') await users.keepAnAdmin(transaction, key.userId);
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.delete',
        target: { type: 'ApiKey', id },
        detail: summary(key),
      });
      return { userId: key.userId, erased: await users.erase(transaction, key.userId) };
    });
    for (const each of erased) await revocations.endUser(each);
    return { id, userId };
  }

  return {
    /**
     * Deletes a key with its user and everything that belongs to that user alone. Throws NOT_FOUND, CONFLICT for the
     * last admin, and FORBIDDEN for a key with more permissions than the principal.
     */
    deleteApiKey: (principal: Principal, id: number) => remove(principal, allKeys, id),
    deleteProjectToken: (principal: Principal, id: number) => remove(principal, ownProjects(principal), id),
  };
}
