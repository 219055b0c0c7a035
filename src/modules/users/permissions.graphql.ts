import {
  type Permission,
  permissionConstant,
  permissions,
  permissionTable,
  type Role,
  rolePermissions,
  roles,
} from '../../authz/permissions.ts';
import { builder } from '../../graphql/builder.ts';

export const RoleType = builder.enumType('Role', {
  description:
    'A role, which bounds the permissions of a user. `permissions` lists the roles that include each permission.',
  values: {
    LIMITED: { description: 'Sends messages, receives the answers to them and reads agents; reads no history.' },
    BASIC: { description: 'Additionally manages the user’s own chats, agents, projects and tokens.' },
    ADMIN: { description: 'Additionally administers the server.' },
  } satisfies Record<Role, object>,
});

export const PermissionType = builder.enumType('Permission', {
  description: 'A permission that an operation can require. `permissions` lists them with their titles and roles.',
  values: Object.fromEntries(
    permissions.map((name) => [permissionConstant(name), { value: name, description: permissionTable[name].allows }]),
  ) as Record<string, { value: Permission; description: string }>,
});

const PermissionInfo = builder.objectRef<Permission>('PermissionInfo').implement({
  description: 'A permission with its name, its title and the roles that include it.',
  fields: (t) => ({
    permission: t.field({
      type: PermissionType,
      description: 'The permission as an enum value.',
      resolve: (name) => name,
    }),
    name: t.string({
      description: 'The name in `extensions.requiredPermissions`, `@requiresScopes` and REST, such as `read:agents`.',
      resolve: (name) => name,
    }),
    title: t.string({ description: 'A short title for people.', resolve: (name) => permissionTable[name].title }),
    description: t.string({
      description: 'What the permission allows, in one sentence.',
      resolve: (name) => permissionTable[name].allows,
    }),
    roles: t.field({
      type: [RoleType],
      description: 'The roles that include the permission, the least powerful first.',
      resolve: (name) => roles.filter((role) => rolePermissions(role).has(name)),
    }),
  }),
});

builder.queryFields((t) => ({
  permissions: t.field({
    type: [PermissionInfo],
    listSize: 30,
    authScopes: { signedIn: true },
    description: 'All permissions of this server, in the order of its documentation.',
    resolve: () => permissions,
  }),
  can: t.boolean({
    public: true,
    neverFails: true,
    description:
      'Whether the credential of this request holds a permission, so that a client can check before it calls.',
    args: { permission: t.arg({ type: PermissionType, required: true, description: 'The permission to check.' }) },
    resolve: (_root, { permission }, { principal }) => principal?.permissions.has(permission) ?? false,
  }),
}));
