import { z } from '@hono/zod-openapi';
import { type Permission, type Role, rolePermissions } from '../../authz/permissions.ts';
import { badInput, unauthenticated } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { granted, graphql, type ResultOf } from '../graphql.ts';
import { ignoring } from '../parameters.ts';
import { permissionNames } from '../permission-names.ts';
import { everything, flag, fromRole, id, isoDate, isoDateOrNull, nothing, roleName, toRole } from '../shapes.ts';
import { UserByEmail, UserRead, userRead } from './auth.ts';
import { coded, detail } from './errors.ts';
import { defaultGroups } from './tokens.ts';

const tag = 'User management';

const Viewer = graphql(`
  query Me {
    viewer {
      role permissions token { createdAt expiresAt }
      user { databaseId name email role accountType passwordConfigured }
    }
  }
`);

const UserPreferences = z
  .object({
    chosen_assistants: z.array(z.int()).nullable(),
    hidden_assistants: z.array(z.int()),
    visible_assistants: z.array(z.int()),
    default_model: z.string().nullable(),
    pinned_assistants: z.array(z.int()),
    shortcut_enabled: z.boolean().nullable(),
    auto_scroll: z.boolean().nullable(),
    temperature_override_enabled: z.boolean().nullable(),
    theme_preference: z.enum(['light', 'dark', 'system']).nullable(),
    language: z.string().nullable(),
    chat_background: z.string().nullable(),
    default_app_mode: z.enum(['AUTO', 'CHAT', 'SEARCH']),
    paste_as_tile: z.boolean().nullable(),
    voice_auto_send: z.boolean().nullable(),
    voice_auto_playback: z.boolean().nullable(),
    voice_playback_speed: z.number().nullable(),
    assistant_specific_configs: z.record(z.string(), z.object({ disabled_tool_ids: z.array(z.int()) })).nullable(),
  })
  .openapi('UserPreferences');

export const UserInfo = UserRead.extend({
  preferences: UserPreferences,
  personalization: z.object({
    name: z.string(),
    role: z.string(),
    use_memories: z.boolean(),
    enable_memory_tool: z.boolean(),
    memories: z.array(z.string()),
    user_preferences: z.string(),
  }),
  token_expires_at: isoDateOrNull,
  oidc_expiry: isoDateOrNull,
  current_token_created_at: isoDateOrNull,
  current_token_expiry_length: z.int().nullable(),
  is_cloud_superuser: z.boolean(),
  team_name: z.string().nullable(),
  is_anonymous_user: z.boolean().nullable(),
  password_configured: z.boolean().nullable(),
  tenant_info: z.object({ invitation: z.unknown().nullable(), new_tenant: z.unknown().nullable() }).nullable(),
  effective_permissions: z.array(z.string()),
  is_group_manager: z.boolean(),
  admin_capabilities: z.array(z.string()),
}).openapi('UserInfo');

/** The defaults of the contract: this server stores no preferences, and clients expect the object. */
const preferences: z.input<typeof UserPreferences> = {
  chosen_assistants: null,
  hidden_assistants: [],
  visible_assistants: [],
  default_model: null,
  pinned_assistants: [],
  shortcut_enabled: null,
  auto_scroll: null,
  temperature_override_enabled: null,
  theme_preference: null,
  language: null,
  chat_background: null,
  default_app_mode: 'CHAT',
  paste_as_tile: null,
  voice_auto_send: null,
  voice_auto_playback: null,
  voice_playback_speed: null,
  assistant_specific_configs: null,
};

/** The fields of `UserInfo` besides the account, with their defaults. */
const defaults = {
  preferences,
  personalization: {
    name: '',
    role: '',
    use_memories: false,
    enable_memory_tool: false,
    memories: [],
    user_preferences: '',
  },
  token_expires_at: null,
  oidc_expiry: null,
  current_token_created_at: null,
  current_token_expiry_length: null,
  is_cloud_superuser: false,
  team_name: null,
  is_anonymous_user: false,
  password_configured: null,
  tenant_info: null,
  effective_permissions: [],
  is_group_manager: false,
  admin_capabilities: [],
};

