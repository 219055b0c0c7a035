import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId, uuidId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { ChatMessage } from '../chat/messages.graphql.ts';
import { agentOf, ChatSession, messageOf, sessionOf } from '../chat/sessions.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import type { Hit } from '../knowledge/retrieval.ts';
import { User } from '../users/users.graphql.ts';
import type { HistoryFormat } from './export.ts';
import { answered, historyOrders } from './history.service.ts';

/** The related rows that the fields of an answer need. */
const session = { session: { select: { databaseId: true, clientKey: true } } } as const;
const agent = {
  session: { select: { agent: { select: { id: true, name: true, slug: true, deletedAt: true } } } },
} as const;
const branch = {
  parent: { select: { id: true, latestChildId: true, parent: { select: { latestChildId: true } } } },
} as const;
const run = { run: { select: { inputTokens: true, outputTokens: true } } } as const;

const QueryHistoryEntry = builder.prismaNode('ChatMessage', {
  variant: 'QueryHistoryEntry',
  id: { field: 'id', description: 'The global ID of the entry.' },
  nullable: true,
  description: 'A question and its answer in a session of any user, for callers with `read:query_history`.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer `databaseId` of the answer.' }),
    message: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The answer as a message; null when the caller cannot read its session.',
      select: { id: true },
      resolve: ({ id }, _args, context, info) => messageOf(id, context, info),
    }),
    question: t.string({
      description: 'The text of the question.',
      select: { parent: { select: { text: true } } },
      resolve: ({ parent }) => parent?.text ?? '',
    }),
    answer: t.exposeString('text', { description: 'The text of the answer in Markdown.' }),
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session of question and answer; null when the caller cannot read it.',
      select: { sessionId: true },
      resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
    }),
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      description: 'The UUID of the session, which the caller may not be able to read.',
    }),
    sessionDatabaseId: t.int({
      description: 'The integer ID of the session that the AnythingLLM paths use.',
      select: session,
      resolve: (entry) => entry.session.databaseId,
    }),
    clientKey: t.string({
      nullable: true,
      description:
        'The key of the session on the AnythingLLM paths: empty for the own chat of a user with an agent, `session:` and the ID that a client chose, or `embed:` and the ID of a visitor; null for a thread.',
      select: session,
      resolve: (entry) => entry.session.clientKey,
    }),
    agent: t.field({
      type: Agent,
      nullable: true,
      authScopes: { permission: 'read:agents' },
      description: 'The agent that answered; null when it was deleted or the caller cannot see it.',
      select: { session: { select: { agentId: true } } },
      resolve: (entry, _args, context, info) => agentOf(entry.session.agentId, context, info),
    }),
    agentId: t.int({
      description: 'The integer `databaseId` of the agent, which the caller may not be able to see.',
      select: agent,
      resolve: (entry) => entry.session.agent.id,
    }),
    agentName: t.string({
      nullable: true,
      description: 'The name of the agent; null when it was deleted.',
      select: agent,
      resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.name),
    }),
    agentSlug: t.string({
      nullable: true,
      description: 'The slug of the agent; null when it was deleted.',
      select: agent,
      resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.slug),
    }),
    user: t.field({
      type: User,
      description: 'The owner of the session.',
      select: (_args, _context, nested) => ({ session: { select: { user: nested() } } }),
      resolve: (entry) => entry.session.user,
    }),
    positive: t.boolean({
      nullable: true,
      description:
        'The last rating of the answer by any user: true for a like, false for a dislike; null without a rating.',
      select: {
        feedback: { where: { positive: { not: null } }, orderBy: { updatedAt: 'desc' }, take: 1 },
      },
      resolve: ({ feedback }) => feedback[0]?.positive ?? null,
    }),
    onCurrentBranch: t.boolean({
      description:
        'True when question and answer are on the current branch of the session. Refusals and replaced questions or answers are not.',
      select: branch,
      resolve: ({ id, parent }) => parent?.latestChildId === id && parent.parent?.latestChildId === parent.id,
    }),
    passages: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages that the model received for the answer and that the caller can read.',
      resolve: async (entry, _args, { principal, services }) =>
        storedHits((await services.chat.references(signedIn(principal), entry)).passages),
    }),
    model: t.exposeString('model', { nullable: true, description: 'The name of the model; null for a refusal.' }),
    durationMs: t.exposeInt('durationMs', {
      nullable: true,
      description: 'The duration of the turn in milliseconds; null when it was not recorded.',
    }),
    inputTokens: t.int({
      nullable: true,
      description: 'The number of input tokens; null when it was not recorded.',
      select: run,
      resolve: (entry) => entry.run?.inputTokens ?? null,
    }),
    outputTokens: t.int({
      nullable: true,
      description: 'The number of output tokens; null when it was not recorded.',
      select: run,
      resolve: (entry) => entry.run?.outputTokens ?? null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the answer was started.' }),
  }),
});

/** Returns stored passages. They are JSON, in which a date is text. */
const storedHits = (passages: unknown): Hit[] =>
  (passages as (Omit<Hit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

const QueryHistoryConnection = builder.connectionObject(
  {
    type: QueryHistoryEntry,
    name: 'QueryHistoryConnection',
    description: 'A page of a list of questions and answers.',
  },
  { name: 'QueryHistoryEdge', description: 'A question with its answer and its cursor in a list.' },
);

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

nodeRule('QueryHistoryEntry', {
  permission: 'read:query_history',
  readable: ({ prisma }, _principal, ids) =>
    prisma.chatMessage.findMany({
      where: { AND: [answered, { id: { in: integerIds(ids) } }] },
      select: { id: true },
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
