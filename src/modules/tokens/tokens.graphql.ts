import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Token } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { referenceDescription, referencedId } from '../../graphql/reference.ts';
import { RoleType } from '../users/permissions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import {
  type ApiKeyKind,
  type ApiKeyRow,
  apiKeyOrder,
  keyKind,
  personalAccessTokenOrder,
  projectTokenOrder,
} from './tokens.service.ts';

const scopesDescription =
  'The permissions it is cut to; null: everything that the role allows. Never more than its maker holds.';
const secretDescription = 'The secret, in full. It is shown this once and stored nowhere.';

export const ApiKeyKindType = builder.enumType('ApiKeyKind', {
  description: 'The kinds of keys that act as a user of their own.',
  values: {
    API_KEY: { description: '`on_…`.' },
    ANYTHINGLLM: { description: '`sk-…`, as AnythingLLM’s clients are given them. Acts as any other API key.' },
    PROJECT: { description: '`proj_…`: confined to one project.' },
  } satisfies Record<ApiKeyKind, object>,
});

const ServiceAccountKey = builder.prismaInterface('Token', {
  variant: 'ServiceAccountKey',
  description: 'A key that acts as a user of its own, a service account.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    name: t.exposeString('name', { nullable: true, description: 'The name its maker gave it.' }),
    display: t.exposeString('display', {
      description: 'For recognition only: the first characters, stars, the last four.',
    }),
    role: t.field({
      type: RoleType,
      description: 'The role of its user.',
      select: { user: { select: { role: true } } },
      resolve: ({ user }) => user.role,
    }),
    userId: t.expose('userId', { type: 'UUID', description: 'The user that the key acts as.' }),
    scopes: t.stringList({
      nullable: true,
      description: scopesDescription,
      resolve: (key) => (key.allScopes ? null : key.scopes),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'When it ends; null: never.' }),
    disabled: t.boolean({
      description: 'Whether it is switched off for now.',
      resolve: (key) => key.disabledAt !== null,
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Its last use, to the minute.',
    }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: 'Where that came from.' }),
    previousSecretExpiresAt: t.expose('previousExpiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when the secret before the last regeneration works as well.',
    }),
    creator: t.relation('creator', {
      type: User,
      nullable: true,
      description: 'Who made it; null when that user is gone.',
    }),
  }),
});

export const ApiKey = builder.prismaNode('Token', {
  variant: 'ApiKey',
  interfaces: [ServiceAccountKey],
  id: { field: 'id', description: 'The global id.' },
  description: 'A key as an administrator of keys sees it.',
  nullable: true,
  fields: (t) => ({
    kind: t.field({ type: ApiKeyKindType, description: 'Its kind.', resolve: ({ kind }) => keyKind(kind) }),
    projectId: t.exposeInt('projectId', {
      nullable: true,
      description: 'The integer id of the project that it is confined to; null: none.',
    }),
  }),
});

