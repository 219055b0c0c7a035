import { setTimeout as sleep } from 'node:timers/promises';
import { ImportError } from '../operator.ts';
import type { Report } from '../report.ts';

/** Maximum size of a response in bytes. */
const maxReply = 64 * 1024 * 1024;
/** Timeout of a response. Milliseconds. */
const requestTimeoutMs = 120_000;
/** Number of attempts per request. */
const attempts = 4;
/** Maximum delay that `Retry-After` can request. Milliseconds. */
const maxWaitMs = 60_000;
/** Number of consecutive failures after which the server counts as unavailable. */
const maxFailuresInARow = 5;
/** Statuses of the server or a proxy for which a retry can succeed. */
const passing = new Set([408, 429, 502, 503, 504]);

/** Waits for a number of milliseconds. */
export type Wait = (milliseconds: number) => Promise<unknown>;

/** A response of Onyx that cannot be used: an error status, too large, invalid JSON, or incomplete. */
export class Refused extends Error {
  override readonly name: string = 'Refused';
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
class Passing extends Refused {
  override readonly name = 'Passing';
  constructor(
    path: string,
    status: number,
    reason: string | undefined,
    readonly after: number | null,
  ) {
    super(path, status, reason);
  }
}

/**
 * Reads one object. On failure, reports it and returns null so that the others are read. Throws ImportError when the
 * others would fail too.
 */
export async function orReport<T>(report: Report, what: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ImportError) throw error;
    report.fail(what, error);
    return null;
  }
}

/** A running Onyx server as one key sees it. */
export interface OnyxClient {
  /** The URL of its API without a trailing slash. */
  base: string;
  /** Returns the JSON of a path. Throws OnyxResponseError, and ImportError when the server counts as unavailable. */
  read(path: string): Promise<unknown>;
  /** Returns the JSON of a path, or null for 404 and the given statuses. */
  readIfThere(path: string, absent?: readonly number[]): Promise<unknown>;
  /** Returns the bytes of a path up to a maximum size. Throws like `read`. */
  bytes(path: string, max: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Parses the address of a server. Throws ImportError. */
export function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new ImportError('the base URL must begin with http:// or https://');
  if (url.username || url.password || url.search || url.hash)
    throw new ImportError('the base URL must not contain credentials, a query or a fragment');
  return url;
}

async function take(response: Response, max: number, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > max) throw new Refused(path, 413, `is larger than ${Math.floor(max / 1024 / 1024)} MB`);
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Returns the delay that a response requests, or null. Milliseconds. */
function waitOf(response: Response): number | null {
  const seconds = response.headers.get('retry-after')?.trim() ?? '';
  return /^\d+$/.test(seconds) ? Math.min(Number(seconds) * 1000, maxWaitMs) : null;
}

/**
 * Interprets a redirect, which is not followed since it would receive the key. FastAPI redirects a path with a wrong
 * trailing slash to the other form, which means that the path does not exist.
 */
function redirected(path: string, asked: string, location: string): Refused | ImportError {
  const target = URL.canParse(location, asked) ? new URL(location, asked) : null;
  if (!target) return new ImportError('it redirects to an invalid address');
  const [from = ''] = path.split('?');
  const other = from.endsWith('/') ? from.slice(0, -1) : `${from}/`;
  // Behind a proxy that removes a prefix, the start of the path differs.
  if (target.pathname.endsWith(other))
    return new Refused(path, 404, 'redirects to the same address with or without a trailing slash');
  const elsewhere = target.origin !== new URL(asked).origin;
  return new ImportError(
    elsewhere
      ? `it redirects to ${target.origin}: use that address`
      : `${path} redirects to ${target.origin}${target.pathname}`,
  );
}

/** Describes why there was no response, or only part of one. */
function broken(path: string, error: unknown): Passing {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const reason = error instanceof Error ? error.message : 'no answer';
  return new Passing(path, 0, `cannot be read (${reason}${cause})`, null);
}

/**
 * Finds the API of an Onyx server at an address, or at `/api` below it. Throws ImportError when the address has no API,
 * when it redirects, and when the key does not work.
 */
export async function openOnyx(address: string, key: string, wait: Wait = (time) => sleep(time)): Promise<OnyxClient> {
  const url = parseBase(address);
  const root = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  /** Whether the server has responded yet; a server that never responded is not retried. */
  let heard = false;
  let failedInARow = 0;

  const clientAt = (base: string): OnyxClient => {
    async function ask(path: string, max: number): Promise<Uint8Array<ArrayBuffer>> {
      try {
        const response = await fetch(`${base}${path}`, {
          headers: { Authorization: `Bearer ${key}`, Accept: 'application/json, */*' },
          signal: AbortSignal.timeout(requestTimeoutMs),
          redirect: 'manual',
        });
        heard = true;
        if (response.ok) return await take(response, max, path);
        await response.body?.cancel();
        const location = response.headers.get('location');
        if (response.status < 400 && location !== null) throw redirected(path, `${base}${path}`, location);
        if (passing.has(response.status)) throw new Passing(path, response.status, undefined, waitOf(response));
        throw new Refused(path, response.status);
      } catch (error) {
        if (error instanceof Refused || error instanceof ImportError) throw error;
        throw broken(path, error);
      }
    }

    /** Retries until the request succeeds, fails permanently, or reaches the number of attempts. */
    async function get(path: string, max: number): Promise<Uint8Array<ArrayBuffer>> {
      for (let attempt = 1; ; attempt++) {
        try {
          const bytes = await ask(path, max);
          failedInARow = 0;
          return bytes;
        } catch (error) {
          if (!(error instanceof Passing)) {
            failedInARow = 0;
            throw error;
          }
          if (!heard) throw new ImportError(`${base}${error.message}`);
          if (attempt === attempts) {
            failedInARow += 1;
            if (failedInARow < maxFailuresInARow) throw error;
            throw new ImportError(`${base} failed ${failedInARow} times in a row; last error: ${error.message}`);
          }
          await wait(error.after ?? 1000 * 2 ** (attempt - 1));
        }
      }
    }

    async function read(path: string): Promise<unknown> {
      const bytes = await get(path, maxReply);
      try {
        return JSON.parse(new TextDecoder().decode(bytes));
      } catch {
        throw new Refused(path, 200, 'did not return JSON');
      }
    }

    return {
      base,
      read,
      async readIfThere(path, absent = []) {
        try {
          return await read(path);
        } catch (error) {
          if (error instanceof Refused && (error.status === 404 || absent.includes(error.status))) return null;
          throw error;
        }
      },
      bytes: get,
    };
  };

  let first: unknown;
  for (const base of root.endsWith('/api') ? [root] : [`${root}/api`, root]) {
    const client = clientAt(base);
    try {
      const agents = await client.read('/persona');
      if (Array.isArray(agents)) return client;
      first ??= new ImportError(`${base}/persona does not list agents`);
    } catch (error) {
      first ??= error;
      // A rejected key is rejected everywhere.
      if (error instanceof Refused && [401, 403].includes(error.status)) break;
    }
  }
  if (first instanceof Refused)
    throw new ImportError(
      [401, 403].includes(first.status)
        ? 'the key does not work there'
        : `no Onyx server was found at ${root} (${first.message})`,
    );
  throw first;
}
