import { AppError, type ProviderStatement, unavailable } from '../../errors.ts';
import {
  failureMessage,
  type ProviderFailureCode,
  providerFailure,
  upstreamError,
} from '../../models/provider-failure.ts';

/** What is said of an answer that the end of the server cut off. */
export const interruptedMessage = 'The server stopped before the answer was complete.';

/** Why a turn failed. */
export type TurnFailureCode =
  | ProviderFailureCode
  | 'TIMEOUT'
  | 'TOOL_CALL_FAILED'
  | 'SERVER_SHUTDOWN'
  | 'UNAVAILABLE'
  | 'INTERNAL';

export interface TurnFailure {
  code: TurnFailureCode;
  message: string;
  /** Whether the same message may succeed later. */
  retryable: boolean;
  /** Seconds to wait, where the model's provider names them. */
  retryAfter: number | null;
  /** What the model's provider says about a request that it rejects. */
  provider: ProviderStatement | null;
}

export const turnFailure = (code: TurnFailureCode, message: string, rest: Partial<TurnFailure> = {}): TurnFailure => ({
  code,
  message,
  retryable: true,
  retryAfter: null,
  provider: null,
  ...rest,
});

/** The failure of a call to the model's provider: what it said, never its address, headers or body. */
export function modelFailure(error: unknown): TurnFailure {
  const failure = providerFailure(error);
  const { code, retryable, retryAfter, provider } = failure;
  return { code, message: failureMessage(code, failure.status), retryable, retryAfter, provider };
}

/** A failed answer as the error of its caller's request. */
export function turnError({ code, message, ...rest }: TurnFailure): AppError {
  if (code === 'SERVER_SHUTDOWN' || code === 'UNAVAILABLE') return unavailable(message);
  if (code === 'INTERNAL') return new AppError('INTERNAL', message);
  return upstreamError(code, message, rest);
}
