import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Counts uses per key, in a window that starts with the first use. The interface of rate-limiter-flexible. */
export interface Counter {
  /** The number of uses that one window allows. */
  points: number;
  /** Counts a use. Rejects with a RateLimiterRes above the limit, and with another error when the store fails. */
  consume(key: string | number): Promise<unknown>;
  /** Takes back a use. */
  reward(key: string | number): Promise<unknown>;
  /** Forgets the uses of a key. */
  delete(key: string | number): Promise<unknown>;
}

/** A window that starts with the first use. */
export interface CounterWindow {
  points: number;
  seconds: number;
  /**
   * What happens while the shared store does not respond: a use is rejected with an error, or counted in this process
   * alone. Limits that protect passwords reject.
   */
  onFailure: 'reject' | 'count-here';
}

/** Creates counters. Counters with the same name count together in all processes that share the store. */
export interface Counters {
  create(name: string, window: CounterWindow): Counter;
}

/** Counters of this process. They start over with it. */
export const inMemoryCounters = (): Counters => ({
  create: (name, { points, seconds }) => new RateLimiterMemory({ keyPrefix: name, points, duration: seconds }),
});

/** Returns the whole seconds until a reached limit allows the next use, at least one. Null for all other errors. */
export const secondsUntilAllowed = (error: unknown): number | null =>
  error instanceof RateLimiterRes ? Math.max(1, Math.ceil(error.msBeforeNext / 1000)) : null;
