import { z } from 'zod';
import type { Client } from '../../authz/principal.ts';
import { denied, parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import { emailAddress, nameOf, unlessTaken } from './account-names.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import { hashPassword, newPassword } from './password.ts';
import type { SessionDeps } from './session-deps.ts';
import { hasPeople } from './users.service.ts';

const Register = z.object({ email: emailAddress, password: newPassword });

/** The messages for people who cannot register. */
const registrationDenied = {
  closed: 'Registration is closed. Ask an administrator for an account.',
  invite: 'Registration is limited to invited addresses. Ask an administrator for an invitation.',
} as const;

/** Returns the registration of people. */
export const registration = ({ db, audit, users, revocations, attempts, settings }: SessionDeps) => ({
  /**
   * Creates an account with the role BASIC for an anonymous client. With `REGISTRATION=open` the first person becomes
   * ADMIN. Throws BAD_USER_INPUT, RATE_LIMITED, FORBIDDEN when registration is closed or the address is not invited,
   * CONFLICT when the address is taken.
   */
  async register(client: Client, input: z.input<typeof Register>): Promise<User> {
    const { email, password } = parse(Register, input);
    if (settings.registration === 'closed') throw denied('REGISTRATION_CLOSED', registrationDenied.closed);
    const attempt = await attempts.registration(client);
    const passwordHash = await hashPassword(password);
    const { user, ended } = await unlessTaken(() =>
      db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const { count } = await transaction.invitation.deleteMany({ where: { email } });
        if (settings.registration === 'invite' && count === 0)
          throw denied('REGISTRATION_INVITE_ONLY', registrationDenied.invite);
        const first = !(await hasPeople(transaction));
        const role = first && settings.firstPersonIsAdmin ? 'ADMIN' : 'BASIC';
        const user = await transaction.user.create({ data: { email, name: nameOf(email), role, passwordHash } });
        // Once people can log in, the server's own password no longer works.
        const ended = first ? await endOwnerSessions(transaction) : [];
        await audit.record(transaction, {
          action: 'user.register',
          actor: { userId: user.id, name: user.name },
          tokenId: null,
          client,
          target: { type: 'User', id: user.id },
          detail: { email, role: user.role },
        });
        return { user, ended };
      }),
    );
    await attempt.succeeded();
    for (const id of ended) await revocations.endToken(id);
    return user;
  },
});
