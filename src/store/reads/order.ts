import { encodeCount } from './encode.ts';
import { Placeholder } from './shape.ts';
import { columnOf, objectOf, type Source, type StatementBuilder } from './statement.ts';
import { unsupported } from './unsupported.ts';

type Direction = 'asc' | 'desc';

interface SortKey {
  column: string;
  direction: Direction;
  nulls: 'first' | 'last' | null;
}

/** Arguments that select a part of the rows. */
export interface Range {
  orderBy?: unknown;
  take?: unknown;
  skip?: unknown;
}

/** The end of a SELECT that selects a part of the rows. */
export interface RangeClause {
  /** ORDER BY, LIMIT and OFFSET, each with a leading space. */
  sql: string;
  /** Whether the rows are read from the end of the list and must be reversed. */
  isReversed: boolean;
}

/**
 * Returns the clauses for an order and a range. Like Prisma, it orders by the primary key when a range has no order, and
 * reads from the end of the list when `take` is negative. `inKeyOrder` orders by the primary key without a range, too.
 */
export function rangeClause(
  builder: StatementBuilder,
  source: Source,
  { orderBy, take, skip }: Range,
  { inKeyOrder = false } = {},
): RangeClause {
  const given = sortKeys(source, orderBy);
  const isReversed = take instanceof Placeholder && take.isNegative;
  const isOrdered = given.length > 0 || inKeyOrder || take !== undefined || skip !== undefined;
  const implicit = isOrdered ? source.model.key : [];
  const keys =
    given.length > 0 ? given : implicit.map((column) => ({ column, direction: 'asc', nulls: null }) as const);
  const order = keys.map((key) => sortSql(source, isReversed ? reversed(key) : key)).join(', ');
  const limit = take === undefined ? '' : ` LIMIT ${builder.parameter(take, encodeCount)}`;
  const offset = skip === undefined ? '' : ` OFFSET ${builder.parameter(skip, encodeCount)}`;
  return { sql: `${order && ` ORDER BY ${order}`}${limit}${offset}`, isReversed };
}

function sortKeys({ model }: Source, orderBy: unknown): SortKey[] {
  if (orderBy === undefined) return [];
  const list = Array.isArray(orderBy) ? orderBy : [orderBy];
  return list.flatMap((item) =>
    Object.entries(objectOf(item, 'orderBy'))
      .filter(([, order]) => order !== undefined)
      .map(([column, order]) => {
        if (!(column in model.columns)) unsupported(`an order by ${column}`);
        const { sort, nulls, ...rest } =
          typeof order === 'string' ? { sort: order } : (order as Record<string, unknown>);
        if (Object.keys(rest).length > 0) unsupported('an order with other properties');
        return { column, direction: directionOf(sort), nulls: nullsOf(nulls) };
      }),
  );
}

const directionOf = (sort: unknown): Direction =>
  sort === 'asc' || sort === 'desc' ? sort : unsupported('a direction');

function nullsOf(nulls: unknown): 'first' | 'last' | null {
  if (nulls === undefined) return null;
  return nulls === 'first' || nulls === 'last' ? nulls : unsupported('an order of nulls');
}

const reversed = ({ column, direction, nulls }: SortKey): SortKey => ({
  column,
  direction: direction === 'asc' ? 'desc' : 'asc',
  nulls: nulls && (nulls === 'first' ? 'last' : 'first'),
});

const sortSql = (source: Source, { column, direction, nulls }: SortKey) =>
  `${columnOf(source, column)} ${direction}${nulls ? ` NULLS ${nulls}` : ''}`;
