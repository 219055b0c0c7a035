import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { type AnyRow, row } from '../row.ts';
import { coded, detail, message } from './errors.ts';
import { Packet, packets, replay, TurnEvent } from './packets.ts';
import { byNumber, Passage, SavedSearchDoc, SearchDoc, savedSearchDoc, searchDoc } from './search-doc.ts';
import { everything, flag, id, isoDate, nothing } from './shapes.ts';

const tag = 'Chat';

/** What GraphQL's Int holds. */
const int32 = z.int().min(-0x8000_0000).max(0x7fff_ffff);

const timestamp = z.iso.datetime({ offset: true, local: true });
/** A time that names no zone is in UTC. */
const instant = (text: string) => new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);

const sharedStatus = z.enum(['public', 'private']);
const sessionParams = z.object({ session_id: z.uuid() });

export const SessionDetails = graphql(`
  fragment SessionDetails on ChatSession @_unmask { databaseId name agentId createdAt updatedAt sharing }
`);

export const ChatSessionDetails = z
  .object({
    id: z.uuid(),
    name: z.string().nullable(),
    persona_id: z.int().nullable(),
    time_created: z.string(),
    time_updated: z.string(),
    shared_status: sharedStatus,
    current_alternate_model: z.string().nullable(),
    current_temperature_override: z.number().nullable(),
    current_reasoning_effort_override: z.string().nullable(),
  })
  .openapi('ChatSessionDetails');

const overrides = { current_alternate_model: null, current_temperature_override: null };
const status = (sharing: 'PRIVATE' | 'PUBLIC') => (sharing === 'PUBLIC' ? ('public' as const) : ('private' as const));

export const sessionDetails = (session: ResultOf<typeof SessionDetails>): z.input<typeof ChatSessionDetails> => ({
  id: session.databaseId,
  name: session.name,
  persona_id: session.agentId,
  time_created: session.createdAt.toISOString(),
  time_updated: session.updatedAt.toISOString(),
  shared_status: status(session.sharing),
  ...overrides,
  current_reasoning_effort_override: null,
});

const ChatSessionSummary = z
  .object({
    id: z.uuid(),
    name: z.string().nullable(),
    persona_id: z.int().nullable(),
    time_created: isoDate,
    shared_status: sharedStatus,
    current_alternate_model: z.string().nullable(),
    current_temperature_override: z.number().nullable(),
  })
  .openapi('ChatSessionSummary');

const ChatSessionCreationRequest = z
  .object({
    persona_id: int32.default(0),
    description: z.string().nullish(),
    project_id: int32.nullish(),
    incognito: z.literal(false).default(false).openapi({ description: 'Incognito chats are not served: only false.' }),
  })
  .openapi('ChatSessionCreationRequest');

const LLMOverride = z
  .object({
    model_provider: z.string().nullish(),
    model_version: z.string().nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    model_configuration_id: z.int().nullish(),
    display_name: z.string().nullish(),
  })
  .openapi('LLMOverride');

const BaseFilters = z
  .object({
    source_type: z.array(z.string()).nullish(),
    document_set: z.array(z.string()).nullish(),
    time_cutoff: timestamp.nullish(),
    tags: z.array(z.object({ tag_key: z.string(), tag_value: z.string() })).nullish(),
  })
  .openapi('BaseFilters');

const SendMessageRequest = z
  .object({
    message: z.string(),
    llm_override: LLMOverride.nullish().openapi({ description: 'Of these, `temperature` has an effect.' }),
    allowed_tool_ids: z.array(int32).nullish(),
    forced_tool_id: z.int().nullish(),
    file_descriptors: z.array(z.unknown()).max(0, 'files are not served yet').default([]),
    internal_search_filters: BaseFilters.nullish(),
    deep_research: z.boolean().default(false),
    origin: z.string().default('unset'),
    parent_message_id: int32.nullable().default(-1),
    chat_session_id: z.uuid().nullish(),
    chat_session_info: ChatSessionCreationRequest.nullish(),
    stream: z.boolean().default(true),
    include_citations: z.boolean().default(true),
    additional_context: z.string().nullish(),
  })
  .refine((body) => !(body.chat_session_id && body.chat_session_info), {
    message: 'give chat_session_id or chat_session_info, not both',
    path: ['chat_session_info'],
  })
  .openapi('SendMessageRequest');

