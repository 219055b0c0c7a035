import { messages, type PGlite, type QueryOptions, type Results } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { preparedStatements } from './prepared.ts';
import type { Replies, Reply, Request } from './requests.ts';

/** Runs requests on a PGlite one after another, in the order in which they arrive. */
export type Runner = <R extends Request>(request: R) => Promise<Reply<R>>;

/** The database is in a state in which its results cannot be trusted. It must be reopened. */
export class BrokenDatabaseError extends Error {
  override readonly name = 'BrokenDatabaseError';
}

/**
 * SQLSTATEs for an unknown prepared statement and an unknown portal. They mean that PostgreSQL has lost a statement
 * that it just received.
 */
const lostStates = new Set(['26000', '34000']);

const isOfStatement = (error: unknown): error is InstanceType<typeof messages.DatabaseError> =>
  error instanceof messages.DatabaseError && !lostStates.has(error.code ?? '');

/**
 * Checks that a statement was completed. PGlite hides errors that stop its WebAssembly, such as a stack overflow or a
 * panic on a full disk, and returns an empty result. Such a result must not be acknowledged: a statement that
 * PostgreSQL completed has a command.
 */
function completed<Row>(result: Results<Row> | undefined): Results<Row> {
  if (result?.command === undefined) throw new BrokenDatabaseError('a statement ended without a result');
  return result;
}

export async function createRunner(lite: PGlite): Promise<Runner> {
  const statements = preparedStatements(lite);
  /** Throws the error of a statement, or BrokenDatabaseError when the error affects more than the statement. */
  async function judge(error: unknown): Promise<never> {
    if (isOfStatement(error) || error instanceof BrokenDatabaseError) throw error;
    if (error instanceof messages.DatabaseError) throw new BrokenDatabaseError(error.message, { cause: error });
    // A value that PGlite could not write, or an internal error of PGlite.
    try {
      completed(await lite.query('SELECT 1'));
    } catch (other) {
      // Any PostgreSQL error shows that the database works: it also rejects this statement in a failed transaction.
      if (!isOfStatement(other)) throw new BrokenDatabaseError(String(error), { cause: error });
    }
    throw error;
  }
  const checked = {
    query: async <Row>(sql: string, values?: unknown[], options?: QueryOptions) => {
      const result = await statements.query<Row>(sql, values, options).then(completed).catch(judge);
      // PostgreSQL replies to the COMMIT of a failed transaction with ROLLBACK, without an error.
      if (sql === 'COMMIT' && result.command === 'ROLLBACK') throw new Error('the transaction was rolled back');
      return result;
    },
  };
  // Only the adapter's conversion of values and errors is used. Transactions are handled in ../sessions.ts.
  const adapter = await new PrismaPGlite(checked as unknown as PGlite).connect();
  const run: { [Kind in Request['kind']]: (request: Extract<Request, { kind: Kind }>) => Promise<Replies[Kind]> } = {
    queryRaw: ({ query }) => adapter.queryRaw(query),
    executeRaw: ({ query }) => adapter.executeRaw(query),
    query: async ({ sql, values }) => (await checked.query(sql, [...values])).rows,
    exec: async ({ sql }) => {
      for (const result of await lite.exec(sql).catch(judge)) completed(result);
      await statements.forget();
      return null;
    },
  };
  return (request) => run[request.kind](request as never) as never;
}
