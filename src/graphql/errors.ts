import { PothosValidationError } from '@pothos/core';
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import { AppError, type ErrorCode } from '../errors.ts';
import { currentRequest } from '../log.ts';

/** What HTTP says of an error that leaves nothing to answer with. */
const statuses: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, RATE_LIMITED: 429 };

/** Where in the query an error stands. */
const place = (at: GraphQLError | undefined): GraphQLErrorOptions =>
  at ? { nodes: at.nodes ?? null, source: at.source ?? null, positions: at.positions ?? null, path: at.path ?? null } : {};

/** An AppError in GraphQL's terms. */
export function toGraphQLError(error: AppError, at?: GraphQLError): GraphQLError {
  const { fields, requiredPermissions, retryAfter } = error.details;
  const status = statuses[error.code];
  const headers = {
    ...(error.code === 'UNAUTHENTICATED' && { 'WWW-Authenticate': 'Bearer' }),
    ...(retryAfter && { 'Retry-After': String(retryAfter) }),
  };
  return new GraphQLError(error.message, {
    ...place(at),
    originalError: error,
    extensions: {
      code: error.code,
      ...(fields && { fields }),
      ...(requiredPermissions && { requiredPermissions }),
      ...(retryAfter && { retryAfter }),
      ...(status && { http: { status, headers } }),
    },
  });
}

function appErrorOf(error: unknown): AppError | null {
  const original = error instanceof GraphQLError ? error.originalError : error;
  if (original instanceof AppError) return original;
  return original instanceof PothosValidationError ? new AppError('BAD_USER_INPUT', original.message) : null;
}

/**
 * Lets through what a caller is meant to see: AppErrors, and what GraphQL itself says of the query. Everything else
 * becomes INTERNAL with the request's id, under which the cause is logged.
 */
export function maskError(error: unknown): Error {
  const at = error instanceof GraphQLError ? error : undefined;
  const known = appErrorOf(error);
  if (known) return toGraphQLError(known, at);
  if (at && !at.originalError)
    return new GraphQLError(at.message, { ...place(at), extensions: { code: 'BAD_USER_INPUT', ...at.extensions } });
  const request = currentRequest.getStore();
  request?.log.error({ error: at?.originalError ?? error }, 'unexpected error');
  return new GraphQLError(`Internal server error. Request id: ${request?.requestId ?? 'unknown'}`, {
    ...place(at),
    extensions: { code: 'INTERNAL' },
  });
}
