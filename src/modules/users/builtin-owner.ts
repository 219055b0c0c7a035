import { personalKinds } from '../../authz/credentials.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { lockUser } from './users.service.ts';

/** The ID of the built-in owner: the user of sessions that were opened with the server's own password. */
export const ownerId = '00000000-0000-4000-8000-000000000001';

/**
 * Ends every credential of the built-in owner: login sessions, personal access tokens, tokens of the owner's projects.
 * Must be called in the transaction that creates the first person, under `lockAdmins`. Returns the IDs of the tokens,
 * whose streams the caller ends with `revocations.endToken` after the commit.
 */
export async function endOwnerSessions(transaction: Prisma.TransactionClient): Promise<number[]> {
  // A concurrent creation of a token of the owner holds this lock until it is committed.
  await lockUser(transaction, ownerId);
  const where = {
    OR: [
      { userId: ownerId, kind: { in: personalKinds } },
      { kind: 'PROJECT', project: { ownerId } },
    ],
    revokedAt: null,
  } satisfies Prisma.TokenWhereInput;
  const ending = await transaction.token.findMany({ where, select: { id: true } });
  const ids = ending.map(({ id }) => id);
  await transaction.token.updateMany({ where: { id: { in: ids } }, data: { revokedAt: new Date() } });
  return ids;
}
