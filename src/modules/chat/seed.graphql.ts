import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import type { SeededSession } from './seed.service.ts';
import { ReasoningEffort } from './sessions.graphql.ts';

const SeedChatSessionInput = builder.inputType('SeedChatSessionInput', {
  description: 'What a session is to begin with.',
  fields: (t) => ({
    agentId: t.int({ description: 'The integer id of its agent; 0, the built-in one, unless given.' }),
    name: t.string({ description: 'Its name; at most 500 characters.' }),
    projectId: t.int({
      description:
        'The integer id of the project it is in; none unless given. That of a token that is confined to a project is always in that.',
    }),
    message: t.string({
      description:
        'A question that waits for its answer, at most 200,000 characters: `sendChatMessage` with it as `parentMessageId` has it answered.',
    }),
    model: t.string({ description: 'The model that answers in it, one of `models`; the server’s own unless given.' }),
    temperature: t.float({ description: '0 to 2; the model’s own unless given.' }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'How much the model thinks first; its own unless given.',
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
