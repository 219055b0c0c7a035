import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId, uuidId } from '../../graphql/id-input.ts';
import { orderInput } from '../../graphql/order.ts';
import type { HistoryFormat } from './export.ts';
import { historyOrders } from './history.service.ts';
import { QueryHistoryConnection } from './history-entry.graphql.ts';
import './history-relations.graphql.ts';

const QueryHistoryFormat = builder.enumType('QueryHistoryFormat', {
  description: 'The format of an export of the query history.',
  values: {
    JSON: { description: 'A JSON list of questions and answers.' },
    JSON_LINES: { description: 'One line of JSON for each agent with its conversation, for fine-tuning.' },
    CSV: { description: 'A table. A cell that a spreadsheet would interpret as a formula starts with an apostrophe.' },
    JSON_ALPACA: { description: 'A JSON list of instructions, inputs and outputs.' },
  } satisfies Record<HistoryFormat, object>,
});

interface Exported {
  mediaType: string;
  content: string;
  count: number;
  truncated: boolean;
}

const QueryHistoryExport = builder.objectRef<Exported>('QueryHistoryExport').implement({
  description: 'The query history as the content of a file.',
  fields: (t) => ({
    mediaType: t.exposeString('mediaType', { description: 'The media type of the file.' }),
    content: t.exposeString('content', { description: 'The content of the file.' }),
    count: t.exposeInt('count', { description: 'The number of questions in the file.' }),
    truncated: t.exposeBoolean('truncated', { description: 'True when older questions are not in the file.' }),
  }),
});

const QueryHistoryFilter = builder.inputType('QueryHistoryFilter', {
  description: 'Conditions on the query history; all that are set must be met.',
  fields: (t) => ({
    agentId: t.id({ description: 'Returns only answers of this agent, by global ID or integer `databaseId`.' }),
    userId: t.id({ description: 'Returns only sessions of this user, by global ID or UUID.' }),
    visitors: t.boolean({
      description: 'Returns only chats of widget visitors if true, only other chats if false. Defaults to all chats.',
    }),
  }),
});

type Id = string | number;
interface GivenFilter {
  agentId?: Id | null | undefined;
  userId?: Id | null | undefined;
  visitors?: boolean | null | undefined;
}

/** Replaces the IDs of a filter with database IDs. Throws BAD_USER_INPUT for an ID of another type. */
const historyFilter = ({ agentId, userId, visitors }: GivenFilter) => ({
  agentId: agentId == null ? null : integerId(agentId, 'Agent', ['filter', 'agentId']),
  userId: userId == null ? null : uuidId(userId, 'User', ['filter', 'userId']),
  visitors,
});

const QueryHistoryOrder = orderInput('QueryHistory', historyOrders, {
  CREATED_AT: 'The time at which the answer was started.',
});

builder.queryFields((t) => ({
  queryHistory: t.field({
    type: QueryHistoryConnection,
    authScopes: { permission: 'read:query_history' },
    description:
      'The questions and answers of all users, including those in projects. Running answers and deleted sessions are left out.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: QueryHistoryFilter, description: 'Conditions on the entries.' }),
      orderBy: t.arg({ type: QueryHistoryOrder, description: 'Order of the entries. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter: given, orderBy, ...args }, context, info) => {
      const { history } = context.services;
      const [filter, order] = [historyFilter(given ?? {}), historyOrders.of(orderBy)];
      const page = await history.list(filter, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => history.count(filter));
    },
  }),
  exportQueryHistory: t.withAuth({ permission: 'read:query_history' }).field({
    type: QueryHistoryExport,
    description:
      'Exports the questions and answers of all users, oldest first: the newest 10,000, or fewer when they exceed 40,000,000 characters. Chats of widget visitors are left out. The audit log records the export.',
    args: {
      format: t.arg({ type: QueryHistoryFormat, required: true, description: 'The format of the file.' }),
    },
    resolve: (_root, { format }, { principal, services }) => services.history.export(principal, { format }),
  }),
}));
