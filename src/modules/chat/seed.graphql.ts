import { builder } from '../../graphql/builder.ts';
import { ChatMessage } from './messages.graphql.ts';
import type { SeededSession } from './seed.service.ts';
import { ChatSession, messageOf, newSessionFields, sessionOf, withDatabaseIds } from './sessions.graphql.ts';

const SeedChatSessionInput = builder.inputType('SeedChatSessionInput', {
  description: 'Input for the mutation `seedChatSession`.',
  fields: (t) => ({
    ...newSessionFields(t),
    message: t.string({
      description:
        'A question to store without an answer, at most 200,000 characters. `sendChatMessage` with the question as `parent.messageId` answers it.',
    }),
    systemPrompt: t.string({
      description: 'Instructions that replace those of the agent in this session; at most 20,000 characters.',
    }),
    taskPrompt: t.string({
      description:
        'The text that follows every question in this session instead of that of the agent; at most 20,000 characters.',
    }),
  }),
});

const SeedChatSessionPayload = builder.objectRef<SeededSession>('SeedChatSessionPayload').implement({
  description: 'Result of the mutation `seedChatSession`.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      description: 'The UUID of the session, for callers without `read:chat`.',
    }),
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session that was created.',
      resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
    }),
    userMessage: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The stored question; null when the input contains no message.',
      resolve: ({ userMessageId }, _args, context, info) => messageOf(userMessageId, context, info),
    }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The integer `databaseId` of the stored question; null when the input contains no message.',
    }),
    url: t.exposeString('url', { description: 'The URL of the chat page where the owner continues the session.' }),
  }),
});

builder.mutationField('seedChatSession', (t) =>
  t.withAuth({ permission: 'write:chat' }).field({
    type: SeedChatSessionPayload,
    description: 'Creates a session of the caller with its own prompts and a question that has no answer yet.',
    args: { input: t.arg({ type: SeedChatSessionInput, required: true, description: 'The session to create.' }) },
    resolve: (_root, { input }, { principal, services }) => services.seeds.seed(principal, withDatabaseIds(input)),
  }),
);
