import type {
  SqlDriverAdapter,
  SqlDriverAdapterFactory,
  SqlQueryable,
  Transaction,
} from '@prisma/driver-adapter-utils';
import { DatabaseUnavailableError } from '../errors.ts';

/**
 * SQLSTATEs, and their first two characters, of errors that are not the statement's: connections (08), access (28), a
 * database that is gone (3D), resources (53), operators, shutdowns and timeouts (57), the system (58), a standby (25006),
 * and sessions and transactions that were ended for their age (25P03, 25P04).
 */
const states = new Set(['08', '28', '3D', '53', '57', '58', '25006', '25P03', '25P04']);

/** What Node says of a connection that cannot be made or broke off. */
const systemCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EACCES'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS'],
]);

/** What Prisma's adapters make of errors of these kinds, which have no SQLSTATE any more. */
const adapterKinds = new Set([
  ...['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TlsConnectionError', 'TooManyConnections'],
  ...['AuthenticationFailed', 'DatabaseAccessDenied', 'DatabaseDoesNotExist'],
]);

/** What `pg` says, without a code, of a connection that is lost, or that it does not get in time. */
const driverMessages =
  /^(Connection terminated|Client (was closed|has encountered a connection error)|Query read timeout|timeout (expired|exceeded when trying to connect)|Cannot use a pool after calling end)/;

interface DriverError {
  code?: unknown;
  message: string;
  cause?: { kind?: string; originalCode?: string } | undefined;
}

/** Whether an error of a driver, or of Prisma's adapter, says that the database could not be asked. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, message, cause } = error as DriverError;
  const state = cause?.originalCode ?? (typeof code === 'string' ? code : '');
  return (
    (/^[0-9A-Z]{5}$/.test(state) && (states.has(state) || states.has(state.slice(0, 2)))) ||
    systemCodes.has(state) ||
    adapterKinds.has(cause?.kind ?? '') ||
    driverMessages.test(message) ||
    // All addresses of a host were tried.
    (error instanceof AggregateError && error.errors.some(isUnavailable))
  );
}

/** Runs a statement. Throws DatabaseUnavailableError when the database could not be asked, and else what was thrown. */
export async function asked<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw isUnavailable(error) ? new DatabaseUnavailableError((error as Error).message, { cause: error }) : error;
  }
}

/**
 * A driver adapter whose every statement runs through {@link asked}. Statements outside of transactions, and the starts
 * of transactions, wait for `before`.
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
