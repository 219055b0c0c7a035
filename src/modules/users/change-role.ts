import { z } from 'zod';
import { type Role, roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import type { AccountDeps } from './account-deps.ts';
import { accountAdministration } from './administer-account.ts';
import type { UserKey } from './user-key.ts';

const ChangeRole = z.object({ role: z.enum(roles) });

/** Returns the change of the role of an account. */
export function roleChanges(deps: AccountDeps) {
  const { administer, reassign } = accountAdministration(deps);
  const { revocations } = deps;

  return {
    /**
     * Changes the role of a person, effective with the next request. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN when
     * either role has more permissions than the principal, and CONFLICT for demoting oneself or the last administrator.
     */
    async changeRole(principal: Principal, key: UserKey, wanted: Role): Promise<User> {
      const { role } = parse(ChangeRole, { role: wanted });
      const { user, demoted } = await administer(principal, key, 'user.change_role', async (transaction, before) => {
        const result = await reassign(transaction, principal, before, role);
        return { result, detail: { before: before.role, after: role } };
      });
      if (demoted) await revocations.endUser(user.id);
      return user;
    },
  };
}
