import type { Log } from './log.ts';
import type { Services } from './services.ts';
import type { SharedState } from './store/shared/shared-state.ts';

/** Time between two looks for instances that died, in milliseconds. */
const lookEveryMs = 3_000;
/** Time between two looks for work that was interrupted without a trace of its instance, in milliseconds. */
const fullEveryMs = 60_000;
/** A run that no instance executes may be about to start; after this time it is not. Milliseconds. */
const confirmAfterMs = 3_000;

interface RecoveryDeps {
  services: Pick<Services, 'runs' | 'idempotency' | 'files' | 'embedder' | 'background'>;
  shared: Pick<SharedState, 'instances' | 'locks'>;
  log: Log;
}

/**
 * Takes over the work of processes that were killed: marks their answers as interrupted, releases their idempotency keys
 * and continues the extraction of their files. Locks and leases of a dead instance are free by themselves.
 */
export function createRecovery({ services, shared: { instances, locks }, log }: RecoveryDeps) {
  const { runs, idempotency, files, embedder, background } = services;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  let lastFull = Number.NEGATIVE_INFINITY;

  async function takeOver(dead: readonly string[]): Promise<void> {
    const lock = await locks.tryTake('recovery');
    if (!lock) return;
    try {
      await runs.markInterrupted({ confirmAfterMs });
      await idempotency.forgetInterrupted();
      await files.resume();
      if (dead.length > 0) embedder?.soon();
      await instances?.forget(dead);
      lastFull = performance.now();
    } finally {
      await lock.release();
    }
  }

  async function look(): Promise<void> {
    const others = await instances?.others().catch(() => null);
    if (!others) return;
    if (others.dead.length > 0 || performance.now() - lastFull > fullEveryMs)
      await takeOver(others.dead).catch((error: unknown) =>
        log.warn({ error }, 'the work of a dead instance could not be taken over yet'),
      );
  }

  return {
    /** Marks at the start what an earlier process left. With other living instances, that is done later. */
    async atStart(): Promise<void> {
      if (instances) {
        const others = await instances.others().catch(() => null);
        if (!others?.isAlone) return;
      }
      await runs.markInterrupted();
      await idempotency.forgetInterrupted();
    },

    /** Starts to look for instances that died. */
    watch(): void {
      if (!instances) return;
      timer = setInterval(() => {
        if (looking) return;
        looking = true;
        background.run('recovery', () => look().finally(() => (looking = false)));
      }, lookEveryMs).unref();
    },

    stop: (): void => clearInterval(timer),
  };
}
