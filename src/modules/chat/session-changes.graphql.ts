import { signedIn } from '../../authz/principal.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { ChatReferenceInput } from './reference.graphql.ts';
import {
  CreateChatSessionInput,
  type InputFields,
  ReasoningEffort,
  SharingStatus,
  sessionPayload,
} from './sessions.graphql.ts';

const whichSession = (t: InputFields) => ({
  sessionId: t.field({ type: 'UUID', description: 'The session. Needed without `chat`.' }),
  chat: t.field({ type: ChatReferenceInput, description: 'The session, by names. Not beside `sessionId`.' }),
});

const clearChatSession = clearField('ClearableChatSessionField', {
  model: 'Goes back to the model of the agent, or of the server.',
  temperature: 'Goes back to the temperature of the agent, or of the model.',
  reasoningEffort: 'Goes back to the reasoning effort of the model.',
});

const UpdateChatSessionInput = builder.inputType('UpdateChatSessionInput', {
  description: 'Input for `updateChatSession`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...whichSession(t),
    name: t.string({ description: 'The new name; at most 500 characters.' }),
    generateName: t.boolean({
      description:
        'If true, names the session after its first message, which requires `read:chat`. Cannot be combined with `name`.',
    }),
    sharing: t.field({ type: SharingStatus, description: 'The users who may read the session.' }),
    model: t.string({ description: 'The model that answers in the session, one of `models`.' }),
    temperature: t.float({ description: 'The sampling temperature of the answers, 0 to 2.' }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'How much the model reasons before it answers.',
    }),
    clear: clearChatSession(t),
  }),
});

const clearPlacement = clearField('ClearableChatSessionPlacement', {
  projectId: 'Moves the session out of its project.',
});

const MoveChatSessionInput = builder.inputType('MoveChatSessionInput', {
  description: 'Input for `moveChatSession`. Requires either `projectId` or `clear`.',
  fields: (t) => ({
    sessionId: t.field({ type: 'UUID', required: true, description: 'The session to move.' }),
    projectId: t.int({ description: 'The integer ID of the project that the session moves into.' }),
    clear: clearPlacement(t),
  }),
});

const DeleteChatSessionInput = builder.inputType('DeleteChatSessionInput', {
  description: 'Which session is deleted.',
  fields: (t) => ({
    ...whichSession(t),
    hard: t.boolean({ description: 'Whether it is erased with its messages instead of hidden; false unless given.' }),
  }),
});

const CreateChatSessionPayload = builder.objectRef<ChatSessionRow>('CreateChatSessionPayload').implement({
  description: 'What `createChatSession` made.',
  fields: (t) => ({
    ...sessionPayload(t),
    slug: t.string({
      description: 'Its name in URLs and in `ChatReferenceInput`.',
      resolve: ({ id, slug }) => slug ?? id,
    }),
    number: t.exposeInt('databaseId', { description: 'The integer id by which the AnythingLLM paths know it.' }),
    agentId: t.exposeInt('agentId', { description: 'The integer id of its agent.' }),
    name: t.exposeString('name', { nullable: true, description: 'The name that it was given.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

const UpdateChatSessionPayload = builder
  .objectRef<ChatSessionRow & { renamed: boolean }>('UpdateChatSessionPayload')
  .implement({
    description: 'What `updateChatSession` changed.',
    fields: (t) => ({
      ...sessionPayload(t),
      name: t.string({
        nullable: true,
        description: 'Its name now, if the change was one of its name.',
        resolve: ({ name, renamed }) => (renamed ? name : null),
      }),
    }),
  });

const MoveChatSessionPayload = builder.objectRef<ChatSessionRow>('MoveChatSessionPayload').implement({
  description: 'What `moveChatSession` moved.',
  fields: sessionPayload,
});

const DeleteChatSessionPayload = builder.objectRef<{ sessionId: string }>('DeleteChatSessionPayload').implement({
  description: 'What `deleteChatSession` deleted.',
  fields: (t) => ({ deletedSessionId: t.expose('sessionId', { type: 'UUID', description: 'The id of the session.' }) }),
});

const DeleteAllChatSessionsPayload = builder.objectRef<{ count: number }>('DeleteAllChatSessionsPayload').implement({
  description: 'What `deleteAllChatSessions` deleted.',
  fields: (t) => ({ deletedCount: t.exposeInt('count', { description: 'How many sessions.' }) }),
});

builder.mutationFields((t) => ({
  createChatSession: t.field({
    type: CreateChatSessionPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Creates a session.',
    args: { input: t.arg({ type: CreateChatSessionInput, required: true, description: 'The session to make.' }) },
    resolve: (_root, { input }, { principal, services }) => services.chat.create(signedIn(principal), input),
  }),
  updateChatSession: t.field({
    type: UpdateChatSessionPayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Renames, shares or unshares one of one’s own sessions, or of one’s own project’s, and sets which model answers in it and how. A name that is made from what was said needs `read:chat` too.',
    args: { input: t.arg({ type: UpdateChatSessionInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { sessionId, chat, ...change } }, { principal, services }) => {
      const id = await services.chat.identify(signedIn(principal), { sessionId, chat });
      const session = await services.chat.update(signedIn(principal), id, change);
      return { ...session, renamed: change.name != null || change.generateName === true };
    },
  }),
  moveChatSession: t.field({
    type: MoveChatSessionPayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Puts one of one’s own sessions into a project of one’s own, or takes it out. A token that is confined to a project takes none out.',
    args: { input: t.arg({ type: MoveChatSessionInput, required: true, description: 'The move.' }) },
    resolve: (_root, { input: { sessionId, ...place } }, { principal, services }) =>
      services.chat.move(signedIn(principal), sessionId, place),
  }),
  deleteChatSession: t.field({
    type: DeleteChatSessionPayload,
    authScopes: { permission: 'manage:chat' },
    description: 'Hides or erases one of one’s own sessions; an answer under way is stopped.',
    args: { input: t.arg({ type: DeleteChatSessionInput, required: true, description: 'The session.' }) },
    resolve: async (_root, { input: { hard, ...which } }, { principal, services }) => {
      const sessionId = await services.chat.identify(signedIn(principal), which);
      await services.chat.delete(signedIn(principal), sessionId, { hard: hard ?? false });
      return { sessionId };
    },
  }),
  deleteAllChatSessions: t.field({
    type: DeleteAllChatSessionsPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:chat' },
    description: 'Hides all of one’s own sessions.',
    resolve: async (_root, _args, { principal, services }) => ({
      count: await services.chat.deleteAll(signedIn(principal)),
    }),
  }),
}));
