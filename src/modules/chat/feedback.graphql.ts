import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Feedback as FeedbackRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { User, userOf } from '../users/users.graphql.ts';
import { type FeedbackRating, feedbackOrders, ratingOf } from './feedback.service.ts';
import { ChatMessage } from './messages.graphql.ts';
import { agentOf, ChatSession, messageOf, sessionOf } from './sessions.graphql.ts';

const FeedbackRatingType = builder.enumType('FeedbackRating', {
  description: 'The rating of an answer by a user.',
  values: {
    LIKE: { description: 'The answer is good.' },
    DISLIKE: { description: 'The answer is not good.' },
  } satisfies Record<FeedbackRating, object>,
});

const Opinion = builder.prismaInterface('Feedback', {
  variant: 'Opinion',
  description: 'The feedback of a user on an answer.',
  fields: (t) => ({
    rating: t.field({
      type: FeedbackRatingType,
      nullable: true,
      description: 'The rating; null for feedback that is only a comment.',
      resolve: ratingOf,
    }),
    comment: t.exposeString('comment', {
      nullable: true,
      description: 'The comment of the user; null without a comment.',
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'The reason that the user chose from those of the client; null without a reason.',
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'The time at which the feedback was first given.',
    }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'The time at which the feedback was last changed.',
    }),
  }),
});

const Feedback = builder.prismaObject('Feedback', {
  interfaces: [Opinion],
  description: 'The feedback of the caller on an answer.',
});

builder.prismaObjectField(ChatMessage, 'feedback', (t) =>
  t.field({
    type: Feedback,
    nullable: true,
    description: 'The feedback of the caller on the message; null without feedback.',
    select: (_args, { principal }, nested) => ({
      feedback: nested({ where: { userId: signedIn(principal).userId }, take: 1 }),
    }),
    resolve: ({ feedback }) => feedback[0] ?? null,
  }),
);

const ChatFeedback = builder.prismaNode('Feedback', {
  variant: 'ChatFeedback',
  interfaces: [Opinion],
  id: { field: 'id', description: 'The global ID of the feedback.' },
  nullable: true,
  description: 'The feedback of any user on an answer, for callers with `read:query_history`.',
  fields: (t) => ({
    message: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The answer; null when the caller cannot read its session.',
      select: { messageId: true },
      resolve: ({ messageId }, _args, context, info) => messageOf(messageId, context, info),
    }),
    messageId: t.exposeInt('messageId', {
      description: 'The integer `databaseId` of the answer, whose session the caller may not be able to read.',
    }),
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session of the answer; null when the caller cannot read it.',
      select: { message: { select: { sessionId: true } } },
      resolve: ({ message }, _args, context, info) => sessionOf(message.sessionId, context, info),
    }),
    sessionId: t.field({
      type: 'UUID',
      description: 'The UUID of the session, which the caller may not be able to read.',
      select: { message: { select: { sessionId: true } } },
      resolve: ({ message }) => message.sessionId,
    }),
    question: t.string({
      nullable: true,
      description: 'The text of the question; null for an answer without a question.',
      select: { message: { select: { parent: { select: { text: true } } } } },
      resolve: ({ message }) => message.parent?.text ?? null,
    }),
    answer: t.string({
      description: 'The text of the answer in Markdown.',
      select: { message: { select: { text: true } } },
      resolve: ({ message }) => message.text,
    }),
    agent: t.field({
      type: Agent,
      nullable: true,
      authScopes: { permission: 'read:agents' },
      description: 'The agent that answered; null when it was deleted or the caller cannot see it.',
      select: { message: { select: { session: { select: { agentId: true } } } } },
      resolve: ({ message }, _args, context, info) => agentOf(message.session.agentId, context, info),
    }),
    agentId: t.int({
      description: 'The integer `databaseId` of the agent, which the caller may not be able to see.',
      select: { message: { select: { session: { select: { agentId: true } } } } },
      resolve: ({ message }) => message.session.agentId,
    }),
    agentName: t.string({
      description: 'The name of the agent, also of a deleted one.',
      select: { message: { select: { session: { select: { agent: { select: { name: true } } } } } } },
      resolve: ({ message }) => message.session.agent.name,
    }),
    user: t.field({
      type: User,
      nullable: true,
      authScopes: { permission: 'read:users' },
      description: 'The user who gave the feedback; null when the caller cannot see that user.',
      select: { userId: true },
      resolve: ({ userId }, _args, context, info) => userOf(userId, context, info),
    }),
    userId: t.expose('userId', {
      type: 'UUID',
      description: 'The UUID of the user, for callers without `read:users`.',
    }),
    userName: t.string({
      description: 'The name of the user, for callers without `read:users`.',
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
  { type: ChatFeedback, name: 'ChatFeedbackConnection', description: 'A page of a list of feedback.' },
  { name: 'ChatFeedbackEdge', description: 'A feedback and its cursor in a list.' },
);

const clearFeedback = clearField('ClearableFeedbackField', {
  rating: 'Removes the rating; a comment must remain.',
  comment: 'Removes the comment; a rating must remain.',
  reason: 'Removes the reason of the rating.',
});

const RateChatMessageInput = builder.inputType('RateChatMessageInput', {
  description:
    'Input for `rateChatMessage`. Of feedback that the caller gave before, a field that is null or absent stays unchanged.',
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'The answer, by global ID or integer `databaseId`.' }),
    rating: t.field({ type: FeedbackRatingType, description: 'The rating of the answer. Required without a comment.' }),
    comment: t.string({ description: 'The comment on the answer; at most 10,000 characters.' }),
    reason: t.string({ description: 'A reason that the client offers for selection; at most 500 characters.' }),
    clear: clearFeedback(t),
  }),
});

