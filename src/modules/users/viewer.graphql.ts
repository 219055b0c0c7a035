import { isPermission, permissions } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { CredentialKindType } from '../tokens/credential-kind.graphql.ts';
import { PermissionType, RoleType } from './permissions.graphql.ts';
import { User } from './users.graphql.ts';

export const ViewerToken = builder.objectRef<Principal>('ViewerToken').implement({
  description: 'The credential of this request.',
  fields: (t) => ({
    databaseId: t.int({
      description: 'The integer ID that the REST paths use.',
      resolve: ({ credential }) => credential.tokenId,
    }),
    kind: t.field({
      type: CredentialKindType,
      description: 'The kind of the credential.',
      resolve: ({ credential }) => credential.kind,
    }),
    name: t.string({
      nullable: true,
      description: 'The name that the credential was given.',
      resolve: ({ credential }) => credential.name,
    }),
    scopes: t.field({
      type: [PermissionType],
      nullable: true,
      description:
        'The permissions that the credential is restricted to; null if it holds everything that its role allows.',
      resolve: ({ credential }) => credential.scopes?.filter(isPermission) ?? null,
    }),
    projectDatabaseId: t.int({
      nullable: true,
      description: 'The integer ID of the project that the credential is confined to; null if there is none.',
      resolve: ({ credential }) => credential.projectId,
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'The time at which the credential was created.',
      resolve: ({ credential }) => credential.createdAt,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'The time at which it stops working; null for never. A login session ends 7 days after its last use.',
      resolve: ({ credential }) => credential.expiresAt,
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The time of the last use before this request, to the minute; null if there was none.',
      resolve: ({ credential }) => credential.lastUsedAt,
    }),
  }),
});

export const ViewerType = builder.objectRef<Principal>('Viewer').implement({
  description: 'The caller: the user and the credential of this request.',
  fields: (t) => ({
    user: t.prismaField({
      type: User,
      description: 'The user that the credential acts as.',
      resolve: (query, { userId }, _args, { services }) => services.accounts.find(userId, query),
    }),
    role: t.expose('role', {
      type: RoleType,
      description: 'The role of the user, which does not reflect the scopes of the credential.',
    }),
    permissions: t.field({
      type: [PermissionType],
      description:
        'The permissions that the credential holds: those of the role, restricted to its scopes and its project. In the order of the documentation.',
      resolve: (principal) => permissions.filter((name) => principal.permissions.has(name)),
    }),
    token: t.field({
      type: ViewerToken,
      description: 'The credential of this request.',
      resolve: (principal) => principal,
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerType,
    nullable: true,
    public: true,
    description: 'The caller; null for a request without a credential.',
    resolve: (_root, _args, { principal }) => principal,
  }),
);
