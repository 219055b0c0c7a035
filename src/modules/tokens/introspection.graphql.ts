import { permissions } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { Project, projectOf } from '../projects/projects.graphql.ts';
import { PermissionType, RoleType } from '../users/permissions.graphql.ts';
import { AccountTypeType, User } from '../users/users.graphql.ts';
import { CredentialKindType } from './credential-kind.graphql.ts';

/** `principal` is null for a secret that does not work; the other fields are then null too. */
const TokenIntrospection = builder.objectRef<{ principal: Principal | null }>('TokenIntrospection').implement({
  description: 'The state of a credential at this moment. Everything but `active` is null for one that does not work.',
  fields: (t) => ({
    active: t.boolean({
      description: 'Whether the credential works.',
      resolve: ({ principal }) => principal !== null,
    }),
    databaseId: t.int({
      nullable: true,
      description: 'The integer ID of the credential.',
      resolve: ({ principal }) => principal?.credential.tokenId ?? null,
    }),
    kind: t.field({
      type: CredentialKindType,
      nullable: true,
      description: 'The kind of the credential.',
      resolve: ({ principal }) => principal?.credential.kind ?? null,
    }),
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description:
        'The project that the credential is confined to; null without a project and if the caller cannot read it.',
      resolve: ({ principal }, _args, context, info) =>
        projectOf(principal?.credential.projectId ?? null, context, info),
    }),
    projectDatabaseId: t.int({
      nullable: true,
      description: 'The integer ID of the project that the credential is confined to; null without a project.',
      resolve: ({ principal }) => principal?.credential.projectId ?? null,
    }),
    createdAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the credential was created.',
      resolve: ({ principal }) => principal?.credential.createdAt ?? null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the credential stops working; null for never.',
      resolve: ({ principal }) => principal?.credential.expiresAt ?? null,
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The time of its last use, to the minute. Introspection does not count as a use.',
      resolve: ({ principal }) => principal?.credential.lastUsedAt ?? null,
    }),
  }),
});

/** The user that the credential acts as, and what it can do. */
builder.objectFields(TokenIntrospection, (t) => ({
  user: t.prismaField({
    type: User,
    nullable: true,
    description: 'The user that the credential acts as.',
    resolve: (query, { principal }, _args, { services }) =>
      principal && services.accounts.find(principal.userId, query),
  }),
  userDatabaseId: t.field({
    type: 'UUID',
    nullable: true,
    description: 'The UUID of that user, as the `sub` of RFC 7662.',
    resolve: ({ principal }) => principal?.userId ?? null,
  }),
  username: t.string({
    nullable: true,
    description: 'The e-mail address of that user, as the `username` of RFC 7662.',
    resolve: ({ principal }) => principal?.email ?? null,
  }),
  accountType: t.field({
    type: AccountTypeType,
    nullable: true,
    description: 'Whether that user is a person or a service account.',
    resolve: ({ principal }) => principal?.accountType ?? null,
  }),
  role: t.field({
    type: RoleType,
    nullable: true,
    description: 'The role of that user.',
    resolve: ({ principal }) => principal?.role ?? null,
  }),
  permissions: t.field({
    type: [PermissionType],
    nullable: true,
    description:
      'The permissions that the credential holds now: those of the role, restricted to its scopes, its project and the credential that created it.',
    resolve: ({ principal }) => principal && permissions.filter((name) => principal.permissions.has(name)),
  }),
}));

builder.queryField('introspectToken', (t) =>
  t.field({
    type: TokenIntrospection,
    authScopes: { permission: 'manage:api_keys' },
    description: 'The state of a credential by its secret, for a gateway that has to decide about a request.',
    args: { token: t.arg.string({ required: true, description: 'The secret of the credential.' }) },
    resolve: async (_root, { token }, { services }) => ({ principal: await services.credentials.inspect(token) }),
  }),
);
