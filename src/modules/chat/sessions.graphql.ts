import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { cut } from '../../paging.ts';
import { Project } from '../projects/projects.graphql.ts';
import { seesProject } from '../projects/projects.service.ts';
import { chatMessageOrder, chatSessionOrder } from './chat.service.ts';
import { ChatMessageConnection } from './messages.graphql.ts';

const SharingStatus = builder.enumType('SharingStatus', {
  description: 'Who may read a session.',
  values: {
    PRIVATE: { description: 'Its owner.' },
    PUBLIC: { description: 'Everybody with a credential of this server who knows its id.' },
  },
});

export const ReasoningEffort = builder.enumType('ReasoningEffort', {
  description: 'How much a model is to think before it answers. Models that cannot think ignore it, or refuse.',
  values: {
    OFF: { description: 'Not at all.' },
    LOW: { description: 'A little.' },
    MEDIUM: { description: 'More.' },
    HIGH: { description: 'As much as it can.' },
  },
});

export const ChatSession = builder.prismaNode('ChatSession', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'A conversation with an agent.',
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The id that the REST paths use.' }),
    name: t.exposeString('name', {
      nullable: true,
      description: 'Its name; null until somebody gives or asks for one.',
    }),
    sharing: t.expose('sharing', { type: SharingStatus, description: 'Who may read it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it began.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When something was last said or changed.' }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was deleted, if it was.',
    }),
    agentId: t.exposeInt('agentId', { description: 'The integer id of its agent, for the query `agent`.' }),
    agentName: t.string({
      description: 'The name of its agent.',
      select: { agent: { select: { name: true } } },
      resolve: ({ agent }) => agent.name,
    }),
    ownerName: t.string({
      description: 'The name of who it belongs to.',
      select: { user: { select: { name: true } } },
      resolve: ({ user }) => user.name,
    }),
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description: 'The project that it is in; null for none, and for one that is not the caller’s.',
      select: (_args, _context, nested) => ({ project: nested() }),
      resolve: ({ project }, _args, { principal }) =>
        project && seesProject(signedIn(principal), project) ? project : null,
    }),
    currentRunId: t.field({
      type: 'UUID',
      nullable: true,
      description: 'The answer under way, for `chatRun`; null when there is none.',
      select: { runs: { where: { status: 'RUNNING' }, select: { id: true }, take: 1 } },
      resolve: ({ runs }) => runs[0]?.id ?? null,
    }),
    messages: t.field({
      type: ChatMessageConnection,
      authScopes: { permission: 'read:chat' },
      description: 'All messages of the tree, oldest first, the root included.',
      args: pageArgs(t.arg),
      // Part of the query for the sessions: however many those are, their messages are one statement.
      select: (args, { pageLimit }) => ({
        messages: chatMessageOrder.page(args, pageLimit),
        _count: { select: { messages: true } },
      }),
      resolve: (session, args, { pageLimit }) => {
        const page = cut(session.messages, chatMessageOrder.page(args, pageLimit));
        return connection(chatMessageOrder, page, args, async () => session._count.messages);
      },
    }),
  }),
});

nodeRule('ChatSession', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.chatSession.findMany({
      where: { ...visible.chatSessions(principal), id: { in: uuidIds(ids) } },
      select: { id: true },
    }),
});

const ChatSessionConnection = builder.connectionObject(
  { type: ChatSession, name: 'ChatSessionConnection', description: 'A page of sessions.' },
  { name: 'ChatSessionEdge', description: 'A session and its place in the list.' },
);

builder.prismaObjectField(Project, 'chatSessions', (t) =>
  t.field({
    type: ChatSessionConnection,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'Its chats, most recently used first, those of its tokens included.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const readable = visible.chatSessions(signedIn(principal));
      const { where, ...page } = chatSessionOrder.page(args, pageLimit);
      return {
        chatSessions: nestedNodes(nested, 'ChatSession', chatSessionOrder, {
          ...page,
          where: { AND: [readable, where] },
        }),
        _count: { select: { chatSessions: { where: readable } } },
      };
    },
    resolve: (project, args, { pageLimit }) => {
      const page = cut(project.chatSessions, chatSessionOrder.page(args, pageLimit));
      return connection(chatSessionOrder, page, args, async () => project._count.chatSessions);
    },
  }),
);

