import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { ChatModeType } from '../agents/chat-mode.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { withoutCitations } from './citations.ts';
import { type Answered, collect } from './collect.ts';
import { ChatTurnEvent, Citation } from './events.graphql.ts';
import { ChatReferenceInput } from './reference.graphql.ts';
import { CreateChatSessionInput, ReasoningEffort } from './sessions.graphql.ts';
import { TurnFailureDetails } from './turn-failure.graphql.ts';
import { TurnUsage } from './usage.graphql.ts';

const StopChatRunInput = builder.inputType('StopChatRunInput', {
  description: 'Which session is to stop answering.',
  fields: (t) => ({ sessionId: t.field({ type: 'UUID', required: true, description: 'The session.' }) }),
});

const SearchTagInput = builder.inputType('SearchTagInput', {
  description: 'A piece of metadata that a document must have.',
  fields: (t) => ({
    key: t.string({ required: true, description: 'Its name.' }),
    value: t.string({ required: true, description: 'Its value, or one of its values.' }),
  }),
});

const SearchFiltersInput = builder.inputType('SearchFiltersInput', {
  description: 'Which documents a turn may use.',
  fields: (t) => ({
    sources: t.stringList({ description: 'Only from these sources.' }),
    since: t.field({ type: 'DateTime', description: 'Only those changed since.' }),
    tags: t.field({ type: [SearchTagInput], description: 'Only those that have all of these.' }),
  }),
});

const ChatAttachmentInput = builder.inputType('ChatAttachmentInput', {
  description: 'A file that comes with a message, in it.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name; one without an extension gets that of its media type.' }),
    mediaType: t.string({ required: true, description: 'Its media type, such as `image/png`.' }),
    base64: t.string({ required: true, description: 'Its bytes, in Base64.' }),
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
    messageId: t.int({
      description:
        'The integer ID of a message on the current branch: behind an answer the message starts a new branch, and a question is answered again.',
    }),
  }),
});

const SendChatMessageInput = builder.inputType('SendChatMessageInput', {
  description: 'A message to an agent, and how to answer it.',
  fields: (t) => ({
    message: t.string({ required: true, description: 'What to say; at most 200,000 characters.' }),
    sessionId: t.field({ type: 'UUID', description: 'The session to go on with; a new one unless given.' }),
    newSession: t.field({
      type: CreateChatSessionInput,
      description: 'What the new session is to be. Not beside `sessionId`.',
    }),
    chat: t.field({
      type: ChatReferenceInput,
      description: 'The chat to go on with, by names. Not beside `sessionId` or `newSession`.',
    }),
    mode: t.field({ type: ChatModeType, description: 'When to answer; as the agent does unless given.' }),
    parent: t.field({
      type: ChatParentInput,
      description: 'Where in the message tree the message goes. Continues after the last message when null or absent.',
    }),
    additionalContext: t.string({ description: 'Said to the model with this turn, and not kept.' }),
    includeCitations: t.boolean({ description: 'Whether the answer cites; true unless given.' }),
    model: t.string({
      description:
        'The model that answers, one of `models`; the session’s, the agent’s or the server’s own unless given.',
    }),
    temperature: t.float({ description: '0 to 2; the session’s, the agent’s or the model’s own unless given.' }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      description: 'How much the model thinks first; the session’s, or the model’s own, unless given.',
    }),
    fileIds: t.field({
      type: ['UUID'],
      description: 'Files to give with it, at most 20. The answer waits until their text is read.',
    }),
    attachments: t.field({
      type: [ChatAttachmentInput],
      description:
        'Files that were not uploaded before; they are stored as if they were, which needs `write:projects`. At most 20, with `fileIds`.',
    }),
    actionIds: t.intList({
      description: 'Only these of the agent’s actions; none for an empty list, all unless given.',
    }),
    forcedActionId: t.int({
      description:
        'An action that the turn must use: one that the agent has and `actionIds` allows. BAD_USER_INPUT otherwise.',
    }),
    filters: t.field({ type: SearchFiltersInput, description: 'Which documents it may use.' }),
    queue: t.boolean({
      description:
        'Waits while the session is still answering, behind earlier messages that wait, in place of failing with CONFLICT. At most 20 messages of a caller wait, each for as long as one answer can take. Defaults to false.',
    }),
  }),
});

const StopChatRunPayload = builder.objectRef<{ stopped: boolean }>('StopChatRunPayload').implement({
  description: 'What `stopChatRun` did.',
  fields: (t) => ({ stopped: t.exposeBoolean('stopped', { description: 'Whether there was anything to stop.' }) }),
});

