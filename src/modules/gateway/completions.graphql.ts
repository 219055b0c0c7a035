import { builder } from '../../graphql/builder.ts';
import { ReasoningEffort } from '../chat/sessions.graphql.ts';
import { TurnUsage } from '../chat/usage.graphql.ts';
import type { CallPiece } from './client-call.ts';
import type { CreateChatCompletionInput } from './completion-input.ts';
import type { Completion, CompletionChunk, FinishReason } from './read-completion.ts';

const CompletionRole = builder.enumType('CompletionRole', {
  description: 'The author of a message in a completion.',
  values: {
    SYSTEM: { description: 'Instructions of the client. The first message replaces the instructions of the agent.' },
    DEVELOPER: { description: 'Instructions of the client, under the name that newer clients use.' },
    USER: { description: 'A message of the user.' },
    ASSISTANT: { description: 'An answer of the agent.' },
    TOOL: { description: 'The result of a tool of the client.' },
  },
});

const CompletionToolChoice = builder.enumType('CompletionToolChoice', {
  description: 'Whether the model may or must call a tool.',
  values: {
    AUTO: { description: 'The model decides whether to call a tool.' },
    NONE: { description: 'The model calls no tool.' },
    REQUIRED: { description: 'The model calls at least one tool.' },
  },
});

const CompletionFormat = builder.enumType('CompletionFormat', {
  description: 'The format of an answer.',
  values: {
    TEXT: { description: 'Text without a required format.' },
    JSON_OBJECT: { description: 'A JSON object without a schema.' },
    JSON_SCHEMA: { description: 'JSON that matches a schema, if the provider of the model supports schemas.' },
  },
});

const CompletionFinishReason = builder.enumType('CompletionFinishReason', {
  description: 'The reason why an answer ended.',
  values: {
    STOP: { description: 'The answer is complete.' },
    LENGTH: { description: 'The answer reached its maximum number of tokens.' },
    TOOL_CALLS: { description: 'The model waits for the results of tools.' },
    CONTENT_FILTER: { description: 'The content filter of the provider removed a part.' },
  } satisfies Record<FinishReason, object>,
});

const CompletionPartInput = builder.inputType('CompletionPartInput', {
  description: 'A text or an image in a message.',
  fields: (t) => ({
    text: t.string({ description: 'The text of the part; at most 1,000,000 characters.' }),
    imageUrl: t.string({
      description:
        'A PNG, JPEG, GIF or WebP image for a model that reads images: a `data:` URL in base64, or an http or https URL with a public address, which the server fetches. At most 10 URLs are fetched, each of at most 5 MB.',
    }),
  }),
});

const CompletionToolCallInput = builder.inputType('CompletionToolCallInput', {
  description: 'A tool call in an earlier answer.',
  fields: (t) => ({
    id: t.string({ required: true, description: 'The ID of the call.' }),
    name: t.string({ required: true, description: 'The name of the tool.' }),
    arguments: t.string({ required: true, description: 'The arguments of the call as JSON.' }),
  }),
});

const CompletionMessageInput = builder.inputType('CompletionMessageInput', {
  description: 'A message of a conversation that the client stores.',
  fields: (t) => ({
    role: t.field({ type: CompletionRole, required: true, description: 'The author of the message.' }),
    content: t.field({ type: [CompletionPartInput], description: 'The parts of the message; at most 1,000.' }),
    toolCalls: t.field({ type: [CompletionToolCallInput], description: 'The tool calls of an answer.' }),
    toolCallId: t.string({ description: 'The ID of the call whose result the message contains. For the role TOOL.' }),
  }),
});

const CompletionToolInput = builder.inputType('CompletionToolInput', {
  description: 'A function of the client that the model can call.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'The name of the function: 1 to 64 letters, digits, underscores and dashes.',
    }),
    description: t.string({ description: 'The purpose of the function, for the model; at most 20,000 characters.' }),
    parameters: t.field({
      type: 'JSONObject',
      description: 'The JSON schema of its arguments. Defaults to no arguments.',
    }),
    strict: t.boolean({ description: 'Whether the arguments must match the schema exactly.' }),
  }),
});

