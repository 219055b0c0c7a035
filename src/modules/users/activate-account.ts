import type { Principal } from '../../authz/principal.ts';
import type { User } from '../../generated/prisma/client.ts';
import type { AccountDeps } from './account-deps.ts';
import { accountAdministration } from './administer-account.ts';
import type { UserKey } from './user-key.ts';

/** Returns the activation and deactivation of accounts. */
export function accountActivation(deps: AccountDeps) {
  const { administer, shutOut } = accountAdministration(deps);
  const { revocations } = deps;

  return {
    /** Activates a person. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN. */
    activate: (principal: Principal, key: UserKey): Promise<User> =>
      administer(principal, key, 'user.activate', async (transaction, { id }) => ({
        result: await transaction.user.update({ where: { id }, data: { active: true } }),
      })),

    /**
     * Deactivates a person immediately: login sessions end, personal access tokens stop working. Throws BAD_USER_INPUT,
     * NOT_FOUND, FORBIDDEN, and CONFLICT for the caller's own account and for the last administrator.
     */
    async deactivate(principal: Principal, key: UserKey): Promise<User> {
      const user = await administer(principal, key, 'user.deactivate', async (transaction, before) => ({
        result: await shutOut(transaction, principal, before),
      }));
      await revocations.endUser(user.id);
      return user;
    },
  };
}
