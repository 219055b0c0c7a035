import type { User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { edge } from '../../graphql/connection.ts';
import { globalId } from '../../graphql/id-input.ts';
import { RoleType } from './permissions.graphql.ts';
import type { UserKey } from './user-key.ts';
import { allUserOrders } from './user-lists.ts';
import { User, UserEdge, userId, userIdDescription } from './users.graphql.ts';

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const UserReferenceInput = builder.inputType('UserReferenceInput', {
  isOneOf: true,
  description: 'Identifies a user by exactly one of its fields.',
  fields: (t) => ({
    id: t.id({ description: `The user, ${userIdDescription}.` }),
    email: t.string({ description: 'The e-mail address of the user, in any letter case.' }),
  }),
});

const userReference = (t: InputFields) => ({
  user: t.field({ type: UserReferenceInput, required: true, description: 'The person to change.' }),
});

/** Returns the key of the user that a request identifies. GraphQL has already checked that exactly one field is set. */
const keyOf = ({ user }: { user: { id?: string | null; email?: string | null } }): UserKey =>
  user.id != null ? userId(user.id, ['input', 'user', 'id']) : { email: user.email ?? '' };

const ActivateUserInput = builder.inputType('ActivateUserInput', {
  description: 'Input for the mutation `activateUser`.',
  fields: userReference,
});

const DeactivateUserInput = builder.inputType('DeactivateUserInput', {
  description: 'Input for the mutation `deactivateUser`.',
  fields: userReference,
});

const DeleteUserInput = builder.inputType('DeleteUserInput', {
  description: 'Input for the mutation `deleteUser`.',
  fields: (t) => ({
    ...userReference(t),
    evenActive: t.boolean({
      description: 'If true, also deletes a person who was not deactivated first. Defaults to false.',
    }),
  }),
});

const keepTokensDescription =
  'If true, the person’s personal access tokens and project tokens keep working. They are revoked by default.';

const ResetUserPasswordInput = builder.inputType('ResetUserPasswordInput', {
  description: 'Input for the mutation `resetUserPassword`.',
  fields: (t) => ({
    ...userReference(t),
    keepTokens: t.boolean({ description: keepTokensDescription }),
  }),
});

const ChangeUserRoleInput = builder.inputType('ChangeUserRoleInput', {
  description: 'Input for the mutation `changeUserRole`.',
  fields: (t) => ({
    ...userReference(t),
    role: t.field({
      type: RoleType,
      required: true,
      description: 'The new role, which applies from the next request.',
    }),
  }),
});

const usernameRule = '2 to 64 of the characters a-z, 0-9 and . _ @ -, the first of them a letter';

const remarks = (t: InputFields) => ({
  dailyMessageLimit: t.int({
    description: 'The number of messages that the person can send in any 24 hours, 1 to 1,000,000.',
  }),
  bio: t.string({ description: 'What the person states about themselves; at most 1000 characters.' }),
});

const clearUser = clearField('ClearableUserField', {
  dailyMessageLimit: 'Lifts the daily message limit.',
});

const UpdateUserInput = builder.inputType('UpdateUserInput', {
  description: 'Input for `updateUser`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...userReference(t),
    username: t.string({
      description: `A new name to log in with: ${usernameRule}. The address of a person who is known by a username alone changes with it.`,
    }),
    name: t.string({ description: 'A new display name; at most 100 characters.' }),
    password: t.string({
      description:
        'A new password of 8 to 64 characters. Ends the login sessions of the person and revokes their tokens.',
    }),
    keepTokens: t.boolean({ description: `With \`password\`: ${keepTokensDescription}` }),
    role: t.field({ type: RoleType, description: 'A new role, which applies from the next request.' }),
    active: t.boolean({
      description: 'If false, deactivates the person at once, with their sessions and tokens; if true, activates them.',
    }),
    ...remarks(t),
    clear: clearUser(t),
  }),
});

const CreateUserInput = builder.inputType('CreateUserInput', {
  description: 'Input for the mutation `createUser`.',
  fields: (t) => ({
    email: t.string({
      description:
        'The e-mail address, stored in lower case; at most 254 characters. Required without a username; a person with a username alone gets an address that no mail reaches.',
    }),
    password: t.string({ required: true, description: 'The first password: 8 to 64 characters.' }),
    role: t.field({ type: RoleType, required: true, description: 'The role of the person.' }),
    name: t.string({
      description: 'The display name; at most 100 characters. Defaults to the local part of the address.',
    }),
    username: t.string({ description: `A name to log in with, in addition to the address: ${usernameRule}.` }),
    ...remarks(t),
  }),
});

