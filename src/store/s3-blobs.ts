import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { unavailable } from '../errors.ts';
import type { Log } from '../log.ts';
import type { S3Settings } from '../s3-settings.ts';
import { type Blobs, checkBlobId } from './blobs.ts';

/** The longest that an operation takes with all its attempts. Milliseconds. */
export interface S3Timeouts {
  /** Reading or writing a blob. */
  transferMs: number;
  /** Deleting a blob. Shorter, because a transaction waits for it. */
  eraseMs: number;
}

const defaultTimeouts: S3Timeouts = { transferMs: 60_000, eraseMs: 10_000 };

/** The pauses before the second and the third attempt. Milliseconds. */
const pausesMs = [200, 1000];

/** Statuses of requests that may succeed when they are repeated. */
const isTemporary = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** The code of an error of S3, such as `NoSuchKey`: the only part of its body that is used. */
const codeOf = (xml: string): string | undefined => /<Code>(\w{1,64})<\/Code>/.exec(xml)?.[1];

interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE';
  id: string;
  bytes?: Uint8Array;
  timeoutMs: number;
}

/** A response that was read to its end within the time limit. */
interface S3Reply {
  status: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Returns the URL of the object that stores a blob. */
function urlOf({ endpoint, bucket, isPathStyle, prefix }: S3Settings, id: string): string {
  checkBlobId(id);
  const url = new URL(endpoint);
  if (!isPathStyle) url.hostname = `${bucket}.${url.hostname}`;
  const folder = isPathStyle ? `/${bucket}` : '';
  url.pathname = `${url.pathname.replace(/\/$/, '')}${folder}/${prefix}${id}`;
  return url.href;
}

/** Signs a request and sends it once. */
async function send(settings: S3Settings, { method, id, bytes }: S3Request, signal: AbortSignal): Promise<S3Reply> {
  // Loaded with the first request, so that a server that stores files in a folder never loads it.
  const { AwsV4Signer } = await import('aws4fetch');
  const { region, accessKeyId, secretAccessKey } = settings;
  const hash = createHash('sha256')
    .update(bytes ?? '')
    .digest('hex');
  const signer = new AwsV4Signer({
    method,
    url: urlOf(settings, id),
    // Signed with the request, so that S3 rejects a body that was changed on its way.
    headers: { 'x-amz-content-sha256': hash, ...(bytes && { 'content-type': 'application/octet-stream' }) },
    service: 's3',
    region,
    accessKeyId,
    secretAccessKey,
  });
  const { url, headers } = await signer.sign();
  // A redirect would carry the signature to another server.
  const init = { method, headers, signal, redirect: 'manual' as const };
  const response = await fetch(url, bytes ? { ...init, body: bytes as Uint8Array<ArrayBuffer> } : init);
  return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/**
 * Stores blobs as objects of an S3 bucket. A failed request is repeated twice within the time limit. Operations throw
 * UNAVAILABLE with the reason BLOB_STORE_UNAVAILABLE when S3 cannot be reached, does not respond in time or denies the
 * request; the log then contains the status and the code of S3.
 */
export function s3Blobs(
  settings: S3Settings,
  { log, timeouts = defaultTimeouts }: { log: Log; timeouts?: S3Timeouts },
): Blobs {
  const failure = (request: S3Request, detail: object) => {
    log.warn({ method: request.method, blobId: request.id, ...detail }, 'the bucket of the files is not available');
    return unavailable('BLOB_STORE_UNAVAILABLE', 'The storage of files is not available. Try again later.');
  };

  /** Returns a reply with one of the expected statuses. Throws UNAVAILABLE. */
  async function request(request: S3Request, expected: readonly number[]): Promise<S3Reply> {
    // An invalid ID is a fault of the caller.
    checkBlobId(request.id);
    const signal = AbortSignal.timeout(request.timeoutMs);
    for (let attempt = 0; ; attempt++) {
      let detail: object;
      let repeatable = true;
      try {
        const reply = await send(settings, request, signal);
        const code = codeOf(Buffer.from(reply.bytes.subarray(0, 2000)).toString('latin1'));
        // A bucket that does not exist is not a missing blob.
        if (expected.includes(reply.status) && !(reply.status === 404 && code === 'NoSuchBucket')) return reply;
        detail = { status: reply.status, s3Code: code };
        repeatable = isTemporary(reply.status);
      } catch (error) {
        detail = { error };
      }
      const pause = pausesMs[attempt];
      if (!repeatable || pause === undefined || signal.aborted) throw failure(request, detail);
      await delay(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw failure(request, detail);
    }
  }

  const { transferMs, eraseMs } = timeouts;
  return {
    async write(id, bytes) {
      await request({ method: 'PUT', id, bytes, timeoutMs: transferMs }, [200]);
    },

    async read(id) {
      const { status, bytes } = await request({ method: 'GET', id, timeoutMs: transferMs }, [200, 404]);
      return status === 404 ? null : bytes;
    },

    async erase(id) {
      await request({ method: 'DELETE', id, timeoutMs: eraseMs }, [200, 204, 404]);
    },
  };
}
