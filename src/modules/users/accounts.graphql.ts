import { signedIn } from '../../authz/principal.ts';
import type { User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { accountOrder, invitationOrder } from './accounts.service.ts';
import { AccountTypeType, RoleType } from './users.graphql.ts';

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

export const Account = builder.prismaObject('User', {
  variant: 'Account',
  description: 'A person or a service account, as administrators and they themselves see it.',
  fields: (t) => ({
    id: t.expose('id', { type: 'UUID', description: 'The user’s id.' }),
    databaseId: t.exposeInt('databaseId', { description: 'The integer id.' }),
    email: t.exposeString('email', { description: 'The address.' }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    username: t.exposeString('username', {
      nullable: true,
      description: 'A name to log in with beside the address; null: none.',
    }),
    role: t.expose('role', { type: RoleType, description: 'What the user may do at most.' }),
    accountType: t.expose('accountType', { type: AccountTypeType, description: 'Person or service account.' }),
    active: t.exposeBoolean('active', { description: 'Whether the user can come in.' }),
    dailyMessageLimit: t.exposeInt('dailyMessageLimit', {
      nullable: true,
      description: 'How many messages the user may send in any 24 hours; null: any number.',
    }),
    bio: t.exposeString('bio', { description: 'What the person says of themselves.' }),
    passwordConfigured: t.boolean({
      description: 'Whether the user can log in with a password.',
      resolve: ({ passwordHash }) => passwordHash !== null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the account was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
    lastLoginAt: t.expose('lastLoginAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the user last logged in; null: never.',
    }),
  }),
});

const Invitation = builder.prismaObject('Invitation', {
  description: 'An address that may register while registration is by invitation.',
  fields: (t) => ({
    email: t.exposeString('email', { description: 'The address.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was invited.' }),
  }),
});

const AccountConnection = builder.connectionObject(
  { type: Account, name: 'AccountConnection', description: 'A page of accounts.' },
  { name: 'AccountEdge', description: 'An account and its place in the list.' },
);

const InvitationConnection = builder.connectionObject(
  { type: Invitation, name: 'InvitationConnection', description: 'A page of invitations.' },
  { name: 'InvitationEdge', description: 'An invitation and its place in the list.' },
);

const AccountFilter = builder.inputType('AccountFilter', {
  description: 'Which accounts are listed. What is given must all be true.',
  fields: (t) => ({
    query: t.string({ description: 'Only those whose name or address contains it, in any case.' }),
    active: t.boolean({ description: 'Only those who can come in, or only those who cannot.' }),
    roles: t.field({ type: [RoleType], description: 'Only those with one of these roles.' }),
    accountTypes: t.field({ type: [AccountTypeType], description: 'Only these types; people unless given.' }),
  }),
});

const accountReference = (t: InputFields) => ({
  userId: t.field({
    type: 'UUID',
    description: 'The user’s id. Exactly one of `userId`, `databaseId` and `email` is given.',
  }),
  databaseId: t.int({ description: 'The user’s integer id.' }),
  email: t.string({ description: 'The address, in any case.' }),
});

const InviteUsersInput = builder.inputType('InviteUsersInput', {
  description: 'Whom to invite.',
  fields: (t) => ({
    emails: t.stringList({ required: true, description: '1 to 1000 addresses. One that is none refuses them all.' }),
  }),
});

const RemoveInvitationInput = builder.inputType('RemoveInvitationInput', {
  description: 'Which invitation is taken back.',
  fields: (t) => ({ email: t.string({ required: true, description: 'The address, in any case.' }) }),
});

const ActivateUserInput = builder.inputType('ActivateUserInput', {
  description: 'Who is let in again.',
  fields: accountReference,
});
const DeactivateUserInput = builder.inputType('DeactivateUserInput', {
  description: 'Who is shut out.',
  fields: accountReference,
});
const DeleteUserInput = builder.inputType('DeleteUserInput', {
  description: 'Who is deleted, with everything that is theirs alone.',
  fields: (t) => ({
    ...accountReference(t),
    evenActive: t.boolean({
      description: 'Whether somebody who was not deactivated is deleted too; false unless given.',
    }),
  }),
});
const ResetUserPasswordInput = builder.inputType('ResetUserPasswordInput', {
  description: 'Who gets a new password.',
  fields: accountReference,
});

const ChangeUserRoleInput = builder.inputType('ChangeUserRoleInput', {
  description: 'Who gets which role.',
  fields: (t) => ({
    ...accountReference(t),
    role: t.field({ type: RoleType, required: true, description: 'The role, from the next request on.' }),
  }),
});

const remarks = (t: InputFields) => ({
  dailyMessageLimit: t.int({
    description: 'Maximum number of messages that the person may send in any 24 hours, 1 to 1,000,000.',
  }),
  bio: t.string({ description: 'What the person says of themselves, at most 1000 characters.' }),
});

const clearUser = clearField('ClearableUserField', {
  dailyMessageLimit: 'Lifts the daily message limit.',
});

const UpdateUserInput = builder.inputType('UpdateUserInput', {
  description: 'Input for `updateUser`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...accountReference(t),
    username: t.string({
      description:
        'Another name to log in with: 2 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter. The made-up address of who has no other goes with it.',
    }),
    name: t.string({ description: 'Another name to show, at most 100 characters.' }),
    password: t.string({ description: 'Another password, 8 to 64 characters. Login sessions end.' }),
    role: t.field({ type: RoleType, description: 'Another role, from the next request on.' }),
    active: t.boolean({ description: 'Whether the person can come in. Who no longer can is shut out at once.' }),
    ...remarks(t),
    clear: clearUser(t),
  }),
});

const CreateUserInput = builder.inputType('CreateUserInput', {
  description: 'The account to make for a person.',
  fields: (t) => ({
    email: t.string({
      description:
        'The address; kept in lower case. At most 254 characters. Who has none has a username, and an address that no mail reaches.',
    }),
    password: t.string({ required: true, description: 'The first password: 8 to 64 characters.' }),
    role: t.field({ type: RoleType, required: true, description: 'What the person may do at most.' }),
    name: t.string({ description: 'The name to show, at most 100 characters; made from the address unless given.' }),
    username: t.string({
      description:
        'A name to log in with beside the address: 2 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter.',
    }),
    ...remarks(t),
  }),
});

const InviteUsersPayload = builder.objectRef<{ count: number }>('InviteUsersPayload').implement({
  description: 'What `inviteUsers` did.',
  fields: (t) => ({
    invitedCount: t.exposeInt('count', {
      description: 'How many are newly invited. Who is registered or invited already does not count.',
    }),
  }),
});

const RemoveInvitationPayload = builder
  .objectRef<{ email: string; remaining: number }>('RemoveInvitationPayload')
  .implement({
    description: 'What `removeInvitation` took back.',
    fields: (t) => ({
      removedEmail: t.exposeString('email', { description: 'The address.' }),
      remainingCount: t.exposeInt('remaining', { description: 'How many invitations are left.' }),
    }),
  });

/** A payload that shows the account as it is after a mutation. */
const accountPayload = (name: string, mutation: string) =>
  builder.objectRef<{ account: UserRow }>(name).implement({
    description: `What \`${mutation}\` changed.`,
    fields: (t) => ({
      account: t.field({ type: Account, description: 'The account as it is now.', resolve: ({ account }) => account }),
    }),
  });

const ActivateUserPayload = accountPayload('ActivateUserPayload', 'activateUser');
const DeactivateUserPayload = accountPayload('DeactivateUserPayload', 'deactivateUser');
const ChangeUserRolePayload = accountPayload('ChangeUserRolePayload', 'changeUserRole');
const CreateUserPayload = accountPayload('CreateUserPayload', 'createUser');
const UpdateUserPayload = accountPayload('UpdateUserPayload', 'updateUser');

const DeleteUserPayload = builder.objectRef<{ userId: string }>('DeleteUserPayload').implement({
  description: 'What `deleteUser` deleted.',
  fields: (t) => ({ deletedUserId: t.expose('userId', { type: 'UUID', description: 'The id that the user had.' }) }),
});

const ResetUserPasswordPayload = builder
  .objectRef<{ user: UserRow; password: string }>('ResetUserPasswordPayload')
  .implement({
    description: 'A new password, and whose it is.',
    fields: (t) => ({
      account: t.field({ type: Account, description: 'The account.', resolve: ({ user }) => user }),
      newPassword: t.exposeString('password', {
        description: 'The password. It is shown this once and stored nowhere.',
      }),
    }),
  });

builder.queryFields((t) => ({
  accounts: t.field({
    type: AccountConnection,
    authScopes: { permission: 'manage:users' },
    description: 'All accounts, oldest first.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: AccountFilter, description: 'Which ones; all people unless given.' }),
    },
    resolve: async (_root, { filter, ...args }, context, info) => {
      const { accounts } = context.services;
      const page = await accounts.listAccounts(filter ?? {}, args, context.pageLimit, nodeQuery(context, info));
      return connection(accountOrder, page, args, () => accounts.countAccounts(filter ?? {}));
    },
  }),
  invitations: t.field({
    type: InvitationConnection,
    authScopes: { permission: 'manage:users' },
    description: 'The addresses that are invited and have not registered, oldest invitation first.',
    args: {
      ...pageArgs(t.arg),
      query: t.arg.string({ description: 'Only those whose address contains it, in any case.' }),
    },
    resolve: async (_root, { query, ...args }, context) => {
      const { accounts } = context.services;
      const page = await accounts.listInvitations(query, args, context.pageLimit);
      return connection(invitationOrder, page, args, () => accounts.countInvitations(query));
    },
  }),
}));

