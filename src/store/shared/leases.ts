/** One of the places that a limit allows. It is occupied until its release. */
export interface Lease {
  release(): Promise<void>;
}

/** Counts what is in progress, by key. */
export interface Leases {
  /** Occupies a place. Returns null when `limit` places of the key are occupied. */
  take(key: string, limit: number): Promise<Lease | null>;
  /** Returns the number of occupied places. */
  count(key: string): Promise<number>;
}

/** Leases of this process. */
export function inMemoryLeases(): Leases {
  const occupied = new Map<string, number>();
  return {
    async take(key, limit) {
      const count = occupied.get(key) ?? 0;
      if (count >= limit) return null;
      occupied.set(key, count + 1);
      let released = false;
      return {
        async release() {
          if (released) return;
          released = true;
          const left = (occupied.get(key) ?? 1) - 1;
          if (left > 0) occupied.set(key, left);
          else occupied.delete(key);
        },
      };
    },

    count: async (key) => occupied.get(key) ?? 0,
  };
}
