import http from 'node:http';
import https from 'node:https';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';

/** The reason why a page cannot be fetched. It completes "the page …" and can be shown to the caller. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

export interface GuardedFetchOptions {
  /** Sent to the requested origin only; no header follows a redirect to another origin. */
  headers?: Readonly<Record<string, string>>;
  /** Maximum size of the decompressed page in bytes. */
  maxBytes: number;
  /** Total time limit in milliseconds. */
  timeoutMs?: number;
  /** Hosts that can have any address: `intranet.example` or `intranet.example:8080`. */
  allowedHosts?: readonly string[];
  /** Aborted when the caller no longer waits for the page. */
  signal?: AbortSignal;
}

export interface Fetched {
  /** The final URL after redirects. */
  url: URL;
  /** In lower case, without parameters; empty when the server did not send a type. */
  mediaType: string;
  /** The charset that the server declared. */
  charset: string | null;
  bytes: Uint8Array<ArrayBuffer>;
}

const maxRedirects = 5;

/** Headers of one connection, or that determine the destination of a request. A caller cannot set them. */
const ours = new Set([
  ...['host', 'connection', 'content-length', 'expect', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['accept-encoding', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection'],
]);

/** Azure virtual machines reach their host through this public address. */
const notPublic = { denyIPAddressList: ['168.63.129.16'] };
/** Agents that reject every address that is not public, in the URL and after DNS resolution. */
const guarded = {
  'http:': new RequestFilteringHttpAgent(notPublic),
  'https:': new RequestFilteringHttpsAgent(notPublic),
};
const free = { 'http:': new http.Agent(), 'https:': new https.Agent() };

/**
 * Fetches a page for a caller, with protection against server-side request forgery (SSRF). Rejects private, loopback,
 * link-local, metadata and reserved addresses, also after each of up to 5 redirects. The address is checked when the
 * connection is made, so that a second DNS response cannot differ. The timeout defaults to 20 seconds. Throws
 * FetchError.
 */
export async function guardedFetch(address: string, options: GuardedFetchOptions): Promise<Fetched> {
  const { maxBytes, timeoutMs = 20_000, allowedHosts = [], signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  const ended = signal ? AbortSignal.any([signal, timeout]) : timeout;
  let headers = Object.fromEntries(
    Object.entries(options.headers ?? {}).filter(([name]) => !ours.has(name.toLowerCase())),
  );
  let url = readAddress(address);
  try {
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const response = await request(url, headers, allowedHosts, ended);
      const target = redirectOf(response);
      if (target === null) return await read(response, url, maxBytes);
      response.destroy();
      const next = readAddress(target, url);
      if (next.origin !== url.origin) headers = {};
      url = next;
    }
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError(reasonOf(error, timeout));
  }
  throw new FetchError('redirects too often');
}

/**
 * Parses a URL. Throws FetchError for a text that is not an http or https URL, and for one with a user name or
 * password.
 */
function readAddress(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new FetchError('has an invalid URL');
  const url = new URL(text, base?.href);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new FetchError('is not an http or https URL');
  if (url.username || url.password) throw new FetchError('has a user name or password in its URL');
  return url;
}

function request(
  url: URL,
  headers: Record<string, string>,
  allowedHosts: readonly string[],
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const protocol = url.protocol as keyof typeof guarded;
  const { get } = protocol === 'https:' ? https : http;
  const allowed = allowedHosts.includes(url.host) || allowedHosts.includes(url.hostname);
  return new Promise((resolve, reject) => {
    get(
      url,
      {
        agent: (allowed ? free : guarded)[protocol],
        headers: {
          accept: 'text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,*/*;q=0.1',
          'user-agent': 'Latchkey',
          ...headers,
          'accept-encoding': 'gzip, deflate, br',
        },
        signal,
      },
      resolve,
    )
      .on('error', reject)
      // An unrequested protocol upgrade. Without this handler the request would neither end nor fail.
      .on('upgrade', ({ statusCode }, socket) => {
        socket.destroy();
        reject(new FetchError(`responds with HTTP ${statusCode}`));
      });
  });
}

/** Returns the target of a redirect, or null. */
const redirectOf = ({ statusCode = 0, headers: { location } }: http.IncomingMessage): string | null =>
  [301, 302, 303, 307, 308].includes(statusCode) && location !== undefined ? location : null;

const unpackers: Record<string, () => Transform> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

async function read(response: http.IncomingMessage, url: URL, maxBytes: number): Promise<Fetched> {
  const { statusCode = 0, headers } = response;
  // Rejects the response and closes the connection, so that the rest is not transferred.
  const refuse = (reason: string): never => {
    response.destroy();
    throw new FetchError(reason);
  };
  if (statusCode < 200 || statusCode > 299) refuse(`responds with HTTP ${statusCode}`);
  if (Number(headers['content-length'] ?? 0) > maxBytes) refuse(tooLarge(maxBytes));
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const unpack = unpackers[encoding];
  if (!unpack && encoding !== 'identity') refuse('has an unsupported content encoding');
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of unpacked(response, unpack)) {
    size += part.length;
    if (size > maxBytes) refuse(tooLarge(maxBytes));
    parts.push(part);
  }
  const [mediaType = '', ...parameters] = (headers['content-type'] ?? '').split(';').map((each) => each.trim());
  const charset = parameters.map((each) => /^charset="?([^"]+)"?$/i.exec(each)?.[1]).find((each) => each !== undefined);
  return { url, mediaType: mediaType.toLowerCase(), charset: charset ?? null, bytes: joined(parts, size) };
}

/** Returns the decompressed body. An error on either side ends both. */
const unpacked = (response: http.IncomingMessage, unpack: (() => Transform) | undefined): Readable =>
  unpack ? pipeline(response, unpack(), () => {}) : response;

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const tooLarge = (maxBytes: number): string => `is larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`;

/** Returns a reason that does not reveal anything about this server's network beyond the requested host. */
function reasonOf(error: unknown, timeout: AbortSignal): string {
  if (timeout.aborted) return 'did not respond in time';
  if (!(error instanceof Error)) return 'cannot be reached';
  if (/is not allowed\. Because/.test(error.message)) return 'has an address that is not public';
  const code = (error as NodeJS.ErrnoException).code;
  if (error.name === 'AbortError' || code === 'ABORT_ERR') return 'is no longer requested';
  if (code?.startsWith('Z_') || code?.startsWith('ERR_BROTLI') || code?.startsWith('ERR__')) return 'is damaged';
  return code === 'ENOTFOUND' ? 'has an unknown host' : 'cannot be reached';
}
