import { z } from '@hono/zod-openapi';
import { type Permission, permissions, permissionTable, type Role } from '../../authz/permissions.ts';
import { badInput } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { permissionNames, scopeConstants } from '../permission-names.ts';
import { everything, fromRole, id, isoDate, isoDateOrNull, nothing, roleName, toRole } from '../shapes.ts';
import { coded, message, onyxFailure, onyxInvalid } from './errors.ts';

const tag = 'API keys';

const KeyDescriptor = graphql(`
  fragment KeyDescriptor on ApiKey @_unmask {
    databaseId display name role user { databaseId } scopes projectDatabaseId createdAt expiresAt lastUsedAt
  }
`);
type Key = ResultOf<typeof KeyDescriptor>;

/** The two default groups of newer servers, which represent the roles. A key in neither is limited. */
export const defaultGroups = [
  { id: 1, name: 'Admin', role: 'ADMIN' },
  { id: 2, name: 'Basic', role: 'BASIC' },
] as const;

const Descriptor = z
  .object({
    api_key_id: z.int(),
    api_key_display: z.string(),
    api_key: z.string().nullable().openapi({
      description:
        'The secret of the key. Set only in the responses of the operations that create or regenerate a key; null otherwise.',
    }),
    api_key_name: z.string().nullable(),
    api_key_role: roleName,
    groups: z.array(z.object({ id: z.int(), name: z.string() })),
    user_id: z.uuid(),
    scopes: z.array(z.string()).nullable(),
    project_id: z
      .int()
      .nullable()
      .openapi({ description: 'The ID of the project that the key is restricted to; null without a project.' }),
    created_at: isoDate,
    expires_at: isoDateOrNull,
    last_used_at: isoDateOrNull,
  })
  .openapi('ApiKeyDescriptor');

const descriptor = (key: Key, secret: string | null): z.input<typeof Descriptor> => ({
  api_key_id: key.databaseId,
  api_key_display: key.display,
  api_key: secret,
  api_key_name: key.name,
  api_key_role: fromRole(key.role),
  groups: defaultGroups.filter((group) => group.role === key.role).map(({ id, name }) => ({ id, name })),
  user_id: key.user.databaseId,
  scopes: key.scopes && permissionNames(key.scopes),
  project_id: key.projectDatabaseId,
  created_at: key.createdAt,
  expires_at: key.expiresAt,
  last_used_at: key.lastUsedAt,
});

const neverExpires =
  'If true, the credential does not expire, whatever the default lifetime. Rejected where a maximum lifetime is set, and for a caller whose own credential expires.';

const KeyArgs = z
  .object({
    name: z.string().max(100).nullish(),
    role: roleName.optional().openapi({
      description:
        'The role of the key’s service account; takes precedence over `group_ids`. Defaults to the role that `group_ids` selects, or to `basic`.',
    }),
    group_ids: z.array(z.int()).optional().openapi({
      description:
        'The groups of the key, which determine its role: 1 is Admin, 2 is Basic, and an empty list makes the key limited.',
    }),
    scopes: z.array(z.string()).nullish().openapi({
      description:
        'The permissions to restrict the key to, all of which the caller must hold. An empty list is rejected.',
    }),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
    never_expires: z.boolean().nullish().openapi({ description: neverExpires }),
  })
  .openapi('ApiKeyArgs');
const KeyChanges = KeyArgs.extend({
  name: z
    .string()
    .max(100)
    .nullish()
    .openapi({ description: 'The new name of the key; at most 100 characters. An empty string removes the name.' }),
  role: roleName.nullish(),
  all_scopes: z.boolean().nullish().openapi({
    description:
      'If true, removes the scopes, so that the key holds everything that its role allows. Cannot be combined with `scopes`.',
  }),
}).openapi('ApiKeyChanges', { description: 'A field that is null or absent stays unchanged.' });
const NewKeyArgs = KeyArgs.extend({
  project_id: z.int().min(-0x8000_0000).max(0x7fff_ffff).nullish().openapi({
    description: 'The ID of a project of the caller that the key is restricted to. Defaults to no project.',
  }),
}).openapi('NewApiKeyArgs');

/**
 * Returns the role that a body specifies, or undefined when it specifies no role. `role` takes precedence over
 * `group_ids`, because only clients of the older contract send it.
 */
function roleOf({ role, group_ids }: Pick<z.infer<typeof KeyChanges>, 'role' | 'group_ids'>): Role | undefined {
  if (role) return toRole(role);
  if (!group_ids) return undefined;
  const unknown = group_ids.filter((wanted) => !defaultGroups.some((group) => group.id === wanted));
  if (unknown.length > 0) throw badInput(['body', 'group_ids'], `Group IDs do not exist: [${unknown.join(', ')}]`);
  return defaultGroups.find((group) => group_ids.includes(group.id))?.role ?? 'LIMITED';
}

