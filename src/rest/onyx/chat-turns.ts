import { z } from '@hono/zod-openapi';
import { type AppError, badInput } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { ignoring } from '../parameters.ts';
import { ChatSessionCreationRequest, instant, int32, newSession, timestamp } from './chat-shapes.ts';
import { coded, onyxFailure } from './errors.ts';
import { FileDescriptor } from './file-shapes.ts';
import { LLMOverride, modelAndTemperature } from './llm-override.ts';
import { packets, TurnEvent } from './packets.ts';
import { byNumber, Passage, SearchDoc, searchDoc } from './search-doc.ts';
import { DocumentSource, toSources } from './sources.ts';

const tag = 'Chat';

const Range = z.object({ start: timestamp.nullish(), end: timestamp.nullish() }).openapi('TimeRange');
/**
 * A time range that the server cannot apply. Rejected when it sets a bound, because ignoring it would return unfiltered
 * results.
 */
const unsupportedRange = Range.refine(({ start, end }) => start == null && end == null, {
  message: 'is not supported; documents can be filtered by updated_at_range.start',
});

const BaseFilters = z
  .object({
    source_type: z.array(DocumentSource).nullish(),
    document_set: z.array(z.string()).nullish().openapi({
      description: 'Not supported. Only null and an empty list are accepted, because this server has no document sets.',
    }),
    time_cutoff: timestamp.nullish(),
    tags: z.array(z.object({ tag_key: z.string(), tag_value: z.string() })).nullish(),
    updated_at_range: Range.extend({
      end: timestamp.nullish().openapi({ description: 'Not supported. Only null is accepted.' }),
    })
      .refine(({ end }) => end == null, {
        path: ['end'],
        message: 'is not supported; only start is',
      })
      .nullish()
      .openapi({
        description:
          'The newer form of `time_cutoff`, which it replaces when both are set. Only `start` is supported; `end` must be null.',
      }),
    created_at_range: unsupportedRange
      .nullish()
      .openapi({ description: 'Not supported. Only null and a range without bounds are accepted.' }),
  })
  .openapi('BaseFilters');
type Filters = z.infer<typeof BaseFilters>;

/** Returns the earliest update time of the documents to search, from the older or the newer form of the filter. */
function sinceOf({ time_cutoff, updated_at_range }: Filters): Date | null {
  const since = updated_at_range ? updated_at_range.start : time_cutoff;
  return since ? instant(since) : null;
}

/** Newer clients send types that the documentation does not list. */
const SentFile = FileDescriptor.extend({
  type: ignoring(z.string(), 'The server determines the type.'),
  name: ignoring(FileDescriptor.shape.name, 'The file has its name from its upload.'),
});

