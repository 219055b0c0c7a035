import { permissions, roles } from '../../authz/permissions.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';

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

export const User = builder.prismaObject('User', {
  description: 'A person or a service account, as others see it.',
  fields: (t) => ({
    id: t.expose('id', { type: 'UUID', description: 'The user’s id.' }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    email: t.string({
      description: 'The address; empty for everybody but the user and administrators.',
      resolve: ({ id, email }, _args, { principal }) =>
        principal?.userId === id || can(principal, 'manage:users') ? email : '',
    }),
    accountType: t.expose('accountType', { type: AccountTypeType, description: 'Person or service account.' }),
  }),
});

const ViewerToken = builder.objectRef<Principal>('ViewerToken').implement({
  description: 'The credential that opened this request.',
  fields: (t) => ({
    databaseId: t.int({ description: 'The integer id.', resolve: ({ credential }) => credential.tokenId }),
    kind: t.string({ description: '`API_KEY` or `PERSONAL`.', resolve: ({ credential }) => credential.kind }),
    name: t.string({ nullable: true, description: 'Its name.', resolve: ({ credential }) => credential.name }),
    scopes: t.stringList({
      nullable: true,
      description: 'The scopes it is cut to; null: everything that the role allows.',
      resolve: ({ credential }) => (credential.scopes === null ? null : [...credential.scopes]),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was made.',
      resolve: ({ credential }) => credential.createdAt,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ends; null: never.',
      resolve: ({ credential }) => credential.expiresAt,
    }),
  }),
});

const ViewerType = builder.objectRef<Principal>('Viewer').implement({
  description: 'Whoever calls.',
  fields: (t) => ({
    id: t.field({ type: 'UUID', description: 'The user’s id.', resolve: ({ userId }) => userId }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    email: t.exposeString('email', { description: 'The address.' }),
    role: t.expose('role', { type: RoleType, description: 'The user’s role, whatever this credential is cut to.' }),
    accountType: t.expose('accountType', { type: AccountTypeType, description: 'Person or service account.' }),
    permissions: t.stringList({
      description: `What this credential may do: role cut to scopes, in the order of the vocabulary. One of ${permissionList}.`,
      resolve: (principal) => permissions.filter((name) => principal.permissions.has(name)),
    }),
    token: t.field({ type: ViewerToken, description: 'The credential itself.', resolve: (principal) => principal }),
  }),
});

builder.queryFields((t) => ({
  viewer: t.field({
    type: ViewerType,
    nullable: true,
    public: true,
    description: 'Whoever calls; null for a stranger.',
    resolve: (_root, _args, { principal }) => principal,
  }),
  can: t.boolean({
    public: true,
    description: 'Whether this credential holds a permission, so that a client can ask before it tries.',
    args: { permission: t.arg.string({ required: true, description: `One of ${permissionList}.` }) },
    resolve: (_root, { permission }, { principal }) =>
      (principal?.permissions as ReadonlySet<string> | undefined)?.has(permission) ?? false,
  }),
}));
