import type { z } from 'zod';
import type { Permission } from './authz/permissions.ts';
import {
  type ErrorCode,
  type ErrorReason,
  type FieldReason,
  type MissingObjectReason,
  missingObjects,
  type ReasonOf,
  serviceErrorCodes,
} from './error-reasons.ts';
import { cutText } from './unicode.ts';
import { problemsOf } from './validation-messages.ts';

/** Every value of `extensions.code`: the codes of services, and those of requests that `/graphql` rejects unexecuted. */
export const errorCodes = [
  ...serviceErrorCodes,
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'METHOD_NOT_ALLOWED',
  'NOT_ACCEPTABLE',
  'UNSUPPORTED_MEDIA_TYPE',
  'MISDIRECTED_REQUEST',
] as const;
export type GraphQLErrorCode = (typeof errorCodes)[number];

/** A problem with an input and its path: `["input", "name"]`. */
export interface FieldProblem {
  path: (string | number)[];
  message: string;
  reason?: FieldReason;
}

/** What a model provider says about a request that it rejects. Fit for the caller, and only for the caller. */
export interface ProviderStatement {
  /** The provider's own code, such as `context_length_exceeded`. */
  code: string | null;
  /** The field of the provider's API that it rejects. */
  param: string | null;
  message: string | null;
}

export interface ErrorDetails {
  /** BAD_USER_INPUT: the invalid fields. */
  fields?: FieldProblem[];
  /** MISSING_PERMISSION, PERMISSIONS_EXCEED_CALLER: the missing permissions. */
  requiredPermissions?: Permission[];
  /** RATE_LIMITED, UNAVAILABLE: seconds. */
  retryAfter?: number;
  /** RATE_LIMITED: the scope of the limit, and the time when it resets. */
  scope?: string;
  resetAt?: Date;
  /** AGENT_NAME_TAKEN, LABEL_NAME_TAKEN: the name. */
  name?: string;
  /** BAD_USER_INPUT, TIMEOUT: the limit on operations that was exceeded. */
  limit?: string;
  /** UPSTREAM_REJECTED, UPSTREAM_FAILED: whether the same request may succeed later. */
  retryable?: boolean;
  /** UPSTREAM_REJECTED. */
  provider?: ProviderStatement;
}

/**
 * An error that a caller is meant to see. Every other error is masked and logged. The reason is one of the catalogue in
 * `error-reasons.ts`; its code is the one that the catalogue states.
 */
export class AppError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AppError';
  readonly reason: ErrorReason;
  constructor(
    readonly code: Code,
    reason: ReasonOf<Code>,
    message: string,
    readonly details: ErrorDetails = {},
  ) {
    super(message);
    this.reason = reason;
  }
}

/** Returns an error with the same code and reason, and another message. */
export function withMessage(error: AppError, message: string, details: ErrorDetails = {}): AppError {
  return new AppError(error.code, error.reason, message, { ...error.details, ...details });
}

/**
 * The database could not run a statement, for a reason that is not the statement's: it is stopped, cannot be reached, is
 * full, or took too long. Has no `code`, because Prisma replaces errors that have one.
 */
export class DatabaseUnavailableError extends Error {
  override readonly name = 'DatabaseUnavailableError';
}

const needsCredential = 'A valid credential is required.';
export const unauthenticated = () => new AppError('UNAUTHENTICATED', 'CREDENTIAL_REQUIRED', needsCredential);
export const invalidCredential = () => new AppError('UNAUTHENTICATED', 'CREDENTIAL_INVALID', needsCredential);

