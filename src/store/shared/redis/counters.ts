import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Counter, Counters, CounterWindow } from '../counters.ts';
import type { Instance } from './instance.ts';

/** A counter in Redis, whose windows end by the clock of Redis. */
class RedisCounter implements Counter {
  private readonly shared: RateLimiterRedis;
  private readonly own: RateLimiterMemory;

  constructor(
    private readonly instance: Instance,
    name: string,
    { points, seconds, onFailure }: CounterWindow,
  ) {
    const window = { points, duration: seconds };
    this.shared = new RateLimiterRedis({
      ...window,
      storeClient: instance.redis.commands,
      keyPrefix: instance.key('counter', name),
    });
    this.own = new RateLimiterMemory(window);
    this.rejects = onFailure === 'reject';
  }

  private readonly rejects: boolean;

  get points(): number {
    return this.shared.points;
  }

  set points(points: number) {
    this.shared.points = points;
    this.own.points = points;
  }

  consume = (key: string | number) => this.use((counter) => counter.consume(key));
  reward = (key: string | number) => this.use((counter) => counter.reward(key));
  delete = (key: string | number) => this.use((counter) => counter.delete(key));

  /** Uses the shared counter, or this process's own when Redis is unavailable and the counter does not reject then. */
  private async use(action: (counter: RateLimiterRedis | RateLimiterMemory) => Promise<unknown>): Promise<unknown> {
    try {
      return await action(this.shared);
    } catch (error) {
      if (error instanceof RateLimiterRes) throw error;
      this.instance.redis.failed(error as Error);
      if (this.rejects) throw error;
      return action(this.own);
    }
  }
}

/** The counters of all instances. */
export const redisCounters = (instance: Instance): Counters => ({
  create: (name, window) => new RedisCounter(instance, name, window),
});
