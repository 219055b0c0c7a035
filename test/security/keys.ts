import type { GraphQLAnswer, Kit } from '../kit.ts';

/** What administrators and owners do to keys, through the graph; with the admin key unless another is given. */
export const updateKey = (kit: Kit, input: object, key?: string): Promise<GraphQLAnswer> =>
  kit.gql(
    'mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }',
    { input },
    key,
  );

/** The new secret. */
export const regenerateKey = async (kit: Kit, input: object, key?: string): Promise<string> =>
  (
    await kit.gql(
      'mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret } }',
      { input },
      key,
    )
  ).data.regenerateApiKey.secret;

export const deleteKey = (kit: Kit, databaseId: number): Promise<GraphQLAnswer> =>
  kit.gql('mutation ($id: Int!) { deleteApiKey(input: { databaseId: $id }) { deletedDatabaseId } }', {
    id: databaseId,
  });

export const revokePat = (kit: Kit, databaseId: number, key: string): Promise<GraphQLAnswer> =>
  kit.gql(
    'mutation ($id: Int!) { revokePersonalAccessToken(input: { databaseId: $id }) { personalAccessToken { databaseId } } }',
    { id: databaseId },
    key,
  );
