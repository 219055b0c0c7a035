import type { z } from 'zod';
import type { Permission } from './authz/permissions.ts';
import { cutText } from './unicode.ts';
import { problemsOf } from './validation-messages.ts';

/**
 * The codes of the errors that a service reports. Each is a stable value of `extensions.code`, and each REST dialect maps
 * it to a status.
 */
const serviceErrorCodes = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'CONFLICT',
  'RATE_LIMITED',
  'UPSTREAM_REJECTED',
  'UPSTREAM_FAILED',
  'TIMEOUT',
  'UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof serviceErrorCodes)[number];

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
  /** FORBIDDEN: the missing permissions. */
  requiredPermissions?: Permission[];
  /** RATE_LIMITED, UNAVAILABLE: seconds. */
  retryAfter?: number;
  /** RATE_LIMITED: the scope of the limit, and the time when it resets. */
  scope?: string;
  resetAt?: Date;
  /** NOT_FOUND: the kind of object, for dialects that name it. */
  resource?: string;
  /** FORBIDDEN: the secret was replaced by a newer one. */
  superseded?: true;
  /** BAD_USER_INPUT, TIMEOUT: the limit on operations that was exceeded. */
  limit?: string;
  /** UNAUTHENTICATED: the request had a credential that does not work. */
  credentialRefused?: true;
  /** UPSTREAM_REJECTED, UPSTREAM_FAILED: why, as the failure code of a turn. */
  reason?: string;
  /** UPSTREAM_FAILED: whether the same request may succeed later. */
  retryable?: boolean;
  /** UPSTREAM_REJECTED. */
  provider?: ProviderStatement;
}

/** An error that a caller is meant to see. Every other error is masked and logged. */
export class AppError extends Error {
  override readonly name = 'AppError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
  ) {
    super(message);
  }
}

/**
 * The database could not run a statement, for a reason that is not the statement's: it is stopped, cannot be reached, is
 * full, or took too long. Has no `code`, because Prisma replaces errors that have one.
 */
export class DatabaseUnavailableError extends Error {
  override readonly name = 'DatabaseUnavailableError';
}

const needsCredential = 'A valid credential is required.';
export const unauthenticated = () => new AppError('UNAUTHENTICATED', needsCredential);
export const credentialRefused = () => new AppError('UNAUTHENTICATED', needsCredential, { credentialRefused: true });

export const forbidden = (requiredPermissions: Permission[], message?: string) =>
  new AppError(
    'FORBIDDEN',
    message ?? `This credential lacks ${requiredPermissions.map((name) => `\`${name}\``).join(' and ')}.`,
    { requiredPermissions },
  );

/** The answer to a secret that was replaced and still works, where it would create or change a credential. */
export const supersededSecret = () =>
  new AppError(
    'FORBIDDEN',
    'This secret was replaced by a newer one. Use the current secret to create, change or revoke credentials.',
    { requiredPermissions: [], superseded: true },
  );

/** Also returned for objects that belong to another user: both cases must be indistinguishable. */
export const notFound = (resource: string) => new AppError('NOT_FOUND', `${resource} not found`, { resource });

export const badInput = (path: (string | number)[], message: string) => wrongFields([{ path, message }]);

export const conflict = (message: string) => new AppError('CONFLICT', message);

/** When a client should try again: a database that was restarted is usually back by then. Seconds. */
const retryAfter = 5;

export const unavailable = (message: string) => new AppError('UNAVAILABLE', message, { retryAfter });

/** What Prisma says of a transaction that did not get its turn, or did not end in time. */
const lateTransaction = /Unable to start a transaction in the given time|on an expired transaction/;

/** Returns whether an error means that the database is unavailable, as opposed to a fault in the request. */
export const isDatabaseUnavailable = (error: unknown): boolean =>
  error instanceof DatabaseUnavailableError ||
  (error instanceof Error && (error as { code?: unknown }).code === 'P2028' && lateTransaction.test(error.message));

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
    ? conflict('The data changed while the request was running. Try again.')
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
  return new AppError('BAD_USER_INPUT', sentences.join('; '), { fields });
}

/** Converts zod's issues to one error that names every field. */
export function invalid(error: z.core.$ZodError, prefix: (string | number)[] = []): AppError {
  const fields = error.issues
    .flatMap(problemsOf)
    .slice(0, maxProblems)
    .map(({ path, message }) => ({ path: [...prefix, ...path.map(keyOf)], message }));
  return wrongFields(fields);
}

/** Parses an input with its zod schema. Throws BAD_USER_INPUT. */
export function parse<S extends z.core.$ZodType>(schema: S, input: unknown, prefix: (string | number)[] = ['input']) {
  const result = (schema as unknown as z.ZodType<z.output<S>>).safeParse(input);
  if (!result.success) throw invalid(result.error, prefix);
  return result.data;
}
