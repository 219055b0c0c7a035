import { ImportError } from '../operator.ts';
import { brokenResponse, errorOf, OnyxResponseError, RetryableError } from './response-errors.ts';

/** Timeout of a response. Milliseconds. */
const requestTimeoutMs = 120_000;
/** Number of attempts per request. */
const attempts = 4;
/** Number of consecutive failures after which the server counts as unavailable. */
const maxFailuresInARow = 5;

/** Waits for a number of milliseconds. */
export type Wait = (milliseconds: number) => Promise<unknown>;

/** The connection to a server, under whichever address its API is found. */
export interface Connection {
  key: string;
  wait: Wait;
  /** Whether the server has responded yet; a server that never responded is not retried. */
  responded: boolean;
  failuresInARow: number;
}

async function bytesOf(response: Response, max: number, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > max) throw new OnyxResponseError(path, 413, `is larger than ${Math.floor(max / 1024 / 1024)} MB`);
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

/** Sends one request. Throws OnyxResponseError, and ImportError for a redirect. */
async function request(
  connection: Connection,
  base: string,
  path: string,
  max: number,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const response = await fetch(`${base}${path}`, {
      headers: { Authorization: `Bearer ${connection.key}`, Accept: 'application/json, */*' },
      signal: AbortSignal.timeout(requestTimeoutMs),
      redirect: 'manual',
    });
    connection.responded = true;
    if (response.ok) return await bytesOf(response, max, path);
    await response.body?.cancel();
    throw errorOf(path, `${base}${path}`, response);
  } catch (error) {
    if (error instanceof OnyxResponseError || error instanceof ImportError) throw error;
    throw brokenResponse(path, error);
  }
}

/**
 * Returns the bytes of a path up to a maximum size. Retries until the request succeeds, fails permanently, or reaches
 * the number of attempts. Throws OnyxResponseError, and ImportError when the server counts as unavailable.
 */
export async function requestWithRetries(
  connection: Connection,
  base: string,
  path: string,
  max: number,
): Promise<Uint8Array<ArrayBuffer>> {
  for (let attempt = 1; ; attempt++) {
    try {
      const bytes = await request(connection, base, path, max);
      connection.failuresInARow = 0;
      return bytes;
    } catch (error) {
      if (!(error instanceof RetryableError)) {
        connection.failuresInARow = 0;
        throw error;
      }
      if (!connection.responded) throw new ImportError(`${base}${error.message}`);
      if (attempt === attempts) {
        connection.failuresInARow += 1;
        const failures = connection.failuresInARow;
        if (failures < maxFailuresInARow) throw error;
        throw new ImportError(`${base} failed ${failures} times in a row; last error: ${error.message}`);
      }
      await connection.wait(error.after ?? 1000 * 2 ** (attempt - 1));
    }
  }
}
