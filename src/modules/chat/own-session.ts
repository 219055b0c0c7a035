import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';

/** Returns a session of the principal that it can change. Throws NOT_FOUND. */
export async function ownSession(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  id: string,
): Promise<ChatSession> {
  const where = { AND: [visible.ownChatSessions(principal), { id }] };
  const session = await transaction.chatSession.findFirst({ where });
  if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
  return session;
}
