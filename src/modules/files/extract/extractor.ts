import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Log } from '../../../log.ts';
import { projectRoot } from '../../../root.ts';
import { type Job, MEMORY_EXIT, type Message } from './job.ts';
import type { Format } from './kinds.ts';
import { broken, tooMuchMemory } from './unreadable.ts';

/**
 * A file's text; or why it has none, in words that complete "the file …"; or `interrupted`, when the file was not read
 * and can be read another time: the server stopped, or could not start the process that reads.
 */
export type Extraction = { text: string } | { refused: string } | { interrupted: true };

/** Reads text out of files, in processes of their own. */
export interface Extractor {
  /** Never rejects. `charset` is the encoding that the sender of a text declared. Jobs beyond the number of processes wait their turn, with their bytes in memory. */
  extract(format: Format, bytes: Uint8Array, charset?: string | null): Promise<Extraction>;
  /** Ends all jobs as interrupted, and resolves when the processes are gone. */
  close(): Promise<void>;
}

interface Waiting extends Job {
  settle(result: Extraction): void;
}

/** A process that reads, one job at a time. */
interface Reader {
  process: ChildProcess;
  /** It has come up, so that its end is not for want of a start. */
  ready: boolean;
  job: Waiting | null;
  /** Of the job's time, or of the reader's when it has no job. */
  timer: NodeJS.Timeout | undefined;
}

/** How a process ended, or why there is none. */
interface End {
  code?: number | null;
  signal?: NodeJS.Signals | null;
  error?: unknown;
}

/** Processes at once. */
const READERS = 2;

/** Milliseconds that a reader stays without a job. */
const IDLE = 30_000;

const script = join(projectRoot, 'dist', 'extract.js');

/**
 * Starts nothing yet: a process starts when there is a job for it, and goes when it had none for 30 seconds. None keeps
 * the server's process from ending, or outlives it.
 *
 * `timeoutMs` is what one file may take, `memoryMb` the resident memory (MiB) that a process may fill with it.
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
        // Nothing of the server's environment, which holds its secrets, and none of the options that it was started with.
        env: { ...(PATH && { PATH }), ...(SystemRoot && { SystemRoot }) },
        // A heap that could fill all of the memory would leave its garbage lying until it has.
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
      refuse(reader, 'takes too long to read');
      stop(reader);
    }, timeoutMs).unref();
    // When it cannot be sent, the process is gone, and says so itself.
    const { format, bytes, charset } = job;
    reader.process.send({ format, bytes, charset } satisfies Job, () => {});
  }

  function finish(reader: Reader, result: Extraction): void {
    clearTimeout(reader.timer);
    reader.job?.settle(result);
    reader.job = null;
  }

  /** For a file that took its reader with it. */
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

  /** The process ended by itself, or never was. */
  function gone(reader: Reader, end: End): void {
    if (!readers.delete(reader)) return;
    clearTimeout(reader.timer);
    // An engine that runs out of memory aborts.
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
