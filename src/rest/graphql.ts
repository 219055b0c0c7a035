import { initGraphQLTada } from 'gql.tada';
import type { IncomingFile } from '../http/multipart.ts';
import type { introspection } from './graphql-env.d.ts';

/** Creates the typed document of an endpoint. The compiler checks its variables and result against the schema. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { DateTime: Date; UUID: string; SafeInt: number; JSONObject: Record<string, unknown>; Upload: IncomingFile };
}>();

/** Root fields that can be null without an error. Endpoints must handle that. */
type NullByMeaning = 'viewer' | 'agentChat' | 'invite' | 'node';

/**
 * The data of a document after `executeEndpoint` has thrown its errors. Every root field is nullable in the schema,
 * because each can be denied on its own; an endpoint receives all of its root fields or an error.
 */
export type Present<Data> = {
  [Root in keyof Data]: Root extends NullByMeaning ? Data[Root] : NonNullable<Data[Root]>;
};

/**
 * Returns the data with the given nullable fields typed as non-null. A field that was denied has already produced an
 * error before this call. Throws when a field is null without an error.
 */
export function granted<Data extends object, Field extends keyof Data>(
  data: Data,
  ...fields: readonly Field[]
): Omit<Data, Field> & { [Name in Field]: NonNullable<Data[Name]> } {
  const missing = fields.filter((field) => data[field] === null);
  if (missing.length > 0) throw new Error(`${missing.join(', ')}: null without an error`);
  return data as Omit<Data, Field> & { [Name in Field]: NonNullable<Data[Name]> };
}

export type { ResultOf } from 'gql.tada';
