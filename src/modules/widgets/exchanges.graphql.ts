import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { exchangeOrders, exchanges } from './exchanges.ts';
import { branchOfQuestion, clientIdOf, isIncluded } from './visitor-chats.ts';
import { byAnyId, Embed, widgetKey } from './widgets.graphql.ts';

export const EmbedExchange = builder.prismaNode('ChatMessage', {
  variant: 'EmbedExchange',
  id: { field: 'id', description: 'The global ID of the exchange.' },
  nullable: true,
  description: 'A question of a visitor to a chat widget, and its answer.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID of the answer.' }),
    embed: t.field({
      type: Embed,
      nullable: true,
      authScopes: { permission: 'manage:agents' },
      description: 'The widget through which the visitor asked.',
      select: (_args, _context, nested) => ({ session: { select: { user: { select: { embed: nested() } } } } }),
      resolve: ({ session }) => session.user.embed,
    }),
    clientSessionId: t.string({
      description: 'The UUID by which the page of the visitor names the chat.',
      select: { session: { select: { clientKey: true } } },
      resolve: ({ session }) => clientIdOf(session.clientKey ?? ''),
    }),
    question: t.string({
      description: 'The question of the visitor.',
      select: { parent: { select: { text: true } } },
      resolve: ({ parent }) => parent?.text ?? '',
    }),
    answer: t.exposeString('text', { description: 'The text of the answer so far, in Markdown.' }),
    askedAt: t.field({
      type: 'DateTime',
      description: 'The time at which the question was asked.',
      select: { createdAt: true, parent: { select: { createdAt: true } } },
      resolve: ({ createdAt, parent }) => parent?.createdAt ?? createdAt,
    }),
    answeredAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the answer began.' }),
    included: t.boolean({
      description: 'Whether the chat continues from the exchange; false for a question that was refused.',
      select: branchOfQuestion,
      resolve: isIncluded,
    }),
  }),
});

nodeRule('EmbedExchange', {
  permission: 'read:query_history',
  also: ['manage:agents'],
  readable: ({ prisma }, _principal, ids) =>
    prisma.chatMessage.findMany({
      where: { AND: [exchanges({}), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

const EmbedExchangeConnection = builder.connectionObject(
  { type: EmbedExchange, name: 'EmbedExchangeConnection', description: 'A page of a list of exchanges of visitors.' },
  { name: 'EmbedExchangeEdge', description: 'An exchange of a visitor and its cursor in a list.' },
);

const EmbedExchangeFilterInput = builder.inputType('EmbedExchangeFilter', {
  description: 'Conditions on a list of exchanges of visitors; all that are set must be met.',
  fields: (t) => ({
    embedId: t.id({ description: `Returns only the exchanges through this widget, ${byAnyId}.` }),
    clientSessionId: t.string({
      description: 'Returns only the exchanges in the chat that the page of a visitor names by this UUID.',
    }),
  }),
});
const EmbedExchangeOrder = orderInput('EmbedExchange', exchangeOrders, {
  ANSWERED_AT: 'The time at which the answer began.',
});

builder.queryField('embedChats', (t) =>
  t.field({
    type: EmbedExchangeConnection,
    authScopes: { permissions: ['read:query_history', 'manage:agents'] },
    description: 'The questions of visitors to chat widgets, and the answers to them.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: EmbedExchangeFilterInput, description: 'Conditions on the exchanges.' }),
      orderBy: t.arg({
        type: EmbedExchangeOrder,
        description: 'Order of the exchanges. Defaults to the oldest first.',
      }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { widgets } = context.services;
      const id = filter?.embedId;
      const conditions = {
        widget: id == null ? null : widgetKey(id, ['filter', 'embedId']),
        clientSessionId: filter?.clientSessionId,
      };
      const order = exchangeOrders.of(orderBy);
      const query = nodeQuery(context, info);
      const page = await widgets.chats(conditions, { order, args, limit: context.pageLimit, query });
      return connection(order, page, args, () => widgets.countChats(conditions));
    },
  }),
);
