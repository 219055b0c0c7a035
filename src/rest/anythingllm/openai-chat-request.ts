import { z } from '@hono/zod-openapi';
import { cutText } from '../../unicode.ts';
import { honored, ignored, ignoredMark, ignoring, restricted, shapeOf } from '../parameters.ts';

const jsonSchema = z.record(z.string(), z.unknown());

/** The types of a content part that the server reads. */
const partTypes = ['text', 'image_url', 'refusal'] as const;

const knownTypes = `must be ${partTypes.map((type) => `"${type}"`).join(' or ')}`;

const Part = z.object({
  type: z.enum(partTypes, {
    error: ({ input }) =>
      typeof input === 'string' ? `"${cutText(input, 50)}" is not supported; ${knownTypes}` : knownTypes,
  }),
  text: z.string('must be a text').nullish(),
  image_url: z
    .union([z.object({ url: z.string() }), z.string().transform((url) => ({ url }))], 'must be an object with a `url`')
    .nullish(),
  refusal: z.string('must be a text').nullish(),
});
type Part = z.infer<typeof Part>;

const SentPart = z.unknown().openapi('OpenAIContentPart', {
  type: 'object',
  required: ['type'],
  properties: {
    type: { type: 'string', enum: [...partTypes] },
    text: { type: ['string', 'null'] },
    image_url: {
      type: ['object', 'null'],
      required: ['url'],
      properties: {
        url: {
          type: 'string',
          description:
            'A PNG, JPEG, GIF or WebP image: a `data:` URL in base64, or an http or https URL with a public address, which the server fetches.',
        },
        detail: { description: `${ignoredMark} The model chooses the resolution.` },
      },
    },
    refusal: { type: ['string', 'null'], description: 'The text of a part with the type `refusal`.' },
  },
});

