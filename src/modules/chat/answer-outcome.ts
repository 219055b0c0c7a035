import type { ChatModel } from '../../ai/providers.ts';
import { isBlobStoreUnavailable, isDatabaseUnavailable } from '../../errors.ts';
import type { ModelUse } from '../limits/usage.service.ts';
import type { TurnUsage } from './events.ts';
import type { ActiveRun } from './runs.ts';
import { filesUnavailable, interruptedMessage, type TurnFailure, turnFailure } from './turn-failure.ts';

/** The answer so far, which grows while the model writes. */
export interface AnswerSoFar {
  text: string;
  reasoning: string;
  citations: { number: number; documentId: string }[];
  inputTokens: number;
  outputTokens: number;
  /** The number of these tokens that the provider did not report. */
  estimatedTokens: number;
  /** True when the text is the refusal of the agent, for which no model was called. */
  isRefusal: boolean;
}

/** Returns an answer before its first text. */
export const emptyAnswer = (): AnswerSoFar => ({
  text: '',
  reasoning: '',
  citations: [],
  inputTokens: 0,
  outputTokens: 0,
  estimatedTokens: 0,
  isRefusal: false,
});

export type AnswerEnd =
  | { status: 'COMPLETE' }
  | { status: 'STOPPED' }
  /** INTERRUPTED: a shutdown of the server stopped the answer. */
  | { status: 'FAILED' | 'INTERRUPTED'; failure: TurnFailure };

/** Returns the outcome of an answer with this failure. */
export const failed = (failure: TurnFailure): AnswerEnd => ({ status: 'FAILED', failure });

/** Returns the outcome of an answer that failed because of an error in the server. */
export function failureWithin(error: unknown): AnswerEnd {
  if (isDatabaseUnavailable(error))
    return failed(turnFailure('UNAVAILABLE', 'The server’s database was not available.', { retryAfter: 5 }));
  if (isBlobStoreUnavailable(error)) return failed(turnFailure('UNAVAILABLE', filesUnavailable, { retryAfter: 5 }));
  return failed(turnFailure('INTERNAL', 'The answer failed because of an internal error.'));
}

/** The outcome of an answer that was interrupted by a shutdown of the server. */
const interrupted: AnswerEnd = {
  status: 'INTERRUPTED',
  failure: turnFailure('SERVER_SHUTDOWN', interruptedMessage),
};

/** Returns the outcome of an answer whose run was stopped by its reader or by a shutdown. */
export const stopped = (run: ActiveRun): AnswerEnd => (run.isInterrupted ? interrupted : { status: 'STOPPED' });

/** Returns the failure of an answer that failed or was interrupted, otherwise null. */
export const failureOf = (end: AnswerEnd): TurnFailure | null => ('failure' in end ? end.failure : null);

/** Returns the usage of an answer as its readers receive it. */
export const spent = (
  { modelId, provider }: ChatModel,
  { inputTokens, outputTokens }: AnswerSoFar,
  durationMs: number,
): TurnUsage => ({ inputTokens, outputTokens, durationMs, model: modelId, provider, endedAt: new Date() });

/**
 * Returns the usage of an answer as it is recorded. Returns null when no model was called, and when the provider failed
 * before it returned or reported anything.
 */
export function useOf(model: ChatModel, soFar: AnswerSoFar, end: AnswerEnd): ModelUse | null {
  const { inputTokens, outputTokens, estimatedTokens } = soFar;
  const heard = soFar.text !== '' || soFar.reasoning !== '' || estimatedTokens < inputTokens + outputTokens;
  if (soFar.isRefusal || ('failure' in end && !heard)) return null;
  return { model: model.modelId, inputTokens, outputTokens, estimatedTokens };
}
