import { initGraphQLTada } from 'gql.tada';
import type { IncomingFile } from '../form.ts';
import type { introspection } from './graphql-env.d.ts';

/** Makes the typed document of a row. Its variables and its result are checked against the schema by the compiler. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { DateTime: Date; UUID: string; SafeInt: number; JSONObject: Record<string, unknown>; Upload: IncomingFile };
}>();

export type { FragmentOf, ResultOf } from 'gql.tada';
export { readFragment } from 'gql.tada';
