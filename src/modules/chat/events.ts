import type { Hit } from '../knowledge/retrieval.ts';
import type { TurnFailure } from './turn-failure.ts';

/** A passage that a turn found, under the number by which the answer cites its document. */
export interface NumberedHit extends Hit {
  number: number;
}

/** What happens in a turn, in the order in which it does. A run ends with `stopped` or `failed`, once. */
export type ChatEvent =
  | { type: 'sessionCreated'; sessionId: string }
  | { type: 'messageIds'; sessionId: string; runId: string; userMessageId: number | null; assistantMessageId: number }
  | { type: 'searchStarted' }
  | { type: 'searchQueries'; queries: string[] }
  | { type: 'searchDocuments'; documents: NumberedHit[] }
  | { type: 'reasoningStarted' }
  | { type: 'reasoningDelta'; text: string }
  | { type: 'reasoningEnded' }
  | {
      type: 'answerStarted';
      documents: NumberedHit[] /** What follows is no model's: there was nothing to answer from. */;
      isRefusal?: true;
    }
  | { type: 'answerDelta'; text: string }
  | { type: 'citation'; number: number; documentId: string }
  | { type: 'stopped'; reason: 'FINISHED' | 'USER_CANCELLED' /** Where a model was asked. */; usage?: TurnUsage }
  | ({ type: 'failed' } & TurnFailure);

/** What a model did for an answer. */
export interface TurnUsage {
  /** As far as the provider did not tell, estimated. */
  inputTokens: number;
  outputTokens: number;
  durationMs: number;
  model: string;
  /** null: the server no longer has the model. */
  provider: string | null;
  endedAt: Date | null;
}

/** An event, its place in its run, from which a reader can resume, and how long after the run’s start it came. */
export type IndexedEvent = { index: number; afterMs: number } & ChatEvent;