const CompletionFormatInput = builder.inputType('CompletionFormatInput', {
  description: 'The format of an answer. The built-in model writes only text.',
  fields: (t) => ({
    type: t.field({ type: CompletionFormat, required: true, description: 'The kind of format.' }),
    name: t.string({ description: 'The name of the JSON schema.' }),
    description: t.string({ description: 'The purpose of the schema, for the model.' }),
    schema: t.field({ type: 'JSONObject', description: 'The JSON schema that the answer must match.' }),
    strict: t.boolean({ description: 'Whether the answer must match the schema exactly.' }),
  }),
});

const CreateChatCompletionInputType = builder.inputType('CreateChatCompletionInput', {
  description: 'Input for `createChatCompletion` and `chatCompletion`.',
  fields: (t) => ({
    model: t.string({ required: true, description: 'The slug of the agent that answers.' }),
    messages: t.field({
      type: [CompletionMessageInput],
      required: true,
      description:
        'The conversation, oldest first; 1 to 2,000 messages, the last of them from the user or a tool. The oldest messages are omitted if the conversation exceeds the context window of the model.',
    }),
    tools: t.field({ type: [CompletionToolInput], description: 'The tools that the model can call; at most 128.' }),
    toolChoice: t.field({
      type: CompletionToolChoice,
      description: 'Whether the model may or must call a tool. Defaults to AUTO.',
    }),
    toolName: t.string({
      description: 'The name of the only tool that the model must call. Takes precedence over `toolChoice`.',
    }),
    parallelToolCalls: t.boolean({ description: 'Whether the model can call several tools in one answer.' }),
    temperature: t.float({
      description: 'The sampling temperature, 0 to 2. Defaults to that of the agent, or of the model.',
    }),
    topP: t.float({ description: 'The probability mass of nucleus sampling, 0 to 1. Defaults to that of the model.' }),
    maxTokens: t.int({ description: 'Maximum number of tokens of the answer; at most 8,192.' }),
    stop: t.stringList({ description: 'Texts that end the answer, which does not include them; at most 16.' }),
    presencePenalty: t.float({
      description: 'The penalty for words that occurred before, -2 to 2. Defaults to that of the model.',
    }),
    frequencyPenalty: t.float({
      description: 'The penalty for each occurrence of a word before, -2 to 2. Defaults to that of the model.',
    }),
    seed: t.field({
      type: 'SafeInt',
      description: 'The seed of the sampling. The same seed gives the same answer if the model supports seeds.',
    }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'The effort of reasoning before the answer. Defaults to that of the model.',
    }),
    responseFormat: t.field({
      type: CompletionFormatInput,
      description: 'The format of the answer. Defaults to text.',
    }),
    includeUsage: t.boolean({
      description: 'Whether a stream ends with an additional chunk that has the token counts. Defaults to false.',
    }),
  }),
});

const CompletionToolCall = builder.objectRef<Completion['toolCalls'][number]>('CompletionToolCall').implement({
  description: 'A call of a tool of the client, which the client executes.',
  fields: (t) => ({
    id: t.exposeString('id', { description: 'The ID of the call, for the message with its result.' }),
    name: t.exposeString('name', { description: 'The name of the tool.' }),
    arguments: t.exposeString('arguments', {
      description: 'The arguments of the call as JSON, exactly as the model wrote them.',
    }),
  }),
});

const CompletionToolCallPiece = builder.objectRef<CallPiece>('CompletionToolCallPiece').implement({
  description: 'A piece of a tool call. The first piece of each call has the ID and the name.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'The position of the call in the answer, starting with 0.' }),
    id: t.exposeString('id', { nullable: true, description: 'The ID of the call; only in its first piece.' }),
    name: t.exposeString('name', {
      nullable: true,
      description: 'The name of the tool; only in the first piece of a call.',
    }),
    arguments: t.exposeString('arguments', { description: 'The next characters of the arguments.' }),
  }),
});

