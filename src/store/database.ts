import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { PrismaClient } from '../generated/prisma/client.ts';
import { type Alone, lockDatabase, lockFolder } from './alone.ts';
import { migrate, type SqlSession } from './migrate.ts';

/** A statement for the roads on which Prisma costs too much or cannot say what is meant. Named ones are prepared. */
export interface Statement {
  name: string;
  text: string;
}

/** What services use of the database: Prisma, and plain SQL on the same connections. */
export interface Database {
  prisma: PrismaClient;
  /** Runs one statement outside any transaction of Prisma's. */
  query<Row>(statement: Statement, values: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  databaseUrl?: string | undefined;
  /** Where PGlite keeps its files. Not used with `databaseUrl`; in memory when neither is given. */
  dataDir?: string | undefined;
  /** A PGlite that is open and migrated, instead of one's own; its owner closes it. For tests. */
  pglite?: PGlite | undefined;
  /** Called with the text of every statement that is sent. For tests that count them. */
  onStatement?: ((text: string) => void) | undefined;
}

/** A loaded machine is slow, not broken: a transaction waits and works this long before it is given up. Milliseconds. */
const transactionOptions = { maxWait: 15_000, timeout: 30_000 };

/** Opens the database and migrates it. Throws when another instance uses it and does not go away. */
export function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.databaseUrl ? openPostgres(options.databaseUrl, options) : openPGlite(options);
}

async function openPGlite({ dataDir, pglite, onStatement }: DatabaseOptions): Promise<Database> {
  let alone: Alone | undefined;
  if (dataDir) {
    mkdirSync(dataDir, { recursive: true });
    alone = await lockFolder(dataDir);
  }
  const lite = pglite ?? (await PGlite.create(dataDir ? { dataDir: join(dataDir, 'pglite') } : {}));
  const unobserve = onStatement && observe(lite, onStatement);
  const session: SqlSession = {
    exec: (sql) => lite.exec(sql),
    query: async <Row>(sql: string, values?: unknown[]) => (await lite.query<Row>(sql, values)).rows,
  };
  if (!pglite) await migrate(session);
  const prisma = new PrismaClient({ adapter: new PrismaPGlite(lite), transactionOptions });
  return {
    prisma,
    query: async <Row>({ text }: Statement, values: unknown[]) => (await lite.query<Row>(text, values)).rows,
    close: async () => {
      await prisma.$disconnect();
      unobserve?.();
      if (!pglite && !lite.closed) await lite.close();
      await alone?.release();
    },
  };
}

async function openPostgres(databaseUrl: string, { onStatement }: DatabaseOptions): Promise<Database> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  // An idle connection that the server closes must not end this process; the pool opens another.
  pool.on('error', () => {});
  if (onStatement) pool.on('connect', (connection) => observe(connection, onStatement));
  const alone = await lockDatabase(databaseUrl).catch(async (error: unknown) => {
    await pool.end();
    throw error;
  });
  const client = await pool.connect();
  try {
    await migrate({
      exec: (sql) => client.query(sql),
      query: async <Row>(sql: string, values?: unknown[]) => (await client.query(sql, values)).rows as Row[],
    });
  } finally {
    client.release();
  }
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool, { statementNameGenerator: statementName() }),
    transactionOptions,
  });
  return {
    prisma,
    query: async <Row>({ name, text }: Statement, values: unknown[]) =>
      (await pool.query({ name, text, values })).rows as Row[],
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
      await alone.release();
    },
  };
}

/** One short name for each text that Prisma sends, so that PostgreSQL plans it once a connection. */
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

/** Returns what ends it. */
function observe(connection: { query: unknown }, onStatement: (text: string) => void): () => void {
  const original = connection.query as (...args: unknown[]) => unknown;
  connection.query = (...args: unknown[]) => {
    const [first] = args;
    onStatement(typeof first === 'string' ? first : ((first as { text?: string } | undefined)?.text ?? ''));
    return original.apply(connection, args);
  };
  return () => {
    connection.query = original;
  };
}