const ChatSearchResult = builder.objectRef<{ rows: ChatSessionRow[]; hasNext: boolean }>('ChatSearchResult').implement({
  description: 'Sessions that were found.',
  fields: (t) => ({
    sessions: t.field({
      type: [ChatSession],
      description: 'The page, most recently used first.',
      resolve: ({ rows }) => rows,
    }),
    hasNextPage: t.exposeBoolean('hasNext', { description: 'Whether there are more.' }),
  }),
});

export const CreateChatSessionInput = builder.inputType('CreateChatSessionInput', {
  description: 'What a new session is to be.',
  fields: (t) => ({
    agentId: t.int({ description: 'The integer id of its agent; 0, the built-in one, unless given.' }),
    name: t.string({ description: 'Its name; at most 500 characters.' }),
    projectId: t.int({
      description:
        'The integer id of the project it is in; none unless given. That of a token that is confined to a project is always in that.',
    }),
  }),
});

const UpdateChatSessionInput = builder.inputType('UpdateChatSessionInput', {
  description: 'What is to change of a session. What is left out stays.',
  fields: (t) => ({
    sessionId: t.field({ type: 'UUID', required: true, description: 'The session.' }),
    name: t.string({ description: 'Its name, at most 500 characters; null makes one from the first message.' }),
    sharing: t.field({ type: SharingStatus, description: 'Who may read it.' }),
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
    sessionId: t.field({ type: 'UUID', required: true, description: 'The session.' }),
    hard: t.boolean({ description: 'Whether it is erased with its messages instead of hidden; false unless given.' }),
  }),
});

const CreateChatSessionPayload = builder.objectRef<ChatSessionRow>('CreateChatSessionPayload').implement({
  description: 'What `createChatSession` made.',
  fields: (t) => ({
    sessionId: t.expose('id', {
      type: 'UUID',
      description: 'Its id: all that a credential without `read:chat` learns.',
    }),
    chatSession: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session.',
      resolve: (session) => session,
    }),
  }),
});

const UpdateChatSessionPayload = builder
  .objectRef<ChatSessionRow & { renamed: boolean }>('UpdateChatSessionPayload')
  .implement({
    description: 'What `updateChatSession` changed.',
    fields: (t) => ({
      sessionId: t.expose('id', { type: 'UUID', description: 'Its id.' }),
      name: t.string({
        nullable: true,
        description: 'Its name now, if the change was one of its name.',
        resolve: ({ name, renamed }) => (renamed ? name : null),
      }),
      chatSession: t.field({
        type: ChatSession,
        nullable: true,
        authScopes: { permission: 'read:chat' },
        description: 'The session.',
        resolve: (session) => session,
      }),
    }),
  });

const MoveChatSessionPayload = builder.objectRef<ChatSessionRow>('MoveChatSessionPayload').implement({
  description: 'What `moveChatSession` moved.',
  fields: (t) => ({
    sessionId: t.expose('id', { type: 'UUID', description: 'Its id.' }),
    chatSession: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session.',
      resolve: (session) => session,
    }),
  }),
});

const DeleteChatSessionPayload = builder.objectRef<{ sessionId: string }>('DeleteChatSessionPayload').implement({
  description: 'What `deleteChatSession` deleted.',
  fields: (t) => ({ deletedSessionId: t.expose('sessionId', { type: 'UUID', description: 'The id of the session.' }) }),
});

const DeleteAllChatSessionsPayload = builder.objectRef<{ count: number }>('DeleteAllChatSessionsPayload').implement({
  description: 'What `deleteAllChatSessions` deleted.',
  fields: (t) => ({ deletedCount: t.exposeInt('count', { description: 'How many sessions.' }) }),
});

