import { z } from 'zod';
import { roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import type { AccountDeps } from './account-deps.ts';
import { remarks } from './account-input.ts';
import { addressOf, emailAddress, nameOf, personName, soleUsername, unlessTaken, username } from './account-names.ts';
import { withinRole } from './account-rules.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import { hashPassword, newPassword } from './password.ts';
import { hasPeople } from './users.service.ts';

const CreateUser = z
  .object({
    email: emailAddress.nullish(),
    password: newPassword,
    role: z.enum(roles),
    name: personName.nullish(),
    username: username.nullish(),
    ...remarks,
  })
  .transform(({ email, ...rest }, context) => {
    const sole = rest.username == null || email != null ? null : soleUsername.safeParse(rest.username);
    if (email != null) return { ...rest, email };
    if (sole?.success) return { ...rest, email: addressOf(sole.data) };
    const message = sole ? 'is reserved' : 'is required without a `username`';
    context.addIssue({ code: 'custom', path: [sole ? 'username' : 'email'], message });
    return z.NEVER;
  });
export type CreateUserInput = z.input<typeof CreateUser>;

/** Returns the creation of accounts by administrators. */
export const accountCreation = ({ db, audit, users, revocations }: AccountDeps) => ({
  /**
   * Creates an account for a person with a password that the person can change. Throws BAD_USER_INPUT, FORBIDDEN for
   * a role with more permissions than the principal, CONFLICT when the address or user name is in use.
   */
  async create(principal: Principal, input: CreateUserInput): Promise<User> {
    const { password, ...data } = parse(CreateUser, input);
    withinRole(principal, data.role);
    const passwordHash = await hashPassword(password);
    const { user, ended } = await unlessTaken(() =>
      db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const first = !(await hasPeople(transaction));
        await transaction.invitation.deleteMany({ where: { email: data.email } });
        const user = await transaction.user.create({
          data: {
            ...data,
            username: data.username ?? null,
            name: data.name ?? nameOf(data.email),
            dailyMessageLimit: data.dailyMessageLimit ?? null,
            bio: data.bio ?? '',
            passwordHash,
          },
        });
        // Once people can log in, the server's own password no longer works.
        const ended = first ? await endOwnerSessions(transaction) : [];
        await audit.record(transaction, {
          ...by(principal),
          action: 'user.create',
          target: { type: 'User', id: user.id },
          detail: { email: user.email, role: user.role },
        });
        return { user, ended };
      }),
    );
    for (const id of ended) await revocations.endToken(id);
    return user;
  },
});
