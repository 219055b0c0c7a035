import { ImportError } from '../operator.ts';

/** Maximum delay that `Retry-After` can request. Milliseconds. */
const maxWaitMs = 60_000;
/** Statuses of the server or a proxy for which a retry can succeed. */
const retryable = new Set([408, 429, 502, 503, 504]);

/** A response of Onyx that cannot be used: an error status, too large, invalid JSON, or incomplete. */
export class OnyxResponseError extends Error {
  override readonly name: string = 'OnyxResponseError';
  constructor(
    path: string,
    /** 413 for a response that is too large, 0 for a request without a response. */
    readonly status: number,
    reason = `returned the status ${status}`,
  ) {
    super(`${path} ${reason}`);
  }

  /** Set when a retry would return the same. */
  get definite(): boolean {
    return [403, 404, 410, 413].includes(this.status);
  }
}

/** An error for which a retry can succeed. `after` is in milliseconds, or null when the server does not say. */
export class RetryableError extends OnyxResponseError {
  override readonly name = 'RetryableError';
  constructor(
    path: string,
    status: number,
    reason: string | undefined,
    readonly after: number | null,
  ) {
    super(path, status, reason);
  }
}

/** Returns the delay that a response requests, or null. Milliseconds. */
function retryAfterOf(response: Response): number | null {
  const seconds = response.headers.get('retry-after')?.trim() ?? '';
  return /^\d+$/.test(seconds) ? Math.min(Number(seconds) * 1000, maxWaitMs) : null;
}

/**
 * Interprets a redirect, which is not followed since it would receive the key. FastAPI redirects a path with a wrong
 * trailing slash to the other form, which means that the path does not exist.
 */
function redirectError(path: string, asked: string, location: string): OnyxResponseError | ImportError {
  const target = URL.canParse(location, asked) ? new URL(location, asked) : null;
  if (!target) return new ImportError('it redirects to an invalid address');
  const [from = ''] = path.split('?');
  const other = from.endsWith('/') ? from.slice(0, -1) : `${from}/`;
  // Behind a proxy that removes a prefix, the start of the path differs.
  if (target.pathname.endsWith(other))
    return new OnyxResponseError(path, 404, 'redirects to the same address with or without a trailing slash');
  const elsewhere = target.origin !== new URL(asked).origin;
  return new ImportError(
    elsewhere
      ? `it redirects to ${target.origin}: use that address`
      : `${path} redirects to ${target.origin}${target.pathname}`,
  );
}

/** Returns the error for a response without a success status. `url` is the URL that was requested. */
export function errorOf(path: string, url: string, response: Response): OnyxResponseError | ImportError {
  const location = response.headers.get('location');
  if (response.status < 400 && location !== null) return redirectError(path, url, location);
  if (retryable.has(response.status))
    return new RetryableError(path, response.status, undefined, retryAfterOf(response));
  return new OnyxResponseError(path, response.status);
}

/** Returns the error for a missing or incomplete response. */
export function brokenResponse(path: string, error: unknown): RetryableError {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const reason = error instanceof Error ? error.message : 'no answer';
  return new RetryableError(path, 0, `cannot be read (${reason}${cause})`, null);
}
