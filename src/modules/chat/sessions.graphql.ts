import type { GraphQLResolveInfo } from 'graphql';
import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder, type SchemaTypes } from '../../graphql/builder.ts';
import { type ArgBuilder, connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId, uuidId } from '../../graphql/id-input.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { loadRelated } from '../../graphql/related.ts';
import type { PageArgs } from '../../paging.ts';
import { chatSessionOrders, type SessionFilter, seesSession } from './session-lists.ts';

export type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];
type PayloadFields = PothosSchemaTypes.ObjectFieldBuilder<
  PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>,
  ChatSessionRow
>;
type Id = string | number;

export const SharingStatus = builder.enumType('SharingStatus', {
  description: 'The users who can read a session.',
  values: {
    PRIVATE: { description: 'Only the owner of the session.' },
    PUBLIC: { description: 'Every user of this server who knows the ID of the session.' },
  },
});

export const ReasoningEffort = builder.enumType('ReasoningEffort', {
  description:
    'How much a model reasons before it answers. Models without reasoning ignore the value or reject the request.',
  values: {
    OFF: { description: 'The model does not reason.' },
    LOW: { description: 'The model reasons briefly.' },
    MEDIUM: { description: 'The model reasons moderately.' },
    HIGH: { description: 'The model reasons as much as it can.' },
  },
});

const ChatSessionOrder = orderInput('ChatSession', chatSessionOrders, {
  UPDATED_AT: 'The time of the last message or change.',
  CREATED_AT: 'The time at which the session was created.',
  NAME: 'The name of the session; sessions without a name are last.',
});

/** The arguments of a list of sessions. */
export const sessionListArgs = (arg: ArgBuilder) => ({
  ...pageArgs(arg),
  orderBy: arg({
    type: ChatSessionOrder,
    description: 'Order of the sessions. Defaults to the most recently used session first.',
  }),
});

