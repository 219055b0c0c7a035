import { OpenAPIHono } from '@hono/zod-openapi';
import { version } from '../project-root.ts';
import { endpoints } from './endpoints.ts';
import { describeAsWritten, type Parameter, withNullableReferences } from './openapi-corrections.ts';
import { registerDownloads } from './openapi-downloads.ts';
import { registerEndpoint } from './openapi-endpoint.ts';
import { registerSecuritySchemes, registerServerPaths } from './openapi-server.ts';

/** Returns the OpenAPI 3.1 document of everything that is served under `/api`. */
export function openApiDocument(): object {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  registerSecuritySchemes(registry);
  registerServerPaths(registry);
  registerDownloads(registry);
  for (const endpoint of endpoints) registerEndpoint(registry, endpoint);
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Latchkey',
      version,
      description:
        'The REST paths that existing clients call. Each path maps onto one GraphQL operation, which its description shows, so this page is also a guide to migrating to GraphQL. The paths of Onyx clients are also served without `/api`. Every path can also return 405 (with `Allow`), 408 when a body does not arrive in time, and 421 for an unknown `Host`.',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { session: [] }],
  });
  for (const operations of Object.values(document.paths ?? {}))
    for (const { parameters } of Object.values(operations as Record<string, { parameters?: Parameter[] }>))
      for (const parameter of parameters ?? []) describeAsWritten(parameter);
  return withNullableReferences(document) as object;
}
