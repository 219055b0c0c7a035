import { APICallError, RetryError, TypeValidationError } from 'ai';
import { redactSecrets } from '../authz/secret.ts';
import { errorReasons, type ReasonOf } from '../error-reasons.ts';
import { AppError, type ProviderStatement } from '../errors.ts';

/**
 * The reason why a model provider did not answer. The first three codes concern the request; QUOTA_EXHAUSTED and
 * PROVIDER_MISCONFIGURED concern the settings of this server. These five are permanent. The last two may be temporary.
 */
export type ProviderFailureCode =
  | 'CONTEXT_TOO_LONG'
  | 'CONTENT_POLICY'
  | 'REQUEST_REJECTED'
  | 'QUOTA_EXHAUSTED'
  | 'PROVIDER_MISCONFIGURED'
  | 'RATE_LIMITED'
  | 'UPSTREAM_FAILED';

export interface ProviderFailure {
  code: ProviderFailureCode;
  /** HTTP status of at least 400; null when the provider did not reply or its reply was interrupted. */
  status: number | null;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Number of seconds that the provider asks this server to wait. */
  retryAfter: number | null;
  /**
   * The provider's error message for a request that it rejected. Null for other failures, because their messages
   * contain account names and URLs.
   */
  provider: ProviderStatement | null;
}

/** Maximum delay in seconds before the server itself retries. A longer `Retry-After` is passed on to the client. */
const maxRetryWait = 10;
/** Maximum `Retry-After`, in seconds, that is passed on to the client. */
const maxRetryAfter = 24 * 3600;
const maxMessageLength = 500;

/** An error in the provider's reply, in any of the formats of OpenAI-compatible servers. */
interface Written {
  /** HTTP status reported within a stream. */
  status: number | null;
  code: string | null;
  type: string | null;
  param: string | null;
  message: string;
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Parses an error in the formats `{error: {…}}`, `{error: "…"}`, `{message, code}` and `{detail: "…"}`. */
function readWritten(value: unknown): Written {
  const { error, ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof error === 'object' && error !== null) return readWritten(error);
  const { code, type, param, message, detail } = rest;
  return {
    status: Number.isInteger(Number(code)) && Number(code) >= 400 && Number(code) < 600 ? Number(code) : null,
    code: textOf(code),
    type: textOf(type),
    param: textOf(param),
    message: textOf(error) ?? textOf(message) ?? textOf(detail) ?? '',
  };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return { message: text };
  }
}

/** Extracts the provider's error from the exception of a call or of a stream event. */
function writtenIn(cause: unknown): Written {
  if (APICallError.isInstance(cause)) return readWritten(cause.data ?? parsed(cause.responseBody));
  // The event is not a valid chunk of an answer.
  if (TypeValidationError.isInstance(cause)) return readWritten(cause.value);
  return readWritten(cause instanceof Error ? null : cause);
}

const contextCodes = /context_length|context_size|context_window|string_above_max_length|request_too_large/i;
const contextWords =
  /context[ _-]?(length|window|size)|maximum context|max_model_len|(prompt|input|request|messages?) (is|are) too (long|large)|too many (input )?tokens/i;
const policyCodes = /content_?(filter|policy)|moderation|safety|responsible_?ai/i;
const policyWords =
  /content (management )?(policy|filter)|content[_-]filter|safety system|violat\w* [^.]{0,60}polic|flagged/i;
const quotaCodes = /insufficient_quota|billing|quota_exceeded|credit/i;
const quotaWords = /quota|billing|credit balance|out of credits/i;

/** Returns whether a status is temporary, so that a later attempt of the request may succeed. */
const isTransient = (status: number): boolean =>
  [408, 409, 425].includes(status) || (status >= 500 && status !== 501 && status !== 505);
/** Returns whether a status means that this server calls the provider incorrectly, for any request. */
const isMisconfigured = (status: number): boolean => [401, 402, 403, 404, 405, 407, 410, 501, 505].includes(status);

function codeOf(
  status: number | null,
  { code, type, message }: Written,
  retryAfter: number | null,
): ProviderFailureCode {
  const codes = `${code ?? ''} ${type ?? ''}`;
  if (contextCodes.test(codes) || status === 413 || (status !== 429 && contextWords.test(message)))
    return 'CONTEXT_TOO_LONG';
  if (policyCodes.test(codes) || ([400, 403, 422, null].includes(status) && policyWords.test(message)))
    return 'CONTENT_POLICY';
  if (status === 402 || quotaCodes.test(codes)) return 'QUOTA_EXHAUSTED';
  if (status === 429 && retryAfter === null && quotaWords.test(message)) return 'QUOTA_EXHAUSTED';
  if ((status === 400 || status === 403) && /credit balance|billing/i.test(message)) return 'QUOTA_EXHAUSTED';
  if (status === 429) return 'RATE_LIMITED';
  if (status === null || isTransient(status)) return 'UPSTREAM_FAILED';
  return isMisconfigured(status) ? 'PROVIDER_MISCONFIGURED' : 'REQUEST_REJECTED';
}

/**
 * Returns the delay in seconds from `retry-after-ms` or `Retry-After`, which is a number or a date. Returns null when
 * neither is present.
 */
