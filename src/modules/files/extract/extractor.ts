import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Log } from '../../../log.ts';
import { projectRoot } from '../../../project-root.ts';
import { type Job, MEMORY_EXIT, type Message } from './job.ts';
import type { Format } from './kinds.ts';
import { broken, tooMuchMemory } from './unreadable.ts';

/**
 * The text of a file; the reason why it has none, which completes "the file …"; or `interrupted` when the file can be
 * read later because the server stopped or could not start the process.
 */
type Extraction = { text: string } | { refused: string } | { interrupted: true };

/** Extracts the text of files in separate processes. */
export interface Extractor {
  /**
   * Extracts the text of a file. Never rejects. `charset` is the encoding that the sender of a text declared. Jobs
   * beyond the number of processes are queued, with their bytes in memory.
   */
  extract(format: Format, bytes: Uint8Array, charset?: string | null): Promise<Extraction>;
  /** Ends all jobs as interrupted, and resolves when the processes have exited. */
  close(): Promise<void>;
}

interface Waiting extends Job {
  settle(result: Extraction): void;
}

/** A process that reads one file at a time. */
interface Reader {
  process: ChildProcess;
  /** Set once the process has started, so that its exit is not a failed start. */
  ready: boolean;
  job: Waiting | null;
  /** The timeout of the job, or of the idle process. */
  timer: NodeJS.Timeout | undefined;
}

/** How a process ended, or why it did not start. */
interface End {
  code?: number | null;
  signal?: NodeJS.Signals | null;
  error?: unknown;
}

/** Maximum number of processes. */
const READERS = 2;

/** Time that an idle process is kept, in milliseconds. */
const IDLE = 30_000;

const script = join(projectRoot, 'dist', 'extract.js');

/**
 * Creates the extractor. A process starts with the first job and exits after 30 idle seconds. It does not keep the
 * server's process alive and does not outlive it.
 *
 * `timeoutMs` is the time limit of a file, `memoryMb` the maximum resident memory of a process in MiB.
 */
export function createExtractor({
  log,
  timeoutMs = 60_000,
  memoryMb = 512,
}: {
  log: Log;
  timeoutMs?: number;
  memoryMb?: number;
}): Extractor {
  const queue: Waiting[] = [];
  const readers = new Set<Reader>();
  let closed = false;

  function start(): void {
    const { PATH, SystemRoot } = process.env;
    let child: ChildProcess;
    try {
      child = fork(script, [String(memoryMb)], {
        // Without the environment of the server, which contains secrets, and without its Node options.
        env: { ...(PATH && { PATH }), ...(SystemRoot && { SystemRoot }) },
        // A heap limit near the total would let garbage fill all of the memory.
        execArgv: [`--max-old-space-size=${Math.ceil(memoryMb * 0.75)}`, '--disallow-code-generation-from-strings'],
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
    } catch (error) {
      notStarted({ error });
      return;
    }
    child.unref();
    child.channel?.unref();
    const reader: Reader = { process: child, ready: false, job: null, timer: undefined };
    readers.add(reader);
    child.on('message', (message: Message) => {
      if (!readers.has(reader)) return;
      if (message === 'ready') reader.ready = true;
      else finish(reader, message.answer);
      if (message !== 'ready' && message.spent) stop(reader);
      else goOn(reader);
    });
    child.on('error', (error) => gone(reader, { error }));
    child.on('exit', (code, signal) => gone(reader, { code, signal }));
  }

  function startIfNeeded(): void {
    if (queue.length > 0 && readers.size < READERS) start();
  }

  function notStarted(why: End): void {
    log.error({ ...why, script }, 'the process that reads files does not start (npm run build makes its script)');
    if (readers.size === 0) for (const job of queue.splice(0)) job.settle({ interrupted: true });
  }

  /** Takes the next job, or waits for one. */
  function goOn(reader: Reader): void {
    clearTimeout(reader.timer);
    const job = queue.shift();
    if (!job) {
      reader.timer = setTimeout(() => stop(reader), IDLE).unref();
      return;
    }
    reader.job = job;
    reader.timer = setTimeout(() => {
      refuse(reader, 'could not be read within the time limit');
      stop(reader);
    }, timeoutMs).unref();
    // When sending fails, the process has exited, which is reported separately.
    const { format, bytes, charset } = job;
    reader.process.send({ format, bytes, charset } satisfies Job, () => {});
  }

  function finish(reader: Reader, result: Extraction): void {
    clearTimeout(reader.timer);
    reader.job?.settle(result);
    reader.job = null;
  }

  /** Rejects a file that ended its process. */
  function refuse(reader: Reader, refused: string, end?: End): void {
    if (!reader.job) return;
    const { format, bytes } = reader.job;
    log.warn({ ...end, format, bytes: bytes.length, refused }, 'a file could not be read within its limits');
    finish(reader, { refused });
  }

  function stop(reader: Reader): void {
    clearTimeout(reader.timer);
    readers.delete(reader);
    reader.process.kill('SIGKILL');
    startIfNeeded();
  }

  /** Handles a process that exited or did not start. */
  function gone(reader: Reader, end: End): void {
    if (!readers.delete(reader)) return;
    clearTimeout(reader.timer);
    // V8 aborts when it runs out of memory.
    refuse(reader, end.code === MEMORY_EXIT || end.signal === 'SIGABRT' ? tooMuchMemory : broken, end);
    if (reader.ready) startIfNeeded();
    else notStarted(end);
  }

  return {
    extract(format, bytes, charset = null) {
      if (closed) return Promise.resolve({ interrupted: true });
      return new Promise((settle) => {
        queue.push({ format, bytes, charset, settle });
        const idle = [...readers].find(({ ready, job, process: { connected } }) => ready && !job && connected);
        if (idle) goOn(idle);
        else startIfNeeded();
      });
    },

    async close() {
      closed = true;
      for (const job of queue.splice(0)) job.settle({ interrupted: true });
      const ends = [...readers].map(async (reader) => {
        readers.delete(reader);
        finish(reader, { interrupted: true });
        const { process: child } = reader;
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.ref();
        child.kill('SIGKILL');
        await ended;
      });
      await Promise.all(ends);
    },
  };
}
