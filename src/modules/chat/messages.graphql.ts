import type { GraphQLResolveInfo } from 'graphql';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { loadRelated } from '../../graphql/related.ts';
import { TurnUsage } from './usage.graphql.ts';

const MessageRole = builder.enumType('MessageRole', {
  description: 'The author of a message.',
  values: {
    SYSTEM: { description: 'The empty root of the message tree.' },
    USER: { description: 'The user of the session.' },
    ASSISTANT: { description: 'The model, or the refusal of the agent.' },
  },
});

const MessageStatus = builder.enumType('MessageStatus', {
  description: 'The completeness of a message.',
  values: {
    STREAMING: { description: 'The message is being written.' },
    COMPLETE: { description: 'The message is complete.' },
    STOPPED: { description: 'A user stopped the answer; the text so far is kept.' },
    FAILED: { description: 'The turn failed; the text so far is kept.' },
    INTERRUPTED: { description: 'The server stopped during the answer; the text so far is kept.' },
  },
});

/** Returns another message of the tree of a message. Runs one statement for a list. */
const inTree = async (
  { sessionId }: { sessionId: string },
  id: number | null,
  context: Context,
  info: GraphQLResolveInfo,
) => {
  const found = await loadRelated(context, info, id, (ids, query) =>
    context.services.related.messagesOfTree(ids, query),
  );
  return found?.sessionId === sessionId ? found : null;
};

export const ChatMessage = builder.prismaNode('ChatMessage', {
  id: { field: 'id', description: 'The global ID of the message.' },
  nullable: true,
  description: 'A message in the message tree of a session.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The UUID of the session; see `session`.' }),
    parent: t.relation('parent', {
      nullable: true,
      description: 'The message that this message follows in the tree; null for the root.',
    }),
    parentId: t.exposeInt('parentId', {
      nullable: true,
      description: 'The integer `databaseId` of `parent`; null for the root.',
    }),
    latestChildId: t.exposeInt('latestChildId', {
      nullable: true,
      description: 'The integer `databaseId` of `latestChild`; null at the end of a branch.',
    }),
    preferredResponseId: t.exposeInt('preferredResponseId', {
      nullable: true,
      description: 'The integer `databaseId` of `preferredResponse`; null without a preference.',
    }),
    role: t.expose('role', { type: MessageRole, description: 'The author of the message.' }),
    status: t.expose('status', { type: MessageStatus, description: 'The completeness of the message.' }),
    text: t.exposeString('text', { description: 'The text in Markdown; citations have the form `[[n]](link)`.' }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The reasoning of the model before the answer; null without any.',
    }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'The reason why the answer is incomplete, for display; null for other messages.',
    }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The name of the model that wrote the message; null for other messages.',
    }),
    durationMs: t.exposeInt('durationMs', {
      nullable: true,
      description: 'The duration of the turn in milliseconds; null while it is running, and for other messages.',
    }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'The usage of the model for the answer; null while it is running, and for other messages.',
      select: {
        model: true,
        durationMs: true,
        run: { select: { inputTokens: true, outputTokens: true, endedAt: true } },
      },
      resolve: ({ model, durationMs, run }, _args, { services }) =>
        model === null || durationMs === null || run?.inputTokens == null || run.outputTokens === null
          ? null
          : {
              inputTokens: run.inputTokens,
              outputTokens: run.outputTokens,
              durationMs,
              model,
              provider: services.models.find(model)?.provider ?? null,
              endedAt: run.endedAt,
            },
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the message was created.' }),
  }),
});

/** Fields of the type of the messages themselves, which do not exist while the type is defined. */
builder.prismaObjectFields(ChatMessage, (t) => ({
  latestChild: t.field({
    type: ChatMessage,
    nullable: true,
    description: 'The next message of the current branch; null at the end of a branch.',
    select: { sessionId: true, latestChildId: true },
    resolve: (message, _args, context, info) => inTree(message, message.latestChildId, context, info),
  }),
  preferredResponse: t.field({
    type: ChatMessage,
    nullable: true,
    description: 'The answer that the user prefers of several answers to this question; null without a preference.',
    select: { sessionId: true, preferredResponseId: true },
    resolve: (message, _args, context, info) => inTree(message, message.preferredResponseId, context, info),
  }),
}));

export const ChatMessageConnection = builder.connectionObject(
  { type: ChatMessage, name: 'ChatMessageConnection', description: 'A page of a list of messages.' },
  { name: 'ChatMessageEdge', description: 'A message and its cursor in a list.' },
);

nodeRule('ChatMessage', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.chatMessage.findMany({
      where: { ...visible.chatMessages(principal), id: { in: integerIds(ids) } },
      select: { id: true },
    }),
});
