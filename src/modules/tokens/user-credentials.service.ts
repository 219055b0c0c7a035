import { z } from 'zod';
import { personalKinds } from '../../authz/credentials.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Prisma, Token, User } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageRequest } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { withinRole } from '../users/account-rules.ts';
import { type UserKey, whereKey } from '../users/user-key.ts';
import { publishEnd, revokeCredentials } from './origins.ts';

/** The kinds of credentials that a user has. Keys are not included, because they are administered separately. */
const userCredentialKinds = [...personalKinds, 'PROJECT'] as const;
export type UserCredentialKind = (typeof userCredentialKinds)[number];

const Kinds = z.array(z.enum(userCredentialKinds)).max(100).nullish();

export interface UserCredentialFilter {
  user?: UserKey | null;
  kinds?: readonly UserCredentialKind[] | null | undefined;
}

export const userCredentialOrder = new ListOrder('userCredentials', [{ field: 'id', type: 'int', direction: 'desc' }]);

/**
 * Returns the filter for the credentials of one user: the user's own credentials and the tokens of the user's projects.
 */
const of = ({ id }: Pick<User, 'id'>): Prisma.TokenWhereInput => ({
  OR: [{ kind: { in: personalKinds }, userId: id }, { project: { ownerId: id } }],
});

/**
 * Returns a user that the principal may administer. Throws NOT_FOUND, and FORBIDDEN for a user with more permissions
 * than the principal.
 */
async function administrable({ prisma }: Database, principal: Principal, key: UserKey): Promise<User> {
  const user = await prisma.user.findFirst({ where: whereKey(key) });
  if (!user) throw notFound('USER_NOT_FOUND');
  withinRole(principal, user.role);
  return user;
}

/** Returns the filter for the credentials that a list selects. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN. */
async function matching(
  db: Database,
  principal: Principal,
  { user, kinds }: UserCredentialFilter,
): Promise<Prisma.TokenWhereInput> {
  const named = parse(Kinds, kinds, ['filter', 'kinds']);
  return {
    AND: [
      visible.userCredentials(principal),
      user ? of(await administrable(db, principal, user)) : {},
      named ? { kind: { in: named } } : {},
    ],
  };
}

interface UserCredentialsServiceDeps {
  db: Database;
  audit: AuditService;
  revocations: Revocations;
}

/** Creates the service for administrators of users, which manages the tokens and login sessions of all users. */
export function createUserCredentialsService({ db, audit, revocations }: UserCredentialsServiceDeps) {
  /** Revokes the matching credentials and records one audit event for each credential. */
  const revoke = async (principal: Principal, where: Prisma.TokenWhereInput): Promise<Token[]> => {
    const { found, ended } = await db.prisma.$transaction(async (transaction) => {
      const found = await transaction.token.findMany({ where: { AND: [visible.userCredentials(principal), where] } });
      const ended = await revokeCredentials(transaction, { id: { in: found.map(({ id }) => id) } });
      for (const { id, kind, name, userId } of found)
        await audit.record(transaction, {
          ...by(principal),
          action: 'credential.revoke',
          target: { type: 'UserCredential', id },
          detail: { kind, name, userId },
        });
      return { found, ended };
    });
    await publishEnd(revocations, ended);
    return found;
  };

  return {
    /**
     * Returns a page of the credentials of one user or of all users, newest first. Throws NOT_FOUND, and FORBIDDEN for
     * a user with more permissions than the principal.
     */
    async list(principal: Principal, filter: UserCredentialFilter, { args, limit, query }: PageRequest) {
      const page = userCredentialOrder.page(args, limit);
      const where = { AND: [await matching(db, principal, filter), page.where] };
      return cut(await db.prisma.token.findMany({ ...query, ...page, where }), page);
    },

    count: async (principal: Principal, filter: UserCredentialFilter) =>
      db.prisma.token.count({ where: await matching(db, principal, filter) }),

    /**
     * Revokes one credential. A personal access token or a login session is revoked permanently; a project token is
     * turned off. Throws NOT_FOUND, also when the credential does not belong to `user` or belongs to a user with more
     * permissions than the principal.
     */
    async revoke(principal: Principal, id: number, user?: UserKey | null): Promise<Token> {
      const owner = user ? of(await administrable(db, principal, user)) : {};
      const [revoked] = await revoke(principal, { AND: [{ id }, owner] });
      if (!revoked) throw notFound('TOKEN_NOT_FOUND');
      return revoked;
    },

    /**
     * Revokes all credentials of a user, or only those of the given kinds. Throws NOT_FOUND, and FORBIDDEN for a user
     * with more permissions than the principal.
     */
    async revokeAll(
      principal: Principal,
      user: UserKey,
      kinds?: readonly UserCredentialKind[] | null,
    ): Promise<{ user: User; revoked: Token[] }> {
      const named = parse(Kinds, kinds, ['input', 'kinds']);
      const owner = await administrable(db, principal, user);
      const revoked = await revoke(principal, { AND: [of(owner), named ? { kind: { in: named } } : {}] });
      return { user: owner, revoked };
    },
  };
}
