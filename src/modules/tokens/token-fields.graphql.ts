import { isPermission, type Permission } from '../../authz/permissions.ts';
import type { Token } from '../../generated/prisma/client.ts';
import type { builder } from '../../graphql/builder.ts';
import { integerId } from '../../graphql/id-input.ts';

export const scopesDescription =
  'The permissions that the credential is restricted to; null if it holds everything that its role allows.';

export const newScopesDescription =
  'The permissions to restrict the credential to, all of which the caller must hold. An empty list is rejected. Defaults to everything that the role allows.';

export const secretDescription = 'The secret. It is returned only once and stored only as a hash.';

export const displayDescription =
  'Display form of the secret, for recognition only: the first characters, asterisks and the last four characters.';

export const expiresAtDescription = 'The time at which the credential stops working; null for never.';
export const lastUsedAtDescription = 'The time of the last use, to the minute; null if it was never used.';
export const lastUsedAddressDescription = 'The network address of the client at the last use; null if it is unknown.';

/** Returns the scopes of a token, without those that this server does not know, which grant nothing. */
export const scopesOf = ({ allScopes, scopes }: Token): Permission[] | null =>
  allScopes ? null : scopes.filter(isPermission);

export type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

export const expiryDescription =
  'The time at which the credential expires, at most 10 years ahead, and no later than the maximum lifetime in `preferences` and the expiry of the credential that the caller uses.';

export const defaultExpiryDescription = 'Defaults to the default lifetime in `preferences`.';

export const neverExpiresDescription =
  'If true, the credential does not expire. Rejected where a maximum lifetime is set and for a caller whose own credential expires.';

export const idField = (t: InputFields) => ({
  id: t.id({ required: true, description: 'The credential, by its global ID or its integer `databaseId`.' }),
});

/** Returns the integer ID of the credential that an input names. Throws BAD_USER_INPUT. */
export const idOf = (input: { id: string }, typename: 'ApiKey' | 'ProjectToken' | 'PersonalAccessToken'): number =>
  integerId(input.id, typename, ['input', 'id']);

export const orderFields = {
  CREATED_AT: 'The time at which the credential was created.',
  EXPIRES_AT: 'The time at which the credential stops working.',
  LAST_USED_AT: 'The time of its last use.',
  NAME: 'The name of the credential.',
};
