import { type Encoder, listEncoderOf } from './encode.ts';
import { rangeClause } from './order.ts';
import { type Field, jsonRow, objectDecoder, selectedFields } from './selection.ts';
import { Placeholder, type Shape, templateOf } from './shape.ts';
import {
  columnOf,
  derivedTable,
  objectOf,
  type Parameter,
  type Source,
  StatementBuilder,
  tableOf,
} from './statement.ts';
import { unsupported } from './unsupported.ts';
import { whereCondition } from './where.ts';

/** The methods of Prisma's models that can be compiled. */
export const readMethods = [
  'findMany',
  'findFirst',
  'findFirstOrThrow',
  'findUnique',
  'findUniqueOrThrow',
  'count',
] as const;

export type ReadMethod = (typeof readMethods)[number];

/** A row of a statement: JSON as text, or the number of a count. */
export interface ResultRow {
  r: unknown;
  /** The unique value as text, in the statement of a {@link BatchPlan}. */
  k?: unknown;
}

/** A compiled read. */
export interface Plan {
  text: string;
  /** Returns the parameters of the statement. Throws UnsupportedReadError for a value that cannot be bound. */
  bind(values: Shape['values']): unknown[];
  /** Returns the result from the rows of the statement; undefined if a required row does not exist. */
  result(rows: readonly ResultRow[]): unknown;
  /** Set when a unique column is the only condition. */
  batch?: BatchPlan | undefined;
}

/** The part of a plan that reads several rows with one statement. */
export interface BatchPlan {
  /** The statement with a list in place of the unique value. */
  text: string;
  /** The position of the unique value in the parameters. */
  position: number;
  encodeList: Encoder;
}

/**
 * Compiles the arguments of a read to one statement. Throws UnsupportedReadError for arguments that it does not
 * implement.
 */
export function compile(modelName: string, method: ReadMethod, args: object): Plan {
  const builder = new StatementBuilder();
  const source = builder.source(modelName);
  const template = templateOf(args);
  if (method === 'count') return compileCount(builder, source, template);
  if (method === 'findMany') return compileMany(builder, source, template);
  const plan = method.startsWith('findUnique') ? compileUnique : compileFirst;
  const { result, ...rest } = plan(builder, source, template);
  return method.endsWith('OrThrow') ? { ...rest, result: (rows) => result(rows) ?? undefined } : { ...rest, result };
}

function compileCount(builder: StatementBuilder, source: Source, template: Record<string, unknown>): Plan {
  const { where = {}, ...rest } = template;
  if (Object.keys(rest).length > 0) unsupported('count with other arguments');
  const text = `SELECT COUNT(*)::int AS r ${fromClause(builder, source, where)}`;
  return { text, bind: binder(builder.parameters), result: ([row]) => row?.r };
}

function compileMany(builder: StatementBuilder, source: Source, template: Record<string, unknown>): Plan {
  const { select, include, where = {}, orderBy, take, skip, ...rest } = template;
  if (Object.keys(rest).length > 0) unsupported(`arguments with ${Object.keys(rest)}`);
  const row = builder.source(source.name);
  const fields = selectedFields(builder, row, { select, include });
  const from = fromClause(builder, source, where);
  const range = rangeClause(builder, source, { orderBy, take, skip });
  const decode = objectDecoder(fields);
  const rows = derivedTable(row, source, `${from}${range.sql}`);
  // One text is parsed in less time than one text per row, but PostgreSQL limits its size to 1 GB.
  const isBounded = take !== undefined;
  return {
    text: isBounded
      ? `SELECT json_agg(${jsonRow(fields)})::text AS r FROM ${rows}`
      : `SELECT ${jsonRow(fields)}::text AS r FROM ${rows}`,
    bind: binder(builder.parameters),
    result: (rows) => {
      const values = isBounded ? parsed(rows[0]?.r ?? '[]') : rows.map(({ r }) => parsed(r));
      const objects = values.map(decode);
      return range.isReversed ? objects.reverse() : objects;
    },
  };
}

