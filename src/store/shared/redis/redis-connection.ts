import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../../log.ts';
import { StartupError } from '../../../startup-error.ts';
import { redisProblem } from './redis-problem.ts';
import { redisOptions } from './redis-url.ts';
import type { Script } from './script.ts';

/** Redis could not run a command: it cannot be reached, does not respond in time or rejects it. */
export class RedisUnavailableError extends Error {
  override readonly name = 'RedisUnavailableError';
}

/** Maximum time until the first connection works, in milliseconds: Redis may be loading its data. */
const startTimeoutMs = 15_000;

/** Timeout of a command of the first connection, in milliseconds. */
const probeTimeoutMs = 5_000;
/** Time between two questions whether Redis has loaded its data, in milliseconds. */
const loadingPauseMs = 250;

/** The oldest supported version of Redis. */
const minVersion = { text: '6.2', number: 602 };

const versionOf = (info: string): number => {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? [];
  return Number(major) * 100 + Number(minor);
};

/**
 * Signs in, selects the database, waits until Redis has loaded its data and checks its version. Throws the reply of
 * Redis, and StartupError.
 */
async function check(client: Redis, { username, password, db = 0 }: RedisOptions): Promise<void> {
  await client.connect();
  if (password !== undefined) await (username ? client.auth(username, password) : client.auth(password));
  while (/^loading:1/m.test(await client.info('persistence'))) await delay(loadingPauseMs);
  await client.select(db);
  if (versionOf(await client.info('server')) < minVersion.number)
    throw new StartupError(`REDIS_URL: Redis ${minVersion.text} or newer, or Valkey, is required`);
}

/** Connects once. Rejects with the first error that explains why Redis cannot be used. */
async function probe(redisUrl: string): Promise<void> {
  const { username: _username, password: _password, ...options } = redisOptions(redisUrl);
  // Signs in with a separate command, because the client hides some errors of its sign-in.
  const rest = { db: 0, enableReadyCheck: false, commandTimeout: probeTimeoutMs, retryStrategy: () => null };
  const client = new Redis({ ...options, ...rest });
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('Connection timed out')), startTimeoutMs);
  });
  const checked = check(client, redisOptions(redisUrl));
  try {
    await Promise.race([checked, late]);
  } catch (error) {
    throw error instanceof StartupError ? error : (errors[0] ?? error);
  } finally {
    clearTimeout(timer);
    client.disconnect();
    // When it was too late, the check fails with its connection.
    checked.catch(() => {});
  }
}

/**
 * The two connections of an instance to Redis: one for commands and one for messages. Both are opened again when they
 * are lost. An outage is logged once, and so is its end.
 */
export class RedisConnection {
  private readonly channels = new Map<string, Set<() => void>>();
  private readonly reconnecting = new Set<Redis>();
  private lastError: Error | null = null;
  private isDown = false;
  private isClosed = false;
  /** Called when messages may have been missed. */
  onResubscribed = () => {};
  /** Called at the start of an outage. */
  onDown = () => {};

  private constructor(
    /** The connection for commands, for the counters of rate-limiter-flexible. */
    readonly commands: Redis,
    private readonly messages: Redis,
    private readonly log: Log,
  ) {
    for (const client of [commands, messages]) {
      client.on('error', (error) => (this.lastError = error));
      client.on('close', () => this.reconnecting.delete(client));
    }
    messages.on('ready', () => void this.resubscribe());
    messages.on('message', (channel: string) => {
      for (const onMessage of this.channels.get(channel) ?? []) onMessage();
    });
  }

  /** Connects. Throws StartupError with one line when Redis cannot be used. */
  static async open(redisUrl: string, log: Log): Promise<RedisConnection> {
    try {
      await probe(redisUrl);
      const [commands, messages] = [new Redis(redisOptions(redisUrl)), new Redis(redisOptions(redisUrl))];
      const connection = new RedisConnection(commands, messages, log);
      try {
        await Promise.all([commands.connect(), messages.connect()]);
      } catch (error) {
        connection.close();
        throw error;
      }
      return connection;
    } catch (error) {
      throw redisProblem(error, redisUrl);
    }
  }

  /** Runs a script. Throws RedisUnavailableError. */
  async run(script: Script, keys: readonly string[], values: readonly (string | number)[] = []): Promise<unknown> {
    try {
      return await script.run(this.commands, keys, values);
    } catch (error) {
      this.failed(error as Error);
      throw new RedisUnavailableError((error as Error).message, { cause: error });
    }
  }

  /** Reports a failed command. The connection of a command without a reply is opened again. */
  failed(error: Error): void {
    if (this.isClosed) return;
    if (/timed out/i.test(error.message)) this.reconnect(this.commands);
    if (this.isDown) return;
    this.isDown = true;
    const cause = /isn't writeable|Reached the max retries|Connection is closed/.test(error.message)
      ? (this.lastError ?? error)
      : error;
    const reason = cause.message || String((cause as { code?: unknown }).code);
    this.log.warn({ reason }, 'Redis is not available; the instances share no state until it is');
    this.onDown();
  }

  /** Reports that Redis has accepted a write. */
  worked(): void {
    if (!this.isDown || this.isClosed) return;
    this.isDown = false;
    this.lastError = null;
    this.log.warn('Redis is available again');
  }

  /** Calls a function on each message of a channel, until the returned function is called. */
  listen(channel: string, onMessage: () => void): () => void {
    const listeners = this.channels.get(channel) ?? new Set();
    listeners.add(onMessage);
    if (listeners.size === 1) {
      this.channels.set(channel, listeners);
      if (this.messages.status === 'ready') this.messages.subscribe(channel).catch(() => this.reconnect(this.messages));
    }
    return () => {
      listeners.delete(onMessage);
      if (listeners.size > 0 || this.channels.get(channel) !== listeners) return;
      this.channels.delete(channel);
      if (this.messages.status === 'ready') this.messages.unsubscribe(channel).catch(() => {});
    };
  }

  /** Opens the connection for messages again when it does not respond. */
  async checkMessages(): Promise<void> {
    if (this.messages.status === 'ready') await this.messages.ping().catch(() => this.reconnect(this.messages));
  }

  close(): void {
    this.isClosed = true;
    this.commands.disconnect();
    this.messages.disconnect();
  }

  private reconnect(client: Redis): void {
    if (this.reconnecting.has(client)) return;
    this.reconnecting.add(client);
    client.disconnect(true);
  }

  private async resubscribe(): Promise<void> {
    try {
      if (this.channels.size > 0) await this.messages.subscribe(...this.channels.keys());
      this.onResubscribed();
    } catch {
      this.reconnect(this.messages);
    }
  }
}
