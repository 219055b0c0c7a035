import { type Encoder, encoderOf, listEncoderOf } from './encode.ts';
import type { Column } from './models.ts';
import { Placeholder } from './shape.ts';
import { columnOf, objectOf, type Source, type StatementBuilder } from './statement.ts';
import { unsupported } from './unsupported.ts';

/** A condition on one column. */
interface Target {
  builder: StatementBuilder;
  column: Column;
  /** The column as SQL. */
  sql: string;
  isInsensitive: boolean;
}

const comparisons: Record<string, string> = { lt: '<', lte: '<=', gt: '>', gte: '>=' };

/** The pattern that each text operator compares with. Prisma does not escape wildcards either. */
const patterns: Record<string, (text: string) => string> = {
  contains: (text) => `%${text}%`,
  startsWith: (text) => `${text}%`,
  endsWith: (text) => `%${text}`,
};

/** Returns the conditions of a filter on a column of a source. */
export function columnConditions(
  builder: StatementBuilder,
  source: Source,
  { name, filter }: { name: string; filter: unknown },
): string[] {
  const column = source.model.columns[name] ?? unsupported(`the column ${name}`);
  if (column.type === 'Json') unsupported('a filter on JSON');
  const target = { builder, column, sql: columnOf(source, name), isInsensitive: false };
  if (column.list) return listConditions(target, filter);
  return isValue(filter) ? [equal(target, filter)] : operatorConditions(target, objectOf(filter, 'a filter'));
}

const isValue = (filter: unknown) => filter === null || typeof filter === 'boolean' || filter instanceof Placeholder;

function operatorConditions(target: Target, { mode, ...operators }: Record<string, unknown>): string[] {
  if (mode !== undefined && mode !== 'default' && mode !== 'insensitive') unsupported('mode');
  const modal = { ...target, isInsensitive: mode === 'insensitive' };
  if (modal.isInsensitive && target.column.type !== 'String') unsupported('mode');
  return Object.entries(operators).map(([operator, value]) => operatorCondition(modal, operator, value));
}

function operatorCondition(target: Target, operator: string, value: unknown): string {
  const { builder, column, sql, isInsensitive } = target;
  const comparison = comparisons[operator];
  const pattern = patterns[operator];
  if (operator === 'equals') return equal(target, value);
  if (operator === 'not') return unequal(target, value);
  if (pattern) {
    if (column.type !== 'String') unsupported(`${operator} on a column that is no text`);
    const encode: Encoder = (text) => pattern(encoderOf(column)(text) as string);
    return `${sql} ${isInsensitive ? 'ILIKE' : 'LIKE'} ${builder.parameter(value, encode)}`;
  }
  if (isInsensitive) unsupported(`${operator} with a mode`);
  if (comparison && typeof column.type === 'string' && column.type !== 'Boolean')
    return `${sql} ${comparison} ${builder.parameter(value, encoderOf(column))}`;
  if (operator === 'in') return member(target, value, { empty: 'FALSE', test: '= ANY' });
  if (operator === 'notIn') return member(target, value, { empty: 'TRUE', test: '<> ALL' });
  return unsupported(`the operator ${operator}`);
}

/** Returns a comparison with a list, which is one array, so that the statement does not depend on its length. */
function member({ builder, column, sql }: Target, value: unknown, { empty, test }: { empty: string; test: string }) {
  if (Array.isArray(value) && value.length === 0) return empty;
  return `${sql} ${test}(${builder.parameter(value, listEncoderOf(column), { list: true })})`;
}

function equal(target: Target, value: unknown): string {
  const { column, sql, isInsensitive } = target;
  if (value === null) return column.nullable ? `${sql} IS NULL` : unsupported('null in a column that is never null');
  // Prisma compares with ILIKE, in which wildcards match.
  return `${sql} ${isInsensitive ? 'ILIKE' : '='} ${operand(target, value)}`;
}

function unequal(target: Target, value: unknown): string {
  const { column, sql, isInsensitive } = target;
  if (value === null)
    return column.nullable ? `${sql} IS NOT NULL` : unsupported('null in a column that is never null');
  if (isInsensitive) unsupported('not with a mode');
  if (isValue(value)) return `${sql} <> ${operand(target, value)}`;
  const conditions = operatorConditions(target, objectOf(value, 'not'));
  return conditions.length === 1 ? `NOT (${conditions[0]})` : unsupported('not with several operators');
}

function operand({ builder, column }: Target, value: unknown): string {
  if (typeof value !== 'boolean') return builder.parameter(value, encoderOf(column));
  return column.type === 'Boolean' ? String(value) : unsupported('a boolean');
}

function listConditions({ builder, column, sql }: Target, filter: unknown): string[] {
  const encodeList = listEncoderOf(column);
  const list = (value: unknown) =>
    Array.isArray(value) && value.length === 0 ? `'{}'` : builder.parameter(value, encodeList, { list: true });
  return Object.entries(objectOf(filter, 'a filter on a list')).map(([operator, value]) => {
    if (operator === 'equals') return `${sql} = ${list(value)}`;
    if (operator === 'has') return `${sql} @> ${builder.parameter(value, (element) => encodeList([element]))}`;
    if (operator === 'hasEvery') return `${sql} @> ${list(value)}`;
    if (operator === 'hasSome') return `${sql} && ${list(value)}`;
    if (operator === 'isEmpty' && typeof value === 'boolean') return value ? `${sql} = '{}'` : `NOT (${sql} = '{}')`;
    return unsupported(`the operator ${operator} on a list`);
  });
}
