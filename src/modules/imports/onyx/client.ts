import { ImportError } from '../operator.ts';
import type { Report } from '../report.ts';

/** Where what a reply says is larger than what is held in memory. Bytes. */
const maxReply = 64 * 1024 * 1024;
/** How long a reply may take. Milliseconds. */
const patience = 120_000;

/** A reply of Onyx's that cannot be used: it says no, is too large, or is no JSON. */
export class Refused extends Error {
  override readonly name = 'Refused';
  constructor(
    path: string,
    readonly status: number,
    reason = `was answered with ${status}`,
  ) {
    super(`${path} ${reason}`);
  }
}

/** Reads one thing; where the server fails with that, the report says so, and the others are read. */
export async function orReport(report: Report, what: string, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    report.fail(what, error);
  }
}

/** A running Onyx, as one key sees it. */
export interface OnyxClient {
  /** Where its API is, without a trailing slash. */
  base: string;
  /** The JSON of a path. Throws Refused, ImportError. */
  read(path: string): Promise<unknown>;
  /** The same; null where the server does not have it, or not for this key. */
  readIfThere(path: string): Promise<unknown>;
  /** The bytes of a path, up to so many. Throws Refused, ImportError. */
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
    if (length > max) throw new Refused(path, 200, `is larger than ${Math.floor(max / 1024 / 1024)} MB`);
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

/**
 * Finds the API of an Onyx under an address: at it, or at `/api` under it. Throws ImportError where there is none, and
 * where the key opens nothing.
 */
export async function openOnyx(address: string, key: string): Promise<OnyxClient> {
  const url = parseBase(address);
  const root = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;

  const clientAt = (base: string): OnyxClient => {
    async function get(path: string, max: number): Promise<{ bytes: Uint8Array<ArrayBuffer>; type: string }> {
      try {
        const response = await fetch(`${base}${path}`, {
          headers: { Authorization: `Bearer ${key}`, Accept: 'application/json, */*' },
          signal: AbortSignal.timeout(patience),
        });
        if (!response.ok) {
          await response.body?.cancel();
          throw new Refused(path, response.status);
        }
        return { bytes: await take(response, max, path), type: response.headers.get('content-type') ?? '' };
      } catch (error) {
        if (error instanceof Refused || error instanceof ImportError) throw error;
        const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
        throw new ImportError(
          `${base} cannot be read (${error instanceof Error ? error.message : 'no answer'}${cause})`,
        );
      }
    }
    async function read(path: string): Promise<unknown> {
      const { bytes } = await get(path, maxReply);
      try {
        return JSON.parse(new TextDecoder().decode(bytes));
      } catch {
        throw new Refused(path, 200, 'was not answered with JSON');
      }
    }
    return {
      base,
      read,
      async readIfThere(path) {
        try {
          return await read(path);
        } catch (error) {
          if (error instanceof Refused && error.status >= 400 && error.status < 500) return null;
          throw error;
        }
      },
      bytes: async (path, max) => (await get(path, max)).bytes,
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
