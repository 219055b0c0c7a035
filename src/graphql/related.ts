import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { Context } from '../context.ts';
import { cut, type ListOrder, type PageArgs } from '../paging.ts';
import { type Connection, connection, nodeQuery } from './connection.ts';

/** Loads rows by key with one statement. Omits the rows that the caller cannot read. */
type Load<Key, Row> = (keys: Key[], query: object) => Promise<ReadonlyMap<Key, Row>>;

interface Batch {
  keys: Set<unknown>;
  rows: Promise<ReadonlyMap<unknown, unknown>>;
}

const batches = new WeakMap<Context, Map<string, Batch>>();

/** Returns the response path of a field without list indices, which is the same for all rows of a list. */
function placeOf({ path, parentType }: GraphQLResolveInfo): string {
  const keys: string[] = [parentType.name];
  for (let at: GraphQLResolveInfo['path'] | undefined = path; at; at = at.prev)
    if (typeof at.key === 'string') keys.push(at.key);
  return keys.join(' ');
}

/** A load of objects by a field. `step` tells apart several loads of one field. */
interface FieldLoad {
  context: Context;
  info: GraphQLResolveInfo;
  step: string;
}

/** Returns the objects with the keys of one row. All rows of a list share one call of `load`. */
async function loadKeys<Key, Row>(
  { context, info, step }: FieldLoad,
  keys: readonly Key[],
  load: (keys: Key[]) => Promise<ReadonlyMap<Key, Row>>,
): Promise<ReadonlyMap<Key, Row>> {
  const waiting = batches.get(context) ?? new Map<string, Batch>();
  batches.set(context, waiting);
  const place = `${step} ${placeOf(info)}`;
  let batch = waiting.get(place);
  if (!batch) {
    const all = new Set<unknown>();
    const rows = new Promise((resolve) => setImmediate(resolve)).then(() => {
      waiting.delete(place);
      return load([...all] as Key[]);
    });
    batch = { keys: all, rows };
    waiting.set(place, batch);
  }
  for (const key of keys) batch.keys.add(key);
  return (await batch.rows) as ReadonlyMap<Key, Row>;
}

/**
 * Returns the object that a row refers to, or null when there is no key or when `load` does not return it. All rows of
 * a list share one call of `load`, whose query contains the relations that the request selects.
 */
export async function loadRelated<Key, Row>(
  context: Context,
  info: GraphQLResolveInfo,
  key: Key | null | undefined,
  load: Load<Key, Row>,
): Promise<Row | null> {
  if (key == null) return null;
  const rows = await loadKeys<Key, Row>({ context, info, step: 'one' }, [key], (keys) =>
    load(keys, queryFromInfo({ context, info })),
  );
  return rows.get(key) ?? null;
}

/** The loads of a list of related objects: the readable IDs among `ids` that match `where`, and their rows. */
interface RelatedList<Row> {
  readable: (ids: number[], where: object) => Promise<ReadonlyMap<number, unknown>>;
  rows: Load<number, Row>;
}

/**
 * Returns a page of the objects whose integer IDs a row contains, ordered by ID, without those that the caller cannot
 * read. All rows of a list share each statement: one for the IDs, one for the objects of the pages, and one for
 * `totalCount`.
 */
export async function relatedConnection<Row extends object>(
  context: Context,
  info: GraphQLResolveInfo,
  { ids, order, args }: { ids: readonly number[]; order: ListOrder; args: PageArgs },
  load: RelatedList<Row>,
): Promise<Connection<Row>> {
  const page = order.page(args, context.pageLimit);
  const { where, take, skip = 0 } = page;
  const readable = async (step: string, condition: object): Promise<number[]> => {
    const found = await loadKeys({ context, info, step }, ids, (keys) => load.readable(keys, condition));
    return ids.filter((id) => found.has(id)).sort((a, b) => a - b);
  };
  const listed = await readable('page', where);
  const listedPage = cut(take < 0 ? listed.slice(take) : listed.slice(skip, skip + take), page);
  const rows = await loadKeys({ context, info, step: 'rows' }, listedPage.rows, (keys) =>
    load.rows(keys, nodeQuery(context, info)),
  );
  return connection(
    order,
    { rows: listedPage.rows.flatMap((id) => rows.get(id) ?? []), hasMore: listedPage.hasMore },
    args,
    async () => (await readable('count', {})).length,
  );
}
