import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DatabaseUnavailableError } from '../../errors.ts';
import { projectRoot } from '../../project-root.ts';
import { deferred, within } from '../../promises.ts';
import { StartupError } from '../../startup-error.ts';
import { createPendingRequests } from './pending-requests.ts';
import type { FromWorker, Reply, Request, ToWorker, WorkerData } from './requests.ts';
import { afterTimeout } from './statement-timeout.ts';

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

export interface ThreadOptions {
  folder: string;
  /** Timeout of a single statement, in milliseconds. */
  statementTimeoutMs: number;
}

/** Timeout for opening a database, in milliseconds. After a crash, PostgreSQL first replays its log. */
const openTimeoutMs = 180_000;
/** Time limit for PostgreSQL to write all data and exit, in milliseconds. */
const closeTimeoutMs = 15_000;

/**
 * Maximum heap of the thread for a result, in MiB. A larger result ends the thread, not the process. The memory of
 * PostgreSQL itself is not included.
 */
const resourceLimits = { maxOldGenerationSizeMb: 512 };

const script = join(projectRoot, 'dist', 'pglite-worker.js');

/** A PGlite in a dedicated thread, from its start to its exit. */
export interface Thread extends Session {
  /** Lets PostgreSQL close its files, then ends the thread. */
  close(): Promise<void>;
  /** Resolves with the reason when the database can no longer be used, unless it was closed. */
  stopped: Promise<string>;
  /** Resolves when the thread has exited and can no longer write anything. */
  exited: Promise<void>;
}

/** Starts a thread and opens the database in it. Throws StartupError when opening fails or takes too long. */
export async function startThread({ folder, statementTimeoutMs }: ThreadOptions): Promise<Thread> {
  if (!existsSync(script)) throw new StartupError(`${script} is missing; \`npm run build\` creates it`);
  const workerData: WorkerData = { folder };
  // The thread does not get the server's environment, because it contains secrets.
  const worker = new Worker(script, { workerData, env: {}, execArgv: [], resourceLimits });
  const post = (message: ToWorker) => worker.postMessage(message);
  const pending = createPendingRequests();
  let closing = false;
  let isOpen = false;
  let reason: string | null = null;
  const opened = deferred();
  const stopped = deferred<string>();

  /** Stops the thread. No further requests are sent to it, and all pending requests fail. */
  function stop(why: string): void {
    isOpen = false;
    reason ??= why;
    pending.failAll(new DatabaseUnavailableError(reason));
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
    pending.settle(message);
  });

  await within(openTimeoutMs, Promise.race([opened.promise, stopped.promise]));
  if (!isOpen) {
    stop(`it did not open within ${openTimeoutMs / 1000} s`);
    throw new StartupError(`DATA_DIR: the database in ${folder} cannot be opened: ${reason}`);
  }
  return {
    async send<R extends Request>(request: R) {
      if (!isOpen) throw new DatabaseUnavailableError(reason ?? 'the database is closed');
      // Migrations, which are scripts, have no timeout.
      const stopWatching =
        request.kind === 'exec'
          ? () => {}
          : afterTimeout(statementTimeoutMs, () => stop(`a statement took longer than ${statementTimeoutMs / 1000} s`));
      try {
        return await pending.add<Reply<R>>((id) => post({ id, request }));
      } finally {
        stopWatching();
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