/** The parts are read after the union, whose errors would not name the position of an invalid part. */
const Content = z
  .union([z.string(), z.array(SentPart)], 'must be a text or a list of parts')
  .nullish()
  .transform((content, context): string | Part[] | null | undefined => {
    if (!Array.isArray(content)) return content;
    const { data, error } = z.array(Part).safeParse(content);
    for (const { path, message } of error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
    return data;
  });

export const ToolCall = z
  .object({
    id: z.string(),
    type: z.literal('function'),
    function: z.object({ name: z.string(), arguments: z.string() }),
  })
  .openapi('OpenAIToolCall');

const messageRoles = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

const Message = z
  .object({
    role: z.enum(messageRoles, `must be one of ${messageRoles.join(', ')}`),
    content: Content,
    tool_calls: z.array(ToolCall).nullish(),
    tool_call_id: z.string().nullish(),
    refusal: z
      .string()
      .nullish()
      .openapi({ description: 'The refusal of an earlier answer. Used when `content` is null or absent.' }),
    name: ignoring(z.unknown().optional(), 'The models receive the roles only.'),
    audio: restricted('The models do not read audio.').schema,
    function_call: restricted('Use `tool_calls`.').schema,
  })
  .openapi('OpenAIMessage');

const Tool = z
  .object({
    type: z.literal('function', 'must be "function": other kinds of tools are not supported'),
    function: z.object({
      name: z.string(),
      description: z.string().nullish(),
      parameters: jsonSchema.nullish(),
      strict: z.boolean().nullish(),
    }),
  })
  .openapi('OpenAITool');

const ToolChoice = z.union(
  [
    z.enum(['auto', 'none', 'required']),
    z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
  ],
  'must be "auto", "none", "required" or an object that names a function of `tools`',
);

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

/** A number of tokens: -1 counts as absent, and a number beyond GraphQL's Int is reduced to its maximum. */
const tokenLimit = z
  .number()
  .refine(Number.isInteger, 'must be a whole number')
  .refine((count) => count >= 1 || count === -1, 'must be at least 1, or -1 for no limit by the client')
  .transform((count) => (count === -1 ? null : Math.min(count, 0x7fff_ffff)))
  .nullish()
  .openapi({ type: ['integer', 'null'] });

const notStored = 'The server does not store completions.';
const noCache = 'The server has no prompt cache that a client can control.';

/** The parameters of OpenAI's chat completions. schema/parameters.md lists them. */
export const chatParameters = {
  model: honored('The slug of an agent, as `GET /v1/openai/models` lists them.', z.string()),
  messages: honored('The conversation, which the client stores. Content parts are texts and images.', z.array(Message)),
  stream: honored('Streams the answer as server-sent events. Defaults to false.', z.boolean().nullish()),
  stream_options: honored(
    '`include_usage` sends the usage in a chunk of its own at the end. `include_obfuscation` has no effect.',
    z
      .object({
        include_usage: z.boolean().nullish(),
        include_obfuscation: ignoring(z.unknown().optional(), 'Chunks are not padded.'),
      })
      .nullish(),
  ),
  tools: honored('The client’s functions. The built-in model calls none.', z.array(Tool).nullish()),
  tool_choice: honored(
    '"required" and a named function are rejected when the server has only the built-in model, and without `tools`.',
    ToolChoice.nullish(),
  ),
  parallel_tool_calls: honored('Passed to the model with `tools`.', z.boolean().nullish()),
  temperature: honored('0 to 2. Defaults to the agent’s. The built-in model ignores it.', z.number().nullish()),
  top_p: honored('0 to 1. The built-in model ignores it.', z.number().nullish()),
  max_completion_tokens: honored(
    'The maximum length of the answer, at most the server’s 8,192. -1 counts as absent. The built-in model ignores it.',
    tokenLimit,
  ),
  max_tokens: honored('The older name of `max_completion_tokens`, which takes precedence.', tokenLimit),
  stop: honored(
    'At most 16 texts at which the answer ends. The built-in model ignores them.',
    z.union([z.string(), z.array(z.string())], 'must be a text or a list of texts').nullish(),
  ),
  presence_penalty: honored('-2 to 2. The built-in model ignores it.', z.number().nullish()),
  frequency_penalty: honored('-2 to 2. The built-in model ignores it.', z.number().nullish()),
  seed: honored('Passed to the model. The built-in model is deterministic.', z.int().nullish()),
  reasoning_effort: honored(
    '"minimal" counts as "low", and "xhigh" as "high". The built-in model does not reason.',
    z.enum(Object.keys(efforts) as (keyof typeof efforts)[]).nullish(),
  ),
  response_format: honored(
    '"json_object" and "json_schema" are passed to the model, and rejected when the server has only the built-in model.',
    ResponseFormat.nullish(),
  ),
  n: restricted('The server writes one answer per request.', [1]),
  logprobs: restricted('The server does not report probabilities.', [false]),
  top_logprobs: restricted('The server does not report probabilities.', [0]),
  logit_bias: restricted('The server does not know the tokens of its models.', [{}]),
  functions: restricted('Use `tools`.', [[]]),
  function_call: restricted('Use `tool_choice`.', ['none', 'auto']),
  modalities: restricted('The models write text only.', [['text'], []]),
  audio: restricted('The models write text only.'),
  web_search_options: restricted('An agent searches its own documents.'),
  moderation: restricted('The server does not moderate answers.'),
  prediction: ignored('A prediction only makes an answer faster.'),
  verbosity: ignored('The length of an answer follows the instructions of the agent and the client.'),
  service_tier: ignored('The server has one service tier.'),
  store: ignored(notStored),
  metadata: ignored(notStored),
  user: ignored('Usage is recorded for the owner of the key.'),
  safety_identifier: ignored('Usage is recorded for the owner of the key.'),
  prompt_cache_key: ignored(noCache),
  prompt_cache_options: ignored(noCache),
  prompt_cache_retention: ignored(noCache),
};

export const ChatRequest = z.object(shapeOf(chatParameters)).openapi('OpenAIChatRequest');

type Sent = z.infer<typeof Message>;

const roles = { system: 'SYSTEM', developer: 'DEVELOPER', user: 'USER', assistant: 'ASSISTANT', tool: 'TOOL' } as const;
const choices = { auto: 'AUTO', none: 'NONE', required: 'REQUIRED' } as const;
const formats = { text: 'TEXT', json_object: 'JSON_OBJECT', json_schema: 'JSON_SCHEMA' } as const;

function partInput({ type, text, image_url, refusal }: Part) {
  const { url: imageUrl = '' } = image_url ?? {};
  return type === 'image_url' ? { imageUrl } : { text: (type === 'text' ? text : refusal) ?? '' };
}

const messageInput = ({ role, content, refusal, tool_calls, tool_call_id }: Sent) => ({
  role: roles[role],
  content:
    typeof content === 'string'
      ? [{ text: content }]
      : (content ?? (refusal ? [{ type: 'refusal' as const, refusal }] : [])).map(partInput),
  toolCalls: (tool_calls ?? []).map((call) => ({ id: call.id, ...call.function })),
  toolCallId: tool_call_id ?? null,
});

/** Returns the variables of the GraphQL operation for a request. */
export const completionInput = (body: z.infer<typeof ChatRequest>) => ({
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
