import type { GraphQLResolveInfo } from 'graphql';
import { isPermission } from '../../authz/permissions.ts';
import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { Token, User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { loadRelated } from '../../graphql/related.ts';
import { Project } from '../projects/projects.graphql.ts';
import { PermissionType } from '../users/permissions.graphql.ts';
import { User, userId, userIdDescription } from '../users/users.graphql.ts';
import { readableProject } from './service-account-keys.graphql.ts';
import {
  type UserCredentialFilter as Filter,
  type UserCredentialKind,
  userCredentialOrder,
} from './user-credentials.service.ts';

const UserCredentialKindType = builder.enumType('UserCredentialKind', {
  description: 'The kinds of credentials that belong to a user.',
  values: {
    PERSONAL: { description: 'A personal access token, `onyx_pat_…`, which acts as its user.' },
    SESSION: { description: 'A login session, `ses_…`, which acts as its user.' },
    PROJECT: { description: 'A token of a project of the user, `proj_…`.' },
  } satisfies Record<UserCredentialKind, object>,
});

export const UserCredential = builder.prismaNode('Token', {
  variant: 'UserCredential',
  id: { field: 'id', description: 'The global ID of the credential.' },
  description: 'A token or login session of a user, as administrators of users see it.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID, as the REST paths and the audit trail use it.' }),
    kind: t.field({
      type: UserCredentialKindType,
      description: 'The kind of the credential.',
      resolve: ({ kind }) => kind as UserCredentialKind,
    }),
    name: t.exposeString('name', { nullable: true, description: 'The name of the token; null for a login session.' }),
    display: t.exposeString('display', {
      description: 'The first and last characters of the secret, for recognition only.',
    }),
    scopes: t.field({
      type: [PermissionType],
      listSize: 10,
      nullable: true,
      description: 'The permissions that the credential is restricted to; null if its role alone bounds it.',
      resolve: ({ allScopes, scopes }) => (allScopes ? null : scopes.filter(isPermission)),
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'The time at which the credential was created.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the credential expires; null if it does not.',
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time of the last use, to the minute; null if it was never used.',
    }),
    lastUsedAddress: t.exposeString('lastUsedAddress', {
      nullable: true,
      description: 'The network address of the last use.',
    }),
    disabled: t.boolean({
      description: 'Whether a project token is turned off.',
      resolve: ({ disabledAt }) => disabledAt !== null,
    }),
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description:
        'The project that a project token is confined to; null for other credentials and if the caller cannot read it.',
      select: (_args, _context, nested) => ({ project: nested() }),
      resolve: ({ project }, _args, { principal }) => readableProject(principal, project),
    }),
    projectDatabaseId: t.exposeInt('projectId', {
      nullable: true,
      description: 'The integer ID of the project that a project token is confined to; null for other credentials.',
    }),
    user: t.field({
      type: User,
      description: 'The user of the credential: for a project token, the owner of the project.',
      select: (_args, _context, nested) => ({ user: nested(), project: { select: { owner: nested() } } }),
      resolve: ({ user, project }) => project?.owner ?? user,
    }),
  }),
});

