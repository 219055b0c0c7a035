import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { denied, notFound, parse } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';
import type { ChatDeps } from './chat-deps.ts';
import { ChatReference, type ChatReferenceInput, findChat } from './chat-locator.ts';

export const sessionLookup = ({ db }: Pick<ChatDeps, 'db'>) => ({
  /**
   * Returns one session. With `shared`, also a public session of another user; with `includeDeleted`, also a deleted
   * session of the principal. A project token reads only sessions of its project. Throws NOT_FOUND, and FORBIDDEN
   * when a readable private session is requested as shared.
   */
  async find(
    principal: Principal,
    id: string,
    {
      shared,
      includeDeleted,
    }: { shared?: boolean | null | undefined; includeDeleted?: boolean | null | undefined } = {},
    query: object = {},
  ): Promise<ChatSession> {
    const { userId, credential } = principal;
    const within = credential.projectId === null ? {} : { projectId: credential.projectId };
    const rule: Prisma.ChatSessionWhereInput = {
      OR: [
        visible.chatSessions(principal),
        ...(includeDeleted ? [{ ...within, userId }] : []),
        ...(shared ? [{ ...within, sharing: 'PUBLIC' as const, deletedAt: null }] : []),
      ],
    };
    const session = await db.prisma.chatSession.findFirst({ ...query, where: { AND: [rule, { id }] } });
    if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
    if (shared && session.sharing !== 'PUBLIC') throw denied('CHAT_NOT_SHARED', 'This chat session is not shared.');
    return session;
  },

  /**
   * Returns the session of a locator that the principal can read, or null for an own session without messages. Throws
   * NOT_FOUND for an agent that the principal cannot use and for an unknown thread.
   */
  async findByName(principal: Principal, reference: ChatReferenceInput, query: object = {}) {
    const { session } = await findChat(db.prisma, principal, parse(ChatReference, reference, ['chat']));
    return session && db.prisma.chatSession.findUnique({ ...query, where: { id: session.id } });
  },

  /** Returns the ID of the session of a locator that the principal can write to. Throws NOT_FOUND. */
  async identify(principal: Principal, reference: ChatReferenceInput): Promise<string> {
    const at = ['input', 'session', 'chat'];
    const { session } = await findChat(db.prisma, principal, parse(ChatReference, reference, at));
    if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
    return session.id;
  },
});
