import { z } from '@hono/zod-openapi';
import type { Context } from '../../context.ts';
import type { AppError } from '../../errors.ts';
import { sessionCookie } from '../credential.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { granted, graphql, type ResultOf } from '../graphql.ts';
import { ignoring } from '../parameters.ts';
import { fromRole, nothing, roleName } from '../shapes.ts';
import { coded, detail, onyxInvalid } from './errors.ts';

const tag = 'Authentication';

/** 7 days and one hour, in seconds: the cookie outlives the session, which has its own expiry. */
const cookieAge = 7 * 24 * 3600 + 3600;

const cookie = (value: string, age: number, { services }: Context) => ({
  'Set-Cookie': `${sessionCookie}=${value}; HttpOnly; Max-Age=${age}; Path=/; SameSite=lax${services.sessions.overHttps ? '; Secure' : ''}`,
});
const noCookie = (context: Context) => cookie('""', 0, context);

const fieldOf = (error: AppError) => error.details.fields?.[0]?.path.at(-1);

export const UserRead = z
  .object({
    id: z.uuid(),
    email: z.string(),
    is_active: z.boolean(),
    is_superuser: z.boolean(),
    is_verified: z.boolean(),
    role: roleName,
    account_type: z.enum(['STANDARD', 'SERVICE_ACCOUNT']),
  })
  .openapi('UserRead');

const Who = graphql(`fragment Who on User @_unmask { databaseId email active role accountType }`);

export function userRead(
  found: Pick<ResultOf<typeof Who>, 'databaseId' | 'email' | 'role' | 'accountType'>,
  active = true,
): z.input<typeof UserRead> {
  const { email, role } = granted(found, 'email', 'role');
  return {
    id: found.databaseId,
    email,
    is_active: active,
    // A flag of the framework that the reference implementation is built on. The reference sets it for no user:
    // permissions depend on the role.
    is_superuser: false,
    is_verified: true,
    role: fromRole(role),
    account_type: found.accountType,
  };
}

const Credentials = z
  .object({
    username: z.string().openapi({ description: 'The e-mail address or the username of the user.' }),
    password: z.string(),
    grant_type: ignoring(z.string().optional(), 'Every login is with a password.'),
    scope: ignoring(z.string().optional(), 'A login session has the permissions of its user.'),
  })
  .openapi('LoginForm');

const LogIn = graphql(`mutation LogIn($input: LoginInput!) { login(input: $input) { token } }`);
const LogOut = graphql(`mutation LogOut { logout { endedUserCredentialId } }`);
const Refresh = graphql(`mutation RefreshSession { refreshSession { token } }`);

const credentials = ({ body }: { body: z.infer<typeof Credentials> }) => ({
  input: { login: body.username, password: body.password },
});
const badCredentials: AnyEndpoint['failure'] = (error) =>
  error.code === 'BAD_USER_INPUT' ? detail(400, 'LOGIN_BAD_CREDENTIALS') : null;
/** The response without a session, or with a key where a session is required. */
const noSession: AnyEndpoint['failure'] = (error) =>
  error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN' ? detail(401, 'Unauthorized') : null;

const keepTokens = z.boolean().nullish().openapi({
  description:
    'If true, the person’s personal access tokens and project tokens keep working. They are revoked by default.',
});

export const UserByEmail = z.object({ user_email: z.string() }).openapi('UserByEmail');

const BearerToken = z.object({ access_token: z.string(), token_type: z.literal('bearer') }).openapi('BearerToken');

/** The sentence that Onyx clients display to people who were not invited. */
const inviteOnly = 'This workspace is invite-only. Please ask your admin to invite you.';

const refusedRegistration: AnyEndpoint['failure'] = (error) => {
  if (error.code === 'CONFLICT') return detail(400, 'REGISTER_USER_ALREADY_EXISTS');
  if (error.code === 'FORBIDDEN')
    return error.reason === 'REGISTRATION_INVITE_ONLY'
      ? coded(403, 'UNAUTHORIZED', inviteOnly)
      : coded(403, 'REGISTRATION_DISABLED', error.message);
  if (error.code !== 'BAD_USER_INPUT') return null;
  if (fieldOf(error) === 'password')
    return { status: 400, body: { detail: { code: 'REGISTER_INVALID_PASSWORD', reason: error.message } } };
  return error.details.fields?.[0]?.reason === 'DOMAIN_RESERVED'
    ? coded(400, 'INVALID_INPUT', error.message)
    : onyxInvalid(error);
};