export const ChatSession = builder.prismaNode('ChatSession', {
  id: { field: 'id', description: 'The global ID of the session.' },
  nullable: true,
  description: 'A conversation with an agent.',
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The UUID that the REST paths use.' }),
    slug: t.string({
      description: 'The name of the session in URLs and in `ChatReferenceInput`. Defaults to its UUID.',
      select: { id: true, slug: true },
      resolve: ({ id, slug }) => slug ?? id,
    }),
    number: t.exposeInt('databaseId', { description: 'The integer ID that the AnythingLLM paths use.' }),
    name: t.exposeString('name', {
      nullable: true,
      description: 'The name of the session; null until a client sets or generates one.',
    }),
    sharing: t.expose('sharing', { type: SharingStatus, description: 'The users who can read the session.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the session was created.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'The time of the last message or change of the session.',
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the session was deleted; null for an existing session.',
    }),
    agentId: t.exposeInt('agentId', {
      description: 'The integer `databaseId` of the agent, for callers without `read:agents` and for deleted agents.',
    }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The model that answers in the session; null for the model of the agent or the server.',
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: 'The sampling temperature of the answers, 0 to 2; null for that of the agent or the model.',
    }),
    reasoningEffort: t.expose('reasoningEffort', {
      type: ReasoningEffort,
      nullable: true,
      description: 'How much the model reasons before it answers; null for the default of the model.',
    }),
    systemPrompt: t.string({
      nullable: true,
      description:
        'The instructions that replace those of the agent in this session; null without any, and for readers of a session that another user shared.',
      select: { systemPrompt: true, userId: true, projectId: true, project: { select: { ownerId: true } } },
      resolve: (session, _args, { principal }) =>
        seesSession(signedIn(principal), session) ? session.systemPrompt : null,
    }),
    taskPrompt: t.string({
      nullable: true,
      description:
        'The text that follows every question instead of that of the agent; null without any, and for readers of a session that another user shared.',
      select: { taskPrompt: true, userId: true, projectId: true, project: { select: { ownerId: true } } },
      resolve: (session, _args, { principal }) =>
        seesSession(signedIn(principal), session) ? session.taskPrompt : null,
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

/** The related objects of a list, each loaded with one statement; null when the caller cannot read them. */
export const agentOf = (id: number, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.agents(signedIn(context.principal), ids, query),
  );
export const sessionOf = (id: string | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.sessions(signedIn(context.principal), ids, query),
  );
export const messageOf = (id: number | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.messages(signedIn(context.principal), ids, query),
  );

export const ChatSessionEdge = builder.edgeObject({
  type: ChatSession,
  name: 'ChatSessionEdge',
  description: 'A session and its cursor in a list.',
});
export const ChatSessionConnection = builder.connectionObject(
  { type: ChatSession, name: 'ChatSessionConnection', description: 'A page of a list of sessions.' },
  ChatSessionEdge,
);

const ChatSessionFilter = builder.inputType('ChatSessionFilter', {
  description: 'Conditions on a list of sessions; all that are set must be met.',
  fields: (t) => ({
    search: t.string({
      description:
        'Words that the name or the messages of the session contain; the last word can be a prefix. Also finds sessions of other users in the caller’s projects. Finds at most the 10,000 most recently used sessions.',
    }),
    agentId: t.id({ description: 'Returns only sessions with this agent, by global ID or integer `databaseId`.' }),
    projectId: t.id({
      description:
        'Returns the sessions of this project, by global ID or integer `databaseId`, including those of its tokens.',
    }),
    outsideProjects: t.boolean({
      description:
        'If true, returns only sessions without a project. A token that is restricted to a project still returns the sessions of its project. Defaults to false.',
    }),
    updatedBefore: t.field({ type: 'DateTime', description: 'Returns only sessions last used before this time.' }),
    includeFailed: t.boolean({
      description: 'If true, also returns sessions older than five minutes without messages. Defaults to false.',
    }),
  }),
});

/** The input fields of a new session. */
export const newSessionFields = (t: InputFields) => ({
  agentId: t.id({
    description:
      'The agent of the session, by global ID or integer `databaseId`. Defaults to the built-in agent. Cannot be combined with `agentSlug`.',
  }),
  agentSlug: t.string({ description: 'The slug of the agent. Cannot be combined with `agentId`.' }),
  slug: t.string({
    description:
      'The name of the session in URLs, at most 255 characters, converted to a slug. Defaults to the UUID of the session. CONFLICT when the slug is in use.',
  }),
  name: t.string({ description: 'The name of the session; at most 500 characters.' }),
  projectId: t.id({
    description:
      'The project of the session, by global ID or integer `databaseId`. Defaults to no project; for a token that is restricted to a project, to that project.',
  }),
  model: t.string({
    description:
      'The model that answers in the session, one of `models`. Defaults to the model of the agent or the server.',
  }),
  temperature: t.float({
    description: 'The sampling temperature of the answers, 0 to 2. Defaults to that of the agent or the model.',
  }),
  reasoningEffort: t.field({
    type: ReasoningEffort,
    description: 'How much the model reasons before it answers. Defaults to that of the model.',
  }),
});

type Given<Input> = Input & { agentId?: Id | null | undefined; projectId?: Id | null | undefined };

/**
 * Replaces the IDs of agent and project in an input or a filter with database IDs. Throws BAD_USER_INPUT for an ID of another
 * type.
 */
export const withDatabaseIds = <Input extends object>(
  { agentId, projectId, ...input }: Given<Input>,
  path = ['input'],
) => ({
  ...input,
  agentId: agentId == null ? null : integerId(agentId, 'Agent', [...path, 'agentId']),
  projectId: projectId == null ? null : integerId(projectId, 'Project', [...path, 'projectId']),
});

export const CreateChatSessionInput = builder.inputType('CreateChatSessionInput', {
  description: 'Input for `createChatSession`, and for the new session of a message.',
  fields: newSessionFields,
});

/** The payload fields of a session: its UUID, and the session itself for callers with `read:chat`. */
export const sessionPayload = (t: PayloadFields) => ({
  sessionId: t.expose('id', {
    type: 'UUID',
    description: 'The UUID of the session, for callers without `read:chat`.',
  }),
  session: t.field({
    type: ChatSession,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'The session after the change.',
    resolve: (session) => session,
  }),
});

export const newSessionEdge = (session: ChatSessionRow) => edge(chatSessionOrders.default, session);

type Listed = Omit<SessionFilter, 'agentId' | 'projectId'> & {
  agentId?: Id | null | undefined;
  projectId?: Id | null | undefined;
};
type ListArgs = PageArgs & { orderBy?: Parameters<typeof chatSessionOrders.of>[0] };

async function sessionList({ orderBy, ...args }: ListArgs, given: Listed, context: Context, info: GraphQLResolveInfo) {
  const { chat } = context.services;
  const principal = signedIn(context.principal);
  const filter = withDatabaseIds(given, ['filter']);
  const order = chatSessionOrders.of(orderBy);
  const page = await chat.list(principal, filter, {
    order,
    args,
    limit: context.pageLimit,
    query: nodeQuery(context, info),
  });
  return connection(order, page, args, () => chat.count(principal, filter));
}

builder.queryFields((t) => ({
  chatSessions: t.field({
    type: ChatSessionConnection,
    authScopes: { permission: 'read:chat' },
    description:
      'The sessions of the caller; with `filter.projectId`, the sessions of that project that the caller can read. A token that is restricted to a project lists the sessions of its project.',
    args: {
      ...sessionListArgs(t.arg),
      filter: t.arg({ type: ChatSessionFilter, description: 'Conditions on the sessions.' }),
    },
    resolve: (_root, { filter, ...args }, context, info) => sessionList(args, filter ?? {}, context, info),
  }),
  chatSession: t.withAuth({ permission: 'read:chat' }).prismaField({
    type: ChatSession,
    description: 'Returns a session. NOT_FOUND for a session that the caller cannot read.',
    args: {
      id: t.arg.id({ required: true, description: 'The session, by global ID or UUID.' }),
      shared: t.arg.boolean({
        description:
          'If true, also finds a public session of another user; FORBIDDEN for a private one. Defaults to false.',
      }),
      includeDeleted: t.arg.boolean({
        description: 'If true, also finds deleted sessions of the caller. Defaults to false.',
      }),
    },
    resolve: (query, _root, { id, ...how }, { principal, services }) =>
      services.chat.find(principal, uuidId(id, 'ChatSession', ['id']), how, query),
  }),
}));
