import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import type { SeededSession } from './seed.service.ts';
import { newSessionFields } from './sessions.graphql.ts';

const SeedChatSessionInput = builder.inputType('SeedChatSessionInput', {
  description: 'What a session is to begin with.',
  fields: (t) => ({
    ...newSessionFields(t),
    message: t.string({
      description:
        'A question that waits for its answer, at most 200,000 characters: `sendChatMessage` with it as `parent.messageId` answers it.',
    }),
    systemPrompt: t.string({
      description: 'Standing instructions instead of the agent’s, in this session alone; at most 20,000 characters.',
    }),
    taskPrompt: t.string({
      description:
        'What is said behind every question instead of the agent’s, in this session alone; at most 20,000 characters.',
    }),
  }),
});

const SeedChatSessionPayload = builder.objectRef<SeededSession>('SeedChatSessionPayload').implement({
  description: 'What `seedChatSession` made.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The id of the session.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The question that waits for its answer; null when none was given.',
    }),
    url: t.exposeString('url', { description: 'Where its owner goes on with it.' }),
  }),
});

builder.mutationField('seedChatSession', (t) =>
  t.field({
    type: SeedChatSessionPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Creates a session of one’s own with a question that waits for its answer, and prompts of its own.',
    args: { input: t.arg({ type: SeedChatSessionInput, required: true, description: 'The session to make.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.seeds.seed(signedIn(principal), { ...input, agentId: input.agentId ?? undefined }),
  }),
);
