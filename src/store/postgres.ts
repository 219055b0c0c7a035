import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import { type Database, type OpenOptions, type Statement, transactionOptions } from './database.ts';
import { type DatabaseLock, lockDatabase } from './database-lock.ts';
import { databaseProblem } from './database-problem.ts';
import { migrate } from './migrate.ts';
import { Connection, connectionOptions, keepTraces } from './pg-connection.ts';
import { withCompiledReads } from './reads/client.ts';
import { asked, reportingUnavailable } from './unavailable.ts';

type PostgresOptions = OpenOptions & { databaseUrl: string };

/**
 * Additional time after the statement timeout, in milliseconds. The client then abandons a statement that PostgreSQL
 * should have ended.
 */
const graceMs = 5_000;

/** Connects to PostgreSQL, locks the database for this process and migrates it. Throws StartupError. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { databaseUrl, log, onLockLost, isShared = false } = options;
  const lock = await lockDatabase(databaseUrl, { log, isShared, ...(onLockLost && { onLost: onLockLost }) });
  try {
    await migrateDatabase(databaseUrl);
  } catch (error) {
    await lock.release();
    throw error;
  }
  return withPool(openPool(options), lock);
}

function openPool({ databaseUrl, statementTimeoutMs, onStatement }: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    ...connectionOptions(databaseUrl),
    Client: Connection as new () => pg.Client,
    max: 10,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + graceMs,
    // Compiling a statement takes PostgreSQL 50 ms and more, longer than any statement of the server runs. It does so
    // when it expects a high cost, such as for a list with its relations in a table without statistics.
    onConnect: async (connection) => void (await connection.query('SET jit = off')),
  });
  keepTraces(pool);
  // The pool opens another connection to replace an idle one that was lost.
  pool.on('error', () => {});
  pool.on('release', (_error, client) => {
    // A transaction that could not be ended, for any reason, must not be continued by another caller.
    if (client.getTransactionStatus() !== 'I') void (client as pg.PoolClient & Connection).end();
  });
  if (onStatement) pool.on('connect', (connection) => observe(connection, onStatement));
  return pool;
}

function withPool(pool: pg.Pool, lock: DatabaseLock): Database {
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementName() });
  const prisma = new PrismaClient({ adapter: reportingUnavailable(adapter, lock.held), transactionOptions });
  const query = <Row>({ name, text }: Statement, values: unknown[]): Promise<Row[]> =>
    asked(async () => {
      await lock.held();
      return (await pool.query({ name, text, values })).rows as Row[];
    });
  return {
    prisma: withCompiledReads(prisma, query),
    query,
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    reachable: lock.check,
    close: async () => {
      await prisma.$disconnect();
      if (!pool.ending) await pool.end();
      await lock.release();
    },
  };
}

/**
 * Migrates the database on a connection without a statement timeout, because a migration can take longer than a
 * statement.
 */
async function migrateDatabase(databaseUrl: string): Promise<void> {
  const client = new Connection(connectionOptions(databaseUrl));
  try {
    await client.connect();
    await migrate({
      exec: (sql) => client.query(sql),
      query: async <Row>(sql: string, values?: unknown[]) => (await client.query(sql, values)).rows as Row[],
    });
  } catch (error) {
    throw databaseProblem(error, databaseUrl);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Returns a short name for each statement text of Prisma, so that PostgreSQL plans it once per connection. */
function statementName() {
  const names = new Map<string, string>();
  return ({ sql }: { sql: string }) => {
    let name = names.get(sql);
    if (!name) {
      name = `prisma_${names.size}`;
      names.set(sql, name);
    }
    return name;
  };
}

function observe(connection: { query: unknown }, onStatement: NonNullable<OpenOptions['onStatement']>): void {
  const original = connection.query as (...args: unknown[]) => unknown;
  connection.query = (...args: unknown[]) => {
    const [first] = args;
    const statement = typeof first === 'string' ? { text: first } : (first as { text?: string; values?: unknown[] });
    const [, values] = args;
    onStatement(statement?.text ?? '', statement?.values ?? (Array.isArray(values) ? values : []));
    return original.apply(connection, args);
  };
}
