import type { Principal } from '../../authz/principal.ts';
import type { User } from '../../generated/prisma/client.ts';
import { publishEnd } from '../tokens/origins.ts';
import type { AccountDeps } from './account-deps.ts';
import { accountAdministration } from './administer-account.ts';
import { endForPassword } from './end-sessions.ts';
import { hashPassword, randomPassword } from './password.ts';
import type { UserKey } from './user-key.ts';

/** Returns the reset of a person's password by an administrator. */
export function passwordResets(deps: AccountDeps) {
  const { administer } = accountAdministration(deps);
  const { revocations } = deps;

  return {
    /**
     * Sets a new random password for a person. The password is returned only once. Ends the person's login sessions
     * and, unless `keepTokens` is set, revokes their personal access tokens and turns off the tokens of their projects.
     * Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN.
     */
    async resetPassword(
      principal: Principal,
      key: UserKey,
      { keepTokens }: { keepTokens?: boolean | null | undefined } = {},
    ): Promise<{ user: User; password: string }> {
      const password = randomPassword();
      const passwordHash = await hashPassword(password);
      const { user, ended } = await administer(principal, key, 'user.reset_password', async (transaction, { id }) => {
        const ended = await endForPassword(transaction, id, { keepTokens });
        const user = await transaction.user.update({ where: { id }, data: { passwordHash } });
        return { result: { user, ended }, detail: { revokedTokenIds: ended.tokenIds } };
      });
      await publishEnd(revocations, ended);
      return { user, password };
    },
  };
}
