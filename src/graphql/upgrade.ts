import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Why a connection is not upgraded, as HTTP says it. */
export interface Refusal {
  status: number;
  detail: string;
}

export interface WebSocketUpgrades {
  /** Null for a request that may go on. */
  refusal(request: IncomingMessage): Refusal | null;
  /** Gets a connection that may go on, from the request's last byte on. */
  take(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Headers that Node reads of a request unless told otherwise; it forgets the rest. */
const usualHeaders = 1000;

/**
 * Hears the requests of a server that ask for an upgrade. Those for WebSocket are refused or taken. Every other one is
 * answered as if it had not asked: HTTP allows that, and clients that ask for HTTP/2 count on it.
 */
export function onUpgrade(server: Server, { refusal, take }: WebSocketUpgrades): void {
  /** The last request of each connection that was not such a one. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on('request', ({ socket }, answer) => answers.set(socket, answer));
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.upgrade?.toLowerCase() === 'websocket') {
      const refused = refusal(request);
      if (refused) refuse(socket, refused);
      else take(request, socket, head);
    } else if (request.rawHeaders.length >= 2 * (server.maxHeadersCount || usualHeaders))
      // What was forgotten could be where its body ends.
      refuse(socket, { status: 431, detail: 'The request has too many headers.' });
    else {
      socket.unshift(Buffer.concat([withoutUpgrade(request), head]));
      after(answers.get(socket), socket, () => server.emit('connection', socket));
    }
  });
}

/** Goes on once what was asked before is answered, if the connection still stands then. */
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

/** The first lines of a request as they came, but for those that ask for an upgrade. */
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
