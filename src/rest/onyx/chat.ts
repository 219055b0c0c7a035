import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, flag, id, isoDate, nothing } from '../shapes.ts';
import {
  ChatMessageDetail,
  ChatSessionCreationRequest,
  ChatSessionDetails,
  instant,
  messageDetail,
  newSession,
  overrides,
  SessionDetails,
  StoredMessage,
  sessionDetails,
  sharedStatus,
  status,
  textOf,
  timestamp,
} from './chat-shapes.ts';
import { detail, message } from './errors.ts';
import { Packet, replay } from './packets.ts';

const tag = 'Chat';
const sessionParams = z.object({ session_id: z.uuid() });

const ChatSessionSummary = z
  .object({
    id: z.uuid(),
    name: z.string().nullable(),
    persona_id: z.int().nullable(),
    time_created: isoDate,
    shared_status: sharedStatus,
    current_alternate_model: z.string().nullable(),
    current_temperature_override: z.number().nullable(),
    current_reasoning_effort_override: z.string().nullable(),
  })
  .openapi('ChatSessionSummary');

const day = 24 * 3600 * 1000;

/** Returns the group of the search page for the age of a session in UTC days. */
function ageGroup(createdAt: Date, now = new Date()): string {
  const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  const days = Math.ceil((midnight - createdAt.getTime()) / day);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days <= 7) return 'This Week';
  return days <= 30 ? 'This Month' : 'Older';
}

/** This parameter has its own error message, so it is not part of the request's schema. */
function readBefore(text: string): Date {
  if (!timestamp.safeParse(text).success) throw badInput(['query', 'before'], 'must be an ISO 8601 time');
  return instant(text);
}

type Failed = NonNullable<AnyEndpoint['failure']>;

const unknownSession: Failed = (error) =>
  error.code === 'NOT_FOUND' ? detail(400, 'Invalid Chat Session ID provided') : null;
export const unknownSessionMessage: Failed = (error) =>
  error.code === 'NOT_FOUND' ? message('Invalid Chat Session ID provided') : null;

/** Returns the response when a new session cannot be created. */
export const unknownAgent: Failed = (error) => {
  if (error.code !== 'NOT_FOUND') return null;
  const what = error.reason === 'PROJECT_NOT_FOUND' ? 'project' : 'persona';
  return detail(403, `User does not have access to ${what}`);
};