export const ProjectToken = builder.prismaNode('Token', {
  variant: 'ProjectToken',
  interfaces: [ServiceAccountKey],
  id: { field: 'id', description: 'The global id.' },
  description: 'A key that is confined to a project, as the project’s owner sees it.',
  nullable: true,
  fields: (t) => ({
    projectId: t.int({
      description: 'The integer id of the project that it is confined to.',
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

export const PersonalAccessToken = builder.prismaNode('Token', {
  variant: 'PersonalAccessToken',
  id: { field: 'id', description: 'The global id.' },
  description: 'A token that acts as its owner, with the owner’s current role.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    name: t.string({ description: 'The name its maker gave it.', resolve: ({ name }) => name ?? '' }),
    display: t.exposeString('display', {
      description: 'For recognition only: the first characters, stars, the last four.',
    }),
    scopes: t.stringList({
      nullable: true,
      description: scopesDescription,
      resolve: (token) => (token.allScopes ? null : token.scopes),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'When it ends; null: never.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Its last use, to the minute.',
    }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: 'Where that came from.' }),
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
  name: t.string({ description: 'For people to tell keys apart; at most 100 characters.' }),
  role: t.field({ type: RoleType, description: 'The role of the key’s user; BASIC unless given.' }),
  scopes: t.stringList({ description: `${scopesDescription} An empty list is refused.` }),
  expiresAt: t.field({ type: 'DateTime', description: `${expiryDescription} ${defaultExpiryDescription}` }),
  neverExpires: t.boolean({ description: neverExpiresDescription }),
});

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What a new API key is to be.',
  fields: (t) => ({
    ...newKeyFields(t),
    kind: t.field({ type: ApiKeyKindType, description: 'API_KEY unless given; PROJECT with `projectId` alone.' }),
    projectId: t.int({
      description: 'The integer id of a project of one’s own that it is confined to; it is a project token then.',
    }),
  }),
});

const CreateProjectTokenInput = builder.inputType('CreateProjectTokenInput', {
  description: 'What a new project token is to be.',
  fields: (t) => ({
    ...newKeyFields(t),
    projectId: t.int({ required: true, description: 'The integer id of a project of one’s own.' }),
  }),
});

const apiKeyReference = (t: InputFields) => ({
  id: t.globalID({ description: referenceDescription.id }),
  databaseId: t.int({ description: referenceDescription.databaseId }),
});

const clearApiKey = clearField('ClearableApiKeyField', { name: 'Leaves the key without a name.' });

const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: 'Input for `updateApiKey` and `updateProjectToken`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...apiKeyReference(t),
    name: t.string({ description: 'The new name; at most 100 characters.' }),
    role: t.field({ type: RoleType, description: 'The new role of the key’s user.' }),
    scopes: t.stringList({
      description:
        'The permissions that the key is restricted to from now on, none of which the caller may lack. An empty list is rejected.',
    }),
    allScopes: t.boolean({
      description:
        'If true, lifts the scopes: the key holds everything that its role allows. Cannot be combined with `scopes`.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: expiryDescription }),
    neverExpires: t.boolean({
      description: `${neverExpiresDescription} Cannot be combined with \`expiresAt\`.`,
    }),
    disabled: t.boolean({ description: 'If true, turns the key off; if false, turns it on again.' }),
    clear: clearApiKey(t),
  }),
});

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'Which key gets a new secret, and how long the old one works on.',
  fields: (t) => ({
    ...apiKeyReference(t),
    overlapMinutes: t.int({
      description:
        'The number of minutes for which the old secret still works, at most 10080. It cannot create or change credentials. Defaults to 0.',
    }),
    keepDerivedCredentials: t.boolean({
      description:
        'If true, the tokens, keys, invite codes and invitations that the key created so far keep working. They are revoked by default.',
    }),
  }),
});

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'Which key is deleted, with its user and everything that is that user’s alone.',
  fields: apiKeyReference,
});

const CreatePersonalAccessTokenInput = builder.inputType('CreatePersonalAccessTokenInput', {
  description: 'What a new personal access token is to be.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'For its owner to tell tokens apart; 1 to 100 characters.' }),
    expiresInDays: t.int({
      description: 'Ends at 23:59:59.999 UTC of the day that lies so many days ahead; 1 to 3650, never unless given.',
    }),
    neverExpires: t.boolean({ description: `${neverExpiresDescription} Cannot be combined with \`expiresInDays\`.` }),
    scopes: t.stringList({ description: `${scopesDescription} An empty list is refused.` }),
  }),
});

const RevokePersonalAccessTokenInput = builder.inputType('RevokePersonalAccessTokenInput', {
  description: 'Which token ends.',
  fields: apiKeyReference,
});

interface KeyWithSecret {
  apiKey: ApiKeyRow;
  secret: string;
  revokedCount?: number;
}

const revokedCount = {
  description:
    'The number of tokens and keys that the key had created and that its regeneration revoked; 0 for a new key.',
  resolve: ({ revokedCount = 0 }: KeyWithSecret) => revokedCount,
};

const ApiKeyWithSecret = builder.objectRef<KeyWithSecret>('ApiKeyWithSecret').implement({
  description: 'A key and its new secret.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: ({ apiKey }) => apiKey }),
    secret: t.exposeString('secret', { description: secretDescription }),
    revokedCredentialCount: t.int(revokedCount),
  }),
});

const UpdateApiKeyPayload = builder.objectRef<{ apiKey: ApiKeyRow }>('UpdateApiKeyPayload').implement({
  description: 'What `updateApiKey` changed.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key as it is now.', resolve: ({ apiKey }) => apiKey }),
  }),
});

const DeleteApiKeyPayload = builder.objectRef<{ id: number }>('DeleteApiKeyPayload').implement({
  description: 'What `deleteApiKey` deleted.',
  fields: (t) => ({ deletedDatabaseId: t.exposeInt('id', { description: 'The integer id that the key had.' }) }),
});

