import { signedIn } from '../../authz/principal.ts';
import type { Context } from '../../context.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { globalId, integerId, uuidId } from '../../graphql/id-input.ts';
import { ChatReferenceInput, chatReference } from './chat-locator.graphql.ts';
import {
  ChatSessionEdge,
  CreateChatSessionInput,
  type InputFields,
  newSessionEdge,
  ReasoningEffort,
  SharingStatus,
  sessionPayload,
  withDatabaseIds,
} from './sessions.graphql.ts';

const ChatSessionLocatorInput = builder.inputType('ChatSessionLocatorInput', {
  isOneOf: true,
  description: 'A session, by its ID or as a chat with an agent. Exactly one field is given.',
  fields: (t) => ({
    id: t.id({ description: 'The session, by global ID or UUID.' }),
    chat: t.field({ type: ChatReferenceInput, description: 'The session, as a chat with an agent.' }),
  }),
});

/** Returns the input field that identifies a session. */
const sessionLocator = (t: InputFields) => ({
  session: t.field({
    type: ChatSessionLocatorInput,
    required: true,
    description: 'The session, by its ID or as a chat with an agent.',
  }),
});

type Locator = {
  id?: string | number | null | undefined;
  chat?: Parameters<typeof chatReference>[0] | null | undefined;
};

/**
 * Returns the UUID of the session that an input identifies. Throws BAD_USER_INPUT for an ID of another type, and
 * NOT_FOUND for a chat that the caller cannot use.
 */
async function sessionIdOf({ id, chat }: Locator, { principal, services }: Context): Promise<string> {
  const path = ['input', 'session'];
  if (chat != null) return services.chat.identify(signedIn(principal), chatReference(chat, [...path, 'chat']));
  return uuidId(id ?? '', 'ChatSession', [...path, 'id']);
}

const clearChatSession = clearField('ClearableChatSessionField', {
  model: 'Resets the model to that of the agent or the server.',
  temperature: 'Resets the temperature to that of the agent or the model.',
  reasoningEffort: 'Resets the reasoning effort to that of the model.',
});

const UpdateChatSessionInput = builder.inputType('UpdateChatSessionInput', {
  description: 'Input for `updateChatSession`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...sessionLocator(t),
    name: t.string({ description: 'The new name; at most 500 characters.' }),
    generateName: t.boolean({
      description:
        'If true, names the session after its first message, which requires `read:chat`. Cannot be combined with `name`.',
    }),
    sharing: t.field({ type: SharingStatus, description: 'The users who can read the session.' }),
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
    sessionId: t.id({ required: true, description: 'The session to move, by global ID or UUID.' }),
    projectId: t.id({
      description: 'The project that the session moves into, by global ID or integer `databaseId`.',
    }),
    clear: clearPlacement(t),
  }),
});

const DeleteChatSessionInput = builder.inputType('DeleteChatSessionInput', {
  description: 'Input for the mutation `deleteChatSession`.',
  fields: (t) => ({
    ...sessionLocator(t),
    hard: t.boolean({
      description: 'If true, erases the session and its messages instead of hiding them. Defaults to false.',
    }),
  }),
});

const CreateChatSessionPayload = builder.objectRef<ChatSessionRow>('CreateChatSessionPayload').implement({
  description: 'Result of `createChatSession`. Its scalar fields are for callers without `read:chat`.',
  fields: (t) => ({
    ...sessionPayload(t),
    chatSessionEdge: t.field({
      type: ChatSessionEdge,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The created session with its cursor, for clients that add it to a list.',
      resolve: (session) => newSessionEdge(session),
    }),
    slug: t.string({
      description: 'The name of the session in URLs and in `ChatReferenceInput`.',
      resolve: ({ id, slug }) => slug ?? id,
    }),
    number: t.exposeInt('databaseId', {
      description: 'The integer ID of the session that the AnythingLLM paths use.',
    }),
    agentId: t.exposeInt('agentId', { description: 'The integer `databaseId` of the agent of the session.' }),
    name: t.exposeString('name', { nullable: true, description: 'The name of the session; null without a name.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'The time at which the session was created.',
    }),
  }),
});