const head = {
  id: 'The ID of the answer, `chatcmpl-…`. The answer is not stored under it.',
  createdAt: 'The time at which the answer began.',
  model: 'The slug of the agent that answered.',
  usage: 'The token counts of the answer; null if no model was called.',
};

const CreateChatCompletionPayload = builder.objectRef<Completion>('CreateChatCompletionPayload').implement({
  description: 'Result of the mutation `createChatCompletion`.',
  fields: (t) => ({
    id: t.exposeString('id', { description: head.id }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: head.createdAt }),
    model: t.exposeString('model', { description: head.model }),
    text: t.exposeString('text', {
      nullable: true,
      description:
        'The text of the answer, in Markdown with citations as `[[n]](link)`; null if the model only calls tools or refuses.',
    }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The reasoning of the model before its answer; null if the model reported none.',
    }),
    refusal: t.exposeString('refusal', {
      nullable: true,
      description: 'The text of a refusal, if the provider distinguishes it from an answer.',
    }),
    toolCalls: t.field({
      type: [CompletionToolCall],
      listSize: 10,
      description: 'The tool calls of the answer.',
      resolve: ({ toolCalls }) => toolCalls,
    }),
    finishReason: t.expose('finishReason', {
      type: CompletionFinishReason,
      description: 'The reason why the answer ended.',
    }),
    usage: t.field({ type: TurnUsage, nullable: true, description: head.usage, resolve: ({ usage }) => usage }),
  }),
});

const ChatCompletionChunk = builder.objectRef<CompletionChunk>('ChatCompletionChunk').implement({
  description: 'A piece of a streamed answer.',
  fields: (t) => ({
    id: t.exposeString('id', { description: head.id }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: head.createdAt }),
    model: t.exposeString('model', { description: head.model }),
    text: t.exposeString('text', { nullable: true, description: 'The next characters of the text.' }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The next characters of the model’s reasoning, which precedes its answer.',
    }),
    refusal: t.exposeString('refusal', { nullable: true, description: 'The next characters of a refusal.' }),
    toolCalls: t.field({
      type: [CompletionToolCallPiece],
      listSize: 10,
      description: 'The next pieces of the tool calls.',
      resolve: ({ toolCalls }) => toolCalls,
    }),
    finishReason: t.expose('finishReason', {
      type: CompletionFinishReason,
      nullable: true,
      description: 'The reason why the answer ended; only in its last piece.',
    }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'The token counts of the answer; only in its last piece, and null if no model was called.',
      resolve: ({ usage }) => usage,
    }),
  }),
});

builder.mutationField('createChatCompletion', (t) =>
  t.withAuth({ permission: 'use:llm_gateway' }).field({
    type: CreateChatCompletionPayload,
    ownTimeLimit: true,
    description:
      'Answers a conversation that the client stores, as an agent with its knowledge. The server stores neither the conversation nor the answer, and stops the answer when the client disconnects.',
    args: {
      input: t.arg({
        type: CreateChatCompletionInputType,
        required: true,
        description: 'The conversation and its options.',
      }),
    },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.completions.create(principal, request(input), signal),
  }),
);

builder.subscriptionField('chatCompletion', (t) =>
  t.withAuth({ permission: 'use:llm_gateway' }).field({
    type: ChatCompletionChunk,
    description:
      'Streams the answer that `createChatCompletion` returns as a whole. The server stops the answer when the client disconnects.',
    args: {
      input: t.arg({
        type: CreateChatCompletionInputType,
        required: true,
        description: 'The conversation and its options.',
      }),
    },
    subscribe: (_root, { input }, { principal, services, signal }) =>
      services.completions.stream(principal, request(input), signal),
    resolve: (chunk) => chunk,
  }),
);

/** Converts a GraphQL input for the service. */
const request = ({
  includeUsage,
  ...input
}: typeof CreateChatCompletionInputType.$inferInput): CreateChatCompletionInput => ({
  ...input,
  includeUsage: includeUsage ?? false,
});
