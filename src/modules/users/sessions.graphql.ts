import { signedIn } from '../../authz/principal.ts';
import type { User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import type { Settings } from '../../settings.ts';
import { Account } from './accounts.graphql.ts';
import { passwordLength } from './password.ts';
import type { Session } from './sessions.service.ts';

/** Where a request came from. Of a stranger's nothing is known, and all strangers count as one. */

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
    description: 'How people can come in.',
    fields: (t) => ({
      registration: t.expose('registration', {
        type: RegistrationMode,
        description: 'Who can register on this server.',
      }),
      passwordMinLength: t.int({
        description: 'How many characters a password has at least.',
        resolve: () => passwordLength.min,
      }),
      passwordMaxLength: t.int({
        description: 'How many characters a password has at most.',
        resolve: () => passwordLength.max,
      }),
      hasUsers: t.exposeBoolean('hasUsers', { description: 'Whether anybody has registered yet.' }),
      multiUserMode: t.exposeBoolean('hasUsers', {
        description: 'Whether people log in here, and not keys alone: there is a person.',
      }),
    }),
  });

const RegisterInput = builder.inputType('RegisterInput', {
  description: 'The account to make for oneself.',
  fields: (t) => ({
    email: t.string({ required: true, description: 'The address; kept in lower case. At most 254 characters.' }),
    password: t.string({ required: true, description: '8 to 64 characters.' }),
  }),
});

const LoginInput = builder.inputType('LoginInput', {
  description: 'Who logs in.',
  fields: (t) => ({
    login: t.string({ required: true, description: 'The address or the username, in any case.' }),
    password: t.string({ required: true, description: 'The password.' }),
  }),
});

const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
  description: 'One’s password, and the one that takes its place.',
  fields: (t) => ({
    currentPassword: t.string({ required: true, description: 'The password as it is.' }),
    newPassword: t.string({ required: true, description: '8 to 64 characters.' }),
  }),
});

const RegisterPayload = builder.objectRef<{ account: UserRow }>('RegisterPayload').implement({
  description: 'What `register` made.',
  fields: (t) => ({
    account: t.field({ type: Account, description: 'The account.', resolve: ({ account }) => account }),
  }),
});

/** The first and every further secret of a session. */
export const sessionPayload = (name: string, description: string) =>
  builder.objectRef<Session>(name).implement({
    description,
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'The secret, for `Authorization: Bearer …`. It is shown this once and stored nowhere.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description: 'When the session ends unless it is used: 7 days from its last use.',
      }),
      user: t.field({
        type: Account,
        description: 'Whose it is: a person’s, or the built-in owner’s.',
        resolve: ({ user }) => user,
      }),
    }),
  });

const LoginPayload = sessionPayload('LoginPayload', 'A new login session.');
const RefreshSessionPayload = sessionPayload('RefreshSessionPayload', 'A login session with a new secret.');

const LogoutPayload = builder.objectRef<{ tokenId: number }>('LogoutPayload').implement({
  description: 'What `logout` ended.',
  fields: (t) => ({
    endedDatabaseId: t.exposeInt('tokenId', { description: 'The integer id that the session had as a token.' }),
  }),
});

const ChangePasswordPayload = builder.objectRef<{ account: UserRow }>('ChangePasswordPayload').implement({
  description: 'What `changePassword` changed.',
  fields: (t) => ({
    account: t.field({ type: Account, description: 'The account.', resolve: ({ account }) => account }),
  }),
});

builder.queryField('authentication', (t) =>
  t.field({
    type: Authentication,
    public: true,
    neverFails: true,
    description: 'How people can come in, so that a client knows what to ask for.',
    resolve: (_root, _args, { services }) => services.sessions.authentication(),
  }),
);

builder.mutationFields((t) => ({
  register: t.field({
    type: RegisterPayload,
    public: true,
    description:
      'Creates an account with the role BASIC for the caller, if the registration mode allows it. The first person becomes ADMIN only when the server was started with `REGISTRATION=open`.',
    args: { input: t.arg({ type: RegisterInput, required: true, description: 'The account.' }) },
    resolve: async (_root, { input }, context) => ({
      account: await context.services.sessions.register(context.client, input),
    }),
  }),
  login: t.field({
    type: LoginPayload,
    public: true,
    description: 'Starts a login session. In 15 minutes an account may see 10 attempts that fail, and an address 50.',
    args: { input: t.arg({ type: LoginInput, required: true, description: 'Address and password.' }) },
    resolve: (_root, { input }, { client, services }) => services.sessions.login(client, input),
  }),
  refreshSession: t.field({
    type: RefreshSessionPayload,
    authScopes: { signedIn: true },
    description:
      'Gives the login session that calls a new secret and 7 more days. The old one works for one minute more.',
    resolve: (_root, _args, { principal, services }) => services.sessions.refresh(signedIn(principal)),
  }),
  logout: t.field({
    type: LogoutPayload,
    authScopes: { signedIn: true },
    description: 'Ends the login session that calls, with its streams.',
    resolve: (_root, _args, { principal, services }) => services.sessions.logout(signedIn(principal)),
  }),
  changePassword: t.field({
    type: ChangePasswordPayload,
    authScopes: { signedIn: true },
    description: 'Sets one’s own password and ends one’s other login sessions. Only a login session can do this.',
    args: { input: t.arg({ type: ChangePasswordInput, required: true, description: 'The old and the new one.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.sessions.changePassword(signedIn(principal), input),
    }),
  }),
}));
