import type { GraphQLResolveInfo } from 'graphql';
import type { ServiceAccountKind } from '../../authz/credentials.ts';
import { isPermission, type Permission } from '../../authz/permissions.ts';
import { signedIn, type Viewer } from '../../authz/principal.ts';
import { seesProject, visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { Project as ProjectRow, Token } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { loadRelated } from '../../graphql/related.ts';
import { cut } from '../../paging.ts';
import { Project } from '../projects/projects.graphql.ts';
import { PermissionType, RoleType } from '../users/permissions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import { type ApiKeyRow, keyKind } from './api-keys.ts';
import type { RegeneratedKey } from './regenerate-key.ts';
import { apiKeyOrders, personalAccessTokenOrders, projectTokenOrders } from './token-lists.ts';

const scopesDescription =
  'The permissions that the credential is restricted to; null if it holds everything that its role allows.';
const newScopesDescription =
  'The permissions to restrict the credential to, all of which the caller must hold. An empty list is rejected. Defaults to everything that the role allows.';
const secretDescription = 'The secret. It is returned only once and stored only as a hash.';
const displayDescription =
  'Display form of the secret, for recognition only: the first characters, asterisks and the last four characters.';
const expiresAtDescription = 'The time at which the credential stops working; null for never.';
const lastUsedAtDescription = 'The time of the last use, to the minute; null if it was never used.';
const lastUsedAddressDescription = 'The network address of the client at the last use; null if it is unknown.';

/** Returns the scopes of a token, without those that this server does not know, which grant nothing. */
const scopesOf = ({ allScopes, scopes }: Token): Permission[] | null =>
  allScopes ? null : scopes.filter(isPermission);

const ApiKeyKindType = builder.enumType('ApiKeyKind', {
  description: 'A kind of keys that act as service accounts.',
  values: {
    API_KEY: { description: 'An API key with the prefix `on_`.' },
    ANYTHINGLLM: { description: 'An API key with the prefix `sk-`, as AnythingLLM clients expect it.' },
    PROJECT: { description: 'A project token with the prefix `proj_`, which is confined to one project.' },
  } satisfies Record<ServiceAccountKind, object>,
});

const ServiceAccountKey = builder.prismaInterface('Token', {
  variant: 'ServiceAccountKey',
  description: 'A key that acts as a service account, a user of its own.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.exposeString('name', { nullable: true, description: 'The name that its creator gave it.' }),
    display: t.exposeString('display', { description: displayDescription }),
    role: t.field({
      type: RoleType,
      description: 'The role of its service account.',
      select: { user: { select: { role: true } } },
      resolve: ({ user }) => user.role,
    }),
    user: t.relation('user', { type: User, description: 'The service account that the key acts as.' }),
    scopes: t.field({ type: [PermissionType], nullable: true, description: scopesDescription, resolve: scopesOf }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the key was created.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: expiresAtDescription }),
    disabled: t.boolean({
      description: 'Whether the key is disabled. A disabled key can be enabled again.',
      resolve: (key) => key.disabledAt !== null,
    }),
    lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true, description: lastUsedAtDescription }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: lastUsedAddressDescription }),
    previousSecretExpiresAt: t.expose('previousExpiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time until which the secret before the last regeneration still works; null if it does not.',
    }),
    createdBy: t.relation('creator', {
      type: User,
      nullable: true,
      description: 'The creator of the key; null for a deleted user.',
    }),
  }),
});

/** Returns the project of a key if the caller can read it, otherwise null. */
export const readableProject = (viewer: Viewer, project: ProjectRow | null): ProjectRow | null =>
  project && seesProject(signedIn(viewer), project) ? project : null;

export const ApiKey = builder.prismaNode('Token', {
  variant: 'ApiKey',
  interfaces: [ServiceAccountKey],
  id: { field: 'id', description: 'The global ID of the key.' },
  description: 'An API key, or a project token, for administrators of keys.',
  nullable: true,
  fields: (t) => ({
    kind: t.field({ type: ApiKeyKindType, description: 'The kind of the key.', resolve: ({ kind }) => keyKind(kind) }),
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description:
        'The project that the key is confined to; null without a project, and for a project that the caller cannot read.',
      select: (_args, _context, nested) => ({ project: nested() }),
      resolve: ({ project }, _args, { principal }) => readableProject(principal, project),
    }),
    projectDatabaseId: t.exposeInt('projectId', {
      nullable: true,
      description: 'The integer ID of the project that the key is confined to; null without a project.',
    }),
  }),
});

