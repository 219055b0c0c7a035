import { permissions, roles } from '../../authz/permissions.ts';
import { can, type Principal, type Viewer } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { CredentialKindType } from '../tokens/credential-kind.graphql.ts';
import { userOrder } from './accounts.service.ts';

export const RoleType = builder.enumType('Role', {
  description: 'What a user may do at most. The permissions of each are in schema/permissions.md.',
  values: Object.fromEntries(
    roles.map((role) => [
      role,
      {
        description: {
          LIMITED: 'Sends messages and receives the answers, reads agents. No history.',
          BASIC: 'Everything that is the user’s own.',
          ADMIN: 'Everything, and the administration.',
        }[role],
      },
    ]),
  ) as Record<(typeof roles)[number], { description: string }>,
});

export const AccountTypeType = builder.enumType('AccountType', {
  description: 'Whether a user is a person or what an API key acts as.',
  values: {
    STANDARD: { description: 'A person.' },
    SERVICE_ACCOUNT: { description: 'The user that an API key acts as.' },
  },
});

/** `read:search` cannot be a GraphQL name; clients know the permissions by their own names, so they stay strings. */
const permissionList = permissions.map((name) => `\`${name}\``).join(', ');

const seesAddress = (viewer: Viewer, { id }: { id: string }): boolean =>
  viewer?.userId === id || can(viewer, 'read:users');

export const User = builder.prismaObject('User', {
  description: 'A person or a service account, as others see it.',
  fields: (t) => ({
    id: t.expose('id', { type: 'UUID', description: 'The user’s id.' }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    email: t.string({
      description: 'The address; empty for everybody but the user and those who may read the directory.',
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.email : ''),
    }),
    accountType: t.expose('accountType', { type: AccountTypeType, description: 'Person or service account.' }),
    databaseId: t.exposeInt('databaseId', { description: 'The integer id.' }),
    username: t.string({
      nullable: true,
      description:
        'The name to log in with beside the address; null where there is none, and for who may not see the address.',
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.username : null),
    }),
    role: t.field({
      type: RoleType,
      nullable: true,
      description: 'What the user may do at most; null for who may not see the address.',
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.role : null),
    }),
  }),
});

const ViewerToken = builder.objectRef<Principal>('ViewerToken').implement({
  description: 'The credential that opened this request.',
  fields: (t) => ({
    databaseId: t.int({ description: 'The integer id.', resolve: ({ credential }) => credential.tokenId }),
    kind: t.field({
      type: CredentialKindType,
      description: 'Its kind.',
      resolve: ({ credential }) => credential.kind,
    }),
    name: t.string({ nullable: true, description: 'Its name.', resolve: ({ credential }) => credential.name }),
    scopes: t.stringList({
      nullable: true,
      description: 'The scopes it is cut to; null: everything that the role allows.',
      resolve: ({ credential }) => (credential.scopes === null ? null : [...credential.scopes]),
    }),
    projectId: t.int({
      nullable: true,
      description: 'The integer id of the project that it is confined to; null: none.',
      resolve: ({ credential }) => credential.projectId,
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was made.',
      resolve: ({ credential }) => credential.createdAt,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ends; null: never. A login session ends 7 days after its last use.',
      resolve: ({ credential }) => credential.expiresAt,
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Its last use before this one, to the minute; null: there was none.',
      resolve: ({ credential }) => credential.lastUsedAt,
    }),
  }),
});

export const ViewerType = builder.objectRef<Principal>('Viewer').implement({
  description: 'Whoever calls.',
  fields: (t) => ({
    id: t.field({ type: 'UUID', description: 'The user’s id.', resolve: ({ userId }) => userId }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    email: t.exposeString('email', { description: 'The address.' }),
    role: t.expose('role', { type: RoleType, description: 'The user’s role, whatever this credential is cut to.' }),
    accountType: t.expose('accountType', { type: AccountTypeType, description: 'Person or service account.' }),
    passwordConfigured: t.boolean({
      description: 'Whether the user can log in with a password.',
      resolve: (principal, _args, { services }) => services.accounts.passwordConfigured(principal),
    }),
    permissions: t.stringList({
      description: `What this credential may do: role cut to scopes, in the order of the vocabulary. One of ${permissionList}.`,
      resolve: (principal) => permissions.filter((name) => principal.permissions.has(name)),
    }),
    token: t.field({ type: ViewerToken, description: 'The credential itself.', resolve: (principal) => principal }),
  }),
});

const UserConnection = builder.connectionObject(
  { type: User, name: 'UserConnection', description: 'A page of the directory.' },
  { name: 'UserEdge', description: 'A user and their place in the list.' },
);

builder.queryFields((t) => ({
  users: t.field({
    type: UserConnection,
    authScopes: { permission: 'read:users' },
    description: 'The directory: the people who can come in, oldest account first.',
    args: {
      ...pageArgs(t.arg),
      query: t.arg.string({ description: 'Only those whose name or address contains it, in any case.' }),
      includeServiceAccounts: t.arg.boolean({
        required: true,
        defaultValue: false,
        description: 'Whether the users of keys are listed too.',
      }),
    },
    resolve: async (_root, { query, includeServiceAccounts, ...args }, context, info) => {
      const { accounts } = context.services;
      const filter = { query, includeServiceAccounts };
      const page = await accounts.listUsers(filter, args, context.pageLimit, nodeQuery(context, info));
      return connection(userOrder, page, args, () => accounts.countUsers(filter));
    },
  }),
  viewer: t.field({
    type: ViewerType,
    nullable: true,
    public: true,
    description: 'Whoever calls; null for a stranger.',
    resolve: (_root, _args, { principal }) => principal,
  }),
  can: t.boolean({
    public: true,
    neverFails: true,
    description: 'Whether this credential holds a permission, so that a client can ask before it tries.',
    args: { permission: t.arg.string({ required: true, description: `One of ${permissionList}.` }) },
    resolve: (_root, { permission }, { principal }) =>
      (principal?.permissions as ReadonlySet<string> | undefined)?.has(permission) ?? false,
  }),
}));
