import { OpenAPIHono, z } from '@hono/zod-openapi';
import { print } from 'graphql';
import { isPermission } from '../authz/permissions.ts';
import { version } from '../project-root.ts';
import { sessionCookie } from './credential.ts';
import { downloads } from './downloads.ts';
import { type AnyEndpoint, endpointRequirements, rootFields } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { type Content, downloadErrors, errorsOf, publicErrors } from './openapi-errors.ts';
import { dialectOf, hasEntityTag } from './routes.ts';

const Health = z.object({ success: z.boolean(), message: z.string(), data: z.null() }).openapi('StatusResponse');
const Ping = z.object({ online: z.literal(true) }).openapi('PingResponse');
const Version = z.object({ backend_version: z.string() }).openapi('VersionResponse');
const json = (schema: z.ZodType, description: string) => ({ description, content: { 'application/json': { schema } } });

const mapValues = <From, To>(values: Record<string, From>, map: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));

/** Returns the successful response of an endpoint. */
function doneOf(endpoint: AnyEndpoint): { description: string; content?: Content } {
  const description = 'The operation succeeded.';
  if (endpoint.status === 204 || endpoint.format === 'empty') return { description };
  const files: Content = mapValues(endpoint.content ?? { 'text/plain': endpoint.reply }, (schema) => ({ schema }));
  if (endpoint.format === 'file') return { description: 'The content of the file.', content: files };
  if (endpoint.format === 'text') return { description, content: files };
  const isOnlyStream = endpoint.stream !== undefined && endpoint.stream.when === undefined;
  const content: Content = isOnlyStream ? {} : { 'application/json': { schema: endpoint.reply } };
  if (endpoint.download) Object.assign(content, files);
  if (endpoint.stream)
    content['text/event-stream'] = { schema: z.string().openapi({ description: endpoint.stream.description }) };
  return { description, content };
}

/** Returns the request bodies that an endpoint accepts. */
function bodyOf(endpoint: AnyEndpoint): { required: boolean; content: Content } | undefined {
  if (!endpoint.body) return undefined;
  const { looseBodies } = dialectOf(endpoint);
  if (endpoint.form === 'files')
    return { required: true, content: { 'multipart/form-data': { schema: endpoint.body as z.ZodType } } };
  const types = [
    'application/json',
    ...(endpoint.form || looseBodies ? ['application/x-www-form-urlencoded'] : []),
    ...(looseBodies ? ['multipart/form-data', 'text/plain'] : []),
  ];
  const schema = endpoint.body as z.ZodType;
  return {
    required: !looseBodies && !endpoint.optionalBody,
    content: Object.fromEntries(types.map((type) => [type, { schema }])),
  };
}

/** Returns the OpenAPI 3.1 document of everything that is served under `/api`. */
export function openApiDocument(): object {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
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
  for (const endpoint of endpoints) {
    const needs = endpointRequirements(endpoint);
    const twin = rootFields(endpoint.document)
      .map(({ name }) => name)
      .join(', ');
    const document = print(endpoint.document);
    const body = bodyOf(endpoint);
    registry.registerPath({
      method: endpoint.method,
      path: `/api${endpoint.path}`,
      tags: [endpoint.tag],
      summary: endpoint.summary,
      ...(needs.length === 0 && { security: [] }),
      description: [
        needs.length > 0
          ? `Needs ${needs.map((need) => (need === 'signedIn' ? 'any valid credential' : `\`${need}\``)).join(', ')}.`
          : '',
        `The same in GraphQL:\n\n\`\`\`graphql\n${document}\n\`\`\``,
      ]
        .filter(Boolean)
        .join('\n\n'),
      request: {
        ...(endpoint.params && { params: endpoint.params as z.ZodObject }),
        ...(endpoint.query && { query: endpoint.query as z.ZodObject }),
        ...(body && { body }),
      },
      responses: {
        [endpoint.status ?? 200]: doneOf(endpoint),
        ...(hasEntityTag(endpoint) && {
          304: { description: 'The file is the one that the client has, as `If-None-Match` states.' },
        }),
        ...errorsOf(endpoint),
      },
      'x-graphql-operation': twin,
      'x-graphql-document': document,
      'x-permissions': needs.filter(isPermission),
    });
  }
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
      for (const parameter of parameters ?? []) asWritten(parameter);
  return withNullableReferences(document) as object;
}

/**
 * Returns a document in which a nullable reference accepts null. The generator combines the reference with
 * `type: [object, null]` in `allOf`, which no null matches.
 */
function withNullableReferences(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withNullableReferences);
  const { allOf, ...rest } = value as { allOf?: { $ref?: string; type?: unknown }[] };
  const [reference, nullable, ...others] = allOf ?? [];
  if (reference?.$ref && others.length === 0 && Array.isArray(nullable?.type) && nullable.type.includes('null')) {
    const { type: _type, ...annotations } = nullable;
    return { ...rest, anyOf: [reference, { type: 'null' }], ...annotations };
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withNullableReferences(inner)]));
}

interface Parameter {
  in: string;
  required?: boolean;
  schema: { type?: string | string[] };
}

/**
 * A schema that parses numbers would accept any value; values in a URL are never null, and every part of a path is
 * required.
 */
function asWritten(parameter: Parameter): void {
  const { schema } = parameter;
  if (parameter.in === 'path') parameter.required = true;
  if (!Array.isArray(schema.type)) return;
  const [type, ...others] = schema.type.filter((name) => name !== 'null');
  if (type !== undefined && others.length === 0) schema.type = type;
}
