import { setTimeout as delay } from 'node:timers/promises';
import { Connection, connectionOptions } from './pg-connection.ts';

/** An arbitrary number that is the same in every process. */
const lockId = 7_203_841_160n;

const takeLock = `SELECT pg_try_advisory_lock(${lockId}) AS taken`;
const takeSharedLock = `SELECT pg_try_advisory_lock_shared(${lockId}) AS taken`;
/** Selects the session that holds the lock. */
const findHolder = `SELECT a.pid, a.backend_start AS started
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid = ${lockId >> 32n} AND l.objid = ${lockId & 0xffff_ffffn}
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** SQLSTATE of a server that does not accept connections yet. */
const startingUp = '57P03';
/** Pause between two attempts to connect to a server that is starting, in milliseconds. */
const startingUpPauseMs = 2_000;
/** Timeout of a statement on the connection that holds the lock, in milliseconds. */
const statementTimeoutMs = 5_000;

/** A session of PostgreSQL that holds the lock. */
export interface LockSession {
  pid: number;
  /** Null for a session of another role. */
  started: Date | null;
}

/** The lock, with the connection that it belongs to. */
export interface HeldLock {
  connection: Connection;
  /** Null when PostgreSQL does not report the session. */
  session: LockSession | null;
}

/** Connects to PostgreSQL with a timeout for each statement. */
export async function connectForLock(databaseUrl: string): Promise<Connection> {
  const connection = new Connection({ ...connectionOptions(databaseUrl), query_timeout: statementTimeoutMs });
  await connection.connect();
  return connection;
}

/** Connects to PostgreSQL. If PostgreSQL is still starting, retries for `waitMs` milliseconds. */
export async function connectOnceStarted(databaseUrl: string, waitMs: number): Promise<Connection> {
  for (const deadline = Date.now() + waitMs; ; await delay(startingUpPauseMs)) {
    try {
      return await connectForLock(databaseUrl);
    } catch (error) {
      if ((error as { code?: unknown }).code !== startingUp || Date.now() >= deadline) throw error;
    }
  }
}

/** Returns the session that holds the lock, or null. */
export const holderOf = async (connection: Connection): Promise<LockSession | null> =>
  (await connection.query<LockSession>(findHolder)).rows[0] ?? null;

/** Acquires the lock on a connection. Returns null when another session holds it and the two exclude each other. */
export async function takeOn(connection: Connection, isShared: boolean): Promise<HeldLock | null> {
  const { rows } = await connection.query<{ taken: boolean }>(isShared ? takeSharedLock : takeLock);
  if (!rows[0]?.taken) return null;
  // A shared lock excludes no other session that must be told apart from this one.
  return { connection, session: isShared ? null : await holderOf(connection) };
}
