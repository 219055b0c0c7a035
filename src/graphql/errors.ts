import { PothosValidationError } from '@pothos/core';
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import { internalError, knownError } from '../error-report.ts';
import { AppError, type ErrorCode, type FieldProblem } from '../errors.ts';
import { shortened } from '../unicode.ts';

/** What HTTP says of an error that leaves nothing to answer with. */
const statuses: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  RATE_LIMITED: 429,
  TIMEOUT: 503,
  UNAVAILABLE: 503,
};

/** Where in the query an error stands. */
export const place = (at: GraphQLError | undefined): GraphQLErrorOptions =>
  at
    ? { nodes: at.nodes ?? null, source: at.source ?? null, positions: at.positions ?? null, path: at.path ?? null }
    : {};

/** What GraphQL finds wrong with a document before it runs has, by GraphQL over HTTP, its status by media type. */
const ofDocument = { status: 400, spec: true };

/** An AppError in GraphQL's terms. What `at` says beside it, such as a code or a status of its own, stays. */
export function toGraphQLError(error: AppError, at?: GraphQLError): GraphQLError {
  const { fields, requiredPermissions, retryAfter, limit, reason, retryable, provider } = error.details;
  const status = statuses[error.code] ?? (limit ? 400 : undefined);
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
      ...(limit && { limit }),
      ...(reason && { reason, retryable: retryable ?? false }),
      ...(provider && { providerCode: provider.code, providerMessage: provider.message }),
      ...(status && { http: { status, headers } }),
      ...at?.extensions,
      ...(at?.nodes && !at.path && { http: { ...ofDocument, ...(at.extensions.http as object | undefined) } }),
    },
  });
}

/** Characters of a message: some quote what the caller sent. */
const longestMessage = 500;
export const brief = (message: string): string => shortened(message, longestMessage + 1);

/**
 * Whether GraphQL says an error of the request: of its document, or of a value that does not fit where it was put.
 * What a resolver throws, or a scalar that cannot write a reply, has a path and no place in the document.
 */
function isOfRequest(error: GraphQLError): boolean {
  let cause: Error = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause instanceof GraphQLError && (error.path === undefined || cause.nodes !== undefined);
}

/** `Variable "$input" got invalid value 1 at "input.shares[0].userId"; …`: where that is. */
function fieldsOf({ message, originalError }: GraphQLError): FieldProblem[] | undefined {
  const variable = /^Variable "\$(\w+)"/.exec(message)?.[1];
  if (variable === undefined) return undefined;
  const at = / at "([\w.[\]]+)"; /.exec(message)?.[1] ?? variable;
  const path = at.split(/[.[\]]+/).filter(Boolean);
  const problem = brief(originalError?.message ?? message);
  return [{ path: path.map((key) => (/^\d+$/.test(key) ? Number(key) : key)), message: problem }];
}

/** What is said of a value that must not be quoted: GraphQL’s own words would. */
const unquoted = 'The value has the wrong type.';

/** What callers are told of an error that GraphQL reports or a resolver throws; null when it is not for callers. */
export function appErrorOf(error: unknown): AppError | null {
  const original = error instanceof GraphQLError ? (error.originalError ?? error) : error;
  const known = knownError(original);
  if (known) return known;
  if (original instanceof PothosValidationError) return new AppError('BAD_USER_INPUT', brief(original.message));
  if (!(error instanceof GraphQLError && isOfRequest(error))) return null;
  const fields = fieldsOf(error);
  if (fields?.some(({ path }) => /password|token|secret/i.test(String(path.at(-1)))))
    return new AppError('BAD_USER_INPUT', unquoted, {
      fields: fields.map(({ path }) => ({ path, message: unquoted })),
    });
  return new AppError('BAD_USER_INPUT', brief(error.message), { ...(fields && { fields }) });
}

/**
 * Lets through what a caller is meant to see: AppErrors, and what GraphQL itself says of the query. Everything else
 * becomes INTERNAL with the request's id, under which the cause is logged.
 */
export function maskError(error: unknown): Error {
  const at = error instanceof GraphQLError ? error : undefined;
  const known = appErrorOf(error);
  if (known) return toGraphQLError(known, at);
  const { code, message } = internalError(at?.originalError ?? error);
  return new GraphQLError(message, { ...place(at), extensions: { code } });
}
