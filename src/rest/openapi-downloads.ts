import type { z } from '@hono/zod-openapi';
import { downloads } from './downloads.ts';
import { mapValues, type Registry } from './openapi-endpoint.ts';
import { downloadErrors } from './openapi-errors.ts';

/** Registers the downloads, which have no GraphQL document. */
export function registerDownloads(registry: Registry): void {
  for (const { path, tag, summary, twin, permission, query, content } of downloads)
    registry.registerPath({
      method: 'get',
      path: `/api${path}`,
      tags: [tag],
      summary,
      description: `Needs \`${permission}\`. A download has no GraphQL document; the query \`${twin}\` returns the same data.`,
      request: { query: query as z.ZodObject },
      responses: {
        200: {
          description: 'The content of the file.',
          content: mapValues(content, (schema) => ({ schema })),
        },
        ...downloadErrors,
      },
      'x-graphql-operation': twin,
      'x-permissions': [permission],
    });
}
