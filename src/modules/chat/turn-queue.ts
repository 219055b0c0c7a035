import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '../../authz/principal.ts';
import { AppError, conflict, invalidCredential, rateLimited } from '../../errors.ts';
import { deferred, unlessAborted } from '../../promises.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import type { Runs } from './runs.ts';
import { UserCounts } from './user-counts.ts';

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
  revocations: Revocations;
  /** Maximum time that a message waits, in milliseconds. */
  waitMs: number;
}

/**
 * Queues messages to a session that is still answering, in the order of their arrival, instead of rejecting them: some
 * clients send several messages at once and expect an answer to each.
 */
export function createTurnQueue({ runs, revocations, waitMs }: QueueDeps) {
  /** The last message in each queue, by user and session. */
  const lines = new Map<string, Promise<unknown>>();
  const waiting = new UserCounts();

  /**
   * Counts one more waiting message of a user. Returns a function that removes it from the count. Throws RATE_LIMITED
   * when too many messages are waiting.
   */
  function enter(userId: string): () => void {
    if (waiting.of(userId) >= maxWaitingPerUser)
      throw rateLimited('TOO_MANY_WAITING_MESSAGES', `Too many waiting messages (limit: ${maxWaitingPerUser}).`, 5);
    return waiting.add(userId);
  }

  /**
   * Waits until the active run of a session ends. Waits for `pauseMs` when the session has no active run, because a run
   * may be about to start.
   */
  async function sessionFree(sessionId: string, pauseMs: number, signal: AbortSignal): Promise<void> {
    const run = runs.ofSession(sessionId);
    if (run) for await (const _event of run.read(run.length, signal));
    else await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }

  /** Calls `start` repeatedly until the session is free. Throws SessionBusyError when the signal aborts first. */
  async function startWhenFree<T>(start: () => Promise<T>, beforeWait: () => void, signal: AbortSignal): Promise<T> {
    for (let pauseMs = 10; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs))
      try {
        return await start();
      } catch (error) {
        if (!(error instanceof SessionBusyError)) throw error;
        beforeWait();
        await sessionFree(error.sessionId, pauseMs, signal);
        if (signal.aborted) throw error;
      }
  }

  return {
    /** The number of waiting messages of all users. */
    get waiting(): number {
      return waiting.total;
    },

    /**
     * Calls `start` after the earlier messages of the same `line` (queue) have been started and their session is free.
     * Throws the errors of `start`, RATE_LIMITED when the user has too many waiting messages, UNAUTHENTICATED when the
     * credential is revoked or expires, and CONFLICT after the timeout or when the client disconnects.
     */
    async run<T>(principal: Principal, line: string, start: () => Promise<T>, signal: AbortSignal): Promise<T> {
      const key = `${principal.userId} ${line}`;
      const before = lines.get(key);
      let leave: (() => void) | undefined;
      const beforeWait = () => {
        leave ??= enter(principal.userId);
      };
      if (before) beforeWait();
      const watch = revocations.watch(principal);
      const over = AbortSignal.any([signal, watch.signal, AbortSignal.timeout(waitMs)]);
      const mine = deferred();
      const last = (before ?? Promise.resolve()).then(() => mine.promise);
      lines.set(key, last);
      try {
        if (before) await unlessAborted(before, over);
        if (over.aborted) throw conflict('TURN_IN_PROGRESS', 'This chat session is still answering earlier messages.');
        return await startWhenFree(start, beforeWait, over);
      } catch (error) {
        throw watch.signal.aborted && error instanceof AppError ? invalidCredential() : error;
      } finally {
        mine.resolve();
        if (lines.get(key) === last) lines.delete(key);
        watch.done();
        leave?.();
      }
    },
  };
}

export type TurnQueue = ReturnType<typeof createTurnQueue>;