builder.queryFields((t) => ({
  chatSessions: t.field({
    type: ChatSessionConnection,
    authScopes: { permission: 'read:chat' },
    description:
      'One’s own sessions, most recently used first. With `projectId` all that the caller may read in that project; for a token that is confined to one, always that.',
    args: {
      ...pageArgs(t.arg),
      agentId: t.arg.int({ description: 'Only those with this agent.' }),
      projectId: t.arg.int({ description: 'Only those in this project, those of its tokens included.' }),
      outsideProjects: t.arg.boolean({
        description:
          'Only those in no project; false unless given. To a token that is confined to a project, that counts as none.',
      }),
      before: t.arg({ type: 'DateTime', description: 'Only those last used before.' }),
      includeFailed: t.arg.boolean({
        description: 'Also old ones in which nothing was ever said; false unless given.',
      }),
    },
    resolve: async (_root, { first, after, offset, ...filter }, context, info) => {
      const { chat } = context.services;
      const principal = signedIn(context.principal);
      const args = { first, after, offset };
      const page = await chat.list(principal, filter, args, context.pageLimit, nodeQuery(context, info));
      return connection(chatSessionOrder, page, args, () => chat.count(principal, filter));
    },
  }),
  chatSession: t.prismaField({
    type: ChatSession,
    authScopes: { permission: 'read:chat' },
    description: 'One session. NOT_FOUND for what the caller may not read.',
    args: {
      id: t.arg({ type: 'UUID', required: true, description: 'Its id.' }),
      shared: t.arg.boolean({
        description: 'Whether to read it as a public one, whoever’s it is; false unless given.',
      }),
      includeDeleted: t.arg.boolean({
        description: 'Whether one’s own deleted ones are found as well; false unless given.',
      }),
    },
    resolve: (query, _root, { id, ...how }, { principal, services }) =>
      services.chat.find(signedIn(principal), id, how, query),
  }),
  searchChats: t.field({
    type: ChatSearchResult,
    authScopes: { permission: 'read:chat' },
    description:
      'The sessions that the caller may read whose name or messages hold all the words; the most recent ones for no words.',
    args: {
      query: t.arg.string({ description: 'The words; the last may be the beginning of one.' }),
      first: t.arg.int({ description: 'How many to return: 10 unless given, at most 100.' }),
      offset: t.arg.int({ description: 'How many to pass over.' }),
    },
    resolve: (_root, { query, first, offset }, { principal, services, pageLimit }) =>
      services.chat.search(
        signedIn(principal),
        query ?? '',
        { limit: Math.min(Math.max(first ?? 10, 1), pageLimit), offset: Math.max(offset ?? 0, 0) },
        {},
      ),
  }),
}));

builder.mutationFields((t) => ({
  createChatSession: t.field({
    type: CreateChatSessionPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Creates a session.',
    args: { input: t.arg({ type: CreateChatSessionInput, required: true, description: 'The session to make.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.chat.create(signedIn(principal), { ...input, agentId: input.agentId ?? undefined }),
  }),
  updateChatSession: t.field({
    type: UpdateChatSessionPayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Renames, shares or unshares one of one’s own sessions, or of one’s own project’s. A name that is made from what was said needs `read:chat` too.',
    args: { input: t.arg({ type: UpdateChatSessionInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { sessionId, ...change } }, { principal, services }) => ({
      ...(await services.chat.update(signedIn(principal), sessionId, change)),
      renamed: change.name !== undefined,
    }),
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
    resolve: async (_root, { input: { sessionId, hard } }, { principal, services }) => {
      await services.chat.delete(signedIn(principal), sessionId, { hard: hard ?? false });
      return { sessionId };
    },
  }),
  deleteAllChatSessions: t.field({
    type: DeleteAllChatSessionsPayload,
    authScopes: { permission: 'manage:chat' },
    description: 'Hides all of one’s own sessions.',
    resolve: async (_root, _args, { principal, services }) => ({
      count: await services.chat.deleteAll(signedIn(principal)),
    }),
  }),
}));
