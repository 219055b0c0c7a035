import { setTimeout as sleep } from 'node:timers/promises';
import { ImportError } from '../operator.ts';
import type { Report } from '../report.ts';

/** Where what a reply says is larger than what is held in memory. Bytes. */
const maxReply = 64 * 1024 * 1024;
/** How long a reply may take. Milliseconds. */
const patience = 120_000;
/** How often one thing is asked for. */
const attempts = 4;
/** The longest wait that a server's `Retry-After` is heeded with. Milliseconds. */
const longestWait = 60_000;
/** How many things in a row may fail to be given, before the server counts as gone. */
const mostInARow = 5;
/** What says that it may go well the next time: by the server, or by what stands before it. */
const passing = new Set([408, 429, 502, 503, 504]);

/** Waits so many milliseconds. */
export type Wait = (milliseconds: number) => Promise<unknown>;

/** A reply of Onyx's that cannot be used: it says no, is too large, is no JSON, or never came whole. */
export class Refused extends Error {
  override readonly name: string = 'Refused';
  constructor(
    path: string,
    /** 413 where it is too large, 0 where none came. */
    readonly status: number,
    reason = `was answered with ${status}`,
  ) {
    super(`${path} ${reason}`);
  }

  /** It will be answered so the next time too. */
  get definite(): boolean {
    return [403, 404, 410, 413].includes(this.status);
  }
}

/** One that may go well when it is asked once more; `after` in milliseconds, null where the server does not say. */
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
 * Reads one thing; where that fails, the report says so, the others are read, and null is returned. Throws ImportError
 * where the others would fail too.
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

/** A running Onyx, as one key sees it. */
export interface OnyxClient {
  /** Where its API is, without a trailing slash. */
  base: string;
  /** The JSON of a path. Throws Refused, and ImportError where the server counts as gone. */
  read(path: string): Promise<unknown>;
  /** The same; null where it is answered with 404, or a status that says the same of that path. */
  readIfThere(path: string, absent?: readonly number[]): Promise<unknown>;
  /** The bytes of a path, up to so many. Throws as `read` does. */
  bytes(path: string, max: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** An address of a server. Throws ImportError. */
export function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new ImportError('the base URL must begin with http:// or https://');
  if (url.username || url.password || url.search || url.hash)
    throw new ImportError('the base URL must be an address alone: no user, no query, no fragment');
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

/** The wait that a reply asks for; null where it names none. Milliseconds. */
function waitOf(response: Response): number | null {
  const seconds = response.headers.get('retry-after')?.trim() ?? '';
  return /^\d+$/.test(seconds) ? Math.min(Number(seconds) * 1000, longestWait) : null;
}

/**
 * What a redirect means. It is not followed: the key would go along. FastAPI sends who leaves out a slash at the end, or
 * has one too many, to the other form, which is to say that there is nothing here.
 */
function redirected(path: string, asked: string, location: string): Refused | ImportError {
  const target = URL.canParse(location, asked) ? new URL(location, asked) : null;
  if (!target) return new ImportError('it redirects to what is no address');
  const [from = ''] = path.split('?');
  const other = from.endsWith('/') ? from.slice(0, -1) : `${from}/`;
  // Behind a proxy that takes a prefix away, the address begins otherwise.
  if (target.pathname.endsWith(other)) return new Refused(path, 404, 'redirects to the same with or without a slash');
  const elsewhere = target.origin !== new URL(asked).origin;
  return new ImportError(
    elsewhere
      ? `it redirects to ${target.origin}: give that address`
      : `${path} redirects to ${target.origin}${target.pathname}`,
  );
}

/** Why no reply came, or only a part of one. */
function broken(path: string, error: unknown): Passing {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const reason = error instanceof Error ? error.message : 'no answer';
  return new Passing(path, 0, `cannot be read (${reason}${cause})`, null);
}

/**
 * Finds the API of an Onyx under an address: at it, or at `/api` under it. Throws ImportError where there is none, where
 * it redirects, and where the key opens nothing.
 */
export async function openOnyx(address: string, key: string, wait: Wait = (time) => sleep(time)): Promise<OnyxClient> {
  const url = parseBase(address);
  const root = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  /** Whether anything answered yet: who never did is not there, and is not waited for. */
  let heard = false;
  let failedInARow = 0;

  const clientAt = (base: string): OnyxClient => {
    async function ask(path: string, max: number): Promise<Uint8Array<ArrayBuffer>> {
      try {
        const response = await fetch(`${base}${path}`, {
          headers: { Authorization: `Bearer ${key}`, Accept: 'application/json, */*' },
          signal: AbortSignal.timeout(patience),
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

    /** Asks until it goes well, or is answered so that it never will, or was asked often enough. */
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
            if (failedInARow < mostInARow) throw error;
            throw new ImportError(`${base} failed ${failedInARow} times in a row, at last: ${error.message}`);
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
        throw new Refused(path, 200, 'was not answered with JSON');
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
      // A key that is refused here is refused everywhere.
      if (error instanceof Refused && [401, 403].includes(error.status)) break;
    }
  }
  if (first instanceof Refused)
    throw new ImportError(
      [401, 403].includes(first.status)
        ? 'the key opens nothing there'
        : `there is no Onyx at ${root} (${first.message})`,
    );
  throw first;
}
