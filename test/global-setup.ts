import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { preparePages } from '../scripts/prepare.mjs';
import { createLog } from '../src/log.ts';
import { createAuditService } from '../src/modules/audit/audit.service.ts';
import { createKnowledgeService } from '../src/modules/knowledge/knowledge.service.ts';
import { ingestGuide } from '../src/modules/knowledge/seed-documents.ts';
import { createBackground } from '../src/store/background.ts';
import { type Database, openDatabase } from '../src/store/database.ts';
import { migrate } from '../src/store/migrate.ts';
import { dumpOf } from './pglite.ts';
import { testUrl } from './test-url.ts';

/**
 * Creates the migrated database that every test file starts from: a dump of a PGlite, or a template database on the
 * PostgreSQL in DATABASE_URL. Passed to the workers through the environment.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await preparePages();
  const server = process.env.DATABASE_URL;
  const ends = [await snapshot(), ...(server ? [await templateDatabase(server)] : [])];
  return async () => {
    for (const end of ends) await end();
  };
}

/** Ingests the documents that every server ingests at startup, once for all of them. */
async function guide(db: Database): Promise<void> {
  const log = createLog('silent');
  const audit = createAuditService(db, createBackground(log), log);
  await ingestGuide(db, createKnowledgeService({ db, audit, embedder: null }), testUrl);
}

async function snapshot(): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  const lite = await PGlite.create();
  await migrate({
    exec: (sql) => lite.exec(sql),
    query: async <Row>(sql: string, values?: unknown[]) => (await lite.query<Row>(sql, values)).rows,
  });
  const db = await openDatabase({ pglite: lite });
  await guide(db);
  await db.close();
  const dump = await dumpOf(lite);
  await lite.close();
  const file = join(folder, 'migrated.tar');
  writeFileSync(file, Buffer.from(await dump.arrayBuffer()));
  process.env.TEST_SNAPSHOT = file;
  return async () => rmSync(folder, { recursive: true, force: true });
}

async function templateDatabase(server: string): Promise<() => Promise<void>> {
  const name = `latchkey_template_${process.pid}`;
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  await migrate({
    exec: (sql) => client.query(sql),
    query: async <Row>(sql: string, values?: unknown[]) => (await client.query(sql, values)).rows as Row[],
  });
  await client.end();
  const db = await openDatabase({ databaseUrl: url.href });
  await guide(db);
  await db.close();
  process.env.TEST_TEMPLATE = name;
  return async () => {
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.end();
  };
}
