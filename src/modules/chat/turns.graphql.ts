import { builder } from '../../graphql/builder.ts';
import { integerId, integerIdList, uuidId, uuidIdList } from '../../graphql/id-input.ts';
import { ChatModeType } from '../agents/chat-mode.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { ChatReferenceInput, chatReference } from './chat-locator.graphql.ts';
import { withoutCitations } from './citations.ts';
import { type Answered, collect } from './collect.ts';
import { ChatTurnEvent, ChatTurnFailed, ChatTurnStopped, Citation, type OfTurn } from './events.graphql.ts';
import type { IndexedEvent } from './events.ts';
import { ChatMessage } from './messages.graphql.ts';
import type { ChatRun } from './runs.ts';
import {
  ChatSession,
  CreateChatSessionInput,
  messageOf,
  ReasoningEffort,
  sessionOf,
  withDatabaseIds,
} from './sessions.graphql.ts';
import { TurnFailureDetails } from './turn-failure.graphql.ts';
import type { SendMessageInput } from './turn-input.ts';
import { TurnUsage } from './usage.graphql.ts';

const StopChatRunInput = builder.inputType('StopChatRunInput', {
  description: 'Input for the mutation `stopChatRun`.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: 'The session that is answering, by global ID or UUID.' }),
  }),
});

const SearchTagInput = builder.inputType('SearchTagInput', {
  description: 'A metadata entry that a document must have.',
  fields: (t) => ({
    key: t.string({ required: true, description: 'The name of the metadata entry.' }),
    value: t.string({ required: true, description: 'The value of the entry, or one of its values.' }),
  }),
});

const SearchFiltersInput = builder.inputType('SearchFiltersInput', {
  description: 'Conditions on the documents that a turn can use; all that are set must be met.',
  fields: (t) => ({
    sources: t.stringList({ description: 'Uses only documents from these sources.' }),
    since: t.field({ type: 'DateTime', description: 'Uses only documents that changed at this time or later.' }),
    tags: t.field({
      type: [SearchTagInput],
      description: 'Uses only documents that have all of these metadata entries.',
    }),
  }),
});

const ChatAttachmentInput = builder.inputType('ChatAttachmentInput', {
  description: 'A file that is sent within a message.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'The name of the file. A name without an extension gets that of the media type.',
    }),
    mediaType: t.string({ required: true, description: 'The media type of the file, such as `image/png`.' }),
    base64: t.string({ required: true, description: 'The content of the file in Base64.' }),
  }),
});

const ChatParentInput = builder.inputType('ChatParentInput', {
  isOneOf: true,
  description: 'The place of a message in the message tree of its session. Exactly one field is given.',
  fields: (t) => ({
    continue: t.boolean({ description: 'Continues after the last message of the current branch. Must be true.' }),
    startOver: t.boolean({
      description:
        'Starts over: the model receives no earlier message, and earlier messages stay on another branch. Must be true.',
    }),
    messageId: t.id({
      description:
        'A message on the current branch, by global ID or integer `databaseId`. After an answer, the message starts a new branch; a question is answered again.',
    }),
  }),
});

const SendChatMessageInput = builder.inputType('SendChatMessageInput', {
  description: 'Input for `sendChatMessage` and `chatTurn`.',
  fields: (t) => ({
    message: t.string({ required: true, description: 'The text of the message; at most 200,000 characters.' }),
    sessionId: t.id({
      description: 'The session to continue, by global ID or UUID. Defaults to a new session.',
    }),
    newSession: t.field({
      type: CreateChatSessionInput,
      description: 'The properties of the new session. Cannot be combined with `sessionId`.',
    }),
    chat: t.field({
      type: ChatReferenceInput,
      description: 'The chat to continue, without its ID. Cannot be combined with `sessionId` or `newSession`.',
    }),
    mode: t.field({
      type: ChatModeType,
      description: 'How the answer depends on the documents found. Defaults to the mode of the agent.',
    }),
    parent: t.field({
      type: ChatParentInput,
      description: 'The position of the message in the message tree. Defaults to the end of the current branch.',
    }),
    additionalContext: t.string({
      description: 'Text that the model receives with this turn only; it is not stored. At most 200,000 characters.',
    }),
    includeCitations: t.boolean({ description: 'If false, the answer contains no citations. Defaults to true.' }),
    model: t.string({
      description: 'The model that answers, one of `models`. Defaults to that of the session, the agent or the server.',
    }),
    temperature: t.float({
      description: 'The sampling temperature, 0 to 2. Defaults to that of the session, the agent or the model.',
    }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'How much the model reasons before it answers. Defaults to that of the session or the model.',
    }),
    fileIds: t.idList({
      description:
        'Files of the message, by global ID or UUID; at most 20. The answer waits until their text is extracted.',
    }),
    attachments: t.field({
      type: [ChatAttachmentInput],
      description:
        'Files to upload and attach to the message, which requires `write:projects`. At most 20, including `fileIds`.',
    }),
    actionIds: t.idList({
      description:
        'The actions of the agent that the turn can use, by global ID or integer `databaseId`. Defaults to all; an empty list allows no action.',
    }),
    forcedActionId: t.id({
      description:
        'An action that the turn must use, by global ID or integer `databaseId`: one that the agent has and that `actionIds` allows. BAD_USER_INPUT otherwise.',
    }),
    filters: t.field({ type: SearchFiltersInput, description: 'Conditions on the documents that the turn can use.' }),
    queue: t.boolean({
      description:
        'If true, waits while the session is still answering, after earlier waiting messages, instead of failing with CONFLICT. At most 20 messages of a caller wait, each for the maximum duration of an answer. Defaults to false.',
    }),
  }),
});

