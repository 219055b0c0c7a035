import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { cut } from '../../paging.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { Project } from '../projects/projects.graphql.ts';
import { seesProject } from '../projects/projects.service.ts';
import { chatMessageOrder, chatSessionOrder } from './chat.service.ts';
import { withoutCitations } from './citations.ts';
import { type Answered, collect } from './collect.ts';
import { ChatTurnEvent, Citation } from './events.graphql.ts';
import type { NumberedHit } from './events.ts';

const SharingStatus = builder.enumType('SharingStatus', {
  description: 'Who may read a session.',
  values: {
    PRIVATE: { description: 'Its owner.' },
    PUBLIC: { description: 'Everybody with a credential of this server who knows its id.' },
  },
});

const MessageRole = builder.enumType('MessageRole', {
  description: 'Who says a message.',
  values: {
    SYSTEM: { description: 'Nobody: the empty root of the tree.' },
    USER: { description: 'The user.' },
    ASSISTANT: { description: 'The model.' },
  },
});

const MessageStatus = builder.enumType('MessageStatus', {
  description: 'Whether a message is whole.',
  values: {
    STREAMING: { description: 'It is being written.' },
    COMPLETE: { description: 'It is whole.' },
    STOPPED: { description: 'Somebody stopped it; what was said is kept.' },
    FAILED: { description: 'The model failed; what was said is kept.' },
    INTERRUPTED: { description: 'The server stopped meanwhile; what was said is kept.' },
  },
});

