import { AppError, badInput } from './errors.ts';

/** The arguments of every list. */
export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
  /** Rows to skip, for contracts with numbered pages. Cannot be combined with `last`, `after` or `before`. */
  offset?: number | null | undefined;
}

type Direction = 'asc' | 'desc';

export interface SortKey {
  field: string;
  type: keyof typeof readable;
  direction: Direction;
  /** Set for a column that can be null. Null sorts last in both directions. */
  nullable?: boolean;
}

/**
 * The part of a Prisma query that reads one page. `take` is one row more than the page has, which shows whether there is
 * another page; it is negative when the page is read from the end of the list, and Prisma returns such rows in the order
 * of the list too.
 */
export interface Page {
  where: Record<string, unknown>;
  orderBy: Record<string, unknown>[];
  take: number;
  skip?: number;
}

type CursorValue = string | number | null;

/** Whether a value from a cursor can be compared with a column of the type. */
const readable = {
  int: (value: unknown) => Number.isInteger(value) && (value as number) === ((value as number) | 0),
  /** A BIGSERIAL, whose values stay far below the largest safe integer. */
  bigint: (value: unknown) => Number.isSafeInteger(value),
  date: (value: unknown) => typeof value === 'string' && isDate(value),
  uuid: (value: unknown) => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
  /** PostgreSQL stores neither NUL nor half a surrogate pair. */
  text: (value: unknown) => typeof value === 'string' && !value.includes('\0') && value.isWellFormed(),
};

/** As `toISOString` writes it, in the years that the database has too. */
function isDate(text: string): boolean {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text && /^(?!0000)\d{4}-/.test(text);
}

/** Rows of a page when the request gives no size. */
const defaultPage = 20;
/** Maximum page size of the GraphQL API. */
export const maxPage = 100;
/** Maximum length of a list in a response without pages, as the contracts of the REST endpoints require it. */
export const maxCompleteList = 25_000;

/** Returns how many rows a GraphQL request asks for with these arguments. */
export const pageSizeOf = ({ first, last }: { first?: number | null; last?: number | null }): number =>
  Math.min(first ?? last ?? defaultPage, maxPage);

/** Characters of a cursor. No list has a longer one, and a text of any length would be parsed. */
const maxCursor = 10_000;

/**
 * The order of one list, and its cursors. A cursor holds the name of the order and the sort values of a row, so that a
 * page continues from it even after that row was deleted, and a cursor of another list or order is rejected.
 */
export class ListOrder {
  constructor(
    readonly name: string,
    /** The last key must be unique. */
    private readonly keys: readonly SortKey[],
  ) {}

  /** The columns that a cursor needs. */
  get select(): Record<string, true> {
    return Object.fromEntries(this.keys.map(({ field }) => [field, true]));
  }

  cursor(row: Record<string, unknown>): string {
    const values = this.keys.map(({ field }) => {
      const value = row[field];
      return value instanceof Date ? value.toISOString() : typeof value === 'bigint' ? Number(value) : value;
    });
    return Buffer.from(JSON.stringify([this.name, ...values])).toString('base64url');
  }

  /**
   * Returns the query of one page: the first rows after `after` and before `before`, or the last of them with `last`.
   * Reduces `first` and `last` to the limit. Throws BAD_USER_INPUT, naming the argument, for a negative number, a cursor
   * of another order, and arguments that cannot be combined.
   */
  page(args: PageArgs, limit: number): Page {
    const { first, after, last, before, offset } = args;
    for (const name of ['first', 'last', 'offset'] as const)
      if ((args[name] ?? 0) < 0) throw badInput([name], 'must not be negative');
    if (first != null && last != null) throw badInput(['last'], 'cannot be combined with `first`');
    for (const name of ['last', 'after', 'before'] as const)
      if (offset != null && args[name] != null) throw badInput(['offset'], `cannot be combined with \`${name}\``);
    const bounds = [
      ...(after == null ? [] : [this.beyond(this.read('after', after), 'after')]),
      ...(before == null ? [] : [this.beyond(this.read('before', before), 'before')]),
    ];
    const size = Math.min(first ?? last ?? defaultPage, limit) + 1;
    return {
      where: bounds.length > 1 ? { AND: bounds } : (bounds[0] ?? {}),
      orderBy: this.keys.map(({ field, direction, nullable }) => ({
        [field]: nullable ? { sort: direction, nulls: 'last' } : direction,
      })),
      take: last == null ? size : -size,
      ...(offset != null && { skip: offset }),
    };
  }

