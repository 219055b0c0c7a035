import type { Log } from '../../../log.ts';
import type { SharedState } from '../shared-state.ts';
import { redisChanges } from './changes.ts';
import { redisCounters } from './counters.ts';
import { Instance, type Timing } from './instance.ts';
import { redisJobClaims } from './job-claims.ts';
import { redisLeases } from './leases.ts';
import { RedisLocks } from './locks.ts';
import { RedisConnection } from './redis-connection.ts';
import { redisProblem } from './redis-problem.ts';
import { fingerprintOf, type Profile, register } from './registration.ts';
import { redisRevocations } from './revocations.ts';
import { RedisRuns } from './runs.ts';

export interface RedisStateOptions {
  redisUrl: string;
  /** Identifies the database that the instances share: it separates servers that use the same Redis. */
  deployment: string;
  profile: Profile;
  log: Log;
  timing?: Timing;
}

/** The shared state of a server with several processes. */
export interface RedisState extends SharedState {
  /** Ends the heartbeat and the connections as a killed process does. For tests. */
  die(): void;
}

/** An instance without a heartbeat for ten seconds counts as dead. */
const defaultTiming: Timing = { aliveMs: 10_000, beatMs: 1_000 };

/** Connects to Redis and joins the other instances. Throws StartupError. */
export async function openRedisState(options: RedisStateOptions): Promise<RedisState> {
  const { redisUrl, deployment, profile, log, timing = defaultTiming } = options;
  const redis = await RedisConnection.open(redisUrl, log);
  // In braces, the keys of a server belong together in a cluster.
  const instance = new Instance(redis, `latchkey:{${deployment}}:`, timing, log);
  // Applied before all other news.
  const revocations = redisRevocations(instance);
  const state: RedisState = {
    revocations,
    counters: redisCounters(instance),
    locks: new RedisLocks(instance),
    leases: redisLeases(instance),
    jobs: redisJobClaims(instance),
    changes: redisChanges(instance),
    createRuns: () => new RedisRuns(instance),
    instances: {
      others: () => instance.others(),
      forget: (ids) => instance.forget(ids),
    },
    async close() {
      await instance.leave();
      redis.close();
    },
    die() {
      instance.die();
      redis.close();
    },
  };
  try {
    await register(instance, profile, log);
    await instance.join();
    return state;
  } catch (error) {
    redis.close();
    throw redisProblem(error, redisUrl);
  }
}

export { fingerprintOf };
