import { permissions } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { RoleType } from '../users/permissions.graphql.ts';
import { AccountTypeType } from '../users/users.graphql.ts';
import { CredentialKindType } from './credential-kind.graphql.ts';

/** `principal` is null for a secret that does not work, for which nothing else is returned. */
const TokenIntrospection = builder.objectRef<{ principal: Principal | null }>('TokenIntrospection').implement({
  description: 'What a secret opens at this moment. Everything but `active` is null for one that opens nothing.',
  fields: (t) => ({
    active: t.boolean({ description: 'Whether it opens anything.', resolve: ({ principal }) => principal !== null }),
    databaseId: t.int({
      nullable: true,
      description: 'The integer id of the token.',
      resolve: ({ principal }) => principal?.credential.tokenId ?? null,
    }),
    kind: t.field({
      type: CredentialKindType,
      nullable: true,
      description: 'Its kind.',
      resolve: ({ principal }) => principal?.credential.kind ?? null,
    }),
    userId: t.field({
      type: 'UUID',
      nullable: true,
      description: 'The user that it acts as.',
      resolve: ({ principal }) => principal?.userId ?? null,
    }),
    username: t.string({
      nullable: true,
      description: 'The address of that user.',
      resolve: ({ principal }) => principal?.email ?? null,
    }),
    accountType: t.field({
      type: AccountTypeType,
      nullable: true,
      description: 'Whether that user is a person.',
      resolve: ({ principal }) => principal?.accountType ?? null,
    }),
    role: t.field({
      type: RoleType,
      nullable: true,
      description: 'The role of that user.',
      resolve: ({ principal }) => principal?.role ?? null,
    }),
    permissions: t.stringList({
      nullable: true,
      description: 'What it may do now: role, scopes, project and whoever stands behind it taken together.',
      resolve: ({ principal }) => principal && permissions.filter((name) => principal.permissions.has(name)),
    }),
    projectId: t.int({
      nullable: true,
      description: 'The integer id of the project that it is confined to; null: none.',
      resolve: ({ principal }) => principal?.credential.projectId ?? null,
    }),
    createdAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was made.',
      resolve: ({ principal }) => principal?.credential.createdAt ?? null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ends; null: never.',
      resolve: ({ principal }) => principal?.credential.expiresAt ?? null,
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Its last use, to the minute. To be asked about is none.',
      resolve: ({ principal }) => principal?.credential.lastUsedAt ?? null,
    }),
  }),
});

builder.queryField('introspectToken', (t) =>
  t.field({
    type: TokenIntrospection,
    authScopes: { permission: 'manage:api_keys' },
    description: 'What a secret opens, for a gateway that is handed one and has to know.',
    args: { token: t.arg.string({ required: true, description: 'The secret, in full.' }) },
    resolve: async (_root, { token }, { services }) => ({ principal: await services.credentials.inspect(token) }),
  }),
);
