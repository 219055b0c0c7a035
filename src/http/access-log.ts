import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { redactSecrets } from '../authz/secret.ts';
import type { Log } from '../log.ts';

/** Facts about a request that only its handler knows. */
export interface RequestFacts {
  requestId: string;
  /** The address of the client, as reported by the trusted proxies. */
  client: string | null;
  /** The integer ID of the token that authenticated the request. */
  tokenId: number | null;
  /** The ID of the trace, when traces are exported. */
  traceId?: string;
}

const factsOf = new WeakMap<IncomingMessage, RequestFacts>();
/** Number of bytes of each connection that its earlier responses used. */
const bytesBefore = new WeakMap<Socket, number>();

/** Records facts about a request for the access log. Ignores a request without a connection. */
export function noteRequest(incoming: IncomingMessage | undefined, facts: RequestFacts): void {
  if (incoming) factsOf.set(incoming, facts);
}

/** Records which token authenticated a request. */
export function noteToken(incoming: IncomingMessage | undefined, tokenId: number): void {
  const facts = incoming && factsOf.get(incoming);
  if (facts) facts.tokenId = tokenId;
}

/** Records the trace of a request. */
export function noteTrace(incoming: IncomingMessage | undefined, traceId: string | null): void {
  const facts = incoming && factsOf.get(incoming);
  if (facts && traceId !== null) facts.traceId = traceId;
}

/** Maximum length of a path, in characters as they were sent. Longer paths are truncated. */
const maxPathLength = 2000;
/** The last segment identifies the chat of a widget's visitor. Anyone who knows it can read the chat. */
const visitorChat = /^((?:\/api)?\/embed\/[^/]+\/)(?!stream-chat$)[^/]+/i;

/**
 * Decodes the percent-encoded ASCII characters of a path, even if they were encoded several times, so that secrets in
 * it are recognized.
 */
function decoded(path: string): string {
  const once = path.replace(/%(?:25)*([0-7][0-9a-f])/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return once === path ? path : decoded(once);
}

/** Returns the path of a request without secrets and without the query, which can contain personal data. */
const pathOf = ({ url = '' }: IncomingMessage): string =>
  redactSecrets(decoded((url.split('?', 1)[0] ?? '').slice(0, maxPathLength)).replace(visitorChat, '$1[session]'));

/** Returns the number of bytes sent on a connection since its last response, including headers. */
function bytesSince(socket: Socket): number {
  const bytes = socket.bytesWritten - (bytesBefore.get(socket) ?? 0);
  bytesBefore.set(socket, socket.bytesWritten);
  return bytes;
}

/**
 * Writes one line at level `info` for each request of a server after its response has ended or its client has
 * disconnected, so that streams are logged with their actual duration and number of bytes. The status is 499 when the
 * client disconnected before a response was sent. A WebSocket counts as one request with status 101.
 */
export function logRequests(server: Server, log: Log): void {
  const write = (incoming: IncomingMessage, startedAt: number, result: object) => {
    const { requestId, client, tokenId, traceId } = factsOf.get(incoming) ?? {};
    log.info(
      {
        requestId: requestId ?? null,
        ...(traceId !== undefined && { traceId }),
        client: client ?? incoming.socket.remoteAddress ?? null,
        tokenId: tokenId ?? null,
        method: incoming.method,
        path: pathOf(incoming),
        ...result,
        durationMs: Math.round(performance.now() - startedAt),
      },
      'request',
    );
  };

  server.prependListener('request', (incoming: IncomingMessage, response: ServerResponse) => {
    const startedAt = performance.now();
    const { socket } = incoming;
    let bytes: number | undefined;
    // Runs before Node assigns the connection to the next response.
    response.prependOnceListener('finish', () => {
      bytes = bytesSince(socket);
    });
    response.once('close', () => {
      const isWhole = response.writableFinished;
      const status = response.headersSent ? response.statusCode : 499;
      write(incoming, startedAt, { status, bytes: bytes ?? bytesSince(socket), ...(!isWhole && { aborted: true }) });
    });
  });

  server.prependListener('upgrade', (incoming: IncomingMessage, socket: Socket) => {
    if (incoming.headers.upgrade?.toLowerCase() !== 'websocket') return;
    const startedAt = performance.now();
    socket.once('close', () => {
      const status = refusals.get(incoming) ?? 101;
      write(incoming, startedAt, { status, bytes: bytesSince(socket) });
    });
  });
}

const refusals = new WeakMap<IncomingMessage, number>();

/** Records the status with which a WebSocket was rejected. */
export const noteRefusal = (incoming: IncomingMessage, status: number): void => void refusals.set(incoming, status);
