/** A lock that is held until its release. */
export interface Lock {
  /** False when it excludes only the work of this process, because the store of the locks is unavailable. */
  readonly isShared: boolean;
  release(): Promise<void>;
}

interface LockRequest {
  /** Ends the wait. */
  signal?: AbortSignal;
  /** Called once when the lock is not free, before the wait. When it rejects, `take` rejects with its error. */
  beforeWait?: () => Promise<void>;
}

/** Locks by key. */
export interface Locks {
  /** Takes a lock after its earlier holders, in the order of the calls. Returns null when the signal aborts first. */
  take(key: string, request?: LockRequest): Promise<Lock | null>;
  /** Takes a lock without waiting. Returns null when it is held. */
  tryTake(key: string): Promise<Lock | null>;
}

/** Runs work while it holds a lock, after the earlier holders. */
export async function holding<T>(locks: Locks, key: string, work: () => Promise<T>): Promise<T> {
  const lock = await locks.take(key);
  try {
    return await work();
  } finally {
    await lock?.release();
  }
}

/** Locks of this process. */
export function inMemoryLocks(): Locks {
  /** The calls that wait for each held lock, in order. */
  const held = new Map<string, Set<() => void>>();

  const handOver = (key: string, queue: Set<() => void>) => {
    const [next] = queue;
    if (next) next();
    else held.delete(key);
  };

  const lockOf = (key: string, queue: Set<() => void>): Lock => {
    let released = false;
    return {
      isShared: true,
      async release() {
        if (released) return;
        released = true;
        handOver(key, queue);
      },
    };
  };

  const takeFree = (key: string): Lock => {
    const queue = new Set<() => void>();
    held.set(key, queue);
    return lockOf(key, queue);
  };

  return {
    async take(key, { signal, beforeWait } = {}) {
      const queue = held.get(key);
      if (!queue) return takeFree(key);
      let isMine = false;
      let wake = () => {};
      const mine = () => {
        queue.delete(mine);
        isMine = true;
        wake();
      };
      // Joins the queue before `beforeWait`, so that the order is that of the calls.
      queue.add(mine);
      try {
        await beforeWait?.();
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (isMine || signal?.aborted) resolve();
          signal?.addEventListener('abort', wake, { once: true });
        });
      } catch (error) {
        if (isMine) handOver(key, queue);
        throw error;
      } finally {
        queue.delete(mine);
        signal?.removeEventListener('abort', wake);
      }
      return isMine ? lockOf(key, queue) : null;
    },

    async tryTake(key) {
      return held.has(key) ? null : takeFree(key);
    },
  };
}