const UpdateChatSessionPayload = builder
  .objectRef<ChatSessionRow & { renamed: boolean }>('UpdateChatSessionPayload')
  .implement({
    description: 'Result of the mutation `updateChatSession`.',
    fields: (t) => ({
      ...sessionPayload(t),
      name: t.string({
        nullable: true,
        description: 'The new name, for callers without `read:chat`; null when the update did not change the name.',
        resolve: ({ name, renamed }) => (renamed ? name : null),
      }),
    }),
  });

const MoveChatSessionPayload = builder.objectRef<ChatSessionRow>('MoveChatSessionPayload').implement({
  description: 'Result of the mutation `moveChatSession`.',
  fields: sessionPayload,
});

const DeleteChatSessionPayload = builder.objectRef<{ sessionId: string }>('DeleteChatSessionPayload').implement({
  description: 'Result of the mutation `deleteChatSession`.',
  fields: (t) => ({
    deletedChatSessionId: t.id({
      description: 'The global ID of the deleted session.',
      resolve: ({ sessionId }) => globalId('ChatSession', sessionId),
    }),
  }),
});

const DeleteAllChatSessionsPayload = builder.objectRef<{ ids: string[] }>('DeleteAllChatSessionsPayload').implement({
  description: 'Result of the mutation `deleteAllChatSessions`.',
  fields: (t) => ({
    deletedChatSessionIds: t.idList({
      description: 'The global IDs of the deleted sessions.',
      resolve: ({ ids }) => ids.map((id) => globalId('ChatSession', id)),
    }),
    deletedCount: t.int({ description: 'The number of deleted sessions.', resolve: ({ ids }) => ids.length }),
  }),
});

builder.mutationFields((t) => ({
  createChatSession: t.withAuth({ permission: 'write:chat' }).field({
    type: CreateChatSessionPayload,
    description: 'Creates a session of the caller with an agent.',
    args: { input: t.arg({ type: CreateChatSessionInput, required: true, description: 'The session to create.' }) },
    resolve: (_root, { input }, { principal, services }) => services.chat.create(principal, withDatabaseIds(input)),
  }),
  updateChatSession: t.withAuth({ permission: 'manage:chat' }).field({
    type: UpdateChatSessionPayload,
    description:
      'Renames, shares or unshares a session of the caller or of one of the caller’s projects, and sets the model that answers in it and the options of that model. `generateName` also requires `read:chat`.',
    args: {
      input: t.arg({ type: UpdateChatSessionInput, required: true, description: 'The session and the changes.' }),
    },
    resolve: async (_root, { input: { session: locator, ...change } }, context) => {
      const id = await sessionIdOf(locator, context);
      const session = await context.services.chat.update(context.principal, id, change);
      return { ...session, renamed: change.name != null || change.generateName === true };
    },
  }),
  moveChatSession: t.withAuth({ permission: 'manage:chat' }).field({
    type: MoveChatSessionPayload,
    description:
      'Moves a session of the caller into one of the caller’s projects, or out of its project. A token that is restricted to a project cannot move a session out of it.',
    args: {
      input: t.arg({ type: MoveChatSessionInput, required: true, description: 'The session and its new project.' }),
    },
    resolve: (_root, { input: { sessionId, projectId, clear } }, { principal, services }) =>
      services.chat.move(principal, uuidId(sessionId, 'ChatSession', ['input', 'sessionId']), {
        projectId: projectId == null ? null : integerId(projectId, 'Project', ['input', 'projectId']),
        clear,
      }),
  }),
  deleteChatSession: t.withAuth({ permission: 'manage:chat' }).field({
    type: DeleteChatSessionPayload,
    description: 'Hides or erases a session of the caller and stops its running answer.',
    args: { input: t.arg({ type: DeleteChatSessionInput, required: true, description: 'The session to delete.' }) },
    resolve: async (_root, { input: { hard, session } }, context) => {
      const sessionId = await sessionIdOf(session, context);
      await context.services.chat.delete(context.principal, sessionId, { hard: hard ?? false });
      return { sessionId };
    },
  }),
  deleteAllChatSessions: t.withAuth({ permission: 'manage:chat' }).field({
    type: DeleteAllChatSessionsPayload,
    ownTimeLimit: true,
    description: 'Hides all sessions of the caller and stops their running answers.',
    resolve: async (_root, _args, { principal, services }) => ({
      ids: await services.chat.deleteAll(principal),
    }),
  }),
}));
