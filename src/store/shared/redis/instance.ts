import { randomUUID } from 'node:crypto';
import type { Log } from '../../../log.ts';
import type { RedisConnection } from './redis-connection.ts';
import { Script } from './script.ts';

/** A message to one instance. */
export type InstanceMessage =
  | { type: 'stop'; runId: string }
  | { type: 'project'; sessionId: string; projectId: number | null }
  | { type: 'lock'; entry: string };

/** What an instance learns from Redis about the others. */
export interface Synced {
  /** The time of the Redis server at the sync, in milliseconds. */
  serverNow: number;
  /** The latest time of this process, by its monotonic clock, that `serverNow` can correspond to. */
  receivedAt: number;
  /** The versions of the data that instances keep in memory. */
  versions: ReadonlyMap<string, string>;
  /** The revocations since the previous sync, as JSON. */
  revocations: readonly string[];
  messages: readonly InstanceMessage[];
  /** True when Redis has lost its data since the previous sync. */
  lostData: boolean;
}

/** Intervals in milliseconds. */
export interface Timing {
  /** An instance without a heartbeat for this time counts as dead. */
  aliveMs: number;
  /** The time between two heartbeats. */
  beatMs: number;
}

/** Proves that the instance is alive, and reads what changed. */
const syncScript = new Script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('HSET', KEYS[6], ARGV[4], '1')
  redis.call('SET', KEYS[2], now, 'NX')
  local inbox = redis.call('LRANGE', KEYS[5], 0, -1)
  if #inbox > 0 then redis.call('DEL', KEYS[5]) end
  local ended
  if ARGV[3] == '' then
    ended = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
  else
    ended = redis.call('XRANGE', KEYS[4], '(' .. ARGV[3], '+')
  end
  return { now, redis.call('GET', KEYS[2]), redis.call('HGETALL', KEYS[3]), ended, inbox }`);

/** Returns the instances that ended without saying so, and those that are alive. */
const othersScript = new Script(`
  local dead, alive = {}, {}
  for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
    local list = redis.call('EXISTS', ARGV[1] .. id) == 1 and alive or dead
    table.insert(list, id)
  end
  return { dead, alive }`);

const forgetScript = new Script(`
  redis.call('HDEL', KEYS[1], unpack(ARGV))
  return 1`);

const leaveScript = new Script(`
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HDEL', KEYS[3], ARGV[1])
  return 1`);

const postScript = new Script(`
  redis.call('RPUSH', KEYS[1], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PUBLISH', ARGV[3], '')
  return 1`);

/** Time that a message is kept for an instance that does not read it. Milliseconds. */
const messageMs = 60_000;

type SyncReply = [number, string, string[], [string, string[]][], string[]];

/** Returns the pairs of a flat list as a map. */
const pairs = (flat: readonly string[]): Map<string, string> =>
  new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : [])));

/**
 * This process among the instances of a server. Its heartbeat keeps its locks, leases and runs: all that belongs to an
 * instance without a heartbeat is free. With each heartbeat, and whenever another instance announces news, it reads what
 * changed, so that a lost announcement only delays it.
 */
export class Instance {
  readonly id = randomUUID();
  private readonly handlers = new Set<(synced: Synced) => void>();
  private timer: NodeJS.Timeout | undefined;
  private syncing = false;
  private again = false;
  private lastRevocation = '';
  private epoch: string | null = null;
  /** Since when, by the monotonic clock, this epoch is known. */
  private epochSince = 0;

  constructor(
    readonly redis: RedisConnection,
    private readonly prefix: string,
    readonly timing: Timing,
    private readonly log: Log,
  ) {}

  /** Returns the name of a key or a channel of this server. */
  key(...parts: (string | number)[]): string {
    return this.prefix + parts.join(':');
  }

  /** The start of the keys that exist while their instance is alive. */
  get alivePrefix(): string {
    return this.key('instance', '');
  }

  /** Calls a function after each sync. It must not throw and must not wait. */
  onSync(handler: (synced: Synced) => void): void {
    this.handlers.add(handler);
  }

  /** Joins the other instances. Throws RedisUnavailableError. */
  async join(): Promise<void> {
    this.redis.listen(this.key('all'), () => this.poke());
    this.redis.listen(this.key('to', this.id), () => this.poke());
    this.redis.onResubscribed = () => this.poke();
    await this.sync();
    this.timer = setInterval(() => {
      this.poke();
      void this.redis.checkMessages();
    }, this.timing.beatMs).unref();
  }

  /** Syncs as soon as possible. */
  poke(): void {
    this.again = true;
    if (!this.syncing) void this.syncWhileNeeded();
  }

  /** Sends a message to an instance. Throws RedisUnavailableError. */
  async post(instance: string, message: InstanceMessage): Promise<void> {
    const channel = this.key('to', instance);
    await this.redis.run(postScript, [this.key('inbox', instance)], [JSON.stringify(message), messageMs, channel]);
  }

  /**
   * Returns the instances that died, and whether this one is the only one that is alive. Null while Redis may have lost
   * the heartbeats of living instances. Throws RedisUnavailableError.
   */
  async others(): Promise<{ dead: string[]; isAlone: boolean } | null> {
    if (performance.now() - this.epochSince <= this.timing.aliveMs) return null;
    const reply = await this.redis.run(othersScript, [this.key('instances')], [this.alivePrefix]);
    const [dead, alive] = reply as [string[], string[]];
    return { dead, isAlone: alive.every((id) => id === this.id) };
  }

  /** Forgets instances that died. Throws RedisUnavailableError. */
  async forget(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.redis.run(forgetScript, [this.key('instances')], ids);
  }

  /** Leaves the other instances. */
  async leave(): Promise<void> {
    clearInterval(this.timer);
    const keys = [this.key('instance', this.id), this.key('inbox', this.id), this.key('instances')];
    await this.redis.run(leaveScript, keys, [this.id]).catch(() => {});
  }

  /** Ends the heartbeat without leaving, as a killed process does. For tests. */
  die(): void {
    clearInterval(this.timer);
  }

  private async syncWhileNeeded(): Promise<void> {
    this.syncing = true;
    try {
      while (this.again) {
        this.again = false;
        await this.sync();
      }
    } catch {
      // The connection reports the outage; the next heartbeat tries again.
    } finally {
      this.syncing = false;
    }
  }

  private async sync(): Promise<void> {
    const keys = ['epoch', 'versions', 'revocations'].map((name) => this.key(name));
    const reply = await this.redis.run(
      syncScript,
      [this.key('instance', this.id), ...keys, this.key('inbox', this.id), this.key('instances')],
      ['1', this.timing.aliveMs, this.lastRevocation, this.id],
    );
    const receivedAt = performance.now();
    this.redis.worked();
    const [serverNow, epoch, versions, entries, inbox] = reply as SyncReply;
    const isFirst = this.epoch === null;
    const lostData = !isFirst && this.epoch !== epoch;
    if (this.epoch !== epoch) this.epochSince = receivedAt - (isFirst ? serverNow - Number(epoch) : 0);
    this.epoch = epoch;
    const isNew = this.lastRevocation !== '';
    this.lastRevocation = entries.at(-1)?.[0] ?? (this.lastRevocation || '0-0');
    const synced: Synced = {
      serverNow,
      receivedAt,
      versions: pairs(versions),
      revocations: isNew ? entries.map(([, [, entry = '']]) => entry) : [],
      messages: inbox.map((text) => JSON.parse(text) as InstanceMessage),
      lostData,
    };
    for (const handler of this.handlers)
      try {
        handler(synced);
      } catch (error) {
        this.log.error({ error }, 'news of another instance could not be applied');
      }
  }
}
