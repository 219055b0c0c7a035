import type { Prisma } from '../src/generated/prisma/client.ts';
import type { Database } from '../src/store/database.ts';
import { type Column, type Model, models } from '../src/store/reads/models.ts';
import type { Chance } from './seeded.ts';

/** Texts with the characters that quoting and patterns treat specially. */
const texts = ['', 'a', 'A', 'ab%', 'A_b', '"q", {c}', "it's", 'ä', 'null', 'b'];
const dates = ['2026-01-01T00:00:00.000Z', '2026-06-15T12:30:45.123Z', '1999-12-31T23:59:59.900Z'];

/** Each model after those that it refers to. */
const inOrder: Prisma.ModelName[] = [
  ...(['User', 'Project', 'Agent', 'AgentShare', 'Label', 'Action', 'StarterMessage', 'Token', 'RateLimit'] as const),
  ...(['InviteCode', 'Invitation', 'Embed', 'ChatSession', 'ChatMessage', 'Run', 'Feedback', 'File'] as const),
  ...(['DocumentFolder', 'Document', 'Chunk', 'AuditEvent', 'Setting', 'UsageRecord', 'ImportRecord'] as const),
  ...(['IdempotencyRecord', 'OrphanedBlob'] as const),
];

export type Row = Record<string, unknown>;
export type Rows = Map<string, Row[]>;

/** Returns a value for a column. */
export function randomValue(chance: Chance, { type, list }: Column, unique = false): unknown {
  const one = (): unknown => {
    if (typeof type !== 'string') return chance.pick(type);
    const number = chance.below(unique ? 1_000_000 : 4);
    if (type === 'Int') return number;
    if (type === 'BigInt') return chance.pick([BigInt(number), 9_007_199_254_740_993n, -3n]);
    if (type === 'Float') return chance.pick([number, 0.1, 1 / 3, 1e-7]);
    if (type === 'Boolean') return chance.below(2) === 1;
    if (type === 'DateTime') return new Date(chance.pick(dates));
    if (type === 'Bytes') return Uint8Array.from({ length: unique ? 8 : 2 }, () => chance.below(unique ? 256 : 2));
    if (type === 'Json') return chance.pick<unknown>([{ a: [1, 'x', null] }, [], 'text', 1.5, { date: dates[0] }]);
    if (type === 'Uuid') return uuid(chance);
    return chance.pick(texts) + (unique ? number : '');
  };
  return list ? Array.from({ length: chance.below(3) }, one) : one();
}

const uuid = (chance: Chance): string =>
  'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replace(/x/g, () => chance.below(16).toString(16));

/** Fills a database with random rows of all models and returns the rows by model. Most optional columns are null. */
export async function insertRandomRows({ prisma, query }: Database, chance: Chance, count: number): Promise<Rows> {
  const rows: Rows = new Map();
  for (const name of inOrder) {
    const model = models.get(name) as Model;
    const stored: Row[] = [];
    const delegate = (prisma as unknown as Record<string, { create: (args: object) => Promise<Row> }>)[lower(name)];
    for (let index = 0; index < count; index++) {
      // A row that violates a constraint is omitted.
      const created = await delegate?.create({ data: randomRow(chance, model, rows) }).catch(() => null);
      if (created) stored.push(created);
    }
    rows.set(name, stored);
  }
  for (const [name, model] of models)
    for (const { table, own, foreign, model: other } of Object.values(model.relations))
      if (table && own === 'A')
        for (const [a, b] of pairs(chance, rows.get(name) ?? [], rows.get(other) ?? []))
          await query({ name: '', text: `INSERT INTO "${table}" ("${own}", "${foreign}") VALUES ($1, $2)` }, [a, b]);
  return rows;
}

export const lower = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function randomRow(chance: Chance, model: Model, rows: Rows): Row {
  const row: Row = {};
  const unique = new Set(Object.values(model.uniqueKeys).flat());
  const references = Object.values(model.relations).filter(({ from, table }) => !table && from[0] !== 'id');
  for (const [name, column] of Object.entries(model.columns)) {
    const reference = references.find(({ from }) => from[0] === name);
    const isGenerated = name.endsWith('Form') || (name === 'id' && ['Int', 'BigInt'].includes(column.type as string));
    if (isGenerated || (column.nullable && chance.below(2) === 0)) continue;
    const targets = reference && rows.get(reference.model);
    row[name] = targets
      ? chance.pick(targets)?.[reference.to[0] as string]
      : randomValue(chance, column, unique.has(name));
  }
  return row;
}

function pairs(chance: Chance, rows: Row[], others: Row[]): [unknown, unknown][] {
  return rows.flatMap(({ id }) =>
    chance.several(chance.below(3), others.length).map((index): [unknown, unknown] => [id, others[index]?.id]),
  );
}
