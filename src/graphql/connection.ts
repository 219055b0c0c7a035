import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { Context } from '../context.ts';
import type { ListOrder, PageArgs, PageOf } from '../paging.ts';
import { builder } from './builder.ts';

export type ArgBuilder = Parameters<Parameters<typeof builder.queryFields>[0]>[0]['arg'];

/** The arguments of every list. */
export const pageArgs = (arg: ArgBuilder) => ({
  first: arg.int({
    description: 'Returns this many items from the start of the list. Defaults to 20; at most 100.',
  }),
  after: arg.string({
    description: 'Returns the items after this cursor, which must come from the same list in the same order.',
  }),
  last: arg.int({
    description: 'Returns this many items from the end of the list; at most 100. Cannot be combined with `first`.',
  }),
  before: arg.string({
    description: 'Returns the items before this cursor, which must come from the same list in the same order.',
  }),
  offset: arg.int({
    description:
      'Skips this many items, for clients with numbered pages. Cannot be combined with `last`, `after` or `before`.',
  }),
});

export interface Edge<Row> {
  cursor: string;
  node: Row;
}

/** Returns a row and its cursor as an edge: for a list, or for the payload of a mutation that created the row. */
export const edge = <Row extends object>(order: ListOrder, node: Row): Edge<Row> => ({
  cursor: order.cursor(node as Record<string, unknown>),
  node,
});

export interface Connection<Row> {
  edges: Edge<Row>[];
  pageInfo: {
    hasNextPage: boolean;
    hasPreviousPage: boolean;
    startCursor: string | null;
    endCursor: string | null;
  };
  /** Runs the count query only when the field is selected. */
  totalCount: () => Promise<number>;
}

export function connection<Row extends object>(
  order: ListOrder,
  { rows, hasMore }: PageOf<Row>,
  args: PageArgs,
  totalCount: () => Promise<number>,
): Connection<Row> {
  const edges = rows.map((node) => edge(order, node));
  const backwards = args.last != null;
  return {
    edges,
    pageInfo: {
      // The row at the given cursor is adjacent to the page, so a page exists in that direction.
      hasNextPage: backwards ? args.before != null : hasMore,
      hasPreviousPage: backwards ? hasMore : args.after != null || (args.offset ?? 0) > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  };
}

/** Returns the `include` of a list's query: the relations that are selected under `edges.node` or `nodes`. */
export const nodeQuery = (context: Context, info: GraphQLResolveInfo): object =>
  queryFromInfo({ context, info, paths: [['edges', 'node'], ['nodes']] });

builder.globalConnectionField('totalCount', (t) =>
  t.int({
    description: 'The number of items in the whole list.',
    resolve: (list) => (list as unknown as Connection<object>).totalCount(),
  }),
);

type Nested<Query> = (query: Query, path: unknown) => Query & { select?: object };

/**
 * Returns the `select` of a list that is a field of another object: its rows, and the relations that are selected under
 * `edges.node` or `nodes`, are loaded with that object. `nested` is the third argument of the field's `select`.
 */
export function nestedNodes<Query extends object>(
  nested: unknown,
  typename: string,
  order: ListOrder,
  query: Query,
): Query {
  const paths = [[{ name: 'edges' }, { name: 'node' }], [{ name: 'nodes' }]];
  const rows = (nested as Nested<Query>)(query, { getType: () => typename, paths });
  // Cursors need these columns even when no node is selected.
  return rows.select ? { ...rows, select: { ...order.select, ...rows.select } } : rows;
}
