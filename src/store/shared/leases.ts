/** A place that something in progress occupies until its release. */
export interface Lease {
  release(): Promise<void>;
}

/** Counts the work in progress, by key. */
export interface Leases {
  /** Occupies a place. */
  take(key: string): Promise<Lease>;
  /** Occupies a place. Returns null when `limit` places of the key are occupied. */
  tryTake(key: string, limit: number): Promise<Lease | null>;
  /** Returns the number of occupied places. */
  count(key: string): Promise<number>;
}

/** Leases of this process. */
export function inMemoryLeases(): Leases {
  const occupied = new Map<string, number>();
  const countOf = (key: string) => occupied.get(key) ?? 0;

  function occupy(key: string): Lease {
    occupied.set(key, countOf(key) + 1);
    let released = false;
    return {
      async release() {
        if (released) return;
        released = true;
        const left = countOf(key) - 1;
        if (left > 0) occupied.set(key, left);
        else occupied.delete(key);
      },
    };
  }

  return {
    take: async (key) => occupy(key),
    tryTake: async (key, limit) => (countOf(key) < limit ? occupy(key) : null),
    count: async (key) => countOf(key),
  };
}
