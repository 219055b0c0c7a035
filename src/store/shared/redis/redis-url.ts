import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';

/** Timeout of a new connection, of a command, and of the end of a connection, in milliseconds. */
const timeoutMs = { connect: 5_000, command: 1_000, end: 500 };
/** Delay before a lost connection is opened again, in milliseconds. Doubles up to the maximum. */
const reconnectMs = { first: 50, max: 1_000 };

/**
 * Returns the options of a connection. A command that cannot be sent at once, or whose connection is lost, fails: no
 * commands are queued while Redis is unavailable.
 */
export function redisOptions(redisUrl: string): RedisOptions {
  const url = new URL(redisUrl);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: Number(url.port || 6379),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    db: Number(url.pathname.slice(1) || 0),
    ...(url.protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
    lazyConnect: true,
    connectTimeout: timeoutMs.connect,
    commandTimeout: timeoutMs.command,
    disconnectTimeout: timeoutMs.end,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    keepAlive: 10_000,
    disableClientInfo: true,
    retryStrategy: (attempt) => Math.min(reconnectMs.first * 2 ** (attempt - 1), reconnectMs.max),
  };
}
