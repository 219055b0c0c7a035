import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** The HTTP response to a rejected upgrade. */
export interface Refusal {
  status: number;
  detail: string;
}

export interface WebSocketUpgrades {
  /** Returns null for a request that is accepted. */
  refusal(request: IncomingMessage): Refusal | null;
  /** Receives an accepted connection after the last byte of the request. */
  take(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Number of headers that Node reads by default; it drops the rest. */
const defaultHeaders = 1000;

/**
 * Handles upgrade requests of a server. WebSocket requests are rejected or accepted. Any other one is handled as if it
 * did not ask for an upgrade, which HTTP allows and which clients that ask for HTTP/2 rely on.
 */
export function onUpgrade(server: Server, { refusal, take }: WebSocketUpgrades): void {
  /** The last request of each connection that was not an upgrade request. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on('request', ({ socket }, answer) => answers.set(socket, answer));
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.upgrade?.toLowerCase() === 'websocket') {
      const refused = refusal(request);
      if (refused) refuse(socket, refused);
      else take(request, socket, head);
    } else if (request.rawHeaders.length >= 2 * (server.maxHeadersCount || defaultHeaders))
      // One of the dropped headers could determine where the body ends.
      refuse(socket, { status: 431, detail: 'The request has too many headers.' });
    else {
      socket.unshift(Buffer.concat([withoutUpgrade(request), head]));
      after(answers.get(socket), socket, () => server.emit('connection', socket));
    }
  });
}

/** Calls `goOn` after the previous request was answered, if the connection is still open. */
function after(answer: ServerResponse | undefined, socket: Duplex, goOn: () => void): void {
  if (!answer || answer.closed) {
    goOn();
    return;
  }
  const broken = () => socket.destroy();
  socket.on('error', broken);
  answer.once('close', () => {
    socket.off('error', broken);
    if (!socket.destroyed) goOn();
  });
}

/** Returns the first lines of a request without the headers that ask for an upgrade. */
function withoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() !== 'upgrade') lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function refuse(socket: Duplex, { status, detail }: Refusal): void {
  const body = JSON.stringify({ detail });
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}
