import { builder } from '../../graphql/builder.ts';
import type { InputFields } from '../chat/sessions.graphql.ts';
import { EmbedExchange } from './exchanges.graphql.ts';
import type { VisitorEvent } from './send-visitor-message.ts';

type Event<Type extends VisitorEvent['type']> = Extract<VisitorEvent, { type: Type }>;

const EmbedAnswerDelta = builder.objectRef<Event<'delta'>>('EmbedAnswerDelta').implement({
  description: 'A further piece of the answer to a visitor.',
  fields: (t) => ({ text: t.exposeString('text', { description: 'The next piece of the answer, in Markdown.' }) }),
});

const EmbedAnswerRefused = builder.objectRef<Event<'refused'>>('EmbedAnswerRefused').implement({
  description: 'The widget answers only from documents, and no document matches the question. The last event.',
  fields: (t) => ({ text: t.exposeString('text', { description: 'The text to show to the visitor.' }) }),
});

const EmbedAnswerEnded = builder.objectRef<Event<'ended'>>('EmbedAnswerEnded').implement({
  description: 'The end of the answer to a visitor. The last event.',
  fields: (t) => ({
    whole: t.exposeBoolean('whole', { description: 'Whether the answer is complete; false if it was stopped.' }),
  }),
});

const EmbedAnswerFailed = builder.objectRef<Event<'failed'>>('EmbedAnswerFailed').implement({
  description: 'The failure of the turn of a visitor. The last event.',
  fields: (t) => ({
    code: t.exposeString('code', {
      description: 'The reason: `UPSTREAM_FAILED`, `TOOL_CALL_FAILED`, `RATE_LIMITED`, `TIMEOUT` or `INTERNAL`.',
    }),
    message: t.exposeString('message', { description: 'The reason as a sentence for the visitor.' }),
  }),
});

const types = {
  delta: EmbedAnswerDelta,
  refused: EmbedAnswerRefused,
  ended: EmbedAnswerEnded,
  failed: EmbedAnswerFailed,
} satisfies Record<VisitorEvent['type'], unknown>;

const EmbedTurnEvent = builder.unionType('EmbedTurnEvent', {
  description: 'An event of a visitor’s turn: a piece of the answer, or its end. Visitors receive no documents.',
  types: Object.values(types),
  resolveType: ({ type }) => types[type].name,
});

const uuidDescription =
  'The UUID of the widget. Visitors cannot name it by another ID, since integers could be guessed.';
const sessionDescription =
  'The UUID by which the page of the visitor names the chat. It acts as a secret: a client that has it can read and delete the chat.';

const chatOfVisitor = (t: InputFields) => ({
  uuid: t.string({ required: true, description: uuidDescription }),
  clientSessionId: t.string({ required: true, description: sessionDescription }),
});

const EmbedTurnInput = builder.inputType('EmbedTurnInput', {
  description: 'Input for the mutation `embedTurn`.',
  fields: (t) => ({
    ...chatOfVisitor(t),
    message: t.string({ required: true, description: 'The question of the visitor; at most 20,000 characters.' }),
    prompt: t.string({
      description: 'Instructions that replace those of the agent. Ignored unless the widget allows it.',
    }),
    model: t.string({ description: 'The model that answers. Ignored unless the widget allows it.' }),
    temperature: t.float({
      description: 'The sampling temperature, 0 to 2. Ignored unless the widget allows it.',
    }),
  }),
});

const DeleteEmbedChatInput = builder.inputType('DeleteEmbedChatInput', {
  description: 'Input for the mutation `deleteEmbedChat`.',
  fields: chatOfVisitor,
});

const DeleteEmbedChatPayload = builder.objectRef<{ deleted: boolean }>('DeleteEmbedChatPayload').implement({
  description: 'Result of the mutation `deleteEmbedChat`.',
  fields: (t) => ({
    deleted: t.exposeBoolean('deleted', { description: 'Whether a chat existed and was deleted.' }),
  }),
});

builder.queryField('embedChat', (t) =>
  t.prismaField({
    type: [EmbedExchange],
    listSize: 100,
    public: true,
    description: 'The last 100 exchanges of a visitor’s chat, oldest first. Empty for an unknown chat.',
    args: {
      uuid: t.arg.string({ required: true, description: uuidDescription }),
      clientSessionId: t.arg.string({ required: true, description: sessionDescription }),
    },
    resolve: (query, _root, args, { client, services }) => services.visitors.history(client, args, query),
  }),
);

builder.mutationField('deleteEmbedChat', (t) =>
  t.field({
    type: DeleteEmbedChatPayload,
    public: true,
    description: 'Deletes the chat of a visitor with a widget.',
    args: { input: t.arg({ type: DeleteEmbedChatInput, required: true, description: 'The chat to delete.' }) },
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
      'Sends the message of a visitor through a chat widget and streams the answer. RATE_LIMITED if a quota is reached, CONFLICT while an answer in the chat is running.',
    args: { input: t.arg({ type: EmbedTurnInput, required: true, description: 'The chat and the message.' }) },
    subscribe: (_root, { input }, { client, services, signal }) => services.visitors.send(client, input, signal),
    resolve: (event) => event,
  }),
);
