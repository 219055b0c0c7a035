import type { ChatModel as ChatModelRow } from '../../ai/providers.ts';
import { builder } from '../../graphql/builder.ts';

const ChatModel = builder.objectRef<ChatModelRow>('ChatModel').implement({
  description: 'A language model that a chat can use.',
  fields: (t) => ({
    name: t.exposeString('modelId', { description: 'The name of the model, for `model` of a session or a message.' }),
    isDefault: t.boolean({
      description: 'True for the model that answers when neither message, session nor agent names one.',
      resolve: ({ modelId }, _args, { services }) => modelId === services.models.default.modelId,
    }),
    takesImages: t.exposeBoolean('sees', { description: 'True when the model accepts images.' }),
    contextTokens: t.exposeInt('contextWindow', {
      description: 'The size of the context window in tokens, for prompt and answer together.',
    }),
  }),
});

builder.queryField('models', (t) =>
  t.field({
    type: [ChatModel],
    listSize: 20,
    authScopes: { permission: 'write:chat' },
    description: 'The language models that a chat can use, the default model of the server first.',
    resolve: (_root, _args, { services: { models } }) => models.names.flatMap((name) => models.find(name) ?? []),
  }),
);
