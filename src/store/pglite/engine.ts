import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DatabaseUnavailableError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { projectRoot } from '../../root.ts';
import { StartupError } from '../../startup-error.ts';
import {
  type FromWorker,
  fromPlainError,
  type Reply,
  type Request,
  type ToWorker,
  type WorkerData,
} from './requests.ts';

/** A PGlite that is open, until it stops. */
export interface Session {
  /**
   * Runs a request; whoever sends one waits for its reply before the next. Throws what PostgreSQL says of it, and
   * DatabaseUnavailableError when the database stops or does not answer in time.
   */
  send<R extends Request>(request: R): Promise<Reply<R>>;
  /** false once it has stopped: its transaction was rolled back. */
  readonly open: boolean;
}

/** An embedded database, which is opened again when it stops. */
export interface Engine {
  /** The database as it is open now; waits while it is being opened. Throws DatabaseUnavailableError. */
  session(): Promise<Session>;
  /** Whether the database is open now. */
  readonly open: boolean;
  close(): Promise<void>;
}

export interface EngineOptions {
  folder: string;
  log: Log;
  /** The time that one statement may take. Milliseconds. */
  statementTimeoutMs: number;
}

/** The time that opening a database may take: the first start creates it, on a slow disk in a minute. Milliseconds. */
const openTimeoutMs = 180_000;
/** The time that a request waits for a database that is being opened again. Milliseconds. */
const reopenWaitMs = 10_000;
/** The time between two attempts to open a database that does not open; doubles up to the maximum. Milliseconds. */
const retryMs = { first: 1_000, max: 30_000 };
/** The time that PostgreSQL has to write everything and end. Milliseconds. */
const closeTimeoutMs = 15_000;
/** A deadline is checked this many times. */
const ticks = 20;

/**
 * What a result may fill of the thread's heap, MiB: a larger one ends the thread, and not the process. The memory of
 * PostgreSQL itself is beside it.
 */
const resourceLimits = { maxOldGenerationSizeMb: 512 };

const script = join(projectRoot, 'dist', 'pglite-worker.js');

interface Pending {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** A PGlite in a thread of its own, from its start to its end. */
interface Thread extends Session {
  /** Has PostgreSQL close its files, and ends the thread. */
  close(): Promise<void>;
  /** Resolves with the reason when the database is of no use any more, unless it was told to close. */
  stopped: Promise<string>;
  /** Resolves when the thread is gone, and with it whatever it was writing. */
  exited: Promise<void>;
}

/** Resolves after a time, or when the promise does. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([promise, delay(ms, undefined, timer).catch(() => {})]);
  timer.abort();
}

/** Starts a thread and opens the database in it. Throws StartupError when that fails or takes too long. */
async function startThread({ folder, statementTimeoutMs }: EngineOptions): Promise<Thread> {
  if (!existsSync(script)) throw new StartupError(`${script} is missing; \`npm run build\` creates it`);
  const workerData: WorkerData = { folder };
  // Nothing of the server's environment, which holds its secrets.
  const worker = new Worker(script, { workerData, env: {}, execArgv: [], resourceLimits });
  const post = (message: ToWorker) => worker.postMessage(message);
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let closing = false;
  let isOpen = false;
  let reason: string | null = null;
  let hasOpened = () => {};
  const opened = new Promise<void>((resolve) => {
    hasOpened = resolve;
  });
  let hasStopped = (_reason: string) => {};
  const stopped = new Promise<string>((resolve) => {
    hasStopped = resolve;
  });

  /** From here on, nothing is asked of the thread, and nobody waits for it. */
  function stop(why: string): void {
    isOpen = false;
    reason ??= why;
    for (const { reject } of pending.values()) reject(new DatabaseUnavailableError(reason));
    pending.clear();
    if (!closing) hasStopped(reason);
    void worker.terminate();
  }

  worker.on('error', (error) => stop(error.message));
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      stop('its thread ended');
      resolve();
    });
  });
  worker.on('message', (message: FromWorker) => {
    if ('opened' in message) {
      isOpen = true;
      return hasOpened();
    }
    if ('failed' in message) return stop(message.failed);
    const waiting = pending.get(message.id);
    pending.delete(message.id);
    if ('error' in message) waiting?.reject(fromPlainError(message.error));
    else waiting?.resolve(message.reply);
  });

  /**
   * Stops the thread when a statement exceeds its time. Counts ticks, not the clock: time during which this process was
   * suspended, or too busy to hear an answer, is not the statement's.
   */
  function watch(): () => void {
    let left = ticks;
    const timer = setInterval(() => {
      if (--left > 0) return;
      clearInterval(timer);
      stop(`a statement took longer than ${statementTimeoutMs / 1000} s`);
    }, statementTimeoutMs / ticks);
    return () => clearInterval(timer);
  }

  await within(openTimeoutMs, Promise.race([opened, stopped]));
  if (!isOpen) {
    stop(`it did not open within ${openTimeoutMs / 1000} s`);
    throw new StartupError(`DATA_DIR: the database in ${folder} cannot be opened: ${reason}`);
  }
  return {
    async send<R extends Request>(request: R) {
      if (!isOpen) throw new DatabaseUnavailableError(reason ?? 'the database is closed');
      const id = nextId++;
      // Migrations, which are scripts, take the time that they take.
      const stopWatching = request.kind === 'exec' ? () => {} : watch();
      try {
        return await new Promise<Reply<R>>((resolve, reject) => {
          pending.set(id, { resolve: resolve as Pending['resolve'], reject });
          post({ id, request });
        });
      } finally {
        stopWatching();
        pending.delete(id);
      }
    },
    get open() {
      return isOpen;
    },
    async close() {
      closing = true;
      post({ close: true });
      await within(closeTimeoutMs, exited);
      stop('the database is closed');
      await within(closeTimeoutMs, exited);
    },
    stopped,
    exited,
  };
}

/**
 * Opens a PGlite in a worker thread, and opens it again whenever it stops: what PostgreSQL acknowledged is in its log
 * then, as after the end of a process. Throws StartupError when it does not open the first time.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { log } = options;
  const closing = new AbortController();
  let thread: Thread | null = null;
  /** Called when the database is open again, or closed for good. */
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
      // Two of them on one folder would destroy it.
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
      let goOn = () => {};
      const open = new Promise<void>((resolve) => {
        goOn = resolve;
        waiting.add(goOn);
      });
      await within(reopenWaitMs, open);
      waiting.delete(goOn);
    }
    if (!thread) throw new DatabaseUnavailableError('the database is not open');
    return thread;
  }

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
