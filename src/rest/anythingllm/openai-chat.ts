import { z } from '@hono/zod-openapi';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { providerName } from '../model-provider.ts';
import { ChatRequest, completionInput, ToolCall } from './openai-chat-request.ts';
import { openai } from './openai-dialect.ts';

const Usage = z
  .object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    duration: z
      .int()
      .openapi({ description: 'Duration of the answer in seconds, rounded up; 0 when no model was called.' }),
    outputTps: z.int().openapi({ description: 'Number of output tokens per second, rounded to an integer.' }),
    model: z
      .string()
      .nullable()
      .openapi({ description: 'The name of the language model behind the agent; null when no model was called.' }),
    provider: z.string().nullable(),
    timestamp: z.iso.datetime().nullable(),
  })
  .openapi('OpenAIUsage');

const UsageFields = graphql(
  `fragment OpenAIUsage on TurnUsage @_unmask { inputTokens outputTokens durationMs model provider endedAt }`,
);

/** All numbers are integers: LangChain adds them up and rejects a mix of integers and floats. */
function usageOf(spent: ResultOf<typeof UsageFields> | null): z.input<typeof Usage> {
  const { inputTokens = 0, outputTokens = 0, durationMs = 0 } = spent ?? {};
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    duration: spent ? Math.max(1, Math.ceil(durationMs / 1000)) : 0,
    outputTps: durationMs > 0 ? Math.round((outputTokens * 1000) / durationMs) : 0,
    model: spent?.model ?? null,
    provider: spent?.provider ? providerName(spent.provider) : null,
    timestamp: spent?.endedAt ? new Date(spent.endedAt).toISOString() : null,
  };
}

const FinishReason = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);
const finishReasons = {
  STOP: 'stop',
  LENGTH: 'length',
  TOOL_CALLS: 'tool_calls',
  CONTENT_FILTER: 'content_filter',
} as const;

const unixTime = (date: string | Date): number => Math.floor(new Date(date).getTime() / 1000);

const ChatReply = z
  .object({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.int(),
    model: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        message: z.object({
          role: z.literal('assistant'),
          content: z.string().nullable(),
          reasoning_content: z.string().optional().openapi({
            description: 'The reasoning of the model before its answer. Absent when the model reports no reasoning.',
          }),
          refusal: z.string().nullable(),
          tool_calls: z.array(ToolCall).optional(),
        }),
        logprobs: z.null(),
        finish_reason: FinishReason,
      }),
    ),
    usage: Usage,
  })
  .openapi('OpenAIChatCompletion');

const Chunk = graphql(
  `fragment OpenAIChunk on ChatCompletionChunk @_unmask {
    id createdAt model text reasoning refusal finishReason
    toolCalls { index id name arguments }
    usage @skip(if: $usageApart) { ...OpenAIUsage }
    usageApart: usage @include(if: $usageApart) { ...OpenAIUsage }
  }`,
  [UsageFields],
);

function deltaOf({ text, reasoning, refusal, toolCalls }: ResultOf<typeof Chunk>): object {
  if (reasoning !== null) return { reasoning_content: reasoning };
  if (refusal !== null) return { refusal };
  if (toolCalls.length === 0) return { content: text ?? '' };
  return {
    tool_calls: toolCalls.map(({ index, id, name, arguments: written }) => ({
      index,
      ...(id !== null && { id, type: 'function' }),
      function: { ...(name !== null && { name }), arguments: written },
    })),
  };
}

/**
 * Converts a delta to a chunk. A chunk with usage only has no choices. Only the first chunk has the role, and only one
 * has the usage, since clients concatenate or add them.
 */
function chunk(piece: ResultOf<typeof Chunk>, isFirst: boolean): object {
  const { id, createdAt, model, text, reasoning, refusal, toolCalls, finishReason, usage, usageApart } = piece;
  const delta = { ...(isFirst && { role: 'assistant' }), ...deltaOf(piece) };
  const isEmpty = [text, reasoning, refusal, finishReason].every((part) => part === null);
  const costOnly = isEmpty && toolCalls.length === 0;
  const spent = costOnly ? usageApart : usage;
  return {
    id,
    object: 'chat.completion.chunk',
    created: unixTime(createdAt),
    model,
    choices: costOnly
      ? []
      : [{ index: 0, delta, logprobs: null, finish_reason: finishReason && finishReasons[finishReason] }],
    usage: (costOnly || finishReason !== null) && spent !== undefined ? usageOf(spent) : null,
  };
}

export const openaiChatRow: AnyEndpoint = endpoint({
  method: 'post',
  path: '/v1/openai/chat/completions',
  tag: 'OpenAI',
  summary: 'Create a chat completion with an agent; streams the answer if `stream` is true',
  dialect: openai,
  body: ChatRequest,
  reply: ChatReply,
  document: graphql(
    `mutation OpenAIChat($input: CreateChatCompletionInput!) {
      createChatCompletion(input: $input) {
        id createdAt model text reasoning refusal finishReason
        toolCalls { id name arguments }
        usage { ...OpenAIUsage }
      }
    }`,
    [UsageFields],
  ),
  variables: ({ body }) => completionInput(body),
  output: ({ createChatCompletion: { id, createdAt, model, finishReason, usage, ...answer } }) => ({
    id,
    object: 'chat.completion' as const,
    created: unixTime(createdAt),
    model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant' as const,
          content: answer.text,
          ...(answer.reasoning !== null && { reasoning_content: answer.reasoning }),
          refusal: answer.refusal,
          ...(answer.toolCalls.length > 0 && {
            tool_calls: answer.toolCalls.map(({ id, name, arguments: input }) => ({
              id,
              type: 'function' as const,
              function: { name, arguments: input },
            })),
          }),
        },
        logprobs: null,
        finish_reason: finishReasons[finishReason],
      },
    ],
    usage: usageOf(usage),
  }),
  stream: {
    document: graphql(
      `subscription OpenAIChatStream($input: CreateChatCompletionInput!, $usageApart: Boolean!) {
        chatCompletion(input: $input) { ...OpenAIChunk }
      }`,
      [Chunk],
    ),
    variables: ({ body }) => ({
      ...completionInput(body),
      usageApart: body.stream_options?.include_usage ?? false,
    }),
    when: ({ body }) => body.stream === true,
    sse: { end: '[DONE]' },
    packets: () => {
      let isFirst = true;
      return {
        of: ({ chatCompletion }) => {
          const packet = chunk(chatCompletion, isFirst);
          isFirst = false;
          return [packet];
        },
        failed: (error) => [openai.failure(error).body],
      };
    },
    description:
      'Server-sent events, each with a `chat.completion.chunk`. The stream ends with `[DONE]`, or with an `error` and no `[DONE]`.',
  },
});
