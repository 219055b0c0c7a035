import { AppError, isDatabaseUnavailable, raceOf, unavailable } from './errors.ts';
import { createLog, type Log, type RequestScope } from './log.ts';

/** Requests about which it has been logged that the database is not available: each of their fields may say so. */
const logged = new WeakSet<RequestScope>();

/** The requests in which errors occurred. */
const scopes = new WeakMap<object, RequestScope>();

/** Records the request in which an error occurred, for code that gets only the error. */
export function occurredIn(scope: RequestScope, error: unknown): void {
  if (typeof error === 'object' && error !== null && !scopes.has(error)) scopes.set(error, scope);
}

const scopeOf = (error: unknown): RequestScope | undefined =>
  typeof error === 'object' && error !== null ? scopes.get(error) : undefined;

let processLog: Log | undefined;
/** The log for errors outside of a request. */
const logOf = (scope: RequestScope | undefined): Log => {
  if (scope) return scope.log;
  processLog ??= createLog('error');
  return processLog;
};

const idOf = (scope: RequestScope | undefined): string => scope?.requestId ?? 'unknown';

/**
 * Returns what a caller may see of an error as it is; null for all that is masked. Logs that the database is not
 * available. `scope` is the request; defaults to the one in which the error occurred.
 */
export function knownError(error: unknown, scope = scopeOf(error)): AppError | null {
  if (error instanceof AppError) return error;
  if (!isDatabaseUnavailable(error)) return raceOf(error);
  if (!scope || !logged.has(scope)) {
    if (scope) logged.add(scope);
    logOf(scope).error({ error }, 'the database is not available');
  }
  return unavailable(
    'DATABASE_UNAVAILABLE',
    `The database is not available. Try again later. Request id: ${idOf(scope)}`,
  );
}

/** Logs an unexpected error and returns an error for the caller that contains only the ID of the request. */
export function internalError(error: unknown, scope = scopeOf(error)): AppError {
  logOf(scope).error({ error }, 'unexpected error');
  return new AppError('INTERNAL', 'INTERNAL_ERROR', `Internal server error. Request id: ${idOf(scope)}`);
}

/** Returns the error that the caller of a request receives for any error. */
export function reportedError(error: unknown, scope: RequestScope): AppError {
  const reported = knownError(error, scope) ?? internalError(error, scope);
  scope.failure = reported.reason;
  return reported;
}
