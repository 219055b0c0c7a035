import type { Log } from '../log.ts';

/** Work that no response waits for, but that a shutdown waits for. */
export interface Background {
  run(name: string, work: () => Promise<void>): void;
  /** Returns the number of tasks that are running. */
  running(): number;
  /** Resolves when no work is running. */
  settled(): Promise<void>;
}

/** Creates a queue of background work. A failure is logged under the name of the work. */
export function createBackground(log: Log): Background {
  const pending = new Set<Promise<void>>();
  return {
    run(name, work) {
      const task: Promise<void> = work()
        .catch((error: unknown) => log.error({ error, task: name }, 'background work failed'))
        .finally(() => pending.delete(task));
      pending.add(task);
    },
    running: () => pending.size,
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
