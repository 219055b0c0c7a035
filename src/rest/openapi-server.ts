import { z } from '@hono/zod-openapi';
import { sessionCookie } from './credential.ts';
import type { Registry } from './openapi-endpoint.ts';
import { publicErrors } from './openapi-errors.ts';

const Health = z.object({ success: z.boolean(), message: z.string(), data: z.null() }).openapi('StatusResponse');
const Ping = z.object({ online: z.literal(true) }).openapi('PingResponse');
const Version = z.object({ backend_version: z.string() }).openapi('VersionResponse');
const json = (schema: z.ZodType, description: string) => ({ description, content: { 'application/json': { schema } } });

/** Registers the locations of a credential. */
export function registerSecuritySchemes(registry: Registry): void {
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description:
      'An API key (`on_…`, `sk-…`), a personal access token (`onyx_pat_…`), a project token (`proj_…`) or a login session (`ses_…`).',
  });
  registry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: sessionCookie,
    description:
      'The cookie of a login session (`ses_…`), which `POST /api/auth/login` sets. Accepted on the paths of Onyx clients.',
  });
}

/** Registers the paths that describe the server and need no credential. */
export function registerServerPaths(registry: Registry): void {
  registry.registerPath({
    method: 'get',
    path: '/api/health',
    tags: ['Health'],
    summary: 'Check that the server is running',
    security: [],
    responses: { 200: json(Health, 'The server is running.'), ...publicErrors },
  });
  registry.registerPath({
    method: 'get',
    path: '/api/version',
    tags: ['Health'],
    summary: 'Get the version of the API that clients check',
    security: [],
    responses: { 200: json(Version, 'The version of the server.'), ...publicErrors },
  });
  registry.registerPath({
    method: 'get',
    path: '/api/ping',
    tags: ['Health'],
    summary: 'Check that the server is online, for clients of AnythingLLM',
    security: [],
    responses: { 200: json(Ping, 'The server is online.'), ...publicErrors },
  });
}
