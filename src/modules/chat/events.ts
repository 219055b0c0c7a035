import type { ModelProvider } from '../../ai/providers.ts';
import type { Hit } from '../knowledge/retrieval.ts';
import type { TurnFailure } from './turn-failure.ts';

/** A passage of a turn with the number by which the answer cites its document. */
export interface NumberedHit extends Hit {
  number: number;
}

/** The events of a turn in the order in which they are sent. A run ends with exactly one `stopped` or `failed`. */
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
      documents: NumberedHit[] /** Set when the answer is the agent's refusal because no passage was found. */;
      isRefusal?: true;
    }
  | { type: 'answerDelta'; text: string }
  | { type: 'citation'; number: number; documentId: string }
  | { type: 'stopped'; reason: 'FINISHED' | 'USER_CANCELLED' /** Set when a model was called. */; usage?: TurnUsage }
  | ({ type: 'failed' } & TurnFailure);

/** The usage of an answer. */
export interface TurnUsage {
  /** Estimated when the provider does not report usage. */
  inputTokens: number;
  outputTokens: number;
  durationMs: number;
  model: string;
  /** Null when the model is no longer configured. */
  provider: ModelProvider | null;
  endedAt: Date | null;
}

/** An event with its index in the run, from which a reader can resume, and the time since the start of the run. */
export type IndexedEvent = { index: number; afterMs: number } & ChatEvent;
