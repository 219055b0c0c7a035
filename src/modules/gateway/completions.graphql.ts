import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { ReasoningEffort } from '../chat/sessions.graphql.ts';
import { TurnUsage } from '../chat/usage.graphql.ts';
import type { CallPiece } from './client-call.ts';
import type { Completion, CompletionChunk, CreateChatCompletionInput, FinishReason } from './completions.service.ts';

const CompletionRole = builder.enumType('CompletionRole', {
  description: 'Who a message is from.',
  values: {
    SYSTEM: { description: 'The client’s instructions. The first take the place of the agent’s.' },
    DEVELOPER: { description: 'The same, as newer clients call it.' },
    USER: { description: 'Who asks.' },
    ASSISTANT: { description: 'The agent.' },
    TOOL: { description: 'What a tool of the client’s gave.' },
  },
});

const CompletionToolChoice = builder.enumType('CompletionToolChoice', {
  description: 'Whether the model is to call a tool.',
  values: {
    AUTO: { description: 'As it sees fit.' },
    NONE: { description: 'No.' },
    REQUIRED: { description: 'At least one.' },
  },
});

const CompletionFormat = builder.enumType('CompletionFormat', {
  description: 'What an answer is to be.',
  values: {
    TEXT: { description: 'Text.' },
    JSON_OBJECT: { description: 'A JSON object.' },
    JSON_SCHEMA: { description: 'JSON that fits a schema, as far as the model’s provider heeds one.' },
  },
});

const CompletionFinishReason = builder.enumType('CompletionFinishReason', {
  description: 'Why an answer ended.',
  values: {
    STOP: { description: 'It is whole.' },
    LENGTH: { description: 'It reached the most tokens that it may have.' },
    TOOL_CALLS: { description: 'It waits for what the tools give.' },
    CONTENT_FILTER: { description: 'The provider left something out.' },
  } satisfies Record<FinishReason, object>,
});

const CompletionPartInput = builder.inputType('CompletionPartInput', {
  description: 'A part of a message: a text or an image.',
  fields: (t) => ({
    text: t.string({ description: 'The text; at most 1,000,000 characters.' }),
    imageUrl: t.string({
      description:
        'A PNG, JPEG, GIF or WebP image for a model that reads images: a `data:` URL in base64, or an http or https URL with a public address, which the server fetches. At most 10 URLs are fetched, each of at most 5 MB.',
    }),
  }),
});

const CompletionToolCallInput = builder.inputType('CompletionToolCallInput', {
  description: 'A call that an earlier answer made.',
  fields: (t) => ({
    id: t.string({ required: true, description: 'Its id.' }),
    name: t.string({ required: true, description: 'The tool.' }),
    arguments: t.string({ required: true, description: 'What it was given, JSON.' }),
  }),
});

const CompletionMessageInput = builder.inputType('CompletionMessageInput', {
  description: 'A message of a conversation that the client keeps.',
  fields: (t) => ({
    role: t.field({ type: CompletionRole, required: true, description: 'Who it is from.' }),
    content: t.field({ type: [CompletionPartInput], description: 'What it says; at most 1,000 parts.' }),
    toolCalls: t.field({ type: [CompletionToolCallInput], description: 'The calls that an answer made.' }),
    toolCallId: t.string({ description: 'The id of the call that a tool answers.' }),
  }),
});

const CompletionToolInput = builder.inputType('CompletionToolInput', {
  description: 'A function of the client’s that the model may call.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name: 1 to 64 letters, digits, underscores and dashes.' }),
    description: t.string({ description: 'What it does; at most 20,000 characters.' }),
    parameters: t.field({ type: 'JSONObject', description: 'What it is given, a JSON schema; nothing unless given.' }),
    strict: t.boolean({ description: 'Whether the arguments are to fit the schema exactly.' }),
  }),
});

const CompletionFormatInput = builder.inputType('CompletionFormatInput', {
  description: 'What an answer is to be. The embedded model writes text alone.',
  fields: (t) => ({
    type: t.field({ type: CompletionFormat, required: true, description: 'The kind.' }),
    name: t.string({ description: 'The name of the schema.' }),
    description: t.string({ description: 'What the schema is for.' }),
    schema: t.field({ type: 'JSONObject', description: 'The JSON schema.' }),
    strict: t.boolean({ description: 'Whether the answer is to fit the schema exactly.' }),
  }),
});

const CreateChatCompletionInputType = builder.inputType('CreateChatCompletionInput', {
  description: 'A conversation that the client keeps, and how to go on with it.',
  fields: (t) => ({
    model: t.string({ required: true, description: 'The slug of the agent that answers.' }),
    messages: t.field({
      type: [CompletionMessageInput],
      required: true,
      description:
        'The conversation, oldest first; 1 to 2,000 messages, the last of them of the user or a tool. What does not fit into the model’s window is left out, the oldest first.',
    }),
    tools: t.field({ type: [CompletionToolInput], description: 'What the model may call; at most 128.' }),
    toolChoice: t.field({ type: CompletionToolChoice, description: 'Whether it is to; AUTO unless given.' }),
    toolName: t.string({ description: 'The one tool that it is to call. Goes before `toolChoice`.' }),
    parallelToolCalls: t.boolean({ description: 'Whether it may call several at once.' }),
    temperature: t.float({ description: '0 to 2; the agent’s, or the model’s own, unless given.' }),
    topP: t.float({ description: '0 to 1; the model’s own unless given.' }),
    maxTokens: t.int({ description: 'The most tokens that the answer may have; at most the server’s 8,192.' }),
    stop: t.stringList({ description: 'Texts before which the answer ends; at most 16.' }),
    presencePenalty: t.float({ description: '-2 to 2; the model’s own unless given.' }),
    frequencyPenalty: t.float({ description: '-2 to 2; the model’s own unless given.' }),
    seed: t.field({ type: 'SafeInt', description: 'The same seed gives the same answer, as far as the model can.' }),
    reasoningEffort: t.field({ type: ReasoningEffort, description: 'How much it thinks first; its own unless given.' }),
    responseFormat: t.field({
      type: CompletionFormatInput,
      description: 'What the answer is to be; text unless given.',
    }),
    includeUsage: t.boolean({
      description: 'Whether a stream ends with a chunk of its own that says what the answer cost; false unless given.',
    }),
  }),
});

