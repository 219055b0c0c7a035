import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Kit, startKit } from '../test/kit.ts';
import { AppError } from './errors.ts';
import { cut, ListOrder, ListOrders, type PageArgs, type SortKey } from './paging.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
  await kit.prisma.agent.deleteMany({ where: { id: { not: 0 } } });
});
afterAll(() => kit?.close());

/** The sort keys of agents in these tests. `iconName` identifies the run of a property. */
interface Row {
  id: number;
  description: string;
  displayPriority: number | null;
  searchStartDate: Date | null;
  createdAt: Date;
}

const id = (direction: 'asc' | 'desc'): SortKey => ({ field: 'id', type: 'int', direction });
const priority = (direction: 'asc' | 'desc'): SortKey => ({
  field: 'displayPriority',
  type: 'int',
  direction,
  nullable: true,
});
const start = (direction: 'asc' | 'desc'): SortKey => ({
  field: 'searchStartDate',
  type: 'date',
  direction,
  nullable: true,
});
const created = (direction: 'asc' | 'desc'): SortKey => ({ field: 'createdAt', type: 'date', direction });
const description = (direction: 'asc' | 'desc'): SortKey => ({ field: 'description', type: 'text', direction });

const orders: Record<string, SortKey[]> = {
  'one key': [id('asc')],
  'one key, downwards': [id('desc')],
  ties: [created('desc'), id('desc')],
  'ties, one up and one down': [created('asc'), id('desc')],
  'nulls and ties': [priority('asc'), id('asc')],
  'nulls and ties, downwards': [priority('desc'), id('desc')],
  'text and ties': [description('asc'), id('asc')],
  'text, nulls and ties, downwards': [description('desc'), start('asc'), id('desc')],
  'two keys with nulls': [start('desc'), priority('asc'), id('asc')],
  'two keys with nulls around one with ties': [priority('desc'), created('asc'), start('asc'), id('desc')],
};

/** The expected order, which is compared with the database: nulls last in both directions. */
function compare(keys: readonly SortKey[], a: Row, b: Row): number {
  for (const { field, direction } of keys) {
    const [left, right] = [a, b].map((row) => row[field as keyof Row]?.valueOf() ?? null) as [
      number | string | null,
      number | string | null,
    ];
    if (left === right) continue;
    if (left === null || right === null) return left === null ? 1 : -1;
    return left < right === (direction === 'asc') ? -1 : 1;
  }
  return 0;
}

const date = fc
  .constantFrom(
    '0001-01-01T00:00:00.000Z',
    '1969-12-31T23:59:59.999Z',
    '2024-02-29T12:00:00.001Z',
    '2024-02-29T12:00:00.002Z',
    '9999-12-31T23:59:59.999Z',
  )
  .map((text) => new Date(text));
const agents = fc.array(
  fc.record({
    displayPriority: fc.option(fc.constantFrom(-(2 ** 31), -1, 0, 1, 2, 2 ** 31 - 1)),
    searchStartDate: fc.option(date),
    createdAt: date,
    // Texts that every collation orders in the same way.
    description: fc.constantFrom('', 'a', 'aa', 'b', 'c'),
  }),
  { maxLength: 25 },
);

let runs = 0;
/** Stores the rows of one run and returns a function that reads their pages. */
async function stored(rows: Omit<Row, 'id'>[], keys: readonly SortKey[]) {
  const mark = `run ${++runs}`;
  await kit.prisma.agent.createMany({ data: rows.map((row) => ({ ...row, name: mark, iconName: mark })) });
  const order = new ListOrder('test', keys);
  return {
    all: (): Promise<Row[]> => kit.prisma.agent.findMany({ where: { iconName: mark } }),
    remove: (ids: number[]) => kit.prisma.agent.deleteMany({ where: { id: { in: ids } } }),
    async page(args: PageArgs) {
      const page = order.page(args, 100);
      const found = await kit.prisma.agent.findMany({
        ...page,
        where: { AND: [{ iconName: mark }, page.where] },
        select: { ...order.select, id: true },
      });
      const { rows, hasMore } = cut(found as unknown as Row[], page);
      const [start, end] = [rows[0], rows.at(-1)].map((row) => (row ? order.cursor({ ...row }) : null));
      return { ids: rows.map((row) => row.id), hasMore, start, end };
    },
  };
}

const sizes = fc.integer({ min: 1, max: 7 });
const sorted = (keys: readonly SortKey[], rows: Row[]) =>
  [...rows].sort((a, b) => compare(keys, a, b)).map((row) => row.id);