/** Returns the key with an integer ID; null for a credential that was deleted or is not a key. */
export const apiKeyOf = (id: number | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) => context.services.related.apiKeys(ids, query));

const ProjectToken = builder.prismaNode('Token', {
  variant: 'ProjectToken',
  interfaces: [ServiceAccountKey],
  id: { field: 'id', description: 'The global ID of the token.' },
  description: 'A key that is confined to a project, for the owner of the project.',
  nullable: true,
  fields: (t) => ({
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description: 'The project that the token is confined to.',
      select: (_args, _context, nested) => ({ project: nested() }),
      resolve: ({ project }, _args, { principal }) => readableProject(principal, project),
    }),
    projectDatabaseId: t.int({
      description: 'The integer ID of the project that the token is confined to.',
      resolve: ({ projectId }) => projectId ?? 0,
    }),
  }),
});

nodeRule('ProjectToken', {
  permission: 'write:tokens',
  readable: ({ prisma }, principal, ids) =>
    prisma.token.findMany({
      where: { ...visible.projectTokens(principal), id: { in: integerIds(ids) } },
      select: { id: true },
    }),
});

nodeRule('ApiKey', {
  permission: 'manage:api_keys',
  readable: ({ prisma }, _principal, ids) =>
    prisma.token.findMany({ where: { ...visible.apiKeys(), id: { in: integerIds(ids) } }, select: { id: true } }),
});

const PersonalAccessToken = builder.prismaNode('Token', {
  variant: 'PersonalAccessToken',
  id: { field: 'id', description: 'The global ID of the token.' },
  description: 'A token that acts as its owner, with the current role of the owner.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.string({ description: 'The name that its owner gave it.', resolve: ({ name }) => name ?? '' }),
    display: t.exposeString('display', { description: displayDescription }),
    user: t.relation('user', { type: User, description: 'The owner of the token, as which it acts.' }),
    scopes: t.field({ type: [PermissionType], nullable: true, description: scopesDescription, resolve: scopesOf }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the token was created.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: expiresAtDescription }),
    lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true, description: lastUsedAtDescription }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: lastUsedAddressDescription }),
  }),
});

