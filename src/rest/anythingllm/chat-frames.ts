import { randomUUID } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { type TurnFailure, turnError } from '../../modules/chat/turn-failure.ts';
import { localDate } from '../../modules/knowledge/intake-texts.ts';
import { cutText } from '../../unicode.ts';
import { type Failure, withProvider } from '../dialect.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { providerName } from '../model-provider.ts';
import { isoDateOrNull } from '../shapes.ts';
import { passageId, titleOf } from './document-shapes.ts';

export const SourceFields = graphql(`
  fragment AnythingLLMSource on SearchHit @_unmask {
    documentId position title source link text metadata score updatedAt isWhole documentWordCount documentTokenCount
  }
`);
type Hit = ResultOf<typeof SourceFields>;

export const UsageFields = graphql(`
  fragment AnythingLLMUsage on TurnUsage @_unmask { inputTokens outputTokens durationMs model provider endedAt }
`);
type Usage = ResultOf<typeof UsageFields>;

interface Failed extends Pick<TurnFailure, 'code' | 'message' | 'retryable' | 'retryAfter'> {
  providerMessage: string | null;
}

export const Source = z
  .object({
    id: z.string(),
    url: z.string(),
    title: z.string(),
    docAuthor: z.string(),
    description: z.string(),
    docSource: z.string(),
    chunkSource: z.string(),
    published: z.string(),
    wordCount: z.int(),
    token_count_estimate: z.int(),
    text: z.string().openapi({
      description: 'The text of the passage, or the beginning of a document that the model received in full.',
    }),
    _distance: z.number().optional().openapi({
      description:
        'The distance of a passage, 1 minus `score`. Absent, like `score`, for a document that the model received in full.',
    }),
    score: z.number().optional(),
  })
  .openapi('AnythingLLMSource');

/** Number of characters shown of a document that was included in full. */
const shownOfWhole = 1000;

/** Returns the header of a passage. */
const header = (title: string, published: string): string =>
  ['<document_metadata>', `sourceDocument: ${title}`, ...(published ? [`published: ${published}`] : [])].join('\n') +
  '\n</document_metadata>\n\n';

/** Converts a passage; missing properties of its document have the defaults that these clients expect. */
export function source(hit: Hit): z.input<typeof Source> {
  const metadata = hit.metadata as Record<string, string | string[]>;
  const said = (name: string, unsaid: string): string => {
    const value = metadata[name];
    return (Array.isArray(value) ? value.join(', ') : value) ?? unsaid;
  };
  const title = titleOf(hit.source, hit.title, metadata);
  const published = said('published', hit.updatedAt ? localDate(hit.updatedAt) : '');
  return {
    id: hit.isWhole ? hit.documentId : passageId(hit.documentId, hit.position),
    url: said('url', hit.link ?? ''),
    title,
    docAuthor: said('docAuthor', 'no author specified'),
    description: said('description', 'no description found'),
    docSource: said('docSource', 'no source set'),
    chunkSource: said('chunkSource', hit.link ?? ''),
    published,
    wordCount: hit.documentWordCount ?? 0,
    token_count_estimate: hit.documentTokenCount ?? 0,
    text: hit.isWhole
      ? `${cutText(hit.text, shownOfWhole)}...continued on in source document...`
      : header(title, published) + hit.text,
    ...(!hit.isWhole && { _distance: 1 - hit.score, score: hit.score }),
  };
}

export const Metrics = z
  .object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    outputTps: z.number().openapi({ description: 'Number of output tokens per second.' }),
    duration: z.number().openapi({ description: 'Duration of the answer in seconds.' }),
    model: z.string(),
    provider: z.string().nullable(),
    timestamp: isoDateOrNull,
  })
  .partial()
  .openapi('AnythingLLMMetrics', { description: 'The model usage of an answer; empty when no model was called.' });

export function metrics(usage: Usage | null): z.input<typeof Metrics> {
  if (!usage) return {};
  const { inputTokens, outputTokens, model, provider } = usage;
  // A duration that the clock reports as zero is at least one millisecond.
  const duration = Math.max(usage.durationMs, 1) / 1000;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    outputTps: outputTokens / duration,
    duration,
    model,
    provider: provider && providerName(provider),
    timestamp: usage.endedAt,
  };
}

/** Prepends the model's reasoning to an answer. */
export const withThoughts = (reasoning: string | null, text: string): string =>
  reasoning ? `<think>${reasoning}</think>${text}` : text;

