import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseUnavailableError } from '../errors.ts';
import type { Log } from '../log.ts';
import { deferred, within } from '../promises.ts';
import { databaseProblem } from './database-problem.ts';
import { type InstanceLock, type LockOptions, rollingRestartMs, waitFor } from './instance-lock.ts';
import { Connection, connectionOptions } from './pg-connection.ts';

/** The lock on a PostgreSQL database. */
export interface DatabaseLock extends InstanceLock {
  /**
   * Returns undefined while the lock is held. If its connection was lost, returns a promise that resolves when the lock
   * is held again, and rejects with DatabaseUnavailableError after a timeout.
   */
  held(): Promise<void> | undefined;
  /** Returns whether the database responds. */
  check(): Promise<boolean>;
}

/** An arbitrary number that is the same in every process. */
const lockId = 7_203_841_160n;

const takeLock = `SELECT pg_try_advisory_lock(${lockId}) AS taken`;
/** Selects the session that holds the lock. */
const findHolder = `SELECT a.pid, a.backend_start AS started
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid = ${lockId >> 32n} AND l.objid = ${lockId & 0xffff_ffffn}
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** SQLSTATE of a server that does not accept connections yet. */
const startingUp = '57P03';

interface Holder {
  pid: number;
  /** Null for a session of another role. */
  started: Date | null;
}

const isSame = (one: Holder, other: Holder | null): boolean =>
  one.started !== null && one.pid === other?.pid && one.started.getTime() === other.started?.getTime();

/** Interval between two checks of the lock's connection, and the timeout of each check, in milliseconds. */
const ping = { every: 5_000, timeout: 5_000 };
/** Pause between two attempts to acquire a lost lock again, in milliseconds. Doubles up to the maximum. */
const regainMs = { first: 50, max: 2_000 };
/** Maximum time that a statement waits for a lost lock, in milliseconds. */
const heldTimeoutMs = 5_000;

const servedByAnother =
  'another Latchkey serves this DATABASE_URL; running several needs REDIS_URL, which this version does not have';

/**
 * Locks a PostgreSQL database for one instance, because runs and revocations are kept in the memory of one process. The
 * lock belongs to a dedicated connection, so PostgreSQL releases it when the process dies. When the connection is lost,
 * the lock is acquired again. Throws StartupError.
 */
export async function lockDatabase(
  databaseUrl: string,
  { waitMs = rollingRestartMs, onLost = () => {}, log }: LockOptions & { log: Log },
): Promise<DatabaseLock> {
  /** The connection that holds the lock. Null while the lock is lost. */
  let client: Connection | null = null;
  /** The last session that held the lock. It can outlive its connection. */
  let last: Holder | null = null;
  let released = false;
  const waiting = new Set<() => void>();

  async function connect(): Promise<Connection> {
    const connection = new Connection({ ...connectionOptions(databaseUrl), query_timeout: ping.timeout });
    await connection.connect();
    return connection;
  }

  /** Connects to PostgreSQL. If PostgreSQL is still starting, retries for the duration of a rolling restart. */
  async function connectOnceStarted(): Promise<Connection> {
    for (const deadline = Date.now() + waitMs; ; await delay(regainMs.max)) {
      try {
        return await connect();
      } catch (error) {
        if ((error as { code?: unknown }).code !== startingUp || Date.now() >= deadline) throw error;
      }
    }
  }

  const holderOf = async (connection: Connection): Promise<Holder | null> =>
    (await connection.query<Holder>(findHolder)).rows[0] ?? null;

  async function take(connection: Connection): Promise<boolean> {
    const { rows } = await connection.query<{ taken: boolean }>(takeLock);
    if (!rows[0]?.taken) return false;
    last = await holderOf(connection);
    return true;
  }

  function use(connection: Connection): void {
    client = connection;
    connection.once('end', () => {
      client = null;
      if (!released) void regain();
    });
    for (const goOn of waiting) goOn();
  }

  /**
   * Tries to acquire the lock on a new connection. Returns true when no further attempt is needed: the lock is held
   * again, or another instance holds it.
   */
  async function tryAgain(): Promise<boolean> {
    const connection = await connect();
    try {
      if (await take(connection)) {
        log.warn('the lock of the database is held again');
        use(connection);
        return true;
      }
      const holder = await holderOf(connection);
      if (holder !== null && !isSame(holder, last)) {
        released = true;
        onLost('another Latchkey took over this DATABASE_URL while the connection to it was lost; this one stops');
        return true;
      }
      // PostgreSQL has not noticed yet that the connection of the old session is gone.
      if (holder !== null) await connection.query('SELECT pg_terminate_backend($1)', [holder.pid]);
      return false;
    } finally {
      if (client !== connection) await connection.end();
    }
  }

  async function regain(): Promise<void> {
    log.warn('the connection that holds the lock of the database was lost');
    for (let pause = regainMs.first; !released; pause = Math.min(2 * pause, regainMs.max)) {
      const over = await tryAgain().catch((error: Error) => {
        log.debug({ reason: error.message }, 'the lock of the database is still lost');
        return false;
      });
      if (over) return;
      await delay(pause);
    }
  }

  let checking: Promise<boolean> | null = null;
  async function ask(): Promise<boolean> {
    const asked = client;
    if (!asked) return false;
    try {
      await asked.query('SELECT 1');
      return client === asked;
    } catch {
      // Ends a connection that does not respond. The lock is then acquired again on another connection.
      void asked.end();
      return false;
    }
  }
  const check = (): Promise<boolean> => {
    // Also without a connection, where `ask` returns before the assignment: the next check must ask again.
    checking ??= ask().finally(() => {
      checking = null;
    });
    return checking;
  };

  try {
    const connection = await connectOnceStarted();
    try {
      await waitFor(() => take(connection), waitMs, servedByAnother);
    } catch (error) {
      await connection.end();
      throw error;
    }
    use(connection);
  } catch (error) {
    throw databaseProblem(error, databaseUrl);
  }
  const pings = setInterval(() => void check(), ping.every).unref();

  async function regained(): Promise<void> {
    const held = deferred();
    waiting.add(held.resolve);
    if (!released) await within(heldTimeoutMs, held.promise);
    waiting.delete(held.resolve);
    if (!client) throw new DatabaseUnavailableError('the connection that holds the lock of the database is lost');
  }

  return {
    held: () => (client ? undefined : regained()),
    check,
    async release() {
      released = true;
      clearInterval(pings);
      await client?.end();
    },
  };
}
