import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../errors.ts';

/**
 * Maximum total time of the attempts, and the pause between two attempts, which doubles up to the maximum, in
 * milliseconds.
 */
const limits = { total: 30_000, pause: { first: 250, max: 5_000 } };

/**
 * Retries work while the database is unavailable, for work that must not be lost during a restart of the database, such
 * as the end of an answer. `repeated` is true when an earlier attempt failed; its commit may have succeeded
 * nevertheless. Throws the error of the last attempt.
 */
export async function untilAvailable<T>(work: (repeated: boolean) => Promise<T>): Promise<T> {
  const deadline = Date.now() + limits.total;
  for (let pause = limits.pause.first; ; pause = Math.min(2 * pause, limits.pause.max)) {
    try {
      return await work(pause > limits.pause.first);
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() + pause > deadline) throw error;
      await delay(pause);
    }
  }
}
