import { AppError, isDatabaseUnavailable, raceOf, unavailable } from './errors.ts';
import { currentRequest } from './log.ts';

/** Requests about which it has been logged that the database is not available: each of their fields may say so. */
const logged = new WeakSet<object>();

/** What a caller may see of an error as it is; null for all that is masked. Logs that the database is not available. */
export function knownError(error: unknown): AppError | null {
  if (error instanceof AppError) return error;
  if (!isDatabaseUnavailable(error)) return raceOf(error);
  const request = currentRequest.getStore();
  if (request && !logged.has(request)) {
    logged.add(request);
    request.log.error({ error }, 'the database is not available');
  }
  return unavailable(
    'DATABASE_UNAVAILABLE',
    `The database is not available. Try again later. Request id: ${request?.requestId ?? 'unknown'}`,
  );
}

/** Logs an unexpected error and returns an error for the caller that contains only the ID of the request. */
export function internalError(error: unknown): AppError {
  const request = currentRequest.getStore();
  request?.log.error({ error }, 'unexpected error');
  return new AppError(
    'INTERNAL',
    'INTERNAL_ERROR',
    `Internal server error. Request id: ${request?.requestId ?? 'unknown'}`,
  );
}

/** Returns the error that the caller receives for any error. */
export const reportedError = (error: unknown): AppError => knownError(error) ?? internalError(error);
