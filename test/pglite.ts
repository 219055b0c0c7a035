import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { marksOf } from './fingerprint.ts';

/**
 * Embedded databases for tests. Starting one takes about a second, so a worker keeps the databases of completed test
 * files, and resets them for the next file.
 */
interface Kept {
  lite: PGlite;
  /** The marks of each table in the state of the dump. */
  marks: Map<string, string>;
}

const idle: Kept[] = [];

/** Selects the writable columns of each table. */
const tablesStatement = `SELECT table_name AS name,
    string_agg(format('%I', column_name), ', ' ORDER BY ordinal_position) FILTER (WHERE is_generated = 'NEVER') AS columns
  FROM information_schema.tables JOIN information_schema.columns USING (table_schema, table_name)
  WHERE table_schema = 'public' AND table_type = 'BASE TABLE' GROUP BY 1`;

const tablesOf = async (lite: PGlite) => (await lite.query<{ name: string; columns: string }>(tablesStatement)).rows;

const marks = (lite: PGlite, tables: readonly { name: string }[]) =>
  marksOf(
    async (text) => (await lite.query<{ name: string; mark: string }>(text)).rows,
    tables.map(({ name }) => name),
  );

/** Dumps a database together with a copy of its rows for resetting it. */
export async function dumpOf(lite: PGlite): Promise<Blob> {
  const copies = (await tablesOf(lite)).map(({ name }) => `CREATE TABLE origin."${name}" AS TABLE "${name}";`);
  await lite.exec(`CREATE SCHEMA origin; ${copies.join('\n')}
    CREATE TABLE origin.sequences AS
      SELECT format('%I', sequencename) AS name, start_value, last_value FROM pg_sequences WHERE schemaname = 'public';`);
  return lite.dumpDataDir('none');
}

/** Returns a database in the state of the global setup, and a function that returns it when its server is closed. */
export async function takePGlite(): Promise<{ lite: PGlite; giveBack: () => Promise<void> }> {
  const { lite, marks } = idle.pop() ?? (await startPGlite());
  return { lite, giveBack: () => giveBack({ lite, marks }) };
}

/** Writes the files of a database from the dump that the global setup created. */
export async function unpackSnapshot(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const tar = spawn('tar', ['-xf', process.env.TEST_SNAPSHOT ?? '', '-C', folder], { stdio: 'ignore' });
  const [code] = await once(tar, 'exit');
  if (code !== 0) throw new Error(`tar ended with ${code}`);
}

async function startPGlite(): Promise<Kept> {
  const file = process.env.TEST_SNAPSHOT;
  if (!file) throw new Error('the global set-up did not run');
  const lite = await PGlite.create({ loadDataDir: new Blob([readFileSync(file)]) });
  // The tables of tests are small: planning a statement again for its values takes longer than the best plan saves.
  await lite.exec('SET plan_cache_mode = force_generic_plan');
  return { lite, marks: await marks(lite, await tablesOf(lite)) };
}

async function giveBack({ lite, marks: before }: Kept): Promise<void> {
  const tables = await tablesOf(lite);
  const now = await marks(lite, tables);
  const changed = tables.filter(({ name }) => now.get(name) !== before.get(name));
  // In replica mode, the triggers of the audit trail do not reject changes, and foreign keys impose no order.
  await lite.exec(`BEGIN; SET LOCAL session_replication_role = replica;
    ${changed.map(({ name }) => `DELETE FROM "${name}";`).join('\n')}
    ${changed.map(({ name, columns }) => `INSERT INTO "${name}" (${columns}) SELECT ${columns} FROM origin."${name}";`).join('\n')}
    SELECT setval(name, coalesce(last_value, start_value), last_value IS NOT NULL) FROM origin.sequences;
    COMMIT;`);
  // There is no autovacuum here.
  for (const { name } of changed) await lite.exec(`VACUUM "${name}"`);
  idle.push({ lite, marks: await marks(lite, tables) });
}
