import { signedIn, type Viewer } from '../../authz/principal.ts';
import { seesProject } from '../../authz/visible.ts';
import type { Project as ProjectRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { integerId } from '../../graphql/id-input.ts';
import { PermissionType, RoleType } from '../users/permissions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import type { ApiKeyRow } from './api-keys.ts';
import type { RegeneratedKey } from './regenerate-key.ts';
import {
  defaultExpiryDescription,
  displayDescription,
  expiresAtDescription,
  expiryDescription,
  type InputFields,
  idField,
  lastUsedAddressDescription,
  lastUsedAtDescription,
  neverExpiresDescription,
  newScopesDescription,
  scopesDescription,
  scopesOf,
} from './token-fields.graphql.ts';

export const ServiceAccountKey = builder.prismaInterface('Token', {
  variant: 'ServiceAccountKey',
  description: 'A key that acts as a service account, a user of its own.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.exposeString('name', { nullable: true, description: 'The name that its creator gave it.' }),
    display: t.exposeString('display', { description: displayDescription }),
    role: t.field({
      type: RoleType,
      description: 'The role of its service account.',
      select: { user: { select: { role: true } } },
      resolve: ({ user }) => user.role,
    }),
    user: t.relation('user', { type: User, description: 'The service account that the key acts as.' }),
    scopes: t.field({ type: [PermissionType], nullable: true, description: scopesDescription, resolve: scopesOf }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the key was created.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: expiresAtDescription }),
    disabled: t.boolean({
      description: 'Whether the key is disabled. A disabled key can be enabled again.',
      resolve: (key) => key.disabledAt !== null,
    }),
    lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true, description: lastUsedAtDescription }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: lastUsedAddressDescription }),
    previousSecretExpiresAt: t.expose('previousExpiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time until which the secret before the last regeneration still works; null if it does not.',
    }),
    createdBy: t.relation('creator', {
      type: User,
      nullable: true,
      description: 'The creator of the key; null for a deleted user.',
    }),
  }),
});

/** Returns the project of a key if the caller can read it, otherwise null. */
export const readableProject = (viewer: Viewer, project: ProjectRow | null): ProjectRow | null =>
  project && seesProject(signedIn(viewer), project) ? project : null;

/** The input fields of a new key of a service account. */
export const newKeyFields = (t: InputFields) => ({
  name: t.string({ description: 'A name by which people recognize the key; at most 100 characters.' }),
  role: t.field({ type: RoleType, description: 'The role of the service account. Defaults to `BASIC`.' }),
  scopes: t.field({ type: [PermissionType], description: newScopesDescription }),
  expiresAt: t.field({ type: 'DateTime', description: `${expiryDescription} ${defaultExpiryDescription}` }),
  neverExpires: t.boolean({ description: neverExpiresDescription }),
});

const clearApiKey = clearField('ClearableApiKeyField', { name: 'Leaves the key without a name.' });

export const updateKeyFields = (t: InputFields) => ({
  ...idField(t),
  name: t.string({ description: 'The new name; at most 100 characters.' }),
  role: t.field({ type: RoleType, description: 'The new role of the service account.' }),
  scopes: t.field({
    type: [PermissionType],
    description:
      'The permissions that the key is restricted to from now on, all of which the caller must hold. An empty list is rejected.',
  }),
  allScopes: t.boolean({
    description:
      'If true, lifts the scopes: the key holds everything that its role allows. Cannot be combined with `scopes`.',
  }),
  expiresAt: t.field({ type: 'DateTime', description: expiryDescription }),
  neverExpires: t.boolean({
    description: `${neverExpiresDescription} Cannot be combined with \`expiresAt\`.`,
  }),
  disabled: t.boolean({ description: 'If true, disables the key; if false, enables it again.' }),
  clear: clearApiKey(t),
});

export const unchanged = 'A field that is null or absent stays unchanged.';

export const regenerateKeyFields = (t: InputFields) => ({
  ...idField(t),
  overlapMinutes: t.int({
    description:
      'The number of minutes for which the old secret still works, at most 10080. It cannot create or change credentials. Defaults to 0.',
  }),
  keepDerivedCredentials: t.boolean({
    description:
      'If true, the tokens, keys, invite codes and invitations that the key created so far keep working. They are revoked by default.',
  }),
});

export interface KeyWithSecret {
  apiKey: ApiKeyRow;
  secret: string;
}

export const revokedCredentialCount = {
  description: 'The number of tokens and keys that the old secret had created and that the regeneration revoked.',
  resolve: ({ revokedCount }: RegeneratedKey) => revokedCount,
};

export const tokenFilterFields = (t: InputFields) => ({
  search: t.string({ description: 'Text that the name contains, ignoring case.' }),
  disabled: t.boolean({ description: 'Returns only disabled keys if true, only enabled ones if false.' }),
  projectId: t.id({
    description: 'Returns only keys that are confined to this project, by its global ID or its integer `databaseId`.',
  }),
});

/** Returns a filter with the database ID of the project. Throws BAD_USER_INPUT. */
export const readFilter = <Filter extends { projectId?: string | null | undefined }>(
  filter: Filter | null | undefined,
) => ({
  ...filter,
  projectId: filter?.projectId == null ? null : integerId(filter.projectId, 'Project', ['filter', 'projectId']),
});

/**
 * Returns the input of a new key with the database ID of its project, and without null where only an absent value means
 * the default. Throws BAD_USER_INPUT.
 */
export const newKey = <Input extends { role?: unknown; kind?: unknown; projectId?: string | null | undefined }>({
  role,
  kind,
  projectId,
  ...rest
}: Input) => ({
  ...rest,
  ...(role != null && { role: role as NonNullable<Input['role']> }),
  ...(kind != null && { kind: kind as NonNullable<Input['kind']> }),
  ...(projectId != null && { projectId: integerId(projectId, 'Project', ['input', 'projectId']) }),
});
