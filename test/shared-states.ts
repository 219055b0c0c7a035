import { randomUUID } from 'node:crypto';
import { createLog, type Log } from '../src/log.ts';
import { openRedisState, type RedisState } from '../src/store/shared/redis/open-redis-state.ts';
import { inMemoryState, type SharedState } from '../src/store/shared/shared-state.ts';

/** Two views of one shared state: of the same process, or of two instances of a server. */
export interface States {
  one: SharedState;
  other: SharedState;
  close(): Promise<void>;
}

const { REDIS_URL: redisUrl } = process.env;

/** A dead instance is noticed quickly, so that tests do not wait long. */
const timing = { aliveMs: 1_000, beatMs: 50 };

/** Joins the instances of a server in Redis. */
export const joinRedis = (deployment: string, log: Log = createLog('silent'), url = redisUrl): Promise<RedisState> =>
  openRedisState({
    redisUrl: url ?? '',
    deployment,
    profile: { fingerprint: 'the same', version: '1' },
    log,
    timing,
  });

/** The implementations of the shared state, each with a function that opens it. Redis only with REDIS_URL. */
export const implementations: [name: string, open: () => Promise<States>][] = [
  [
    'in memory',
    async () => {
      const state = inMemoryState();
      return { one: state, other: state, close: async () => {} };
    },
  ],
  ...(redisUrl
    ? [
        [
          'in Redis',
          async () => {
            const deployment = `test-${randomUUID()}`;
            const [one, other] = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
            return { one, other, close: async () => void (await Promise.all([one.close(), other.close()])) };
          },
        ] as [string, () => Promise<States>],
      ]
    : []),
];
