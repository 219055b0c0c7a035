import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../log.ts';
import { redactSecrets } from '../modules/tokens/secret.ts';

/** What only the handler of a request learns about it. */
export interface RequestFacts {
  requestId: string;
  /** The address of the client, as the trusted proxies give it. */
  client: string | null;
  /** The integer ID of the token that authenticated the request. */
  tokenId: number | null;
}

const factsOf = new WeakMap<IncomingMessage, RequestFacts>();
/** Bytes of each connection that its earlier responses took. */
const bytesBefore = new WeakMap<Socket, number>();

/** Records what the access log says about a request. Does nothing for a request without a connection. */
export function noteRequest(incoming: IncomingMessage | undefined, facts: RequestFacts): void {
  if (incoming) factsOf.set(incoming, facts);
}

/** Records which token authenticated a request. */
export function noteToken(incoming: IncomingMessage | undefined, tokenId: number): void {
  const facts = incoming && factsOf.get(incoming);
  if (facts) facts.tokenId = tokenId;
}

/** Longer paths are cut. Characters as they are sent. */
const maxPathLength = 2000;
/** The last part names the chat of a widget's visitor, which anybody who knows it can read. */
const visitorChat = /^((?:\/api)?\/embed\/[^/]+\/)(?!stream-chat$)[^/]+/i;

/** A path with its ASCII characters decoded, however often they were encoded: a secret is recognized as it is written. */
function decoded(path: string): string {
  const once = path.replace(/%([0-7][0-9a-f])/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return once === path ? path : decoded(once);
}

/** The path of a request without its query, which may hold personal data, and without secrets. */
const pathOf = ({ url = '' }: IncomingMessage): string =>
  redactSecrets(decoded((url.split('?', 1)[0] ?? '').slice(0, maxPathLength)).replace(visitorChat, '$1[session]'));

/** Bytes that a connection was sent since its last response, heads included. */
function bytesSince(socket: Socket): number {
  const bytes = socket.bytesWritten - (bytesBefore.get(socket) ?? 0);
  bytesBefore.set(socket, socket.bytesWritten);
  return bytes;
}

/**
 * Writes one line at level `info` for each request of a server, once its response has ended or its client is gone:
 * streams are logged with the time and the bytes that they really took. The status is 499 when the client left before
 * there was one. A WebSocket is one request with status 101.
 */
export function logRequests(server: Server, log: Log): void {
  const write = (incoming: IncomingMessage, startedAt: number, result: object) => {
    const { requestId, client, tokenId } = factsOf.get(incoming) ?? {};
    log.info(
      {
        requestId: requestId ?? null,
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
    // Before Node hands the connection to the next response.
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

/** Records with which status a WebSocket was refused. */
export const noteRefusal = (incoming: IncomingMessage, status: number): void => void refusals.set(incoming, status);