const ChatFullResponse = z
  .object({
    answer: z.string(),
    answer_citationless: z.string(),
    pre_answer_reasoning: z.string().nullable(),
    tool_calls: z.array(
      z.object({
        tool_name: z.string(),
        tool_arguments: z.record(z.string(), z.unknown()),
        tool_result: z.string(),
        search_docs: z.array(SearchDoc).nullable(),
        generated_images: z.null(),
        pre_reasoning: z.string().nullable(),
      }),
    ),
    top_documents: z.array(SearchDoc),
    citation_info: z.array(
      z.object({ type: z.literal('citation_info'), citation_number: z.int(), document_id: z.string() }),
    ),
    message_id: z.int(),
    chat_session_id: z.uuid().nullable(),
    incognito: z.boolean(),
    error_msg: z.string().nullable(),
  })
  .openapi('ChatFullResponse');

const newSession = ({ persona_id, description, project_id }: z.infer<typeof ChatSessionCreationRequest>) => ({
  agentId: persona_id,
  name: description ?? null,
  projectId: project_id ?? null,
});

const sendInput = (body: z.infer<typeof SendMessageRequest>) => ({
  input: {
    message: body.message,
    sessionId: body.chat_session_id,
    newSession: body.chat_session_info ? newSession(body.chat_session_info) : null,
    parentMessageId: body.parent_message_id,
    additionalContext: body.additional_context,
    includeCitations: body.include_citations,
    temperature: body.llm_override?.temperature,
    actionIds: body.allowed_tool_ids,
    filters: body.internal_search_filters && {
      sources: body.internal_search_filters.source_type,
      since: body.internal_search_filters.time_cutoff ? instant(body.internal_search_filters.time_cutoff) : null,
      tags: body.internal_search_filters.tags?.map(({ tag_key, tag_value }) => ({ key: tag_key, value: tag_value })),
    },
  },
});

const StoredMessage = graphql(
  `
  fragment StoredMessage on ChatMessage @_unmask {
    databaseId sessionId parentId latestChildId role status text reasoning error searchQuery model durationMs createdAt
    citations { number documentId }
    documents { ...Passage }
  }
`,
  [Passage],
);
type Message = ResultOf<typeof StoredMessage>;

const ChatMessageDetail = z
  .object({
    chat_session_id: z.uuid().nullable(),
    message_id: z.int(),
    parent_message: z.int().nullable(),
    latest_child_message: z.int().nullable(),
    message: z.string(),
    reasoning_tokens: z.string().nullable(),
    message_type: z.enum(['system', 'user', 'assistant']),
    context_docs: z.array(SavedSearchDoc).nullable(),
    citations: z.record(z.string(), z.string()).nullable(),
    time_sent: isoDate,
    files: z.array(z.unknown()),
    error: z.string().nullable(),
    current_feedback: z.enum(['like', 'dislike']).nullable(),
    processing_duration_seconds: z.number().nullable(),
    preferred_response_id: z.int().nullable(),
    model_display_name: z.string().nullable(),
  })
  .openapi('ChatMessageDetail');

/** How the contract marks an answer that somebody stopped. */
const stoppedText = (text: string): string =>
  text ? `${text} ... \n\nGeneration was stopped by the user.` : 'The generation was stopped by the user.';

const textOf = ({ status, text }: Message): string => (status === 'STOPPED' ? stoppedText(text) : text);

const messageDetail = (stored: Message): z.input<typeof ChatMessageDetail> => ({
  chat_session_id: stored.sessionId,
  message_id: stored.databaseId,
  parent_message: stored.parentId,
  latest_child_message: stored.latestChildId,
  message: textOf(stored),
  reasoning_tokens: stored.reasoning,
  message_type: stored.role.toLowerCase() as 'system' | 'user' | 'assistant',
  context_docs: stored.role === 'ASSISTANT' ? byNumber(stored.documents).map(savedSearchDoc) : null,
  citations:
    stored.role === 'ASSISTANT'
      ? Object.fromEntries(stored.citations.map(({ number, documentId }) => [number, documentId]))
      : null,
  time_sent: stored.createdAt,
  files: [],
  error: stored.error,
  current_feedback: null,
  processing_duration_seconds: stored.durationMs === null ? null : stored.durationMs / 1000,
  preferred_response_id: null,
  model_display_name: stored.model,
});

