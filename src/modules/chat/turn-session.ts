import type { ChatModels } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Agent, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { openChat } from './chat-locator.ts';
import { NewSession, startSession, usableAgent } from './new-session.ts';
import type { Message } from './turn-input.ts';
import { SessionBusyError } from './turn-queue.ts';

/** Returns an existing session, locked against a second turn. Throws NOT_FOUND, CONFLICT. */
async function lockSession(transaction: Prisma.TransactionClient, principal: Principal, id: string) {
  const where = { ...visible.chatSessions(principal), id };
  // Sessions of other users are never locked, and a session that was deleted while this waited does not exist.
  if ((await transaction.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
  await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${id}::uuid FOR UPDATE`;
  const session = await transaction.chatSession.findFirst({ where });
  if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
  // One turn at a time: two answers at the same position of the tree would not know each other.
  if ((await transaction.run.count({ where: { sessionId: session.id, status: 'RUNNING' } })) > 0)
    throw new SessionBusyError(session.id);
  return { session, agent: await usableAgent(transaction, principal, session.agentId), created: false };
}

/**
 * Returns the session that a message is written to, locked or new, and its agent. Throws NOT_FOUND, CONFLICT when the
 * session is still answering, and BAD_USER_INPUT for a new session.
 */
export async function openSession(
  { transaction, models }: { transaction: Prisma.TransactionClient; models: ChatModels },
  principal: Principal,
  input: Message,
): Promise<{ session: ChatSession; agent: Agent; created: boolean }> {
  if (input.sessionId) return lockSession(transaction, principal, input.sessionId);
  if (input.chat) {
    const chat = await openChat(transaction, principal, input.chat);
    return chat.created ? chat : lockSession(transaction, principal, chat.session.id);
  }
  const asked = input.newSession ?? parse(NewSession, {});
  return {
    ...(await startSession({ transaction, models }, principal, asked, { at: ['input', 'newSession'] })),
    created: true,
  };
}
