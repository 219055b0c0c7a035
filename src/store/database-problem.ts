import { StartupError } from '../startup-error.ts';

interface DriverError {
  code?: unknown;
  message: string;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the reason why a DATABASE_URL cannot be used, by the error code of Node or PostgreSQL. */
function reasonOf({ code, message }: DriverError, url: URL): string {
  const host = url.searchParams.get('host') ?? (url.hostname || 'localhost');
  const place = host.startsWith('/') ? host : `${host}:${url.port || '5432'}`;
  const user = decoded(url.username);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host ${host} was not found`;
    case 'ECONNREFUSED':
      return `no server listens at ${place}`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${place} closed the connection; is it PostgreSQL?`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `${place} cannot be reached`;
    case '28P01':
    case '28000':
      return `PostgreSQL at ${place} rejected the user name or the password${user && ` of ${user}`}`;
    case '3D000':
      return `there is no database ${decoded(url.pathname.slice(1))} at ${place}`;
  }
  if (/^Connection terminated due to connection timeout|^timeout expired/.test(message))
    return `${place} did not answer in time`;
  if (/^Connection terminated/.test(message)) return `${place} closed the connection; is it PostgreSQL?`;
  if (/password must be a string/.test(message))
    return `PostgreSQL at ${place} requires a password, which the URL does not contain`;
  const [line = ''] = message.split('\n');
  return url.password ? line.replaceAll(decoded(url.password), '…').replaceAll(url.password, '…') : line;
}

/**
 * Returns the startup error for a database that cannot be used: one line that contains the name of the setting and
 * never its value.
 */
export function databaseProblem(error: unknown, databaseUrl: string): StartupError {
  if (error instanceof StartupError) return error;
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return new StartupError(`DATABASE_URL: ${reasonOf(first as DriverError, new URL(databaseUrl))}`, { cause: error });
}
