import { randomInt } from 'node:crypto';
import { onTestFailed } from 'vitest';

/** Random choices that can be repeated with the same seed. */
export interface Chance {
  /** 0 to `limit` - 1. */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
  /** Returns this number of different numbers below a limit, in ascending order. */
  several(count: number, limit: number): number[];
}

/**
 * Returns random choices for one run of a test, or those of `TEST_SEED`. A failing test prints its seed. Call it within
 * the test.
 */
export function seeded(): Chance {
  const seed = Number(process.env.TEST_SEED ?? randomInt(2 ** 31));
  onTestFailed(() => console.error(`Again with the same chances: TEST_SEED=${seed}`));
  let state = seed;
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    several(count, limit) {
      const chosen = new Set<number>();
      while (chosen.size < Math.min(count, limit)) chosen.add(below(limit));
      return [...chosen].sort((a, b) => a - b);
    },
  };
}