const newKey = (body: z.infer<typeof NewKeyArgs>) => ({
  name: body.name || null,
  role: roleOf(body) ?? 'BASIC',
  scopes: body.scopes && scopeConstants(body.scopes),
  expiresAt: body.expires_at ? new Date(body.expires_at) : null,
  neverExpires: body.never_expires,
  projectId: body.project_id?.toString(),
});

/**
 * Converts a body to the changes of a key. Onyx replaces the whole key. Here, fields that are absent from the body stay
 * unchanged, because Onyx clients do not support scopes.
 */
const keyChange = (body: z.infer<typeof KeyChanges>) => ({
  name: body.name || null,
  ...(body.name === '' && { clear: ['NAME' as const] }),
  role: roleOf(body),
  scopes: body.scopes && scopeConstants(body.scopes),
  allScopes: body.all_scopes,
  expiresAt: body.expires_at ? new Date(body.expires_at) : null,
  neverExpires: body.never_expires,
});

const keyParams = z.object({ api_key_id: id });
/** The contract has its own message for unknown groups; other errors name their field. */
const badKey: NonNullable<AnyEndpoint['failure']> = (error) => {
  if (error.code !== 'BAD_USER_INPUT') return null;
  const [problem] = error.details.fields ?? [];
  return message(problem?.path.at(-1) === 'group_ids' ? problem.message : error.message);
};
const unknownKey: AnyEndpoint['failure'] = (error, input) =>
  error.code === 'NOT_FOUND'
    ? message(`API key with id ${input?.params.api_key_id} does not exist`)
    : badKey(error, input);

const TokenResponse = z
  .object({
    id: z.int(),
    name: z.string(),
    token_display: z.string(),
    created_at: isoDate,
    expires_at: isoDateOrNull,
    last_used_at: isoDateOrNull,
    scopes: z.array(z.string()).nullable(),
  })
  .openapi('TokenResponse');
const CreatedTokenResponse = TokenResponse.extend({ token: z.string() }).openapi('CreatedTokenResponse');

const PatDescriptor = graphql(`
  fragment PatDescriptor on PersonalAccessToken @_unmask {
    databaseId name display createdAt expiresAt lastUsedAt scopes
  }
`);

const pat = (token: ResultOf<typeof PatDescriptor>): z.input<typeof TokenResponse> => ({
  id: token.databaseId,
  name: token.name,
  token_display: token.display,
  created_at: token.createdAt,
  expires_at: token.expiresAt,
  last_used_at: token.lastUsedAt,
  scopes: token.scopes && permissionNames(token.scopes),
});

const Scope = z
  .object({
    scope: z.string(),
    group_label: z.string(),
    label: z.string(),
    description: z.string(),
    min_tier: z.literal('community').openapi({
      description:
        'The lowest product tier with this scope: always `community`, because this server offers every scope.',
    }),
    implies: z.array(z.string()),
  })
  .openapi('TokenScope');