const TurnFailure = builder.objectRef<NonNullable<Answered['failure']>>('TurnFailure').implement({
  description: 'The failure of a turn whose whole answer was awaited.',
  interfaces: [TurnFailureDetails],
});

const SendChatMessagePayload = builder.objectRef<Answered>('SendChatMessagePayload').implement({
  description: 'The whole answer. A failed turn is an answer too: `failure` says why, and `answer` what had been said.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session.' }),
    runId: t.expose('runId', { type: 'UUID', description: 'The run.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The question; null when an answer was made anew.',
    }),
    assistantMessageId: t.exposeInt('assistantMessageId', { description: 'The answer.' }),
    answer: t.exposeString('answer', { description: 'What was said, Markdown; citations are `[[n]](link)`.' }),
    answerWithoutCitations: t.string({
      description: 'The same without them.',
      resolve: ({ answer, citations }) => withoutCitations(answer, citations),
    }),
    reasoning: t.exposeString('reasoning', { nullable: true, description: 'What the model thought.' }),
    citations: t.field({
      type: [Citation],
      listSize: 10,
      description: 'The numbers in the answer.',
      resolve: ({ citations }) => citations,
    }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages it was given, best first.',
      resolve: ({ documents }) => documents,
    }),
    searchQueries: t.exposeStringList('searchQueries', { description: 'What was searched for.' }),
    stopped: t.exposeBoolean('stopped', { description: 'Whether somebody stopped it.' }),
    isRefusal: t.exposeBoolean('isRefusal', {
      description:
        'Whether it is the agent’s word that there was nothing to answer from, and no model’s. It leaves the current branch, with its question.',
    }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'What the model did for it; null where none was asked, or the turn failed.',
      resolve: ({ usage }) => usage,
    }),
    failure: t.field({
      type: TurnFailure,
      nullable: true,
      description: 'Why it failed, if it did.',
      resolve: ({ failure }) => failure,
    }),
  }),
});

builder.mutationFields((t) => ({
  sendChatMessage: t.field({
    type: SendChatMessagePayload,
    ownTimeLimit: true,
    authScopes: { permission: 'write:chat' },
    description: 'Sends a message and waits for the whole answer. CONFLICT while the session is still answering.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message.' }) },
    resolve: async (_root, { input }, { principal, services, signal }) =>
      collect(await services.turns.start(signedIn(principal), input, signal), signal),
  }),
  stopChatRun: t.field({
    type: StopChatRunPayload,
    authScopes: { permission: 'write:chat' },
    description: 'Stops what one of one’s own sessions is saying; what was said is kept.',
    args: { input: t.arg({ type: StopChatRunInput, required: true, description: 'The session.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      stopped: await services.readers.stop(signedIn(principal), input.sessionId),
    }),
  }),
}));

builder.subscriptionFields((t) => ({
  chatTurn: t.field({
    type: ChatTurnEvent,
    authScopes: { permission: 'write:chat' },
    description:
      'Sends a message and streams what happens. The run goes on when the reader leaves. CONFLICT while the session is still answering.',
    args: { input: t.arg({ type: SendChatMessageInput, required: true, description: 'The message.' }) },
    subscribe: async (_root, { input }, { principal, services, signal }) => {
      const reader = signedIn(principal);
      const { run } = await services.turns.start(reader, input, signal);
      return services.readers.read(reader, run, 0, signal);
    },
    resolve: (event) => event,
  }),
  chatRun: t.field({
    type: ChatTurnEvent,
    authScopes: { permission: 'read:chat' },
    description:
      'The events of a run of a session that the caller may read, under way or just over. What is over is kept for five minutes, or less when there is much of it.',
    args: {
      runId: t.arg({ type: 'UUID', description: 'The run, from `ChatMessageIds`. Not beside `sessionId`.' }),
      sessionId: t.arg({
        type: 'UUID',
        description: 'The session: what it is saying, or said last. Not beside `runId`; one of the two is needed.',
      }),
      from: t.arg.int({
        description: 'The index of the first event to read, at most the number of events so far; 0 unless given.',
      }),
    },
    subscribe: async (_root, which, { principal, services: { readers }, signal }) => {
      const reader = signedIn(principal);
      const { run, from } = await readers.find(reader, which);
      return readers.read(reader, run, from, signal);
    },
    resolve: (event) => event,
  }),
}));