nodeRule('PersonalAccessToken', {
  permission: 'write:tokens',
  readable: ({ prisma }, principal, ids) =>
    prisma.token.findMany({
      where: { ...visible.personalAccessTokens(principal), id: { in: integerIds(ids) } },
      select: { id: true },
    }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const expiryDescription =
  'The time at which the credential expires, at most 10 years ahead, and no later than the maximum lifetime in `preferences` and the expiry of the credential that the caller uses.';
const defaultExpiryDescription = 'Defaults to the default lifetime in `preferences`.';
const neverExpiresDescription =
  'If true, the credential does not expire. Rejected where a maximum lifetime is set and for a caller whose own credential expires.';

/** The input fields of a new key of a service account. */
const newKeyFields = (t: InputFields) => ({
  name: t.string({ description: 'A name by which people recognize the key; at most 100 characters.' }),
  role: t.field({ type: RoleType, description: 'The role of the service account. Defaults to `BASIC`.' }),
  scopes: t.field({ type: [PermissionType], description: newScopesDescription }),
  expiresAt: t.field({ type: 'DateTime', description: `${expiryDescription} ${defaultExpiryDescription}` }),
  neverExpires: t.boolean({ description: neverExpiresDescription }),
});

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'Input for the mutation `createApiKey`.',
  fields: (t) => ({
    ...newKeyFields(t),
    kind: t.field({
      type: ApiKeyKindType,
      description: 'The kind of the key. Defaults to `PROJECT` with `projectId`, otherwise to `API_KEY`.',
    }),
    projectId: t.id({
      description:
        'A project of the caller that the key is confined to, by its global ID or its integer `databaseId`. The key is a project token then.',
    }),
  }),
});

const CreateProjectTokenInput = builder.inputType('CreateProjectTokenInput', {
  description: 'Input for the mutation `createProjectToken`.',
  fields: (t) => ({
    ...newKeyFields(t),
    projectId: t.id({
      required: true,
      description: 'A project of the caller, by its global ID or its integer `databaseId`.',
    }),
  }),
});

const idField = (t: InputFields) => ({
  id: t.id({ required: true, description: 'The credential, by its global ID or its integer `databaseId`.' }),
});

/** Returns the integer ID of the credential that an input names. Throws BAD_USER_INPUT. */
const idOf = (input: { id: string }, typename: 'ApiKey' | 'ProjectToken' | 'PersonalAccessToken'): number =>
  integerId(input.id, typename, ['input', 'id']);

const clearApiKey = clearField('ClearableApiKeyField', { name: 'Leaves the key without a name.' });

const updateKeyFields = (t: InputFields) => ({
  ...idField(t),
  name: t.string({ description: 'The new name; at most 100 characters.' }),
  role: t.field({ type: RoleType, description: 'The new role of the service account.' }),
  scopes: t.field({
    type: [PermissionType],
    description:
      'The permissions that the key is restricted to from now on, all of which the caller must hold. An empty list is rejected.',
  }),
  allScopes: t.boolean({
    description:
      'If true, lifts the scopes: the key holds everything that its role allows. Cannot be combined with `scopes`.',
  }),
  expiresAt: t.field({ type: 'DateTime', description: expiryDescription }),
  neverExpires: t.boolean({
    description: `${neverExpiresDescription} Cannot be combined with \`expiresAt\`.`,
  }),
  disabled: t.boolean({ description: 'If true, disables the key; if false, enables it again.' }),
  clear: clearApiKey(t),
});

const unchanged = 'A field that is null or absent stays unchanged.';
const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: `Input for \`updateApiKey\`. ${unchanged}`,
  fields: updateKeyFields,
});
const UpdateProjectTokenInput = builder.inputType('UpdateProjectTokenInput', {
  description: `Input for \`updateProjectToken\`. ${unchanged}`,
  fields: updateKeyFields,
});

const regenerateKeyFields = (t: InputFields) => ({
  ...idField(t),
  overlapMinutes: t.int({
    description:
      'The number of minutes for which the old secret still works, at most 10080. It cannot create or change credentials. Defaults to 0.',
  }),
  keepDerivedCredentials: t.boolean({
    description:
      'If true, the tokens, keys, invite codes and invitations that the key created so far keep working. They are revoked by default.',
  }),
});

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'Input for the mutation `regenerateApiKey`.',
  fields: regenerateKeyFields,
});
const RegenerateProjectTokenInput = builder.inputType('RegenerateProjectTokenInput', {
  description: 'Input for the mutation `regenerateProjectToken`.',
  fields: regenerateKeyFields,
});

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'Input for the mutation `deleteApiKey`.',
  fields: idField,
});
const DeleteProjectTokenInput = builder.inputType('DeleteProjectTokenInput', {
  description: 'Input for the mutation `deleteProjectToken`.',
  fields: idField,
});

const CreatePersonalAccessTokenInput = builder.inputType('CreatePersonalAccessTokenInput', {
  description: 'Input for the mutation `createPersonalAccessToken`.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'A name by which its owner recognizes the token; 1 to 100 characters.',
    }),
    expiresInDays: t.int({
      description:
        'The number of days, 1 to 3650, after which the token expires, at 23:59:59.999 UTC of that day. Defaults to the default lifetime in `preferences`.',
    }),
    neverExpires: t.boolean({ description: `${neverExpiresDescription} Cannot be combined with \`expiresInDays\`.` }),
    scopes: t.field({ type: [PermissionType], description: newScopesDescription }),
  }),
});

const RevokePersonalAccessTokenInput = builder.inputType('RevokePersonalAccessTokenInput', {
  description: 'Input for the mutation `revokePersonalAccessToken`.',
  fields: idField,
});