const StopChatRunPayload = builder.objectRef<{ stopped: boolean }>('StopChatRunPayload').implement({
  description: 'Result of the mutation `stopChatRun`.',
  fields: (t) => ({
    stopped: t.exposeBoolean('stopped', { description: 'True when the session had a running answer.' }),
  }),
});

const TurnFailure = builder.objectRef<NonNullable<Answered['failure']>>('TurnFailure').implement({
  description: 'The failure of a turn in the result of `sendChatMessage`.',
  interfaces: [TurnFailureDetails],
});

const SendChatMessagePayload = builder.objectRef<Answered>('SendChatMessagePayload').implement({
  description:
    'Result of `sendChatMessage`. A failed turn also has a result: `failure` contains the reason, and `answer` the text before the failure.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      description: 'The UUID of the session, for callers without `read:chat`.',
    }),
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session after the turn.',
      resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
    }),
    userMessage: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The stored question; null when a question is answered again.',
      resolve: ({ userMessageId }, _args, context, info) => messageOf(userMessageId, context, info),
    }),
    assistantMessage: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The answer as a stored message.',
      resolve: ({ assistantMessageId }, _args, context, info) => messageOf(assistantMessageId, context, info),
    }),
    runId: t.expose('runId', { type: 'UUID', description: 'The UUID of the run, for the subscription `chatRun`.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The integer `databaseId` of the question; null when a question is answered again.',
    }),
    assistantMessageId: t.exposeInt('assistantMessageId', { description: 'The integer `databaseId` of the answer.' }),
    answer: t.exposeString('answer', { description: 'The answer in Markdown; citations have the form `[[n]](link)`.' }),
    answerWithoutCitations: t.string({
      description: 'The answer in Markdown without citations.',
      resolve: ({ answer, citations }) => withoutCitations(answer, citations),
    }),
    reasoning: t.exposeString('reasoning', {
      nullable: true,
      description: 'The reasoning of the model before the answer; null without any.',
    }),
    citations: t.field({
      type: [Citation],
      listSize: 10,
      description: 'The citations in the answer, in the order of their first use.',
      resolve: ({ citations }) => citations,
    }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages that the model received for the answer, best first.',
      resolve: ({ documents }) => documents,
    }),
    searchQueries: t.exposeStringList('searchQueries', { description: 'The queries of the document search.' }),
    stopped: t.exposeBoolean('stopped', { description: 'True when a user stopped the answer.' }),
    isRefusal: t.exposeBoolean('isRefusal', {
      description:
        'True when no passage was found and the answer is the refusal of the agent, not an answer of a model. Question and refusal leave the current branch.',
    }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'The usage of the model for the answer; null when no model was called or the turn failed.',
      resolve: ({ usage }) => usage,
    }),
    failure: t.field({
      type: TurnFailure,
      nullable: true,
      description: 'The reason why the turn failed; null when it did not fail.',
      resolve: ({ failure }) => failure,
    }),
  }),
});

const ChatRunLocatorInput = builder.inputType('ChatRunLocatorInput', {
  isOneOf: true,
  description: 'A run, by its ID or as the last run of a session. Exactly one field is given.',
  fields: (t) => ({
    id: t.id({ description: 'The run, by global ID or UUID.' }),
    sessionId: t.id({ description: 'The session whose active or last run is read, by global ID or UUID.' }),
  }),
});

/** Adds the objects of a finished turn to its last event, from which clients update their caches. */
for (const event of [ChatTurnStopped, ChatTurnFailed])
  builder.objectFields(event as typeof ChatTurnStopped, (t) => ({
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session after the turn; null when the caller cannot read it.',
      resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
    }),
    assistantMessage: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The stored answer, whose `parent` is the question; null when the caller cannot read it.',
      resolve: ({ messageId }, _args, context, info) => messageOf(messageId, context, info),
    }),
  }));

type Ended = Extract<IndexedEvent, { type: 'stopped' | 'failed' }>;
type TurnEvent = Exclude<IndexedEvent, Ended> | (Ended & OfTurn);

