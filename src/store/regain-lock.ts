import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../log.ts';
import { connectForLock, type HeldLock, holderOf, type LockSession, takeOn } from './lock-session.ts';

/** Pause between two attempts to acquire a lost lock again, in milliseconds. Doubles up to the maximum. */
const pauseMs = { first: 50, max: 2_000 };

const isSame = (one: LockSession, other: LockSession | null): boolean =>
  one.started !== null && one.pid === other?.pid && one.started.getTime() === other.started?.getTime();

/** Tries once. Returns null when a later attempt can succeed. */
async function tryAgain(
  databaseUrl: string,
  last: LockSession | null,
  isShared: boolean,
): Promise<HeldLock | 'taken' | null> {
  const connection = await connectForLock(databaseUrl);
  let held: HeldLock | null = null;
  try {
    held = await takeOn(connection, isShared);
    if (held) return held;
    const holder = await holderOf(connection);
    if (holder !== null && !isSame(holder, last)) return 'taken';
    // PostgreSQL has not noticed yet that the connection of the old session is gone.
    if (holder !== null) await connection.query('SELECT pg_terminate_backend($1)', [holder.pid]);
    return null;
  } finally {
    if (!held) await connection.end();
  }
}

/**
 * Acquires a lost lock again. `last` is the session that held it, which can outlive its connection. Returns `taken` when
 * another instance holds the lock, and null when `isReleased` returned true before it was acquired.
 */
export async function regainLock(
  databaseUrl: string,
  last: LockSession | null,
  { isReleased, isShared, log }: { isReleased: () => boolean; isShared: boolean; log: Log },
): Promise<HeldLock | 'taken' | null> {
  log.warn('the connection that holds the lock of the database was lost');
  for (let pause = pauseMs.first; !isReleased(); pause = Math.min(2 * pause, pauseMs.max)) {
    const result = await tryAgain(databaseUrl, last, isShared).catch((error: Error) => {
      log.debug({ reason: error.message }, 'the lock of the database is still lost');
      return null;
    });
    if (result) return result;
    await delay(pause);
  }
  return null;
}
