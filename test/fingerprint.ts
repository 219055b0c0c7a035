import type { Database } from '../src/store/database.ts';

/**
 * Selects the columns of each table that a fingerprint reads, without those that a mere use changes and those that are
 * derived.
 */
const columnsStatement = `SELECT table_name AS name, array_agg(column_name::text ORDER BY ordinal_position) AS columns
  FROM information_schema.tables JOIN information_schema.columns USING (table_schema, table_name)
  WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN ('AuditEvent', '_prisma_migrations')
    AND column_name NOT IN ('search', 'lastUsedAt', 'lastUsedAddress')
    AND NOT (table_name = 'Token' AND column_name = 'updatedAt')
  GROUP BY 1`;

/** Selects a value that changes when a transaction that wrote ends. */
const snapshotStatement = 'SELECT pg_current_snapshot()::text AS snapshot';

/** A value over all rows of a table that every write changes; cheap, since no column is read. */
const mark = 'coalesce(sum(hashtextextended(t.ctid::text || t.xmin::text, 0)), 0)::text AS mark';

/** A value over the content of all rows of a table. */
const content = (name: string, columns: readonly string[]): string => {
  const values = columns.map((column) =>
    // The expiry of a login session changes with each use.
    name === 'Token' && column === 'expiresAt'
      ? `CASE WHEN t."kind" <> 'SESSION' THEN t."expiresAt" END`
      : `t."${column}"`,
  );
  const row = `md5(ROW(${values.join(', ')})::text)`;
  return `coalesce(string_agg(${row}, ',' ORDER BY ${row}), '') AS content`;
};

const ofEach = (names: Iterable<string>, what: (name: string) => string): string =>
  [...names].map((name) => `SELECT '${name}' AS name, ${what(name)} FROM "${name}" t`).join(' UNION ALL ');

/** Returns a mark for each of these tables, which stays equal until a row is written. */
export const marksOf = async (
  query: (text: string) => Promise<{ name: string; mark: string }[]>,
  tables: Iterable<string>,
): Promise<Map<string, string>> =>
  new Map((await query(ofEach(tables, () => mark))).map(({ name, mark }) => [name, mark]));

/** Returns a function that calls another one, or returns its last result when nothing was written since. */
export function readAfterWrites<Result>({ query }: Database, read: () => Promise<Result>): () => Promise<Result> {
  let last: { snapshot: string; result: Result } | undefined;
  return async () => {
    // Taken first, so that a write during the reading makes the next call read again.
    const [row] = await query<{ snapshot: string }>({ name: '', text: snapshotStatement }, []);
    const snapshot = row?.snapshot ?? '';
    if (last?.snapshot !== snapshot) last = { snapshot, result: await read() };
    return last.result;
  };
}

/**
 * Returns a function that reads everything that is stored; tables without writes since the last call are not read
 * again.
 */
export function fingerprints(db: Database): () => Promise<string> {
  const { query } = db;
  const seen = new Map<string, { mark: string; content: string }>();
  let columns: Map<string, string[]> | undefined;
  const ask = <Row>(text: string) => query<Row>({ name: '', text }, []);
  return readAfterWrites(db, async () => {
    columns ??= new Map(
      (await ask<{ name: string; columns: string[] }>(columnsStatement)).map(({ name, columns }) => [name, columns]),
    );
    const marks = await marksOf(ask, columns.keys());
    const changed = [...columns].filter(([name]) => seen.get(name)?.mark !== marks.get(name));
    if (changed.length > 0) {
      const columnsOf = new Map(changed);
      const text = ofEach(columnsOf.keys(), (name) => `${mark}, ${content(name, columnsOf.get(name) ?? [])}`);
      for (const { name, ...table } of await ask<{ name: string; mark: string; content: string }>(text))
        seen.set(name, table);
    }
    // PostgreSQL may read the tables in parallel and return them in any order.
    return [...seen]
      .map(([name, { content }]) => `${name}:${content}`)
      .sort()
      .join('\n');
  });
}
