import { AsyncResource } from 'node:async_hooks';
import pg from 'pg';
import { isTracing } from '../telemetry/tracing.ts';
import { inQuerySpan } from './statement-span.ts';

/** Time limit for getting a connection, new or from the pool, in milliseconds. */
const connectTimeoutMs = 10_000;

/** Returns the options of every connection, with which a server that does not respond or disappears is detected. */
export const connectionOptions = (databaseUrl: string) => ({
  connectionString: databaseUrl,
  connectionTimeoutMillis: connectTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
});

/** A connection that, when it is lost, even while in use, causes an error in its statement and not in the process. */
export class Connection extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => {});
    if (isTracing()) traceQueries(this);
  }
}

function traceQueries(connection: { query: unknown }): void {
  const query = connection.query as (...args: unknown[]) => unknown;
  connection.query = (...args: unknown[]) => inQuerySpan(args, (traced) => query.apply(connection, traced));
}

type Connect = (callback?: (...result: unknown[]) => void) => unknown;

/**
 * Keeps the trace of a statement that waits for a connection. Its callback would otherwise run in the trace of the
 * request that releases the connection.
 */
export function keepTraces(pool: pg.Pool): void {
  if (!isTracing()) return;
  const connect = pool.connect.bind(pool) as Connect;
  const bound: Connect = (callback) => (callback ? connect(AsyncResource.bind(callback)) : connect());
  pool.connect = bound as typeof pool.connect;
}
