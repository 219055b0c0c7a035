import { type Decoder, decoderOf, jsonValue } from './decode.ts';
import type { Relation } from './models.ts';
import { rangeClause } from './order.ts';
import { columnOf, derivedTable, objectOf, type Source, type StatementBuilder } from './statement.ts';
import { unsupported } from './unsupported.ts';
import { relatedRows, whereCondition } from './where.ts';

/** A property of the result. */
export interface Field {
  name: string;
  /** Its value as an argument of `json_build_array`. */
  sql: string;
  /** Absent for values that need no conversion. Not called for null unless `decodesNull` is set. */
  decode?: Decoder | undefined;
  decodesNull?: boolean;
}

/** The arguments that select properties, without those that select rows. */
export interface Selection {
  select?: unknown;
  include?: unknown;
}

/** Returns the properties that a `select` or `include` names. */
export function selectedFields(builder: StatementBuilder, source: Source, { select, include }: Selection): Field[] {
  if (select !== undefined && include !== undefined) unsupported('select with include');
  const named = objectOf(select ?? include ?? {}, 'a selection');
  const fields = select === undefined ? allColumns(source) : [];
  for (const [name, value] of Object.entries(named)) {
    if (value === false) continue;
    const relation = source.model.relations[name];
    if (name === '_count') fields.push(countField(builder, source, value));
    else if (relation) fields.push(relationField(builder, source, { name, relation, args: value }));
    else if (select === undefined || value !== true) unsupported(`the selection of ${name}`);
    else fields.push(columnField(source, name));
  }
  if (fields.length === 0) unsupported('an empty selection');
  return fields;
}

function allColumns(source: Source): Field[] {
  if (!source.model.complete) unsupported('all columns of the model');
  return Object.keys(source.model.columns).map((name) => columnField(source, name));
}

function columnField(source: Source, name: string): Field {
  const column = source.model.columns[name] ?? unsupported(`the column ${name}`);
  return { name, sql: jsonValue(column, columnOf(source, name)), decode: decoderOf(column) };
}

/** Returns `_count`: an object with the number of related rows of each relation. */
function countField(builder: StatementBuilder, source: Source, args: unknown): Field {
  const { select, ...rest } = objectOf(args, '_count');
  if (Object.keys(rest).length > 0) unsupported('_count with other properties');
  const counts = Object.entries(objectOf(select, '_count')).filter(([, value]) => value !== false);
  if (counts.length === 0) unsupported('an empty _count');
  const fields = counts.map(([name, value]): Field => {
    const relation = source.model.relations[name];
    if (!relation?.list) unsupported(`the count of ${name}`);
    const { where, ...others } = value === true ? {} : objectOf(value, '_count');
    if (Object.keys(others).length > 0) unsupported('_count with other properties');
    const related = relatedRows(builder, source, relation as Relation);
    const condition = where === undefined ? null : whereCondition(builder, related.source, where);
    return { name, sql: `(SELECT COUNT(*) ${related.from}${condition === null ? '' : ` AND ${condition}`})` };
  });
  return { name: '_count', sql: jsonRow(fields), decode: objectDecoder(fields) };
}

function relationField(
  builder: StatementBuilder,
  source: Source,
  { name, relation, args }: { name: string; relation: Relation; args: unknown },
): Field {
  const { select, include, where, orderBy, take, skip, ...rest } = args === true ? {} : objectOf(args, 'a relation');
  if (Object.keys(rest).length > 0) unsupported(`a relation with ${Object.keys(rest)}`);
  const related = relatedRows(builder, source, relation);
  const row = relation.list ? builder.source(relation.model) : related.source;
  const fields = selectedFields(builder, row, { select, include });
  const decode = objectDecoder(fields);
  if (!relation.list) {
    if ([where, orderBy, take, skip].some((value) => value !== undefined))
      unsupported('arguments of a single relation');
    return { name, sql: `(SELECT ${jsonRow(fields)} ${related.from})`, decode };
  }
  const condition = where === undefined ? null : whereCondition(builder, related.source, where);
  const range = rangeClause(builder, related.source, { orderBy, take, skip }, { inKeyOrder: true });
  const clauses = `${related.from}${condition === null ? '' : ` AND ${condition}`}${range.sql}`;
  return {
    name,
    sql: `(SELECT json_agg(${jsonRow(fields)}) FROM ${derivedTable(row, related.source, clauses)})`,
    decode: listDecoder(decode, range.isReversed),
    decodesNull: true,
  };
}

/** Maximum number of arguments of a function of PostgreSQL. */
const maxArguments = 100;

/** Returns the array with the values of the fields as SQL, which {@link objectDecoder} decodes. */
export function jsonRow(fields: readonly Pick<Field, 'sql'>[]): string {
  if (fields.length > maxArguments) unsupported('more columns than a function has arguments');
  return `json_build_array(${fields.map(({ sql }) => sql).join(', ')})`;
}

/** Returns a function that creates an object from the values of its fields. */
export function objectDecoder(fields: readonly Field[]): (values: unknown[]) => Record<string, unknown> {
  return (values) => {
    const object: Record<string, unknown> = {};
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index] as Field;
      object[field.name] = decoded(field, values[index]);
    }
    return object;
  };
}

/** Returns the decoder of an aggregate of rows, which is null without rows. */
function listDecoder(decode: (values: unknown[]) => object, isReversed: boolean): Decoder {
  return (rows: unknown[][] | null) => {
    const objects = rows === null ? [] : rows.map(decode);
    return isReversed ? objects.reverse() : objects;
  };
}

function decoded({ decode, decodesNull }: Field, value: unknown): unknown {
  return decode && (value !== null || decodesNull) ? decode(value as never) : value;
}
