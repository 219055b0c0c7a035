import { type GraphQLAnswer, type Kit, withScopes } from '../kit.ts';

/** Operations of administrators and owners on keys in GraphQL; with the admin key by default. */
export const updateKey = (kit: Kit, input: object, key?: string): Promise<GraphQLAnswer> =>
  kit.gql(
    'mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }',
    { input: withScopes(input) },
    key,
  );

/** Returns the new secret. */
export const regenerateKey = async (kit: Kit, input: object, key?: string): Promise<string> =>
  (
    await kit.gql(
      'mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret } }',
      { input },
      key,
    )
  ).data.regenerateApiKey.secret;

export const deleteKey = (kit: Kit, databaseId: number): Promise<GraphQLAnswer> =>
  kit.gql('mutation ($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }', {
    id: databaseId,
  });

export const revokePat = (kit: Kit, databaseId: number, key: string): Promise<GraphQLAnswer> =>
  kit.gql(
    'mutation ($id: ID!) { revokePersonalAccessToken(input: { id: $id }) { personalAccessToken { databaseId } } }',
    { id: databaseId },
    key,
  );
