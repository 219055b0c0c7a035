import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { conflict, parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import type { AccountDeps } from './account-deps.ts';
import { addressOf, soleUsername, unlessTaken } from './account-names.ts';
import { withinRole } from './account-rules.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import { hashPassword, newPassword } from './password.ts';
import { hasPeople } from './users.service.ts';

const EnableMultiUser = z.object({ username: soleUsername, password: newPassword });

/** Returns the end of single-user mode. */
export const multiUserMode = ({ db, audit, users, revocations }: AccountDeps) => ({
  /**
   * Creates the first person, an ADMIN, and ends the sessions of the built-in owner. Throws BAD_USER_INPUT, FORBIDDEN
   * for a caller without all permissions of ADMIN, CONFLICT when a person exists.
   */
  async enableMultiUser(principal: Principal, input: z.input<typeof EnableMultiUser>): Promise<User> {
    const { username, password } = parse(EnableMultiUser, input);
    withinRole(principal, 'ADMIN');
    const passwordHash = await hashPassword(password);
    const { user, ended } = await unlessTaken(() =>
      db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        if (await hasPeople(transaction))
          throw conflict('MULTI_USER_MODE_ENABLED', 'Multi-user mode is already enabled.');
        const email = addressOf(username);
        await transaction.invitation.deleteMany({ where: { email } });
        const user = await transaction.user.create({
          data: { email, username, name: username, role: 'ADMIN', passwordHash },
        });
        const ended = await endOwnerSessions(transaction);
        await audit.record(transaction, {
          ...by(principal),
          action: 'multi_user_mode.enable',
          target: { type: 'User', id: user.id },
          detail: { email, username, sessionsEnded: ended.length },
        });
        return { user, ended };
      }),
    );
    for (const id of ended) await revocations.endToken(id);
    return user;
  },
});
