import type { ChatMessage, ChatSession, Prisma } from '../../generated/prisma/client.ts';

type Node = Pick<ChatMessage, 'id' | 'parentId' | 'latestChildId'>;

/** What a new session is to be. */
export type NewSession = Pick<ChatSession, 'userId' | 'agentId' | 'projectId' | 'name'> &
  Partial<Pick<ChatSession, 'slug' | 'model' | 'temperature' | 'reasoningEffort' | 'systemPrompt' | 'taskPrompt'>>;

/** A new session with its root: the empty SYSTEM message that every tree hangs from. */
export async function createSession(transaction: Prisma.TransactionClient, data: NewSession): Promise<ChatSession> {
  const session = await transaction.chatSession.create({ data });
  await transaction.chatMessage.create({ data: { sessionId: session.id, role: 'SYSTEM' } });
  return session;
}

/** The same for a session with a client's key; null when its user has one with that agent and key already. */
export async function createClientSession(
  transaction: Prisma.TransactionClient,
  data: NewSession & { clientKey: string },
): Promise<ChatSession | null> {
  // Waits for whoever is about to make it.
  const [session] = await transaction.chatSession.createManyAndReturn({ data: [data], skipDuplicates: true });
  if (!session) return null;
  await transaction.chatMessage.create({ data: { sessionId: session.id, role: 'SYSTEM' } });
  return session;
}

/** The root of a session's messages. */
export function root<M extends Node>(messages: readonly M[]): M {
  const found = messages.find((message) => message.parentId === null);
  if (!found) throw new Error('a chat session without a root message');
  return found;
}

/** The current branch: from the root along the latest children, root included. */
export function mainline<M extends Node>(messages: readonly M[]): M[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const line: M[] = [];
  let next: M | undefined = root(messages);
  while (next && line.length < messages.length) {
    line.push(next);
    next = next.latestChildId === null ? undefined : byId.get(next.latestChildId);
  }
  return line;
}
