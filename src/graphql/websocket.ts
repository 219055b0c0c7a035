import type { IncomingMessage, Server } from 'node:http';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { WebSocketServer } from 'ws';
import { noteRefusal } from '../http/access-log.ts';
import type { HostCheck } from '../http/host-check.ts';
import type { Metrics } from '../metrics.ts';
import { within } from '../promises.ts';
import { onUpgrade, type Refusal } from './upgrade.ts';
import { type OpenSocket, type SocketOptions, serveSocket } from './ws-connection.ts';

const path = '/graphql';

/** Maximum size of a message in bytes. A larger one closes the connection with 1009; send it over HTTP instead. */
const maxMessageBytes = 256 * 1024;

/** Time that a shutdown gives operations to end, and clients to close the connection. Milliseconds. */
const initTimeoutMs = 2_000;

export interface WebSocketOptions extends SocketOptions {
  metrics: Metrics;
  hostRefusal: HostCheck;
  /** Returns why a query string is rejected, or null. */
  refusedQuery(search: string): string | null;
}

export interface WebSockets {
  /** Handles upgrade requests of a server. */
  attach(server: Server): void;
  /**
   * Accepts no further connections, and closes each with 1001 once its operations have ended. Drops the rest after 2
   * seconds.
   */
  close(): Promise<void>;
}

/**
 * Creates the GraphQL over WebSocket endpoint with the protocol `graphql-transport-ws`, for queries, mutations and
 * subscriptions.
 */
export function createWebSockets({ metrics, hostRefusal, refusedQuery, ...options }: WebSocketOptions): WebSockets {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: () => GRAPHQL_TRANSPORT_WS_PROTOCOL,
  });
  const open = new Set<OpenSocket>();
  let closing = false;

  function judge(request: IncomingMessage): Refusal | null {
    const host = hostRefusal(request);
    if (host !== null) return host;
    const { pathname, search } = placeOf(request);
    const query = refusedQuery(search);
    if (query !== null) return { status: 400, detail: query };
    if (pathname !== path) return { status: 404, detail: 'Not Found' };
    if (closing) return { status: 503, detail: 'The server is shutting down.' };
    const offered = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
    if (offered?.includes(GRAPHQL_TRANSPORT_WS_PROTOCOL)) return null;
    return { status: 400, detail: `The WebSocket subprotocol must be ${GRAPHQL_TRANSPORT_WS_PROTOCOL}.` };
  }

  return {
    attach: (http) =>
      onUpgrade(http, {
        refusal(request) {
          const refusal = judge(request);
          if (refusal) {
            noteRefusal(request, refusal.status);
            metrics.request('GET', refusal.status === 404 ? 'unmatched' : path, refusal.status);
          }
          return refusal;
        },
        take: (request, connection, head) =>
          server.handleUpgrade(request, connection, head, (upgraded) => {
            metrics.request('GET', path, 101);
            const socket = serveSocket(upgraded, request, options);
            open.add(socket);
            metrics.openSockets(open.size);
            void socket.over.then(() => {
              open.delete(socket);
              metrics.openSockets(open.size);
            });
          }),
      }),
    async close() {
      closing = true;
      const sockets = [...open];
      for (const socket of sockets) socket.leave();
      await within(initTimeoutMs, Promise.all(sockets.map(({ over }) => over)));
      for (const socket of sockets) socket.drop();
    },
  };
}

/** Returns the path and query of a request. An invalid target has an empty path, and is still searched for secrets. */
function placeOf({ url = '' }: IncomingMessage): { pathname: string; search: string } {
  try {
    return new URL(url, 'http://localhost');
  } catch {
    return { pathname: '', search: url };
  }
}
