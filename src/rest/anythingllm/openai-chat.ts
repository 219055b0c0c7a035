import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { type AnyRow, row } from '../row.ts';
import { invalidRequest, openai } from './openai-dialect.ts';

const jsonSchema = z.record(z.string(), z.unknown());

const Part = z
  .object({
    type: z.enum(['text', 'image_url']),
    text: z.string().nullish(),
    image_url: z
      .union([z.object({ url: z.string() }), z.string().transform((url) => ({ url }))])
      .nullish()
      .openapi({ type: 'object', description: 'The image, as a `data:` URL; nothing is fetched.' }),
  })
  .openapi('OpenAIContentPart');

const ToolCall = z
  .object({
    id: z.string(),
    type: z.literal('function'),
    function: z.object({ name: z.string(), arguments: z.string() }),
  })
  .openapi('OpenAIToolCall');

const Message = z
  .object({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: z.union([z.string(), z.array(Part)], 'must be a text or a list of parts').nullish(),
    tool_calls: z.array(ToolCall).nullish(),
    tool_call_id: z.string().nullish(),
  })
  .openapi('OpenAIMessage');

const Tool = z
  .object({
    type: z.literal('function'),
    function: z.object({
      name: z.string(),
      description: z.string().nullish(),
      parameters: jsonSchema.nullish(),
      strict: z.boolean().nullish(),
    }),
  })
  .openapi('OpenAITool');

const ToolChoice = z.union([
  z.enum(['auto', 'none', 'required']),
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
]);

/** Efforts by their names in OpenAI's API; GraphQL has fewer of them. */
const efforts = { none: 'OFF', minimal: 'LOW', low: 'LOW', medium: 'MEDIUM', high: 'HIGH', xhigh: 'HIGH' } as const;

const ResponseFormat = z
  .object({
    type: z.enum(['text', 'json_object', 'json_schema']),
    json_schema: z
      .object({
        name: z.string(),
        description: z.string().nullish(),
        schema: jsonSchema.nullish(),
        strict: z.boolean().nullish(),
      })
      .nullish(),
  })
  .openapi('OpenAIResponseFormat');

/** A number beyond GraphQL's Int is reduced to its maximum. */
const mostTokens = z
  .number()
  .refine(Number.isInteger, 'must be a whole number')
  .transform((count) => Math.min(count, 0x7fff_ffff))
  .nullish()
  .openapi({ type: ['integer', 'null'] });

const ChatRequest = z
  .object({
    model: z.string().openapi({ description: 'The slug of an agent, as `GET /v1/openai/models` lists them.' }),
    messages: z.array(Message).openapi({ description: 'The conversation, which is the client’s to keep.' }),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
    n: z.literal(1, 'must be 1').nullish(),
    tools: z.array(Tool).nullish(),
    tool_choice: ToolChoice.nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    temperature: z.number().nullish(),
    top_p: z.number().nullish(),
    max_tokens: mostTokens,
    max_completion_tokens: mostTokens,
    stop: z.union([z.string(), z.array(z.string())]).nullish(),
    presence_penalty: z.number().nullish(),
    frequency_penalty: z.number().nullish(),
    seed: z.int().nullish(),
    reasoning_effort: z
      .enum(Object.keys(efforts) as (keyof typeof efforts)[])
      .nullish()
      .openapi({
        description: 'minimal counts as low, and xhigh as high.',
      }),
    response_format: ResponseFormat.nullish(),
  })
  .openapi('OpenAIChatRequest');

type Sent = z.infer<typeof Message>;

const roles = { system: 'SYSTEM', developer: 'DEVELOPER', user: 'USER', assistant: 'ASSISTANT', tool: 'TOOL' } as const;
const choices = { auto: 'AUTO', none: 'NONE', required: 'REQUIRED' } as const;
const formats = { text: 'TEXT', json_object: 'JSON_OBJECT', json_schema: 'JSON_SCHEMA' } as const;

const messageInput = ({ role, content, tool_calls, tool_call_id }: Sent) => ({
  role: roles[role],
  content:
    typeof content === 'string'
      ? [{ text: content }]
      : (content ?? []).map(({ type, text, image_url }) =>
          type === 'text' ? { text: text ?? '' } : { imageUrl: image_url?.url ?? '' },
        ),
  toolCalls: (tool_calls ?? []).map((call) => ({ id: call.id, ...call.function })),
  toolCallId: tool_call_id ?? null,
});

const completionInput = (body: z.infer<typeof ChatRequest>) => ({
  input: {
    model: body.model,
    messages: body.messages.map(messageInput),
    tools: body.tools?.map((tool) => tool.function) ?? null,
    toolChoice: typeof body.tool_choice === 'string' ? choices[body.tool_choice] : null,
    toolName: typeof body.tool_choice === 'object' ? (body.tool_choice?.function.name ?? null) : null,
    parallelToolCalls: body.parallel_tool_calls ?? null,
    temperature: body.temperature ?? null,
    topP: body.top_p ?? null,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    stop: body.stop == null ? null : [body.stop].flat(),
    presencePenalty: body.presence_penalty ?? null,
    frequencyPenalty: body.frequency_penalty ?? null,
    seed: body.seed ?? null,
    reasoningEffort: body.reasoning_effort ? efforts[body.reasoning_effort] : null,
    responseFormat: body.response_format
      ? { type: formats[body.response_format.type], ...body.response_format.json_schema }
      : null,
    includeUsage: body.stream_options?.include_usage ?? false,
  },
});

const Usage = z
  .object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    duration: z.int().openapi({ description: 'Seconds, begun ones included; 0: no model was asked.' }),
    outputTps: z.int().openapi({ description: 'Tokens that the model wrote a second.' }),
    model: z.string().nullable().openapi({ description: 'The language model behind the agent; null: none was asked.' }),
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
    provider: spent?.provider ?? null,
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
          reasoning_content: z
            .string()
            .optional()
            .openapi({ description: 'The reasoning of the model before its answer, when it reports any.' }),
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

export const openaiChatRow: AnyRow = row({
  method: 'post',
  path: '/v1/openai/chat/completions',
  tag: 'OpenAI',
  summary: 'Answer a conversation as an agent; the answer streams if `stream` is true',
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
  failure: (error, input) =>
    error.code === 'BAD_USER_INPUT' ? invalidRequest(error, { toolName: 'tool_choice' }, input?.body) : null,
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
      'Server-sent events, each a `chat.completion.chunk`, and `[DONE]` behind the last; or an `error`, behind which nothing comes.',
  },
});