  private read(argument: 'after' | 'before', cursor: string): CursorValue[] {
    let content: unknown;
    if (cursor.length > maxCursor) throw badInput([argument], 'is not a cursor of this list');
    try {
      content = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    } catch {
      content = null;
    }
    if (!Array.isArray(content) || content[0] !== this.name || content.length !== this.keys.length + 1)
      throw badInput([argument], 'is not a cursor of this list');
    const values = content.slice(1) as unknown[];
    const fits = this.keys.every(({ type, nullable }, index) =>
      values[index] === null ? nullable === true : readable[type](values[index]),
    );
    if (!fits) throw badInput([argument], 'is not a cursor of this list');
    return values as CursorValue[];
  }

  /** The rows on one side of a cursor: they differ to that side in one key and agree in every key before it. */
  private beyond(values: CursorValue[], side: 'after' | 'before'): Record<string, unknown> {
    const or = this.keys.flatMap(({ field, direction, nullable }, index): object[] => {
      const value = values[index] ?? null;
      const same = this.keys.slice(0, index).map((key, at) => ({ [key.field]: values[at] }));
      // Null is the last value of its key.
      if (value === null) return side === 'after' ? [] : [{ AND: [...same, { NOT: { [field]: null } }] }];
      const further = { [field]: { [(direction === 'asc') === (side === 'after') ? 'gt' : 'lt']: value } };
      return [{ AND: [...same, nullable && side === 'after' ? { OR: [further, { [field]: null }] } : further] }];
    });
    return { OR: or };
  }
}

export interface OrderBy<Field extends string> {
  field: Field;
  direction: 'ASC' | 'DESC';
}

/** The position and selection of a page that a list method returns. */
export interface PageRequest {
  args: PageArgs;
  /** Maximum size of the page. */
  limit: number;
  /** The selection of the GraphQL operation, for Prisma. */
  query: object;
}

/** A page of a list that clients can order. */
export interface ListRequest extends PageRequest {
  order: ListOrder;
}

/**
 * The orders that a client can choose for one list. Each field is given by its keys in ascending order; a descending
 * order reverses all of them.
 */
export class ListOrders<Field extends string> {
  private readonly orders = new Map<string, ListOrder>();
  readonly fields: readonly Field[];

  constructor(
    name: string,
    fields: Record<Field, readonly SortKey[]>,
    private readonly standard: OrderBy<NoInfer<Field>>,
  ) {
    this.fields = Object.keys(fields) as Field[];
    for (const field of this.fields)
      for (const direction of ['ASC', 'DESC'] as const)
        this.orders.set(
          `${field} ${direction}`,
          new ListOrder(
            `${name} ${field} ${direction}`,
            direction === 'ASC' ? fields[field] : fields[field].map(reversed),
          ),
        );
  }

  /** Returns the order that a request names, or the list's default order. */
  of(orderBy?: OrderBy<Field> | null): ListOrder {
    const { field, direction } = orderBy ?? this.standard;
    const order = this.orders.get(`${field} ${direction}`);
    if (!order) throw new Error(`no order by ${field} ${direction}`);
    return order;
  }

  /** The order of a request without `orderBy`. */
  get default(): ListOrder {
    return this.of();
  }
}

const reversed = (key: SortKey): SortKey => ({ ...key, direction: key.direction === 'asc' ? 'desc' : 'asc' });

export interface PageOf<Row> {
  rows: Row[];
  /** Whether there are more rows in the direction in which the page was read. */
  hasMore: boolean;
}

/**
 * Removes the extra row that `page` asked for, which is the first one of a page from the end of the list. Throws
 * BAD_USER_INPUT when a list without pages is longer than `maxCompleteList`: a part of it would look complete.
 */
export function cut<Row>(rows: Row[], { take }: Page): PageOf<Row> {
  const size = Math.abs(take) - 1;
  if (size >= maxCompleteList && rows.length > size) throw tooLong();
  return {
    rows: take < 0 ? rows.slice(Math.max(0, rows.length - size)) : rows.slice(0, size),
    hasMore: rows.length > size,
  };
}

const tooLong = () =>
  new AppError(
    'BAD_USER_INPUT',
    'RESPONSE_TOO_LARGE',
    `The response would contain a list of more than ${maxCompleteList} entries. Read the list in pages, on a path with pages or through GraphQL.`,
    { limit: 'list' },
  );
