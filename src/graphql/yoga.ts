import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Context } from '../context.ts';
import type { Metrics } from '../metrics.ts';
import type { Settings } from '../settings.ts';
import { recentDocuments } from './document-cache.ts';
import { maskError } from './errors.ts';
import { useAcceptCheck } from './plugins/accept.ts';
import { useCsrfPrevention } from './plugins/csrf.ts';
import { useRefusalAudit } from './plugins/denial-audit.ts';
import { useErrorWording } from './plugins/error-messages.ts';
import { useIntrospectionGate } from './plugins/introspection.ts';
import { type QueryLimits, useBudget, useQueryLimits } from './plugins/limits.ts';
import { usePartialStatus } from './plugins/partial.ts';
import { usePersistedQueryFallback } from './plugins/persisted-queries.ts';
import { useStrictReading } from './plugins/request-parser.ts';
import { useRevocationCheck } from './plugins/revocation-check.ts';
import { useVariableCheck } from './plugins/variable-validation.ts';
import { schema } from './schema.ts';

/**
 * Limits on operations, checked before execution. Ordinary queries stay far below them; an operation above a limit gets
 * 400.
 */
export const queryLimits: QueryLimits = {
  characters: 20_000,
  tokens: 1000,
  depth: 12,
  aliases: 15,
  directives: 5,
  cost: 5000,
  repeats: 20,
};

export type GraphQLServer = YogaServerInstance<Context, object>;

export function createGraphQLServer(settings: Settings, metrics: Metrics): GraphQLServer {
  return createYoga<Context>({
    schema,
    graphqlEndpoint: '/graphql',
    landingPage: false,
    // CORS is configured for the whole server.
    cors: false,
    batching: false,
    multipart: false,
    maskedErrors: { maskError },
    logging: false,
    parserAndValidationCache: { documentCache: recentDocuments(), errorCache: recentDocuments() },
    // Served as a page of its own.
    graphiql: false,
    plugins: [
      useCsrfPrevention(),
      useStrictReading(),
      usePersistedQueryFallback(),
      useAcceptCheck(),
      useQueryLimits(queryLimits, metrics.refused),
      useIntrospectionGate(settings.graphiql),
      useVariableCheck(),
      useErrorWording(settings.graphiql),
      usePartialStatus(),
      useRevocationCheck(),
      useRefusalAudit(),
      useBudget(),
    ],
  });
}
