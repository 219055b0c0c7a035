import type { Principal } from '../../authz/principal.ts';
import { conflict } from '../../errors.ts';
import type { AccountDeps } from './account-deps.ts';
import { withinRole } from './account-rules.ts';
import { accountAdministration } from './administer-account.ts';
import type { UserKey } from './user-key.ts';
import { hasPeople } from './users.service.ts';

/** Returns the deletion of accounts. */
export function accountDeletion(deps: AccountDeps) {
  const { administer } = accountAdministration(deps);
  const { users, revocations } = deps;

  return {
    /**
     * Deletes a person with everything that belongs to that person alone. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN,
     * and CONFLICT for the caller's own account, for the last administrator, and for an active person unless
     * `evenActive`.
     */
    async delete(
      principal: Principal,
      key: UserKey,
      { evenActive }: { evenActive?: boolean | null | undefined } = {},
    ): Promise<{ userId: string }> {
      const { userId, gone } = await administer(principal, key, 'user.delete', async (transaction, user) => {
        if (user.id === principal.userId) throw conflict('CANNOT_DELETE_SELF', 'You cannot delete your own account.');
        if (user.active && !evenActive) throw conflict('USER_ACTIVE', 'Deactivate the user before deleting.');
        if (user.active && user.role === 'ADMIN') await users.keepAnAdmin(transaction, user.id);
        // When no person exists, the next one to register becomes an administrator.
        if (!(await hasPeople(transaction, user.id))) withinRole(principal, 'ADMIN');
        return {
          result: { userId: user.id, gone: await users.erase(transaction, user.id) },
          detail: { role: user.role },
        };
      });
      for (const id of gone) await revocations.endUser(id);
      return { userId };
    },
  };
}
