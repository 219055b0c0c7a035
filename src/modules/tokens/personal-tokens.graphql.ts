import { visible } from '../../authz/visible.ts';
import type { Token } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { PermissionType } from '../users/permissions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import {
  displayDescription,
  expiresAtDescription,
  idField,
  idOf,
  lastUsedAddressDescription,
  lastUsedAtDescription,
  neverExpiresDescription,
  newScopesDescription,
  orderFields,
  scopesDescription,
  scopesOf,
  secretDescription,
} from './token-fields.graphql.ts';
import { personalAccessTokenOrders } from './token-lists.ts';

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

const PersonalAccessTokenFilter = builder.inputType('PersonalAccessTokenFilter', {
  description: 'Conditions on a list of personal access tokens.',
  fields: (t) => ({ search: t.string({ description: 'Text that the name contains, ignoring case.' }) }),
});

const PersonalAccessTokenOrder = orderInput('PersonalAccessToken', personalAccessTokenOrders, orderFields);

builder.queryFields((t) => ({
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

builder.mutationFields((t) => ({
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