builder.mutationFields((t) => ({
  inviteUsers: t.field({
    type: InviteUsersPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Invites addresses to register.',
    args: { input: t.arg({ type: InviteUsersInput, required: true, description: 'The addresses.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      count: await services.accounts.invite(signedIn(principal), input),
    }),
  }),
  removeInvitation: t.field({
    type: RemoveInvitationPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Takes an invitation back.',
    args: { input: t.arg({ type: RemoveInvitationInput, required: true, description: 'The invitation.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.accounts.removeInvitation(signedIn(principal), input),
  }),
  createUser: t.field({
    type: CreateUserPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Makes an account for a person, whoever may register. It never holds more than its maker.',
    args: { input: t.arg({ type: CreateUserInput, required: true, description: 'The account to make.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.accounts.create(signedIn(principal), input),
    }),
  }),
  updateUser: t.field({
    type: UpdateUserPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Changes a person, all of it or nothing. Nobody makes or changes who holds more than they do.',
    args: { input: t.arg({ type: UpdateUserInput, required: true, description: 'The person and the changes.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.accounts.update(signedIn(principal), input),
    }),
  }),
  activateUser: t.field({
    type: ActivateUserPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Lets a person in again who was deactivated.',
    args: { input: t.arg({ type: ActivateUserInput, required: true, description: 'The person.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.accounts.activate(signedIn(principal), input),
    }),
  }),
  deactivateUser: t.field({
    type: DeactivateUserPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Shuts a person out at once: sessions and streams end, personal access tokens rest.',
    args: { input: t.arg({ type: DeactivateUserInput, required: true, description: 'The person.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.accounts.deactivate(signedIn(principal), input),
    }),
  }),
  deleteUser: t.field({
    type: DeleteUserPayload,
    authScopes: { permission: 'manage:users' },
    description:
      'Deletes a person with everything that is theirs alone: one who was deactivated, or `evenActive`. Not oneself, nor the last admin.',
    args: { input: t.arg({ type: DeleteUserInput, required: true, description: 'The person.' }) },
    resolve: (_root, { input }, { principal, services }) => services.accounts.delete(signedIn(principal), input),
  }),
  changeUserRole: t.field({
    type: ChangeUserRolePayload,
    authScopes: { permission: 'manage:users' },
    description:
      'Gives a person another role. Personal access tokens shrink and grow with it; a demotion ends streams.',
    args: { input: t.arg({ type: ChangeUserRoleInput, required: true, description: 'The person and the role.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      account: await services.accounts.changeRole(signedIn(principal), input),
    }),
  }),
  resetUserPassword: t.field({
    type: ResetUserPasswordPayload,
    authScopes: { permission: 'manage:users' },
    description: 'Gives a person a new random password and ends their login sessions.',
    args: { input: t.arg({ type: ResetUserPasswordInput, required: true, description: 'The person.' }) },
    resolve: (_root, { input }, { principal, services }) => services.accounts.resetPassword(signedIn(principal), input),
  }),
}));
