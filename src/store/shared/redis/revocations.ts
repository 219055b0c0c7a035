import { type Ended, inMemoryRevocations, memoryMs, type Revocations } from '../revocations.ts';
import type { Instance } from './instance.ts';
import { Script } from './script.ts';

/** An end as it is published. */
interface Entry {
  /** The instance that published it. */
  from: string;
  ended: Ended;
  /** The time that it is set to, in milliseconds; null for now. */
  at: number | null;
  /** When it was set, by the clock of Redis. */
  setAt: number;
}

/** An end of this instance. */
interface OwnEnd {
  ended: Ended;
  at: Date | undefined;
  /** By the monotonic clock. */
  setAt: number;
  published: boolean;
}

const publishScript = new Script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local entry = cjson.decode(ARGV[1])
  entry.setAt = now - tonumber(ARGV[2])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'entry', cjson.encode(entry))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('PUBLISH', ARGV[5], '')
  return 1`);

/** Maximum number of revocations that are kept for instances that lost their connection. */
const maxEntries = 10_000;

/**
 * The revocations of all instances. An end takes effect in this process at once and is then published. An instance that
 * was disconnected reads the missed ends. New requests do not depend on it: they are authenticated with the database.
 */
export function redisRevocations(instance: Instance): Revocations {
  const local = inMemoryRevocations();
  /** The recent ends of this instance, which are published again when Redis has lost them. */
  const own = new Set<OwnEnd>();

  async function publish(end: OwnEnd): Promise<void> {
    const entry = { from: instance.id, ended: end.ended, at: end.at?.getTime() ?? null };
    const age = Math.floor(performance.now() - end.setAt);
    try {
      await instance.redis.run(
        publishScript,
        [instance.key('revocations')],
        [JSON.stringify(entry), age, maxEntries, memoryMs, instance.key('all')],
      );
      end.published = true;
    } catch {
      end.published = false;
    }
  }

  async function end(ended: Ended, at: Date | undefined): Promise<void> {
    const setAt = performance.now();
    local.end(ended, at, setAt);
    const mine: OwnEnd = { ended, at, setAt, published: false };
    own.add(mine);
    await publish(mine);
  }

  instance.onSync(({ revocations, serverNow, receivedAt, lostData }) => {
    for (const text of revocations) {
      const { from, ended, at, setAt } = JSON.parse(text) as Entry;
      // One millisecond later, because the clock of Redis is read in whole ones: an end is never taken for older than it is.
      const heardAt = receivedAt - (serverNow - setAt) + 1;
      if (from !== instance.id) local.end(ended, typeof at === 'number' ? new Date(at) : undefined, heardAt);
    }
    for (const mine of own) {
      if (mine.setAt < performance.now() - memoryMs) own.delete(mine);
      else if (lostData || !mine.published) {
        // Not again with the next sync, while this is on its way.
        mine.published = true;
        void publish(mine);
      }
    }
  });

  return {
    watch: local.watch,
    ended: local.ended,
    endToken: (tokenId, at) => end({ tokenId }, at),
    endUser: (userId, at) => end({ userId }, at),
  };
}