const ApiKeyEdge = builder.edgeObject({
  name: 'ApiKeyEdge',
  type: ApiKey,
  description: 'An API key in a list of API keys.',
});
const ApiKeyConnection = builder.connectionObject(
  { type: ApiKey, name: 'ApiKeyConnection', description: 'A page of a list of API keys.' },
  ApiKeyEdge,
);

const ProjectTokenEdge = builder.edgeObject({
  name: 'ProjectTokenEdge',
  type: ProjectToken,
  description: 'A project token in a list of project tokens.',
});
const ProjectTokenConnection = builder.connectionObject(
  { type: ProjectToken, name: 'ProjectTokenConnection', description: 'A page of a list of project tokens.' },
  ProjectTokenEdge,
);

const PersonalAccessTokenEdge = builder.edgeObject({
  name: 'PersonalAccessTokenEdge',
  type: PersonalAccessToken,
  description: 'A personal access token in a list of such tokens.',
});
const PersonalAccessTokenConnection = builder.connectionObject(
  {
    type: PersonalAccessToken,
    name: 'PersonalAccessTokenConnection',
    description: 'A page of a list of personal access tokens.',
  },
  PersonalAccessTokenEdge,
);

interface KeyWithSecret {
  apiKey: ApiKeyRow;
  secret: string;
}

const revokedCredentialCount = {
  description: 'The number of tokens and keys that the old secret had created and that the regeneration revoked.',
  resolve: ({ revokedCount }: RegeneratedKey) => revokedCount,
};

const CreateApiKeyPayload = builder.objectRef<KeyWithSecret>('CreateApiKeyPayload').implement({
  description: 'Result of the mutation `createApiKey`.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key that was created.', resolve: ({ apiKey }) => apiKey }),
    apiKeyEdge: t.field({
      type: ApiKeyEdge,
      description: 'The new key as an edge of `apiKeys` in its default order.',
      resolve: ({ apiKey }) => edge(apiKeyOrders.default, apiKey),
    }),
    secret: t.exposeString('secret', { description: secretDescription }),
  }),
});

const RegenerateApiKeyPayload = builder.objectRef<RegeneratedKey>('RegenerateApiKeyPayload').implement({
  description: 'Result of the mutation `regenerateApiKey`.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key with the new secret.', resolve: ({ apiKey }) => apiKey }),
    secret: t.exposeString('secret', { description: secretDescription }),
    revokedCredentialCount: t.int(revokedCredentialCount),
  }),
});

const UpdateApiKeyPayload = builder.objectRef<{ apiKey: ApiKeyRow }>('UpdateApiKeyPayload').implement({
  description: 'Result of the mutation `updateApiKey`.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key after the change.', resolve: ({ apiKey }) => apiKey }),
  }),
});

const DeleteApiKeyPayload = builder.objectRef<{ id: number }>('DeleteApiKeyPayload').implement({
  description: 'Result of the mutation `deleteApiKey`.',
  fields: (t) => ({
    deletedApiKeyId: t.id({
      description: 'The global ID of the deleted key.',
      resolve: ({ id }) => globalId('ApiKey', id),
    }),
  }),
});

const CreateProjectTokenPayload = builder.objectRef<KeyWithSecret>('CreateProjectTokenPayload').implement({
  description: 'Result of the mutation `createProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token that was created.',
      resolve: ({ apiKey }) => apiKey,
    }),
    projectTokenEdge: t.field({
      type: ProjectTokenEdge,
      description: 'The new token as an edge of `projectTokens` in its default order.',
      resolve: ({ apiKey }) => edge(projectTokenOrders.default, apiKey),
    }),
    secret: t.exposeString('secret', { description: secretDescription }),
  }),
});

const RegenerateProjectTokenPayload = builder.objectRef<RegeneratedKey>('RegenerateProjectTokenPayload').implement({
  description: 'Result of the mutation `regenerateProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token with the new secret.',
      resolve: ({ apiKey }) => apiKey,
    }),
    secret: t.exposeString('secret', { description: secretDescription }),
    revokedCredentialCount: t.int(revokedCredentialCount),
  }),
});

