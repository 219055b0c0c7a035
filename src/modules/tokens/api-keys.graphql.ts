import type { GraphQLResolveInfo } from 'graphql';
import type { ServiceAccountKind } from '../../authz/credentials.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { loadRelated } from '../../graphql/related.ts';
import { Project } from '../projects/projects.graphql.ts';
import { type ApiKeyRow, keyKind } from './api-keys.ts';
import type { RegeneratedKey } from './regenerate-key.ts';
import {
  type KeyWithSecret,
  newKey,
  newKeyFields,
  readableProject,
  readFilter,
  regenerateKeyFields,
  revokedCredentialCount,
  ServiceAccountKey,
  tokenFilterFields,
  unchanged,
  updateKeyFields,
} from './service-account-keys.graphql.ts';
import { idField, idOf, orderFields, secretDescription } from './token-fields.graphql.ts';
import { apiKeyOrders } from './token-lists.ts';

const ApiKeyKindType = builder.enumType('ApiKeyKind', {
  description: 'A kind of keys that act as service accounts.',
  values: {
    API_KEY: { description: 'An API key with the prefix `on_`.' },
    ANYTHINGLLM: { description: 'An API key with the prefix `sk-`, as AnythingLLM clients expect it.' },
    PROJECT: { description: 'A project token with the prefix `proj_`, which is confined to one project.' },
  } satisfies Record<ServiceAccountKind, object>,
});

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

nodeRule('ApiKey', {
  permission: 'manage:api_keys',
  readable: ({ prisma }, _principal, ids) =>
    prisma.token.findMany({ where: { ...visible.apiKeys(), id: { in: integerIds(ids) } }, select: { id: true } }),
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

const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: `Input for \`updateApiKey\`. ${unchanged}`,
  fields: updateKeyFields,
});

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'Input for the mutation `regenerateApiKey`.',
  fields: regenerateKeyFields,
});

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'Input for the mutation `deleteApiKey`.',
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

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Conditions on a list of API keys; all that are set must be met.',
  fields: (t) => ({
    ...tokenFilterFields(t),
    kinds: t.field({ type: [ApiKeyKindType], description: 'Returns only keys of these kinds.' }),
  }),
});

const ApiKeyOrder = orderInput('ApiKey', apiKeyOrders, orderFields);

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
}));

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
}));