/** Adds the session and the answer of a run to its last event. */
async function* withTurn(
  events: AsyncGenerator<IndexedEvent, void, undefined>,
  { sessionId, messageId }: ChatRun,
): AsyncGenerator<TurnEvent, void, undefined> {
  for await (const event of events)
    yield event.type === 'stopped' || event.type === 'failed' ? { ...event, sessionId, messageId } : event;
}

type Id = string | number;
type Given = Omit<
  SendMessageInput,
  'sessionId' | 'newSession' | 'chat' | 'parent' | 'fileIds' | 'actionIds' | 'forcedActionId'
> & {
  sessionId?: Id | null | undefined;
  newSession?: Parameters<typeof withDatabaseIds>[0] | null | undefined;
  chat?: Parameters<typeof chatReference>[0] | null | undefined;
  parent?: {
    continue?: boolean | null | undefined;
    startOver?: boolean | null | undefined;
    messageId?: Id | null | undefined;
  } | null;
  fileIds?: readonly Id[] | null | undefined;
  actionIds?: readonly Id[] | null | undefined;
  forcedActionId?: Id | null | undefined;
};

/** Replaces the global IDs of a message with database IDs. Throws BAD_USER_INPUT for an ID of another type. */
function messageInput({ sessionId, newSession, chat, parent, fileIds, actionIds, forcedActionId, ...input }: Given) {
  const at = (...path: string[]) => ['input', ...path];
  const messageId = parent?.messageId;
  return {
    ...input,
    sessionId: sessionId == null ? null : uuidId(sessionId, 'ChatSession', at('sessionId')),
    newSession: newSession && withDatabaseIds(newSession, at('newSession')),
    chat: chat && chatReference(chat, at('chat')),
    parent: parent && {
      ...parent,
      messageId: messageId == null ? null : integerId(messageId, 'ChatMessage', at('parent', 'messageId')),
    },
    fileIds: fileIds && uuidIdList(fileIds, 'File', at('fileIds')),
    actionIds: actionIds && integerIdList(actionIds, 'Action', at('actionIds')),
    forcedActionId: forcedActionId == null ? null : integerId(forcedActionId, 'Action', at('forcedActionId')),
  };
}

builder.mutationFields((t) => ({
  sendChatMessage: t.withAuth({ permission: 'write:chat' }).field({
    type: SendChatMessagePayload,
    ownTimeLimit: true,
    description:
      'Sends a message and waits for the complete answer. CONFLICT while the session is still answering, unless `queue` is set.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message and its options.' }) },
    resolve: async (_root, { input }, { principal, services, signal }) =>
      collect(await services.turns.start(principal, messageInput(input), signal), signal),
  }),
  stopChatRun: t.withAuth({ permission: 'write:chat' }).field({
    type: StopChatRunPayload,
    description: 'Stops the running answer of a session; its text so far is kept.',
    args: { input: t.arg({ type: StopChatRunInput, required: true, description: 'The session that is answering.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      stopped: await services.readers.stop(principal, uuidId(input.sessionId, 'ChatSession', ['input', 'sessionId'])),
    }),
  }),
}));

builder.subscriptionFields((t) => ({
  chatTurn: t.withAuth({ permission: 'write:chat' }).field({
    type: ChatTurnEvent,
    description:
      'Sends a message and streams the events of the turn. The run continues when the client disconnects. CONFLICT while the session is still answering, unless `queue` is set.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message and its options.' }) },
    subscribe: async (_root, { input }, { principal, services, signal }) => {
      const reader = principal;
      const { run } = await services.turns.start(reader, messageInput(input), signal);
      return withTurn(services.readers.read(reader, run, 0, signal), run);
    },
    resolve: (event) => event,
  }),
  chatRun: t.withAuth({ permission: 'read:chat' }).field({
    type: ChatTurnEvent,
    description:
      'Streams the events of an active or recently finished run of a session that the caller can read. A finished run is kept for five minutes, or less when many runs are kept.',
    args: {
      run: t.arg({ type: ChatRunLocatorInput, required: true, description: 'The run, or its session.' }),
      from: t.arg.int({
        description: 'The index of the first event to read; at most the number of events so far. Defaults to 0.',
      }),
    },
    subscribe: async (_root, { run: { id, sessionId }, from }, { principal, services: { readers }, signal }) => {
      const reader = principal;
      const found = await readers.find(reader, {
        runId: id == null ? null : uuidId(id, 'ChatRun', ['run', 'id']),
        sessionId: sessionId == null ? null : uuidId(sessionId, 'ChatSession', ['run', 'sessionId']),
        from,
      });
      return withTurn(readers.read(reader, found.run, found.from, signal), found.run);
    },
    resolve: (event) => event,
  }),
}));
