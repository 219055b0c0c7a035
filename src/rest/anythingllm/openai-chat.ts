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

/** By their names in OpenAI's API; the graph knows fewer of them. */
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
    max_tokens: z.int().nullish(),
    max_completion_tokens: z.int().nullish(),
    stop: z.union([z.string().transform((text) => [text]), z.array(z.string())]).nullish(),
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
    stop: body.stop ?? null,
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
    duration: z.number().openapi({ description: 'Seconds.' }),
    outputTps: z.number().openapi({ description: 'Tokens that the model wrote a second.' }),
    model: z.string().nullable().openapi({ description: 'The language model behind the agent; null: none was asked.' }),
    provider: z.string().nullable(),
    timestamp: z.iso.datetime().nullable(),
  })
  .openapi('OpenAIUsage');

const UsageFields = graphql(
  `fragment OpenAIUsage on TurnUsage @_unmask { inputTokens outputTokens durationMs model provider endedAt }`,
);

function usageOf(spent: ResultOf<typeof UsageFields> | null): z.input<typeof Usage> {
  const { inputTokens = 0, outputTokens = 0, durationMs = 0 } = spent ?? {};
  const duration = durationMs / 1000;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    duration,
    outputTps: duration > 0 ? outputTokens / duration : 0,
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
          refusal: z.null(),
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
    id createdAt model text finishReason
    toolCalls { index id name arguments }
    usage { ...OpenAIUsage }
  }`,
  [UsageFields],
);

/** A chunk of a stream. One without anything but its cost has no choices. */
function chunk({ id, createdAt, model, text, toolCalls, finishReason, usage }: ResultOf<typeof Chunk>): object {
  const delta = {
    role: 'assistant',
    ...(toolCalls.length > 0
      ? {
          tool_calls: toolCalls.map((piece) => ({
            index: piece.index,
            ...(piece.id !== null && { id: piece.id, type: 'function' }),
            function: { ...(piece.name !== null && { name: piece.name }), arguments: piece.arguments },
          })),
        }
      : { content: text ?? '' }),
  };
  const costOnly = text === null && toolCalls.length === 0 && finishReason === null;
  return {
    id,
    object: 'chat.completion.chunk',
    created: unixTime(createdAt),
    model,
    choices: costOnly
      ? []
      : [{ index: 0, delta, logprobs: null, finish_reason: finishReason && finishReasons[finishReason] }],
    usage: costOnly || finishReason !== null ? usageOf(usage) : null,
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
        id createdAt model text finishReason
        toolCalls { id name arguments }
        usage { ...OpenAIUsage }
      }
    }`,
    [UsageFields],
  ),
  variables: ({ body }) => completionInput(body),
  output: ({ createChatCompletion: { id, createdAt, model, text, toolCalls, finishReason, usage } }) => ({
    id,
    object: 'chat.completion' as const,
    created: unixTime(createdAt),
    model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant' as const,
          content: text,
          refusal: null,
          ...(toolCalls.length > 0 && {
            tool_calls: toolCalls.map(({ id, name, arguments: input }) => ({
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
  failure: (error) => (error.code === 'BAD_USER_INPUT' ? invalidRequest(error, { toolName: 'tool_choice' }) : null),
  stream: {
    document: graphql(
      `subscription OpenAIChatStream($input: CreateChatCompletionInput!) {
        chatCompletion(input: $input) { ...OpenAIChunk }
      }`,
      [Chunk],
    ),
    when: ({ body }) => body.stream === true,
    sse: { end: '[DONE]' },
    packets: () => ({
      of: ({ chatCompletion }) => [chunk(chatCompletion)],
      failed: (error) => [openai.failure(error).body],
    }),
    description:
      'Server-sent events, each a `chat.completion.chunk`, or an `error` behind which nothing comes but `[DONE]`.',
  },
});
