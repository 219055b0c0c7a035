import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { byNumber, Passage, searchDoc } from './search-doc.ts';

export const TurnEvent = graphql(
  `
  fragment TurnEvent on ChatTurnEvent @_unmask {
    __typename
    ... on ChatSessionCreated { sessionId }
    ... on ChatMessageIds { userMessageId assistantMessageId }
    ... on ChatSearchQueries { queries }
    ... on ChatSearchDocuments { documents { ...Passage } }
    ... on ChatReasoningDelta { text }
    ... on ChatAnswerStarted { afterSeconds documents { ...Passage } }
    ... on ChatAnswerDelta { text }
    ... on ChatCitation { citation { number documentId } }
    ... on ChatTurnStopped { reason }
    ... on ChatTurnFailed { code message retryable retryAfter providerCode providerMessage }
  }
`,
  [Passage],
);
export type TurnEvent = ResultOf<typeof TurnEvent>;
type FailedTurn = Extract<TurnEvent, { __typename: 'ChatTurnFailed' }>;

interface Placement {
  turn_index: number;
  tab_index: number;
  sub_turn_index: number | null;
  model_index: number | null;
}

export const Packet = z
  .object({
    placement: z.object({
      turn_index: z.int(),
      tab_index: z.int(),
      sub_turn_index: z.int().nullable(),
      model_index: z.int().nullable(),
    }),
    obj: z.looseObject({ type: z.string() }),
  })
  .openapi('Packet');

/** The contract's codes of `{ error }` lines for the server's codes. */
const failureCodes: Record<string, string> = {
  UPSTREAM_FAILED: 'MODEL_ERROR',
  PROVIDER_MISCONFIGURED: 'MODEL_ERROR',
  TIMEOUT: 'MODEL_ERROR',
  RATE_LIMITED: 'RATE_LIMIT',
  REQUEST_REJECTED: 'BAD_REQUEST',
  QUOTA_EXHAUSTED: 'BUDGET_EXCEEDED',
  SERVER_SHUTDOWN: 'SERVICE_UNAVAILABLE',
  UNAVAILABLE: 'SERVICE_UNAVAILABLE',
  INTERNAL: 'INTERNAL_ERROR',
  NOT_FOUND: 'VALIDATION_ERROR',
  BAD_USER_INPUT: 'VALIDATION_ERROR',
  CONFLICT: 'CONFLICT',
  UNAUTHENTICATED: 'AUTH_ERROR',
};

const streamingError = (
  code: string,
  error: string,
  retryable: boolean,
  details: Record<string, string | number | null> | null = null,
) => ({ error, stack_trace: null, error_code: failureCodes[code] ?? code, is_retryable: retryable, details });

/** Returns the details of a failed turn besides its message, or null when there are no details. */
function detailsOf({ retryAfter, providerCode, providerMessage }: FailedTurn) {
  if (retryAfter === null && providerCode === null && providerMessage === null) return null;
  return { retry_after_seconds: retryAfter, provider_code: providerCode, provider_message: providerMessage };
}

/** Returns the message for an error of the caller as clients of this stream expect it. */
const callersFault = (error: AppError): string =>
  error.reason === 'CHAT_SESSION_NOT_FOUND' ? 'Invalid Chat Session ID provided' : error.message;

/**
 * Maps the events of one turn to lines of the stream. Blocks have increasing turn indexes: search, reasoning, answer.
 */
