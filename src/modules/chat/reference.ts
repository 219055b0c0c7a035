import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, notFound } from '../../errors.ts';
import type { Agent, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { agentBySlug } from '../agents/by-slug.ts';
import { plainText } from '../input.ts';
import { projectForSession } from '../projects/projects.service.ts';
import { createClientSession } from './tree.ts';

/** A chat by names: a thread of an agent, or one’s own chat with it, the unnamed one or that of a client’s session. */
export const ChatReference = z
  .object({
    agentSlug: z.string(),
    threadSlug: z.string().nullish(),
    clientSessionId: plainText(255).min(1, 'must not be empty').nullish(),
  })
  .refine(({ threadSlug, clientSessionId }) => threadSlug == null || clientSessionId == null, {
    message: 'cannot stand beside threadSlug',
    path: ['clientSessionId'],
  });
export type ChatReferenceInput = z.input<typeof ChatReference>;

type Reference = z.output<typeof ChatReference>;
type Reading = Pick<Prisma.TransactionClient, 'agent' | 'chatSession'>;

/** How a session of one’s own that is no thread is told from the others with its agent. */
const clientKeyOf = ({ credential }: Principal, { clientSessionId }: Reference): string => {
  if (clientSessionId == null) return '';
  return `${credential.kind === 'EMBED' ? 'embed' : 'session'}:${clientSessionId}`;
};

/** A thread by its slug, or by its id where it has none. */
function threadWhere(agent: Agent, threadSlug: string): Prisma.ChatSessionWhereInput {
  const byId = z.uuid().safeParse(threadSlug).success ? [{ slug: null, id: threadSlug }] : [];
  return { agentId: agent.id, clientKey: null, OR: [{ slug: threadSlug }, ...byId] };
}

/**
 * The agent of a reference, and the session that the principal may write to; null where that is the principal's own and
 * nothing was said in it yet. Throws NOT_FOUND for an agent that the principal cannot use, and for a thread that is not
 * there.
 */
export async function findChat(
  db: Reading,
  principal: Principal,
  reference: Reference,
): Promise<{ agent: Agent; session: ChatSession | null }> {
  const agent = await agentBySlug(db, principal, reference.agentSlug);
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
        // An id goes before a slug that somebody made to look like it.
        orderBy: { slug: { sort: 'asc', nulls: 'first' } },
      });
  if (!session) throw notFound('Chat session');
  return { agent, session };
}

/**
 * The session of a reference, made where it is the principal's own and not there yet: of those who make it at once, one
 * does, and the others find it. Throws NOT_FOUND as {@link findChat} does.
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
  if (!other) throw conflict('This chat was begun or deleted at the same time. Try again.');
  return { agent, session: other, created: false };
}

/** Which session an input is about: by its id, or by a reference. Throws BAD_USER_INPUT unless it is exactly one. */
export function oneSession({ sessionId, chat }: { sessionId?: unknown; chat?: unknown }): void {
  if ((sessionId == null) === (chat == null))
    throw badInput(['input', sessionId == null ? 'sessionId' : 'chat'], 'give either sessionId or chat');
}
