import { personalKinds, serviceAccountKinds } from '../../authz/credentials.ts';
import type { Principal } from '../../authz/principal.ts';

import { conflict, supersededSecret, unauthenticated } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { lastAdminStays, lockUser, type UsersService } from '../users/users.service.ts';

type Transaction = Prisma.TransactionClient;

/**
 * Locks the credential that creates another credential until the transaction ends, so that a concurrent revocation
 * takes effect either before or after the creation. Locks the user's row first, in the same order as all other code
 * that locks both, which also serializes concurrent creations by one user. Returns the IDs of the tokens from which the
 * new credential derives. Throws UNAUTHENTICATED when the credential was revoked in the meantime, and FORBIDDEN for a
 * superseded secret.
 */
export async function holdMaker(transaction: Transaction, { userId, credential }: Principal): Promise<number[]> {
  const maker = await lockUser(transaction, userId);
  if (!maker?.active) throw unauthenticated();
  const [held] = await transaction.$queryRaw<{ secretVersion: number; origins: number[] }[]>`
    SELECT "secretVersion", coalesce("creatorTokenIds", '{}') AS "origins" FROM "Token"
    WHERE "id" = ${credential.tokenId} AND "revokedAt" IS NULL AND "disabledAt" IS NULL FOR SHARE`;
  if (!held) throw unauthenticated();
  if (credential.superseded || held.secretVersion !== credential.secretVersion) throw supersededSecret();
  return [...held.origins, credential.tokenId];
}

/**
 * Throws FORBIDDEN when the secret of a request was replaced after the request was authenticated. `lockAdmins`
 * serializes regenerations: of two regenerations with the same secret, the second one fails.
 */
export async function checkCurrent(transaction: Transaction, { credential }: Principal): Promise<void> {
  const held = await transaction.token.findUnique({
    where: { id: credential.tokenId },
    select: { secretVersion: true },
  });
  if (held && held.secretVersion !== credential.secretVersion) throw supersededSecret();
}

/**
 * The credentials that a transaction revoked. `publishEnd` ends their open streams after the transaction is committed.
 */
export interface EndedCredentials {
  tokenIds: number[];
  /** The user IDs of the service accounts of keys that were turned off. */
  keyUserIds: string[];
}

/** Ends the open streams of revoked credentials. */
export async function publishEnd(revocations: Revocations, { tokenIds, keyUserIds }: EndedCredentials): Promise<void> {
  for (const id of tokenIds) await revocations.endToken(id);
  for (const id of keyUserIds) await revocations.endUser(id);
}

const working: Prisma.TokenWhereInput = {
  revokedAt: null,
  OR: [
    { kind: { in: personalKinds } },
    // The token of a widget is part of the widget's configuration: no client has its secret.
    { kind: { in: [...serviceAccountKinds] }, disabledAt: null },
  ],
};

/**
 * Revokes the credentials that match. Personal access tokens and login sessions are revoked permanently. Keys and
 * project tokens are turned off together with their service accounts, which keeps their chats and allows an
 * administrator to turn them on again. Repeats until no credential matches, because a credential that is about to be
 * revoked can create another one in the meantime.
 */
export async function revokeCredentials(
  transaction: Transaction,
  where: Prisma.TokenWhereInput,
): Promise<EndedCredentials> {
  const ended: EndedCredentials = { tokenIds: [], keyUserIds: [] };
  for (;;) {
    const found = await transaction.token.findMany({
      where: { AND: [where, working] },
      select: { id: true, kind: true, userId: true },
    });
    if (found.length === 0) return ended;
    const ids = found.map(({ id }) => id);
    const users = [...new Set(found.map(({ userId }) => userId))];
    await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ANY (${users}::uuid[]) ORDER BY "id" FOR UPDATE`;
    await transaction.token.updateMany({
      where: { id: { in: ids }, kind: { in: personalKinds } },
      data: { revokedAt: new Date() },
    });
    const keys = found.filter(({ kind }) => serviceAccountKinds.some((name) => name === kind));
    await transaction.token.updateMany({
      where: { id: { in: keys.map(({ id }) => id) } },
      data: { disabledAt: new Date() },
    });
    const keyUserIds = keys.map(({ userId }) => userId);
    await transaction.user.updateMany({ where: { id: { in: keyUserIds } }, data: { active: false } });
    ended.tokenIds.push(...ids);
    ended.keyUserIds.push(...keyUserIds);
  }
}

/**
 * Revokes everything that was created with a token's secrets, directly or through other credentials: tokens, keys,
 * pending invite codes and invitations. Throws CONFLICT when no administrator would remain. Requires `lockAdmins`.
 */
export async function revokeDerived(
  transaction: Transaction,
  users: UsersService,
  tokenId: number,
): Promise<EndedCredentials> {
  const derived = { creatorTokenIds: { has: tokenId } };
  const admins = await users.countAdmins(transaction);
  const ended = await revokeCredentials(transaction, derived);
  if (admins > 0 && (await users.countAdmins(transaction)) === 0)
    throw conflict('LAST_ADMIN', `${lastAdminStays} Keep the credentials that this key created.`);
  await transaction.inviteCode.updateMany({ where: { ...derived, status: 'PENDING' }, data: { status: 'DISABLED' } });
  await transaction.invitation.deleteMany({ where: derived });
  return ended;
}

/**
 * Revokes the personal access tokens of a user and turns off the tokens of the user's projects, for example after a
 * change of password. API keys are not affected, because they act as service accounts of the server, regardless of
 * their creator.
 */
export const revokeTokensOf = (transaction: Transaction, userId: string): Promise<EndedCredentials> =>
  revokeCredentials(transaction, {
    OR: [
      { kind: 'PERSONAL', userId },
      { kind: 'PROJECT', project: { ownerId: userId } },
    ],
  });
