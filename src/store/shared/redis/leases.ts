import { inMemoryLeases, type Lease, type Leases } from '../leases.ts';
import type { Instance } from './instance.ts';
import { Script } from './script.ts';

/** Removes the places of dead instances, and then occupies a place if fewer than the limit are occupied. */
const takeScript = new Script(`
  redis.call('SET', ARGV[1] .. ARGV[2], '1', 'PX', ARGV[4])
  local count = 0
  for _, place in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local owner = string.match(place, '^[^/]+')
    if redis.call('EXISTS', ARGV[1] .. owner) == 1 then count = count + 1
    else redis.call('SREM', KEYS[1], place) end
  end
  if ARGV[3] ~= '' and count < tonumber(ARGV[5]) then
    redis.call('SADD', KEYS[1], ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    return -1
  end
  return count`);

const releaseScript = new Script(`return redis.call('SREM', KEYS[1], ARGV[1])`);

/** Longer than any work that holds a lease. Milliseconds. */
const maxLeaseMs = 25 * 3600_000;

/**
 * The leases of all instances. A lease of an instance that died is free. While Redis is unavailable, each instance counts
 * its own leases only.
 */
export function redisLeases(instance: Instance): Leases {
  const own = inMemoryLeases();
  const held = new Map<string, string>();
  /** Places whose release failed. */
  const unreleased = new Map<string, string>();
  let last = 0;

  const run = (key: string, place: string, limit: number) =>
    instance.redis.run(
      takeScript,
      [instance.key('lease', key)],
      [instance.alivePrefix, instance.id, place, instance.timing.aliveMs, limit, maxLeaseMs],
    );

  async function release(place: string, key: string): Promise<void> {
    held.delete(place);
    try {
      await instance.redis.run(releaseScript, [instance.key('lease', key)], [place]);
      unreleased.delete(place);
    } catch {
      unreleased.set(place, key);
    }
  }

  instance.onSync(({ lostData }) => {
    for (const [place, key] of unreleased) void release(place, key);
    if (lostData) for (const [place, key] of held) run(key, place, Number.MAX_SAFE_INTEGER).catch(() => {});
  });

  async function occupy(key: string, limit: number): Promise<Lease | null> {
    const place = `${instance.id}/${++last}`;
    try {
      if ((await run(key, place, limit)) !== -1) return null;
      held.set(place, key);
    } catch {
      const lease = await own.tryTake(key, limit);
      // The place may be occupied although the reply was lost.
      if (lease) held.set(place, key);
      return lease && { release: async () => void (await Promise.all([lease.release(), release(place, key)])) };
    }
    const lease = await own.take(key);
    let released = false;
    return {
      async release() {
        if (released) return;
        released = true;
        await lease.release();
        await release(place, key);
      },
    };
  }

  return {
    take: async (key) => (await occupy(key, Number.MAX_SAFE_INTEGER)) as Lease,
    tryTake: occupy,
    async count(key) {
      try {
        return (await run(key, '', 0)) as number;
      } catch {
        return own.count(key);
      }
    },
  };
}
