import { z } from 'zod';
import { roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import { changesOf, clearList } from '../changes.ts';
import { publishEnd } from '../tokens/origins.ts';
import type { AccountDeps } from './account-deps.ts';
import { remarks } from './account-input.ts';
import { namesAfter, personName, unlessTaken } from './account-names.ts';
import { accountAdministration } from './administer-account.ts';
import { endForPassword } from './end-sessions.ts';
import { hashPassword, newPassword } from './password.ts';
import type { UserKey } from './user-key.ts';

const UpdateUser = z.object({
  // Validated once the current names are known.
  username: z.string().nullish(),
  name: personName.nullish(),
  password: newPassword.nullish(),
  role: z.enum(roles).nullish(),
  active: z.boolean().nullish(),
  ...remarks,
  keepTokens: z.boolean().nullish(),
  clear: clearList(['dailyMessageLimit']),
});
/** Fields that are null or absent are left unchanged. */
export type UpdateUserInput = z.input<typeof UpdateUser>;

/** Returns the change of several properties of an account at once. */
export function accountUpdates(deps: AccountDeps) {
  const { administer, reassign, shutOut } = accountAdministration(deps);
  const { revocations } = deps;

  return {
    /**
     * Changes all of the given fields of a person, or no field on an error. A new password ends the person's login
     * sessions and, unless `keepTokens` is set, revokes their tokens. A loss of permissions or access takes effect
     * immediately. Throws BAD_USER_INPUT, also when no field is given, NOT_FOUND, FORBIDDEN, and CONFLICT when the
     * username is taken, when principals deactivate or demote themselves, and for the last administrator.
     */
    async update(principal: Principal, key: UserKey, input: UpdateUserInput): Promise<User> {
      const { keepTokens, ...changes } = changesOf(parse(UpdateUser, input));
      const changed = Object.keys(changes).sort();
      const { username, password, role, active, ...data } = changes;
      if (changed.length === 0) throw badInput(['input'], 'must contain at least one change');
      const passwordHash = password == null ? undefined : await hashPassword(password);
      const { user, ended, narrowed } = await unlessTaken(() =>
        administer(principal, key, 'user.update', async (transaction, before) => {
          const ended = password === undefined ? null : await endForPassword(transaction, before.id, { keepTokens });
          const reassigned = role == null ? null : await reassign(transaction, principal, before, role);
          const shut = active === false && before.active;
          if (shut) await shutOut(transaction, principal, reassigned?.user ?? before);
          const user = await transaction.user.update({
            where: { id: before.id },
            data: {
              ...data,
              ...namesAfter(before, username),
              ...(passwordHash !== undefined && { passwordHash }),
              ...(active && { active }),
            },
          });
          return {
            result: { user, ended, narrowed: shut || (reassigned?.demoted ?? false) },
            detail: { changed, ...(role != null && { before: before.role, after: role }) },
          };
        }),
      );
      if (ended) await publishEnd(revocations, ended);
      if (narrowed) await revocations.endUser(user.id);
      return user;
    },
  };
}
