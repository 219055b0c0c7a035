// The process, and its worker thread, that read files: a file that crashes them does not affect the server.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Answer, type Job, MEMORY_EXIT, type Message } from './job.ts';
import { broken, tooMuchMemory, UnreadableError } from './unreadable.ts';

/** Interval between memory checks, in milliseconds. */
const LOOK = 50;

/** `memoryMb`: maximum resident memory of the whole process, in MiB. */
function takeJobs(memoryMb: number): void {
  const fills = (share: number) => process.memoryUsage.rss() > memoryMb * share * 1024 * 1024;
  // The server ends this process with a signal or by exiting. Signals of a terminal or a service manager to the whole
  // group are handled by the server.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('disconnect', () => process.exit());
  setInterval(() => {
    if (fills(1)) process.exit(MEMORY_EXIT);
  }, LOOK);
  process.on('message', async (job: Job) => {
    const answer = await inThread(job);
    tell({ answer, spent: fills(1 / 4) });
  });
  tell('ready');
}

function tell(message: Message): void {
  process.send?.(message);
}

/** Each file is read in a new thread, so that no state remains for the next one. */
function inThread({ format, bytes, charset }: Job): Promise<Answer> {
  const own = new Uint8Array(bytes); // a copy: the received bytes are part of a larger buffer
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { format, bytes: own, charset } satisfies Job,
    transferList: [own.buffer],
  });
  return new Promise((resolve) => {
    let answer: Answer = { refused: broken };
    worker.on('message', (told: Answer) => {
      answer = told;
      void worker.terminate();
    });
    worker.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') answer = { refused: tooMuchMemory };
    });
    worker.on('exit', () => resolve(answer));
  });
}

async function answerTo({ format, bytes, charset }: Job): Promise<Answer> {
  try {
    const { readText } = await import('./reader.ts');
    return { text: await readText(format, bytes, charset) };
  } catch (error) {
    return { refused: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof UnreadableError) return error.message;
  if (error instanceof RangeError) {
    if (error.message.includes('call stack')) return 'is nested too deeply';
    if (/allocation failed|Invalid string length/i.test(error.message)) return tooMuchMemory;
  }
  return broken;
}

if (isMainThread) {
  takeJobs(Number(process.argv[2]));
} else {
  // No library can access the network, whichever file it reads.
  for (const name of ['fetch', 'WebSocket', 'EventSource']) Reflect.deleteProperty(globalThis, name);
  parentPort?.postMessage(await answerTo(workerData));
}
