import { blockFieldSuggestionsPlugin } from '@escape.tech/graphql-armor-block-field-suggestions';
import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Context } from '../context.ts';
import type { Settings } from '../settings.ts';
import { maskError } from './errors.ts';
import { examples } from './examples.ts';
import { useCsrfPrevention } from './plugins/csrf.ts';
import { useIntrospectionGate } from './plugins/introspection.ts';
import { useMaxRepeats } from './plugins/repeats.ts';
import { schema } from './schema.ts';

/** What one request may cost before it is run. A client’s own queries stay far below; each is refused with 400. */
export const queryLimits = { tokens: 1000, depth: 12, aliases: 15, directives: 5, cost: 5000, repeats: 20 } as const;

export type GraphQLServer = YogaServerInstance<Context, object>;

export function createGraphQLServer(settings: Settings): GraphQLServer {
  return createYoga<Context>({
    schema,
    graphqlEndpoint: '/graphql',
    landingPage: false,
    // CORS is the whole server's, not this endpoint's.
    cors: false,
    batching: false,
    multipart: false,
    maskedErrors: { maskError },
    logging: false,
    parserAndValidationCache: true,
    graphiql: (_request, context) =>
      (settings.graphiql || (context as unknown as Context).principal != null) && {
        title: 'Latchkey GraphiQL',
        subscriptionsProtocol: 'SSE',
        // Kept in this tab's storage until it is cleared: a reload should not ask for the key again.
        shouldPersistHeaders: true,
        headers: JSON.stringify({ Authorization: 'Bearer ' }, null, 2),
        defaultTabs: examples.map(({ query, variables }) => ({ query, variables: variables ?? null })),
      },
    renderGraphiQL,
    plugins: [
      useCsrfPrevention(),
      maxTokensPlugin({ n: queryLimits.tokens }),
      maxDepthPlugin({ n: queryLimits.depth, flattenFragments: true, ignoreIntrospection: true }),
      maxAliasesPlugin({ n: queryLimits.aliases, allowList: [] }),
      maxDirectivesPlugin({ n: queryLimits.directives }),
      costLimitPlugin({ maxCost: queryLimits.cost, flattenFragments: true, ignoreIntrospection: true }),
      useMaxRepeats(queryLimits.repeats),
      useIntrospectionGate(settings.graphiql),
      blockFieldSuggestionsPlugin(),
    ],
  });
}
