import net from 'node:net';

/** A TCP proxy that can stop forwarding without closing a connection, like a host that drops packets. */
export interface TcpProxy {
  port: number;
  /** Drops all data from now on, in both directions, and answers new connections with silence. */
  drop(): void;
  /** Forwards new connections again. The earlier ones stay silent, because their data is lost. */
  restore(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(host: string, port: number): Promise<TcpProxy> {
  const sockets = new Set<net.Socket>();
  /** The connections made since the last change forward their data only while they belong to this generation. */
  let generation = 0;
  let dropping = false;
  const keep = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const server = net.createServer((client) => {
    keep(client);
    if (dropping) {
      client.resume();
      return;
    }
    const own = generation;
    const upstream = net.connect(port, host);
    keep(upstream);
    const forward = (from: net.Socket, to: net.Socket): void => {
      from.on('data', (data) => {
        if (own === generation) to.write(data);
      });
      from.on('close', () => {
        if (own === generation) to.destroy();
      });
    };
    forward(client, upstream);
    forward(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    drop() {
      dropping = true;
      generation++;
    },
    restore() {
      dropping = false;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
