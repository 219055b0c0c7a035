import { afterAll, beforeAll, expect } from 'vitest';
import { type GraphQLAnswer, type Kit, type RoleName, startKit, withScopes } from '../../../test/kit.ts';
import { permissions, rolePermissions } from '../../authz/permissions.ts';
import { permissionNames } from '../../rest/permission-names.ts';

export let kit: Kit;

/** Starts a server for a test file about keys and tokens. */
export function useTokenKit(): void {
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit?.close());
}

export const day = 24 * 3600 * 1000;
export const roleNames: RoleName[] = ['LIMITED', 'BASIC', 'ADMIN'];
export const restRole = (role: RoleName) => role.toLowerCase();
export const groupsOf = { LIMITED: [], BASIC: [{ id: 2, name: 'Basic' }], ADMIN: [{ id: 1, name: 'Admin' }] };
export const rightsOf = (role: RoleName) => permissions.filter((name) => rolePermissions(role).has(name));

const keyFields = `databaseId name display role user { databaseId } scopes createdAt expiresAt disabled lastUsedAt lastUsedAddress
  previousSecretExpiresAt createdBy { id: databaseId name accountType }`;
const patFields = 'databaseId name display scopes createdAt expiresAt lastUsedAt lastUsedAddress';

export const createKey = (input: object, key?: string | null, on = kit) =>
  on.gql(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
export const updateKey = (input: object, key?: string | null, on = kit) =>
  on.gql(
    `mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
export const regenerateKey = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret apiKey { ${keyFields} } } }`,
    { input: withScopes(input) },
    key,
  );
export const deleteKey = (input: object, key?: string | null, on = kit) =>
  on.gql('mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedApiKeyId } }', { input }, key);
export const createPat = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: CreatePersonalAccessTokenInput!) {
      createPersonalAccessToken(input: $input) { secret personalAccessToken { ${patFields} } }
    }`,
    { input: withScopes(input) },
    key,
  );
export const revokePat = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: RevokePersonalAccessTokenInput!) {
      revokePersonalAccessToken(input: $input) { personalAccessToken { databaseId } }
    }`,
    { input: withScopes(input) },
    key,
  );
interface ListedKey extends Record<string, unknown> {
  id: string;
  databaseId: number;
}
/** Returns all keys, page by page. */
export async function listKeys(key?: string | null): Promise<{ nodes: ListedKey[]; totalCount: number }> {
  const nodes: ListedKey[] = [];
  for (let after: string | null = null; ; ) {
    const { data } = await kit.gql(
      `query ($after: String) { apiKeys(first: 50, after: $after) {
        totalCount nodes { id ${keyFields} } pageInfo { hasNextPage endCursor }
      } }`,
      { after },
      key,
    );
    nodes.push(...data.apiKeys.nodes);
    if (!data.apiKeys.pageInfo.hasNextPage) return { nodes, totalCount: data.apiKeys.totalCount };
    after = data.apiKeys.pageInfo.endCursor;
  }
}
/** Returns a key as the list contains it. */
export async function listedKey(id: number): Promise<ListedKey> {
  const found = (await listKeys()).nodes.find((node) => node.databaseId === id);
  if (!found) throw new Error(`the key ${id} is not listed`);
  return found;
}
export const listPats = async (key: string) =>
  (await kit.gql(`{ personalAccessTokens(first: 100) { totalCount nodes { ${patFields} } } }`, {}, key)).data
    .personalAccessTokens;

/** Returns the viewer of a secret, or null when it does not work. */
export async function viewer(secret: string, on = kit) {
  const query = '{ viewer { role permissions token { scopes expiresAt } user { id: databaseId name email } } }';
  const { viewer: found } = (await on.gql(query, {}, secret)).data ?? {};
  if (!found) return null;
  const { user, permissions: held, token, ...rest } = found;
  const scopes = token.scopes && permissionNames(token.scopes);
  return { ...rest, ...user, permissions: permissionNames(held), token: { ...token, scopes } };
}
export const works = async (secret: string): Promise<boolean> => {
  const [graph, rest] = [await viewer(secret), await kit.rest('GET', '/api/me', { key: secret })];
  expect(rest.status).toBe(graph ? 200 : 403);
  return graph !== null;
};

/** Expects that an operation is denied and changes no data. */
export async function unchanged<T>(attempt: () => Promise<T>, on = kit): Promise<T> {
  const before = await on.fingerprint();
  const answer = await attempt();
  expect(await on.fingerprint()).toBe(before);
  return answer;
}
export const codeOf = ({ data, errors }: GraphQLAnswer): unknown => {
  expect(data === null || Object.values(data).every((value) => value === null)).toBe(true);
  return errors[0]?.extensions.code;
};
export const lacking = (permission: string) => ({
  code: 'FORBIDDEN',
  reason: 'MISSING_PERMISSION',
  requiredPermissions: [permission],
});
export const insufficient = {
  error_code: 'INSUFFICIENT_PERMISSIONS',
  detail: 'You do not have the required permissions for this action.',
};
