import { columnConditions } from './column-filter.ts';
import type { Relation } from './models.ts';
import { columnOf, isEmpty, objectOf, objectsOf, type Source, type StatementBuilder, tableOf } from './statement.ts';
import { unsupported } from './unsupported.ts';

/**
 * Whether a condition is inside a `NOT` of its SELECT, where a condition that is unknown must differ from one that is
 * false.
 */
type Polarity = 'positive' | 'negated';

/** Returns the condition of a `where`; null if it has no conditions. */
export function whereCondition(
  builder: StatementBuilder,
  source: Source,
  where: unknown,
  polarity: Polarity = 'positive',
): string | null {
  const conditions = Object.entries(objectOf(where, 'where')).flatMap(([name, value]) => {
    if (name === 'AND' || name === 'OR' || name === 'NOT') {
      const condition = logicalCondition(builder, source, { name, value, polarity });
      return condition === null ? [] : [condition];
    }
    if (name in source.model.relations) return relationConditions(builder, source, { name, filter: value, polarity });
    return columnConditions(builder, source, { name, filter: value });
  });
  return joined(conditions, 'AND');
}

function joined(conditions: readonly string[], operator: 'AND' | 'OR'): string | null {
  if (conditions.length < 2) return conditions[0] ?? null;
  return `(${conditions.join(` ${operator} `)})`;
}

interface Logical {
  name: 'AND' | 'OR' | 'NOT';
  value: unknown;
  polarity: Polarity;
}

/**
 * Returns the condition of AND, OR or NOT; null if it has no conditions. Prisma drops members that are empty objects. A member of
 * OR or NOT that has no condition for another reason is unsupported.
 */
function logicalCondition(builder: StatementBuilder, source: Source, { name, value, polarity }: Logical) {
  if (name === 'OR' && !Array.isArray(value)) unsupported('an OR that is no list');
  const members = objectsOf(value, name).filter((member) => !isEmpty(member));
  if (name === 'OR' && members.length === 0) unsupported('an OR without conditions');
  const inner = name === 'NOT' ? 'negated' : polarity;
  const conditions = members.map((member) => whereCondition(builder, source, member, inner));
  const known = conditions.filter((condition) => condition !== null);
  if (name === 'AND') return joined(known, 'AND');
  if (known.length < conditions.length) unsupported(`a member of ${name} without a condition`);
  if (name === 'OR') return joined(known, 'OR');
  return joined(
    known.map((condition) => `NOT (${condition})`),
    'AND',
  );
}

interface RelationFilter {
  name: string;
  filter: unknown;
  polarity: Polarity;
}

function relationConditions(builder: StatementBuilder, source: Source, of: RelationFilter): string[] {
  const relation = source.model.relations[of.name] ?? unsupported(of.name);
  return relation.list
    ? manyConditions(builder, source, relation, of.filter)
    : oneConditions(builder, source, { relation, ...of });
}

function manyConditions(builder: StatementBuilder, source: Source, relation: Relation, filter: unknown): string[] {
  return Object.entries(objectOf(filter, 'a filter on a relation')).map(([quantifier, where]) => {
    const related = relatedRows(builder, source, relation);
    const polarity = quantifier === 'every' ? 'negated' : 'positive';
    const condition = whereCondition(builder, related.source, where, polarity);
    if (quantifier === 'some') return related.exists(condition);
    if (quantifier === 'none') return `NOT ${related.exists(condition)}`;
    if (quantifier === 'every') {
      if (condition === null) unsupported('every without a condition');
      return `NOT ${related.exists(`NOT (${condition})`)}`;
    }
    return unsupported(`the relation filter ${quantifier}`);
  });
}

function oneConditions(
  builder: StatementBuilder,
  source: Source,
  { relation, filter, polarity }: RelationFilter & { relation: Relation },
): string[] {
  if (filter === null) return [absent(builder, source, relation)];
  const object = objectOf(filter, 'a filter on a relation');
  if (!('is' in object || 'isNot' in object)) return present([object], polarity);
  return Object.entries(object).flatMap(([operator, where]) => {
    if (operator !== 'is' && operator !== 'isNot') unsupported(`the relation filter ${operator}`);
    if (operator === 'is') return where === null ? [absent(builder, source, relation)] : present([where], polarity);
    if (where === null) return [`NOT (${absent(builder, source, relation)})`];
    const conditions = present([where], 'negated');
    return conditions.length > 0 ? [`NOT (${conditions[0]})`] : unsupported('isNot without a condition');
  });

  /**
   * Returns the condition that the related row exists and fulfills a filter. In a NOT, it is unknown if the filter is
   * unknown, and false if there is no row.
   */
  function present([where]: [unknown], polarity: Polarity): string[] {
    if (isEmpty(objectOf(where, 'a filter on a relation'))) return [];
    const related = relatedRows(builder, source, relation);
    const condition = whereCondition(builder, related.source, where, polarity);
    if (condition === null) return relation.nullable ? unsupported('a relation filter without a condition') : [];
    if (polarity === 'positive') return [related.exists(condition)];
    return [`((SELECT ${condition} ${related.from}) AND ${related.exists(null)})`];
  }
}

/** Returns the condition that a row has no related row. */
function absent(builder: StatementBuilder, source: Source, relation: Relation): string {
  if (!relation.nullable) unsupported('null for a relation that is never null');
  const [key] = relation.from;
  const ownsKey = key !== undefined && source.model.columns[key]?.nullable === true;
  if (ownsKey && relation.from.length === 1) return `${columnOf(source, key)} IS NULL`;
  return `NOT ${relatedRows(builder, source, relation).exists(null)}`;
}

/** The rows of a relation as SQL. */
export interface RelatedRows {
  source: Source;
  /** The FROM and WHERE clauses that select the related rows. */
  from: string;
  /** Returns the condition that there is a related row, which fulfills a condition if one is given. */
  exists(condition: string | null): string;
}

/** Returns the rows that a relation connects to a row of `source`. */
export function relatedRows(builder: StatementBuilder, source: Source, relation: Relation): RelatedRows {
  const other = builder.source(relation.model);
  const { table, own, foreign } = relation;
  const target = `${tableOf(relation.model)} ${other.alias}`;
  let from: string;
  if (table && own && foreign) {
    const link = { alias: builder.alias() };
    const join = `${columnOf(other, relation.to[0] as string)} = ${columnOf(link, foreign)}`;
    const match = `${columnOf(link, own)} = ${columnOf(source, relation.from[0] as string)}`;
    from = `FROM ${tableOf(table)} ${link.alias} JOIN ${target} ON ${join} WHERE ${match}`;
  } else {
    const match = relation.to.map(
      (name, index) => `${columnOf(other, name)} = ${columnOf(source, relation.from[index] as string)}`,
    );
    from = `FROM ${target} WHERE ${match.join(' AND ')}`;
  }
  return {
    source: other,
    from,
    exists: (condition) => `EXISTS (SELECT 1 ${from}${condition === null ? '' : ` AND ${condition}`})`,
  };
}
