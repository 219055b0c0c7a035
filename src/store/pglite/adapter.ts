import type { IsolationLevel, SqlDriverAdapter, SqlDriverAdapterFactory, SqlQuery } from '@prisma/driver-adapter-utils';
import type { Sessions } from './sessions.ts';

const identity = { provider: 'postgres', adapterName: 'pglite' } as const;

/** Creates Prisma's driver adapter for the embedded database. */
export function pgliteAdapter(sessions: Sessions): SqlDriverAdapterFactory {
  const adapter: SqlDriverAdapter = {
    ...identity,
    queryRaw: (query) => sessions.send({ kind: 'queryRaw', query }),
    executeRaw: (query) => sessions.send({ kind: 'executeRaw', query }),
    executeScript: async (sql) => {
      await sessions.send({ kind: 'exec', sql });
    },
    getConnectionInfo: () => ({ supportsRelationJoins: true }),
    dispose: async () => {},
    async startTransaction(isolationLevel?: IsolationLevel) {
      const transaction = await sessions.begin();
      const executeRaw = (query: SqlQuery) => transaction.send({ kind: 'executeRaw', query });
      if (isolationLevel) {
        const sql = `SET TRANSACTION ISOLATION LEVEL ${isolationLevel}`;
        await executeRaw({ sql, args: [], argTypes: [] }).catch(async (error) => {
          await transaction.rollback();
          throw error;
        });
      }
      return {
        ...identity,
        // COMMIT and ROLLBACK are sent here, not by Prisma, so that the next transaction does not have to wait for
        // both.
        options: { usePhantomQuery: true },
        queryRaw: (query) => transaction.send({ kind: 'queryRaw', query }),
        executeRaw,
        commit: transaction.commit,
        rollback: transaction.rollback,
      };
    },
  };
  return { ...identity, connect: async () => adapter };
}
