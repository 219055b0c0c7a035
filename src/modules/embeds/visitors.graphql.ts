import { builder } from '../../graphql/builder.ts';
import type { InputFields } from '../chat/sessions.graphql.ts';
import { EmbedExchange } from './embeds.graphql.ts';
import type { VisitorEvent } from './visitors.service.ts';

type Event<Type extends VisitorEvent['type']> = Extract<VisitorEvent, { type: Type }>;

const EmbedAnswerDelta = builder.objectRef<Event<'delta'>>('EmbedAnswerDelta').implement({
  description: 'A piece of the answer.',
  fields: (t) => ({ text: t.exposeString('text', { description: 'The piece, Markdown.' }) }),
});

const EmbedAnswerRefused = builder.objectRef<Event<'refused'>>('EmbedAnswerRefused').implement({
  description: 'The widget answers from documents alone, and none fits the question. The last event.',
  fields: (t) => ({ text: t.exposeString('text', { description: 'What to tell the visitor.' }) }),
});

const EmbedAnswerEnded = builder.objectRef<Event<'ended'>>('EmbedAnswerEnded').implement({
  description: 'The answer is over; the last event.',
  fields: (t) => ({
    whole: t.exposeBoolean('whole', { description: 'Whether it is whole, and was not stopped.' }),
  }),
});

const EmbedAnswerFailed = builder.objectRef<Event<'failed'>>('EmbedAnswerFailed').implement({
  description: 'The turn failed; the last event.',
  fields: (t) => ({
    code: t.exposeString('code', {
      description: '`UPSTREAM_FAILED`, `TOOL_CALL_FAILED`, `RATE_LIMITED`, `TIMEOUT` or `INTERNAL`.',
    }),
    message: t.exposeString('message', { description: 'What went wrong, in words.' }),
  }),
});

const types = {
  delta: EmbedAnswerDelta,
  refused: EmbedAnswerRefused,
  ended: EmbedAnswerEnded,
  failed: EmbedAnswerFailed,
} satisfies Record<VisitorEvent['type'], unknown>;

const EmbedTurnEvent = builder.unionType('EmbedTurnEvent', {
  description: 'What a visitor hears of a turn: the words of the answer, and how it ended. No documents.',
  types: Object.values(types),
  resolveType: ({ type }) => types[type].name,
});

const uuidDescription = 'The widget’s uuid.';
const sessionDescription = 'The UUID by which the visitor calls the chat: whoever knows it can read and delete it.';

const chatOfVisitor = (t: InputFields) => ({
  uuid: t.string({ required: true, description: uuidDescription }),
  sessionId: t.string({ required: true, description: sessionDescription }),
});

const EmbedTurnInput = builder.inputType('EmbedTurnInput', {
  description: 'A visitor’s message to a chat widget.',
  fields: (t) => ({
    ...chatOfVisitor(t),
    message: t.string({ required: true, description: 'What to say; at most 20,000 characters.' }),
    prompt: t.string({ description: 'Instead of the agent’s instructions, where the widget allows it.' }),
    model: t.string({ description: 'The model that answers, where the widget allows it.' }),
    temperature: t.float({ description: '0 to 2, where the widget allows it.' }),
  }),
});

const DeleteEmbedChatInput = builder.inputType('DeleteEmbedChatInput', {
  description: 'Which chat of a visitor’s is deleted.',
  fields: chatOfVisitor,
});

const DeleteEmbedChatPayload = builder.objectRef<{ deleted: boolean }>('DeleteEmbedChatPayload').implement({
  description: 'What `deleteEmbedChat` did.',
  fields: (t) => ({ deleted: t.exposeBoolean('deleted', { description: 'Whether there was such a chat.' }) }),
});

builder.queryField('embedChat', (t) =>
  t.field({
    type: [EmbedExchange],
    listSize: 100,
    public: true,
    description:
      'The last 100 exchanges of a visitor’s chat with a widget’s agent, oldest first; none where there is no such chat.',
    args: {
      uuid: t.arg.string({ required: true, description: uuidDescription }),
      sessionId: t.arg.string({ required: true, description: sessionDescription }),
    },
    resolve: (_root, args, { client, services }) => services.visitors.history(client, args),
  }),
);

builder.mutationField('deleteEmbedChat', (t) =>
  t.field({
    type: DeleteEmbedChatPayload,
    public: true,
    description: 'Deletes a visitor’s chat with a widget.',
    args: { input: t.arg({ type: DeleteEmbedChatInput, required: true, description: 'Which.' }) },
    resolve: async (_root, { input }, { client, services }) => ({
      deleted: await services.visitors.delete(client, input),
    }),
  }),
);

builder.subscriptionField('embedTurn', (t) =>
  t.field({
    type: EmbedTurnEvent,
    public: true,
    description:
      'Sends a visitor’s message through a chat widget and streams the answer. RATE_LIMITED where a quota is used up, CONFLICT while the chat is still answering.',
    args: { input: t.arg({ type: EmbedTurnInput, required: true, description: 'The message.' }) },
    subscribe: (_root, { input }, { client, services, signal }) => services.visitors.send(client, input, signal),
    resolve: (event) => event,
  }),
);
