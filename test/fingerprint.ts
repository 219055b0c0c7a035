import type { Database } from '../src/store/database.ts';

/** The columns of each table that a fingerprint reads: not what a use alone writes, nor what follows from another. */
const columnsStatement = `SELECT table_name AS name, array_agg(column_name::text ORDER BY ordinal_position) AS columns
  FROM information_schema.tables JOIN information_schema.columns USING (table_schema, table_name)
  WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN ('AuditEvent', '_prisma_migrations')
    AND column_name NOT IN ('search', 'lastUsedAt', 'lastUsedAddress')
    AND NOT (table_name = 'Token' AND column_name = 'updatedAt')
  GROUP BY 1`;

/** Of all rows of a table: changed by any write, and cheap, since no column is read. */
const mark = 'coalesce(sum(hashtextextended(t.ctid::text || t.xmin::text, 0)), 0)::text AS mark';

/** Of all rows of a table: what is in them. */
const content = (name: string, columns: readonly string[]): string => {
  const values = columns.map((column) =>
    // A login session’s end moves with its use.
    name === 'Token' && column === 'expiresAt'
      ? `CASE WHEN t."kind" <> 'SESSION' THEN t."expiresAt" END`
      : `t."${column}"`,
  );
  const row = `md5(ROW(${values.join(', ')})::text)`;
  return `coalesce(string_agg(${row}, ',' ORDER BY ${row}), '') AS content`;
};

const ofEach = (names: Iterable<string>, what: (name: string) => string): string =>
  [...names].map((name) => `SELECT '${name}' AS name, ${what(name)} FROM "${name}" t`).join(' UNION ALL ');

/** A mark of each of these tables, equal as long as nobody writes to it. */
export const marksOf = async (
  query: (text: string) => Promise<{ name: string; mark: string }[]>,
  tables: Iterable<string>,
): Promise<Map<string, string>> =>
  new Map((await query(ofEach(tables, () => mark))).map(({ name, mark }) => [name, mark]));

/** Reads all that is stored; of a table that nobody wrote to since the last time, only that nobody did. */
export function fingerprints({ query }: Database): () => Promise<string> {
  const seen = new Map<string, { mark: string; content: string }>();
  let columns: Map<string, string[]> | undefined;
  const ask = <Row>(text: string) => query<Row>({ name: '', text }, []);
  return async () => {
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
    // PostgreSQL may read the tables side by side, and tells them in the order in which they are done.
    return [...seen]
      .map(([name, { content }]) => `${name}:${content}`)
      .sort()
      .join('\n');
  };
}
