import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { print } from 'graphql';
import { isPermission } from '../authz/permissions.ts';
import { type AnyEndpoint, endpointRequirements, rootFields } from './endpoint.ts';
import { type Content, errorsOf } from './openapi-errors.ts';
import { dialectOf, hasEntityTag } from './routes.ts';

/** Collects the paths and components of the document. */
export type Registry = OpenAPIHono['openAPIRegistry'];

export const mapValues = <From, To>(values: Record<string, From>, map: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));

/** Returns the successful response of an endpoint. */
function doneOf(endpoint: AnyEndpoint): { description: string; content?: Content } {
  if (endpoint.status === 204 || endpoint.format === 'empty')
    return { description: 'The operation succeeded. The response has no body.' };
  const files: Content = mapValues(endpoint.content ?? { 'text/plain': endpoint.reply }, (schema) => ({ schema }));
  if (endpoint.format === 'file') return { description: 'The content of the file.', content: files };
  if (endpoint.format === 'text') return { description: 'The result of the operation, as text.', content: files };
  const isOnlyStream = endpoint.stream !== undefined && endpoint.stream.when === undefined;
  const content: Content = isOnlyStream ? {} : { 'application/json': { schema: endpoint.reply } };
  if (endpoint.download) Object.assign(content, files);
  if (endpoint.stream)
    content['text/event-stream'] = { schema: z.string().openapi({ description: endpoint.stream.description }) };
  return { description: 'The operation succeeded. The body contains its result.', content };
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

/** Registers an endpoint with its GraphQL document and permissions. */
export function registerEndpoint(registry: Registry, endpoint: AnyEndpoint): void {
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
