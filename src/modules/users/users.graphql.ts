import type { GraphQLResolveInfo } from 'graphql';
import { can, signedIn, type Viewer } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { type ArgBuilder, connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId, uuidId } from '../../graphql/id-input.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { permissionUnless } from '../../graphql/plugins/permissions.ts';
import { loadRelated } from '../../graphql/related.ts';
import { isThemselves } from './own.ts';
import { RoleType } from './permissions.graphql.ts';
import type { UserKey } from './user-key.ts';
import { allUserOrders, userOrders } from './user-lists.ts';

export const AccountTypeType = builder.enumType('AccountType', {
  description: 'The kind of a user.',
  values: {
    STANDARD: { description: 'A person, who can log in.' },
    SERVICE_ACCOUNT: { description: 'The user that an API key or a project token acts as.' },
  },
});

const seesAddress = (viewer: Viewer, user: { id: string }): boolean =>
  isThemselves(user, viewer) || can(viewer, 'read:users') || can(viewer, 'manage:users');

const withoutDirectory = 'Null for callers who hold neither `read:users` nor `manage:users`, unless they are the user.';

/** Options of the fields that only administrators and the users themselves can read. */
const administrative = {
  nullable: true,
  authScopes: permissionUnless('manage:users', isThemselves, 'except for the user themselves'),
} as const;

export const User = builder.prismaNode('User', {
  id: { field: 'id', description: 'The global ID of the user.' },
  description: 'A person, or the service account that a key acts as.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The UUID, as the REST paths of Onyx clients use it.' }),
    number: t.exposeInt('databaseId', {
      description: 'The integer by which the REST paths of AnythingLLM clients know the user.',
    }),
    name: t.exposeString('name', { description: 'The display name of the user.' }),
    accountType: t.expose('accountType', {
      type: AccountTypeType,
      description: 'Whether the user is a person or a service account.',
    }),
    email: t.string({
      nullable: true,
      description: `The e-mail address. ${withoutDirectory}`,
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.email : null),
    }),
    username: t.string({
      nullable: true,
      description: `A name to log in with, in addition to the e-mail address; null if there is none. ${withoutDirectory}`,
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.username : null),
    }),
    role: t.field({
      type: RoleType,
      nullable: true,
      description: `The role, which bounds the permissions of all credentials of the user. ${withoutDirectory}`,
      resolve: (user, _args, { principal }) => (seesAddress(principal, user) ? user.role : null),
    }),
    active: t.exposeBoolean('active', {
      ...administrative,
      description:
        'Whether the credentials of the user work; false after `deactivateUser` or while the key is disabled.',
    }),
    passwordConfigured: t.boolean({
      ...administrative,
      description: 'Whether the user can log in with a password.',
      resolve: ({ passwordHash }) => passwordHash !== null,
    }),
    dailyMessageLimit: t.exposeInt('dailyMessageLimit', {
      ...administrative,
      description: 'The number of messages that the user can send in any 24 hours; null for no limit.',
    }),
    bio: t.exposeString('bio', { ...administrative, description: 'What the person states about themselves.' }),
    createdAt: t.expose('createdAt', {
      ...administrative,
      type: 'DateTime',
      description: 'The time at which the account was created.',
    }),
    updatedAt: t.expose('updatedAt', {
      ...administrative,
      type: 'DateTime',
      description: 'The time of the last change of the account.',
    }),
    lastLoginAt: t.expose('lastLoginAt', {
      ...administrative,
      type: 'DateTime',
      description: 'The time of the last login with a password; null if there was none.',
    }),
  }),
});

nodeRule('User', {
  permission: 'read:users',
  exempt: ({ userId }) => userId,
  readable: ({ prisma }, principal, ids) =>
    prisma.user.findMany({
      where: { AND: [visible.users(principal), { id: { in: uuidIds(ids) } }] },
      select: { id: true },
    }),
});

/** Returns the user with a UUID; null for a user that was deleted or that the caller cannot read. */
export const userOf = (id: string | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.users(signedIn(context.principal), ids, query),
  );

/** Reads the ID of a user: the global ID, the UUID, or the integer `number`. Throws BAD_USER_INPUT. */
export const userId = (value: string | number, path: (string | number)[]): UserKey =>
  /^-?\d+$/.test(String(value)) ? { number: integerId(value, 'User', path) } : { id: uuidId(value, 'User', path) };

export const userIdDescription = 'by the global ID, the UUID (`databaseId`) or the integer `number`';

export const UserEdge = builder.edgeObject({ name: 'UserEdge', type: User, description: 'A user in a list of users.' });
const UserConnection = builder.connectionObject(
  { type: User, name: 'UserConnection', description: 'A page of a list of users.' },
  UserEdge,
);

const UserFilter = builder.inputType('UserFilter', {
  description: 'Conditions on a list of users; all that are set must be met.',
  fields: (t) => ({
    search: t.string({ description: 'Text that the name or the e-mail address contains, ignoring case.' }),
    active: t.boolean({ description: 'Returns only active users if true, only inactive ones if false.' }),
    roles: t.field({ type: [RoleType], description: 'Returns only users with one of these roles.' }),
    accountTypes: t.field({
      type: [AccountTypeType],
      description: 'Returns only users of these kinds. Defaults to `[STANDARD]`.',
    }),
  }),
});

const UserOrder = orderInput('User', userOrders, {
  CREATED_AT: 'The time at which the account was created.',
  NAME: 'The display name of the user.',
});

const userListArgs = (arg: ArgBuilder) => ({
  ...pageArgs(arg),
  filter: arg({ type: UserFilter, description: 'Conditions on the users.' }),
  orderBy: arg({ type: UserOrder, description: 'Order of the users. Defaults to the oldest account first.' }),
});

builder.queryFields((t) => ({
  users: t.field({
    type: UserConnection,
    authScopes: { permission: 'read:users' },
    description:
      'The directory: active users, without those that act within one project. Contains people only, unless the filter states otherwise.',
    args: userListArgs(t.arg),
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { accounts } = context.services;
      const order = userOrders.of(orderBy);
      const page = await accounts.listUsers(filter ?? {}, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => accounts.countUsers(filter ?? {}));
    },
  }),
  allUsers: t.field({
    type: UserConnection,
    authScopes: { permission: 'manage:users' },
    description: 'All users, including inactive ones. Contains people only, unless the filter states otherwise.',
    args: userListArgs(t.arg),
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { accounts } = context.services;
      const order = allUserOrders.of(orderBy);
      const page = await accounts.listAllUsers(filter ?? {}, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => accounts.countAllUsers(filter ?? {}));
    },
  }),
}));