/** Converts a failed turn to the error of its request. */
export const turnErrorOf = ({ code, message, retryable, retryAfter, providerMessage }: Failed): AppError =>
  turnError({
    code,
    message,
    retryable,
    retryAfter,
    provider: providerMessage === null ? null : { code: null, param: null, message: providerMessage },
  });

/** Returns the frame for a chat that could not start or that broke off. */
const abort = (error: string) => ({
  id: randomUUID(),
  type: 'abort' as const,
  textResponse: null,
  sources: [],
  close: true,
  error,
});

export const aborted = (status: number, error: string): Failure => ({ status, body: abort(error) });

/** Returns the response to a reset without a message. */
export const wasReset = () => ({
  id: randomUUID(),
  type: 'textResponse' as const,
  textResponse: 'Chat history was reset!',
  sources: [],
  close: true,
  error: null,
  metrics: {},
});

export const Frame = z
  .object({
    id: z
      .string()
      .optional()
      .openapi({ description: 'The ID of a reply, or of a single frame such as a refusal or an error.' }),
    uuid: z.string().optional().openapi({ description: 'The ID that all frames of one streamed answer share.' }),
    type: z.enum(['textResponse', 'textResponseChunk', 'finalizeResponseStream', 'abort']),
    textResponse: z.string().nullish(),
    sources: z.array(Source).optional(),
    attachments: z.array(z.unknown()).max(0).optional(),
    close: z.boolean(),
    error: z.union([z.string(), z.literal(false)]).nullable(),
    chatId: z.int().optional().openapi({ description: 'The integer ID of the answer, by which other paths rate it.' }),
    metrics: Metrics.optional(),
  })
  .openapi('AnythingLLMChatFrame');

export const FrameEvent = graphql(
  `
  fragment AnythingLLMFrameEvent on ChatTurnEvent @_unmask {
    __typename
    ... on ChatMessageIds { runId assistantMessageId }
    ... on ChatReasoningDelta { text }
    ... on ChatAnswerStarted { isRefusal documents { ...AnythingLLMSource } }
    ... on ChatAnswerDelta { text }
    ... on ChatTurnStopped { usage { ...AnythingLLMUsage } }
    ... on ChatTurnFailed { code message retryable retryAfter providerMessage }
  }
`,
  [SourceFields, UsageFields],
);
type FrameEvent = ResultOf<typeof FrameEvent>;

/**
 * Maps the events of one turn to frames: text deltas, an empty last one, and one with sources and metrics. Reasoning is
 * part of the text, as these clients expect. A refusal is one frame.
 */
export function frames() {
  let uuid = '';
  let chatId = 0;
  let thinking = false;
  let refused: string | null = null;
  let said = false;
  let sources: z.input<typeof Source>[] = [];

  const chunk = (textResponse: string, close = false) => {
    said = true;
    return { uuid, sources: [], type: 'textResponseChunk', textResponse, close, error: false };
  };
  const thought = (next: boolean, text: string) => {
    const mark = thinking === next ? '' : next ? '<think>' : '</think>';
    thinking = next;
    return mark + text === '' ? [] : [chunk(mark + text)];
  };
  const last = (usage: Usage | null) => {
    if (refused !== null)
      return [
        {
          id: uuid,
          type: 'textResponse',
          textResponse: refused,
          sources: [],
          attachments: [],
          close: true,
          error: null,
          metrics: {},
        },
      ];
    const ended = thought(false, '');
    const end = { uuid, type: 'finalizeResponseStream', close: true, error: false };
    return said ? [...ended, chunk('', true), { ...end, chatId, metrics: metrics(usage), sources }] : [end];
  };

  return {
    of(event: FrameEvent): unknown[] {
      switch (event.__typename) {
        case 'ChatMessageIds':
          uuid = event.runId;
          chatId = event.assistantMessageId;
          return [];
        case 'ChatReasoningDelta':
          return thought(true, event.text);
        case 'ChatReasoningEnded':
          return thought(false, '');
        case 'ChatAnswerStarted':
          sources = event.documents.map(source);
          refused = event.isRefusal ? '' : null;
          return thought(false, '');
        case 'ChatAnswerDelta':
          if (refused === null) return [chunk(event.text)];
          refused += event.text;
          return [];
        case 'ChatTurnStopped':
          return last(event.usage);
        case 'ChatTurnFailed':
          return [abort(withProvider(turnErrorOf(event)))];
        default:
          return [];
      }
    },
    failed: (error: AppError) => [abort(withProvider(error))],
  };
}
