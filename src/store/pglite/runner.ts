import { messages, type PGlite, type QueryOptions, type Results } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import type { Replies, Reply, Request } from './requests.ts';

/** Runs requests on a PGlite, one after the other, in the order in which they come. */
export type Runner = <R extends Request>(request: R) => Promise<Reply<R>>;

/** The database is in a state in which its answers mean nothing: it has to be opened again. */
export class BrokenDatabaseError extends Error {
  override readonly name = 'BrokenDatabaseError';
}

/** SQLSTATEs of a prepared statement and of a portal that PostgreSQL does not know: it lost what it was just told. */
const lostStates = new Set(['26000', '34000']);

const isOfStatement = (error: unknown): error is InstanceType<typeof messages.DatabaseError> =>
  error instanceof messages.DatabaseError && !lostStates.has(error.code ?? '');

/**
 * PGlite swallows what stops its WebAssembly, such as an overflow of the stack or a panic on a full disk, and returns an
 * empty result. Nothing must be acknowledged then: a statement that PostgreSQL completed has a command.
 */
function completed<Row>(result: Results<Row> | undefined): Results<Row> {
  if (result?.command === undefined) throw new BrokenDatabaseError('a statement ended without a result');
  return result;
}

export async function createRunner(lite: PGlite): Promise<Runner> {
  /** Throws the error of a statement, or BrokenDatabaseError when it was not an error of the statement alone. */
  async function judge(error: unknown): Promise<never> {
    if (isOfStatement(error) || error instanceof BrokenDatabaseError) throw error;
    if (error instanceof messages.DatabaseError) throw new BrokenDatabaseError(error.message, { cause: error });
    // A value that PGlite could not write, or a fault inside of it.
    try {
      completed(await lite.query('SELECT 1'));
    } catch (other) {
      // Any error of PostgreSQL's will do: it also refuses this one in a transaction that has failed.
      if (!isOfStatement(other)) throw new BrokenDatabaseError(String(error), { cause: error });
    }
    throw error;
  }
  const checked = {
    query: async <Row>(sql: string, values?: unknown[], options?: QueryOptions) => {
      const result = await lite.query<Row>(sql, values, options).then(completed).catch(judge);
      // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, and with no error.
      if (sql === 'COMMIT' && result.command === 'ROLLBACK') throw new Error('the transaction was rolled back');
      return result;
    },
  };
  // Of the adapter, only the conversion of values and errors is used; transactions are those of ../sessions.ts.
  const adapter = await new PrismaPGlite(checked as unknown as PGlite).connect();
  const run: { [Kind in Request['kind']]: (request: Extract<Request, { kind: Kind }>) => Promise<Replies[Kind]> } = {
    queryRaw: ({ query }) => adapter.queryRaw(query),
    executeRaw: ({ query }) => adapter.executeRaw(query),
    query: async ({ sql, values }) => (await checked.query(sql, [...values])).rows,
    exec: async ({ sql }) => {
      for (const result of await lite.exec(sql).catch(judge)) completed(result);
      return null;
    },
  };
  return (request) => run[request.kind](request as never) as never;
}
