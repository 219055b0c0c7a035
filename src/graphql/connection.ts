import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { Context } from '../context.ts';
import type { ListOrder, PageArgs, PageOf } from '../paging.ts';
import { builder } from './builder.ts';

type ArgBuilder = Parameters<Parameters<typeof builder.queryFields>[0]>[0]['arg'];

/** The arguments of every list. */
export const pageArgs = (arg: ArgBuilder) => ({
  first: arg.int({ description: 'How many to return: 20 unless given, at most 100.' }),
  after: arg.string({ description: 'The cursor after which to go on. A cursor of another list is refused.' }),
  offset: arg.int({
    description: 'How many to pass over, for clients that number their pages. Not together with `after`.',
  }),
});

export interface Connection<Row> {
  edges: { cursor: string; node: Row }[];
  pageInfo: {
    hasNextPage: boolean;
    hasPreviousPage: boolean;
    startCursor: string | null;
    endCursor: string | null;
  };
  /** Counted only when somebody asks. */
  totalCount: () => Promise<number>;
}

export function connection<Row extends object>(
  order: ListOrder,
  { rows, hasNext }: PageOf<Row>,
  args: PageArgs,
  totalCount: () => Promise<number>,
): Connection<Row> {
  const edges = rows.map((node) => ({ cursor: order.cursor(node as Record<string, unknown>), node }));
  return {
    edges,
    pageInfo: {
      hasNextPage: hasNext,
      hasPreviousPage: args.after != null || (args.offset ?? 0) > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  };
}

/** The `include` of a list's query: the relations that the selection under `edges.node` or `nodes` asks for. */
export const nodeQuery = (context: Context, info: GraphQLResolveInfo): object =>
  queryFromInfo({ context, info, paths: [['edges', 'node'], ['nodes']] });

builder.globalConnectionField('totalCount', (t) =>
  t.int({
    description: 'How many there are in all, whatever the page.',
    resolve: (list) => (list as unknown as Connection<object>).totalCount(),
  }),
);

type Nested<Query> = (query: Query, path: unknown) => Query & { select?: object };

/**
 * The `select` of a list that hangs from a thing: its rows, and the relations that the selection under `edges.node` or
 * `nodes` asks for, come with the thing itself. `nested` is the third argument of the field's `select`.
 */
export function nestedNodes<Query extends object>(
  nested: unknown,
  typename: string,
  order: ListOrder,
  query: Query,
): Query {
  const paths = [[{ name: 'edges' }, { name: 'node' }], [{ name: 'nodes' }]];
  const rows = (nested as Nested<Query>)(query, { getType: () => typename, paths });
  // Where nobody asks for the things themselves, their cursors still need these columns.
  return rows.select ? { ...rows, select: { ...order.select, ...rows.select } } : rows;
}
