import type { PGlite, QueryOptions } from '@electric-sql/pglite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { takePGlite } from '../../../test/pglite.ts';
import { maxPrepared, type PreparedStatements, preparedStatements } from './prepared.ts';

let lite: PGlite;
let statements: PreparedStatements;

beforeAll(async () => {
  // Not given back: its schema changes.
  ({ lite } = await takePGlite());
  await lite.exec(`CREATE TABLE "note" ("id" int PRIMARY KEY, "text" text, "tags" text[], "data" jsonb, "at" timestamptz);
    INSERT INTO "note" SELECT n, 'note ' || n, ARRAY['a', 'b'], '{"n": 1}', now() FROM generate_series(1, 9) n`);
  statements = preparedStatements(lite);
});
afterAll(() => lite?.close());

/** Returns the number of statements that PostgreSQL keeps prepared. */
const prepared = async (): Promise<number> => {
  const { rows } = await lite.query<{ count: number }>('SELECT count(*)::int AS "count" FROM pg_prepared_statements');
  return rows[0]?.count ?? -1;
};

it('returns what PGlite returns, at the first and at every later execution', async () => {
  const cases: [string, unknown[]][] = [
    ['SELECT * FROM "note" WHERE "id" < $1 ORDER BY "id"', [4]],
    [
      'SELECT $1::int[] AS a, $2::timestamptz AS b, $3::jsonb AS c, $4::bytea AS d, $5::bigint AS e, $6::text AS f',
      [[1, 2], new Date(0), { a: [1, null] }, Uint8Array.from([0, 255]), 2n ** 60n, null],
    ],
    ['UPDATE "note" SET "text" = $1 WHERE "id" > $2', ['changed', 5]],
    ['INSERT INTO "note" ("id") SELECT $1::int WHERE false RETURNING "id"', [1]],
    ['DELETE FROM "note" WHERE "id" = $1', [100]],
    ['WITH "first" AS (SELECT min("id") AS "id" FROM "note") SELECT "id" FROM "first"', []],
  ];
  const numbers = (name: string) => ({ 23: (text: string) => `${name} ${text}` });
  const optionsOf: (QueryOptions | undefined)[] = [
    undefined,
    { rowMode: 'array' },
    { parsers: numbers('int') },
    { rowMode: 'array', parsers: numbers('number') },
  ];
  for (const [sql, values] of cases)
    for (const options of optionsOf)
      for (let time = 0; time < 8; time++)
        expect(await statements.query(sql, values, options), sql).toEqual(await lite.query(sql, values, options));
});

it('returns the error of a statement, and continues with the next statement', async () => {
  const invalid: [string, unknown[], string][] = [
    ['SELECT 1 / $1::int', [0], '22012'],
    ['SELECT "missing" FROM "note"', [], '42703'],
    ['SELECT $1::int', ['one'], '22P02'],
    ['INSERT INTO "note" ("id") VALUES ($1)', [1], '23505'],
    ['SELECT', ['one value too many'], '08P01'],
  ];
  for (const [sql, values, code] of [...invalid, ...invalid]) {
    await expect(statements.query(sql, values), sql).rejects.toMatchObject({ code });
    expect((await statements.query('SELECT $1::int + 1 AS "sum"', [1])).rows).toEqual([{ sum: 2 }]);
  }
});

it('executes statements that were prepared in a transaction that was rolled back', async () => {
  const sql = 'SELECT count(*)::int AS "count" FROM "note" WHERE "text" = $1';
  await statements.query('BEGIN');
  await statements.query('UPDATE "note" SET "text" = $1', ['in a transaction']);
  expect((await statements.query(sql, ['in a transaction'])).rows).toEqual([{ count: 9 }]);
  await expect(statements.query('SELECT 1 / $1::int', [0])).rejects.toMatchObject({ code: '22012' });
  await expect(statements.query(sql, ['in a transaction'])).rejects.toMatchObject({ code: '25P02' });
  await statements.query('ROLLBACK');
  expect((await statements.query(sql, ['in a transaction'])).rows).toEqual([{ count: 0 }]);
});

it('returns columns with their new type after a statement or a script changed it', async () => {
  const sql = 'SELECT "id" FROM "note" WHERE "id" = 1';
  expect((await statements.query(sql)).rows).toEqual([{ id: 1 }]);
  await statements.query('ALTER TABLE "note" ALTER COLUMN "id" TYPE text');
  expect((await statements.query(sql.replace('1', "'1'"))).rows).toEqual([{ id: '1' }]);
  await lite.exec('ALTER TABLE "note" ALTER COLUMN "id" TYPE int USING "id"::int');
  await statements.forget();
  expect((await statements.query(sql)).rows).toEqual([{ id: 1 }]);
});

it('keeps a limited number of statements, and those that were used last', async () => {
  await statements.forget();
  const often = 'SELECT 0 AS "often"';
  for (let index = 0; index < 2 * maxPrepared; index++) {
    await statements.query(`SELECT ${index} AS "number"`);
    await statements.query(often);
  }
  expect(await prepared()).toBe(maxPrepared);
  const { rows } = await lite.query('SELECT FROM pg_prepared_statements WHERE statement = $1', [often]);
  expect(rows).toHaveLength(1);
  await statements.forget();
  expect(await prepared()).toBe(0);
});