/** Returns a member of a group: the account with defaults for all other fields. */
export const memberInfo = (
  user: Parameters<typeof userRead>[0] & { active: boolean | null },
): z.input<typeof UserInfo> => ({ ...userRead(user, granted(user, 'active').active), ...defaults });

/** Returns permissions with this server's names, and `admin` or `basic` for all permissions of that role. */
export function effectivePermissions(held: readonly string[]): string[] {
  const whole = (role: 'ADMIN' | 'BASIC') =>
    [...rolePermissions(role)].every((name: Permission) => held.includes(name));
  return [...held, ...(whole('BASIC') ? ['basic'] : []), ...(whole('ADMIN') ? ['admin'] : [])].sort();
}

const accountType = z.enum(['STANDARD', 'SERVICE_ACCOUNT']);

export const FullUser = graphql(`
  fragment FullUser on User @_unmask {
    databaseId email name role accountType active passwordConfigured createdAt updatedAt
  }
`);

/** With the fields of all generations. */
const FullUserSnapshot = z
  .object({
    id: z.uuid(),
    email: z.string(),
    role: roleName,
    is_active: z.boolean(),
    password_configured: z.boolean(),
    account_type: accountType,
    personal_name: z.string().nullable(),
    created_at: isoDate,
    updated_at: isoDate,
    groups: z.array(z.object({ id: z.int(), name: z.string() })),
    is_scim_synced: z.boolean(),
    craft_enabled: z.boolean().nullable(),
    is_admin: z.boolean(),
  })
  .openapi('FullUserSnapshot');

function fullUser(found: ResultOf<typeof FullUser>): z.input<typeof FullUserSnapshot> {
  const user = granted(found, 'email', 'role', 'active', 'passwordConfigured', 'createdAt', 'updatedAt');
  return {
    id: user.databaseId,
    email: user.email,
    role: fromRole(user.role),
    is_active: user.active,
    password_configured: user.passwordConfigured,
    account_type: user.accountType,
    personal_name: user.name,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
    groups: defaultGroups.filter(({ role }) => role === user.role).map(({ id, name }) => ({ id, name })),
    is_scim_synced: false,
    craft_enabled: false,
    is_admin: user.role === 'ADMIN',
  };
}

const Invited = z.object({ email: z.string() }).openapi('InvitedUserSnapshot');
const byEmail = ({ body }: { body: z.infer<typeof UserByEmail> }) => ({ input: { user: { email: body.user_email } } });

/** Returns the older format for an unknown user, and 400 for a conflict. */
const unchanged: AnyEndpoint['failure'] = (error) => {
  if (error.code === 'NOT_FOUND') return detail(404, 'User not found');
  return error.code === 'CONFLICT' || error.code === 'BAD_USER_INPUT' ? detail(400, error.message) : null;
};

/** The contract's roles and types. A role that does not exist on this server matches no user. */
const wireRoles = ['limited', 'basic', 'admin', 'curator', 'global_curator', 'slack_user', 'ext_perm_user'] as const;
const wireTypes = ['STANDARD', 'BOT', 'EXT_PERM_USER', 'SERVICE_ACCOUNT', 'ANONYMOUS'] as const;
/** A query parameter that can be repeated. */
const listOf = <Value extends string>(values: readonly [Value, ...Value[]]) => {
  const one = z.enum(values);
  return z
    .union([z.array(one), one.transform((value) => [value])])
    .optional()
    .openapi({ type: 'array', items: { type: 'string', enum: [...values] } });
};
const toRoles = (names: readonly (typeof wireRoles)[number][] | undefined) =>
  names
    ?.map((name) => roleName.safeParse(name).data)
    .filter((name) => name !== undefined)
    .map(toRole);
const toTypes = (names: readonly (typeof wireTypes)[number][] | undefined) =>
  names?.map((name) => accountType.safeParse(name).data).filter((name) => name !== undefined);

const pageNumber = z.coerce.number().int().min(0).max(1_000_000);
/** The page size of GET /manage/users. */
const pageOf = 10;
const pagesOf = (paged: boolean, count: number): number => (paged ? Math.ceil(count / pageOf) : 1);

