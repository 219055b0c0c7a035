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

interface ExtractorOptions {
  log: Log;
  /** Time limit of a file, in milliseconds. Defaults to one minute. */
  timeoutMs?: number;
  /** Maximum resident memory of a process, in MiB. Defaults to 512. */
  memoryMb?: number;
}

/**
 * Creates the extractor. A process starts with the first job and exits after 30 idle seconds. It does not keep the
 * server's process alive and does not outlive it.
 */
export const createExtractor = (options: ExtractorOptions): Extractor => new ProcessPool(options);

/** The processes that extract text, and the jobs that wait for one. */
class ProcessPool implements Extractor {
  private readonly log: Log;
  private readonly timeoutMs: number;
  private readonly memoryMb: number;
  private readonly queue: Waiting[] = [];
  private readonly readers = new Set<Reader>();
  private closed = false;

  constructor({ log, timeoutMs = 60_000, memoryMb = 512 }: ExtractorOptions) {
    this.log = log;
    this.timeoutMs = timeoutMs;
    this.memoryMb = memoryMb;
  }

  extract(format: Format, bytes: Uint8Array, charset: string | null = null): Promise<Extraction> {
    if (this.closed) return Promise.resolve({ interrupted: true });
    return new Promise((settle) => {
      this.queue.push({ format, bytes, charset, settle });
      const idle = [...this.readers].find(({ ready, job, process: { connected } }) => ready && !job && connected);
      if (idle) this.goOn(idle);
      else this.startIfNeeded();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.queue.splice(0)) job.settle({ interrupted: true });
    const ends = [...this.readers].map(async (reader) => {
      this.readers.delete(reader);
      this.finish(reader, { interrupted: true });
      const { process: child } = reader;
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.ref();
      child.kill('SIGKILL');
      await ended;
    });
    await Promise.all(ends);
  }

  private start(): void {
    const { PATH, SystemRoot } = process.env;
    let child: ChildProcess;
    try {
      child = fork(script, [String(this.memoryMb)], {
        // Without the environment of the server, which contains secrets, and without its Node options.
        env: { ...(PATH && { PATH }), ...(SystemRoot && { SystemRoot }) },
        // A heap limit near the total would let garbage fill all of the memory.
        execArgv: [
          `--max-old-space-size=${Math.ceil(this.memoryMb * 0.75)}`,
          '--disallow-code-generation-from-strings',
        ],
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
    } catch (error) {
      this.notStarted({ error });
      return;
    }
    child.unref();
    child.channel?.unref();
    const reader: Reader = { process: child, ready: false, job: null, timer: undefined };
    this.readers.add(reader);
    child.on('message', (message: Message) => this.receive(reader, message));
    child.on('error', (error) => this.gone(reader, { error }));
    child.on('exit', (code, signal) => this.gone(reader, { code, signal }));
  }

  private startIfNeeded(): void {
    if (this.queue.length > 0 && this.readers.size < READERS) this.start();
  }

  private notStarted(why: End): void {
    this.log.error({ ...why, script }, 'the process that reads files does not start (npm run build makes its script)');
    if (this.readers.size === 0) for (const job of this.queue.splice(0)) job.settle({ interrupted: true });
  }

  private receive(reader: Reader, message: Message): void {
    if (!this.readers.has(reader)) return;
    if (message === 'ready') reader.ready = true;
    else this.finish(reader, message.answer);
    if (message !== 'ready' && message.spent) this.stop(reader);
    else this.goOn(reader);
  }

  /** Takes the next job, or waits for one. */
  private goOn(reader: Reader): void {
    clearTimeout(reader.timer);
    const job = this.queue.shift();
    if (!job) {
      reader.timer = setTimeout(() => this.stop(reader), IDLE).unref();
      return;
    }
    reader.job = job;
    reader.timer = setTimeout(() => {
      this.refuse(reader, 'could not be read within the time limit');
      this.stop(reader);
    }, this.timeoutMs).unref();
    // When sending fails, the process has exited, which is reported separately.
    const { format, bytes, charset } = job;
    reader.process.send({ format, bytes, charset } satisfies Job, () => {});
  }

  private finish(reader: Reader, result: Extraction): void {
    clearTimeout(reader.timer);
    reader.job?.settle(result);
    reader.job = null;
  }

  /** Rejects a file that ended its process. */
  private refuse(reader: Reader, refused: string, end?: End): void {
    if (!reader.job) return;
    const { format, bytes } = reader.job;
    this.log.warn({ ...end, format, bytes: bytes.length, refused }, 'a file could not be read within its limits');
    this.finish(reader, { refused });
  }

  private stop(reader: Reader): void {
    clearTimeout(reader.timer);
    this.readers.delete(reader);
    reader.process.kill('SIGKILL');
    this.startIfNeeded();
  }

  /** Handles a process that exited or did not start. */
  private gone(reader: Reader, end: End): void {
    if (!this.readers.delete(reader)) return;
    clearTimeout(reader.timer);
    // V8 aborts when it runs out of memory.
    this.refuse(reader, end.code === MEMORY_EXIT || end.signal === 'SIGABRT' ? tooMuchMemory : broken, end);
    if (reader.ready) this.startIfNeeded();
    else this.notStarted(end);
  }
}
