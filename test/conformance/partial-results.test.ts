import { isNonNullType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { type Kit, startKit } from '../kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

describe('root fields', () => {
  it('are nullable in Query and Mutation, unless they never fail', () => {
    const nonNull = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.values(type?.getFields() ?? {})
        .filter((field) => isNonNullType(field.type))
        .map(({ name }) => `${type?.name}.${name}`),
    );
    expect(nonNull.sort()).toEqual(['Query.authentication', 'Query.can']);
  });

  it('keep the results of the others in the response when one is denied', async () => {
    const { status, data, errors } = await kit.gql(
      '{ agents { totalCount } apiKeys { totalCount } viewer { role } }',
      {},
      kit.keys.LIMITED,
    );
    expect(status).toBe(200);
    expect(data).toEqual({ agents: { totalCount: 1 }, apiKeys: null, viewer: { role: 'LIMITED' } });
    expect(errors).toEqual([
      expect.objectContaining({
        path: ['apiKeys'],
        extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['manage:api_keys'] },
      }),
    ]);
  });

  it('keep the results of the others in the response when one fails in a mutation', async () => {
    const { data, errors } = await kit.gql(
      'mutation { a: createLabel(input: { name: "kept" }) { label { name } } b: createLabel(input: { name: "" }) { label { name } } }',
    );
    expect(data).toEqual({ a: { label: { name: 'kept' } }, b: null });
    expect(errors).toMatchObject([{ path: ['b'], extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('return 200 to an anonymous client for a public field although another field needs a credential', async () => {
    const { status, headers, data, errors } = await kit.gql(
      '{ authentication { multiUserMode } agents { totalCount } }',
      {},
      null,
    );
    expect(status).toBe(200);
    expect(headers.get('www-authenticate')).toBeNull();
    expect(data).toEqual({ authentication: { multiUserMode: false }, agents: null });
    expect(errors).toMatchObject([{ path: ['agents'], extensions: { code: 'UNAUTHENTICATED' } }]);
    expect(errors[0]?.extensions).not.toHaveProperty('http');
  });

  it('return 401 to an anonymous client when every field is denied', async () => {
    const { status, headers, data } = await kit.gql('{ viewer { role } agents { totalCount } }', {}, null);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(data).toEqual({ viewer: null, agents: null });
  });
});

describe('fields that require several permissions', () => {
  it('list all of them in @requiresScopes, and all missing ones when access is denied', async () => {
    const fields = {
      ...schema.getQueryType()?.getFields(),
      ...schema.getMutationType()?.getFields(),
    };
    const scopes = (name: string) => fields[name]?.extensions.directives;
    for (const name of ['agentMembers', 'changeAgentMembers'])
      expect(scopes(name)).toEqual({ requiresScopes: { scopes: [['manage:users', 'manage:agents']] } });
    expect(scopes('embedChats')).toEqual({ requiresScopes: { scopes: [['read:query_history', 'manage:agents']] } });

    const query = '{ embedChats(filter: { embedId: "00000000-0000-4000-8000-000000000000" }) { totalCount } }';
    const required = async (scopes: string[]) => {
      const { secret } = await kit.createKey('ADMIN', { scopes });
      const { data, errors } = await kit.gql(query, {}, secret);
      return data.embedChats?.totalCount ?? errors[0]?.extensions.requiredPermissions;
    };
    expect(await required(['read:chat'])).toEqual(['read:query_history', 'manage:agents']);
    expect(await required(['read:query_history'])).toEqual(['manage:agents']);
    expect(await required(['manage:agents'])).toEqual(['read:query_history']);
    expect(await required(['manage:agents', 'read:query_history'])).toBe(0);
  });
});

describe('permissions', () => {
  it('are listed with their names, titles and roles', async () => {
    const { data } = await kit.gql('{ permissions { permission name title description roles } }', {}, kit.keys.LIMITED);
    expect(data.permissions).toHaveLength(21);
    expect(data.permissions[0]).toEqual({
      permission: 'READ_AGENTS',
      name: 'read:agents',
      title: 'Read agents',
      description: 'List and read the agents that the caller may see.',
      roles: ['LIMITED', 'BASIC', 'ADMIN'],
    });
    expect(data.permissions.at(-1)).toMatchObject({ permission: 'READ_AUDIT', name: 'read:audit', roles: ['ADMIN'] });
  });

  it('are not listed to an anonymous client', async () => {
    const { status, data } = await kit.gql('{ permissions { name } }', {}, null);
    expect([status, data]).toEqual([401, { permissions: null }]);
  });
});