function retryAfterOf(headers: Record<string, string> | undefined): number | null {
  const { 'retry-after-ms': milliseconds, 'retry-after': after } = headers ?? {};
  if (milliseconds === undefined && after === undefined) return null;
  const written = milliseconds !== undefined ? Number(milliseconds) / 1000 : Number(after);
  const seconds = Number.isNaN(written) ? (Date.parse(after ?? '') - Date.now()) / 1000 : written;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), maxRetryAfter) : null;
}

/** Prepares a provider's error message for the caller: on one line, without secrets and URLs. */
function statement({ code, param, message }: Written): ProviderStatement {
  const clean = redactSecrets(message)
    .replace(/\bhttps?:\/\/\S+/gi, '[address]')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toWellFormed();
  return {
    code: code !== null && /^[\w.-]{1,64}$/.test(code) ? code : null,
    param: param !== null && /^[\w.[\]-]{1,100}$/.test(param) ? param : null,
    message: clean === '' ? null : clean.length > maxMessageLength ? `${clean.slice(0, maxMessageLength)}…` : clean,
  };
}

type UpstreamReason = ReasonOf<'UPSTREAM_REJECTED' | 'UPSTREAM_FAILED'> | 'RATE_LIMITED';

const permanent = new Set<ProviderFailureCode>([
  'CONTEXT_TOO_LONG',
  'CONTENT_POLICY',
  'REQUEST_REJECTED',
  'QUOTA_EXHAUSTED',
  'PROVIDER_MISCONFIGURED',
]);
const aboutRequest = new Set<ProviderFailureCode>(['CONTEXT_TOO_LONG', 'CONTENT_POLICY', 'REQUEST_REJECTED']);

/** Classifies the error of a call to a provider, or an error within its stream. */
export function providerFailure(error: unknown): ProviderFailure {
  const cause = RetryError.isInstance(error) ? error.lastError : error;
  const written = writtenIn(cause);
  const call = APICallError.isInstance(cause) ? cause : undefined;
  // A response that started successfully and broke off has its own status.
  const replied = call?.statusCode !== undefined && call.statusCode >= 300 ? call.statusCode : null;
  const status = replied ?? written.status;
  const retryAfter = retryAfterOf(call?.responseHeaders);
  const code = codeOf(status, written, retryAfter);
  return {
    code,
    status,
    retryable: !permanent.has(code),
    retryAfter: code === 'RATE_LIMITED' || code === 'UPSTREAM_FAILED' ? retryAfter : null,
    provider: aboutRequest.has(code) ? statement(written) : null,
  };
}

/**
 * Returns the error message for the caller. `model` names the kind of model that was called: "model", "embedding
 * model".
 */
export function failureMessage(code: ProviderFailureCode, status: number | null = null, model = 'model'): string {
  const provider = `The ${model}’s provider`;
  switch (code) {
    case 'CONTEXT_TOO_LONG':
      return `The request is longer than the context window of the ${model}.`;
    case 'CONTENT_POLICY':
      return `${provider} rejected the request because of its content policy.`;
    case 'REQUEST_REJECTED':
      return `${provider} rejected the request (HTTP ${status}).`;
    case 'QUOTA_EXHAUSTED':
      return `The quota of this server at the ${model}’s provider is used up.`;
    case 'PROVIDER_MISCONFIGURED':
      return `${provider} rejected the configuration of this server (HTTP ${status}).`;
    case 'RATE_LIMITED':
      return `${provider} is limiting requests. Try again later.`;
    case 'UPSTREAM_FAILED':
      return status === null
        ? `The connection to the ${model}’s provider was lost.`
        : `${provider} failed (HTTP ${status}).`;
  }
}

/**
 * Converts a provider failure to the error of the caller's request. A problem with the caller's request is
 * UPSTREAM_REJECTED, a rate limit of the provider RATE_LIMITED, every other failure UPSTREAM_FAILED.
 */
export function upstreamError(
  reason: UpstreamReason,
  message: string,
  { retryable, retryAfter, provider }: Pick<ProviderFailure, 'retryable' | 'retryAfter' | 'provider'>,
): AppError {
  const details = { retryable, ...(retryAfter !== null && { retryAfter }), ...(provider && { provider }) };
  return new AppError(errorReasons[reason].code, reason, message, details);
}

/**
 * Calls a provider. The AI SDK retries errors that have `isRetryable`: statuses 408, 409, 429 and from 500 on. This
 * function clears `isRetryable` for permanent errors, such as an exhausted quota, and for errors whose `Retry-After` is
 * too long to wait for.
 */
export async function withRetryRules<T>(call: () => PromiseLike<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!APICallError.isInstance(error) || !error.isRetryable) throw error;
    const { retryable, retryAfter } = providerFailure(error);
    if (retryable && (retryAfter ?? 0) <= maxRetryWait) throw error;
    const { message, url, requestBodyValues, statusCode, responseHeaders, responseBody, cause, data } = error;
    const facts = { message, url, requestBodyValues, statusCode, responseHeaders, responseBody, cause, data };
    throw new APICallError({ ...facts, isRetryable: false });
  }
}