const day = 24 * 3600 * 1000;

/** The groups of the search page, by the age of a session in UTC days. */
function ageGroup(createdAt: Date, now = new Date()): string {
  const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  const days = Math.ceil((midnight - createdAt.getTime()) / day);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days <= 7) return 'This Week';
  return days <= 30 ? 'This Month' : 'Older';
}

/** Its failure has a text of its own, so it is no part of the request's shape. */
function readBefore(text: string): Date {
  if (!timestamp.safeParse(text).success) throw badInput(['query', 'before'], 'must be an ISO 8601 time');
  return instant(text);
}

const unknownSession: AnyRow['failure'] = (error) =>
  error.code === 'NOT_FOUND' ? detail(400, 'Invalid Chat Session ID provided') : null;
const unknownSessionMessage: AnyRow['failure'] = (error) =>
  error.code === 'NOT_FOUND' ? message('Invalid Chat Session ID provided') : null;

export const chatRows: AnyRow[] = [
  row({
    method: 'post',
    path: '/chat/create-chat-session',
    tag,
    summary: 'Create a chat session',
    body: ChatSessionCreationRequest,
    reply: z.object({ chat_session_id: z.uuid(), incognito: z.boolean() }).openapi('CreateChatSessionID'),
    document: graphql(
      `mutation CreateChatSession($input: CreateChatSessionInput!) { createChatSession(input: $input) { sessionId } }`,
    ),
    variables: ({ body }) => ({ input: newSession(body) }),
    output: ({ createChatSession }) => ({ chat_session_id: createChatSession.sessionId, incognito: false }),
    failure: (error) => {
      if (error.code !== 'NOT_FOUND') return null;
      const what = error.details.resource === 'Project' ? 'project' : 'persona';
      return detail(403, `User does not have access to ${what}`);
    },
  }),
  row({
    method: 'post',
    path: '/chat/send-chat-message',
    tag,
    summary: 'Send a message; the answer streams unless `stream` is false',
    body: SendMessageRequest,
    reply: ChatFullResponse,
    document: graphql(
      `mutation SendChatMessage($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) {
          sessionId assistantMessageId answer answerWithoutCitations reasoning searchQueries
          citations { number documentId }
          documents { ...Passage }
          failure { message }
        }
      }`,
      [Passage],
    ),
    variables: ({ body }) => sendInput(body),
    output: ({ sendChatMessage: turn }) => ({
      answer: turn.answer,
      answer_citationless: turn.answerWithoutCitations,
      pre_answer_reasoning: turn.reasoning,
      tool_calls: turn.searchQueries.map((query) => ({
        tool_name: 'internal_search',
        tool_arguments: { queries: [query] },
        tool_result: '',
        search_docs: turn.documents.map(searchDoc),
        generated_images: null,
        pre_reasoning: null,
      })),
      top_documents: byNumber(turn.documents).map(searchDoc),
      citation_info: turn.citations.map(({ number, documentId }) => ({
        type: 'citation_info' as const,
        citation_number: number,
        document_id: documentId,
      })),
      message_id: turn.assistantMessageId,
      chat_session_id: turn.sessionId,
      incognito: false,
      error_msg: turn.failure?.message ?? null,
    }),
    stream: {
      document: graphql(
        `subscription ChatTurn($input: SendChatMessageInput!) { chatTurn(input: $input) { ...TurnEvent } }`,
        [TurnEvent],
      ),
      when: ({ body }) => body.stream,
      packets: () => {
        const turn = packets();
        return { ...turn, of: ({ chatTurn }) => turn.of(chatTurn) };
      },
      description: 'One JSON object a line: ids first, then packets; `stop` is the last.',
    },
  }),
  row({
    method: 'post',
    path: '/chat/stop-chat-session/{chat_session_id}',
    tag,
    summary: 'Stop the answer that a session is giving',
    params: z.object({ chat_session_id: z.uuid() }),
    reply: z.object({ message: z.string() }),
    document: graphql(`mutation StopChatRun($id: UUID!) { stopChatRun(input: { sessionId: $id }) { stopped } }`),
    variables: ({ params }) => ({ id: params.chat_session_id }),
    output: () => ({ message: 'Chat session stopped' }),
    failure: (error) => (error.code === 'NOT_FOUND' ? coded(404, 'SESSION_NOT_FOUND', 'Chat session not found') : null),
  }),
  row({
    method: 'get',
    path: '/chat/get-user-chat-sessions',
    tag,
    summary: 'List one’s own sessions',
    query: z.object({
      project_id: id.optional().openapi({ description: 'All that the caller may read in this project.' }),
      only_non_project_chats: flag.default(true).openapi({
        description:
          'Without `project_id`: only chats in no project. To a project’s token, its project counts as none.',
      }),
      include_failed_chats: flag.optional(),
      page_size: z.coerce.number().int().min(1).max(100).default(50),
      before: z.string().optional().openapi({ format: 'date-time' }),
    }),
    reply: z.object({ sessions: z.array(ChatSessionDetails), has_more: z.boolean() }).openapi('ChatSessionsResponse'),
    document: graphql(
      `query ListChatSessions(
        $first: Int!, $before: DateTime, $includeFailed: Boolean, $projectId: Int, $outsideProjects: Boolean
      ) {
        chatSessions(
          first: $first, before: $before, includeFailed: $includeFailed
          projectId: $projectId, outsideProjects: $outsideProjects
        ) {
          nodes { ...SessionDetails }
          pageInfo { hasNextPage }
        }
      }`,
      [SessionDetails],
    ),
    variables: ({ query }) => ({
      first: query.page_size,
      before: query.before ? readBefore(query.before) : null,
      includeFailed: query.include_failed_chats ?? false,
      projectId: query.project_id,
      outsideProjects: query.only_non_project_chats,
    }),
    output: ({ chatSessions }) => ({
      sessions: chatSessions.nodes.map(sessionDetails),
      has_more: chatSessions.pageInfo.hasNextPage,
    }),
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? detail(422, "Invalid 'before' timestamp format") : null),
  }),
  row({
    method: 'get',
    path: '/chat/get-chat-session/{session_id}',
    tag,
    summary: 'Read a session with its messages',
    params: sessionParams,
    query: z.object({ is_shared: flag.optional(), include_deleted: flag.optional() }),
    reply: z
      .object({
        chat_session_id: z.uuid(),
        description: z.string().nullable(),
        persona_id: z.int().nullable(),
        persona_name: z.string().nullable(),
        personal_icon_name: z.string().nullable(),
        messages: z.array(ChatMessageDetail),
        time_created: isoDate,
        shared_status: sharedStatus,
        current_alternate_model: z.string().nullable(),
        current_temperature_override: z.number().nullable(),
        current_reasoning_effort_override: z.string().nullable(),
        deleted: z.boolean(),
        owner_name: z.string().nullable(),
        packets: z.array(z.array(Packet)),
        current_run: z.object({ run_id: z.uuid() }).nullable(),
        incognito: z.boolean(),
      })
      .openapi('ChatSessionDetailResponse'),
    document: graphql(
      `query GetChatSession($id: UUID!, $shared: Boolean, $includeDeleted: Boolean, $first: Int!) {
        chatSession(id: $id, shared: $shared, includeDeleted: $includeDeleted) {
          ...SessionDetails
          agentName ownerName deletedAt currentRunId
          messages(first: $first) { nodes { ...StoredMessage } }
        }
      }`,
      [SessionDetails, StoredMessage],
    ),
    variables: ({ params, query }) => ({
      id: params.session_id,
      shared: query.is_shared ?? false,
      includeDeleted: query.include_deleted ?? false,
      first: everything,
    }),
    output: ({ chatSession: session }) => {
      const messages = session.messages?.nodes ?? [];
      return {
        chat_session_id: session.databaseId,
        description: session.name,
        persona_id: session.agentId,
        persona_name: session.agentName,
        personal_icon_name: null,
        messages: messages.map(messageDetail),
        time_created: session.createdAt,
        shared_status: status(session.sharing),
        ...overrides,
        current_reasoning_effort_override: null,
        deleted: session.deletedAt !== null,
        owner_name: session.ownerName,
        packets: messages
          .filter((stored) => stored.role === 'ASSISTANT')
          .map((stored) => replay({ ...stored, text: textOf(stored) }) as z.input<typeof Packet>[]),
        current_run: session.currentRunId === null ? null : { run_id: session.currentRunId },
        incognito: false,
      };
    },
    failure: (error) => {
      if (error.code === 'NOT_FOUND') return detail(404, 'Chat session not found');
      return error.code === 'FORBIDDEN' && !error.details.requiredPermissions?.length
        ? detail(403, error.message)
        : null;
    },
  }),
  row({
    method: 'get',
    path: '/chat/search',
    tag,
    summary: 'Search one’s own sessions by title and messages',
    query: z.object({
      query: z.string().max(1000).optional(),
      page: z.coerce.number().int().min(1).max(100_000).default(1),
      page_size: z.coerce.number().int().min(1).max(100).default(10),
    }),
    reply: z
      .object({
        groups: z.array(z.object({ title: z.string(), chats: z.array(ChatSessionSummary) })),
        has_more: z.boolean(),
        next_page: z.int().nullable(),
      })
      .openapi('ChatSearchResponse'),
    document: graphql(
      `query SearchChats($query: String, $first: Int!, $offset: Int!) {
        searchChats(query: $query, first: $first, offset: $offset) { sessions { ...SessionDetails } hasNextPage }
      }`,
      [SessionDetails],
    ),
    variables: ({ query }) => ({
      query: query.query,
      first: query.page_size,
      offset: (query.page - 1) * query.page_size,
    }),
    output: ({ searchChats: { sessions, hasNextPage } }, { query }) => {
      const titles = ['Today', 'Yesterday', 'This Week', 'This Month', 'Older'];
      const groups = titles.map((title) => ({
        title,
        chats: sessions
          .filter((session) => ageGroup(session.createdAt) === title)
          .map((session) => ({
            id: session.databaseId,
            name: session.name,
            persona_id: session.agentId,
            time_created: session.createdAt,
            shared_status: status(session.sharing),
            ...overrides,
          })),
      }));
      return {
        groups: groups.filter((group) => group.chats.length > 0),
        has_more: hasNextPage,
        next_page: hasNextPage ? query.page + 1 : null,
      };
    },
  }),
  row({
    method: 'put',
    path: '/chat/rename-chat-session',
    tag,
    summary: 'Rename a session, or have it named',
    body: z.object({ chat_session_id: z.uuid(), name: z.string().max(500).nullish() }).openapi('ChatRenameRequest'),
    reply: z.object({ new_name: z.string() }).openapi('RenameChatSessionResponse'),
    document: graphql(
      `mutation RenameChatSession($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { name } }`,
    ),
    variables: ({ body }) => ({ input: { sessionId: body.chat_session_id, name: body.name ?? null } }),
    output: ({ updateChatSession }) => ({ new_name: updateChatSession.name ?? '' }),
    failure: unknownSessionMessage,
  }),
  row({
    method: 'patch',
    path: '/chat/chat-session/{session_id}',
    tag,
    summary: 'Share or unshare a session',
    params: sessionParams,
    body: z.object({ sharing_status: sharedStatus }).openapi('ChatSessionUpdateRequest'),
    reply: nothing,
    document: graphql(
      `mutation ShareChatSession($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { sessionId } }`,
    ),
    variables: ({ params, body }) => ({
      input: {
        sessionId: params.session_id,
        sharing: body.sharing_status === 'public' ? ('PUBLIC' as const) : ('PRIVATE' as const),
      },
    }),
    output: () => null,
    failure: unknownSessionMessage,
  }),
  row({
    method: 'delete',
    path: '/chat/delete-chat-session/{session_id}',
    tag,
    summary: 'Hide or erase a session',
    params: sessionParams,
    query: z.object({ hard_delete: flag.optional() }),
    reply: nothing,
    document: graphql(
      `mutation DeleteChatSession($id: UUID!, $hard: Boolean) {
        deleteChatSession(input: { sessionId: $id, hard: $hard }) { deletedSessionId }
      }`,
    ),
    variables: ({ params, query }) => ({ id: params.session_id, hard: query.hard_delete ?? false }),
    output: () => null,
    failure: unknownSession,
  }),
  row({
    method: 'delete',
    path: '/chat/delete-all-chat-sessions',
    tag,
    summary: 'Hide all of one’s own sessions',
    reply: nothing,
    document: graphql(`mutation DeleteAllChatSessions { deleteAllChatSessions { deletedCount } }`),
    variables: () => ({}),
    output: () => null,
  }),
];
