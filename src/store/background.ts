import type { Log } from '../log.ts';

/** Work that no reply waits for, but that a shutdown does. */
export interface Background {
  run(name: string, work: () => Promise<void>): void;
  /** Resolves when nothing is under way any more. */
  settled(): Promise<void>;
}

/** A failure of background work is logged under its name and ends there. */
export function createBackground(log: Log): Background {
  const pending = new Set<Promise<void>>();
  return {
    run(name, work) {
      const task: Promise<void> = work()
        .catch((error: unknown) => log.error({ error, task: name }, 'background work failed'))
        .finally(() => pending.delete(task));
      pending.add(task);
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
