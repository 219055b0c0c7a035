import { setTimeout as sleep } from 'node:timers/promises';
import { ImportError } from '../operator.ts';
import type { Report } from '../report.ts';
import { type Connection, requestWithRetries, type Wait } from './requests.ts';
import { OnyxResponseError } from './response-errors.ts';

/** Maximum size of a response in bytes. */
const maxReply = 64 * 1024 * 1024;

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

/** Parses the address of a server. Throws ImportError. */
export function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new ImportError('the base URL must begin with http:// or https://');
  if (url.username || url.password || url.search || url.hash)
    throw new ImportError('the base URL must not contain credentials, a query or a fragment');
  return url;
}

function clientAt(connection: Connection, base: string): OnyxClient {
  const bytes = (path: string, max: number) => requestWithRetries(connection, base, path, max);

  async function read(path: string): Promise<unknown> {
    const reply = await bytes(path, maxReply);
    try {
      return JSON.parse(new TextDecoder().decode(reply));
    } catch {
      throw new OnyxResponseError(path, 200, 'did not return JSON');
    }
  }

  return {
    base,
    read,
    async readIfThere(path, absent = []) {
      try {
        return await read(path);
      } catch (error) {
        if (error instanceof OnyxResponseError && (error.status === 404 || absent.includes(error.status))) return null;
        throw error;
      }
    },
    bytes,
  };
}

/**
 * Finds the API of an Onyx server at an address, or at `/api` below it. Throws ImportError when the address has no API,
 * when it redirects, and when the key does not work.
 */
export async function openOnyx(address: string, key: string, wait: Wait = (time) => sleep(time)): Promise<OnyxClient> {
  const url = parseBase(address);
  const root = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  const connection: Connection = { key, wait, responded: false, failuresInARow: 0 };

  let first: unknown;
  for (const base of root.endsWith('/api') ? [root] : [`${root}/api`, root]) {
    const client = clientAt(connection, base);
    try {
      const agents = await client.read('/persona');
      if (Array.isArray(agents)) return client;
      first ??= new ImportError(`${base}/persona does not list agents`);
    } catch (error) {
      first ??= error;
      // A rejected key is rejected everywhere.
      if (error instanceof OnyxResponseError && [401, 403].includes(error.status)) break;
    }
  }
  if (first instanceof OnyxResponseError)
    throw new ImportError(
      [401, 403].includes(first.status)
        ? 'the key does not work there'
        : `no Onyx server was found at ${root} (${first.message})`,
    );
  throw first;
}
