import type { Client } from '../../authz/principal.ts';
import type { ChatMessage } from '../../generated/prisma/client.ts';
import { answers } from '../chat/answer.ts';
import type { OpenWidget, VisitorAccess } from './visitor-access.ts';
import { branchOfQuestion, isIncluded, sessionKey } from './visitor-chats.ts';
import type { VisitorDeps } from './visitor-deps.ts';
import type { ChatOfVisitor } from './visitor-turn.ts';

/** Maximum number of exchanges in a visitor's history. */
const maxHistoryLength = 100;

/** Selects the sessions with this chat ID, one per agent that the widget has had. */
const sessionsWhere = ({ userId }: OpenWidget, clientSessionId: string) => ({
  userId,
  clientKey: sessionKey(clientSessionId),
  deletedAt: null,
});

export const visitorHistory = ({ db, chat }: Pick<VisitorDeps, 'db' | 'chat'>, { enter, actFor }: VisitorAccess) => ({
  /**
   * Returns the last 100 answers in a visitor's chat, oldest first; an empty list for an unknown chat. Throws NOT_FOUND
   * for a widget that does not exist or is disabled, FORBIDDEN for an origin that is not allowed, RATE_LIMITED.
   */
  async history(client: Client, { uuid, clientSessionId }: ChatOfVisitor, query: object): Promise<ChatMessage[]> {
    const embed = await enter(client, uuid, true);
    await actFor(embed);
    if (sessionKey(clientSessionId) === null) return [];
    const rows = await db.prisma.chatMessage.findMany({
      where: { ...answers, session: { ...sessionsWhere(embed, clientSessionId), agentId: embed.agentId } },
      orderBy: { id: 'desc' },
      take: maxHistoryLength,
      select: { id: true, ...branchOfQuestion },
    });
    const ids = rows.filter(isIncluded).map(({ id }) => id);
    return db.prisma.chatMessage.findMany({ ...query, where: { id: { in: ids } }, orderBy: { id: 'asc' } });
  },

  /**
   * Deletes a visitor's chat, also with earlier agents of the widget, and stops a running answer. Returns whether there
   * was one. Throws like `history`.
   */
  async delete(client: Client, { uuid, clientSessionId }: ChatOfVisitor): Promise<boolean> {
    const embed = await enter(client, uuid);
    const principal = await actFor(embed);
    if (sessionKey(clientSessionId) === null) return false;
    const found = await db.prisma.chatSession.findMany({
      where: sessionsWhere(embed, clientSessionId),
      select: { id: true },
    });
    for (const { id } of found) await chat.delete(principal, id);
    return found.length > 0;
  },
});
