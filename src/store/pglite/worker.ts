import { parentPort, workerData } from 'node:worker_threads';
import { openLite, reasonOf } from './open-lite.ts';
import { type FromWorker, type ToWorker, toPlainError, type WorkerData } from './requests.ts';
import { BrokenDatabaseError, createRunner } from './runner.ts';

/**
 * The worker thread of the embedded database. A statement runs without interruption, so it would block everything else
 * on the server's thread. The server can also terminate a worker thread.
 */
const { folder } = workerData as WorkerData;
const say = (message: FromWorker) => parentPort?.postMessage(message);

try {
  const lite = await openLite(folder);
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
