import { badInput } from './errors.ts';

/** The arguments of every list. */
export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
  /** For contracts that number their pages; not together with `after`. */
  offset?: number | null | undefined;
}

export interface SortKey {
  field: string;
  type: keyof typeof readable;
  direction: 'asc' | 'desc';
  /** Whether the column may be null; nulls come last. */
  nullable?: boolean;
}

/** What a list's query adds to its own `where`. `take` is one more than the page, to see whether there is a next. */
export interface Page {
  where: Record<string, unknown>;
  orderBy: Record<string, unknown>[];
  take: number;
  skip?: number;
}

type CursorValue = string | number | null;

/** Whether a value out of a cursor may be compared with a column of that type. */
const readable = {
  int: (value: unknown) => Number.isInteger(value) && (value as number) === ((value as number) | 0),
  /** A BIGSERIAL, which stays far below the largest safe integer. */
  bigint: (value: unknown) => Number.isSafeInteger(value),
  date: (value: unknown) => typeof value === 'string' && isDate(value),
  uuid: (value: unknown) => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
};

/** As `toISOString` writes it, in the years that the database has too. */
function isDate(text: string): boolean {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text && /^(?!0000)\d{4}-/.test(text);
}

/** Rows a page has when nobody says. */
const defaultPage = 20;

/**
 * The order of one list, and its cursors: the sort values of the last row seen, under the list's name, so that a page
 * goes on where it stopped even when that row is gone, and a cursor of another list is refused.
 */
export class ListOrder {
  constructor(
    private readonly name: string,
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

  /** Throws BAD_USER_INPUT that names the argument at fault. `first` above the limit is cut to it. */
  page({ first, after, offset }: PageArgs, limit: number): Page {
    if (first != null && first < 0) throw badInput(['first'], 'must not be negative');
    if (offset != null && offset < 0) throw badInput(['offset'], 'must not be negative');
    if (offset != null && after != null) throw badInput(['offset'], 'cannot stand beside `after`');
    return {
      where: after == null ? {} : this.beyond(this.read(after)),
      orderBy: this.keys.map(({ field, direction, nullable }) => ({
        [field]: nullable ? { sort: direction, nulls: 'last' } : direction,
      })),
      take: Math.min(first ?? defaultPage, limit) + 1,
      ...(offset != null && { skip: offset }),
    };
  }

  private read(cursor: string): CursorValue[] {
    let content: unknown;
    try {
      content = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    } catch {
      content = null;
    }
    if (!Array.isArray(content) || content[0] !== this.name || content.length !== this.keys.length + 1)
      throw badInput(['after'], 'is not a cursor of this list');
    const values = content.slice(1) as unknown[];
    const fits = this.keys.every(({ type, nullable }, index) =>
      values[index] === null ? nullable === true : readable[type](values[index]),
    );
    if (!fits) throw badInput(['after'], 'is not a cursor of this list');
    return values as CursorValue[];
  }

  /** The rows after the cursor: those that differ upwards in some key and agree in every key before it. */
  private beyond(values: CursorValue[]): Record<string, unknown> {
    const or = this.keys.flatMap(({ field, direction, nullable }, index) => {
      const value = values[index];
      const same = this.keys.slice(0, index).map((key, before) => ({ [key.field]: values[before] }));
      if (value === null) return [];
      const further = { [field]: { [direction === 'asc' ? 'gt' : 'lt']: value } };
      return [{ AND: [...same, nullable ? { OR: [further, { [field]: null }] } : further] }];
    });
    return { OR: or };
  }
}

export interface PageOf<Row> {
  rows: Row[];
  hasNext: boolean;
}

/** Cuts the extra row that `page` asked for. */
export const cut = <Row>(rows: Row[], { take }: Page): PageOf<Row> => ({
  rows: rows.slice(0, take - 1),
  hasNext: rows.length >= take,
});
