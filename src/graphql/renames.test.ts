import { isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../test/kit.ts';
import { formerTexts, renames } from './renames.ts';
import { schema } from './schema.ts';

/** Returns whether a coordinate exists: a type, a field or an argument. */
function exists(coordinate: string): boolean {
  const [, typeName = '', fieldName, argument] = /^(\w+)(?:\.(\w+)(?:\((\w+):\))?)?$/.exec(coordinate) ?? [];
  const type = schema.getType(typeName);
  if (!type || fieldName === undefined) return type !== undefined;
  if (isInputObjectType(type)) return argument === undefined && fieldName in type.getFields();
  if (!isObjectType(type) && !isInterfaceType(type)) return false;
  const field = type.getFields()[fieldName];
  return field !== undefined && (argument === undefined || field.args.some(({ name }) => name === argument));
}

describe('the table of renamed names', () => {
  it.each(Object.entries(renames))('has only new names that exist for %s, which does not', (former, names) => {
    expect([former, exists(former)]).toEqual([former, false]);
    expect(names.map((name) => [name, exists(name)])).toEqual(names.map((name) => [name, true]));
  });

  it('contains no field or argument of a type or field that no longer exists', () => {
    const parents = Object.keys(renames).flatMap((former) => /^(\w+)\./.exec(former)?.[1] ?? []);
    expect(parents.filter((parent) => !exists(parent))).toEqual([]);
    const fields = Object.keys(renames).flatMap((former) => /^(.+)\(/.exec(former)?.[1] ?? []);
    expect(fields.filter((field) => !exists(field))).toEqual([]);
  });

  it('names enums that exist', () => {
    expect(formerTexts.map((name) => isEnumType(schema.getType(name)))).toEqual(formerTexts.map(() => true));
  });
});

describe('a query with a name of an earlier version', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit?.close());

  it.each([
    [
      'a root field',
      '{ accounts { totalCount } }',
      'Cannot query field "accounts" on type "Query". It was renamed to "allUsers".',
    ],
    [
      'a field',
      '{ apiKeys(first: 1) { nodes { creator { id } } } }',
      'Cannot query field "creator" on type "ApiKey". It was renamed to "createdBy".',
    ],
    [
      'a field that moved to another type',
      '{ viewer { email } }',
      'Cannot query field "email" on type "Viewer". It was renamed to "User.email".',
    ],
    [
      'an argument',
      '{ project(databaseId: 1) { name } }',
      'Unknown argument "databaseId" on field "Query.project". It was renamed to "id".',
    ],
    [
      'an argument that moved to an input',
      '{ chatSessions(outsideProjects: true) { totalCount } }',
      'Unknown argument "outsideProjects" on field "Query.chatSessions". It was renamed to "ChatSessionFilter.outsideProjects".',
    ],
    [
      'an argument that is a field of its own now',
      '{ agent(slug: "handbook") { name } }',
      'Unknown argument "slug" on field "Query.agent". It was renamed to "Query.agentBySlug(slug:)".',
    ],
    [
      'a type condition',
      '{ node(id: "QWdlbnQ6MQ==") { ... on Account { id } } }',
      'Unknown type "Account". It was renamed to "User".',
    ],
    [
      'the type of a variable with several successors',
      'query ($input: LinkFileInput!) { viewer { role } }',
      'Unknown type "LinkFileInput". It was renamed to "LinkFileToProjectInput" or "UnlinkFileFromProjectInput".',
    ],
    [
      'an input field',
      'mutation { deleteApiKey(input: { databaseId: 1 }) { deletedApiKeyId } }',
      'Field "databaseId" is not defined by type "DeleteApiKeyInput". It was renamed to "id".',
    ],
    [
      'an enum value',
      'mutation { createApiKey(input: { role: BASIC, scopes: ["write:chat"] }) { secret } }',
      'Enum "Permission" cannot represent non-enum value: "write:chat". It was renamed to "WRITE_CHAT".',
    ],
  ])('returns GRAPHQL_VALIDATION_FAILED with the new name of %s', async (_kind, query, message) => {
    const { data, errors } = await kit.gql(query);
    expect(data).toBeNull();
    expect(errors).toContainEqual(
      expect.objectContaining({ message, extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }),
    );
  });

  it.each([
    [
      'an input field',
      'mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedApiKeyId } }',
      { input: { id: 1, databaseId: 1 } },
      { path: ['input', 'databaseId'], message: 'is not a known field. It was renamed to "id".' },
    ],
    [
      'a nested enum value',
      'query ($filter: AuditFilter) { auditEvents(filter: $filter) { totalCount } }',
      { filter: { actions: ['API_KEY_CREATE', 'api_key.delete'] } },
      {
        path: ['filter', 'actions', 1],
        message: 'is not one of the allowed values. It was renamed to "API_KEY_DELETE".',
      },
    ],
  ])('returns BAD_USER_INPUT with the new name of %s in a variable', async (_kind, query, variables, field) => {
    const { errors } = await kit.gql(query, variables);
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [field] });
    expect(errors[0]?.message).toContain(field.message);
  });

  it('returns the usual suggestions for a name that no version had', async () => {
    const { errors } = await kit.gql('{ viewr { role } }');
    expect(errors[0]?.message).toBe('Cannot query field "viewr" on type "Query". Did you mean "viewer"?');
  });
});

describe('a server that hides its schema', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit({ environment: { GRAPHIQL: 'false' } });
  });
  afterAll(() => kit?.close());

  it('states new names to authenticated callers only', async () => {
    const query = '{ accounts { totalCount } }';
    const message = 'Cannot query field "accounts" on type "Query".';
    for (let attempt = 0; attempt < 2; attempt++) {
      expect((await kit.gql(query)).errors[0]?.message).toBe(`${message} It was renamed to "allUsers".`);
      expect((await kit.gql(query, {}, null)).errors[0]?.message).toBe(message);
    }
    const variables = { input: { id: 1, databaseId: 1 } };
    const mutation = 'mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedApiKeyId } }';
    const { errors } = await kit.gql(mutation, variables, null);
    expect(errors[0]?.message).toBe('input.databaseId: is not a known field.');
    expect(errors[0]?.extensions.fields).toEqual([{ path: ['input', 'databaseId'], message: 'is not a known field.' }]);
  });
});