const ChatMessage = builder.prismaNode('ChatMessage', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'A node of a session’s message tree.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session.' }),
    parentId: t.exposeInt('parentId', { nullable: true, description: 'The message it hangs from; null for the root.' }),
    latestChildId: t.exposeInt('latestChildId', {
      nullable: true,
      description: 'The next message of the current branch.',
    }),
    role: t.expose('role', { type: MessageRole, description: 'Who says it.' }),
    status: t.expose('status', { type: MessageStatus, description: 'Whether it is whole.' }),
    text: t.exposeString('text', { description: 'What it says, Markdown; citations are `[[n]](link)`.' }),
    reasoning: t.exposeString('reasoning', { nullable: true, description: 'What the model thought.' }),
    error: t.exposeString('error', { nullable: true, description: 'Why it is not whole.' }),
    citations: t.field({
      type: [Citation],
      description: 'The numbers in its text.',
      resolve: async (message, _args, { principal, services }) => {
        const { citations } = await services.chat.references(signedIn(principal), message);
        return citations as unknown as { number: number; documentId: string }[];
      },
    }),
    documents: t.field({
      type: [SearchHit],
      description: 'The passages it was given, best first.',
      resolve: async (message, _args, { principal, services }) =>
        storedHits((await services.chat.references(signedIn(principal), message)).passages),
    }),
    searchQuery: t.exposeString('searchQuery', {
      nullable: true,
      description: 'What was searched for; null when nothing was.',
    }),
    model: t.exposeString('model', { nullable: true, description: 'The model that said it.' }),
    durationMs: t.exposeInt('durationMs', { nullable: true, description: 'How long the turn took, in milliseconds.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

/** Passages as the database keeps them: JSON, in which a date is text. */
const storedHits = (passages: unknown): NumberedHit[] =>
  (passages as (Omit<NumberedHit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

const ChatMessageConnection = builder.connectionObject(
  { type: ChatMessage, name: 'ChatMessageConnection', description: 'A page of messages.' },
  { name: 'ChatMessageEdge', description: 'A message and its place in the list.' },
);

const ChatSession = builder.prismaNode('ChatSession', {
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

nodeRule('ChatMessage', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.chatMessage.findMany({
      where: { ...visible.chatMessages(principal), id: { in: integerIds(ids) } },
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

const CreateChatSessionInput = builder.inputType('CreateChatSessionInput', {
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

const StopChatRunInput = builder.inputType('StopChatRunInput', {
  description: 'Which session is to stop answering.',
  fields: (t) => ({ sessionId: t.field({ type: 'UUID', required: true, description: 'The session.' }) }),
});

const SearchTagInput = builder.inputType('SearchTagInput', {
  description: 'A piece of metadata that a document must have.',
  fields: (t) => ({
    key: t.string({ required: true, description: 'Its name.' }),
    value: t.string({ required: true, description: 'Its value, or one of its values.' }),
  }),
});

const SearchFiltersInput = builder.inputType('SearchFiltersInput', {
  description: 'Which documents a turn may use.',
  fields: (t) => ({
    sources: t.stringList({ description: 'Only from these sources.' }),
    since: t.field({ type: 'DateTime', description: 'Only those changed since.' }),
    tags: t.field({ type: [SearchTagInput], description: 'Only those that have all of these.' }),
  }),
});

const SendChatMessageInput = builder.inputType('SendChatMessageInput', {
  description: 'A message to an agent, and how to answer it.',
  fields: (t) => ({
    message: t.string({ required: true, description: 'What to say; at most 200,000 characters.' }),
    sessionId: t.field({ type: 'UUID', description: 'The session to go on with; a new one unless given.' }),
    newSession: t.field({
      type: CreateChatSessionInput,
      description: 'What the new session is to be. Not beside `sessionId`.',
    }),
    parentMessageId: t.int({
      description:
        'Where in the tree: -1, the default, goes on after the last message; null starts over; the id of an answer branches there; the id of a question has it answered anew.',
      defaultValue: -1,
    }),
    additionalContext: t.string({ description: 'Said to the model with this turn, and not kept.' }),
    includeCitations: t.boolean({ description: 'Whether the answer cites; true unless given.' }),
    temperature: t.float({ description: '0 to 2; the model’s own unless given.' }),
    actionIds: t.intList({
      description: 'Only these of the agent’s actions; none for an empty list, all unless given.',
    }),
    filters: t.field({ type: SearchFiltersInput, description: 'Which documents it may use.' }),
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

const StopChatRunPayload = builder.objectRef<{ stopped: boolean }>('StopChatRunPayload').implement({
  description: 'What `stopChatRun` did.',
  fields: (t) => ({ stopped: t.exposeBoolean('stopped', { description: 'Whether there was anything to stop.' }) }),
});

const TurnFailure = builder.objectRef<NonNullable<Answered['failure']>>('TurnFailure').implement({
  description: 'Why a turn failed.',
  fields: (t) => ({
    code: t.exposeString('code', { description: '`UPSTREAM_FAILED`, `RATE_LIMITED`, `TIMEOUT` or `INTERNAL`.' }),
    message: t.exposeString('message', { description: 'What went wrong, in words.' }),
    retryable: t.exposeBoolean('retryable', { description: 'Whether trying again may help.' }),
  }),
});

const SendChatMessagePayload = builder.objectRef<Answered>('SendChatMessagePayload').implement({
  description: 'The whole answer. A failed turn is an answer too: `failure` says why, and `answer` what had been said.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session.' }),
    runId: t.expose('runId', { type: 'UUID', description: 'The run.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The question; null when an answer was made anew.',
    }),
    assistantMessageId: t.exposeInt('assistantMessageId', { description: 'The answer.' }),
    answer: t.exposeString('answer', { description: 'What was said, Markdown; citations are `[[n]](link)`.' }),
    answerWithoutCitations: t.string({
      description: 'The same without them.',
      resolve: ({ answer, citations }) => withoutCitations(answer, citations),
    }),
    reasoning: t.exposeString('reasoning', { nullable: true, description: 'What the model thought.' }),
    citations: t.field({
      type: [Citation],
      description: 'The numbers in the answer.',
      resolve: ({ citations }) => citations,
    }),
    documents: t.field({
      type: [SearchHit],
      description: 'The passages it was given, best first.',
      resolve: ({ documents }) => documents,
    }),
    searchQueries: t.exposeStringList('searchQueries', { description: 'What was searched for.' }),
    stopped: t.exposeBoolean('stopped', { description: 'Whether somebody stopped it.' }),
    failure: t.field({
      type: TurnFailure,
      nullable: true,
      description: 'Why it failed, if it did.',
      resolve: ({ failure }) => failure,
    }),
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
  sendChatMessage: t.field({
    type: SendChatMessagePayload,
    authScopes: { permission: 'write:chat' },
    description: 'Sends a message and waits for the whole answer. CONFLICT while the session is still answering.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message.' }) },
    resolve: async (_root, { input }, { principal, services, signal }) =>
      collect(await services.turns.start(signedIn(principal), sendable(input)), signal),
  }),
  stopChatRun: t.field({
    type: StopChatRunPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Stops what one of one’s own sessions is saying; what was said is kept.',
    args: { input: t.arg({ type: StopChatRunInput, required: true, description: 'The session.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      stopped: await services.turns.stop(signedIn(principal), input.sessionId),
    }),
  }),
}));

builder.subscriptionFields((t) => ({
  chatTurn: t.field({
    type: ChatTurnEvent,
    authScopes: { permission: 'write:chat' },
    description:
      'Sends a message and streams what happens. The run goes on when the reader leaves. CONFLICT while the session is still answering.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message.' }) },
    subscribe: async (_root, { input }, { principal, services, signal }) => {
      const reader = signedIn(principal);
      const { run } = await services.turns.start(reader, sendable(input));
      return services.turns.read(reader, run, 0, signal);
    },
    resolve: (event) => event,
  }),
  chatRun: t.field({
    type: ChatTurnEvent,
    authScopes: { permission: 'read:chat' },
    description:
      'The events of a run of a session that the caller may read, under way or over for less than five minutes.',
    args: {
      runId: t.arg({ type: 'UUID', required: true, description: 'The run, from `ChatMessageIds`.' }),
      from: t.arg.int({ description: 'The index of the first event to read; 0 unless given.' }),
    },
    subscribe: async (_root, { runId, from }, { principal, services: { turns }, signal }) => {
      const reader = signedIn(principal);
      return turns.read(reader, await turns.run(reader, runId), Math.max(from ?? 0, 0), signal);
    },
    resolve: (event) => event,
  }),
}));

/** A GraphQL input in the service's terms: a null that stands for nothing is left out, the parent's is not. */
function sendable({
  newSession,
  includeCitations,
  parentMessageId,
  ...input
}: typeof SendChatMessageInput.$inferInput): Parameters<import('./turn.ts').TurnService['start']>[1] {
  return {
    ...input,
    ...(newSession && { newSession: { ...newSession, agentId: newSession.agentId ?? undefined } }),
    ...(parentMessageId !== undefined && { parentMessageId }),
    includeCitations: includeCitations ?? true,
  };
}
