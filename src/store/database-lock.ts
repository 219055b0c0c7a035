import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseUnavailableError } from '../errors.ts';
import type { Log } from '../log.ts';
import { databaseProblem } from './database-problem.ts';
import { type InstanceLock, type LockOptions, rollingRestartMs, waitFor } from './instance-lock.ts';
import { Connection, connectionOptions } from './pg-connection.ts';

/** The lock of a PostgreSQL database. */
export interface DatabaseLock extends InstanceLock {
  /**
   * Returns undefined while the lock is held. When its connection was lost: a promise that resolves once it is held
   * again, and throws DatabaseUnavailableError after a while.
   */
  held(): Promise<void> | undefined;
  /** Whether the database answers. */
  check(): Promise<boolean>;
}

/** An arbitrary number that is the same in every process. */
const lockId = 7_203_841_160n;

const takeLock = `SELECT pg_try_advisory_lock(${lockId}) AS taken`;
/** The session that has the lock. */
const findHolder = `SELECT a.pid, a.backend_start AS started
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid = ${lockId >> 32n} AND l.objid = ${lockId & 0xffff_ffffn}
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** SQLSTATE of a server that accepts no connections yet. */
const startingUp = '57P03';

interface Holder {
  pid: number;
  /** null for a session of another role. */
  started: Date | null;
}

const isSame = (one: Holder, other: Holder | null): boolean =>
  one.started !== null && one.pid === other?.pid && one.started.getTime() === other.started?.getTime();

/** The time between two questions to the connection of the lock, and the time it has for an answer. Milliseconds. */
const ping = { every: 5_000, timeout: 5_000 };
/** The time between two attempts to take a lost lock again; doubles up to the maximum. Milliseconds. */
const regainMs = { first: 50, max: 2_000 };
/** The time that a statement waits for a lost lock. Milliseconds. */
const heldTimeoutMs = 5_000;

const servedByAnother =
  'another Latchkey serves this DATABASE_URL; running several needs REDIS_URL, which this version does not have';

/**
 * Runs and revocations live in the memory of one process, so a PostgreSQL database has one instance. The lock belongs to
 * a connection of its own: PostgreSQL frees it when the process dies. When the connection is lost, the lock is taken
 * again. Throws StartupError.
 */
export async function lockDatabase(
  databaseUrl: string,
  { waitMs = rollingRestartMs, onLost = () => {}, log }: LockOptions & { log: Log },
): Promise<DatabaseLock> {
  /** Its connection; null while the lock is lost. */
  let client: Connection | null = null;
  /** The session that had it last, which can outlive its connection. */
  let last: Holder | null = null;
  let released = false;
  const waiting = new Set<() => void>();

  async function connect(): Promise<Connection> {
    const connection = new Connection({ ...connectionOptions(databaseUrl), query_timeout: ping.timeout });
    await connection.connect();
    return connection;
  }

  /** A PostgreSQL that is just starting gets the time of a rolling restart. */
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

  /** Takes the lock on a new connection. Returns whether it is over: the lock is held again, or another instance's. */
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
      // PostgreSQL does not know yet that the connection of the old session is gone.
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
      // Ends a connection on which nothing comes back; the lock is taken again on another.
      void asked.end();
      return false;
    } finally {
      checking = null;
    }
  }
  const check = (): Promise<boolean> => {
    checking ??= ask();
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
    const timer = new AbortController();
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    waiting.add(goOn);
    if (!released) await Promise.race([held, delay(heldTimeoutMs, undefined, timer).catch(() => {})]);
    timer.abort();
    waiting.delete(goOn);
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