const UpdateProjectTokenPayload = builder.objectRef<{ apiKey: ApiKeyRow }>('UpdateProjectTokenPayload').implement({
  description: 'Result of the mutation `updateProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token after the change.',
      resolve: ({ apiKey }) => apiKey,
    }),
  }),
});

const DeleteProjectTokenPayload = builder.objectRef<{ id: number }>('DeleteProjectTokenPayload').implement({
  description: 'Result of the mutation `deleteProjectToken`.',
  fields: (t) => ({
    deletedProjectTokenId: t.id({
      description: 'The global ID of the deleted token.',
      resolve: ({ id }) => globalId('ProjectToken', id),
    }),
  }),
});

const CreatePersonalAccessTokenPayload = builder
  .objectRef<{ personalAccessToken: Token; secret: string }>('CreatePersonalAccessTokenPayload')
  .implement({
    description: 'Result of the mutation `createPersonalAccessToken`.',
    fields: (t) => ({
      personalAccessToken: t.field({
        type: PersonalAccessToken,
        description: 'The token that was created.',
        resolve: ({ personalAccessToken }) => personalAccessToken,
      }),
      personalAccessTokenEdge: t.field({
        type: PersonalAccessTokenEdge,
        description: 'The new token as an edge of `personalAccessTokens` in its default order.',
        resolve: ({ personalAccessToken }) => edge(personalAccessTokenOrders.default, personalAccessToken),
      }),
      secret: t.exposeString('secret', { description: secretDescription }),
    }),
  });

const RevokePersonalAccessTokenPayload = builder.objectRef<Token>('RevokePersonalAccessTokenPayload').implement({
  description: 'Result of the mutation `revokePersonalAccessToken`.',
  fields: (t) => ({
    personalAccessToken: t.field({
      type: PersonalAccessToken,
      description: 'The token, which does not work any more.',
      resolve: (token) => token,
    }),
    revokedPersonalAccessTokenId: t.id({
      description: 'The global ID of the revoked token, which `personalAccessTokens` no longer contains.',
      resolve: ({ id }) => globalId('PersonalAccessToken', id),
    }),
  }),
});

const tokenFilterFields = (t: InputFields) => ({
  search: t.string({ description: 'Text that the name contains, ignoring case.' }),
  disabled: t.boolean({ description: 'Returns only disabled keys if true, only enabled ones if false.' }),
  projectId: t.id({
    description: 'Returns only keys that are confined to this project, by its global ID or its integer `databaseId`.',
  }),
});

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Conditions on a list of API keys; all that are set must be met.',
  fields: (t) => ({
    ...tokenFilterFields(t),
    kinds: t.field({ type: [ApiKeyKindType], description: 'Returns only keys of these kinds.' }),
  }),
});
const ProjectTokenFilter = builder.inputType('ProjectTokenFilter', {
  description: 'Conditions on a list of project tokens; all that are set must be met.',
  fields: tokenFilterFields,
});
const PersonalAccessTokenFilter = builder.inputType('PersonalAccessTokenFilter', {
  description: 'Conditions on a list of personal access tokens.',
  fields: (t) => ({ search: t.string({ description: 'Text that the name contains, ignoring case.' }) }),
});

/** Returns a filter with the database ID of the project. Throws BAD_USER_INPUT. */
const readFilter = <Filter extends { projectId?: string | null | undefined }>(filter: Filter | null | undefined) => ({
  ...filter,
  projectId: filter?.projectId == null ? null : integerId(filter.projectId, 'Project', ['filter', 'projectId']),
});

const orderFields = {
  CREATED_AT: 'The time at which the credential was created.',
  EXPIRES_AT: 'The time at which the credential stops working.',
  LAST_USED_AT: 'The time of its last use.',
  NAME: 'The name of the credential.',
};
const ApiKeyOrder = orderInput('ApiKey', apiKeyOrders, orderFields);
const ProjectTokenOrder = orderInput('ProjectToken', projectTokenOrders, orderFields);
const PersonalAccessTokenOrder = orderInput('PersonalAccessToken', personalAccessTokenOrders, orderFields);

