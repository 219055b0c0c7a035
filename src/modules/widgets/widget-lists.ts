import { notFound } from '../../errors.ts';
import type { Prisma, Embed as Widget } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest } from '../../paging.ts';
import type { WidgetDeps } from './widget-deps.ts';
import type { WidgetKey } from './widget-key.ts';

interface WidgetFilter {
  agentId?: number | null;
  enabled?: boolean | null | undefined;
}

const byId = [{ field: 'id', type: 'int', direction: 'asc' }] as const;
export const widgetOrders = new ListOrders('embeds', { CREATED_AT: byId }, { field: 'CREATED_AT', direction: 'ASC' });

const matching = ({ agentId, enabled }: WidgetFilter): Prisma.EmbedWhereInput => ({
  ...(agentId != null && { agentId }),
  ...(enabled != null && { enabled }),
});

export const widgetLists = ({ db }: Pick<WidgetDeps, 'db'>) => ({
  /** Returns a page of the widgets that match the filter. */
  async list(filter: WidgetFilter, { order, args, limit, query }: ListRequest) {
    const { where, ...page } = order.page(args, limit);
    const rows = await db.prisma.embed.findMany({ ...query, ...page, where: { AND: [matching(filter), where] } });
    return cut(rows, { where, ...page });
  },

  count: (filter: WidgetFilter) => db.prisma.embed.count({ where: matching(filter) }),

  /** Returns a widget. Throws NOT_FOUND. */
  async find(key: WidgetKey, query: object = {}): Promise<Widget> {
    const widget = await db.prisma.embed.findUnique({ ...query, where: key });
    if (!widget) throw notFound('EMBED_NOT_FOUND');
    return widget;
  },
});
