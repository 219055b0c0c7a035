import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseUnavailableError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { deferred, within } from '../../promises.ts';
import { createLiteFolder } from './create.ts';
import { type Session, startThread, type Thread, type ThreadOptions } from './thread.ts';

/** An embedded database that is reopened when it stops. */
export interface Engine {
  /**
   * Returns the session that is currently open, and waits while the database is being opened. Throws
   * DatabaseUnavailableError.
   */
  session(): Promise<Session>;
  /** Whether the database is currently open. */
  readonly open: boolean;
  close(): Promise<void>;
}

export interface EngineOptions extends ThreadOptions {
  log: Log;
}

/** Maximum time that a request waits for a database that is being reopened, in milliseconds. */
const reopenWaitMs = 10_000;
/** Pause between two attempts to open a database that fails to open, in milliseconds. Doubles up to the maximum. */
const retryMs = { first: 1_000, max: 30_000 };

/**
 * Opens a PGlite in a worker thread, and reopens it whenever it stops. The data that PostgreSQL acknowledged is then in
 * its log, as after the exit of a process. Creates it if its folder is missing. Throws StartupError when the
 * first attempt to open it fails.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { log } = options;
  const closing = new AbortController();
  let thread: Thread | null = null;
  /** Callbacks that are called when the database is open again or permanently closed. */
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const goOn of waiting) goOn();
  };

  function use(next: Thread): void {
    thread = next;
    wake();
    void next.stopped.then(async (reason) => {
      thread = null;
      log.error({ reason }, 'the embedded database stopped; opening it again');
      // Two threads that use the same folder would corrupt the database.
      await next.exited;
      await reopen();
    });
  }

  async function reopen(): Promise<void> {
    for (let pause = retryMs.first; !closing.signal.aborted; pause = Math.min(2 * pause, retryMs.max)) {
      try {
        const next = await startThread(options);
        if (closing.signal.aborted) return await next.close();
        log.warn('the embedded database is open again');
        return use(next);
      } catch (error) {
        log.error({ error }, 'the embedded database cannot be opened');
        await delay(pause, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }

  async function session(): Promise<Session> {
    if (!thread && !closing.signal.aborted) {
      const open = deferred();
      waiting.add(open.resolve);
      await within(reopenWaitMs, open.promise);
      waiting.delete(open.resolve);
    }
    if (!thread) throw new DatabaseUnavailableError('the database is not open');
    return thread;
  }

  await createLiteFolder(options.folder);
  use(await startThread(options));
  return {
    session,
    get open() {
      return thread !== null;
    },
    async close() {
      closing.abort();
      const last = thread;
      thread = null;
      wake();
      await last?.close();
    },
  };
}
