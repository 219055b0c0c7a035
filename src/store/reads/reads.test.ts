import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownDatabase } from '../../../test/kit.ts';
import { RandomReads } from '../../../test/random-reads.ts';
import { insertRandomRows, lower, type Rows } from '../../../test/random-rows.ts';
import { seeded } from '../../../test/seeded.ts';
import { DatabaseUnavailableError } from '../../errors.ts';
import { Prisma } from '../../generated/prisma/client.ts';
import { type Database, openDatabase } from '../database.ts';
import type { ReadMethod } from './compile.ts';
import { models } from './models.ts';

type Client = Record<string, Record<ReadMethod, (args: object) => Promise<unknown>>>;

let db: Database;
let drop: () => Promise<void>;
let statements: string[] = [];
let rows: Rows;

beforeAll(async () => {
  const own = await ownDatabase();
  drop = own.drop;
  db = await openDatabase({ ...own.options, onStatement: (text) => statements.push(text) });
});

afterAll(async () => {
  await db.close();
  await drop();
});

/** Prisma encloses its aliases in quotes. */
const isCompiled = (text: string) => text.includes(' AS r ');

/** Returns the result of Prisma's own method, which a transaction uses. */
const throughPrisma = (model: string, method: ReadMethod, args: object): Promise<unknown> =>
  db.prisma.$transaction((transaction) => (transaction as unknown as Client)[lower(model)]?.[method](args) as never);

async function read(model: string, method: ReadMethod, args: object): Promise<{ result: unknown; texts: string[] }> {
  statements = [];
  const result = await (db.prisma as unknown as Client)[lower(model)]?.[method](args);
  return { result, texts: statements.filter((text) => text.includes('FROM')) };
}

/** Expects that a read is one statement of the compiler and has the result of Prisma. */
async function expectEqual(model: string, method: ReadMethod, args: object): Promise<void> {
  const { result, texts } = await read(model, method, args);
  const described = () => `${model}.${method}(${shown(args)})\n${texts.join('\n')}`;
  expect(texts.map(isCompiled), described()).toEqual([true]);
  expect(result, described()).toStrictEqual(await throughPrisma(model, method, args));
}

const shown = (args: object) =>
  JSON.stringify(args, (_, value) => (typeof value === 'bigint' ? `${value}n` : value), 1);

it('random reads of each model have the result of Prisma', { timeout: 60_000 }, async () => {
  const chance = seeded();
  rows = await insertRandomRows(db, chance, 8);
  const reads = new RandomReads(chance, rows);
  for (const name of models.keys()) {
    expect(rows.get(name)?.length, name).toBeGreaterThan(0);
    for (let round = 0; round < 3; round++) {
      await expectEqual(name, 'findMany', reads.many(name));
      await expectEqual(name, 'findUnique', reads.unique(name));
      await expectEqual(name, 'count', { where: reads.where(name, 2) });
      const { take: _, ...first } = reads.many(name);
      await expectEqual(name, 'findFirst', first);
    }
  }
});

const errorOf = (result: Promise<unknown>): Promise<Prisma.PrismaClientKnownRequestError> =>
  result.then(
    () => expect.fail('no error'),
    (error) => error,
  );

const nobody = '00000000-0000-4000-8000-000000000000';

describe('compiled reads have the result of Prisma', () => {
  const cases: [string, string, ReadMethod, object][] = [
    ['an empty where', 'User', 'findMany', { where: {}, orderBy: { id: 'asc' } }],
    ['undefined values', 'User', 'findMany', { where: { name: undefined, AND: undefined }, orderBy: { id: 'asc' } }],
    ['AND with empty members', 'User', 'count', { where: { AND: [{}, { AND: [] }, { active: true }] } }],
    ['OR with an empty member', 'User', 'count', { where: { OR: [{}, { email: 'a' }] } }],
    ['NOT with empty members', 'User', 'count', { where: { NOT: [{}], AND: { NOT: {} } } }],
    ['an empty filter of a column', 'User', 'count', { where: { bio: {} } }],
    ['an empty filter of a relation', 'Agent', 'count', { where: { owner: {}, shares: {}, labels: { some: {} } } }],
    ['an empty list of values', 'User', 'count', { where: { OR: [{ id: { in: [] } }, { role: { notIn: [] } }] } }],
    ['take without an order', 'Label', 'findMany', { take: -2 }],
    ['take 0', 'Label', 'findMany', { take: 0 }],
    ['a required row', 'Label', 'findFirstOrThrow', { orderBy: { id: 'desc' } }],
    ['a missing row', 'User', 'findUnique', { where: { id: nobody } }],
    ['no arguments', 'Label', 'count', {}],
  ];
  it.each(cases)('for %s', async (_, model, method, args) => expectEqual(model, method, args));

  it('for values that another statement of the same shape had', async () => {
    for (const take of [1, 5, 2]) await expectEqual('Label', 'findMany', { take, orderBy: { id: 'asc' } });
    for (const isPublic of [true, false]) await expectEqual('Agent', 'count', { where: { isPublic } });
    for (const kinds of [['API_KEY'], ['PERSONAL', 'PROJECT'], []])
      await expectEqual('Token', 'count', { where: { kind: { in: kinds } } });
  });
});

