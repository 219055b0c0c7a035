import { connect } from 'node:net';

/** Sends bytes that no HTTP client would send, and returns the response until the server closes the connection. */
export function httpExchange(port: number, bytes: string, { endAfterSending = false } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      if (endAfterSending) socket.end(bytes, 'latin1');
      else socket.write(bytes, 'latin1');
    });
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    // The server can close the connection before it has read everything.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      ['ECONNRESET', 'EPIPE'].includes(error.code ?? '') ? resolve(answer) : reject(error),
    );
    socket.on('close', () => resolve(answer));
  });
}
