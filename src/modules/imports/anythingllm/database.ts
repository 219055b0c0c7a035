import initSqlJs from 'sql.js';
import type { z } from 'zod';
import { Unfit } from '../ledger.ts';
import type { Report } from '../report.ts';
import type { Folder } from './folder.ts';

/** Maximum size of the database in bytes, since it is loaded into memory. */
const maxBytes = 1024 ** 3;

const magic = Buffer.from('SQLite format 3\0', 'latin1');
const fileName = 'anythingllm.db';

/** AnythingLLM's database, opened read-only. */
export interface Source {
  /** Yields the rows of a table in the order of their IDs; no rows for a missing table. Reports invalid rows. */
  rows<Shape extends z.ZodType>(table: string, shape: Shape): Generator<z.output<Shape>, void, undefined>;
  /** Returns the number of rows of a table; 0 for a missing one. */
  count(table: string): number;
  /** Returns the value of a system setting. */
  setting(label: string): string | null;
  /** Returns the values of a column, for the report. */
  names(table: string, column: string): string[];
  close(): void;
}

/** Throws UnimportableError for a database that AnythingLLM has not finished writing. */
function refuseUnfinished(folder: Folder): void {
  for (const suffix of ['-wal', '-journal'])
    if (folder.has(fileName + suffix) && folder.read(maxBytes, fileName + suffix).length > 0)
      throw new Unfit('is being written to: stop AnythingLLM first; after a crash, start and stop it once more');
}

/**
 * Opens the database of a storage folder, or returns null for a folder without one. Throws UnimportableError for a file
 * that is not a database, for a database that AnythingLLM is writing to, and for one whose settings cannot be read,
 * since they identify the installation.
 */
export async function openSource(folder: Folder, report: Report): Promise<Source | null> {
  // Looks at the directory entry: a broken link is not the same as no database.
  if (!folder.list().some(({ name }) => name === fileName)) return null;
  refuseUnfinished(folder);
  const bytes = folder.read(maxBytes, fileName);
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new Unfit('is not an SQLite database');
  // Write-ahead logging needs additional files; here the log is empty or missing and can be ignored.
  if (bytes[18] === 2) bytes.fill(1, 18, 20);
  const { Database } = await initSqlJs();
  const db = new Database(bytes);

  /** Reports a database that is damaged in the middle. */
  function broken(table: string, error: unknown): void {
    report.leave(`table ${table}`, `cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }

  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
  function* objects(sql: string, table: string) {
    try {
      const statement = db.prepare(sql);
      try {
        while (statement.step()) yield statement.getAsObject();
      } finally {
        statement.free();
      }
    } catch (error) {
      broken(table, error);
    }
  }

  let tables: Set<string>;
  const settings = new Map<string, string>();
  try {
    const valuesOf = (sql: string) => db.exec(sql)[0]?.values ?? [];
    tables = new Set(valuesOf("SELECT name FROM sqlite_master WHERE type = 'table'").map(([name]) => String(name)));
    if (tables.has('system_settings'))
      for (const [label, value] of valuesOf('SELECT label, value FROM system_settings'))
        if (value != null) settings.set(String(label), String(value));
  } catch (error) {
    db.close();
    throw new Unfit(`cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }

  return {
    *rows(table, shape) {
      if (!tables.has(table)) return;
      for (const row of objects(`SELECT * FROM ${quoted(table)} ORDER BY id`, table)) {
        const read = shape.safeParse(row);
        if (read.success) yield read.data;
        else report.leave(`a row of ${table} (id ${String(row.id)})`, `has no ${read.error.issues[0]?.path.join('.')}`);
      }
    },
    count(table) {
      if (!tables.has(table)) return 0;
      for (const row of objects(`SELECT count(*) AS number FROM ${quoted(table)}`, table)) return Number(row.number);
      return 0;
    },
    setting: (label) => settings.get(label) ?? null,
    names: (table, column) =>
      tables.has(table)
        ? [...objects(`SELECT * FROM ${quoted(table)}`, table)].map((row) => String(row[column] ?? row.id ?? ''))
        : [],
    close: () => db.close(),
  };
}