const AllUsersQuery = z.object({
  q: z.string().optional(),
  accepted_page: pageNumber.optional(),
  slack_users_page: pageNumber.optional(),
  invited_page: pageNumber.optional(),
  include_api_keys: flag.default(false),
});
/** The list is paged only when all three numbers are given. */
const isPaged = (query: z.infer<typeof AllUsersQuery>): boolean =>
  [query.accepted_page, query.slack_users_page, query.invited_page].every((page) => page !== undefined);

const ChangeRole = graphql(
  `mutation ChangeRole($input: ChangeUserRoleInput!) { changeUserRole(input: $input) { user { id } } }`,
);

/** Throws BAD_USER_INPUT for roles that the contract does not assign to people. */
function settableRole(name: (typeof wireRoles)[number]): Role {
  if (name === 'basic') return 'BASIC';
  if (name === 'admin') return 'ADMIN';
  throw badInput(['body', 'new_role'], `${name} is not a role that can be set here`);
}

const credentialKinds = { PERSONAL: 'personal_access_token', SESSION: 'session', PROJECT: 'project_token' } as const;

const UserToken = z
  .object({
    id: z.int(),
    kind: z.enum(Object.values(credentialKinds)),
    name: z.string().nullable(),
    token_display: z.string(),
    scopes: z.array(z.string()).nullable(),
    created_at: isoDate,
    expires_at: isoDateOrNull,
    last_used_at: isoDateOrNull,
    last_used_address: z.string().nullable(),
    project_id: z.int().nullable(),
    disabled: z.boolean().openapi({ description: 'Whether the project token is disabled.' }),
  })
  .openapi('UserToken');

const userParams = z.object({ user_id: z.uuid() });
const missingUser: AnyEndpoint['failure'] = (error) =>
  error.code === 'NOT_FOUND' ? coded(404, 'NOT_FOUND', error.message) : null;

/** Endpoints for administrators to list and revoke the tokens and login sessions of a user. */
const userTokenEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/manage/admin/users/{user_id}/tokens',
    tag,
    summary: 'List the tokens and login sessions of a user',
    params: userParams,
    reply: z.array(UserToken),
    document: graphql(
      `query UserTokens($first: Int!, $userId: ID!) {
        userCredentials(first: $first, filter: { userId: $userId }) {
          nodes {
            databaseId kind name display scopes createdAt expiresAt lastUsedAt lastUsedAddress projectDatabaseId disabled
          }
        }
      }`,
    ),
    variables: ({ params }) => ({ first: everything, userId: params.user_id }),
    output: ({ userCredentials }) =>
      userCredentials.nodes.map((token) => ({
        id: token.databaseId,
        kind: credentialKinds[token.kind],
        name: token.name,
        token_display: token.display,
        scopes: token.scopes && permissionNames(token.scopes),
        created_at: token.createdAt,
        expires_at: token.expiresAt,
        last_used_at: token.lastUsedAt,
        last_used_address: token.lastUsedAddress,
        project_id: token.projectDatabaseId,
        disabled: token.disabled,
      })),
    failure: missingUser,
  }),
  endpoint({
    method: 'delete',
    path: '/manage/admin/users/{user_id}/tokens/{token_id}',
    tag,
    summary: 'Revoke a token or login session of a user',
    params: userParams.extend({ token_id: id }),
    reply: z.object({ message: z.string() }),
    document: graphql(
      `mutation RevokeUserToken($userId: ID!, $id: ID!) {
        revokeUserCredential(input: { userId: $userId, id: $id }) { revokedUserCredentialId }
      }`,
    ),
    variables: ({ params }) => ({ userId: params.user_id, id: String(params.token_id) }),
    output: () => ({ message: 'Token revoked successfully' }),
    failure: missingUser,
  }),
  endpoint({
    method: 'delete',
    path: '/manage/admin/users/{user_id}/tokens',
    tag,
    summary: 'Revoke all tokens and login sessions of a user',
    params: userParams,
    reply: z.object({ revoked_count: z.int() }).openapi('RevokedTokens'),
    document: graphql(
      `mutation RevokeUserTokens($userId: ID!) { revokeUserCredentials(input: { userId: $userId }) { revokedCount } }`,
    ),
    variables: ({ params }) => ({ userId: params.user_id }),
    output: ({ revokeUserCredentials }) => ({ revoked_count: revokeUserCredentials.revokedCount }),
    failure: missingUser,
  }),
];

