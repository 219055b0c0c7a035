import { DatabaseUnavailableError } from '../errors.ts';
import type { Log } from '../log.ts';
import { deferred, within } from '../promises.ts';
import { createConnectionCheck } from './connection-check.ts';
import { databaseProblem } from './database-problem.ts';
import { type InstanceLock, type LockOptions, rollingRestartMs, waitFor } from './instance-lock.ts';
import { connectOnceStarted, type HeldLock, type LockSession, takeOn } from './lock-session.ts';
import { regainLock } from './regain-lock.ts';

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

/** Interval between two checks of the lock's connection, in milliseconds. */
const checkEveryMs = 5_000;
/** Maximum time that a statement waits for a lost lock, in milliseconds. */
const heldTimeoutMs = 5_000;

const servedByAnother = (isShared: boolean): string =>
  isShared
    ? 'another Latchkey serves this DATABASE_URL without REDIS_URL; stop it, or set the same REDIS_URL for it'
    : 'another Latchkey serves this DATABASE_URL; set the same REDIS_URL for all of them to run several';

/** Acquires the lock, and waits for another instance to exit. Throws StartupError. */
async function firstLock(databaseUrl: string, waitMs: number, isShared: boolean): Promise<HeldLock> {
  try {
    const connection = await connectOnceStarted(databaseUrl, waitMs);
    try {
      return await waitFor(() => takeOn(connection, isShared), waitMs, servedByAnother(isShared));
    } catch (error) {
      await connection.end();
      throw error;
    }
  } catch (error) {
    throw databaseProblem(error, databaseUrl);
  }
}

/**
 * Locks a PostgreSQL database for one instance, whose runs and revocations are in the memory of its process, or for
 * several that share them (`isShared`). The lock belongs to a dedicated connection, so PostgreSQL releases it when the process dies. When the connection is lost,
 * the lock is acquired again. Throws StartupError.
 */
export async function lockDatabase(
  databaseUrl: string,
  { waitMs = rollingRestartMs, onLost = () => {}, isShared = false, log }: LockOptions & { log: Log },
): Promise<DatabaseLock> {
  /** Null while the lock is lost. */
  let held: HeldLock | null = null;
  let released = false;
  const waiting = new Set<() => void>();

  function use(lock: HeldLock): void {
    held = lock;
    lock.connection.once('end', () => {
      held = null;
      if (!released) void regain(lock.session);
    });
    for (const goOn of waiting) goOn();
  }

  async function regain(last: LockSession | null): Promise<void> {
    const lock = await regainLock(databaseUrl, last, { isReleased: () => released, isShared, log });
    if (lock === 'taken') {
      released = true;
      onLost('another Latchkey took over this DATABASE_URL while the connection to it was lost; this one stops');
    } else if (lock && released) {
      await lock.connection.end();
    } else if (lock) {
      log.warn('the lock of the database is held again');
      use(lock);
    }
  }

  use(await firstLock(databaseUrl, waitMs, isShared));
  const check = createConnectionCheck(() => held?.connection ?? null);
  const checks = setInterval(() => void check(), checkEveryMs).unref();

  async function regained(): Promise<void> {
    const again = deferred();
    waiting.add(again.resolve);
    if (!released) await within(heldTimeoutMs, again.promise);
    waiting.delete(again.resolve);
    if (!held) throw new DatabaseUnavailableError('the connection that holds the lock of the database is lost');
  }

  return {
    held: () => (held ? undefined : regained()),
    check,
    async release() {
      released = true;
      clearInterval(checks);
      await held?.connection.end();
    },
  };
}