export const authEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/auth/type',
    tag,
    summary: 'Get the available login methods',
    reply: z
      .object({
        auth_type: z.enum(['disabled', 'basic', 'google_oauth', 'oidc', 'saml', 'cloud']),
        requires_verification: z.boolean(),
        anonymous_user_enabled: z.boolean().nullable(),
        password_min_length: z.int(),
        multi_tenant: z.boolean(),
        password_max_length: z.int(),
        password_require_uppercase: z.boolean(),
        password_require_lowercase: z.boolean(),
        password_require_digit: z.boolean(),
        password_require_special_char: z.boolean(),
        has_users: z.boolean(),
        oauth_enabled: z.boolean(),
        password_auth_enabled: z.boolean(),
        sso_providers: z.array(
          z.object({
            name: z.string(),
            display_name: z.string(),
            provider_type: z.string(),
            authorize_url: z.string(),
          }),
        ),
      })
      .openapi('AuthTypeResponse'),
    document: graphql(`query AuthType { authentication { passwordMinLength passwordMaxLength hasUsers } }`),
    variables: () => ({}),
    output: ({ authentication }) => ({
      auth_type: 'basic' as const,
      requires_verification: false,
      anonymous_user_enabled: false,
      password_min_length: authentication.passwordMinLength,
      multi_tenant: false,
      password_max_length: authentication.passwordMaxLength,
      password_require_uppercase: false,
      password_require_lowercase: false,
      password_require_digit: false,
      password_require_special_char: false,
      has_users: authentication.hasUsers,
      oauth_enabled: false,
      password_auth_enabled: true,
      sso_providers: [],
    }),
    headers: ({ authentication }) => ({
      'Cache-Control': authentication.hasUsers ? 'public, max-age=60' : 'no-store',
    }),
  }),
  endpoint({
    method: 'post',
    path: '/auth/register',
    tag,
    summary: 'Register an account with a password',
    body: z.object({ email: z.string(), password: z.string() }).openapi('UserCreate'),
    status: 201,
    reply: UserRead,
    document: graphql(`mutation Register($input: RegisterInput!) { register(input: $input) { user { ...Who } } }`, [
      Who,
    ]),
    variables: ({ body }) => ({ input: { email: body.email, password: body.password } }),
    output: ({ register: { user } }) => userRead(user, granted(user, 'active').active),
    failure: refusedRegistration,
    failures: [{ status: 400, body: { detail: { code: 'REGISTER_INVALID_PASSWORD', reason: 'is too short' } } }],
  }),
  endpoint({
    method: 'post',
    path: '/auth/login',
    tag,
    summary: 'Log in and set a session cookie',
    body: Credentials,
    form: true,
    status: 204,
    reply: nothing,
    document: LogIn,
    variables: credentials,
    output: () => null,
    setsCookie: true,
    headers: ({ login }, _input, context) => cookie(login.token, cookieAge, context),
    failure: badCredentials,
  }),
  endpoint({
    method: 'post',
    path: '/auth/logout',
    tag,
    summary: 'End the login session of the caller',
    status: 204,
    reply: nothing,
    document: LogOut,
    variables: () => ({}),
    output: () => null,
    setsCookie: true,
    headers: (_data, _input, context) => noCookie(context),
    failure: noSession,
  }),
  endpoint({
    method: 'post',
    path: '/auth/refresh',
    tag,
    summary: 'Renew the login session and its cookie',
    status: 204,
    reply: nothing,
    document: Refresh,
    variables: () => ({}),
    output: () => null,
    setsCookie: true,
    headers: ({ refreshSession }, _input, context) => cookie(refreshSession.token, cookieAge, context),
    failure: noSession,
  }),
  endpoint({
    method: 'post',
    path: '/auth/mobile/login',
    tag,
    summary: 'Log in and return a bearer token',
    body: Credentials,
    form: true,
    reply: BearerToken,
    document: LogIn,
    variables: credentials,
    output: ({ login }) => ({ access_token: login.token, token_type: 'bearer' as const }),
    failure: badCredentials,
  }),
  endpoint({
    method: 'post',
    path: '/auth/mobile/refresh',
    tag,
    summary: 'Renew the login session and its bearer token',
    reply: BearerToken,
    document: Refresh,
    variables: () => ({}),
    output: ({ refreshSession }) => ({ access_token: refreshSession.token, token_type: 'bearer' as const }),
    failure: noSession,
  }),
  endpoint({
    method: 'post',
    path: '/auth/mobile/logout',
    tag,
    summary: 'End the login session of a bearer token',
    status: 204,
    reply: nothing,
    document: LogOut,
    variables: () => ({}),
    output: () => null,
    failure: noSession,
  }),
  endpoint({
    method: 'post',
    path: '/password/change-password',
    tag,
    summary: 'Change the caller’s password',
    body: z
      .object({
        old_password: z.string(),
        new_password: z.string(),
        keep_tokens: keepTokens,
      })
      .openapi('ChangePasswordRequest'),
    reply: nothing,
    document: graphql(
      `mutation ChangePassword($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }`,
    ),
    variables: ({ body }) => ({
      input: { currentPassword: body.old_password, newPassword: body.new_password, keepTokens: body.keep_tokens },
    }),
    output: () => null,
    failure: (error) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      return detail(400, fieldOf(error) === 'old_password' ? 'Invalid current password' : error.message);
    },
  }),
  endpoint({
    method: 'post',
    path: '/password/reset_password',
    tag,
    summary: 'Reset the password of a user',
    body: UserByEmail.extend({ keep_tokens: keepTokens }).openapi('PasswordResetRequest'),
    reply: z.object({ user_id: z.uuid(), new_password: z.string() }).openapi('PasswordResetResponse'),
    document: graphql(
      `mutation ResetPassword($input: ResetUserPasswordInput!) {
        resetUserPassword(input: $input) { user { databaseId } newPassword }
      }`,
    ),
    variables: ({ body }) => ({ input: { user: { email: body.user_email }, keepTokens: body.keep_tokens } }),
    output: ({ resetUserPassword: { user, newPassword } }) => ({
      user_id: user.databaseId,
      new_password: newPassword,
    }),
    failure: (error) => (error.code === 'NOT_FOUND' ? detail(404, 'User not found') : null),
  }),
];
