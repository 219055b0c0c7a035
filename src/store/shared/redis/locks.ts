import { inMemoryLocks, type Lock, type Locks } from '../locks.ts';
import type { Instance } from './instance.ts';
import { RedisUnavailableError } from './redis-connection.ts';
import { Script } from './script.ts';

/**
 * Removes the entries of dead instances from the queue of a lock, joins it, and returns 1 when the entry is the first:
 * then it holds the lock. With `try`, joins only an empty queue.
 */
const takeScript = new Script(`
  redis.call('SET', ARGV[1] .. ARGV[2], '1', 'PX', ARGV[4])
  local first, mine = nil, false
  for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local owner = string.match(entry, '^[^/]+')
    if redis.call('EXISTS', ARGV[1] .. owner) == 0 then redis.call('LREM', KEYS[1], 1, entry)
    else
      first = first or entry
      mine = mine or entry == ARGV[3]
    end
  end
  if ARGV[5] == 'try' and first and first ~= ARGV[3] then return 0 end
  if not mine then
    redis.call('RPUSH', KEYS[1], ARGV[3])
    first = first or ARGV[3]
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return first == ARGV[3] and 1 or 0`);

/** Leaves the queue of a lock and informs the instance whose entry is now the first. */
const releaseScript = new Script(`
  local before = redis.call('LINDEX', KEYS[1], 0)
  redis.call('LREM', KEYS[1], 1, ARGV[1])
  local first = redis.call('LINDEX', KEYS[1], 0)
  if not first or before ~= ARGV[1] then return 1 end
  local owner = string.match(first, '^[^/]+')
  local inbox = ARGV[2] .. 'inbox:' .. owner
  redis.call('RPUSH', inbox, cjson.encode({ type = 'lock', entry = first }))
  redis.call('PEXPIRE', inbox, ARGV[3])
  redis.call('PUBLISH', ARGV[2] .. 'to:' .. owner, '')
  return 1`);

/** Longer than any work that holds a lock. Milliseconds. */
const maxLockMs = 25 * 3600_000;
/** Time that a message is kept for an instance that does not read it. Milliseconds. */
const messageMs = 60_000;

/** An entry of this process in the queue of a lock. */
interface Entry {
  name: string;
  key: string;
  /** Checks whether it is the first; null when this process does not wait with it. */
  check: (() => void) | null;
}

/** Resolves when one of the signals aborts. */
const aborted = (...signals: AbortSignal[]): Promise<void> =>
  new Promise((resolve) => {
    const any = AbortSignal.any(signals);
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });

/**
 * The locks of all instances: queues in Redis, whose first entry holds the lock. An entry of an instance that died is
 * removed. A lock is also taken within this process, which alone decides while Redis is unavailable.
 */
export class RedisLocks implements Locks {
  private readonly own = inMemoryLocks();
  private readonly entries = new Map<string, Entry>();
  /** Entries whose removal failed. */
  private readonly unreleased = new Map<string, Entry>();
  private last = 0;

  constructor(private readonly instance: Instance) {
    instance.onSync(({ messages, lostData }) => {
      for (const message of messages) if (message.type === 'lock') this.entries.get(message.entry)?.check?.();
      for (const entry of this.unreleased.values()) void this.remove(entry);
      for (const entry of this.entries.values())
        if (entry.check) entry.check();
        else if (lostData) this.tryEntry(entry, 'queue').catch(() => {});
    });
    // A wait goes on within this process.
    instance.redis.onDown = () => {
      for (const entry of this.entries.values()) entry.check?.();
    };
  }

  async take(key: string, { signal, beforeWait }: Parameters<Locks['take']>[1] = {}): Promise<Lock | null> {
    const entry = this.entryOf(key);
    try {
      if (!(await this.tryEntry(entry, 'queue'))) {
        await beforeWait?.();
        if (!(await this.wait(entry, signal))) {
          await this.remove(entry);
          return null;
        }
      }
    } catch (error) {
      if (!isUnavailable(error)) {
        await this.remove(entry);
        throw error;
      }
      return this.takeHere(entry, { ...(signal && { signal }), ...(beforeWait && { beforeWait }) }, false);
    }
    return this.takeHere(entry, { ...(signal && { signal }) }, true);
  }

  async tryTake(key: string): Promise<Lock | null> {
    const entry = this.entryOf(key);
    let isShared = true;
    try {
      if (!(await this.tryEntry(entry, 'try'))) {
        this.entries.delete(entry.name);
        return null;
      }
    } catch {
      isShared = false;
    }
    const lock = await this.own.tryTake(key);
    if (lock) return this.held(entry, lock, isShared);
    await this.remove(entry);
    return null;
  }

  private entryOf(key: string): Entry {
    const entry: Entry = { name: `${this.instance.id}/${++this.last}`, key, check: null };
    this.entries.set(entry.name, entry);
    return entry;
  }

  /** Joins the queue. Returns whether the entry is the first. Throws RedisUnavailableError. */
  private async tryEntry({ name, key }: Entry, how: 'try' | 'queue'): Promise<boolean> {
    const { id, redis, timing, alivePrefix } = this.instance;
    const values = [alivePrefix, id, name, timing.aliveMs, how, maxLockMs];
    return (await redis.run(takeScript, [this.instance.key('lock', key)], values)) === 1;
  }

  /** Waits until the entry is the first. Returns false when the signal aborts first. Throws RedisUnavailableError. */
  private async wait(entry: Entry, signal = new AbortController().signal): Promise<boolean> {
    for (;;) {
      const woken = new AbortController();
      entry.check = () => woken.abort();
      // The entry may have become the first before this process listened.
      if (await this.tryEntry(entry, 'queue')) break;
      if (signal.aborted) return false;
      await aborted(signal, woken.signal);
    }
    entry.check = null;
    return true;
  }

  /** Takes the lock within this process. */
  private async takeHere(
    entry: Entry,
    request: NonNullable<Parameters<Locks['take']>[1]>,
    isShared: boolean,
  ): Promise<Lock | null> {
    entry.check = null;
    try {
      const lock = await this.own.take(entry.key, request);
      if (lock) return this.held(entry, lock, isShared);
      await this.remove(entry);
      return null;
    } catch (error) {
      await this.remove(entry);
      throw error;
    }
  }

  private held(entry: Entry, lock: Lock, isShared: boolean): Lock {
    return {
      isShared,
      release: async () => {
        await lock.release();
        if (this.entries.has(entry.name)) await this.remove(entry);
      },
    };
  }

  private async remove(entry: Entry): Promise<void> {
    entry.check = null;
    this.entries.delete(entry.name);
    const { redis } = this.instance;
    try {
      const values = [entry.name, this.instance.key(''), messageMs];
      await redis.run(releaseScript, [this.instance.key('lock', entry.key)], values);
      this.unreleased.delete(entry.name);
    } catch {
      this.unreleased.set(entry.name, entry);
    }
  }
}

const isUnavailable = (error: unknown): boolean => error instanceof RedisUnavailableError;
