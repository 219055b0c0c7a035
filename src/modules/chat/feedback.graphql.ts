import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Feedback as FeedbackRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { type FeedbackRating, feedbackOrder, ratingOf } from './feedback.service.ts';
import { ChatMessage } from './messages.graphql.ts';

const FeedbackRatingType = builder.enumType('FeedbackRating', {
  description: 'What somebody thinks of an answer, in one word.',
  values: {
    LIKE: { description: 'It is good.' },
    DISLIKE: { description: 'It is not.' },
  } satisfies Record<FeedbackRating, object>,
});

const Opinion = builder.prismaInterface('Feedback', {
  variant: 'Opinion',
  description: 'What somebody thinks of an answer.',
  fields: (t) => ({
    rating: t.field({
      type: FeedbackRatingType,
      nullable: true,
      description: 'In one word; null when it is only a comment.',
      resolve: ratingOf,
    }),
    comment: t.exposeString('comment', { nullable: true, description: 'In words of their own.' }),
    reason: t.exposeString('reason', { nullable: true, description: 'The one of a client’s reasons that was chosen.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first given.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last replaced.' }),
  }),
});

const Feedback = builder.prismaObject('Feedback', {
  interfaces: [Opinion],
  description: 'What the caller thinks of an answer.',
});

builder.prismaObjectField(ChatMessage, 'feedback', (t) =>
  t.field({
    type: Feedback,
    nullable: true,
    description: 'What the caller thinks of it; null when they did not say.',
    select: (_args, { principal }, nested) => ({
      feedback: nested({ where: { userId: signedIn(principal).userId }, take: 1 }),
    }),
    resolve: ({ feedback }) => feedback[0] ?? null,
  }),
);

const ChatFeedback = builder.prismaNode('Feedback', {
  variant: 'ChatFeedback',
  interfaces: [Opinion],
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'What somebody thinks of an answer, as who reads everybody’s chats sees it.',
  fields: (t) => ({
    messageId: t.exposeInt('messageId', { description: 'The integer id of the answer.' }),
    sessionId: t.field({
      type: 'UUID',
      description: 'The session that the answer is in.',
      select: { message: { select: { sessionId: true } } },
      resolve: ({ message }) => message.sessionId,
    }),
    question: t.string({
      nullable: true,
      description: 'What was asked; null for an answer to nothing.',
      select: { message: { select: { parent: { select: { text: true } } } } },
      resolve: ({ message }) => message.parent?.text ?? null,
    }),
    answer: t.string({
      description: 'What was answered, Markdown.',
      select: { message: { select: { text: true } } },
      resolve: ({ message }) => message.text,
    }),
    agentId: t.int({
      description: 'The integer id of the agent that answered.',
      select: { message: { select: { session: { select: { agentId: true } } } } },
      resolve: ({ message }) => message.session.agentId,
    }),
    agentName: t.string({
      description: 'The name of that agent.',
      select: { message: { select: { session: { select: { agent: { select: { name: true } } } } } } },
      resolve: ({ message }) => message.session.agent.name,
    }),
    userId: t.expose('userId', { type: 'UUID', description: 'Who says it.' }),
    userName: t.string({
      description: 'Their name.',
      select: { user: { select: { name: true } } },
      resolve: ({ user }) => user.name,
    }),
  }),
});

nodeRule('ChatFeedback', {
  permission: 'read:query_history',
  readable: ({ prisma }, _principal, ids) =>
    prisma.feedback.findMany({
      where: { AND: [visible.feedback(), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

const ChatFeedbackConnection = builder.connectionObject(
  { type: ChatFeedback, name: 'ChatFeedbackConnection', description: 'A page of feedback.' },
  { name: 'ChatFeedbackEdge', description: 'A feedback and its place in the list.' },
);

const clearFeedback = clearField('ClearableFeedbackField', {
  rating: 'Removes the rating; a comment must remain.',
  comment: 'Removes the comment; a rating must remain.',
  reason: 'Removes the reason.',
});

const RateChatMessageInput = builder.inputType('RateChatMessageInput', {
  description:
    'Input for `rateChatMessage`. Of feedback that the caller gave before, a field that is null or absent stays unchanged.',
  fields: (t) => ({
    messageId: t.int({ required: true, description: 'The integer id of the answer.' }),
    rating: t.field({ type: FeedbackRatingType, description: 'In one word; needed without a comment.' }),
    comment: t.string({ description: 'In words; at most 10,000 characters.' }),
    reason: t.string({ description: 'One of the reasons that a client offers; at most 500 characters.' }),
    clear: clearFeedback(t),
  }),
});

const RemoveChatMessageRatingInput = builder.inputType('RemoveChatMessageRatingInput', {
  description: 'Of which answer the caller takes back what they said.',
  fields: (t) => ({ messageId: t.int({ required: true, description: 'The integer id of the answer.' }) }),
});

const RateChatMessagePayload = builder.objectRef<FeedbackRow>('RateChatMessagePayload').implement({
  description: 'What `rateChatMessage` stored.',
  fields: (t) => ({
    messageId: t.exposeInt('messageId', { description: 'The integer id of the answer.' }),
    feedback: t.field({ type: Feedback, description: 'The feedback.', resolve: (feedback) => feedback }),
  }),
});

const RemoveChatMessageRatingPayload = builder
  .objectRef<{ messageId: number; removed: boolean }>('RemoveChatMessageRatingPayload')
  .implement({
    description: 'What `removeChatMessageRating` took back.',
    fields: (t) => ({
      messageId: t.exposeInt('messageId', { description: 'The integer id of the answer.' }),
      removed: t.exposeBoolean('removed', { description: 'Whether there was anything.' }),
    }),
  });

builder.queryField('feedback', (t) =>
  t.field({
    type: ChatFeedbackConnection,
    authScopes: { permission: 'read:query_history' },
    description:
      'What everybody thinks of answers, newest first, chats in projects included. That on sessions that were deleted is left out.',
    args: {
      ...pageArgs(t.arg),
      rating: t.arg({ type: FeedbackRatingType, description: 'Only those with this rating.' }),
      since: t.arg({ type: 'DateTime', description: 'Only those first given at this time or later.' }),
      until: t.arg({ type: 'DateTime', description: 'Only those first given before this time.' }),
    },
    resolve: async (_root, { first, after, offset, ...filter }, context, info) => {
      const { feedback } = context.services;
      const args = { first, after, offset };
      const page = await feedback.list(filter, args, context.pageLimit, nodeQuery(context, info));
      return connection(feedbackOrder, page, args, () => feedback.count(filter));
    },
  }),
);

builder.mutationFields((t) => ({
  rateChatMessage: t.field({
    type: RateChatMessagePayload,
    authScopes: { permission: 'write:chat' },
    description:
      'Says what the caller thinks of an answer that they received, also of one still being written, and keeps what it does not give of their earlier feedback.',
    args: { input: t.arg({ type: RateChatMessageInput, required: true, description: 'The feedback.' }) },
    resolve: (_root, { input }, { principal, services }) => services.feedback.rate(signedIn(principal), input),
  }),
  removeChatMessageRating: t.field({
    type: RemoveChatMessageRatingPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Takes back what the caller said of an answer that they received.',
    args: { input: t.arg({ type: RemoveChatMessageRatingInput, required: true, description: 'The answer.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      messageId: input.messageId,
      removed: await services.feedback.remove(signedIn(principal), input),
    }),
  }),
}));
