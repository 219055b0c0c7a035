import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DatabaseUnavailableError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { projectRoot } from '../../project-root.ts';
import { deferred, within } from '../../promises.ts';
import { StartupError } from '../../startup-error.ts';
import { createLiteFolder } from './create.ts';
import {
  type FromWorker,
  fromPlainError,
  type Reply,
  type Request,
  type ToWorker,
  type WorkerData,
} from './requests.ts';

/** A session with an open PGlite, until the database stops. */
export interface Session {
  /**
   * Runs a request. The caller must wait for the reply before it sends the next request. Throws the error of
   * PostgreSQL, and DatabaseUnavailableError when the database stops or does not respond in time.
   */
  send<R extends Request>(request: R): Promise<Reply<R>>;
  /** False once the database has stopped, which rolled back its transaction. */
  readonly open: boolean;
}

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

export interface EngineOptions {
  folder: string;
  log: Log;
  /** Timeout of a single statement, in milliseconds. */
  statementTimeoutMs: number;
}

/** Timeout for opening a database, in milliseconds. After a crash, PostgreSQL first replays its log. */
const openTimeoutMs = 180_000;
/** Maximum time that a request waits for a database that is being reopened, in milliseconds. */
const reopenWaitMs = 10_000;
/** Pause between two attempts to open a database that fails to open, in milliseconds. Doubles up to the maximum. */
const retryMs = { first: 1_000, max: 30_000 };
/** Time limit for PostgreSQL to write all data and exit, in milliseconds. */
const closeTimeoutMs = 15_000;
/** Number of times that a deadline is checked. */
const ticks = 20;

/**
 * Maximum heap of the thread for a result, in MiB. A larger result ends the thread, not the process. The memory of
 * PostgreSQL itself is not included.
 */
const resourceLimits = { maxOldGenerationSizeMb: 512 };

const script = join(projectRoot, 'dist', 'pglite-worker.js');

interface Pending {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** A PGlite in a dedicated thread, from its start to its exit. */
interface Thread extends Session {
  /** Lets PostgreSQL close its files, then ends the thread. */
  close(): Promise<void>;
  /** Resolves with the reason when the database can no longer be used, unless it was closed. */
  stopped: Promise<string>;
  /** Resolves when the thread has exited and can no longer write anything. */
  exited: Promise<void>;
}

/** Starts a thread and opens the database in it. Throws StartupError when opening fails or takes too long. */
async function startThread({ folder, statementTimeoutMs }: EngineOptions): Promise<Thread> {
  if (!existsSync(script)) throw new StartupError(`${script} is missing; \`npm run build\` creates it`);
  const workerData: WorkerData = { folder };
  // The thread does not get the server's environment, because it contains secrets.
  const worker = new Worker(script, { workerData, env: {}, execArgv: [], resourceLimits });
  const post = (message: ToWorker) => worker.postMessage(message);
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let closing = false;
  let isOpen = false;
  let reason: string | null = null;
  const opened = deferred();
  const stopped = deferred<string>();

  /** Stops the thread. No further requests are sent to it, and all pending requests fail. */
  function stop(why: string): void {
    isOpen = false;
    reason ??= why;
    for (const { reject } of pending.values()) reject(new DatabaseUnavailableError(reason));
    pending.clear();
    if (!closing) stopped.resolve(reason);
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
      return opened.resolve();
    }
    if ('failed' in message) return stop(message.failed);
    const waiting = pending.get(message.id);
    pending.delete(message.id);
    if ('error' in message) waiting?.reject(fromPlainError(message.error));
    else waiting?.resolve(message.reply);
  });

  /**
   * Stops the thread when a statement exceeds its timeout. Counts ticks instead of reading the clock, so that time
   * during which this process was suspended, or too busy to receive a reply, does not count.
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

  await within(openTimeoutMs, Promise.race([opened.promise, stopped.promise]));
  if (!isOpen) {
    stop(`it did not open within ${openTimeoutMs / 1000} s`);
    throw new StartupError(`DATA_DIR: the database in ${folder} cannot be opened: ${reason}`);
  }
  return {
    async send<R extends Request>(request: R) {
      if (!isOpen) throw new DatabaseUnavailableError(reason ?? 'the database is closed');
      const id = nextId++;
      // Migrations, which are scripts, have no timeout.
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
    stopped: stopped.promise,
    exited,
  };
}

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
