import { signedIn } from '../../authz/principal.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
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

const UpdateChatSessionInput = builder.inputType('UpdateChatSessionInput', {
  description: 'What is to change of a session. What is left out stays.',
  fields: (t) => ({
    ...whichSession(t),
    name: t.string({ description: 'Its name, at most 500 characters; null makes one from the first message.' }),
    sharing: t.field({ type: SharingStatus, description: 'Who may read it.' }),
    model: t.string({
      description: 'The model that answers in it, one of `models`; null goes back to the agent’s, or the server’s own.',
    }),
    temperature: t.float({ description: '0 to 2; null goes back to the agent’s, or the model’s own.' }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'How much the model thinks first; null goes back to its own.',
    }),
  }),
});

const MoveChatSessionInput = builder.inputType('MoveChatSessionInput', {
  description: 'Where a session goes.',
  fields: (t) => ({
    sessionId: t.field({ type: 'UUID', required: true, description: 'The session.' }),
    projectId: t.int({
      description: 'The integer id of the project to put it into; without one it is taken out of its project.',
    }),
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
      return { ...session, renamed: change.name !== undefined };
    },
  }),
  moveChatSession: t.field({
    type: MoveChatSessionPayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Puts one of one’s own sessions into a project of one’s own, or takes it out. A token that is confined to a project takes none out.',
    args: { input: t.arg({ type: MoveChatSessionInput, required: true, description: 'The move.' }) },
    resolve: (_root, { input: { sessionId, projectId } }, { principal, services }) =>
      services.chat.move(signedIn(principal), sessionId, projectId ?? null),
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
