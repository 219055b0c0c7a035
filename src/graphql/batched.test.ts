import { expect, test } from 'vitest';
import type { Context } from '../context.ts';
import { batched } from './batched.ts';

test('loads the keys of one request in one batch without duplicates and returns null for a missing object', async () => {
  const calls: [Context, number[]][] = [];
  const load = batched(
    async (context: Context, keys: number[]) => {
      calls.push([context, keys]);
      return keys.filter((key) => key < 10).map((key) => ({ key }));
    },
    ({ key }) => key,
  );
  const [one, other] = [{}, {}] as [Context, Context];
  const rows = await Promise.all([load(one, 1), load(one, 99), load(one, 1), load(other, 2)]);
  expect(rows).toEqual([{ key: 1 }, null, { key: 1 }, { key: 2 }]);
  expect(calls).toEqual([
    [one, [1, 99]],
    [other, [2]],
  ]);
});

test('loads an object again on each later call, so that changes are visible', async () => {
  let version = 0;
  const load = batched(
    async (_context: Context, keys: string[]) => keys.map((key) => ({ key, version: ++version })),
    ({ key }) => key,
  );
  const context = {} as Context;
  expect([await load(context, 'a'), await load(context, 'a')]).toEqual([
    { key: 'a', version: 1 },
    { key: 'a', version: 2 },
  ]);
});

test('rejects all keys of a batch when loading fails', async () => {
  const load = batched(
    async () => Promise.reject(new Error('no database')),
    (row: string) => row,
  );
  const context = {} as Context;
  const results = await Promise.allSettled([load(context, 'a'), load(context, 'b')]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