export const chatEndpoints: AnyEndpoint[] = [
  endpoint({
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
    failure: unknownAgent,
  }),
  endpoint({
    method: 'get',
    path: '/chat/get-user-chat-sessions',
    tag,
    summary: 'List the caller’s sessions',
    query: z.object({
      project_id: id
        .optional()
        .openapi({ description: 'Returns all sessions of the project with this ID that the caller can read.' }),
      only_non_project_chats: flag.default(true).openapi({
        description:
          'If true, returns only sessions without a project. Has no effect with `project_id`. A token that is restricted to a project still returns the sessions of its project. Defaults to true.',
      }),
      include_failed_chats: flag.optional(),
      page_size: z.coerce.number().int().min(1).max(100).default(50),
      before: z.string().optional().openapi({ format: 'date-time' }),
    }),
    reply: z.object({ sessions: z.array(ChatSessionDetails), has_more: z.boolean() }).openapi('ChatSessionsResponse'),
    document: graphql(
      `query ListChatSessions($first: Int!, $filter: ChatSessionFilter!) {
        chatSessions(first: $first, filter: $filter) {
          nodes { ...SessionDetails }
          pageInfo { hasNextPage }
        }
      }`,
      [SessionDetails],
    ),
    variables: ({ query }) => ({
      first: query.page_size,
      filter: {
        updatedBefore: query.before ? readBefore(query.before) : null,
        includeFailed: query.include_failed_chats ?? false,
        projectId: query.project_id === undefined ? null : String(query.project_id),
        outsideProjects: query.only_non_project_chats,
      },
    }),
    output: ({ chatSessions }) => ({
      sessions: chatSessions.nodes.map(sessionDetails),
      has_more: chatSessions.pageInfo.hasNextPage,
    }),
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? detail(422, "Invalid 'before' timestamp format") : null),
  }),
  endpoint({
    method: 'get',
    path: '/chat/get-chat-session/{session_id}',
    tag,
    summary: 'Get a session with its messages',
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
        current_run: z
          .object({ run_id: z.int().openapi({ description: 'The ID of the answer that the current run is writing.' }) })
          .nullable(),
        incognito: z.boolean(),
      })
      .openapi('ChatSessionDetailResponse'),
    document: graphql(
      `query GetChatSession($id: ID!, $shared: Boolean, $includeDeleted: Boolean, $first: Int!) {
        chatSession(id: $id, shared: $shared, includeDeleted: $includeDeleted) {
          ...SessionDetails
          agentName agentIconName ownerName deletedAt currentRun { message { databaseId } }
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
        personal_icon_name: session.agentIconName,
        messages: messages.map(messageDetail),
        time_created: session.createdAt,
        shared_status: status(session.sharing),
        ...overrides(session),
        deleted: session.deletedAt !== null,
        owner_name: session.ownerName,
        packets: messages
          .filter((stored) => stored.role === 'ASSISTANT')
          .map((stored) => replay({ ...stored, text: textOf(stored) }) as z.input<typeof Packet>[]),
        current_run: session.currentRun && { run_id: session.currentRun.message.databaseId },
        incognito: false,
      };
    },
    failure: (error) => {
      if (error.code === 'NOT_FOUND') return detail(404, 'Chat session not found');
      return error.reason === 'CHAT_NOT_SHARED' ? detail(403, error.message) : null;
    },
  }),
  endpoint({
    method: 'get',
    path: '/chat/search',
    tag,
    summary: 'Search the sessions that the caller can read, by title and messages',
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
      `query SearchChats($search: String!, $first: Int!, $offset: Int!) {
        chatSessions(filter: { search: $search, includeFailed: true }, first: $first, offset: $offset) {
          nodes { ...SessionDetails }
          pageInfo { hasNextPage }
        }
      }`,
      [SessionDetails],
    ),
    variables: ({ query }) => ({
      search: query.query ?? '',
      first: query.page_size,
      offset: (query.page - 1) * query.page_size,
    }),
    output: ({ chatSessions: { nodes: sessions, pageInfo } }, { query }) => {
      const { hasNextPage } = pageInfo;
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
            ...overrides(session),
          })),
      }));
      return {
        groups: groups.filter((group) => group.chats.length > 0),
        has_more: hasNextPage,
        next_page: hasNextPage ? query.page + 1 : null,
      };
    },
  }),
  endpoint({
    method: 'put',
    path: '/chat/rename-chat-session',
    tag,
    summary: 'Rename a session or generate a name for it',
    body: z.object({ chat_session_id: z.uuid(), name: z.string().max(500).nullish() }).openapi('ChatRenameRequest'),
    reply: z.object({ new_name: z.string() }).openapi('RenameChatSessionResponse'),
    document: graphql(
      `mutation RenameChatSession($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { name } }`,
    ),
    variables: ({ body }) => ({
      input: { session: { id: body.chat_session_id }, ...(body.name ? { name: body.name } : { generateName: true }) },
    }),
    output: ({ updateChatSession }) => ({ new_name: updateChatSession.name ?? '' }),
    failure: unknownSessionMessage,
  }),
  endpoint({
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
        session: { id: params.session_id },
        sharing: body.sharing_status === 'public' ? ('PUBLIC' as const) : ('PRIVATE' as const),
      },
    }),
    output: () => null,
    failure: unknownSessionMessage,
  }),
  endpoint({
    method: 'delete',
    path: '/chat/delete-chat-session/{session_id}',
    tag,
    summary: 'Hide or permanently delete a session',
    params: sessionParams,
    query: z.object({ hard_delete: flag.optional() }),
    reply: nothing,
    document: graphql(
      `mutation DeleteChatSession($id: ID!, $hard: Boolean) {
        deleteChatSession(input: { session: { id: $id }, hard: $hard }) { deletedChatSessionId }
      }`,
    ),
    variables: ({ params, query }) => ({ id: params.session_id, hard: query.hard_delete ?? false }),
    output: () => null,
    failure: unknownSession,
  }),
  endpoint({
    method: 'delete',
    path: '/chat/delete-all-chat-sessions',
    tag,
    summary: 'Hide all sessions of the caller',
    reply: nothing,
    document: graphql(`mutation DeleteAllChatSessions { deleteAllChatSessions { deletedCount } }`),
    variables: () => ({}),
    output: () => null,
  }),
];