export const tokenEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/admin/api-key',
    tag,
    summary: 'List API keys without their secrets',
    reply: z.array(Descriptor),
    document: graphql(`query ListApiKeys($first: Int!) { apiKeys(first: $first) { nodes { ...KeyDescriptor } } }`, [
      KeyDescriptor,
    ]),
    variables: () => ({ first: everything }),
    output: ({ apiKeys }) => apiKeys.nodes.map((key) => descriptor(key, null)),
  }),
  endpoint({
    method: 'post',
    path: '/admin/api-key',
    tag,
    summary: 'Create an API key',
    body: NewKeyArgs,
    reply: Descriptor,
    document: graphql(
      `mutation CreateApiKey($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { ...KeyDescriptor } } }`,
      [KeyDescriptor],
    ),
    variables: ({ body }) => ({ input: newKey(body) }),
    output: ({ createApiKey: { apiKey, secret } }) => descriptor(apiKey, secret),
    failure: badKey,
  }),
  endpoint({
    method: 'patch',
    path: '/admin/api-key/{api_key_id}',
    tag,
    summary: 'Update an API key; fields that are absent or null stay unchanged',
    params: keyParams,
    body: KeyChanges,
    reply: Descriptor,
    document: graphql(
      `mutation UpdateApiKey($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { ...KeyDescriptor } } }`,
      [KeyDescriptor],
    ),
    variables: ({ params, body }) => ({ input: { id: String(params.api_key_id), ...keyChange(body) } }),
    output: ({ updateApiKey: { apiKey } }) => descriptor(apiKey, null),
    failure: unknownKey,
  }),
  endpoint({
    method: 'post',
    path: '/admin/api-key/{api_key_id}/regenerate',
    tag,
    summary: 'Replace the secret of an API key',
    params: keyParams,
    body: z
      .object({
        overlap_minutes: z.number().nullish().openapi({
          type: 'integer',
          minimum: 0,
          maximum: 10_080,
          description:
            'The number of minutes for which the old secret still works; at most 10,080. The old secret cannot create or change credentials. Defaults to 0.',
        }),
        keep_derived: z.boolean().nullish().openapi({
          description:
            'If true, the tokens, keys, invite codes and invitations that the key created keep working. They are revoked by default.',
        }),
      })
      .openapi('RegenerateApiKeyArgs'),
    optionalBody: true,
    reply: Descriptor,
    document: graphql(
      `mutation RegenerateApiKey($input: RegenerateApiKeyInput!) {
        regenerateApiKey(input: $input) { secret apiKey { ...KeyDescriptor } }
      }`,
      [KeyDescriptor],
    ),
    variables: ({ params, body }) => ({
      input: {
        id: String(params.api_key_id),
        overlapMinutes: body.overlap_minutes,
        keepDerivedCredentials: body.keep_derived,
      },
    }),
    output: ({ regenerateApiKey: { apiKey, secret } }) => descriptor(apiKey, secret),
    failure: unknownKey,
  }),
  endpoint({
    method: 'delete',
    path: '/admin/api-key/{api_key_id}',
    tag,
    summary: 'Delete an API key and its service account',
    params: keyParams,
    reply: nothing,
    document: graphql(`mutation DeleteApiKey($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }`),
    variables: ({ params }) => ({ id: String(params.api_key_id) }),
    output: () => null,
    failure: unknownKey,
  }),
  endpoint({
    method: 'get',
    path: '/user/pats',
    tag: 'Personal access tokens',
    summary: 'List the caller’s personal access tokens',
    reply: z.array(TokenResponse),
    document: graphql(
      `query ListPersonalAccessTokens($first: Int!) { personalAccessTokens(first: $first) { nodes { ...PatDescriptor } } }`,
      [PatDescriptor],
    ),
    variables: () => ({ first: everything }),
    output: ({ personalAccessTokens }) => personalAccessTokens.nodes.map(pat),
  }),
  endpoint({
    method: 'post',
    path: '/user/pats',
    tag: 'Personal access tokens',
    summary: 'Create a personal access token for the caller',
    body: z
      .object({
        name: z.string().min(1).max(100),
        expiration_days: z.int().min(1).max(3650).nullish(),
        never_expires: z.boolean().nullish().openapi({ description: neverExpires }),
        scopes: z.array(z.string()).nullish().openapi({
          description:
            'The permissions to restrict the token to, all of which the caller must hold. Defaults to all permissions of the caller.',
        }),
      })
      .openapi('CreateTokenRequest'),
    reply: CreatedTokenResponse,
    document: graphql(
      `mutation CreatePersonalAccessToken($input: CreatePersonalAccessTokenInput!) {
        createPersonalAccessToken(input: $input) { secret personalAccessToken { ...PatDescriptor } }
      }`,
      [PatDescriptor],
    ),
    variables: ({ body }) => ({
      input: {
        name: body.name,
        expiresInDays: body.expiration_days,
        neverExpires: body.never_expires,
        scopes: body.scopes && scopeConstants(body.scopes),
      },
    }),
    output: ({ createPersonalAccessToken: { personalAccessToken, secret } }) => ({
      ...pat(personalAccessToken),
      token: secret,
    }),
    failure: (error) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      const [problem] = error.details.fields ?? [];
      return problem?.path.at(-1) === 'scopes' ? coded(400, 'INVALID_INPUT', problem.message) : onyxInvalid(error);
    },
  }),
  endpoint({
    method: 'delete',
    path: '/user/pats/{token_id}',
    tag: 'Personal access tokens',
    summary: 'Revoke a personal access token of the caller',
    params: z.object({ token_id: id }),
    reply: z.object({ message: z.string() }),
    document: graphql(
      `mutation RevokePersonalAccessToken($id: ID!) {
        revokePersonalAccessToken(input: { id: $id }) { personalAccessToken { databaseId } }
      }`,
    ),
    variables: ({ params }) => ({ id: String(params.token_id) }),
    output: () => ({ message: 'Token deleted successfully' }),
    failure: (error) =>
      error.code === 'NOT_FOUND' ? coded(404, 'NOT_FOUND', 'Token not found or not owned by user') : onyxFailure(error),
  }),
  endpoint({
    method: 'get',
    path: '/user/pats/scopes',
    tag: 'Personal access tokens',
    summary: 'List the scopes that tokens of the caller can have',
    reply: z.array(Scope),
    document: graphql(`query TokenScopes { personalAccessTokens(first: 0) { totalCount } viewer { permissions } }`),
    variables: () => ({}),
    output: ({ viewer }) =>
      permissions
        .filter((name) => viewer && permissionNames(viewer.permissions).includes(name))
        .map((name: Permission) => ({
          scope: name,
          group_label: name.slice(name.indexOf(':') + 1),
          label: permissionTable[name].title,
          description: permissionTable[name].allows,
          min_tier: 'community' as const,
          implies: [],
        })),
  }),
];
