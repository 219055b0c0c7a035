import type { ErrorCode, ErrorReason } from '../../error-reasons.ts';
import type { AppError } from '../../errors.ts';
import { type Dialect, type Failure, type Wordings, withProvider } from '../dialect.ts';
import { onyxCredential } from './credential.ts';

/** Returns `{ detail }`, the older of the two error formats. */
export const detail = (status: number, text: string): Failure => ({ status, body: { detail: text } });

/** Returns `{ message }` with 400, as older code of Onyx does for an unknown ID. */
export const message = (text: string): Failure => ({ status: 400, body: { message: text } });

/** Returns `{ error_code, detail }`, the newer error format. */
export const coded = (status: number, error_code: string, text: string): Failure => ({
  status,
  body: { error_code, detail: text },
});

const notFoundCodes: Partial<Record<ErrorReason, string>> = {
  CHAT_SESSION_NOT_FOUND: 'SESSION_NOT_FOUND',
  AGENT_NOT_FOUND: 'PERSONA_NOT_FOUND',
  DOCUMENT_NOT_FOUND: 'DOCUMENT_NOT_FOUND',
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
    error.details.requiredPermissions
      ? coded(403, 'INSUFFICIENT_PERMISSIONS', 'You do not have the required permissions for this action.')
      : coded(403, 'INSUFFICIENT_PERMISSIONS', error.message),
  NOT_FOUND: (error) => coded(404, notFoundCodes[error.reason] ?? 'NOT_FOUND', error.message),
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

/** The messages of the reference that differ from those of this server. */
const wordings: Wordings = {
  AGENT_NAME_TAKEN: {
    message: ({ details }) => `Assistant with name '${details.name}' already exists. Please rename your assistant.`,
  },
  LABEL_NAME_TAKEN: { message: ({ details }) => `Label with name '${details.name}' already exists` },
  AGENT_FEATURE_DENIED: {
    status: 400,
    message: () => 'Only users with agent management permissions can make a featured persona',
  },
  CHAT_NOT_SHARED: { message: () => 'Chat session is not shared' },
  CANNOT_DEACTIVATE_SELF: { message: () => 'You cannot deactivate yourself' },
  CANNOT_DELETE_SELF: { message: () => 'You cannot delete yourself' },
  CANNOT_DEMOTE_SELF: { message: () => 'An admin cannot demote themselves from admin role!' },
  USER_ACTIVE: { message: () => 'User must be deactivated before deleting' },
};

export const onyxFailure = (error: AppError): Failure => answers[error.code](error);

/** Returns the response to an invalid request in the reference's format: 422 with one line. */
export const onyxInvalid = (error: AppError): Failure => ({
  status: 422,
  body: { status_code: 422, message: error.message, data: null },
});

const unreadCodes = { 408: 'REQUEST_TIMEOUT', 413: 'PAYLOAD_TOO_LARGE', 429: 'RATE_LIMITED' } as const;

export const onyx: Dialect = {
  credential: onyxCredential,
  atRoot: true,
  looseBodies: false,
  wordings,
  failure: onyxFailure,
  invalid: onyxInvalid,
  say: detail,
  unread: ({ status, text }) => coded(status, unreadCodes[status], text),
};
