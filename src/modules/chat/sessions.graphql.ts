import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder, type SchemaTypes } from '../../graphql/builder.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { cut, maxPage } from '../../paging.ts';
import { Project } from '../projects/projects.graphql.ts';
import { seesProject } from '../projects/projects.service.ts';
import { chatMessageOrder, chatSessionOrder, seesSession } from './chat.service.ts';
import { ChatMessageConnection } from './messages.graphql.ts';

export type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];
type PayloadFields = PothosSchemaTypes.ObjectFieldBuilder<
  PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>,
  ChatSessionRow
>;

export const SharingStatus = builder.enumType('SharingStatus', {
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
    slug: t.string({
      description: 'Its name in URLs and in `ChatReferenceInput`: its slug, or its id where it was given none.',
      select: { id: true, slug: true },
      resolve: ({ id, slug }) => slug ?? id,
    }),
    number: t.exposeInt('databaseId', { description: 'The integer id by which the AnythingLLM paths know it.' }),
    ownerNumber: t.int({
      nullable: true,
      description: 'The integer id by which the AnythingLLM paths know who it belongs to; null for a key.',
      select: { user: { select: { databaseId: true, accountType: true } } },
      resolve: ({ user }) => (user.accountType === 'STANDARD' ? user.databaseId : null),
    }),
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
    agentIconName: t.string({
      nullable: true,
      description: 'The name of the icon of its agent; null when the agent has none.',
      select: { agent: { select: { iconName: true } } },
      resolve: ({ agent }) => agent.iconName,
    }),
    agentIsFeatured: t.boolean({
      description: 'Whether its agent is shown first.',
      select: { agent: { select: { isFeatured: true } } },
      resolve: ({ agent }) => agent.isFeatured,
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
    model: t.exposeString('model', {
      nullable: true,
      description: 'The model that answers in it; null for the agent’s, or the server’s own.',
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: 'How much chance there is in its answers, 0 to 2; null for the agent’s, or the model’s own.',
    }),
    reasoningEffort: t.expose('reasoningEffort', {
      type: ReasoningEffort,
      nullable: true,
      description: 'How much the model thinks before it answers; null for its own.',
    }),
    systemPrompt: t.string({
      nullable: true,
      description:
        'Its standing instructions instead of the agent’s; null for those, and for who reads a session that somebody shared.',
      select: { systemPrompt: true, userId: true, projectId: true, project: { select: { ownerId: true } } },
      resolve: (session, _args, { principal }) =>
        seesSession(signedIn(principal), session) ? session.systemPrompt : null,
    }),
    taskPrompt: t.string({
      nullable: true,
      description:
        'What is said behind every question instead of the agent’s; null for that, and for who reads a session that somebody shared.',
      select: { taskPrompt: true, userId: true, projectId: true, project: { select: { ownerId: true } } },
      resolve: (session, _args, { principal }) =>
        seesSession(signedIn(principal), session) ? session.taskPrompt : null,
    }),
    currentRunId: t.field({
      type: 'UUID',
      nullable: true,
      description: 'The answer under way, for `chatRun`; null when there is none.',
      select: { runs: { where: { status: 'RUNNING' }, select: { id: true }, take: 1 } },
      resolve: ({ runs }) => runs[0]?.id ?? null,
    }),
    currentRunMessageId: t.int({
      nullable: true,
      description: 'The integer id of the answer that is being written; null when there is none.',
      select: { runs: { where: { status: 'RUNNING' }, select: { messageId: true }, take: 1 } },
      resolve: ({ runs }) => runs[0]?.messageId ?? null,
    }),
    messages: t.field({
      type: ChatMessageConnection,
      authScopes: { permission: 'read:chat' },
      description: 'All messages of the tree, oldest first, the root included.',
      args: pageArgs(t.arg),
      // Loaded with the sessions, in one statement for all of them.
      select: (args, { pageLimit }, nested) => ({
        messages: nestedNodes(nested, 'ChatMessage', chatMessageOrder, chatMessageOrder.page(args, pageLimit)),
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

export const ChatSessionConnection = builder.connectionObject(
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

/** The input fields of a new session. */
export const newSessionFields = (t: InputFields) => ({
  agentId: t.int({ description: 'The integer id of its agent; 0, the built-in one, without that and `agentSlug`.' }),
  agentSlug: t.string({ description: 'The slug of its agent. Not beside `agentId`.' }),
  slug: t.string({
    description:
      'Its name in URLs, at most 255 characters, written as one; its id unless given. CONFLICT where it is taken.',
  }),
  name: t.string({ description: 'Its name; at most 500 characters.' }),
  projectId: t.int({
    description:
      'The integer id of the project it is in; none unless given. That of a token that is confined to a project is always in that.',
  }),
  model: t.string({
    description: 'The model that answers in it, one of `models`; the agent’s, or the server’s own, unless given.',
  }),
  temperature: t.float({ description: '0 to 2; the agent’s, or the model’s own, unless given.' }),
  reasoningEffort: t.field({
    type: ReasoningEffort,
    description: 'How much the model thinks first; its own unless given.',
  }),
});

export const CreateChatSessionInput = builder.inputType('CreateChatSessionInput', {
  description: 'What a new session is to be.',
  fields: newSessionFields,
});

/** The payload fields of a session: its ID, and the session itself for callers with `read:chat`. */
export const sessionPayload = (t: PayloadFields) => ({
  sessionId: t.expose('id', {
    type: 'UUID',
    description: 'Its id: all that a credential without `read:chat` learns of it.',
  }),
  chatSession: t.field({
    type: ChatSession,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'The session.',
    resolve: (session) => session,
  }),
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
    sizedFields: { sessions: ({ first }) => Math.min(Math.max(first ?? 10, 1), maxPage) },
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
