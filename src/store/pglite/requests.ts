import type { SqlQuery, SqlResultSet } from '@prisma/driver-adapter-utils';

/** One statement, or a script of several, as it is sent to the embedded database. */
export type Request =
  /** A statement of Prisma's that returns rows. */
  | { kind: 'queryRaw'; query: SqlQuery }
  /** A statement of Prisma's that returns the number of rows that it changed. */
  | { kind: 'executeRaw'; query: SqlQuery }
  /** A statement of our own. */
  | { kind: 'query'; sql: string; values: readonly unknown[] }
  /** Statements without parameters. */
  | { kind: 'exec'; sql: string };

/** What a request returns, by its kind. */
export interface Replies {
  queryRaw: SqlResultSet;
  executeRaw: number;
  query: unknown[];
  exec: null;
}

export type Reply<R extends Request> = Replies[R['kind']];

export const sqlOf = (request: Request): string => ('query' in request ? request.query.sql : request.sql);

/** What the worker thread is started with. */
export interface WorkerData {
  /** The folder of the database. */
  folder: string;
}

/** Messages to the worker thread. */
export type ToWorker = { id: number; request: Request } | { close: true };

/** Messages of the worker thread. */
export type FromWorker =
  | { opened: true }
  /** The database cannot be opened, or must be opened again: the thread ends after this message. */
  | { failed: string }
  | { id: number; reply: unknown }
  | { id: number; error: PlainError };

/** An error as plain data: what a structured clone would drop of it is kept. */
export interface PlainError {
  name: string;
  message: string;
  /** SQLSTATE, detail, constraint and so on of an error of PostgreSQL's; the cause of an error of the driver adapter. */
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

/** Whether a value survives a structured clone as it is: the driver adapter describes its errors with such values. */
function isData(value: unknown): boolean {
  if (value === null || value === undefined || isPlain(value)) return true;
  if (Array.isArray(value)) return value.every(isData);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isData);
}
