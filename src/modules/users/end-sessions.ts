import type { Prisma } from '../../generated/prisma/client.ts';
import { type EndedCredentials, revokeTokensOf } from '../tokens/origins.ts';

type Transaction = Prisma.TransactionClient;

/** Ends the login sessions of a user, except one when it is given. Returns the IDs of the ended sessions. */
export async function endSessions(transaction: Transaction, userId: string, except?: number): Promise<number[]> {
  const where = {
    kind: 'SESSION',
    userId,
    revokedAt: null,
    ...(except !== undefined && { id: { not: except } }),
  } as const;
  const ending = await transaction.token.findMany({ where, select: { id: true } });
  const ids = ending.map(({ id }) => id);
  await transaction.token.updateMany({ where: { id: { in: ids } }, data: { revokedAt: new Date() } });
  return ids;
}

/**
 * Ends the credentials that do not remain valid after a change of password: all login sessions and, unless `keepTokens`
 * is set, the user's tokens. The session with the ID `except` is kept.
 */
export async function endForPassword(
  transaction: Transaction,
  userId: string,
  { keepTokens, except }: { keepTokens?: boolean | null | undefined; except?: number } = {},
): Promise<EndedCredentials> {
  const sessions = await endSessions(transaction, userId, except);
  const tokens: EndedCredentials = keepTokens
    ? { tokenIds: [], keyUserIds: [] }
    : await revokeTokensOf(transaction, userId);
  return { ...tokens, tokenIds: [...sessions, ...tokens.tokenIds] };
}