const CompletionToolCall = builder.objectRef<Completion['toolCalls'][number]>('CompletionToolCall').implement({
  description: 'A call of one of the client’s tools, for the client to make.',
  fields: (t) => ({
    id: t.exposeString('id', { description: 'Its id, for the message that answers it.' }),
    name: t.exposeString('name', { description: 'The tool.' }),
    arguments: t.exposeString('arguments', { description: 'What to give it: JSON, as the model wrote it.' }),
  }),
});

const CompletionToolCallPiece = builder.objectRef<CallPiece>('CompletionToolCallPiece').implement({
  description: 'A piece of a call. The first of each call has its id and name.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'Which of the answer’s calls, from 0.' }),
    id: t.exposeString('id', { nullable: true, description: 'Its id.' }),
    name: t.exposeString('name', { nullable: true, description: 'The tool.' }),
    arguments: t.exposeString('arguments', { description: 'The next characters of what to give it.' }),
  }),
});

const head = {
  id: 'The id of the answer, `chatcmpl-…`. Nothing is found by it later.',
  createdAt: 'When the answer began.',
  model: 'The slug of the agent.',
  usage: 'What the model did for the answer; null where none was asked.',
};

const CreateChatCompletionPayload = builder.objectRef<Completion>('CreateChatCompletionPayload').implement({
  description: 'An answer to a conversation that the client keeps.',
  fields: (t) => ({
    id: t.exposeString('id', { description: head.id }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: head.createdAt }),
    model: t.exposeString('model', { description: head.model }),
    text: t.exposeString('text', {
      nullable: true,
      description: 'What was said, Markdown with citations as `[[n]](link)`; null when it only calls tools or refuses.',
    }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The reasoning of the model before its answer; null when it reported none.',
    }),
    refusal: t.exposeString('refusal', {
      nullable: true,
      description: 'What the model said in refusing, where its provider tells that from an answer.',
    }),
    toolCalls: t.field({
      type: [CompletionToolCall],
      listSize: 10,
      description: 'Its calls.',
      resolve: ({ toolCalls }) => toolCalls,
    }),
    finishReason: t.expose('finishReason', { type: CompletionFinishReason, description: 'Why it ended.' }),
    usage: t.field({ type: TurnUsage, nullable: true, description: head.usage, resolve: ({ usage }) => usage }),
  }),
});

const ChatCompletionChunk = builder.objectRef<CompletionChunk>('ChatCompletionChunk').implement({
  description: 'A piece of an answer.',
  fields: (t) => ({
    id: t.exposeString('id', { description: head.id }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: head.createdAt }),
    model: t.exposeString('model', { description: head.model }),
    text: t.exposeString('text', { nullable: true, description: 'The next characters.' }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The next characters of the model’s reasoning, which precedes its answer.',
    }),
    refusal: t.exposeString('refusal', { nullable: true, description: 'The next characters of a refusal.' }),
    toolCalls: t.field({
      type: [CompletionToolCallPiece],
      listSize: 10,
      description: 'The next pieces of its calls.',
      resolve: ({ toolCalls }) => toolCalls,
    }),
    finishReason: t.expose('finishReason', {
      type: CompletionFinishReason,
      nullable: true,
      description: 'Why the answer ended, with its last piece.',
    }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'What the model did for the answer, with its last piece; null where none was asked.',
      resolve: ({ usage }) => usage,
    }),
  }),
});

builder.mutationField('createChatCompletion', (t) =>
  t.field({
    type: CreateChatCompletionPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'use:llm_gateway' },
    description:
      'Answers a conversation that the client keeps, as an agent with its knowledge; nothing of it is stored. The answer ends when the client goes away.',
    args: { input: t.arg({ type: CreateChatCompletionInputType, required: true, description: 'The conversation.' }) },
    resolve: (_root, { input }, { principal, services, signal }) =>
      services.completions.create(signedIn(principal), request(input), signal),
  }),
);

builder.subscriptionField('chatCompletion', (t) =>
  t.field({
    type: ChatCompletionChunk,
    authScopes: { permission: 'use:llm_gateway' },
    description: 'The same as `createChatCompletion`, piece by piece. The answer ends when its reader leaves.',
    args: { input: t.arg({ type: CreateChatCompletionInputType, required: true, description: 'The conversation.' }) },
    subscribe: (_root, { input }, { principal, services, signal }) =>
      services.completions.stream(signedIn(principal), request(input), signal),
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
