import { z } from '@hono/zod-openapi';
import { type Role, rolePermissions } from '../../authz/permissions.ts';
import { notFound } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, flag, id } from '../shapes.ts';
import { coded } from './errors.ts';
import { defaultGroups } from './tokens.ts';
import { effectivePermissions, FullUser, memberInfo, UserInfo } from './users.ts';

const tag = 'User groups';

/**
 * The groups represent the roles: they cannot be created, renamed or deleted, and a change of role is a change of
 * group.
 */
const UserGroup = z
  .object({
    id: z.int(),
    name: z.string(),
    users: z.array(UserInfo),
    manager_ids: z.array(z.string()),
    curator_ids: z.array(z.uuid()).openapi({ description: 'The older name of `manager_ids`.' }),
    cc_pairs: z.array(z.unknown()),
    document_sets: z.array(z.unknown()),
    personas: z.array(z.unknown()),
    is_up_to_date: z.boolean(),
    is_up_for_deletion: z.boolean(),
    is_default: z.boolean(),
    incognito_enabled: z.boolean(),
    permissions: z.record(z.string(), z.boolean()).openapi({
      description:
        'The operations on the group that the caller’s credential permits (`manage` to `edit_token_limits`), and the permissions that its members hold.',
    }),
  })
  .openapi('UserGroup');

/** Returns the permissions of a role with this server's names and those of the reference's default groups. */
const heldBy = (role: Role): string[] => effectivePermissions([...rolePermissions(role)]);

const includeDefault = z.object({ include_default: flag.default(false) });

export const groupEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/manage/admin/user-group',
    tag,
    summary: 'List the groups with their members',
    query: includeDefault,
    reply: z.array(UserGroup),
    document: graphql(
      `query Groups($first: Int!) {
        limits: can(permission: MANAGE_RATE_LIMITS)
        allUsers(first: $first, filter: { accountTypes: [STANDARD, SERVICE_ACCOUNT] }) { nodes { ...FullUser } }
      }`,
      [FullUser],
    ),
    variables: ({ query }) => ({ first: query.include_default ? everything : 0 }),
    output: ({ allUsers, limits }, { query }) =>
      (query.include_default ? defaultGroups : []).map(({ id, name, role }) => ({
        id,
        name,
        users: allUsers.nodes.filter((user) => user.role === role).map(memberInfo),
        manager_ids: [],
        curator_ids: [],
        cc_pairs: [],
        document_sets: [],
        personas: [],
        is_up_to_date: true,
        is_up_for_deletion: false,
        is_default: true,
        incognito_enabled: false,
        permissions: {
          ...Object.fromEntries(heldBy(role).map((held) => [held, true])),
          manage: false,
          manage_members: false,
          delete: false,
          edit_permissions: false,
          edit_token_limits: limits,
        },
      })),
  }),
  endpoint({
    method: 'get',
    path: '/manage/admin/user-group/{user_group_id}/permissions',
    tag,
    summary: 'List the permissions of the members of a group',
    params: z.object({ user_group_id: id }),
    reply: z.array(z.string()),
    document: graphql(`query GroupPermissions { allUsers(first: 0) { totalCount } }`),
    variables: () => ({}),
    output: (_data, { params }) => {
      const group = defaultGroups.find((group) => group.id === params.user_group_id);
      if (!group) throw notFound('USER_GROUP_NOT_FOUND');
      return heldBy(group.role);
    },
    failure: (error) => (error.code === 'NOT_FOUND' ? coded(404, 'NOT_FOUND', 'User group not found') : null),
  }),
  endpoint({
    method: 'get',
    path: '/manage/user-groups/minimal',
    tag,
    summary: 'List the caller’s groups, or all groups for callers who can manage users',
    query: includeDefault,
    reply: z.array(z.object({ id: z.int(), name: z.string(), is_default: z.boolean() })),
    document: graphql(
      `query MyGroups { users(first: 0) { totalCount } viewer { role } all: can(permission: MANAGE_USERS) }`,
    ),
    variables: () => ({}),
    output: ({ viewer, all }, { query }) =>
      (query.include_default ? defaultGroups : [])
        .filter(({ role }) => all || role === viewer?.role)
        .map(({ id, name }) => ({ id, name, is_default: true })),
  }),
];