function compileFirst(builder: StatementBuilder, source: Source, template: Record<string, unknown>): Plan {
  const { select, include, where = {}, orderBy, skip, ...rest } = template;
  if (Object.keys(rest).length > 0) unsupported(`arguments with ${Object.keys(rest)}`);
  const row = builder.source(source.name);
  const fields = selectedFields(builder, row, { select, include });
  const from = fromClause(builder, source, where);
  // Prisma imposes no order on a first row, either.
  const range = orderBy === undefined && skip === undefined ? '' : rangeClause(builder, source, { orderBy, skip }).sql;
  const rows = derivedTable(row, source, `${from}${range} LIMIT 1`);
  return { text: `SELECT ${jsonRow(fields)}::text AS r FROM ${rows}`, ...rowPlan(builder, fields) };
}

function compileUnique(builder: StatementBuilder, source: Source, template: Record<string, unknown>): Plan {
  const { select, include, where, ...rest } = template;
  if (Object.keys(rest).length > 0) unsupported(`arguments with ${Object.keys(rest)}`);
  const fields = selectedFields(builder, source, { select, include });
  const from = fromClause(builder, source, uniqueWhere(source, where));
  return {
    text: `SELECT ${jsonRow(fields)}::text AS r ${from}`,
    batch: batchPlan(builder, source, { where: objectOf(where, 'where'), fields }),
    ...rowPlan(builder, fields),
  };
}

/** Returns the part of the plan that reads one row or null. */
function rowPlan({ parameters }: StatementBuilder, fields: readonly Field[]): Pick<Plan, 'bind' | 'result'> {
  const decode = objectDecoder(fields);
  return { bind: binder(parameters), result: ([row]) => (row ? decode(parsed(row.r)) : null) };
}

const batchedTypes = new Set<unknown>(['Int', 'Uuid', 'String']);

/** Returns the plan for reading several rows at once; undefined if the condition is more than one unique column. */
function batchPlan(
  builder: StatementBuilder,
  source: Source,
  { where, fields }: { where: Record<string, unknown>; fields: readonly Field[] },
): BatchPlan | undefined {
  const [name = '', ...others] = Object.keys(where);
  const column = source.model.columns[name];
  if (!column || !batchedTypes.has(column.type) || others.length > 0) return undefined;
  const value = where[name];
  const position = builder.parameters.findIndex(({ index }) => value instanceof Placeholder && index === value.index);
  if (position < 0) return undefined;
  const sql = columnOf(source, name);
  return {
    text: `SELECT ${jsonRow(fields)}::text AS r, ${sql}::text AS k FROM ${tableOf(source.name)} ${source.alias} WHERE ${sql} = ANY($${position + 1})`,
    position,
    encodeList: listEncoderOf(column),
  };
}

/** Returns the `where` of `findUnique` with the columns of a composite key in place of its name. */
function uniqueWhere({ model }: Source, where: unknown): Record<string, unknown> {
  const given = objectOf(where, 'where');
  let isUnique = false;
  const members = Object.entries(given).map(([name, value]) => {
    const columns = model.uniqueKeys[name];
    if (!columns || value === null) return { [name]: value };
    isUnique = true;
    if (columns.length === 1 && columns[0] === name)
      return value instanceof Placeholder ? { [name]: value } : unsupported('a unique key that is no value');
    const values = objectOf(value, name);
    if (
      columns.some((column) => !(values[column] instanceof Placeholder)) ||
      Object.keys(values).length > columns.length
    )
      unsupported(`the unique key ${name}`);
    return values;
  });
  if (!isUnique) unsupported('findUnique without a unique key');
  return { AND: members };
}

function fromClause(builder: StatementBuilder, source: Source, where: unknown): string {
  const condition = whereCondition(builder, source, where);
  return `FROM ${tableOf(source.name)} ${source.alias}${condition === null ? '' : ` WHERE ${condition}`}`;
}

const parsed = (json: unknown) => JSON.parse(json as string);

const binder = (parameters: readonly Parameter[]) => (values: readonly unknown[]) =>
  parameters.map(({ index, encode }) => encode(values[index]));