builder.prismaObjectField(Project, 'tokens', (t) =>
  t.field({
    type: ProjectTokenConnection,
    nullable: true,
    authScopes: { permission: 'write:tokens' },
    description: 'The tokens of the project, as `projectTokens` lists them.',
    args: {
      ...pageArgs(t.arg),
      orderBy: t.arg({ type: ProjectTokenOrder, description: 'Order of the tokens. Defaults to the oldest first.' }),
    },
    // Loaded with the projects, in one statement for all of them.
    select: ({ orderBy, ...args }, { principal, pageLimit }, nested) => {
      const order = projectTokenOrders.of(orderBy);
      const listed = visible.projectTokens(signedIn(principal));
      const { where, ...page } = order.page(args, pageLimit);
      return {
        tokens: nestedNodes(nested, 'ProjectToken', order, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { tokens: { where: listed } } },
      };
    },
    resolve: (project, { orderBy, ...args }, { pageLimit }) => {
      const order = projectTokenOrders.of(orderBy);
      const page = cut(project.tokens, order.page(args, pageLimit));
      return connection(order, page, args, async () => project._count.tokens);
    },
  }),
);

builder.queryFields((t) => ({
  apiKeys: t.field({
    type: ApiKeyConnection,
    authScopes: { permission: 'manage:api_keys' },
    description: 'All keys of service accounts, project tokens included.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ApiKeyFilter, description: 'Conditions on the keys.' }),
      orderBy: t.arg({ type: ApiKeyOrder, description: 'Order of the keys. Defaults to the oldest first.' }),
    },
    resolve: async (_root, { filter: given, orderBy, ...args }, context, info) => {
      const { tokens } = context.services;
      const [filter, order] = [readFilter(given), apiKeyOrders.of(orderBy)];
      const page = await tokens.listApiKeys(filter, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => tokens.countApiKeys(filter));
    },
  }),
  projectTokens: t.withAuth({ permission: 'write:tokens' }).field({
    type: ProjectTokenConnection,
    description: 'The tokens of the projects that the caller owns.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ProjectTokenFilter, description: 'Conditions on the tokens.' }),
      orderBy: t.arg({ type: ProjectTokenOrder, description: 'Order of the tokens. Defaults to the oldest first.' }),
    },
    resolve: async (_root, { filter: given, orderBy, ...args }, context, info) => {
      const { tokens } = context.services;
      const principal = context.principal;
      const [filter, order, query] = [readFilter(given), projectTokenOrders.of(orderBy), nodeQuery(context, info)];
      const page = await tokens.listProjectTokens(principal, filter, { order, args, limit: context.pageLimit, query });
      return connection(order, page, args, () => tokens.countProjectTokens(principal, filter));
    },
  }),
  personalAccessTokens: t.withAuth({ permission: 'write:tokens' }).field({
    type: PersonalAccessTokenConnection,
    description: 'The personal access tokens of the caller that still work.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: PersonalAccessTokenFilter, description: 'Conditions on the tokens.' }),
      orderBy: t.arg({
        type: PersonalAccessTokenOrder,
        description: 'Order of the tokens. Defaults to the newest first.',
      }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { tokens } = context.services;
      const principal = context.principal;
      const [order, query] = [personalAccessTokenOrders.of(orderBy), nodeQuery(context, info)];
      const page = await tokens.listPersonalAccessTokens(principal, filter, {
        order,
        args,
        limit: context.pageLimit,
        query,
      });
      return connection(order, page, args, () => tokens.countPersonalAccessTokens(principal, filter));
    },
  }),
}));

/**
 * Returns the input of a new key with the database ID of its project, and without null where only an absent value means
 * the default. Throws BAD_USER_INPUT.
 */
const newKey = <Input extends { role?: unknown; kind?: unknown; projectId?: string | null | undefined }>({
  role,
  kind,
  projectId,
  ...rest
}: Input) => ({
  ...rest,
  ...(role != null && { role: role as NonNullable<Input['role']> }),
  ...(kind != null && { kind: kind as NonNullable<Input['kind']> }),
  ...(projectId != null && { projectId: integerId(projectId, 'Project', ['input', 'projectId']) }),
});