/** Returns the payload type of a mutation that changes a user. */
export const userPayload = (mutation: string) =>
  builder.objectRef<{ user: UserRow }>(`${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Payload`).implement({
    description: `Result of the mutation \`${mutation}\`.`,
    fields: (t) => ({
      user: t.field({ type: User, description: 'The user after the change.', resolve: ({ user }) => user }),
    }),
  });

/** Returns the edge of a new user in `allUsers`. */
export const newUserEdge = (user: UserRow) => edge(allUserOrders.default, user);

const CreateUserPayload = builder.objectRef<UserRow>('CreateUserPayload').implement({
  description: 'Result of the mutation `createUser`.',
  fields: (t) => ({
    user: t.field({ type: User, description: 'The user that was created.', resolve: (user) => user }),
    userEdge: t.field({
      type: UserEdge,
      description: 'The new user as an edge of `allUsers` in its default order.',
      resolve: newUserEdge,
    }),
  }),
});

const DeleteUserPayload = builder.objectRef<{ userId: string }>('DeleteUserPayload').implement({
  description: 'Result of the mutation `deleteUser`.',
  fields: (t) => ({
    deletedUserId: t.id({
      description: 'The global ID of the deleted user.',
      resolve: ({ userId }) => globalId('User', userId),
    }),
  }),
});

const ResetUserPasswordPayload = builder
  .objectRef<{ user: UserRow; password: string }>('ResetUserPasswordPayload')
  .implement({
    description: 'Result of the mutation `resetUserPassword`.',
    fields: (t) => ({
      user: t.field({ type: User, description: 'The person with the new password.', resolve: ({ user }) => user }),
      newPassword: t.exposeString('password', {
        description: 'The new password. It is returned only once and stored only as a hash.',
      }),
    }),
  });

builder.mutationFields((t) => ({
  createUser: t.withAuth({ permission: 'manage:users' }).field({
    type: CreateUserPayload,
    description:
      'Creates an account for a person, independently of the registration mode. FORBIDDEN for a role with more permissions than the caller.',
    args: { input: t.arg({ type: CreateUserInput, required: true, description: 'The account to create.' }) },
    resolve: (_root, { input }, { principal, services }) => services.accounts.create(principal, input),
  }),
  updateUser: t.withAuth({ permission: 'manage:users' }).field({
    type: userPayload('updateUser'),
    description:
      'Changes a person; either all changes are made or none. FORBIDDEN for a person with more permissions than the caller.',
    args: { input: t.arg({ type: UpdateUserInput, required: true, description: 'The person and the changes.' }) },
    resolve: async (_root, { input: { user, ...changes } }, { principal, services }) => ({
      user: await services.accounts.update(principal, keyOf({ user }), changes),
    }),
  }),
  activateUser: t.withAuth({ permission: 'manage:users' }).field({
    type: userPayload('activateUser'),
    description: 'Activates a person who was deactivated.',
    args: { input: t.arg({ type: ActivateUserInput, required: true, description: 'The person to activate.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      user: await services.accounts.activate(principal, keyOf(input)),
    }),
  }),
  deactivateUser: t.withAuth({ permission: 'manage:users' }).field({
    type: userPayload('deactivateUser'),
    description:
      'Deactivates a person at once: ends their sessions and streams, and suspends their personal access tokens.',
    args: { input: t.arg({ type: DeactivateUserInput, required: true, description: 'The person to deactivate.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      user: await services.accounts.deactivate(principal, keyOf(input)),
    }),
  }),
  deleteUser: t.withAuth({ permission: 'manage:users' }).field({
    type: DeleteUserPayload,
    description:
      'Deletes a deactivated person with everything that belongs to them alone. CONFLICT for the caller, for the last administrator and, without `evenActive`, for an active person.',
    args: { input: t.arg({ type: DeleteUserInput, required: true, description: 'The person to delete.' }) },
    resolve: (_root, { input }, { principal, services }) => services.accounts.delete(principal, keyOf(input), input),
  }),
  changeUserRole: t.withAuth({ permission: 'manage:users' }).field({
    type: userPayload('changeUserRole'),
    description:
      'Changes the role of a person. Their personal access tokens follow it; a demotion ends their open streams.',
    args: { input: t.arg({ type: ChangeUserRoleInput, required: true, description: 'The person and the role.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      user: await services.accounts.changeRole(principal, keyOf(input), input.role),
    }),
  }),
  resetUserPassword: t.withAuth({ permission: 'manage:users' }).field({
    type: ResetUserPasswordPayload,
    description: 'Sets a new random password for a person, ends their login sessions and revokes their tokens.',
    args: {
      input: t.arg({
        type: ResetUserPasswordInput,
        required: true,
        description: 'The person whose password is reset.',
      }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.accounts.resetPassword(principal, keyOf(input), input),
  }),
}));
