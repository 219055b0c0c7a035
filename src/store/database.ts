import type { PGlite } from '@electric-sql/pglite';
import type { PrismaClient } from '../generated/prisma/client.ts';
import { createLog, type Log } from '../log.ts';
import { openPGlite } from './pglite/open.ts';
import { openPostgres } from './postgres.ts';

/**
 * A SQL statement for code paths where Prisma is too slow or cannot express the query. A statement whose name is
 * not empty is prepared.
 */
export interface Statement {
  name: string;
  text: string;
}

/** The connections to the database of this process, and the requests that wait for one. */
export interface Connections {
  open: number;
  idle: number;
  waiting: number;
}

/**
 * The database interface for services: Prisma, and plain SQL on the same connections. Statements throw
 * DatabaseUnavailableError when the database cannot be reached or does not respond in time.
 */
export interface Database {
  prisma: PrismaClient;
  /** Runs one statement outside any Prisma transaction. */
  query<Row>(statement: Statement, values: unknown[]): Promise<Row[]>;
  /** Returns the use of the connections. */
  connections(): Connections;
  /** Returns whether the database currently responds. */
  reachable(): Promise<boolean>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  databaseUrl?: string | undefined;
  /** Folder of the embedded database. Not used with `databaseUrl`. */
  dataDir?: string | undefined;
  /**
   * An embedded database in this thread, already open and migrated, that replaces the one in `dataDir`. Its owner must
   * close it. For tests.
   */
  pglite?: PGlite | undefined;
  /** Defaults to no logging. */
  log?: Log | undefined;
  /** Timeout of a single statement, in milliseconds. Defaults to 20 seconds. */
  statementTimeoutMs?: number | undefined;
  /**
   * Called when another instance has taken over the database. This instance must then stop immediately. The message is
   * one line for the operator.
   */
  onLockLost?: ((message: string) => void) | undefined;
  /** Whether other instances, with which this one shares its state, use the database too. Defaults to false. */
  isShared?: boolean | undefined;
  /** Called with the text of every statement. For tests that count statements. */
  onStatement?: ((text: string, values?: unknown[]) => void) | undefined;
}

/** Options for opening either kind of database. */
export type OpenOptions = Omit<DatabaseOptions, 'databaseUrl'> &
  Required<{ [Name in 'log' | 'statementTimeoutMs']: NonNullable<DatabaseOptions[Name]> }>;

/**
 * Time that a transaction waits for a connection and runs before it is cancelled; generous, since a loaded machine is
 * slow. Milliseconds.
 */
export const transactionOptions = { maxWait: 15_000, timeout: 30_000 };

/** Opens the database and migrates it. Throws StartupError when it cannot be used or another instance uses it. */
export function openDatabase({
  databaseUrl,
  log = createLog('silent'),
  statementTimeoutMs = 20_000,
  ...rest
}: DatabaseOptions): Promise<Database> {
  const options = { ...rest, log, statementTimeoutMs };
  return databaseUrl ? openPostgres({ ...options, databaseUrl }) : openPGlite(options);
}
