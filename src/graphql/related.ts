import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { Context } from '../context.ts';

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
  const waiting = batches.get(context) ?? new Map<string, Batch>();
  batches.set(context, waiting);
  const place = placeOf(info);
  let batch = waiting.get(place);
  if (!batch) {
    const keys = new Set<unknown>();
    const rows = new Promise((resolve) => setImmediate(resolve)).then(() => {
      waiting.delete(place);
      return load([...keys] as Key[], queryFromInfo({ context, info }));
    });
    batch = { keys, rows };
    waiting.set(place, batch);
  }
  batch.keys.add(key);
  return ((await batch.rows).get(key) as Row | undefined) ?? null;
}
