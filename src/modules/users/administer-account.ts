import { type Role, rolePermissions } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { conflict, notFound } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import { type AuditAction, by } from '../audit/audit.service.ts';
import type { AccountDeps } from './account-deps.ts';
import { withinRole } from './account-rules.ts';
import { endSessions } from './end-sessions.ts';
import { type UserKey, whereKey } from './user-key.ts';
import { lockUser } from './users.service.ts';

type Transaction = Prisma.TransactionClient;

/** Returns whether a change of role removes permissions. */
const narrows = (before: Role, after: Role): boolean =>
  [...rolePermissions(before)].some((held) => !rolePermissions(after).has(held));

/**
 * Locks and returns a person that the principal may administer. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN. Requires
 * `lockAdmins`.
 */
async function claim(transaction: Transaction, principal: Principal, key: UserKey): Promise<User> {
  const found = await transaction.user.findFirst({
    where: { accountType: 'STANDARD', ...whereKey(key) },
    select: { id: true },
  });
  // A concurrent login holds this lock until its session is committed, so that the session is ended too.
  const user = found && (await lockUser(transaction, found.id));
  if (!user) throw notFound('USER_NOT_FOUND');
  withinRole(principal, user.role);
  return user;
}

/** Returns the steps that the changes of an account share. */
export function accountAdministration({ db, audit, users }: AccountDeps) {
  /** Changes one person and records the audit event, while no other transaction changes the list of administrators. */
  const administer = <T>(
    principal: Principal,
    key: UserKey,
    action: AuditAction,
    change: (transaction: Transaction, user: User) => Promise<{ result: T; detail?: Prisma.InputJsonObject }>,
  ): Promise<T> =>
    db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const user = await claim(transaction, principal, key);
      const { result, detail } = await change(transaction, user);
      await audit.record(transaction, {
        ...by(principal),
        action,
        target: { type: 'User', id: user.id },
        detail: { email: user.email, ...detail },
      });
      return result;
    });

  /**
   * Deactivates a person and ends the login sessions. Throws CONFLICT for the caller's own account and for the last
   * administrator. Requires `lockAdmins`.
   */
  async function shutOut(transaction: Transaction, principal: Principal, { id, role }: User): Promise<User> {
    if (id === principal.userId) throw conflict('CANNOT_DEACTIVATE_SELF', 'You cannot deactivate your own account.');
    if (role === 'ADMIN') await users.keepAnAdmin(transaction, id);
    await endSessions(transaction, id);
    return transaction.user.update({ where: { id }, data: { active: false } });
  }

  /**
   * Changes the role of a person. Returns whether it has fewer permissions. Throws FORBIDDEN, and CONFLICT for demoting
   * oneself or the last administrator. Requires `lockAdmins`.
   */
  async function reassign(
    transaction: Transaction,
    principal: Principal,
    { id, role: before }: User,
    role: Role,
  ): Promise<{ user: User; demoted: boolean }> {
    withinRole(principal, role);
    const demoted = narrows(before, role);
    if (demoted && id === principal.userId)
      throw conflict('CANNOT_DEMOTE_SELF', 'Administrators cannot demote themselves.');
    if (demoted && before === 'ADMIN') await users.keepAnAdmin(transaction, id);
    return { user: await transaction.user.update({ where: { id }, data: { role } }), demoted };
  }

  return { administer, shutOut, reassign };
}
