import { builder } from '../../graphql/builder.ts';
import { loadRelated } from '../../graphql/related.ts';
import { Document, SearchHit } from '../knowledge/knowledge.graphql.ts';
import type { IndexedEvent } from './events.ts';
import { TurnFailureDetails } from './turn-failure.graphql.ts';
import { TurnUsage } from './usage.graphql.ts';

/** The session and the answer of a turn, on its last event. */
export interface OfTurn {
  sessionId: string;
  messageId: number;
}

type Event<Type extends IndexedEvent['type']> = Extract<IndexedEvent, { type: Type }>;

const indexDescription =
  'The index of the event in its run. A client resumes with the index after the last one that it received.';

const ChatStopReason = builder.enumType('ChatStopReason', {
  description: 'The reason why an answer ended.',
  values: {
    FINISHED: { description: 'The answer is complete.' },
    USER_CANCELLED: { description: 'A user stopped the answer; the text so far is kept.' },
  },
});

const Citation = builder.objectRef<{ number: number; documentId: string }>('Citation').implement({
  description: 'A citation number in an answer and the document that it refers to.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'The number `n` of the citation `[[n]](link)`.' }),
    document: t.withAuth({ permission: 'read:search' }).field({
      type: Document,
      nullable: true,
      description: 'The cited document; null when it was deleted or the caller cannot read it.',
      resolve: ({ documentId }, _args, context, info) =>
        loadRelated(context, info, documentId, (ids, query) =>
          context.services.related.documents(context.principal, ids, query),
        ),
    }),
    documentId: t.exposeString('documentId', {
      description: 'The client-assigned ID of the document, for callers without `read:search`.',
    }),
  }),
});

export { Citation };

const ChatSessionCreated = builder.objectRef<Event<'sessionCreated'>>('ChatSessionCreated').implement({
  description: 'The turn created a session. This is the first event of such a turn.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The UUID of the new session.' }),
  }),
});

const ChatMessageIds = builder.objectRef<Event<'messageIds'>>('ChatMessageIds').implement({
  description: 'The message of the user is stored, and the message of the answer is reserved.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    runId: t.expose('runId', { type: 'UUID', description: 'The UUID of the run, for the subscription `chatRun`.' }),
    sessionId: t.expose('sessionId', { type: 'UUID', description: 'The UUID of the session.' }),
    userMessageId: t.exposeInt('userMessageId', {
      nullable: true,
      description: 'The integer `databaseId` of the question; null when a question is answered again.',
    }),
    assistantMessageId: t.exposeInt('assistantMessageId', { description: 'The integer `databaseId` of the answer.' }),
  }),
});

const ChatSearchStarted = builder.objectRef<Event<'searchStarted'>>('ChatSearchStarted').implement({
  description: 'The agent started to search its documents.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatSearchQueries = builder.objectRef<Event<'searchQueries'>>('ChatSearchQueries').implement({
  description: 'The queries of the document search.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    queries: t.exposeStringList('queries', { description: 'The queries, as the search received them.' }),
  }),
});

const ChatSearchDocuments = builder.objectRef<Event<'searchDocuments'>>('ChatSearchDocuments').implement({
  description: 'The result of the document search.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages that the search found, best first.',
      resolve: (event) => event.documents,
    }),
  }),
});

const ChatReasoningStarted = builder.objectRef<Event<'reasoningStarted'>>('ChatReasoningStarted').implement({
  description: 'The model started to reason.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatReasoningDelta = builder.objectRef<Event<'reasoningDelta'>>('ChatReasoningDelta').implement({
  description: 'A part of the reasoning of the model.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    text: t.exposeString('text', { description: 'The text to append to the reasoning.' }),
  }),
});

const ChatReasoningEnded = builder.objectRef<Event<'reasoningEnded'>>('ChatReasoningEnded').implement({
  description: 'The model finished its reasoning.',
  fields: (t) => ({ index: t.exposeInt('index', { description: indexDescription }) }),
});

const ChatAnswerStarted = builder.objectRef<Event<'answerStarted'>>('ChatAnswerStarted').implement({
  description: 'The answer starts with the next event.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    afterSeconds: t.float({
      description: 'The time since the start of the turn, in seconds.',
      resolve: ({ afterMs }) => afterMs / 1000,
    }),
    documents: t.field({
      type: [SearchHit],
      listSize: 10,
      description: 'The passages that the model received for the answer.',
      resolve: (event) => event.documents,
    }),
    isRefusal: t.boolean({
      description: 'True when no passage was found and the text is the refusal of the agent, not an answer of a model.',
      resolve: ({ isRefusal }) => isRefusal ?? false,
    }),
  }),
});

const ChatAnswerDelta = builder.objectRef<Event<'answerDelta'>>('ChatAnswerDelta').implement({
  description: 'A part of the answer.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    text: t.exposeString('text', { description: 'The text to append to the answer, in Markdown.' }),
  }),
});

const ChatCitation = builder.objectRef<Event<'citation'>>('ChatCitation').implement({
  description: 'The answer is about to cite a document for the first time.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    citation: t.field({ type: Citation, description: 'The number and the document.', resolve: (event) => event }),
  }),
});

export const ChatTurnStopped = builder.objectRef<Event<'stopped'> & OfTurn>('ChatTurnStopped').implement({
  description: 'The turn ended. This is the last event.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: indexDescription }),
    reason: t.expose('reason', { type: ChatStopReason, description: 'The reason why the turn ended.' }),
    usage: t.field({
      type: TurnUsage,
      nullable: true,
      description: 'The usage of the model for the answer; null when no model was called.',
      resolve: ({ usage }) => usage ?? null,
    }),
  }),
});

export const ChatTurnFailed = builder.objectRef<Event<'failed'> & OfTurn>('ChatTurnFailed').implement({
  description: 'The turn failed. This is the last event. The text that was generated before is kept.',
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
    'An event of a turn: first the IDs, then search, reasoning, and the answer with its citations, and finally `ChatTurnStopped` or `ChatTurnFailed`.',
  types: Object.values(types),
  resolveType: ({ type }) => types[type].name,
});
