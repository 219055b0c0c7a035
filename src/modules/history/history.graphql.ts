import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import type { Hit } from '../knowledge/retrieval.ts';
import { User } from '../users/users.graphql.ts';
import type { HistoryFormat } from './export.ts';
import { historyOrder } from './history.service.ts';

/** The related rows that the fields of an answer need. */
const session = { session: { select: { databaseId: true, clientKey: true } } } as const;
const agent = {
  session: { select: { agent: { select: { id: true, name: true, slug: true, deletedAt: true } } } },
} as const;
const branch = {
  parent: { select: { id: true, latestChildId: true, parent: { select: { latestChildId: true } } } },
} as const;
const run = { run: { select: { inputTokens: true, outputTokens: true } } } as const;

const QueryHistoryEntry = builder.prismaObject('ChatMessage', {
  variant: 'QueryHistoryEntry',
  description: 'A question and its answer, as who reads everybody’s chats sees them.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id of the answer.' }),
    question: t.string({
      description: 'What was asked.',
      select: { parent: { select: { text: true } } },
      resolve: ({ parent }) => parent?.text ?? '',
    }),
    answer: t.exposeString('text', { description: 'What was answered, Markdown.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session that they are in.' }),
    sessionDatabaseId: t.int({
      description: 'The integer id of that session.',
      select: session,
      resolve: (entry) => entry.session.databaseId,
    }),
    clientKey: t.string({
      nullable: true,
      description:
        'What a client of the workspace paths calls that session: empty for the unnamed chat with an agent, `session:` and the client’s own id, or `embed:` and a visitor’s; null for a thread.',
      select: session,
      resolve: (entry) => entry.session.clientKey,
    }),
    agentId: t.int({
      description: 'The integer id of the agent that answered.',
      select: agent,
      resolve: (entry) => entry.session.agent.id,
    }),
    agentName: t.string({
      nullable: true,
      description: 'The name of that agent; null when it was deleted.',
      select: agent,
      resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.name),
    }),
    agentSlug: t.string({
      nullable: true,
      description: 'Its name in URLs; null when it was deleted.',
      select: agent,
      resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.slug),
    }),
    user: t.field({
      type: User,
      description: 'Whose session it is.',
      select: (_args, _context, nested) => ({ session: { select: { user: nested() } } }),
      resolve: (entry) => entry.session.user,
    }),
    positive: t.boolean({
      nullable: true,
      description: 'What was last thought of the answer: whether it is good; null when nobody said.',
      select: {
        feedback: { where: { positive: { not: null } }, orderBy: { updatedAt: 'desc' }, take: 1 },
      },
      resolve: ({ feedback }) => feedback[0]?.positive ?? null,
    }),
    onCurrentBranch: t.boolean({
      description:
        'Whether the question and the answer stand on the session’s current branch: a refusal, and what was asked or answered anew, does not.',
      select: branch,
      resolve: ({ id, parent }) => parent?.latestChildId === id && parent.parent?.latestChildId === parent.id,
    }),
    passages: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages that the answer was given, as far as the caller may read them.',
      resolve: async (entry, _args, { principal, services }) =>
        storedHits((await services.chat.references(signedIn(principal), entry)).passages),
    }),
    model: t.exposeString('model', { nullable: true, description: 'The model that answered.' }),
    durationMs: t.exposeInt('durationMs', { nullable: true, description: 'How long it took, in milliseconds.' }),
    inputTokens: t.int({
      nullable: true,
      description: 'Tokens that the model read.',
      select: run,
      resolve: (entry) => entry.run?.inputTokens ?? null,
    }),
    outputTokens: t.int({
      nullable: true,
      description: 'Tokens that it said.',
      select: run,
      resolve: (entry) => entry.run?.outputTokens ?? null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the answer was begun.' }),
  }),
});

/** Returns stored passages. They are JSON, in which a date is text. */
const storedHits = (passages: unknown): Hit[] =>
  (passages as (Omit<Hit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

const QueryHistoryConnection = builder.connectionObject(
  { type: QueryHistoryEntry, name: 'QueryHistoryConnection', description: 'A page of questions and answers.' },
  { name: 'QueryHistoryEdge', description: 'A question with its answer and their place in the list.' },
);

const QueryHistoryFormat = builder.enumType('QueryHistoryFormat', {
  description: 'How an export of everybody’s chats is written.',
  values: {
    JSON: { description: 'A list of questions and answers.' },
    JSON_LINES: { description: 'A conversation for each agent, one a line: what fine-tuning takes.' },
    CSV: { description: 'A table. A cell that a spreadsheet would take for a formula has an apostrophe before it.' },
    JSON_ALPACA: { description: 'A list of instructions, inputs and outputs.' },
  } satisfies Record<HistoryFormat, object>,
});

interface Exported {
  mediaType: string;
  content: string;
  count: number;
  truncated: boolean;
}

const QueryHistoryExport = builder.objectRef<Exported>('QueryHistoryExport').implement({
  description: 'Everybody’s chats as a file.',
  fields: (t) => ({
    mediaType: t.exposeString('mediaType', { description: 'Its media type.' }),
    content: t.exposeString('content', { description: 'The file.' }),
    count: t.exposeInt('count', { description: 'How many questions it holds.' }),
    truncated: t.exposeBoolean('truncated', { description: 'Whether there are older ones that it does not hold.' }),
  }),
});

builder.queryFields((t) => ({
  queryHistory: t.field({
    type: QueryHistoryConnection,
    authScopes: { permission: 'read:query_history' },
    description:
      'What everybody asked and was answered, newest first, chats in projects included. What is still being answered, and what stood in sessions that were deleted, is left out.',
    args: {
      ...pageArgs(t.arg),
      agentId: t.arg.int({ description: 'Only what this agent answered, by its integer id.' }),
      userId: t.arg({ type: 'UUID', description: 'Only what stands in the sessions of this user.' }),
      visitors: t.arg.boolean({
        description: 'Only what visitors of chat widgets asked, or only what all others did; everything unless given.',
      }),
    },
    resolve: async (_root, { first, after, offset, ...filter }, context, info) => {
      const { history } = context.services;
      const args = { first, after, offset };
      const page = await history.list(filter, args, context.pageLimit, nodeQuery(context, info));
      return connection(historyOrder, page, args, () => history.count(filter));
    },
  }),
  exportQueryHistory: t.field({
    type: QueryHistoryExport,
    authScopes: { permission: 'read:query_history' },
    description:
      'What everybody asked and was answered, oldest first, as a file: the newest 10,000, or as many as have 40,000,000 characters. What visitors of chat widgets asked is left out. The audit trail keeps who exported it.',
    args: {
      format: t.arg({ type: QueryHistoryFormat, required: true, description: 'How it is written.' }),
    },
    resolve: (_root, { format }, { principal, services }) => services.history.export(signedIn(principal), { format }),
  }),
}));
