import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A response other than JSON with 200. */
export class Answer {
  constructor(
    readonly status: number,
    readonly headers: Record<string, string> = {},
  ) {}
}
/** No response: the connection is closed. */
export const silence = Symbol('silence');
/** Responses for consecutive requests; the last one is repeated. */
export class Then {
  constructor(private readonly replies: unknown[]) {}
  next = () => (this.replies.length > 1 ? this.replies.shift() : this.replies[0]);
}

const servers: Server[] = [];
/** Closes the started servers. */
export async function endServers(): Promise<void> {
  for (const server of servers.splice(0)) {
    const closed = once(server, 'close');
    server.close().closeAllConnections();
    await closed;
  }
}

/**
 * Starts an Onyx server with recorded responses by path, with or without its query; other paths return the response for
 * `*`, or 404. `port` can be that of an earlier server.
 */
export async function recorded(replies: Record<string, unknown>, port = 0) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`);
    const found = replies[request.url ?? ''] ?? replies[request.url?.split('?')[0] ?? ''] ?? replies['*'];
    const reply = found instanceof Then ? found.next() : found;
    if (reply === silence) return request.socket.destroy();
    if (reply instanceof Answer) return response.writeHead(reply.status, reply.headers).end('{}');
    if (typeof reply === 'number') return response.writeHead(reply).end('{}');
    if (reply === undefined) return response.writeHead(404).end('{"detail":"Not Found"}');
    return response.writeHead(200).end(typeof reply === 'string' ? reply : JSON.stringify(reply));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  const asked = (path: string) => seen.filter((line) => line.startsWith(`${path} `)).length;
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, server, seen, asked };
}

/** Returns a message in Onyx's format. */
export const message = (id: number, parent: number | null, type: string, text: string, rest: object = {}) => ({
  message_id: id,
  parent_message: parent,
  latest_child_message: null,
  message: text,
  message_type: type,
  time_sent: '2025-01-02T03:04:05.678901+00:00',
  ...rest,
});
