import { builder } from '../../graphql/builder.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import type { IndexedEvent } from './events.ts';
import { TurnFailureDetails } from './turn-failure.graphql.ts';
import { TurnUsage } from './usage.graphql.ts';

type Event<Type extends IndexedEvent['type']> = Extract<IndexedEvent, { type: Type }>;

const indexDescription = 'The event’s place in its run: resume with the one after the last that arrived.';

const ChatStopReason = builder.enumType('ChatStopReason', {
  description: 'Why an answer ended.',
  values: {
    FINISHED: { description: 'It is whole.' },
    USER_CANCELLED: { description: 'Somebody stopped it; what was said is kept.' },
  },
});

const Citation = builder.objectRef<{ number: number; documentId: string }>('Citation').implement({
  description: 'A number in an answer, and the document that it stands for.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'The n of `[[n]](link)`.' }),
    documentId: t.exposeString('documentId', { description: 'The id of the document.' }),
  }),
});

export { Citation };

const ChatSessionCreated = builder.objectRef<Event<'sessionCreated'>>('ChatSessionCreated').implement({
  description: 'The turn made a new session; the first event when it did.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The new session.' }),
  }),
});

const ChatMessageIds = builder.objectRef<Event<'messageIds'>>('ChatMessageIds').implement({
  description: 'The user’s message is stored and the answer’s place is reserved.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    runId: t.expose('runId', { type: 'UUID', description: 'The run, for `chatRun`.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The session.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The question; null when an answer is made anew.',
    }),
    assistantMessageId: t.exposeInt('assistantMessageId', { description: 'The answer to be.' }),
  }),
});

const ChatSearchStarted = builder.objectRef<Event<'searchStarted'>>('ChatSearchStarted').implement({
  description: 'The agent searches its documents.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatSearchQueries = builder.objectRef<Event<'searchQueries'>>('ChatSearchQueries').implement({
  description: 'What it looks for.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    queries: t.exposeStringList('queries', { description: 'The queries.' }),
  }),
});

const ChatSearchDocuments = builder.objectRef<Event<'searchDocuments'>>('ChatSearchDocuments').implement({
  description: 'What it found.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages, best first.',
      resolve: (event) => event.documents,
    }),
  }),
});

const ChatReasoningStarted = builder.objectRef<Event<'reasoningStarted'>>('ChatReasoningStarted').implement({
  description: 'The model thinks.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatReasoningDelta = builder.objectRef<Event<'reasoningDelta'>>('ChatReasoningDelta').implement({
  description: 'A piece of what the model thinks.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    text: t.exposeString('text', { description: 'The piece.' }),
  }),
});

const ChatReasoningEnded = builder.objectRef<Event<'reasoningEnded'>>('ChatReasoningEnded').implement({
  description: 'The model has thought.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatAnswerStarted = builder.objectRef<Event<'answerStarted'>>('ChatAnswerStarted').implement({
  description: 'The answer begins.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    afterSeconds: t.float({
      description: 'How long after the turn’s own beginning.',
      resolve: ({ afterMs }) => afterMs / 1000,
    }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages it was given.',
      resolve: (event) => event.documents,
    }),
    isRefusal: t.boolean({
      description: 'Whether it is the agent’s word that there was nothing to answer from, and no model’s.',
      resolve: ({ isRefusal }) => isRefusal ?? false,
    }),
  }),
});

const ChatAnswerDelta = builder.objectRef<Event<'answerDelta'>>('ChatAnswerDelta').implement({
  description: 'A piece of the answer.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    text: t.exposeString('text', { description: 'The piece, Markdown.' }),
  }),
});

const ChatCitation = builder.objectRef<Event<'citation'>>('ChatCitation').implement({
  description: 'The answer is about to cite a document, for the first time.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    citation: t.field({ type: Citation, description: 'Which.', resolve: (event) => event }),
  }),
});

const ChatTurnStopped = builder.objectRef<Event<'stopped'>>('ChatTurnStopped').implement({
  description: 'The turn is over; the last event.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    reason: t.expose('reason', { type: ChatStopReason, description: 'Why.' }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'What the model did for the answer; null where none was asked.',
      resolve: ({ usage }) => usage ?? null,
    }),
  }),
});

const ChatTurnFailed = builder.objectRef<Event<'failed'>>('ChatTurnFailed').implement({
  description: 'The turn failed; the last event. The text that was generated before is kept.',
  interfaces: [TurnFailureDetails],
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
  }),
});

const types = {
  sessionCreated: ChatSessionCreated,
  messageIds: ChatMessageIds,
  searchStarted: ChatSearchStarted,
  searchQueries: ChatSearchQueries,
  searchDocuments: ChatSearchDocuments,
  reasoningStarted: ChatReasoningStarted,
  reasoningDelta: ChatReasoningDelta,
  reasoningEnded: ChatReasoningEnded,
  answerStarted: ChatAnswerStarted,
  answerDelta: ChatAnswerDelta,
  citation: ChatCitation,
  stopped: ChatTurnStopped,
  failed: ChatTurnFailed,
} satisfies Record<IndexedEvent['type'], unknown>;

/** The events of a turn in the order in which they are sent. */
export const ChatTurnEvent = builder.unionType('ChatTurnEvent', {
  description:
    'What happens in a turn: ids first, then search, reasoning, and the answer with its citations; `ChatTurnStopped` or `ChatTurnFailed` last.',
  types: Object.values(types),
  resolveType: ({ type }) => types[type].name,
});
