import pg from 'pg';

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
  }
}
