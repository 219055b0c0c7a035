import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { DatabaseUnavailableError } from '../../errors.ts';
import { PrismaClient } from '../../generated/prisma/client.ts';
import { type Database, type OpenOptions, type Statement, transactionOptions } from '../database.ts';
import { lockFolder } from '../folder-lock.ts';
import { migrate } from '../migrate.ts';
import { withCompiledReads } from '../reads/client.ts';
import { asked, reportingUnavailable } from '../unavailable.ts';
import { pgliteAdapter } from './adapter.ts';
import { type Engine, openEngine } from './engine.ts';
import { createSessions } from './sessions.ts';

/**
 * Returns an engine for a PGlite in this thread. The owner of the PGlite must close it; closing the engine only ends
 * its use.
 */
async function engineOf(lite: PGlite): Promise<Engine> {
  const { createRunner } = await import('./runner.ts');
  const session = { send: await createRunner(lite), open: true };
  return {
    async session() {
      if (!session.open) throw new DatabaseUnavailableError('the database is closed');
      return session;
    },
    get open() {
      return session.open;
    },
    async close() {
      session.open = false;
    },
  };
}

/** Opens the embedded database and migrates it. Throws StartupError. */
export async function openPGlite(options: OpenOptions): Promise<Database> {
  const { dataDir, pglite, log, statementTimeoutMs, onStatement, onLockLost } = options;
  const lock = dataDir ? await lockFolder(dataDir, onLockLost && { onLost: onLockLost }) : null;
  const closing: (() => Promise<void>)[] = lock ? [lock.release] : [];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    if (!pglite && !dataDir) throw new Error('an embedded database has a folder');
    const folder = join(dataDir ?? '', 'pglite');
    const engine = pglite ? await engineOf(pglite) : await openEngine({ folder, log, statementTimeoutMs });
    closing.push(engine.close);
    const sessions = createSessions(engine, onStatement);
    const query = async <Row>(sql: string, values: unknown[] = []) =>
      (await sessions.send({ kind: 'query', sql, values })) as Row[];
    if (!pglite) await migrate({ exec: (sql) => sessions.send({ kind: 'exec', sql }), query });
    const adapter = reportingUnavailable(pgliteAdapter(sessions));
    const prisma = new PrismaClient({ adapter, transactionOptions });
    closing.push(() => prisma.$disconnect());
    return {
      prisma: withCompiledReads(prisma, ({ text }, values) => asked(() => query(text, values))),
      query: <Row>({ text }: Statement, values: unknown[]) => asked(() => query<Row>(text, values)),
      connections: sessions.connections,
      // A statement can keep the database busy for a while, so an open database counts as reachable.
      reachable: async () => engine.open,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
