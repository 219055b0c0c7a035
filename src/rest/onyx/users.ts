import { z } from '@hono/zod-openapi';
import { type Permission, rolePermissions } from '../../authz/permissions.ts';
import { unauthenticated } from '../../errors.ts';
import { graphql } from '../graphql.ts';
import { type AnyRow, row } from '../row.ts';
import { detail } from './errors.ts';
import { isoDate } from './shapes.ts';

const Viewer = graphql(`
  query Me {
    viewer { id name email role accountType permissions token { createdAt expiresAt } }
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
    assistant_specific_configs: z.record(z.string(), z.object({ disabled_tool_ids: z.array(z.int()) })).nullable(),
  })
  .openapi('UserPreferences');

const UserInfo = z
  .object({
    id: z.string(),
    email: z.string(),
    is_active: z.boolean(),
    is_superuser: z.boolean(),
    is_verified: z.boolean(),
    role: z.enum(['limited', 'basic', 'admin']),
    account_type: z.enum(['STANDARD', 'SERVICE_ACCOUNT']),
    preferences: UserPreferences,
    personalization: z.object({
      name: z.string(),
      role: z.string(),
      use_memories: z.boolean(),
      enable_memory_tool: z.boolean(),
      memories: z.array(z.string()),
      user_preferences: z.string(),
    }),
    token_expires_at: isoDate.nullable(),
    oidc_expiry: isoDate.nullable(),
    current_token_created_at: isoDate.nullable(),
    current_token_expiry_length: z.int().nullable(),
    is_cloud_superuser: z.boolean(),
    team_name: z.string().nullable(),
    is_anonymous_user: z.boolean().nullable(),
    password_configured: z.boolean().nullable(),
    tenant_info: z.object({ invitation: z.unknown().nullable(), new_tenant: z.unknown().nullable() }).nullable(),
    effective_permissions: z.array(z.string()),
    is_group_manager: z.boolean(),
    admin_capabilities: z.array(z.string()),
  })
  .openapi('UserInfo');

/** Nobody's settings: this server keeps none, and clients expect the object. */
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
  assistant_specific_configs: null,
};

/** The permissions of a viewer under the names of this server, and `admin` or `basic` where they hold all of such a role. */
function effectivePermissions(held: readonly string[]): string[] {
  const whole = (role: 'ADMIN' | 'BASIC') =>
    [...rolePermissions(role)].every((name: Permission) => held.includes(name));
  return [...held, ...(whole('BASIC') ? ['basic'] : []), ...(whole('ADMIN') ? ['admin'] : [])].sort();
}

export const userRows: AnyRow[] = [
  row({
    method: 'get',
    path: '/me',
    tag: 'User management',
    summary: 'Who calls',
    reply: UserInfo,
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      const { createdAt, expiresAt } = viewer.token;
      return {
        id: viewer.id,
        email: viewer.email,
        is_active: true,
        is_superuser: false,
        is_verified: true,
        role: viewer.role.toLowerCase() as 'limited' | 'basic' | 'admin',
        account_type: viewer.accountType,
        preferences,
        personalization: {
          name: viewer.name,
          role: '',
          use_memories: false,
          enable_memory_tool: false,
          memories: [],
          user_preferences: '',
        },
        token_expires_at: expiresAt,
        oidc_expiry: null,
        current_token_created_at: createdAt,
        current_token_expiry_length: expiresAt ? Math.round((expiresAt.getTime() - createdAt.getTime()) / 1000) : null,
        is_cloud_superuser: false,
        team_name: null,
        is_anonymous_user: false,
        password_configured: false,
        tenant_info: null,
        effective_permissions: effectivePermissions(viewer.permissions),
        is_group_manager: false,
        admin_capabilities: [],
      };
    },
    failure: (error) => (error.code === 'UNAUTHENTICATED' ? detail(403, 'Unauthorized') : null),
  }),
  row({
    method: 'get',
    path: '/me/permissions',
    tag: 'User management',
    summary: 'What the caller may do',
    reply: z.object({ permissions: z.array(z.string()), is_manager: z.boolean(), managed_group_ids: z.array(z.int()) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return { permissions: effectivePermissions(viewer.permissions), is_manager: false, managed_group_ids: [] };
    },
  }),
];
