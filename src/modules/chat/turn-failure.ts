import { failureMessage, type ProviderFailureCode, providerFailure, upstreamError } from '../../ai/provider-failure.ts';
import { AppError, type ProviderStatement, unavailable } from '../../errors.ts';

/** The error message of an answer that was interrupted because the server stopped. */
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
  /** True when the same message may succeed later. */
  retryable: boolean;
  /** Seconds to wait before the next attempt, if the model's provider specifies them. */
  retryAfter: number | null;
  /** The provider's explanation of why it rejected the request. */
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

/**
 * Returns the failure of a call to the model's provider. Includes the provider's message, but never the provider's
 * address, headers or body.
 */
export function modelFailure(error: unknown): TurnFailure {
  const failure = providerFailure(error);
  const { code, retryable, retryAfter, provider } = failure;
  return { code, message: failureMessage(code, failure.status), retryable, retryAfter, provider };
}

/** The message of an answer for which the bytes of a file could not be read. */
export const filesUnavailable = 'The server’s storage of files was not available.';

/** Converts the failure of an answer to the error of the caller's request. */
export function turnError({ code, message, ...rest }: TurnFailure): AppError {
  if (code === 'SERVER_SHUTDOWN') return unavailable(code, message);
  if (code === 'UNAVAILABLE')
    return unavailable(message === filesUnavailable ? 'BLOB_STORE_UNAVAILABLE' : 'DATABASE_UNAVAILABLE', message);
  if (code === 'INTERNAL') return new AppError('INTERNAL', 'INTERNAL_ERROR', message);
  return upstreamError(code, message, rest);
}
