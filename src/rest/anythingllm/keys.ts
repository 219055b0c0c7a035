import { z } from '@hono/zod-openapi';
import { type AnyEndpoint, endpoint, type Gate } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { permissionNames, scopeConstants } from '../permission-names.ts';
import { everything, fromRole, id, isoDate, isoDateOrNull, roleName as keyRole, toRole } from '../shapes.ts';
import { anythingllmSession, failed } from './dialect.ts';
import { multiUserOnly, singleUserOnly } from './mode.ts';
import { empty, roleName, usernameOf } from './shapes.ts';

const tag = 'AnythingLLM keys';

const KeyFields = graphql(`
  fragment AnythingLLMKey on ApiKey @_unmask {
    databaseId name display role scopes createdAt expiresAt lastUsedAt createdBy { number }
  }
`);
type Key = ResultOf<typeof KeyFields>;

const ApiKeyRow = z
  .object({
    id: z.int(),
    name: z.string().nullable(),
    secret: z
      .string()
      .openapi({ description: 'The complete key in the response that creates it; otherwise its display form.' }),
    createdBy: z
      .union([z.int(), z.object({ id: z.int(), username: z.string(), role: z.enum(['admin', 'default']) })])
      .nullable()
      .openapi({
        description:
          'The integer ID of the user who created the key. The list under `/admin` returns the user’s ID, name and role to callers that can manage users.',
      }),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
    role: keyRole,
    scopes: z.array(z.string()).nullable(),
    expires_at: isoDateOrNull,
    last_used_at: isoDateOrNull,
  })
  .openapi('AnythingLLMApiKey');

const keyRow = (key: Key, secret: string): z.input<typeof ApiKeyRow> => ({
  id: key.databaseId,
  name: key.name,
  secret,
  createdBy: key.createdBy?.number ?? null,
  createdAt: key.createdAt,
  // These clients cannot change a key.
  lastUpdatedAt: key.createdAt,
  role: fromRole(key.role),
  scopes: key.scopes && permissionNames(key.scopes),
  expires_at: key.expiresAt,
  last_used_at: key.lastUsedAt,
});

const Keys = z.object({ apiKeys: z.array(ApiKeyRow), error: z.null() }).openapi('AnythingLLMApiKeys');

const NewKey = z
  .object({
    name: z.string().trim().nullish(),
    role: keyRole.nullish().openapi({ description: 'The role of the key. Defaults to admin.' }),
    scopes: z
      .array(z.string())
      .nullish()
      .openapi({ description: 'The permissions to restrict the key to. Defaults to everything that its role allows.' }),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
    never_expires: z.boolean().nullish().openapi({
      description: 'If true, the key does not expire, regardless of the server’s default lifetime. Defaults to false.',
    }),
  })
  .openapi('AnythingLLMNewApiKey');

const generate = (path: string, gate: Gate): AnyEndpoint =>
  endpoint({
    method: 'post',
    path,
    tag,
    summary: 'Create an API key',
    dialect: anythingllmSession,
    gate,
    body: NewKey,
    reply: z.object({ apiKey: ApiKeyRow, error: z.null() }).openapi('AnythingLLMGeneratedApiKey'),
    document: graphql(
      `mutation GenerateApiKey($input: CreateApiKeyInput!) {
        createApiKey(input: $input) { secret apiKey { ...AnythingLLMKey } }
      }`,
      [KeyFields],
    ),
    variables: ({ body: { name, role, scopes, expires_at, never_expires } }) => ({
      input: {
        kind: 'ANYTHINGLLM' as const,
        name: name || null,
        role: toRole(role ?? 'admin'),
        scopes: scopes && scopeConstants(scopes),
        expiresAt: expires_at ? new Date(expires_at) : null,
        neverExpires: never_expires,
      },
    }),
    output: ({ createApiKey: { apiKey, secret } }) => ({ apiKey: keyRow(apiKey, secret), error: null }),
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? failed(422, error.message) : null),
  });

const remove = (path: string, gate: Gate): AnyEndpoint =>
  endpoint({
    method: 'delete',
    path,
    tag,
    summary: 'Delete an API key, which stops working at once',
    dialect: anythingllmSession,
    gate,
    params: z.object({ id }),
    reply: empty,
    format: 'empty',
    document: graphql(`mutation RemoveApiKey($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }`),
    variables: ({ params }) => ({ id: String(params.id) }),
    output: () => undefined,
    failure: ({ code }) => (code === 'NOT_FOUND' ? { status: 200, body: undefined } : null),
  });

export const keyEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/system/api-keys',
    tag,
    summary: 'List the AnythingLLM API keys while the server has no user accounts',
    dialect: anythingllmSession,
    gate: singleUserOnly,
    reply: Keys,
    document: graphql(
      `query SystemApiKeys($first: Int!) {
        apiKeys(first: $first, filter: { kinds: [ANYTHINGLLM] }) { nodes { ...AnythingLLMKey } }
      }`,
      [KeyFields],
    ),
    variables: () => ({ first: everything }),
    output: ({ apiKeys }) => ({ apiKeys: apiKeys.nodes.map((key) => keyRow(key, key.display)), error: null }),
  }),
  generate('/system/generate-api-key', singleUserOnly),
  remove('/system/api-key/{id}', singleUserOnly),
  endpoint({
    method: 'get',
    path: '/admin/api-keys',
    tag,
    summary: 'List the AnythingLLM API keys',
    dialect: anythingllmSession,
    gate: multiUserOnly,
    reply: Keys,
    document: graphql(
      `query AdminApiKeys($first: Int!) {
        apiKeys(first: $first, filter: { kinds: [ANYTHINGLLM] }) {
          nodes { ...AnythingLLMKey createdBy { number email username role active } }
        }
      }`,
      [KeyFields],
    ),
    variables: () => ({ first: everything }),
    // The creator of a key is visible only to callers who can manage users. For other callers, `active` is null.
    partial: true,
    output: ({ apiKeys }) => ({
      apiKeys: apiKeys.nodes.map((key) => ({
        ...keyRow(key, key.display),
        ...(typeof key.createdBy?.active === 'boolean' && {
          createdBy: {
            id: key.createdBy.number,
            username: usernameOf(key.createdBy),
            role: roleName(key.createdBy.role),
          },
        }),
      })),
      error: null,
    }),
  }),
  generate('/admin/generate-api-key', multiUserOnly),
  remove('/admin/delete-api-key/{id}', multiUserOnly),
];
