import type { Prisma } from '../../generated/prisma/client.ts';
import { lockUser } from './users.service.ts';

/** The id of the built-in owner: the user that acts who came in with the server's own password. */
export const ownerId = '00000000-0000-4000-8000-000000000001';

/**
 * Ends everything that acts for the built-in owner: login sessions, personal access tokens, tokens of the owner's
 * projects. To be called in the
 * transaction that makes the first person, under `lockAdmins`. Returns the ids of the tokens, whose streams end with
 * `revocations.endToken` once the transaction stands.
 */
export async function endOwnerSessions(transaction: Prisma.TransactionClient): Promise<number[]> {
  // Whoever makes a token of the owner's holds this row until it stands.
  await lockUser(transaction, ownerId);
  const where = {
    OR: [
      { userId: ownerId, kind: { in: ['SESSION', 'PERSONAL'] } },
      { kind: 'PROJECT', project: { ownerId } },
    ],
    revokedAt: null,
  } satisfies Prisma.TokenWhereInput;
  const ending = await transaction.token.findMany({ where, select: { id: true } });
  const ids = ending.map(({ id }) => id);
  await transaction.token.updateMany({ where: { id: { in: ids } }, data: { revokedAt: new Date() } });
  return ids;
}