export const userEndpoints: AnyEndpoint[] = [
  ...userTokenEndpoints,
  endpoint({
    method: 'get',
    path: '/me',
    tag,
    summary: 'Get the caller’s account, preferences and permissions',
    reply: UserInfo,
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      const { createdAt, expiresAt } = viewer.token;
      const user = granted(viewer.user, 'email', 'passwordConfigured');
      return {
        ...userRead(user),
        ...defaults,
        personalization: { ...defaults.personalization, name: user.name },
        token_expires_at: expiresAt,
        current_token_created_at: createdAt,
        current_token_expiry_length: expiresAt ? Math.round((expiresAt.getTime() - createdAt.getTime()) / 1000) : null,
        password_configured: user.passwordConfigured,
        effective_permissions: effectivePermissions(permissionNames(viewer.permissions)),
      };
    },
    failure: (error) => (error.code === 'UNAUTHENTICATED' ? detail(403, 'Unauthorized') : null),
  }),
  endpoint({
    method: 'get',
    path: '/me/permissions',
    tag,
    summary: 'Get the caller’s permissions',
    reply: z.object({ permissions: z.array(z.string()), is_manager: z.boolean(), managed_group_ids: z.array(z.int()) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return {
        permissions: effectivePermissions(permissionNames(viewer.permissions)),
        is_manager: false,
        managed_group_ids: [],
      };
    },
  }),
  endpoint({
    method: 'get',
    path: '/users/me',
    tag,
    summary: 'Get the caller’s account in the format of the registration',
    reply: UserRead,
    document: graphql(`query UserMe { viewer { user { databaseId email role accountType } } }`),
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return userRead(viewer.user);
    },
    failure: (error) => (error.code === 'UNAUTHENTICATED' ? detail(401, 'Unauthorized') : null),
  }),
  endpoint({
    method: 'get',
    path: '/get-user-role',
    tag,
    summary: 'Get the caller’s role',
    reply: z.object({ role: roleName }).openapi('UserRoleResponse'),
    document: graphql(`query MyRole { users(first: 0) { totalCount } viewer { role } }`),
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return { role: fromRole(viewer.role) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/users',
    tag,
    summary: 'List the directory of active users',
    query: z.object({ include_api_keys: flag.default(false) }),
    reply: z.array(z.object({ id: z.uuid(), email: z.string() }).openapi('MinimalUserSnapshot')),
    document: graphql(
      `query Directory($first: Int!, $types: [AccountType!]!) {
        users(first: $first, filter: { accountTypes: $types }) { nodes { databaseId email } }
      }`,
    ),
    variables: ({ query }) => ({
      first: everything,
      types: query.include_api_keys ? accountType.options : ['STANDARD' as const],
    }),
    output: ({ users }) => users.nodes.map(({ databaseId, email }) => ({ id: databaseId, email: email ?? '' })),
  }),
  endpoint({
    method: 'get',
    path: '/manage/users',
    tag,
    summary: 'List accounts and invitations',
    query: AllUsersQuery,
    reply: z
      .object({
        accepted: z.array(FullUserSnapshot),
        invited: z.array(Invited),
        slack_users: z.array(FullUserSnapshot),
        accepted_pages: z.int(),
        invited_pages: z.int(),
        slack_users_pages: z.int(),
      })
      .openapi('AllUsersResponse'),
    document: graphql(
      `query AllUsers($first: Int!, $users: Int!, $invitations: Int!, $filter: UserFilter!, $search: String) {
        allUsers(first: $first, offset: $users, filter: $filter) { totalCount nodes { ...FullUser } }
        invitations(first: $first, offset: $invitations, filter: { search: $search }) { totalCount nodes { email } }
      }`,
      [FullUser],
    ),
    variables: ({ query }) => ({
      first: isPaged(query) ? pageOf : everything,
      users: isPaged(query) ? (query.accepted_page ?? 0) * pageOf : 0,
      invitations: isPaged(query) ? (query.invited_page ?? 0) * pageOf : 0,
      search: query.q,
      filter: { search: query.q, accountTypes: query.include_api_keys ? accountType.options : ['STANDARD' as const] },
    }),
    output: ({ allUsers, invitations }, { query }) => ({
      accepted: allUsers.nodes.map(fullUser),
      invited: invitations.nodes.map(({ email }) => ({ email })),
      slack_users: [],
      accepted_pages: pagesOf(isPaged(query), allUsers.totalCount),
      invited_pages: pagesOf(isPaged(query), invitations.totalCount),
      slack_users_pages: pagesOf(isPaged(query), 0),
    }),
  }),
  endpoint({
    method: 'get',
    path: '/manage/users/accepted',
    tag,
    summary: 'List accounts, with numbered pages',
    query: z.object({
      q: z.string().optional(),
      page_num: pageNumber.default(0),
      page_size: z.coerce.number().int().min(1).max(1000).default(10),
      roles: listOf(wireRoles),
      account_types: listOf(wireTypes),
      is_active: flag.optional(),
    }),
    reply: z
      .object({ items: z.array(FullUserSnapshot), total_items: z.int() })
      .openapi('PaginatedReturn_FullUserSnapshot_'),
    document: graphql(
      `query PageOfUsers($first: Int!, $offset: Int!, $filter: UserFilter!) {
        allUsers(first: $first, offset: $offset, filter: $filter) { totalCount nodes { ...FullUser } }
      }`,
      [FullUser],
    ),
    variables: ({ query }) => ({
      first: query.page_size,
      offset: query.page_num * query.page_size,
      filter: {
        search: query.q,
        active: query.is_active,
        roles: toRoles(query.roles),
        accountTypes: toTypes(query.account_types),
      },
    }),
    output: ({ allUsers }) => ({ items: allUsers.nodes.map(fullUser), total_items: allUsers.totalCount }),
  }),
  endpoint({
    method: 'get',
    path: '/manage/users/accepted/all',
    tag,
    summary: 'List all accounts of people',
    reply: z.array(FullUserSnapshot),
    document: graphql(`query EveryUser($first: Int!) { allUsers(first: $first) { nodes { ...FullUser } } }`, [
      FullUser,
    ]),
    variables: () => ({ first: everything }),
    output: ({ allUsers }) => allUsers.nodes.map(fullUser),
  }),
  endpoint({
    method: 'get',
    path: '/manage/users/counts',
    tag,
    summary: 'Count the users by role and by status',
    reply: z.object({
      role_counts: z.record(z.string(), z.int()),
      status_counts: z.object({ active: z.int(), inactive: z.int() }),
    }),
    document: graphql(`
      query CountUsers {
        limited: allUsers(first: 0, filter: { roles: [LIMITED] }) { totalCount }
        basic: allUsers(first: 0, filter: { roles: [BASIC] }) { totalCount }
        admin: allUsers(first: 0, filter: { roles: [ADMIN] }) { totalCount }
        active: allUsers(first: 0, filter: { active: true }) { totalCount }
        inactive: allUsers(first: 0, filter: { active: false }) { totalCount }
      }
    `),
    variables: () => ({}),
    output: ({ limited, basic, admin, active, inactive }) => ({
      role_counts: Object.fromEntries(
        Object.entries({ limited, basic, admin })
          .filter(([, { totalCount }]) => totalCount > 0)
          .map(([role, { totalCount }]) => [role, totalCount]),
      ),
      status_counts: { active: active.totalCount, inactive: inactive.totalCount },
    }),
  }),
  endpoint({
    method: 'get',
    path: '/manage/users/invited',
    tag,
    summary: 'List the invited e-mail addresses',
    reply: z.array(Invited),
    document: graphql(`query Invited($first: Int!) { invitations(first: $first) { nodes { email } } }`),
    variables: () => ({ first: everything }),
    output: ({ invitations }) => invitations.nodes.map(({ email }) => ({ email })),
  }),
  endpoint({
    method: 'put',
    path: '/manage/admin/users',
    tag,
    summary: 'Invite people by e-mail address',
    body: z.object({ emails: z.array(z.string()) }),
    reply: z
      .object({
        invited_count: z.int().openapi({ description: 'The number of addresses that were not invited before.' }),
        email_invite_status: z.literal('NOT_CONFIGURED').openapi({
          description:
            'Always `NOT_CONFIGURED`, because this server sends no e-mail. Tell the invited people where to register.',
        }),
      })
      .openapi('BulkInviteResponse'),
    document: graphql(`mutation Invite($input: InviteUsersInput!) { inviteUsers(input: $input) { invitedCount } }`),
    variables: ({ body }) => ({ input: { emails: body.emails } }),
    output: ({ inviteUsers }) => ({
      invited_count: inviteUsers.invitedCount,
      email_invite_status: 'NOT_CONFIGURED' as const,
    }),
    failure: (error, input) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      const index = error.details.fields?.[0]?.path[2];
      const email = typeof index === 'number' ? String(input?.body.emails[index]).slice(0, 254) : null;
      return detail(400, email === null ? error.message : `Invalid email address: ${email}`);
    },
  }),
  endpoint({
    method: 'patch',
    path: '/manage/admin/remove-invited-user',
    tag,
    summary: 'Withdraw an invitation by e-mail address',
    body: UserByEmail,
    reply: z.int().openapi({ description: 'The number of remaining invitations.' }),
    document: graphql(
      `mutation RemoveInvitation($input: RemoveInvitationInput!) { removeInvitation(input: $input) { remainingCount } }`,
    ),
    variables: ({ body }) => ({ input: { email: body.user_email } }),
    output: ({ removeInvitation }) => removeInvitation.remainingCount,
    failure: unchanged,
  }),
  endpoint({
    method: 'patch',
    path: '/manage/admin/deactivate-user',
    tag,
    summary: 'Deactivate a user by e-mail address',
    body: UserByEmail,
    reply: nothing,
    document: graphql(
      `mutation Deactivate($input: DeactivateUserInput!) { deactivateUser(input: $input) { user { id } } }`,
    ),
    variables: byEmail,
    output: () => null,
    failure: unchanged,
  }),
  endpoint({
    method: 'patch',
    path: '/manage/admin/activate-user',
    tag,
    summary: 'Reactivate a user by e-mail address',
    body: UserByEmail,
    reply: nothing,
    document: graphql(`mutation Activate($input: ActivateUserInput!) { activateUser(input: $input) { user { id } } }`),
    variables: byEmail,
    output: () => null,
    failure: unchanged,
  }),
  endpoint({
    method: 'delete',
    path: '/manage/admin/delete-user',
    tag,
    summary: 'Delete a deactivated user',
    body: UserByEmail,
    reply: nothing,
    document: graphql(`mutation DeleteUser($input: DeleteUserInput!) { deleteUser(input: $input) { deletedUserId } }`),
    variables: byEmail,
    output: () => null,
    failure: unchanged,
  }),
  endpoint({
    method: 'patch',
    path: '/manage/set-user-role',
    tag,
    summary: 'Change the role of a user',
    body: z
      .object({
        user_email: z.string(),
        new_role: z.enum(wireRoles),
        explicit_override: ignoring(z.boolean().default(false), 'A role has no other source that it would override.'),
      })
      .openapi('UserRoleUpdateRequest'),
    reply: nothing,
    document: ChangeRole,
    variables: ({ body }) => ({ input: { user: { email: body.user_email }, role: settableRole(body.new_role) } }),
    output: () => null,
    failure: unchanged,
  }),
  endpoint({
    method: 'patch',
    path: '/manage/admin/users/admin-access',
    tag,
    summary: 'Grant or revoke a user’s administrator role',
    body: z.object({ user_email: z.string(), is_admin: z.boolean() }),
    reply: nothing,
    document: ChangeRole,
    variables: ({ body }) => ({
      input: { user: { email: body.user_email }, role: (body.is_admin ? 'ADMIN' : 'BASIC') as Role },
    }),
    output: () => null,
    failure: (error, input) =>
      error.code === 'NOT_FOUND' ? coded(404, 'NOT_FOUND', 'User not found') : (unchanged(error, input) ?? null),
  }),
];
