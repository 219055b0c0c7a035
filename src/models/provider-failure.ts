import { APICallError, RetryError, TypeValidationError } from 'ai';
import { AppError, type ProviderStatement } from '../errors.ts';
import { redactSecrets } from '../modules/tokens/secret.ts';

/**
 * Why a model provider did not answer. The first three are about the request, QUOTA_EXHAUSTED and
 * PROVIDER_MISCONFIGURED about the settings of this server; all five are permanent. The last two may pass.
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
  /** HTTP status, at least 400; null when the provider did not reply or its reply broke off. */
  status: number | null;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Seconds that the provider asks to wait. */
  retryAfter: number | null;
  /** What the provider says about a request that it rejects. null for others: those words name accounts and addresses. */
  provider: ProviderStatement | null;
}

/** Longest wait before the server itself retries. A longer `Retry-After` is the client's to keep. Seconds. */
const maxRetryWait = 10;
/** Largest `Retry-After` that is passed on. Seconds. */
const maxRetryAfter = 24 * 3600;
const maxMessageLength = 500;

/** An error as a provider writes it, in any of the shapes of OpenAI-compatible servers. */
interface Written {
  /** An HTTP status that stands in a stream. */
  status: number | null;
  code: string | null;
  type: string | null;
  param: string | null;
  message: string;
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Reads `{error: {…}}`, `{error: "…"}`, `{message, code}` and `{detail: "…"}`. */
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

/** What the error of a call, or of an event in a stream, says. */
function writtenIn(cause: unknown): Written {
  if (APICallError.isInstance(cause)) return readWritten(cause.data ?? parsed(cause.responseBody));
  // An event that is no chunk of an answer.
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

/** Statuses of requests that a later attempt may satisfy. */
const isTransient = (status: number): boolean =>
  [408, 409, 425].includes(status) || (status >= 500 && status !== 501 && status !== 505);
/** Statuses that say that this server calls the provider wrongly, whatever the request. */
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

/** Seconds of `retry-after-ms` or `Retry-After`, which is a number or a date; null for neither. */
function retryAfterOf(headers: Record<string, string> | undefined): number | null {
  const { 'retry-after-ms': milliseconds, 'retry-after': after } = headers ?? {};
  if (milliseconds === undefined && after === undefined) return null;
  const written = milliseconds !== undefined ? Number(milliseconds) / 1000 : Number(after);
  const seconds = Number.isNaN(written) ? (Date.parse(after ?? '') - Date.now()) / 1000 : written;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), maxRetryAfter) : null;
}

/** The words of a provider, fit for the caller: on one line, without secrets and addresses. */
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

const permanent = new Set<ProviderFailureCode>([
  'CONTEXT_TOO_LONG',
  'CONTENT_POLICY',
  'REQUEST_REJECTED',
  'QUOTA_EXHAUSTED',
  'PROVIDER_MISCONFIGURED',
]);
const aboutRequest = new Set<string>(['CONTEXT_TOO_LONG', 'CONTENT_POLICY', 'REQUEST_REJECTED']);

/** What the error of a call to a provider, or an error within its stream, means. */
export function providerFailure(error: unknown): ProviderFailure {
  const cause = RetryError.isInstance(error) ? error.lastError : error;
  const written = writtenIn(cause);
  const call = APICallError.isInstance(cause) ? cause : undefined;
  // A response that started successfully and broke off has a status of its own.
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

/** A sentence for the caller. `model` is what was called: "model", "embedding model". */
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
      return `${provider} refuses more requests for now.`;
    case 'UPSTREAM_FAILED':
      return status === null
        ? `The connection to the ${model}’s provider broke.`
        : `${provider} failed (HTTP ${status}).`;
  }
}

/**
 * A failure as the error of the caller's request. What the caller sent is UPSTREAM_REJECTED, a limit of the provider
 * RATE_LIMITED, everything else UPSTREAM_FAILED.
 */
export function upstreamError(
  reason: string,
  message: string,
  { retryable, retryAfter, provider }: Pick<ProviderFailure, 'retryable' | 'retryAfter' | 'provider'>,
): AppError {
  const details = { reason, retryable, ...(retryAfter !== null && { retryAfter }), ...(provider && { provider }) };
  if (reason === 'RATE_LIMITED') return new AppError('RATE_LIMITED', message, details);
  return new AppError(aboutRequest.has(reason) ? 'UPSTREAM_REJECTED' : 'UPSTREAM_FAILED', message, details);
}

/**
 * Calls a provider. The AI SDK retries what `isRetryable` of the error allows: statuses 408, 409, 429 and from 500 on.
 * This takes back what is permanent, such as a used-up quota, and what the provider wants retried much later.
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
