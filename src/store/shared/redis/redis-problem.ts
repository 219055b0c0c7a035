import { StartupError } from '../../../startup-error.ts';

/** Returns the reason why a REDIS_URL cannot be used, by the error code of Node or the reply of Redis. */
function reasonOf({ code, message }: { code?: unknown; message: string }, url: URL): string {
  const place = `${url.hostname}:${url.port || '6379'}`;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host ${url.hostname} was not found`;
    case 'ECONNREFUSED':
      return `no server listens at ${place}`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `${place} cannot be reached`;
    case 'ECONNRESET':
    case 'EPIPE':
    case 'EPROTO':
      return `${place} closed the connection; is it Redis, and is the scheme right (redis:// or rediss:// for TLS)?`;
  }
  if (/without any password|no password is set/i.test(message))
    return `Redis at ${place} has no password; remove it from the URL`;
  if (/WRONGPASS|invalid (username|password)/i.test(message))
    return `Redis at ${place} rejected the user name or the password`;
  if (/NOAUTH/.test(message)) return `Redis at ${place} requires a password, which the URL does not contain`;
  if (/Protocol error/.test(message)) return `${place} does not speak the protocol of Redis`;
  if (/DB index is out of range/.test(message)) return `Redis at ${place} has no database ${url.pathname.slice(1)}`;
  if (/timed out/i.test(message)) return `${place} did not answer in time; is it Redis?`;
  if (/Connection is closed/.test(message)) return `${place} closed the connection; is it Redis?`;
  const [line = ''] = message.split('\n');
  return url.password ? line.replaceAll(decodeURIComponent(url.password), '…').replaceAll(url.password, '…') : line;
}

/**
 * Returns the startup error for a Redis that cannot be used: one line that contains the name of the setting and never
 * its value.
 */
export function redisProblem(error: unknown, redisUrl: string): StartupError {
  if (error instanceof StartupError) return error;
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return new StartupError(`REDIS_URL: ${reasonOf(first as Error, new URL(redisUrl))}`, { cause: error });
}