const ProjectTokenWithSecret = builder.objectRef<KeyWithSecret>('ProjectTokenWithSecret').implement({
  description: 'A project token and its new secret.',
  fields: (t) => ({
    projectToken: t.field({ type: ProjectToken, description: 'The token.', resolve: ({ apiKey }) => apiKey }),
    secret: t.exposeString('secret', { description: secretDescription }),
    revokedCredentialCount: t.int(revokedCount),
  }),
});

const UpdateProjectTokenPayload = builder.objectRef<{ apiKey: ApiKeyRow }>('UpdateProjectTokenPayload').implement({
  description: 'What `updateProjectToken` changed.',
  fields: (t) => ({
    projectToken: t.field({ type: ProjectToken, description: 'As it is now.', resolve: ({ apiKey }) => apiKey }),
  }),
});

const DeleteProjectTokenPayload = builder.objectRef<{ id: number }>('DeleteProjectTokenPayload').implement({
  description: 'What `deleteProjectToken` deleted.',
  fields: (t) => ({ deletedDatabaseId: t.exposeInt('id', { description: 'The integer id that the token had.' }) }),
});

const CreatePersonalAccessTokenPayload = builder
  .objectRef<{ personalAccessToken: Token; secret: string }>('CreatePersonalAccessTokenPayload')
  .implement({
    description: 'A new token and its secret.',
    fields: (t) => ({
      personalAccessToken: t.field({
        type: PersonalAccessToken,
        description: 'The token.',
        resolve: ({ personalAccessToken }) => personalAccessToken,
      }),
      secret: t.exposeString('secret', { description: secretDescription }),
    }),
  });

const RevokePersonalAccessTokenPayload = builder.objectRef<Token>('RevokePersonalAccessTokenPayload').implement({
  description: 'What `revokePersonalAccessToken` ended.',
  fields: (t) => ({
    personalAccessToken: t.field({
      type: PersonalAccessToken,
      description: 'The token that was.',
      resolve: (token) => token,
    }),
  }),
});

const ApiKeyConnection = builder.connectionObject(
  { type: ApiKey, name: 'ApiKeyConnection', description: 'A page of API keys.' },
  { name: 'ApiKeyEdge', description: 'A key and its place in the list.' },
);

const ProjectTokenConnection = builder.connectionObject(
  { type: ProjectToken, name: 'ProjectTokenConnection', description: 'A page of project tokens.' },
  { name: 'ProjectTokenEdge', description: 'A project token and its place in the list.' },
);

const PersonalAccessTokenConnection = builder.connectionObject(
  {
    type: PersonalAccessToken,
    name: 'PersonalAccessTokenConnection',
    description: 'A page of personal access tokens.',
  },
  { name: 'PersonalAccessTokenEdge', description: 'A token and its place in the list.' },
);

builder.queryFields((t) => ({
  apiKeys: t.field({
    type: ApiKeyConnection,
    authScopes: { permission: 'manage:api_keys' },
    description: 'All keys of service accounts, oldest first.',
    args: {
      ...pageArgs(t.arg),
      kinds: t.arg({ type: [ApiKeyKindType], description: 'Those of these kinds alone.' }),
    },
    resolve: async (_root, { kinds, ...args }, context, info) => {
      const { tokens } = context.services;
      const page = await tokens.listApiKeys(kinds, args, context.pageLimit, nodeQuery(context, info));
      return connection(apiKeyOrder, page, args, () => tokens.countApiKeys(kinds));
    },
  }),
  projectTokens: t.field({
    type: ProjectTokenConnection,
    authScopes: { permission: 'write:tokens' },
    description: 'The tokens of one’s own projects, oldest first.',
    args: {
      ...pageArgs(t.arg),
      projectId: t.arg.int({ description: 'Those of the project with this integer id alone.' }),
    },
    resolve: async (_root, { projectId, ...args }, context, info) => {
      const { tokens } = context.services;
      const principal = signedIn(context.principal);
      const query = nodeQuery(context, info);
      const page = await tokens.listProjectTokens(principal, projectId, args, context.pageLimit, query);
      return connection(projectTokenOrder, page, args, () => tokens.countProjectTokens(principal, projectId));
    },
  }),
  personalAccessTokens: t.field({
    type: PersonalAccessTokenConnection,
    authScopes: { permission: 'write:tokens' },
    description: 'One’s own personal access tokens that still work, newest first.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { tokens } = context.services;
      const principal = signedIn(context.principal);
      const page = await tokens.listPersonalAccessTokens(principal, args, context.pageLimit, nodeQuery(context, info));
      return connection(personalAccessTokenOrder, page, args, () => tokens.countPersonalAccessTokens(principal));
    },
  }),
}));