export function packets() {
  let turn = 0;
  let block: 'search' | 'reasoning' | 'answer' | null = null;
  const place = (model_index: number | null = 0): Placement => ({
    turn_index: turn,
    tab_index: 0,
    sub_turn_index: null,
    model_index,
  });
  const packet = (obj: { type: string } & Record<string, unknown>, model_index: number | null = 0) => ({
    placement: place(model_index),
    obj,
  });
  const enter = (next: typeof block) => {
    if (block !== null && block !== next) turn += 1;
    block = next;
  };

  function of(event: TurnEvent): unknown[] {
    switch (event.__typename) {
      case 'ChatSessionCreated':
        return [{ chat_session_id: event.sessionId, incognito: false }];
      case 'ChatMessageIds':
        return [{ user_message_id: event.userMessageId, reserved_assistant_message_id: event.assistantMessageId }];
      case 'ChatSearchStarted':
        enter('search');
        return [packet({ type: 'search_tool_start', is_internet_search: false })];
      case 'ChatSearchQueries':
        return [packet({ type: 'search_tool_queries_delta', queries: event.queries })];
      case 'ChatSearchDocuments':
        return [
          packet({ type: 'search_tool_documents_delta', documents: event.documents.map(searchDoc) }),
          packet({ type: 'section_end' }),
        ];
      case 'ChatReasoningStarted':
        enter('reasoning');
        return [packet({ type: 'reasoning_start' })];
      case 'ChatReasoningDelta':
        return [packet({ type: 'reasoning_delta', reasoning: event.text })];
      case 'ChatReasoningEnded':
        return [packet({ type: 'reasoning_done' })];
      case 'ChatAnswerStarted':
        enter('answer');
        return [
          packet({
            type: 'message_start',
            final_documents: event.documents.length > 0 ? byNumber(event.documents).map(searchDoc) : null,
            pre_answer_processing_seconds: event.afterSeconds,
          }),
        ];
      case 'ChatAnswerDelta':
        return [packet({ type: 'message_delta', content: event.text })];
      case 'ChatCitation':
        return [
          packet({
            type: 'citation_info',
            citation_number: event.citation.number,
            document_id: event.citation.documentId,
          }),
        ];
      case 'ChatTurnStopped':
        return event.reason === 'USER_CANCELLED'
          ? [{ placement: { ...place(null), turn_index: 0 }, obj: { type: 'stop', stop_reason: 'user_cancelled' } }]
          : [packet({ type: 'stop', stop_reason: null })];
      case 'ChatTurnFailed':
        return [
          streamingError(event.code, event.message, event.retryable, detailsOf(event)),
          packet({ type: 'stop', stop_reason: null }, null),
        ];
      default:
        return [];
    }
  }

  return {
    of,
    failed: (error: AppError) => [streamingError(error.code, callersFault(error), false)],
    heartbeat: () => packet({ type: 'chat_heartbeat' }, null),
  };
}

export interface StoredAnswer {
  text: string;
  reasoning: string | null;
  searchQuery: string | null;
  citations: readonly { number: number; documentId: string }[];
  documents: readonly Parameters<typeof searchDoc>[0][];
}

/**
 * Returns the packets of a completed answer as `get-chat-session` replays them: with closed blocks, and citations last.
 */
export function replay(answer: StoredAnswer): unknown[] {
  let turn = 0;
  const packet = (obj: object) => ({
    placement: { turn_index: turn, tab_index: 0, sub_turn_index: null, model_index: 0 },
    obj,
  });
  const lines: object[] = [];
  const block = (...objects: object[]) => {
    lines.push(...[...objects, { type: 'section_end' }].map(packet));
    turn += 1;
  };
  if (answer.searchQuery !== null)
    block(
      { type: 'search_tool_start', is_internet_search: false },
      { type: 'search_tool_queries_delta', queries: [answer.searchQuery] },
      { type: 'search_tool_documents_delta', documents: answer.documents.map(searchDoc) },
    );
  if (answer.reasoning)
    block(
      { type: 'reasoning_start' },
      { type: 'reasoning_delta', reasoning: answer.reasoning },
      { type: 'reasoning_done' },
    );
  const cited = byNumber(answer.documents).map(searchDoc);
  if (answer.text)
    block(
      { type: 'message_start', final_documents: cited.length > 0 ? cited : null, pre_answer_processing_seconds: null },
      { type: 'message_delta', content: answer.text },
    );
  if (answer.citations.length > 0)
    block(
      ...answer.citations.map(({ number, documentId }) => ({
        type: 'citation_info',
        citation_number: number,
        document_id: documentId,
      })),
    );
  lines.push(packet({ type: 'stop', stop_reason: null }));
  return lines;
}
