import type { DocumentNode } from 'graphql';
import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Context } from '../context.ts';
import type { Metrics } from '../metrics.ts';
import type { Settings } from '../settings.ts';
import { observeCache } from '../telemetry/gauges.ts';
import { recentDocuments } from './document-cache.ts';
import { maskError } from './errors.ts';
import { useOperationMetrics } from './plugins/operation-metrics.ts';
import { yogaPlugins } from './plugins/yoga-plugins.ts';
import { schema } from './schema.ts';

export type GraphQLServer = YogaServerInstance<Context, object>;

/** Creates the GraphQL endpoint, which executes operations that arrive over HTTP and WebSocket. */
export function createGraphQLServer(settings: Settings, metrics: Metrics): GraphQLServer {
  const documentCache = recentDocuments<DocumentNode>();
  observeCache(
    metrics.registry,
    'graphql_document_cache_requests_total',
    'Lookups of parsed and validated documents, by result: hit or miss.',
    documentCache,
  );
  return createYoga<Context>({
    schema,
    graphqlEndpoint: '/graphql',
    landingPage: false,
    // CORS is configured for the whole server.
    cors: false,
    batching: false,
    multipart: false,
    // Bodies are limited as they arrive, for all paths.
    maxRequestBodySize: false,
    maskedErrors: { maskError: (error) => maskError(error) },
    logging: false,
    parserAndValidationCache: { documentCache, errorCache: recentDocuments() },
    // Served as a page of its own.
    graphiql: false,
    plugins: [useOperationMetrics(metrics), ...(yogaPlugins(settings, metrics) ?? [])],
  });
}
