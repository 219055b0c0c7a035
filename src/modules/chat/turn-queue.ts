import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '../../authz/principal.ts';
import { AppError, conflict, credentialRefused } from '../../errors.ts';
import type { Revocations } from '../../store/revocations.ts';
import type { Runs } from './runs.ts';

/** The error of a message to a session that is still answering. */
export class SessionBusyError extends AppError {
  constructor(readonly sessionId: string) {
    super('CONFLICT', 'This chat session is still answering; stop it or wait for it.');
  }
}

/** Messages of one user that can wait at the same time. Each holds its request open, with its attachments. */
export const maxWaitingPerUser = 20;

/** The longest pause before a session is asked for again whose run is not known yet. Milliseconds. */
const maxPauseMs = 1000;

interface QueueDeps {
  runs: Pick<Runs, 'ofSession'>;
  revocations: Revocations;
  /** How long a message can wait, in milliseconds. */
  waitMs: number;
}

/** Resolves with the promise, or when the signal aborts. */
async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener('abort', stop, { once: true });
  await Promise.race([promise, aborted]);
  signal.removeEventListener('abort', stop);
}

/**
 * Lets messages to a session that is still answering wait for it, in the order in which they arrived, in place of being
 * rejected: some clients send several at once and expect an answer to each.
 */
export function createTurnQueue({ runs, revocations, waitMs }: QueueDeps) {
  /** The last message in each line. */
  const lines = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, number>();

  /** Counts a message of a user as waiting. Returns a function that ends this. Throws RATE_LIMITED. */
  function enter(userId: string): () => void {
    const before = waiting.get(userId) ?? 0;
    if (before >= maxWaitingPerUser)
      throw new AppError('RATE_LIMITED', `Too many waiting messages (limit: ${maxWaitingPerUser}).`, { retryAfter: 5 });
    waiting.set(userId, before + 1);
    return () => {
      const left = (waiting.get(userId) ?? 1) - 1;
      if (left > 0) waiting.set(userId, left);
      else waiting.delete(userId);
    };
  }

  /** Waits until a session's run ends, or a moment when it has none: the run may be about to start. */
  async function sessionFree(sessionId: string, pauseMs: number, signal: AbortSignal): Promise<void> {
    const run = runs.ofSession(sessionId);
    if (run) for await (const _event of run.read(run.length, signal));
    else await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }

  /** Calls `start` until the session is free. Throws SessionBusyError when the signal aborts first. */
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
    /**
     * Calls `start` when the messages of the same `line` that arrived earlier have been started and their session is
     * free. Throws what `start` throws, RATE_LIMITED when the user has too many waiting messages, UNAUTHENTICATED when
     * the credential ends, and CONFLICT after the time limit or when the client disconnects.
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
      let done = () => {};
      const mine = new Promise<void>((resolve) => {
        done = resolve;
      });
      const last = (before ?? Promise.resolve()).then(() => mine);
      lines.set(key, last);
      try {
        if (before) await unlessAborted(before, over);
        if (over.aborted) throw conflict('This chat session is still answering earlier messages.');
        return await startWhenFree(start, beforeWait, over);
      } catch (error) {
        throw watch.signal.aborted && error instanceof AppError ? credentialRefused() : error;
      } finally {
        done();
        if (lines.get(key) === last) lines.delete(key);
        watch.done();
        leave?.();
      }
    },
  };
}

export type TurnQueue = ReturnType<typeof createTurnQueue>;