describe('Prisma performs', () => {
  const cases: [string, string, ReadMethod, object][] = [
    ['a read with distinct', 'Agent', 'findMany', { distinct: ['chatMode'], orderBy: { id: 'asc' } }],
    ['an order by a relation', 'Agent', 'findMany', { orderBy: [{ owner: { email: 'asc' } }, { id: 'asc' }] }],
    ['a read from a cursor', 'Label', 'findMany', { cursor: { id: 1 }, orderBy: { id: 'asc' } }],
    ['a filter on JSON', 'Setting', 'findMany', { where: { value: { path: ['a'], equals: 1 } } }],
    ['an OR without members', 'Label', 'count', { where: { OR: [] } }],
    ['an OR with a member that has no condition', 'Label', 'count', { where: { OR: [{ AND: [{}] }, { id: 1 }] } }],
    ['a nested OR without members', 'Label', 'count', { where: { AND: [{ OR: [] }] } }],
    ['a count with a range', 'Label', 'count', { take: 2 }],
  ];
  it.each(cases)('%s', async (_, model, method, args) => {
    const { result, texts } = await read(model, method, args);
    expect(texts.filter(isCompiled)).toEqual([]);
    expect(result).toStrictEqual(await throughPrisma(model, method, args));
  });

  it('reads with arguments and values that it rejects', async () => {
    const rejected: [string, ReadMethod, object][] = [
      ['Label', 'findMany', { where: { title: 'x' } }],
      ['Label', 'findUnique', { where: { name: { not: 'x' } } }],
      ['Label', 'findUnique', { where: {} }],
      ['Label', 'findMany', { where: { id: 2 ** 40 } }],
      ['Label', 'findMany', { where: { id: '1' } }],
      ['Label', 'findMany', { where: { name: null } }],
      ['Label', 'findMany', { where: { name: 'a\0b' } }],
      ['User', 'findMany', { where: { id: 'not a UUID' } }],
      ['User', 'findMany', { where: { role: 'OWNER' } }],
      ['User', 'findMany', { where: { createdAt: new Date(Number.NaN) } }],
      ['User', 'findMany', { select: {} }],
      ['User', 'findMany', { select: { id: true }, include: { agents: true } }],
    ];
    for (const [model, method, args] of rejected) {
      const error = await errorOf(read(model, method, args));
      const original = await errorOf(throughPrisma(model, method, args));
      expect(error, shown(args)).toBeInstanceOf(Error);
      expect([error.name, error.code], shown(args)).toEqual([original.name, original.code]);
    }
  });
});

describe('single rows', () => {
  it('that are read in the same tick are one statement', async () => {
    const users = await db.prisma.user.findMany({ orderBy: { id: 'asc' } });
    statements = [];
    const results = await Promise.all(
      [...users, ...users].map(({ id }) => db.prisma.user.findUnique({ where: { id: id.toUpperCase() } })),
    );
    expect(results).toStrictEqual([...users, ...users]);
    expect(new Set(results).size).toBe(results.length);
    expect(statements).toHaveLength(1);
  });

  it('are separate statements when their selections have other values', async () => {
    const labels = await db.prisma.label.findMany({ orderBy: { id: 'asc' } });
    const agentsOf = (id: number, name: string) =>
      db.prisma.label.findUniqueOrThrow({ where: { id }, select: { id: true, agents: { where: { name } } } });
    statements = [];
    const results = await Promise.all(labels.flatMap(({ id }) => [agentsOf(id, 'a'), agentsOf(id, 'b')]));
    expect(results.map(({ id }) => id)).toEqual(labels.flatMap(({ id }) => [id, id]));
    expect(results.every(({ agents }, at) => agents.every(({ name }) => name === (at % 2 ? 'b' : 'a')))).toBe(true);
    expect(statements).toHaveLength(2);
  });

  it('that are required but do not exist are the error of Prisma', async () => {
    const [known] = await db.prisma.user.findMany({ take: 1 });
    const [first, second] = await Promise.allSettled(
      [known?.id ?? '', nobody].map((id) => db.prisma.user.findUniqueOrThrow({ where: { id } })),
    );
    const original = await errorOf(throughPrisma('User', 'findUniqueOrThrow', { where: { id: nobody } }));
    expect(first).toEqual({ status: 'fulfilled', value: known });
    const { reason } = second as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(Prisma.PrismaClientKnownRequestError);
    expect([reason.name, reason.code, reason.meta]).toEqual([original.name, original.code, original.meta]);
    await expect(db.prisma.user.findFirstOrThrow({ where: { id: nobody } })).rejects.toMatchObject({ code: 'P2025' });
  });
});

it('throws DatabaseUnavailableError when the database does not respond', async () => {
  const own = await ownDatabase();
  const other = await openDatabase(own.options);
  await other.close();
  await expect(other.prisma.user.findMany({ take: 1 })).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await own.drop();
});
