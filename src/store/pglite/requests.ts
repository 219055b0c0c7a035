import type { SqlQuery, SqlResultSet } from '@prisma/driver-adapter-utils';

/** A statement, or a script of several statements, that is sent to the embedded database. */
export type Request =
  /** A Prisma statement that returns rows. */
  | { kind: 'queryRaw'; query: SqlQuery }
  /** A Prisma statement that returns the number of changed rows. */
  | { kind: 'executeRaw'; query: SqlQuery }
  /** A plain SQL statement that does not come from Prisma. */
  | { kind: 'query'; sql: string; values: readonly unknown[] }
  /** One or more statements without parameters. */
  | { kind: 'exec'; sql: string };

/** The reply to each kind of request. */
export interface Replies {
  queryRaw: SqlResultSet;
  executeRaw: number;
  query: unknown[];
  exec: null;
}

export type Reply<R extends Request> = Replies[R['kind']];

export const sqlOf = (request: Request): string => ('query' in request ? request.query.sql : request.sql);

/** The data that the worker thread receives when it starts. */
export interface WorkerData {
  /** Folder of the database. */
  folder: string;
}

/** Message from the process that creates a database. */
export interface FromCreation {
  /** The reason why the database cannot be created. The process ends after this message. */
  failed: string;
}

/** Messages to the worker thread. */
export type ToWorker = { id: number; request: Request } | { close: true };

/** Messages from the worker thread. */
export type FromWorker =
  | { opened: true }
  /** The database cannot be opened, or must be reopened. The thread ends after this message. */
  | { failed: string }
  | { id: number; reply: unknown }
  | { id: number; error: PlainError };

/** An error as plain data. Preserves the properties that a structured clone would drop. */
export interface PlainError {
  name: string;
  message: string;
  /** SQLSTATE, detail, constraint and other fields of a PostgreSQL error, or the cause of a driver adapter error. */
  fields: Record<string, unknown>;
}

const isPlain = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value);

export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} };
  const own = Object.entries(error).filter(([key, value]) => isPlain(value) && key !== 'query');
  const { cause } = error;
  const fields = { ...Object.fromEntries(own), ...(isData(cause) && { cause }) };
  return { name: error.name, message: error.message, fields };
}

export const fromPlainError = ({ name, message, fields }: PlainError): Error =>
  Object.assign(new Error(message), fields, { name });

/**
 * Returns whether a structured clone preserves a value unchanged. The driver adapter describes its errors with such
 * values.
 */
function isData(value: unknown): boolean {
  if (value === null || value === undefined || isPlain(value)) return true;
  if (Array.isArray(value)) return value.every(isData);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isData);
}
