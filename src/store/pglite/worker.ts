import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { type FromWorker, type ToWorker, toPlainError, type WorkerData } from './requests.ts';
import { BrokenDatabaseError, createRunner } from './runner.ts';

/**
 * The worker thread of the embedded database. A statement runs without interruption, so it would block everything else
 * on the server's thread. The server can also terminate a worker thread.
 */
const { folder } = workerData as WorkerData;
const say = (message: FromWorker) => parentPort?.postMessage(message);

/** Last error in PostgreSQL's log, which explains why PostgreSQL does not start. */
let problem = '';
const onStderr = (line: string) => {
  const said = /(?:^postgres|\b(?:FATAL|PANIC|ERROR)): +(.*)/.exec(line)?.[1];
  const more = /\bDETAIL: +(.*)/.exec(line)?.[1];
  if (said) problem = said;
  if (more) problem = `${problem}: ${more}`;
  return false;
};

/** Returns the reason for a failure. Emscripten throws objects with a number for errors of its file system. */
const reasonOf = (error: unknown): string =>
  problem || (error instanceof Error ? error.message : `its files cannot be used (${JSON.stringify(error)})`);

try {
  const lite = await PGlite.create({ dataDir: folder, onStderr });
  const run = await createRunner(lite);
  parentPort?.on('message', async (message: ToWorker) => {
    if ('close' in message) {
      await lite.close().catch(() => {});
      process.exit(0);
    }
    const { id, request } = message;
    try {
      say({ id, reply: await run(request) });
    } catch (error) {
      if (error instanceof BrokenDatabaseError) fail(error);
      say({ id, error: toPlainError(error) });
    }
  });
  say({ opened: true });
} catch (error) {
  fail(error);
}

function fail(error: unknown): never {
  say({ failed: reasonOf(error) });
  process.exit(1);
}