/** Creates the error for missing permissions. */
export const forbidden = (
  requiredPermissions: Permission[],
  message = `This credential lacks ${requiredPermissions.map((name) => `\`${name}\``).join(' and ')}.`,
  reason: ReasonOf<'FORBIDDEN'> = 'MISSING_PERMISSION',
) => new AppError('FORBIDDEN', reason, message, { requiredPermissions });

/** Creates the error for a denial that no permission would lift. */
export const denied = (reason: ReasonOf<'FORBIDDEN'>, message: string) => new AppError('FORBIDDEN', reason, message);

/** The response to a secret that was replaced and still works, where it would create or change a credential. */
export const supersededSecret = () =>
  denied(
    'SECRET_SUPERSEDED',
    'This secret was replaced by a newer one. Use the current secret to create, change or revoke credentials.',
  );

/** Also returned for objects that belong to another user: both cases must be indistinguishable. */
export function notFound(reason: MissingObjectReason): AppError<'NOT_FOUND'> {
  const noun = missingObjects[reason];
  return new AppError('NOT_FOUND', reason, `${noun.charAt(0).toUpperCase()}${noun.slice(1)} not found`);
}

export const badInput = (path: (string | number)[], message: string, reason?: FieldReason) =>
  wrongFields([{ path, message, ...(reason && { reason }) }]);

/** Creates the error for a request that the present state of the data does not allow. */
export const conflict = (reason: ReasonOf<'CONFLICT'>, message: string, details: ErrorDetails = {}) =>
  new AppError('CONFLICT', reason, message, details);

/** Creates the error for a limit that resets by itself, with the seconds until then. */
export const rateLimited = (
  reason: ReasonOf<'RATE_LIMITED'>,
  message: string,
  retryAfter: number,
  details: ErrorDetails = {},
) => new AppError('RATE_LIMITED', reason, message, { retryAfter, ...details });

/** When a client should try again: a database that was restarted is usually back by then. Seconds. */
const retryAfter = 5;

export const unavailable = (reason: ReasonOf<'UNAVAILABLE'>, message: string) =>
  new AppError('UNAVAILABLE', reason, message, { retryAfter });

/** What Prisma says of a transaction that did not get its turn, or did not end in time. */
const lateTransaction = /Unable to start a transaction in the given time|on an expired transaction/;

/** Returns whether an error means that the database is unavailable, as opposed to a fault in the request. */
export const isDatabaseUnavailable = (error: unknown): boolean =>
  error instanceof DatabaseUnavailableError ||
  (error instanceof Error && (error as { code?: unknown }).code === 'P2028' && lateTransaction.test(error.message));

/** Returns whether an error means that the bytes of files cannot be read or written at present. */
export const isBlobStoreUnavailable = (error: unknown): boolean =>
  error instanceof AppError && error.reason === 'BLOB_STORE_UNAVAILABLE';

/**
 * Prisma's codes for a row that was deleted or changed concurrently. For our own statements it reports P2010, with
 * PostgreSQL's code of a deadlock or serialization failure in the message.
 */
const races = new Set(['P2003', 'P2025', 'P2034']);
const rawRace = /\b(40P01|40001)\b/;

/** Returns the error for a concurrent change, which wrote no data and can be repeated. */
export function raceOf(error: unknown): AppError | null {
  if (!(error instanceof Error)) return null;
  const code = String((error as { code?: unknown }).code);
  return races.has(code) || (code === 'P2010' && rawRace.test(error.message))
    ? conflict('CHANGED_CONCURRENTLY', 'The data changed while the request was running. Try again.')
    : null;
}

/** Maximum number of problems in one error. */
const maxProblems = 20;
/** Truncates a key that the caller chose, such as a name in metadata. */
const keyOf = (key: PropertyKey): string | number => (typeof key === 'number' ? key : cutText(String(key), 100));

/** Returns a field as its caller spells it: REST callers send `name`, not `body.name`. */
function spelled(path: FieldProblem['path']): string {
  const isPartOfRequest = path.length > 1 && /^(?:body|query|path)$/.test(String(path[0]));
  return (isPartOfRequest ? path.slice(1) : path).join('.');
}

/** Creates one error for several problems. Its message names every field. */
export function wrongFields(fields: FieldProblem[]): AppError {
  const sentences = fields.map(({ path, message }) => (path.length > 0 ? `${spelled(path)}: ${message}` : message));
  return new AppError('BAD_USER_INPUT', 'INVALID_INPUT', sentences.join('; '), { fields });
}

/** Converts zod's issues to one error that names every field. */
export function invalid(error: z.core.$ZodError, prefix: (string | number)[] = []): AppError {
  const fields = error.issues
    .flatMap(problemsOf)
    .slice(0, maxProblems)
    .map(({ path, ...problem }) => ({ ...problem, path: [...prefix, ...path.map(keyOf)] }));
  return wrongFields(fields);
}

/** Parses an input with its zod schema. Throws BAD_USER_INPUT. */
export function parse<S extends z.core.$ZodType>(schema: S, input: unknown, prefix: (string | number)[] = ['input']) {
  const result = (schema as unknown as z.ZodType<z.output<S>>).safeParse(input);
  if (!result.success) throw invalid(result.error, prefix);
  return result.data;
}
