import DataLoader from 'dataloader';
import type { Context } from '../context.ts';

/**
 * Returns a function that loads an object by its key, for fields whose object is not a relation of the database schema.
 * The keys that the fields of a request ask for at the same time are loaded with one statement. The function returns
 * null for a missing object. It does not cache.
 */
export function batched<Key, Row>(
  load: (context: Context, keys: Key[]) => Promise<Row[]>,
  keyOf: (row: Row) => Key,
): (context: Context, key: Key) => Promise<Row | null> {
  const loaders = new WeakMap<Context, DataLoader<Key, Row | null>>();
  const loaderOf = (context: Context) => {
    const loader = new DataLoader<Key, Row | null>(
      async (keys) => {
        const rows = new Map((await load(context, [...new Set(keys)])).map((row) => [keyOf(row), row]));
        return keys.map((key) => rows.get(key) ?? null);
      },
      { cache: false },
    );
    loaders.set(context, loader);
    return loader;
  };
  return (context, key) => (loaders.get(context) ?? loaderOf(context)).load(key);
}
