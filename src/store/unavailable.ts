import type {
  SqlDriverAdapter,
  SqlDriverAdapterFactory,
  SqlQueryable,
  Transaction,
} from '@prisma/driver-adapter-utils';
import { DatabaseUnavailableError } from '../errors.ts';

/**
 * SQLSTATEs, and SQLSTATE classes (the first two characters), of errors that are not caused by the statement:
 * connections (08), access (28), a missing database (3D), resources (53), operators, shutdowns and timeouts (57), the
 * system (58), a standby (25006), and sessions and transactions that were ended because of their age (25P03, 25P04).
 */
const states = new Set(['08', '28', '3D', '53', '57', '58', '25006', '25P03', '25P04']);

/** Node error codes for a connection that cannot be established or was interrupted. */
const systemCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EACCES'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS'],
]);

/** The error kinds to which Prisma's adapters convert such errors. They no longer have a SQLSTATE. */
const adapterKinds = new Set([
  ...['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TlsConnectionError', 'TooManyConnections'],
  ...['AuthenticationFailed', 'DatabaseAccessDenied', 'DatabaseDoesNotExist'],
]);

/** Messages of `pg`, without an error code, for a connection that was lost or not available in time. */
const driverMessages =
  /^(Connection terminated|Client (was closed|has encountered a connection error)|Query read timeout|timeout (expired|exceeded when trying to connect)|Cannot use a pool after calling end)/;

interface DriverError {
  code?: unknown;
  message: string;
  cause?: { kind?: string; originalCode?: string } | undefined;
}

/** Returns whether an error of a driver, or of Prisma's adapter, means that the database could not be reached. */
function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, message, cause } = error as DriverError;
  const state = cause?.originalCode ?? (typeof code === 'string' ? code : '');
  return (
    (/^[0-9A-Z]{5}$/.test(state) && (states.has(state) || states.has(state.slice(0, 2)))) ||
    systemCodes.has(state) ||
    adapterKinds.has(cause?.kind ?? '') ||
    driverMessages.test(message) ||
    // The error after all addresses of a host were tried.
    (error instanceof AggregateError && error.errors.some(isUnavailable))
  );
}

/**
 * Runs a statement. Throws DatabaseUnavailableError when the database could not be reached, and otherwise the original
 * error.
 */
export async function asked<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw isUnavailable(error) ? new DatabaseUnavailableError((error as Error).message, { cause: error }) : error;
  }
}

/**
 * Returns a driver adapter that runs every statement through {@link asked}. Statements outside transactions, and the
 * start of a transaction, wait for `before`.
 */
export function reportingUnavailable(
  factory: SqlDriverAdapterFactory,
  before?: () => Promise<void> | undefined,
): SqlDriverAdapterFactory {
  const afterwards = <T>(statement: () => Promise<T>): Promise<T> =>
    asked(async () => {
      await before?.();
      return statement();
    });
  const queryable = (inner: SqlQueryable, run: typeof asked): SqlQueryable => ({
    provider: inner.provider,
    adapterName: inner.adapterName,
    queryRaw: (query) => run(() => inner.queryRaw(query)),
    executeRaw: (query) => run(() => inner.executeRaw(query)),
  });
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    async connect(): Promise<SqlDriverAdapter> {
      const adapter = await factory.connect();
      return {
        ...queryable(adapter, afterwards),
        executeScript: (script) => afterwards(() => adapter.executeScript(script)),
        getConnectionInfo: () => adapter.getConnectionInfo?.() ?? { supportsRelationJoins: true },
        dispose: () => adapter.dispose(),
        async startTransaction(isolationLevel): Promise<Transaction> {
          const transaction = await afterwards(() => adapter.startTransaction(isolationLevel));
          return {
            ...queryable(transaction, asked),
            options: transaction.options,
            commit: () => asked(() => transaction.commit()),
            rollback: () => asked(() => transaction.rollback()),
          };
        },
      };
    },
  };
}
