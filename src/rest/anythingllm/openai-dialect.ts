import type { ErrorCode, ErrorReason } from '../../error-reasons.ts';
import type { AppError, FieldProblem } from '../../errors.ts';
import { type Dialect, type Failure, withProvider } from '../dialect.ts';
import { anythingllmCredential } from './credential.ts';
import { wordings } from './dialect.ts';

/** Returns `{ error: { message, type, param, code } }`, which SDKs convert to typed errors. */
export const openaiError = (
  status: number,
  message: string,
  { type = 'invalid_request_error', param = null as string | null, code = null as string | null } = {},
): Failure => ({ status, body: { error: { message, type, param, code } } });

/** Returns a field in the notation of OpenAI clients: `messages[0].content` for `body.messages.0.content`. */
function paramOf({ path }: FieldProblem): string | null {
  const names = /^(body|query|path)$/.test(String(path[0])) ? path.slice(1) : path;
  if (names.length === 0) return null;
  return names
    .map((name) => (typeof name === 'number' ? `[${name}]` : `.${name}`))
    .join('')
    .replace(/^\./, '');
}

/** Returns the error for an invalid request with the field of its body, if known. */
function invalidRequest(error: AppError): Failure {
  const [problem] = error.details.fields ?? [];
  if (!problem) return openaiError(400, error.message);
  const param = paramOf(problem);
  return openaiError(400, param === null ? problem.message : `${param}: ${problem.message}`, { param });
}

/** OpenAI's error codes for rejections that have no code from the provider. */
const rejectionCodes: Partial<Record<ErrorReason, string>> = {
  CONTEXT_TOO_LONG: 'context_length_exceeded',
  CONTENT_POLICY: 'content_policy_violation',
};

/**
 * Returns the response for a request that the model's provider rejected: 400 with the provider's code, field and
 * message.
 */
function upstreamRejected(error: AppError): Failure {
  const { reason, details } = error;
  const { provider } = details;
  const code = provider?.code ?? rejectionCodes[reason] ?? null;
  return openaiError(400, withProvider(error), { param: provider?.param ?? null, code });
}

/**
 * Returns the response for a failed provider. OpenAI's clients retry every 5xx unless a header forbids it. When a
 * provider rejects this server, its error codes are not passed on, because clients would apply them to their own
 * credential: `invalid_api_key` would not refer to the caller's key.
 */
function upstreamFailed({ reason, message, details }: AppError): Failure {
  const code = reason === 'QUOTA_EXHAUSTED' ? 'insufficient_quota' : 'upstream_error';
  const failure = openaiError(502, message, { type: 'server_error', code });
  return details.retryable === false ? { ...failure, headers: { 'X-Should-Retry': 'false' } } : failure;
}

const answers: Record<ErrorCode, (error: AppError) => Failure> = {
  // The other AnythingLLM paths return the same status and message.
  UNAUTHENTICATED: () => openaiError(403, 'No valid api key found.', { code: 'invalid_api_key' }),
  FORBIDDEN: ({ message }) => openaiError(403, message, { type: 'permission_error', code: 'insufficient_permissions' }),
  NOT_FOUND: () =>
    openaiError(404, 'The model does not exist, or this key may not use it.', {
      param: 'model',
      code: 'model_not_found',
    }),
  BAD_USER_INPUT: invalidRequest,
  CONFLICT: ({ message }) => openaiError(409, message, { code: 'conflict' }),
  RATE_LIMITED: ({ message }) => openaiError(429, message, { type: 'rate_limit_error', code: 'rate_limit_exceeded' }),
  TIMEOUT: ({ message }) => openaiError(503, message, { type: 'server_error', code: 'timeout' }),
  UPSTREAM_REJECTED: upstreamRejected,
  UPSTREAM_FAILED: upstreamFailed,
  UNAVAILABLE: ({ message }) => openaiError(503, message, { type: 'server_error', code: 'service_unavailable' }),
  INTERNAL: ({ message }) => openaiError(500, message, { type: 'server_error', code: 'server_error' }),
};

/** The paths under `/v1/openai`, for OpenAI clients. */
export const openai: Dialect = {
  credential: anythingllmCredential,
  atRoot: false,
  looseBodies: true,
  wordings,
  failure: (error) => answers[error.code](error),
  invalid: invalidRequest,
  say: (status, text) => openaiError(status, text),
};
