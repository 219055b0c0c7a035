import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../errors.ts';

/** How long work is repeated, and the pause between two attempts, which doubles up to the maximum. Milliseconds. */
const limits = { total: 30_000, pause: { first: 250, max: 5_000 } };

/**
 * Repeats work while the database is not available, for what must not be lost because of a restart of the database, such
 * as the end of an answer. `repeated` tells the work that an earlier attempt failed: its commit may have arrived all the
 * same. Throws what the last attempt threw.
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