describe.each(Object.entries(orders))('%s', (_name, keys) => {
  it('returns every row exactly once and in order when paging forwards', async () => {
    await fc.assert(
      fc.asyncProperty(agents, sizes, async (rows, first) => {
        const list = await stored(rows, keys);
        const expected = sorted(keys, await list.all());
        const seen: number[] = [];
        let after: string | null = null;
        for (;;) {
          const page = await list.page({ first, after });
          seen.push(...page.ids);
          expect(page.hasMore).toBe(seen.length < expected.length);
          expect(page.ids.length).toBe(Math.min(first, expected.length - seen.length + page.ids.length));
          if (!page.hasMore) break;
          after = page.end ?? null;
        }
        expect(seen).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });

  it('returns the remaining rows exactly once when rows are deleted between pages, including the last row read', async () => {
    await fc.assert(
      fc.asyncProperty(agents, sizes, fc.array(fc.nat(24), { maxLength: 12 }), async (rows, first, goes) => {
        const list = await stored(rows, keys);
        const expected = sorted(keys, await list.all());
        const removed = new Set<number>();
        const seen: number[] = [];
        let after: string | null = null;
        for (let turn = 0; ; turn++) {
          const page = await list.page({ first, after });
          seen.push(...page.ids);
          if (!page.hasMore) break;
          after = page.end ?? null;
          const place = goes[turn];
          const gone = [page.ids.at(-1), place === undefined ? undefined : expected[place]].filter(
            (one) => one !== undefined,
          );
          for (const one of gone) removed.add(one);
          await list.remove(gone);
        }
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen).toEqual(expected.filter((one) => seen.includes(one)));
        // Only rows that were deleted before their page are missing.
        for (const one of expected) expect(seen.includes(one) || removed.has(one)).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('returns every row exactly once when paging backwards, with each page in the order of the list', async () => {
    await fc.assert(
      fc.asyncProperty(agents, sizes, async (rows, last) => {
        const list = await stored(rows, keys);
        const expected = sorted(keys, await list.all());
        const seen: number[] = [];
        let before: string | null = null;
        for (;;) {
          const page = await list.page({ last, before });
          expect(page.ids.length).toBe(Math.min(last, expected.length - seen.length));
          seen.unshift(...page.ids);
          expect(page.hasMore).toBe(seen.length < expected.length);
          if (!page.hasMore) break;
          before = page.start ?? null;
        }
        expect(seen).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  });

  it('returns the first and the last rows of the list between two cursors', async () => {
    await fc.assert(
      fc.asyncProperty(agents, fc.nat(24), fc.nat(24), sizes, async (rows, from, to, size) => {
        const list = await stored(rows, keys);
        const expected = sorted(keys, await list.all());
        const cursorOf = async (index: number) =>
          index < expected.length ? (await list.page({ first: 1, offset: index })).start : null;
        const [after, before] = [await cursorOf(from), await cursorOf(to)];
        const between = expected.slice(after == null ? 0 : from + 1, before == null ? expected.length : to);
        const first = await list.page({ first: size, after, before });
        expect(first.ids).toEqual(between.slice(0, size));
        expect(first.hasMore).toBe(between.length > size);
        const last = await list.page({ last: size, after, before });
        expect(last.ids).toEqual(between.slice(-size));
        expect(last.hasMore).toBe(between.length > size);
        expect((await list.page({ last: 0, after, before })).ids).toEqual([]);
      }),
      { numRuns: 8 },
    );
  });

  it('returns pages of the same order when paging by offset', async () => {
    await fc.assert(
      fc.asyncProperty(agents, sizes, async (rows, first) => {
        const list = await stored(rows, keys);
        const expected = sorted(keys, await list.all());
        for (let offset = 0; offset <= expected.length; offset += first) {
          const page = await list.page({ first, offset });
          expect(page.ids).toEqual(expected.slice(offset, offset + first));
          expect(page.hasMore).toBe(offset + first < expected.length);
        }
      }),
      { numRuns: 5 },
    );
  });
});

describe('cursors', () => {
  const mixed = new ListOrder('mixed', [start('desc'), priority('asc'), id('asc')]);
  const refusal = (work: () => unknown): AppError => {
    try {
      work();
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
    throw new Error('nothing was refused');
  };

  it('are accepted by their own list only, and rejected by another list with the same keys', () => {
    fc.assert(
      fc.property(
        fc.option(date),
        fc.option(fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 })),
        fc.nat(2 ** 31 - 1),
        (searchStartDate, displayPriority, number) => {
          const after = mixed.cursor({ searchStartDate, displayPriority, id: number });
          expect(after).toMatch(/^[\w-]+$/);
          expect(mixed.page({ after }, 100).where).not.toEqual({});
          const other = new ListOrder('other', [start('desc'), priority('asc'), id('asc')]);
          expect(refusal(() => other.page({ after }, 100)).details.fields).toEqual([
            { path: ['after'], message: 'is not a cursor of this list' },
          ]);
        },
      ),
    );
  });

  it('that are longer than the maximum are rejected without being parsed', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const long = Buffer.from(`["mixed",${'0,'.repeat(100_000)}0]`).toString('base64url');
    expect(refusal(() => mixed.page({ after: long }, 100)).details.fields).toEqual([
      { path: ['after'], message: 'is not a cursor of this list' },
    ]);
    expect(parse).not.toHaveBeenCalled();
    parse.mockRestore();
  });

  it('with any other content are rejected, and the error names the argument', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          fc.json(),
          fc.array(fc.jsonValue()).map((values) => JSON.stringify(['mixed', ...values])),
        ),
        fc.boolean(),
        (text, encoded) => {
          const after = encoded ? Buffer.from(text).toString('base64url') : text;
          let read: unknown;
          try {
            read = mixed.page({ after }, 100).where;
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
            expect((error as AppError).details.fields?.[0]?.path).toEqual(['after']);
            return;
          }
          // The condition contains only values that the columns can store.
          expect(JSON.stringify(read)).toMatch(/"OR"/);
          const [, began, place, number] = JSON.parse(Buffer.from(after, 'base64url').toString());
          expect(began === null || !Number.isNaN(Date.parse(began))).toBe(true);
          expect(place === null || Number.isInteger(place)).toBe(true);
          expect(Number.isInteger(number)).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('with a date that PostgreSQL cannot store are rejected', () => {
    const dated = new ListOrder('dated', [created('asc'), id('asc')]);
    const of = (text: unknown) => Buffer.from(JSON.stringify(['dated', text, 1])).toString('base64url');
    expect(dated.page({ after: of('2024-02-29T00:00:00.000Z') }, 100).where).not.toEqual({});
    for (const text of [
      '0000-01-01T00:00:00.000Z',
      '2023-02-29T00:00:00.000Z',
      '2024-02-29T00:00:00Z',
      '+010000-01-01T00:00:00.000Z',
      '-000001-01-01T00:00:00.000Z',
      '2024-02-29T24:00:00.000Z',
      '2024-02-29',
      'x',
      '',
      0,
      null,
      {},
    ])
      expect(refusal(() => dated.page({ after: of(text) }, 100)).code, String(text)).toBe('BAD_USER_INPUT');
  });

  it('a page has the requested length up to the limit, and one additional row is read', () => {
    for (const [first, take] of [
      [undefined, 21],
      [null, 21],
      [0, 1],
      [1, 2],
      [100, 101],
      [101, 101],
      [2 ** 31 - 1, 101],
    ])
      expect(mixed.page({ first }, 100).take).toBe(take);
    for (const [last, take] of [
      [0, -1],
      [1, -2],
      [101, -101],
    ])
      expect(mixed.page({ last }, 100).take).toBe(take);
  });

  it('arguments that are out of range or cannot be combined are rejected, and the error names them', () => {
    for (const args of [
      { first: -1 },
      { last: -1 },
      { offset: -1 },
      { last: 1, first: 1 },
      { offset: 0, after: 'x' },
      { offset: 0, before: 'x' },
      { offset: 0, last: 1 },
      { before: 'x' },
    ])
      expect(refusal(() => mixed.page(args, 100)).details.fields?.[0]?.path).toEqual([Object.keys(args)[0]]);
  });

  it('with text that PostgreSQL cannot store are rejected', () => {
    const named = new ListOrder('named', [description('asc'), id('asc')]);
    const of = (text: unknown) => Buffer.from(JSON.stringify(['named', text, 1])).toString('base64url');
    expect(named.page({ before: of('a') }, 100).where).not.toEqual({});
    for (const text of ['a\0', '\ud800', null, 1])
      expect(refusal(() => named.page({ before: of(text) }, 100)).details.fields?.[0]?.path).toEqual(['before']);
  });

  it('belong to one order of a list, and are rejected by its other orders', () => {
    const orders = new ListOrders(
      'agents',
      { CREATED_AT: [created('asc'), id('asc')], NAME: [description('asc'), id('asc')] },
      { field: 'CREATED_AT', direction: 'DESC' },
    );
    expect(orders.default).toBe(orders.of({ field: 'CREATED_AT', direction: 'DESC' }));
    expect(orders.default.page({}, 1).orderBy).toEqual([{ createdAt: 'desc' }, { id: 'desc' }]);
    const row = { createdAt: new Date(0), description: 'a', id: 1 };
    const all = (['CREATED_AT', 'NAME'] as const).flatMap((field) =>
      (['ASC', 'DESC'] as const).map((direction) => orders.of({ field, direction })),
    );
    for (const order of all)
      for (const other of all) {
        const read = () => other.page({ after: order.cursor(row) }, 1).where;
        if (order === other) expect(read()).not.toEqual({});
        else expect(refusal(read).details.fields?.[0]?.path).toEqual(['after']);
      }
  });
});
