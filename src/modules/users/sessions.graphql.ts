import type { User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { globalId } from '../../graphql/id-input.ts';
import type { Settings } from '../../settings.ts';
import { newUserEdge, userPayload } from './accounts.graphql.ts';
import type { Session } from './login-session.ts';
import { toThemselves } from './own.ts';
import { passwordLength } from './password.ts';
import { User, UserEdge } from './users.graphql.ts';

const RegistrationMode = builder.enumType('RegistrationMode', {
  description: 'Who can create an account without a credential.',
  values: {
    OPEN: { value: 'open', description: 'Every client can register.' },
    INVITE: { value: 'invite', description: 'Only invited e-mail addresses can register.' },
    CLOSED: { value: 'closed', description: 'No one can register; administrators create the accounts.' },
  } as const,
});

const Authentication = builder
  .objectRef<{ registration: Settings['registration']; hasUsers: boolean }>('Authentication')
  .implement({
    description: 'How people can register and log in on this server.',
    fields: (t) => ({
      registration: t.expose('registration', {
        type: RegistrationMode,
        description: 'Who can register on this server.',
      }),
      passwordMinLength: t.int({
        description: 'The minimum length of a password, in characters.',
        resolve: () => passwordLength.min,
      }),
      passwordMaxLength: t.int({
        description: 'The maximum length of a password, in characters.',
        resolve: () => passwordLength.max,
      }),
      hasUsers: t.exposeBoolean('hasUsers', { description: 'Whether a person has an account on this server.' }),
      multiUserMode: t.exposeBoolean('hasUsers', {
        description: 'Whether people log in on this server; false while it is used with keys alone.',
      }),
    }),
  });

const RegisterInput = builder.inputType('RegisterInput', {
  description: 'Input for the mutation `register`.',
  fields: (t) => ({
    email: t.string({
      required: true,
      description: 'The e-mail address, stored in lower case; at most 254 characters.',
    }),
    password: t.string({ required: true, description: 'The password: 8 to 64 characters.' }),
  }),
});

const LoginInput = builder.inputType('LoginInput', {
  description: 'Input for the mutation `login`.',
  fields: (t) => ({
    login: t.string({ required: true, description: 'The e-mail address or the username, in any letter case.' }),
    password: t.string({ required: true, description: 'The password of the person.' }),
  }),
});

const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
  description: 'Input for the mutation `changePassword`.',
  fields: (t) => ({
    currentPassword: t.string({ required: true, description: 'The current password of the caller.' }),
    newPassword: t.string({ required: true, description: 'The new password: 8 to 64 characters.' }),
    keepTokens: t.boolean({
      description:
        'If true, the caller’s personal access tokens and project tokens keep working. They are revoked by default.',
    }),
  }),
});

/** Returns the payload type of a mutation with which people create their own account. */
export const ownAccountPayload = (name: string, mutation: string) =>
  builder.objectRef<UserRow>(name).implement({
    description: `Result of the mutation \`${mutation}\`.`,
    fields: (t) => ({
      user: t.field({ type: User, description: 'The user that was created.', resolve: toThemselves }),
      userEdge: t.field({
        type: UserEdge,
        description: 'The new user as an edge of `allUsers` in its default order.',
        resolve: (user) => newUserEdge(toThemselves(user)),
      }),
    }),
  });

const RegisterPayload = ownAccountPayload('RegisterPayload', 'register');

/** Returns the payload type of a mutation that returns the secret of a login session. */
export const sessionPayload = (name: string, mutation: string) =>
  builder.objectRef<Session>(name).implement({
    description: `Result of the mutation \`${mutation}\`.`,
    fields: (t) => ({
      token: t.exposeString('token', {
        description:
          'The secret of the login session, for `Authorization: Bearer …`. It is returned only once and stored only as a hash.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description: 'The time at which the session ends unless it is used before: 7 days after its last use.',
      }),
      user: t.field({
        type: User,
        description: 'The user of the session: a person, or the built-in owner.',
        resolve: ({ user }) => toThemselves(user),
      }),
    }),
  });

const LoginPayload = sessionPayload('LoginPayload', 'login');
const RefreshSessionPayload = sessionPayload('RefreshSessionPayload', 'refreshSession');

const LogoutPayload = builder.objectRef<{ tokenId: number }>('LogoutPayload').implement({
  description: 'Result of the mutation `logout`.',
  fields: (t) => ({
    endedUserCredentialId: t.id({
      description: 'The global ID of the login session that ended, as `userCredentials` returns it.',
      resolve: ({ tokenId }) => globalId('UserCredential', tokenId),
    }),
  }),
});

builder.queryField('authentication', (t) =>
  t.field({
    type: Authentication,
    public: true,
    neverFails: true,
    description: 'How people can register and log in, so that a client can show the right form.',
    resolve: (_root, _args, { services }) => services.sessions.authentication(),
  }),
);

builder.mutationFields((t) => ({
  register: t.field({
    type: RegisterPayload,
    public: true,
    description:
      'Creates an account with the role BASIC for the caller, if the registration mode allows it. The first person becomes ADMIN only when the server was started with `REGISTRATION=open`.',
    args: { input: t.arg({ type: RegisterInput, required: true, description: 'The account to register.' }) },
    resolve: (_root, { input }, { client, services }) => services.sessions.register(client, input),
  }),
  login: t.field({
    type: LoginPayload,
    public: true,
    description:
      'Starts a login session. At most 10 failed attempts for an account and 50 from an address within 15 minutes.',
    args: {
      input: t.arg({
        type: LoginInput,
        required: true,
        description: 'The e-mail address or username, and the password.',
      }),
    },
    resolve: (_root, { input }, { client, services }) => services.sessions.login(client, input),
  }),
  refreshSession: t.withAuth({ signedIn: true }).field({
    type: RefreshSessionPayload,
    description:
      'Replaces the secret of the login session of this request and extends it by 7 days. The old secret works for one more minute.',
    resolve: (_root, _args, { principal, services }) => services.sessions.refresh(principal),
  }),
  logout: t.withAuth({ signedIn: true }).field({
    type: LogoutPayload,
    description: 'Ends the login session of this request, with its streams.',
    resolve: (_root, _args, { principal, services }) => services.sessions.logout(principal),
  }),
  changePassword: t.withAuth({ signedIn: true }).field({
    type: userPayload('changePassword'),
    changesCredentials: true,
    description:
      'Changes the password of the caller, ends their other login sessions and revokes their tokens. Requires a login session as the credential.',
    args: {
      input: t.arg({ type: ChangePasswordInput, required: true, description: 'The current and the new password.' }),
    },
    resolve: async (_root, { input }, { principal, services }) => ({
      user: await services.sessions.changePassword(principal, input),
    }),
  }),
}));