const SendMessageRequest = z
  .object({
    message: z.string(),
    llm_override: LLMOverride.nullish(),
    llm_overrides: z.array(LLMOverride).nullish().openapi({
      description:
        'A list with at most one entry, which takes precedence over `llm_override`. Several models at once are not supported and rejected with status 400.',
    }),
    allowed_tool_ids: z.array(int32).nullish(),
    forced_tool_id: int32.nullish().openapi({
      description:
        'The ID of a tool that the model must use. The agent must have the tool, and `allowed_tool_ids` must allow it.',
    }),
    file_descriptors: z
      .array(SentFile)
      .max(20)
      .nullish()
      .openapi({ description: 'The files to attach to the message; at most 20.' }),
    internal_search_filters: BaseFilters.nullish(),
    search_filters: BaseFilters.nullish().openapi({
      description:
        'An alternative name of `internal_search_filters`, from a guide of the Onyx API. Cannot be combined with it.',
    }),
    deep_research: z
      .boolean()
      .default(false)
      .openapi({ description: 'Not supported. Only false, the default, is accepted.' }),
    origin: ignoring(z.string().default('unset'), 'Every message that arrives here comes from the API.'),
    mcp_headers: ignoring(z.record(z.string(), z.string()).nullish(), 'There are no MCP servers.'),
    parent_message_id: int32.nullable().default(-1).openapi({
      description:
        'The message to continue from. -1 continues after the last message, null starts over, the ID of an answer starts a new branch, and the ID of a question answers it again. Defaults to -1.',
    }),
    chat_session_id: z.uuid().nullish(),
    chat_session_info: ChatSessionCreationRequest.nullish(),
    stream: z.boolean().default(true),
    include_citations: z.boolean().default(true),
    additional_context: z.string().nullish(),
  })
  .refine((body) => !(body.chat_session_id && body.chat_session_info), {
    message: 'requires exactly one of `chat_session_id` and `chat_session_info`',
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

const resumeRun = graphql(
  `subscription ResumeChatRun($sessionId: ID!) { chatRun(run: { sessionId: $sessionId }) { ...TurnEvent } }`,
  [TurnEvent],
);

/** The contract returns 400 for several models, so they are not part of the request's schema. Throws BAD_USER_INPUT. */
function oneModel({ llm_override, llm_overrides }: z.infer<typeof SendMessageRequest>) {
  if (llm_overrides && llm_overrides.length > 1)
    throw badInput(['body', 'llm_overrides'], 'must have at most one entry: several models at once are not supported');
  return llm_overrides?.[0] ?? llm_override;
}

/** Converts the contract's parent message ID (5.5): -1 continues the chat, null starts over. */
function parentOf(id: number | null) {
  if (id === null) return { startOver: true };
  return id === -1 ? { continue: true } : { messageId: String(id) };
}

/** Returns the filters of a search. Throws BAD_USER_INPUT for a filter that the server cannot apply. */
function filtersOf({ internal_search_filters, search_filters }: z.infer<typeof SendMessageRequest>) {
  if (internal_search_filters && search_filters)
    throw badInput(['search_filters'], 'cannot be combined with internal_search_filters');
  const filters = internal_search_filters ?? search_filters;
  const applied = filters && {
    sources: filters.source_type && toSources(filters.source_type),
    since: sinceOf(filters),
    tags: filters.tags?.map(({ tag_key, tag_value }) => ({ key: tag_key, value: tag_value })),
  };
  if (filters?.document_set?.length)
    throw badInput(
      [internal_search_filters ? 'internal_search_filters' : 'search_filters', 'document_set'],
      'is not supported: this server has no document sets; omit it or send an empty list',
    );
  return applied;
}

/** Throws BAD_USER_INPUT for deep research, which would answer in another way than the client expects. */
function refuseResearch({ deep_research }: z.infer<typeof SendMessageRequest>): void {
  if (deep_research) throw badInput(['deep_research'], 'is not supported by this server; omit it or send false');
}

/** Names the field as these clients spell it. */
const namedAsSent = (error: AppError): AppError => {
  const problem = error.details.fields?.find(({ path }) => path.includes('forcedActionId'));
  return problem ? badInput(['forced_tool_id'], problem.message) : error;
};

const sendInput = (body: z.infer<typeof SendMessageRequest>) => ({
  input: {
    message: body.message,
    sessionId: body.chat_session_id,
    newSession: body.chat_session_info ? newSession(body.chat_session_info) : null,
    parent: parentOf(body.parent_message_id),
    additionalContext: body.additional_context,
    fileIds: body.file_descriptors?.map(({ id, user_file_id }) => user_file_id ?? id),
    includeCitations: body.include_citations,
    ...modelAndTemperature(oneModel(body)),
    actionIds: body.allowed_tool_ids?.map(String),
    forcedActionId: body.forced_tool_id == null ? null : String(body.forced_tool_id),
    filters: filtersOf(body),
  },
});

export const turnEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/chat/send-chat-message',
    tag,
    summary: 'Send a message and stream the answer, or return it as JSON if `stream` is false',
    body: SendMessageRequest,
    reply: ChatFullResponse,
    document: graphql(
      `mutation SendChatMessage($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) {
          sessionId assistantMessageId answer answerWithoutCitations reasoning searchQueries
          citations { number documentId }
          documents { ...Passage }
          failure { message providerMessage }
        }
      }`,
      [Passage],
    ),
    variables: ({ body }) => {
      refuseResearch(body);
      return sendInput(body);
    },
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? onyxFailure(namedAsSent(error)) : null),
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
      error_msg: turn.failure && [turn.failure.message, turn.failure.providerMessage].filter(Boolean).join(' '),
    }),
    stream: {
      document: graphql(
        `subscription ChatTurn($input: SendChatMessageInput!) { chatTurn(input: $input) { ...TurnEvent } }`,
        [TurnEvent],
      ),
      when: ({ body }) => body.stream,
      packets: () => {
        const turn = packets();
        return {
          ...turn,
          of: ({ chatTurn }) => turn.of(chatTurn),
          failed: (error) => turn.failed(namedAsSent(error)),
        };
      },
      description:
        'One JSON object per line: first the message IDs, then the packets. The last packet has the type `stop`.',
    },
  }),
  endpoint({
    method: 'post',
    path: '/chat/stop-chat-session/{chat_session_id}',
    tag,
    summary: 'Stop the running answer of a session',
    params: z.object({ chat_session_id: z.uuid() }),
    reply: z.object({ message: z.string() }),
    document: graphql(`mutation StopChatRun($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }`),
    variables: ({ params }) => ({ id: params.chat_session_id }),
    output: () => ({ message: 'Chat session stopped' }),
    failure: (error) => (error.code === 'NOT_FOUND' ? coded(404, 'SESSION_NOT_FOUND', 'Chat session not found') : null),
  }),
  endpoint({
    method: 'get',
    path: '/chat/chat-session/{session_id}/resume-stream',
    tag,
    summary: 'Resume the stream of the current or latest answer of a session',
    params: z.object({ session_id: z.uuid() }),
    query: z.object({
      cursor: z.coerce.number().int().min(0).max(0x7fff_ffff).default(0).openapi({
        description:
          'The number of lines that the client has already received, not counting heartbeats. Defaults to 0.',
      }),
    }),
    reply: z.looseObject({}).openapi({ description: 'A line of the stream. The response is always a stream.' }),
    document: resumeRun,
    variables: ({ params }) => ({ sessionId: params.session_id }),
    output: (line) => line,
    failure: (error) =>
      error.code === 'NOT_FOUND' ? coded(404, 'NOT_FOUND', 'No resumable run for this chat session') : null,
    stream: {
      document: resumeRun,
      cursor: ({ query }) => query.cursor,
      packets: () => {
        const turn = packets();
        return { ...turn, of: ({ chatRun }) => turn.of(chatRun) };
      },
      description: 'The lines of the stream of `POST /chat/send-chat-message` that follow the cursor.',
    },
  }),
];