builder.mutationFields((t) => ({
  createApiKey: t.withAuth({ permission: 'manage:api_keys' }).field({
    type: CreateApiKeyPayload,
    description: 'Creates a service account and its key. FORBIDDEN for a key with more permissions than the caller.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The key to create.' }) },
    resolve: (_root, { input }, { principal, services }) => services.tokens.createApiKey(principal, newKey(input)),
  }),
  updateApiKey: t.withAuth({ permission: 'manage:api_keys' }).field({
    type: UpdateApiKeyPayload,
    description: 'Changes the name, role, scopes or expiry of a key, or disables or enables it, from the next request.',
    args: { input: t.arg({ type: UpdateApiKeyInput, required: true, description: 'The key and its changes.' }) },
    resolve: async (_root, { input: { id, ...change } }, { principal, services }) => ({
      apiKey: await services.tokens.updateApiKey(principal, idOf({ id }, 'ApiKey'), change),
    }),
  }),
  regenerateApiKey: t.withAuth({ permission: 'manage:api_keys' }).field({
    type: RegenerateApiKeyPayload,
    description: 'Gives a key a new secret. The key keeps its ID, its service account and its history.',
    args: { input: t.arg({ type: RegenerateApiKeyInput, required: true, description: 'The key to regenerate.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.regenerateApiKey(principal, idOf(input, 'ApiKey'), input),
  }),
  deleteApiKey: t.withAuth({ permission: 'manage:api_keys' }).field({
    type: DeleteApiKeyPayload,
    description: 'Deletes a key at once, with its service account and everything that belongs to that account alone.',
    args: { input: t.arg({ type: DeleteApiKeyInput, required: true, description: 'The key to delete.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.deleteApiKey(principal, idOf(input, 'ApiKey')),
  }),
  createProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: CreateProjectTokenPayload,
    description: 'Creates a key that is confined to a project of the caller. A project has at most 100 tokens.',
    args: { input: t.arg({ type: CreateProjectTokenInput, required: true, description: 'The token to create.' }) },
    resolve: (_root, { input: { projectId, ...input } }, { principal, services }) =>
      services.tokens.createProjectToken(principal, {
        ...newKey(input),
        projectId: integerId(projectId, 'Project', ['input', 'projectId']),
      }),
  }),
  updateProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: UpdateProjectTokenPayload,
    description:
      'Changes the name, role, scopes or expiry of a token of a project of the caller, or disables or enables it.',
    args: {
      input: t.arg({ type: UpdateProjectTokenInput, required: true, description: 'The token and its changes.' }),
    },
    resolve: async (_root, { input: { id, ...change } }, { principal, services }) => ({
      apiKey: await services.tokens.updateProjectToken(principal, idOf({ id }, 'ProjectToken'), change),
    }),
  }),
  regenerateProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: RegenerateProjectTokenPayload,
    description: 'Gives a token of a project of the caller a new secret. The token keeps its ID and its history.',
    args: {
      input: t.arg({ type: RegenerateProjectTokenInput, required: true, description: 'The token to regenerate.' }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.regenerateProjectToken(principal, idOf(input, 'ProjectToken'), input),
  }),
  deleteProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: DeleteProjectTokenPayload,
    description:
      'Deletes a token of a project of the caller at once, with its service account and the chats of that account.',
    args: { input: t.arg({ type: DeleteProjectTokenInput, required: true, description: 'The token to delete.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.deleteProjectToken(principal, idOf(input, 'ProjectToken')),
  }),
  createPersonalAccessToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: CreatePersonalAccessTokenPayload,
    description: 'Creates a token that acts as the caller. A user has at most 100 tokens.',
    args: {
      input: t.arg({ type: CreatePersonalAccessTokenInput, required: true, description: 'The token to create.' }),
    },
    resolve: (_root, { input }, { principal, services }) => services.tokens.createPersonalAccessToken(principal, input),
  }),
  revokePersonalAccessToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: RevokePersonalAccessTokenPayload,
    description: 'Revokes a personal access token of the caller at once.',
    args: {
      input: t.arg({ type: RevokePersonalAccessTokenInput, required: true, description: 'The token to revoke.' }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.revokePersonalAccessToken(principal, idOf(input, 'PersonalAccessToken')),
  }),
}));