/** Removes null values where only an absent value means the default. */
const given = <Input extends { role?: unknown; kind?: unknown }>({ role, kind, ...rest }: Input) => ({
  ...rest,
  ...(role != null && { role: role as NonNullable<Input['role']> }),
  ...(kind != null && { kind: kind as NonNullable<Input['kind']> }),
});

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: ApiKeyWithSecret,
    authScopes: { permission: 'manage:api_keys' },
    description: 'Creates a service account and its key.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The key to make.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.createApiKey(signedIn(principal), given(input)),
  }),
  updateApiKey: t.field({
    type: UpdateApiKeyPayload,
    authScopes: { permission: 'manage:api_keys' },
    description:
      'Renames a key, changes its role, scopes or expiry, switches it off or on. Holds from the next request.',
    args: { input: t.arg({ type: UpdateApiKeyInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { id, databaseId, ...change } }, { principal, services }) => ({
      apiKey: await services.tokens.updateApiKey(
        signedIn(principal),
        referencedId({ id, databaseId }, 'ApiKey'),
        change,
      ),
    }),
  }),
  regenerateApiKey: t.field({
    type: ApiKeyWithSecret,
    authScopes: { permission: 'manage:api_keys' },
    description: 'Gives a key a new secret; id, user and history stay.',
    args: { input: t.arg({ type: RegenerateApiKeyInput, required: true, description: 'The key.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.regenerateApiKey(signedIn(principal), referencedId(input, 'ApiKey'), input),
  }),
  deleteApiKey: t.field({
    type: DeleteApiKeyPayload,
    authScopes: { permission: 'manage:api_keys' },
    description: 'Deletes a key at once, with its user and everything that is that user’s alone.',
    args: { input: t.arg({ type: DeleteApiKeyInput, required: true, description: 'The key.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.deleteApiKey(signedIn(principal), referencedId(input, 'ApiKey')),
  }),
  createProjectToken: t.field({
    type: ProjectTokenWithSecret,
    authScopes: { permission: 'write:tokens' },
    description: 'Creates a key that is confined to a project of one’s own. A project has at most 100.',
    args: { input: t.arg({ type: CreateProjectTokenInput, required: true, description: 'The token to make.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.createProjectToken(signedIn(principal), given(input)),
  }),
  updateProjectToken: t.field({
    type: UpdateProjectTokenPayload,
    authScopes: { permission: 'write:tokens' },
    description:
      'Renames a token of one of one’s own projects, changes its role, scopes or expiry, switches it off or on.',
    args: { input: t.arg({ type: UpdateApiKeyInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { id, databaseId, ...change } }, { principal, services }) => ({
      apiKey: await services.tokens.updateProjectToken(
        signedIn(principal),
        referencedId({ id, databaseId }, 'ProjectToken'),
        change,
      ),
    }),
  }),
  regenerateProjectToken: t.field({
    type: ProjectTokenWithSecret,
    authScopes: { permission: 'write:tokens' },
    description: 'Gives a token of one of one’s own projects a new secret; id, user and history stay.',
    args: { input: t.arg({ type: RegenerateApiKeyInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.regenerateProjectToken(signedIn(principal), referencedId(input, 'ProjectToken'), input),
  }),
  deleteProjectToken: t.field({
    type: DeleteProjectTokenPayload,
    authScopes: { permission: 'write:tokens' },
    description: 'Deletes a token of one of one’s own projects at once, with its user and that user’s chats.',
    args: { input: t.arg({ type: DeleteApiKeyInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.deleteProjectToken(signedIn(principal), referencedId(input, 'ProjectToken')),
  }),
  createPersonalAccessToken: t.field({
    type: CreatePersonalAccessTokenPayload,
    authScopes: { permission: 'write:tokens' },
    description: 'Creates a token that acts as its maker. One user has at most 100.',
    args: { input: t.arg({ type: CreatePersonalAccessTokenInput, required: true, description: 'The token to make.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.createPersonalAccessToken(signedIn(principal), input),
  }),
  revokePersonalAccessToken: t.field({
    type: RevokePersonalAccessTokenPayload,
    authScopes: { permission: 'write:tokens' },
    description: 'Ends one of one’s own tokens at once.',
    args: { input: t.arg({ type: RevokePersonalAccessTokenInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.revokePersonalAccessToken(signedIn(principal), referencedId(input, 'PersonalAccessToken')),
  }),
}));
