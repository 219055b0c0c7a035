import type { ChatMessage, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type PageOf } from '../../paging.ts';
import { answers } from '../chat/answer.ts';
import { sessionKey } from './visitor-chats.ts';
import type { WidgetDeps } from './widget-deps.ts';
import type { WidgetKey } from './widget-key.ts';

interface ExchangeFilter {
  widget?: WidgetKey | null;
  /** The UUID of a visitor's chat. */
  clientSessionId?: string | null | undefined;
}

export const exchangeOrders = new ListOrders(
  'embedChats',
  { ANSWERED_AT: [{ field: 'id', type: 'int', direction: 'asc' }] },
  { field: 'ANSWERED_AT', direction: 'ASC' },
);

/** Selects the answers of all widgets, or those of one widget or of one visitor's chat. */
export function exchanges({ widget, clientSessionId }: ExchangeFilter): Prisma.ChatMessageWhereInput {
  const key = clientSessionId == null ? undefined : sessionKey(clientSessionId);
  if (key === null) return { id: { in: [] } };
  return {
    ...answers,
    session: {
      deletedAt: null,
      user: { embed: widget ?? { isNot: null } },
      ...(key !== undefined && { clientKey: key }),
    },
  };
}

export const exchangeLists = ({ db }: Pick<WidgetDeps, 'db'>) => ({
  /**
   * Returns a page of the questions and answers of visitors, oldest first by default. Empty for an unknown widget or
   * chat.
   */
  async chats(filter: ExchangeFilter, { order, args, limit, query }: ListRequest): Promise<PageOf<ChatMessage>> {
    const { where, ...page } = order.page(args, limit);
    const rows = await db.prisma.chatMessage.findMany({
      ...query,
      ...page,
      where: { AND: [exchanges(filter), where] },
    });
    return cut(rows, { where, ...page });
  },

  countChats: (filter: ExchangeFilter) => db.prisma.chatMessage.count({ where: exchanges(filter) }),
});
