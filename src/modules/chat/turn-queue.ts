import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '../../authz/principal.ts';
import { AppError, conflict, invalidCredential, rateLimited } from '../../errors.ts';
import type { Lease } from '../../store/shared/leases.ts';
import type { Lock } from '../../store/shared/locks.ts';
import type { SharedState } from '../../store/shared/shared-state.ts';
import type { Runs } from './runs.ts';

/** The error for a message to a session that is still answering. */
export class SessionBusyError extends AppError {
  constructor(readonly sessionId: string) {
    super('CONFLICT', 'TURN_IN_PROGRESS', 'This chat session is still answering; stop it or wait for it.');
  }
}

/**
 * Maximum number of concurrently waiting messages of one user. Each of them keeps its request open, including its
 * attachments.
 */
const maxWaitingPerUser = 20;

/** Maximum delay before the next attempt when a session is busy but its run is not registered yet, in milliseconds. */
const maxPauseMs = 1000;

interface QueueDeps {
  runs: Pick<Runs, 'ofSession'>;
  shared: Pick<SharedState, 'revocations' | 'locks' | 'leases'>;
  /** Maximum time that a message waits, in milliseconds. */
  waitMs: number;
}

/**
 * Queues messages to a session that is still answering, in the order of their arrival, instead of rejecting them: some
 * clients send several messages at once and expect an answer to each.
 */
export function createTurnQueue({ runs, shared: { revocations, locks, leases }, waitMs }: QueueDeps) {
  /** The number of messages that wait in this process. */
  let waiting = 0;

  /** Counts one more waiting message of a user. Throws RATE_LIMITED when too many are waiting. */
  async function enter(userId: string): Promise<Lease> {
    const lease = await leases.tryTake(`waiting-messages ${userId}`, maxWaitingPerUser);
    if (!lease)
      throw rateLimited('TOO_MANY_WAITING_MESSAGES', `Too many waiting messages (limit: ${maxWaitingPerUser}).`, 5);
    waiting++;
    return lease;
  }

  /**
   * Waits until the active run of a session ends. Waits for `pauseMs` when the session has no active run, because a run
   * may be about to start.
   */
  async function sessionFree(sessionId: string, pauseMs: number, signal: AbortSignal): Promise<void> {
    const run = await runs.ofSession(sessionId);
    if (run) for await (const _event of run.read(run.length, signal));
    else await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }

  /** Calls `start` repeatedly until the session is free. Throws SessionBusyError when the signal aborts first. */
  async function startWhenFree<T>(
    start: () => Promise<T>,
    beforeWait: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<T> {
    for (let pauseMs = 10; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs))
      try {
        return await start();
      } catch (error) {
        if (!(error instanceof SessionBusyError)) throw error;
        await beforeWait();
        await sessionFree(error.sessionId, pauseMs, signal);
        if (signal.aborted) throw error;
      }
  }

  return {
    /** The number of messages of all users that wait in this process. */
    get waiting(): number {
      return waiting;
    },

    /**
     * Calls `start` after the earlier messages of the same `line` (queue) have been started and their session is free.
     * Throws the errors of `start`, RATE_LIMITED when the user has too many waiting messages, UNAUTHENTICATED when the
     * credential is revoked or expires, and CONFLICT after the timeout or when the client disconnects.
     */
    async run<T>(principal: Principal, line: string, start: () => Promise<T>, signal: AbortSignal): Promise<T> {
      let place: Lease | undefined;
      const beforeWait = async () => {
        place ??= await enter(principal.userId);
      };
      const watch = revocations.watch(principal);
      const over = AbortSignal.any([signal, watch.signal, AbortSignal.timeout(waitMs)]);
      let lock: Lock | null = null;
      try {
        lock = await locks.take(`turn-queue ${principal.userId} ${line}`, { signal: over, beforeWait });
        if (!lock || over.aborted)
          throw conflict('TURN_IN_PROGRESS', 'This chat session is still answering earlier messages.');
        return await startWhenFree(start, beforeWait, over);
      } catch (error) {
        throw watch.signal.aborted && error instanceof AppError ? invalidCredential() : error;
      } finally {
        await lock?.release();
        watch.done();
        if (place) {
          waiting--;
          await place.release();
        }
      }
    },
  };
}

export type TurnQueue = ReturnType<typeof createTurnQueue>;
