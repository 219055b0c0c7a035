import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** How the proxy treats connections: it forwards them, accepts them without a reply, or answers with another protocol. */
type ProxyMode = 'forward' | 'silent' | 'other protocol';

/** A proxy in front of Redis, with which tests interrupt it. */
export interface RedisProxy {
  url: string;
  /** Ends all connections and treats later ones in this mode. */
  set(mode: ProxyMode): void;
  /** Stops replies on the open connections as well, without ending them. */
  hang(): void;
  /** Ends all connections and refuses later ones, until `open`. */
  refuse(): Promise<void>;
  open(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy for a Redis. */
export async function startRedisProxy(target: string): Promise<RedisProxy> {
  const { hostname, port, pathname } = new URL(target);
  const sockets = new Set<Socket>();
  let mode: ProxyMode = 'forward';
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {}).on('close', () => sockets.delete(client));
    if (mode === 'other protocol') return void client.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    if (mode === 'silent') return void client.resume();
    const upstream = connect(Number(port || 6379), hostname);
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.on('data', (data) => mode === 'forward' && upstream.write(data));
    upstream.on('data', (data) => mode === 'forward' && client.write(data));
  });
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port: own } = server.address() as AddressInfo;
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const refuse = async () => {
    const closed = once(server, 'close');
    server.close();
    endAll();
    await closed;
  };
  return {
    url: `redis://127.0.0.1:${own}${pathname}`,
    set(next) {
      mode = next;
      endAll();
    },
    hang() {
      mode = 'silent';
    },
    refuse,
    open: () => listen(own),
    close: refuse,
  };
}
