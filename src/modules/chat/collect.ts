import type { IndexedEvent, NumberedHit, TurnUsage } from './events.ts';
import type { Turn } from './prepare-turn.ts';
import type { TurnFailure } from './turn-failure.ts';

/** A completed turn, for callers that wait for the whole answer. */
export interface Answered {
  sessionId: string;
  runId: string;
  userMessageId: number | null;
  assistantMessageId: number;
  answer: string;
  reasoning: string | null;
  citations: { number: number; documentId: string }[];
  documents: NumberedHit[];
  searchQueries: string[];
  stopped: boolean;
  /** Set when the answer is the agent's refusal because no passage was found. */
  isRefusal: boolean;
  usage: TurnUsage | null;
  failure: TurnFailure | null;
}

/** Reads a turn to its end. When the caller disconnects first, the run continues and the events so far are returned. */
export async function collect(turn: Turn, signal: AbortSignal): Promise<Answered> {
  const { sessionId, userMessageId, assistantMessageId, run } = turn;
  const events: IndexedEvent[] = [];
  for await (const event of run.read(0, signal)) events.push(event);
  const of = <T extends IndexedEvent['type']>(type: T) =>
    events.filter((event): event is Extract<IndexedEvent, { type: T }> => event.type === type);
  const text = (type: 'answerDelta' | 'reasoningDelta') =>
    of(type)
      .map((event) => event.text)
      .join('');
  return {
    sessionId,
    runId: run.id,
    userMessageId,
    assistantMessageId,
    answer: text('answerDelta'),
    reasoning: text('reasoningDelta') || null,
    citations: of('citation').map(({ number, documentId }) => ({ number, documentId })),
    // An answer lists all of its sources, including files that were not searched.
    documents: of('answerStarted')[0]?.documents ?? of('searchDocuments').flatMap((event) => event.documents),
    searchQueries: of('searchQueries').flatMap((event) => event.queries),
    stopped: of('stopped').some((event) => event.reason === 'USER_CANCELLED'),
    isRefusal: of('answerStarted').some((event) => event.isRefusal ?? false),
    usage: of('stopped')[0]?.usage ?? null,
    failure: of('failed')[0] ?? null,
  };
}