nodeRule('UserCredential', {
  permission: 'manage:users',
  readable: ({ prisma }, principal, ids) =>
    prisma.token.findMany({
      where: { AND: [visible.userCredentials(principal), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

/** Returns the credential with an integer ID; null for one that does not work or that the caller cannot read. */
export const userCredentialOf = (id: number | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.userCredentials(signedIn(context.principal), ids, query),
  );

const UserCredentialConnection = builder.connectionObject(
  { type: UserCredential, name: 'UserCredentialConnection', description: 'A page of a list of credentials.' },
  { name: 'UserCredentialEdge', description: 'A credential in a list of credentials.' },
);

const UserCredentialFilter = builder.inputType('UserCredentialFilter', {
  description: 'Conditions on a list of credentials; all that are set must be met.',
  fields: (t) => ({
    userId: t.id({ description: `Returns only the credentials of this user, ${userIdDescription}.` }),
    kinds: t.field({ type: [UserCredentialKindType], description: 'Returns only credentials of these kinds.' }),
  }),
});

const RevokeUserCredentialInput = builder.inputType('RevokeUserCredentialInput', {
  description: 'Input for the mutation `revokeUserCredential`.',
  fields: (t) => ({
    id: t.id({
      required: true,
      description: 'The credential to revoke, by its global ID or its integer `databaseId`.',
    }),
    userId: t.id({
      description: `Revokes the credential only if this user has it, ${userIdDescription}.`,
    }),
  }),
});

const RevokeUserCredentialsInput = builder.inputType('RevokeUserCredentialsInput', {
  description: 'Input for the mutation `revokeUserCredentials`.',
  fields: (t) => ({
    userId: t.id({ required: true, description: `The user whose credentials are revoked, ${userIdDescription}.` }),
    kinds: t.field({
      type: [UserCredentialKindType],
      description: 'Revokes only credentials of these kinds. Defaults to all kinds.',
    }),
  }),
});

const RevokeUserCredentialPayload = builder.objectRef<Token>('RevokeUserCredentialPayload').implement({
  description: 'Result of the mutation `revokeUserCredential`.',
  fields: (t) => ({
    revokedUserCredentialId: t.id({
      description: 'The global ID of the revoked credential.',
      resolve: ({ id }) => globalId('UserCredential', id),
    }),
  }),
});

const RevokeUserCredentialsPayload = builder
  .objectRef<{ user: UserRow; revoked: Token[] }>('RevokeUserCredentialsPayload')
  .implement({
    description: 'Result of the mutation `revokeUserCredentials`.',
    fields: (t) => ({
      user: t.field({ type: User, description: 'The user of the revoked credentials.', resolve: ({ user }) => user }),
      revokedCount: t.int({
        description: 'The number of credentials that were revoked.',
        resolve: ({ revoked }) => revoked.length,
      }),
      revokedUserCredentialIds: t.idList({
        listSize: 100,
        description: 'The global IDs of the revoked credentials.',
        resolve: ({ revoked }) => revoked.map(({ id }) => globalId('UserCredential', id)),
      }),
    }),
  });

const beyond = 'Credentials of users whose role holds more than the caller are left out.';

/** Reads the filter of a request. Throws BAD_USER_INPUT for a text that is not an ID. */
const filterOf = (filter: typeof UserCredentialFilter.$inferInput | null | undefined): Filter => ({
  user: filter?.userId == null ? null : userId(filter.userId, ['filter', 'userId']),
  kinds: filter?.kinds,
});

builder.queryField('userCredentials', (t) =>
  t.withAuth({ permission: 'manage:users' }).field({
    type: UserCredentialConnection,
    description: `The tokens and login sessions of all users that work, newest first. ${beyond}`,
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: UserCredentialFilter, description: 'Conditions on the credentials.' }),
    },
    resolve: async (_root, { filter, ...args }, context, info) => {
      const { userCredentials } = context.services;
      const principal = context.principal;
      const conditions = filterOf(filter);
      const query = nodeQuery(context, info);
      const page = await userCredentials.list(principal, conditions, { args, limit: context.pageLimit, query });
      return connection(userCredentialOrder, page, args, () => userCredentials.count(principal, conditions));
    },
  }),
);

builder.mutationFields((t) => ({
  revokeUserCredential: t.withAuth({ permission: 'manage:users' }).field({
    type: RevokeUserCredentialPayload,
    description:
      'Revokes a token or login session of a user at once, with its open streams. A project token is turned off, which its project’s owner can undo.',
    args: {
      input: t.arg({ type: RevokeUserCredentialInput, required: true, description: 'The credential to revoke.' }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.userCredentials.revoke(
        principal,
        integerId(input.id, 'UserCredential', ['input', 'id']),
        input.userId == null ? null : userId(input.userId, ['input', 'userId']),
      ),
  }),
  revokeUserCredentials: t.withAuth({ permission: 'manage:users' }).field({
    type: RevokeUserCredentialsPayload,
    description: 'Revokes all tokens and login sessions of a user at once, with their open streams.',
    args: {
      input: t.arg({
        type: RevokeUserCredentialsInput,
        required: true,
        description: 'The user whose credentials are revoked.',
      }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.userCredentials.revokeAll(principal, userId(input.userId, ['input', 'userId']), input.kinds),
  }),
}));
