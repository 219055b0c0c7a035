import type { AppError } from '../errors.ts';
import type { BodyFailure } from '../http/body-failure.ts';
import { bearerCredential } from '../rest/credential.ts';
import type { Dialect, Failure } from '../rest/dialect.ts';
import { rejection, toGraphQLError } from './errors.ts';

const statuses: Partial<Record<AppError['code'], number>> = { FORBIDDEN: 403, NOT_FOUND: 404, INTERNAL: 500 };

/**
 * Returns the response for a request that is rejected before GraphQL execution. The response is identical for all
 * invalid credentials.
 */
function failure(error: AppError): Failure {
  const { extensions, message } = toGraphQLError(error);
  const { http, ...rest } = extensions as { http?: { status: number; headers: Record<string, string> } };
  const challenge = error.reason === 'CREDENTIAL_INVALID' && { 'WWW-Authenticate': 'Bearer error="invalid_token"' };
  return {
    status: http?.status ?? statuses[error.code] ?? 400,
    body: { errors: [{ message, extensions: rest }] },
    headers: { ...http?.headers, ...challenge },
  };
}

/** Returns the response for a body that cannot be read completely. */
function unread({ status, text }: BodyFailure): Failure {
  const kind =
    status === 429
      ? { code: 'RATE_LIMITED', reason: 'TOO_MANY_BODIES' }
      : { code: 'BAD_USER_INPUT', reason: 'INVALID_REQUEST' };
  return { status, body: { errors: [{ message: text, extensions: { ...kind, limit: 'body' } }] } };
}

/** Response format of `/graphql` for requests that are rejected before GraphQL execution. */
export const graphqlDialect: Dialect = {
  credential: bearerCredential,
  atRoot: true,
  looseBodies: false,
  failure,
  invalid: failure,
  say: (status, message) => ({
    status,
    body: { errors: [{ message, extensions: rejection(status) }] },
  }),
  unread,
};
