import { initGraphQLTada } from 'gql.tada';
import type { IncomingFile } from '../form.ts';
import type { introspection } from './graphql-env.d.ts';

/** Makes the typed document of a row. Its variables and its result are checked against the schema by the compiler. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { DateTime: Date; UUID: string; SafeInt: number; JSONObject: Record<string, unknown>; Upload: IncomingFile };
}>();

/** Root fields that are null without an error when there is nothing to return: rows have to handle that. */
type NullByMeaning = 'viewer' | 'agentChat' | 'invite' | 'node';

/**
 * A document's data after `runRow` has thrown its errors. Every root field is nullable in the schema, because each can
 * be denied on its own; a row receives either all of its root fields or an error.
 */
export type Present<Data> = {
  [Root in keyof Data]: Root extends NullByMeaning ? Data[Root] : NonNullable<Data[Root]>;
};

export type { FragmentOf, ResultOf } from 'gql.tada';
export { readFragment } from 'gql.tada';
