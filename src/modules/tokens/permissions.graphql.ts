import {
  type Permission,
  permissionConstant,
  permissions,
  permissionTable,
  rolePermissions,
  roles,
} from '../../authz/permissions.ts';
import { builder } from '../../graphql/builder.ts';
import { RoleType } from '../users/users.graphql.ts';

const values = Object.fromEntries(
  permissions.map((name) => [permissionConstant(name), { value: name, description: permissionTable[name].allows }]),
) as Record<string, { value: Permission; description: string }>;

export const PermissionType = builder.enumType('Permission', {
  description: 'A permission that an operation can require. `permissions` lists them with title and roles.',
  values,
});

const PermissionInfo = builder.objectRef<Permission>('PermissionInfo').implement({
  description: 'A permission with its name on the REST paths, its title and the roles that include it.',
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

builder.queryField('permissions', (t) =>
  t.field({
    type: [PermissionInfo],
    listSize: 30,
    authScopes: { signedIn: true },
    description: 'All permissions of this server, in the order of its documentation.',
    resolve: () => permissions,
  }),
);
