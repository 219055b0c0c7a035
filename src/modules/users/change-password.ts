import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse, unauthenticated } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { publishEnd } from '../tokens/origins.ts';
import { endForPassword } from './end-sessions.ts';
import { loginSession } from './login-session.ts';
import { givenPassword, hashPassword, newPassword, verifyPassword } from './password.ts';
import type { SessionDeps } from './session-deps.ts';
import { lockUser } from './users.service.ts';

const ChangePassword = z.object({
  currentPassword: givenPassword,
  newPassword,
  keepTokens: z.boolean().nullish(),
});

/** Returns the change of the own password. */
export const passwordChanges = ({ db, audit, revocations, attempts }: SessionDeps) => ({
  /**
   * Sets the password of the principal, ends their other login sessions and, unless `keepTokens` is set, revokes
   * their personal access tokens and turns off the tokens of their projects. Throws BAD_USER_INPUT, RATE_LIMITED, and
   * FORBIDDEN for a credential that is not a login session, because a leaked key must not be sufficient to take over
   * the account.
   */
  async changePassword(principal: Principal, input: z.input<typeof ChangePassword>): Promise<User> {
    const session = loginSession(principal);
    const data = parse(ChangePassword, input);
    const attempt = await attempts.login(principal.email, principal.client);
    await attempt.on(principal.userId);
    const before = await db.prisma.user.findUnique({ where: { id: principal.userId } });
    if (!(await verifyPassword(before?.passwordHash, data.currentPassword)))
      throw badInput(['input', 'currentPassword'], 'Invalid current password');
    await attempt.succeeded();
    const passwordHash = await hashPassword(data.newPassword);
    const { user, ended } = await db.prisma.$transaction(async (transaction) => {
      const current = await lockUser(transaction, principal.userId);
      // The password or the session may have changed since it was checked.
      if (!current?.active || current.passwordHash !== before?.passwordHash) throw unauthenticated();
      const user = await transaction.user.update({ where: { id: current.id }, data: { passwordHash } });
      const ended = await endForPassword(transaction, user.id, { keepTokens: data.keepTokens, except: session });
      await audit.record(transaction, {
        ...by(principal),
        action: 'user.change_password',
        target: { type: 'User', id: user.id },
        detail: { revokedTokenIds: ended.tokenIds },
      });
      return { user, ended };
    });
    await publishEnd(revocations, ended);
    return user;
  },
});
