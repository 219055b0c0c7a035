import pg from 'pg';

/** The time in which a connection has to be there, be it a new one or one that others use. Milliseconds. */
const connectTimeoutMs = 10_000;

/** What every connection needs, so that a server that does not answer, or vanishes, is noticed. */
export const connectionOptions = (databaseUrl: string) => ({
  connectionString: databaseUrl,
  connectionTimeoutMillis: connectTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
});

/** A connection whose loss, also while it is in use, is an error of its statement and not of the process. */
export class Connection extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => {});
  }
}
