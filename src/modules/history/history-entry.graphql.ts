import { builder } from '../../graphql/builder.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { answered } from './history.service.ts';

/** The related rows that the fields of an answer need. */
const branch = {
  parent: { select: { id: true, latestChildId: true, parent: { select: { latestChildId: true } } } },
} as const;
const run = { run: { select: { inputTokens: true, outputTokens: true } } } as const;

export const QueryHistoryEntry = builder.prismaNode('ChatMessage', {
  variant: 'QueryHistoryEntry',
  id: { field: 'id', description: 'The global ID of the entry.' },
  nullable: true,
  description: 'A question and its answer in a session of any user, for callers with `read:query_history`.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer `databaseId` of the answer.' }),
    question: t.string({
      description: 'The text of the question.',
      select: { parent: { select: { text: true } } },
      resolve: ({ parent }) => parent?.text ?? '',
    }),
    answer: t.exposeString('text', { description: 'The text of the answer in Markdown.' }),
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      description: 'The UUID of the session, which the caller may not be able to read.',
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

nodeRule('QueryHistoryEntry', {
  permission: 'read:query_history',
  readable: ({ prisma }, _principal, ids) =>
    prisma.chatMessage.findMany({
      where: { AND: [answered, { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

export const QueryHistoryConnection = builder.connectionObject(
  {
    type: QueryHistoryEntry,
    name: 'QueryHistoryConnection',
    description: 'A page of a list of questions and answers.',
  },
  { name: 'QueryHistoryEdge', description: 'A question with its answer and its cursor in a list.' },
);