const RemoveChatMessageRatingInput = builder.inputType('RemoveChatMessageRatingInput', {
  description: 'Input for the mutation `removeChatMessageRating`.',
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'The answer, by global ID or integer `databaseId`.' }),
  }),
});

const RateChatMessagePayload = builder.objectRef<FeedbackRow>('RateChatMessagePayload').implement({
  description: 'Result of the mutation `rateChatMessage`.',
  fields: (t) => ({
    message: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The answer with the new feedback.',
      resolve: ({ messageId }, _args, context, info) => messageOf(messageId, context, info),
    }),
    messageId: t.exposeInt('messageId', {
      description: 'The integer `databaseId` of the answer, for callers without `read:chat`.',
    }),
    feedback: t.field({
      type: Feedback,
      description: 'The feedback after the change.',
      resolve: (feedback) => feedback,
    }),
  }),
});

const RemoveChatMessageRatingPayload = builder
  .objectRef<{ messageId: number; removed: boolean }>('RemoveChatMessageRatingPayload')
  .implement({
    description: 'Result of the mutation `removeChatMessageRating`.',
    fields: (t) => ({
      message: t.field({
        type: ChatMessage,
        nullable: true,
        authScopes: { permission: 'read:chat' },
        description: 'The answer without the feedback of the caller.',
        resolve: ({ messageId }, _args, context, info) => messageOf(messageId, context, info),
      }),
      messageId: t.exposeInt('messageId', {
        description: 'The integer `databaseId` of the answer, for callers without `read:chat`.',
      }),
      removed: t.exposeBoolean('removed', { description: 'True when the caller had given feedback.' }),
    }),
  });

const ChatFeedbackFilter = builder.inputType('ChatFeedbackFilter', {
  description: 'Conditions on a list of feedback; all that are set must be met.',
  fields: (t) => ({
    rating: t.field({ type: FeedbackRatingType, description: 'Returns only feedback with this rating.' }),
    createdSince: t.field({
      type: 'DateTime',
      description: 'Returns only feedback first given at this time or later.',
    }),
    createdBefore: t.field({ type: 'DateTime', description: 'Returns only feedback first given before this time.' }),
  }),
});

const ChatFeedbackOrder = orderInput('ChatFeedback', feedbackOrders, {
  CREATED_AT: 'The time at which the feedback was first given.',
});

builder.queryField('feedback', (t) =>
  t.field({
    type: ChatFeedbackConnection,
    authScopes: { permission: 'read:query_history' },
    description:
      'The feedback of all users on answers, including those in projects. Feedback on deleted sessions is left out.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ChatFeedbackFilter, description: 'Conditions on the feedback.' }),
      orderBy: t.arg({ type: ChatFeedbackOrder, description: 'Order of the feedback. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter: given, orderBy, ...args }, context, info) => {
      const { feedback } = context.services;
      const [filter, order] = [given ?? {}, feedbackOrders.of(orderBy)];
      const page = await feedback.list(filter, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => feedback.count(filter));
    },
  }),
);

builder.mutationFields((t) => ({
  rateChatMessage: t.withAuth({ permission: 'write:chat' }).field({
    type: RateChatMessagePayload,
    description:
      'Stores the feedback of the caller on an answer that they received, which may still be streaming. Fields that the input does not contain keep the values of earlier feedback.',
    args: { input: t.arg({ type: RateChatMessageInput, required: true, description: 'The answer and the feedback.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.feedback.rate(principal, {
        ...input,
        messageId: integerId(input.messageId, 'ChatMessage', ['input', 'messageId']),
      }),
  }),
  removeChatMessageRating: t.withAuth({ permission: 'write:chat' }).field({
    type: RemoveChatMessageRatingPayload,
    description: 'Removes the feedback of the caller on an answer.',
    args: {
      input: t.arg({
        type: RemoveChatMessageRatingInput,
        required: true,
        description: 'The answer whose feedback is removed.',
      }),
    },
    resolve: async (_root, { input }, { principal, services }) => {
      const messageId = integerId(input.messageId, 'ChatMessage', ['input', 'messageId']);
      return { messageId, removed: await services.feedback.remove(principal, { messageId }) };
    },
  }),
}));
