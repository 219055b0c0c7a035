import { PothosValidationError } from '@pothos/core';
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import { type ErrorCode, type ErrorReason, hasReason } from '../error-reasons.ts';
import { internalError, knownError } from '../error-report.ts';
import { AppError, errorCodes, type GraphQLErrorCode, wrongFields } from '../errors.ts';
import type { RequestScope } from '../log.ts';
import { shortened } from '../unicode.ts';
import { literalMessage, variableProblem } from './coercion-messages.ts';

/** The HTTP status of an error that leaves no data to return. */
const statuses: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  RATE_LIMITED: 429,
  TIMEOUT: 503,
  UNAVAILABLE: 503,
};

/** Returns the location of an error in the document. */
export const place = (at: GraphQLError | undefined): GraphQLErrorOptions =>
  at
    ? { nodes: at.nodes ?? null, source: at.source ?? null, positions: at.positions ?? null, path: at.path ?? null }
    : {};

/** For errors that GraphQL finds in a document before execution, GraphQL over HTTP defines the status by media type. */
const ofDocument = { status: 400, spec: true };

/** The error code of an HTTP status with which a request is rejected before execution. */
const requestCodes: Partial<Record<number, GraphQLErrorCode>> = {
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  406: 'NOT_ACCEPTABLE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  421: 'MISDIRECTED_REQUEST',
};

/** Returns the error code of a request that is rejected before execution with an HTTP status. */
const codeOfStatus = (status: number): GraphQLErrorCode => requestCodes[status] ?? 'BAD_USER_INPUT';

/** Returns the code and, where the code is one of a service, the reason of a request that is rejected with a status. */
export function rejection(status: number): { code: GraphQLErrorCode; reason?: ErrorReason } {
  const code = codeOfStatus(status);
  if (code === 'NOT_FOUND') return { code, reason: 'PATH_NOT_FOUND' };
  return code === 'BAD_USER_INPUT' ? { code, reason: 'INVALID_REQUEST' } : { code };
}

/** Creates the error of a request that is rejected before execution. The code follows from the status. */
export const requestError = (status: number, message: string, extensions: object = {}): GraphQLError =>
  new GraphQLError(message, { extensions: { ...rejection(status), ...extensions, http: { status } } });

const isListed = (code: unknown): code is GraphQLErrorCode => (errorCodes as readonly unknown[]).includes(code);

/**
 * Returns the code of an error of a library that has its own code or status, or null for an error with neither. A code
 * that this server does not list, such as `BAD_REQUEST`, is replaced by the listed code of its status.
 */
function codeOf(error: GraphQLError | undefined): GraphQLErrorCode | null {
  const { code, http } = (error?.extensions ?? {}) as { code?: unknown; http?: { status?: number } };
  if (code === undefined) return null;
  return isListed(code) ? code : codeOfStatus(http?.status ?? 400);
}

/** Converts an AppError to a GraphQL error. Extensions of `at`, such as its own code or status, are kept. */
export function toGraphQLError(error: AppError, at?: GraphQLError): GraphQLError {
  const { fields, requiredPermissions, retryAfter, limit, retryable, provider } = error.details;
  const code = codeOf(at) ?? error.code;
  const status = statuses[error.code] ?? (limit ? 400 : undefined);
  const { code: _, ...extensions } = at?.extensions ?? {};
  const headers = {
    ...(error.code === 'UNAUTHENTICATED' && { 'WWW-Authenticate': 'Bearer' }),
    ...(retryAfter && { 'Retry-After': String(retryAfter) }),
  };
  return new GraphQLError(error.message, {
    ...place(at),
    originalError: error,
    extensions: {
      code,
      ...(hasReason(code) && { reason: error.reason }),
      ...(fields && { fields }),
      ...(requiredPermissions && { requiredPermissions }),
      ...(retryAfter && { retryAfter }),
      ...(limit && { limit }),
      ...(retryable !== undefined && { retryable }),
      ...(provider && { providerCode: provider.code, providerMessage: provider.message }),
      ...(status && { http: { status, headers } }),
      ...extensions,
      ...(at?.nodes && !at.path && { http: { ...ofDocument, ...(at.extensions.http as object | undefined) } }),
    },
  });
}

/** Maximum length of a message in characters; some messages quote what the caller sent. */
const maxMessageLength = 500;
export const brief = (message: string): string => shortened(message, maxMessageLength + 1);

/**
 * Returns whether GraphQL reports an error of the request: of its document, or of a value of the wrong type. An error
 * that a resolver or the serialization of a scalar throws has a path and no location in the document.
 */
function isOfRequest(error: GraphQLError): boolean {
  let cause: Error = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause instanceof GraphQLError && (error.path === undefined || cause.nodes !== undefined);
}

/**
 * Returns the error that callers see for an error that GraphQL reports or a resolver throws, or null when it is not
 * meant for callers.
 */
export function appErrorOf(error: unknown, scope?: RequestScope): AppError | null {
  const original = error instanceof GraphQLError ? (error.originalError ?? error) : error;
  const known = knownError(original, scope);
  if (known) return known;
  if (original instanceof PothosValidationError)
    return new AppError('BAD_USER_INPUT', 'INVALID_INPUT', brief(original.message));
  if (!(error instanceof GraphQLError && isOfRequest(error))) return null;
  const problem = variableProblem(error);
  return problem
    ? wrongFields([problem])
    : new AppError('BAD_USER_INPUT', 'INVALID_REQUEST', brief(literalMessage(error) ?? error.message));
}

/**
 * Returns the errors that a caller is meant to see: AppErrors and GraphQL's own messages about the request. Every other
 * error becomes INTERNAL with the request ID, under which the cause is logged. `scope` is the request; defaults to the one in
 * which the error occurred.
 */
export function maskError(error: unknown, scope?: RequestScope): GraphQLError {
  const at = error instanceof GraphQLError ? error : undefined;
  const known = appErrorOf(error, scope);
  if (known) return toGraphQLError(known, at);
  const { code, reason, message } = internalError(at?.originalError ?? error, scope);
  return new GraphQLError(message, { ...place(at), extensions: { code, reason } });
}
