import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { conflict, notFound } from '../../errors.ts';
import type { Agent, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import { usableAgent } from '../agents/by-slug.ts';
import { projectForSession } from '../projects/project-access.ts';
import { createClientSession } from './tree.ts';

/**
 * Locates a chat without its ID: a thread of an agent, or the caller's own chat with the agent, either the unnamed one
 * or that of a client session.
 */
export const ChatReference = z
  .object({
    /** The integer ID or the slug of the agent. */
    agent: z.union([z.string(), databaseId]),
    threadSlug: z.string().nullish(),
    clientSessionId: plainText(255).min(1, 'must not be empty').nullish(),
  })
  .refine(({ threadSlug, clientSessionId }) => threadSlug == null || clientSessionId == null, {
    message: 'cannot be combined with `threadSlug`',
    path: ['clientSessionId'],
  });
export type ChatReferenceInput = z.input<typeof ChatReference>;

type Reference = z.output<typeof ChatReference>;
type Reading = Pick<Prisma.TransactionClient, 'agent' | 'chatSession'>;

/** Returns the key that distinguishes the caller's own chats with an agent that are not threads. */
const clientKeyOf = ({ credential }: Principal, { clientSessionId }: Reference): string => {
  if (clientSessionId == null) return '';
  return `${credential.kind === 'EMBED' ? 'embed' : 'session'}:${clientSessionId}`;
};

/** Selects a thread by its slug, or by its ID when it has no slug. */
function threadWhere(agent: Agent, threadSlug: string): Prisma.ChatSessionWhereInput {
  const byId = z.uuid().safeParse(threadSlug).success ? [{ slug: null, id: threadSlug }] : [];
  return { agentId: agent.id, clientKey: null, OR: [{ slug: threadSlug }, ...byId] };
}

/**
 * Returns the agent of a locator and the session that the principal can write to, or null for an own session without
 * messages. Throws NOT_FOUND for an agent that the principal cannot use and for an unknown thread.
 */
export async function findChat(
  db: Reading,
  principal: Principal,
  reference: Reference,
): Promise<{ agent: Agent; session: ChatSession | null }> {
  const agent = await usableAgent(db, principal, reference.agent);
  const { threadSlug } = reference;
  if (threadSlug == null) {
    const own = { userId: principal.userId, agentId: agent.id, clientKey: clientKeyOf(principal, reference) };
    const session = await db.chatSession.findFirst({ where: { AND: [visible.chatSessions(principal), own] } });
    return { agent, session };
  }
  const session = threadSlug.includes('\0')
    ? null
    : await db.chatSession.findFirst({
        where: { AND: [visible.chatSessions(principal), threadWhere(agent, threadSlug)] },
        // An ID takes precedence over a slug with the same text.
        orderBy: { slug: { sort: 'asc', nulls: 'first' } },
      });
  if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
  return { agent, session };
}

/**
 * Returns the session of a locator and creates the caller's own session if it does not exist. Of several concurrent
 * callers, one creates it and the others find it. Throws NOT_FOUND like {@link findChat}.
 */
export async function openChat(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  reference: Reference,
): Promise<{ agent: Agent; session: ChatSession; created: boolean }> {
  const { agent, session } = await findChat(transaction, principal, reference);
  if (session) return { agent, session, created: false };
  const project = await projectForSession(transaction, principal, null);
  const made = await createClientSession(transaction, {
    userId: principal.userId,
    agentId: agent.id,
    projectId: project?.id ?? null,
    clientKey: clientKeyOf(principal, reference),
    name: null,
  });
  if (made) return { agent, session: made, created: true };
  const { session: other } = await findChat(transaction, principal, reference);
  if (!other) throw conflict('CHANGED_CONCURRENTLY', 'This chat was created or deleted at the same time. Try again.');
  return { agent, session: other, created: false };
}
