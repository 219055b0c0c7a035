import type { AppError, ErrorCode } from '../../errors.ts';
import { type Dialect, type Failure, withProvider } from '../dialect.ts';

/** Returns `{ detail }`, the older of the two error formats. */
export const detail = (status: number, text: string): Failure => ({ status, body: { detail: text } });

/** Returns `{ message }` with 400, as older code of Onyx does for an unknown ID. */
export const message = (text: string): Failure => ({ status: 400, body: { message: text } });

/** Returns `{ error_code, detail }`, the newer error format. */
export const coded = (status: number, error_code: string, text: string): Failure => ({
  status,
  body: { error_code, detail: text },
});

const notFoundCodes: Record<string, string> = {
  'Chat session': 'SESSION_NOT_FOUND',
  Agent: 'PERSONA_NOT_FOUND',
  Document: 'DOCUMENT_NOT_FOUND',
};

/** The scopes of limits by their names for these clients. */
const limitScopes: Record<string, string> = {
  GLOBAL: 'global',
  ROLE: 'user_group',
  EACH_USER: 'user',
  USER: 'user',
  EACH_TOKEN: 'token',
  TOKEN: 'token',
};

/** The default responses of the dialect. */
const answers: Record<ErrorCode, (error: AppError) => Failure> = {
  UNAUTHENTICATED: () => detail(403, 'Access denied. User is not authenticated.'),
  FORBIDDEN: (error) =>
    error.details.requiredPermissions?.length
      ? coded(403, 'INSUFFICIENT_PERMISSIONS', 'You do not have the required permissions for this action.')
      : coded(403, 'INSUFFICIENT_PERMISSIONS', error.message),
  NOT_FOUND: (error) => coded(404, notFoundCodes[error.details.resource ?? ''] ?? 'NOT_FOUND', error.message),
  BAD_USER_INPUT: (error) => coded(400, 'INVALID_INPUT', error.message),
  CONFLICT: (error) => coded(409, 'CONFLICT', error.message),
  RATE_LIMITED: (error) => ({
    status: 429,
    body: {
      scope: limitScopes[error.details.scope ?? ''] ?? null,
      reset_at: error.details.resetAt ?? null,
      retry_after_seconds: error.details.retryAfter ?? null,
      error_code: 'RATE_LIMITED',
      detail: error.message,
    },
    ...(error.details.retryAfter && { headers: { 'Retry-After': String(error.details.retryAfter) } }),
  }),
  UPSTREAM_REJECTED: (error) => coded(400, 'QUERY_REJECTED', withProvider(error)),
  UPSTREAM_FAILED: (error) => coded(502, 'LLM_PROVIDER_ERROR', error.message),
  TIMEOUT: (error) => coded(503, 'TIMEOUT', error.message),
  UNAVAILABLE: (error) => coded(503, 'SERVICE_UNAVAILABLE', error.message),
  INTERNAL: (error) => coded(500, 'INTERNAL_ERROR', error.message),
};

export const onyxFailure = (error: AppError): Failure => answers[error.code](error);

/** Returns the response to an invalid request in the reference's format: 422 with one line. */
export const onyxInvalid = (error: AppError): Failure => ({
  status: 422,
  body: { status_code: 422, message: error.message, data: null },
});

export const onyx: Dialect = {
  accept: 'onyx',
  atRoot: true,
  looseBodies: false,
  failure: onyxFailure,
  invalid: onyxInvalid,
  say: detail,
};
