import { builder } from '../../graphql/builder.ts';
import type { ChatModel as ChatModelRow } from '../../models/providers.ts';

const ChatModel = builder.objectRef<ChatModelRow>('ChatModel').implement({
  description: 'A language model that a chat can choose.',
  fields: (t) => ({
    name: t.exposeString('modelId', { description: 'Its name, for `model` of a session or of a message.' }),
    isDefault: t.boolean({
      description: 'Whether it answers where nobody chose one.',
      resolve: ({ modelId }, _args, { services }) => modelId === services.models.default.modelId,
    }),
    takesImages: t.exposeBoolean('sees', { description: 'Whether it can be shown images.' }),
    contextTokens: t.exposeInt('contextWindow', {
      description: 'How many tokens prompt and answer may have together.',
    }),
  }),
});

builder.queryField('models', (t) =>
  t.field({
    type: [ChatModel],
    listSize: 20,
    authScopes: { permission: 'write:chat' },
    description: 'The language models that a chat can choose, the server’s own first.',
    resolve: (_root, _args, { services: { models } }) => models.names.flatMap((name) => models.find(name) ?? []),
  }),
);
