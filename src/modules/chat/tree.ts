import type { ChatMessage, ChatSession, Prisma } from '../../generated/prisma/client.ts';

type Node = Pick<ChatMessage, 'id' | 'parentId' | 'latestChildId'>;

/** The values of a new session. */
export type NewSession = Pick<ChatSession, 'userId' | 'agentId' | 'projectId' | 'name'> &
  Partial<Pick<ChatSession, 'slug' | 'model' | 'temperature' | 'reasoningEffort' | 'systemPrompt' | 'taskPrompt'>>;

/** Creates a session with its root, the empty SYSTEM message that every tree starts with. */
export async function createSession(transaction: Prisma.TransactionClient, data: NewSession): Promise<ChatSession> {
  const session = await transaction.chatSession.create({ data });
  await transaction.chatMessage.create({ data: { sessionId: session.id, role: 'SYSTEM' } });
  return session;
}

/** Creates a session with a client key. Returns null when the user already has one with this agent and key. */
export async function createClientSession(
  transaction: Prisma.TransactionClient,
  data: NewSession & { clientKey: string },
): Promise<ChatSession | null> {
  // Waits for a concurrent transaction that creates the same session.
  const [session] = await transaction.chatSession.createManyAndReturn({ data: [data], skipDuplicates: true });
  if (!session) return null;
  await transaction.chatMessage.create({ data: { sessionId: session.id, role: 'SYSTEM' } });
  return session;
}

/** Returns the root of a session's messages. */
export function root<M extends Node>(messages: readonly M[]): M {
  const found = messages.find((message) => message.parentId === null);
  if (!found) throw new Error('a chat session without a root message');
  return found;
}

/** Returns the current branch: from the root along the latest children, including the root. */
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
