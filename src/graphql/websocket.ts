import type { IncomingMessage, Server } from 'node:http';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { WebSocketServer } from 'ws';
import { noteRefusal } from '../http/access-log.ts';
import type { HostCheck } from '../http/host-check.ts';
import type { Metrics } from '../metrics.ts';
import { type OpenSocket, type SocketOptions, serveSocket } from './socket.ts';
import { onUpgrade, type Refusal } from './upgrade.ts';

const path = '/graphql';

/** Bytes of a message; a larger one ends its socket with 1009. What does not fit goes over HTTP. */
const largestMessage = 256 * 1024;

/** What a server that shuts down gives operations to end, and clients to close their side. Milliseconds. */
const patience = 2_000;

export interface WebSocketOptions extends SocketOptions {
  metrics: Metrics;
  hostRefusal: HostCheck;
  /** Why a query string is refused; null for one that is not. */
  refusedQuery(search: string): string | null;
}

export interface WebSockets {
  /** Takes upgrades on the connections of a server. */
  attach(server: Server): void;
  /**
   * Takes no more, and ends each with 1001 once its operations are over. What is left after 2 seconds is dropped.
   */
  close(): Promise<void>;
}

/** GraphQL over WebSocket by the protocol `graphql-transport-ws`. Queries, mutations and subscriptions, for any credential. */
export function createWebSockets({ metrics, hostRefusal, refusedQuery, ...options }: WebSocketOptions): WebSockets {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: largestMessage,
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
    return { status: 400, detail: `The subprotocol is ${GRAPHQL_TRANSPORT_WS_PROTOCOL}.` };
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
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, patience);
      });
      await Promise.race([Promise.all(sockets.map(({ over }) => over)), late]);
      clearTimeout(timer);
      for (const socket of sockets) socket.drop();
    },
  };
}

/** Where a request goes. One whose target cannot be read goes nowhere, and is searched for secrets all the same. */
function placeOf({ url = '' }: IncomingMessage): { pathname: string; search: string } {
  try {
    return new URL(url, 'http://localhost');
  } catch {
    return { pathname: '', search: url };
  }
}
