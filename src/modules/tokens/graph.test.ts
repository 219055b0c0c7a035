import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { globalId } from '../../graphql/id-input.ts';

/** Lists of credentials, and what their nodes lead to. */
let kit: Kit;
let owner: Awaited<ReturnType<Kit['createKey']>>;
let projectId: number;
beforeAll(async () => {
  kit = await startKit();
  owner = await kit.createKey('BASIC', { name: 'owner' });
  projectId = (await kit.prisma.project.create({ data: { name: 'home', ownerId: owner.userId } })).id;
});
afterAll(() => kit?.close());

const names = (list: { nodes: { name: string }[] }) => list.nodes.map(({ name }) => name);

describe('lists of keys', () => {
  let own: Kit;
  const list = async (args: string) => names((await own.gql(`{ apiKeys(${args}) { nodes { name } } }`)).data.apiKeys);

  beforeAll(async () => {
    own = await startKit();
    await own.prisma.token.deleteMany({ where: { name: { in: ['basic', 'limited'] } } });
    const day = (number: number) => new Date(Date.UTC(2030, 0, number));
    for (const [name, expiresAt, lastUsedAt] of [
      ['beech', day(2), null],
      ['Alder', null, day(3)],
      ['cedar', day(1), day(1)],
    ] as const) {
      const { id } = await own.createKey('BASIC', { name });
      await own.prisma.token.update({ where: { id }, data: { expiresAt, lastUsedAt } });
    }
    await own.prisma.token.updateMany({ where: { name: 'First admin key' }, data: { lastUsedAt: null } });
  });
  afterAll(() => own?.close());

  test.each([
    ['CREATED_AT', ['First admin key', 'beech', 'Alder', 'cedar'], ['cedar', 'Alder', 'beech', 'First admin key']],
    ['EXPIRES_AT', ['cedar', 'beech', 'First admin key', 'Alder'], ['beech', 'cedar', 'Alder', 'First admin key']],
  ])('are ordered by %s, with null last in both directions', async (field, ascending, descending) => {
    expect(await list(`orderBy: { field: ${field} }`)).toEqual(ascending);
    expect(await list(`orderBy: { field: ${field}, direction: DESC }`)).toEqual(descending);
    expect(await list(`orderBy: { field: ${field} }, last: 2`)).toEqual(ascending.slice(-2));
  });

  test('are ordered by name and by last use', async () => {
    const byName = await list('orderBy: { field: NAME }');
    expect(await list('orderBy: { field: NAME, direction: DESC }')).toEqual([...byName].reverse());
    expect(byName.indexOf('beech')).toBeLessThan(byName.indexOf('cedar'));
    // The admin key is used by every request, and its last use is written after the response.
    const used = (await list('orderBy: { field: LAST_USED_AT }')).filter((name) => name !== 'First admin key');
    expect(used).toEqual(['cedar', 'Alder', 'beech']);
  });

  test('are filtered by text, kind and state, and so is their count', async () => {
    expect(await list('filter: { search: "EE" }')).toEqual(['beech']);
    expect(await list('filter: { search: "_" }')).toEqual([]);
    expect(await list('filter: { kinds: [ANYTHINGLLM] }')).toEqual([]);
    expect(await list('filter: { kinds: [] }')).toEqual([]);
    await own.prisma.token.updateMany({ where: { name: 'cedar' }, data: { disabledAt: new Date() } });
    expect(await list('filter: { disabled: true }')).toEqual(['cedar']);
    const { data } = await own.gql(
      '{ apiKeys(filter: { disabled: false, search: "e" }) { totalCount nodes { name } } }',
    );
    expect(data.apiKeys).toEqual({
      totalCount: 3,
      nodes: [{ name: 'First admin key' }, { name: 'beech' }, { name: 'Alder' }],
    });
  });

  test.each([
    ['filter: { search: "a\\u0000" }', ['filter', 'search']],
    ['filter: { projectId: "x" }', ['filter', 'projectId']],
    ['filter: { projectId: "QWdlbnQ6MA==" }', ['filter', 'projectId']],
    ['first: 1, last: 1', ['last']],
    ['last: -1', ['last']],
  ])('reject %s, and name the argument', async (args, path) => {
    const { errors } = await own.gql(`{ apiKeys(${args}) { totalCount } }`);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', fields: [{ path }] } }]);
  });
});

describe('a project token', () => {
  test('is returned with its edge when it is created, and shows its project only to the project’s owner', async () => {
    const { data, errors } = await kit.gql(
      `mutation ($id: ID!) {
        createProjectToken(input: { projectId: $id, name: "bot" }) {
          projectToken { databaseId projectDatabaseId project { databaseId name } user { accountType } }
          projectTokenEdge { cursor node { name } }
        }
      }`,
      { id: globalId('Project', projectId) },
      owner.secret,
    );
    expect(errors).toEqual([]);
    const { projectToken, projectTokenEdge } = data.createProjectToken;
    expect(projectToken).toEqual({
      databaseId: expect.any(Number),
      projectDatabaseId: projectId,
      project: { databaseId: projectId, name: 'home' },
      user: { accountType: 'SERVICE_ACCOUNT' },
    });
    expect(projectTokenEdge.node).toEqual({ name: 'bot' });
    const after = await kit.gql(
      'query ($after: String) { projectTokens(after: $after) { nodes { name } } }',
      { after: projectTokenEdge.cursor },
      owner.secret,
    );
    expect(after.data.projectTokens.nodes).toEqual([]);

    const shown = async (key: string, filter = '') =>
      (
        await kit.gql(
          `query { apiKeys(filter: { kinds: [PROJECT]${filter} }) { nodes { projectDatabaseId project { name } } } }`,
          {},
          key,
        )
      ).data.apiKeys.nodes;
    // An administrator of keys sees the token, and not the project of someone else.
    expect(await shown(kit.keys.ADMIN)).toEqual([{ projectDatabaseId: projectId, project: null }]);
    expect(await shown(kit.keys.ADMIN, `, projectId: ${projectId}`)).toHaveLength(1);
    expect(await shown(kit.keys.ADMIN, ', projectId: 999999')).toEqual([]);
    const { secret } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    const denied = await kit.gql(
      '{ apiKeys(filter: { kinds: [PROJECT] }) { nodes { project { name } } } }',
      {},
      secret,
    );
    expect(denied.data.apiKeys.nodes).toEqual([{ project: null }]);
    expect(denied.errors).toMatchObject([
      { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['write:projects'] } },
    ]);
  });

  test('is listed by its project, which only the token and the owner of the project can read', async () => {
    const home = await kit.prisma.project.create({ data: { name: 'listed', ownerId: owner.userId } });
    const secrets: string[] = [];
    for (const name of ['b', 'a', 'c']) {
      const { data } = await kit.gql(
        'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
        { input: { projectId: home.id, name } },
        owner.secret,
      );
      secrets.push(data.createProjectToken.secret);
    }
    const project = async (selection: string, key = owner.secret) =>
      await kit.gql(`query ($id: ID!) { project(id: $id) { ${selection} } }`, { id: home.id }, key);
    const tokens = (await project('tokens { totalCount nodes { name projectDatabaseId } }')).data.project.tokens;
    expect(tokens).toEqual({
      totalCount: 3,
      nodes: ['b', 'a', 'c'].map((name) => ({ name, projectDatabaseId: home.id })),
    });
    const page = (await project('tokens(first: 2, orderBy: { field: NAME }) { nodes { name } pageInfo { endCursor } }'))
      .data.project.tokens;
    expect(names(page)).toEqual(['a', 'b']);
    const rest = await project(
      `tokens(after: "${page.pageInfo.endCursor}", orderBy: { field: NAME }) { nodes { name } pageInfo { hasNextPage } }`,
    );
    expect(rest.data.project.tokens).toEqual({ nodes: [{ name: 'c' }], pageInfo: { hasNextPage: false } });

    const token = secrets[0] as string;
    const denied = await project('name tokens { totalCount }', token);
    expect(denied.data.project).toEqual({ name: 'listed', tokens: null });
    expect(denied.errors).toMatchObject([
      { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['write:tokens'] } },
    ]);

    const own = await kit.gql('{ viewer { token { projectDatabaseId project { name } } } }', {}, token);
    expect(own.data.viewer.token).toEqual({ projectDatabaseId: home.id, project: { name: 'listed' } });
    expect((await kit.gql('{ viewer { token { project { name } } } }')).data.viewer.token).toEqual({ project: null });
    const introspect = async (key: string) =>
      (
        await kit.gql(
          'query ($token: String!) { introspectToken(token: $token) { projectDatabaseId project { name } } }',
          { token },
          key,
        )
      ).data.introspectToken;
    expect(await introspect(kit.keys.ADMIN)).toEqual({ projectDatabaseId: home.id, project: null });
    await kit.prisma.user.update({ where: { id: owner.userId }, data: { role: 'ADMIN' } });
    try {
      expect(await introspect(owner.secret)).toEqual({ projectDatabaseId: home.id, project: { name: 'listed' } });
    } finally {
      await kit.prisma.user.update({ where: { id: owner.userId }, data: { role: 'BASIC' } });
    }
  });

  test('is deleted by its global ID, which the payload returns', async () => {
    const { data } = await kit.gql(
      'mutation ($id: ID!) { createProjectToken(input: { projectId: $id }) { projectToken { id } } }',
      { id: projectId },
      owner.secret,
    );
    const { id } = data.createProjectToken.projectToken;
    const deletion = 'mutation ($id: ID!) { deleteProjectToken(input: { id: $id }) { deletedProjectTokenId } }';
    expect((await kit.gql(deletion, { id }, kit.keys.BASIC)).errors).toMatchObject([
      { extensions: { code: 'NOT_FOUND' } },
    ]);
    expect((await kit.gql(deletion, { id }, owner.secret)).data.deleteProjectToken).toEqual({
      deletedProjectTokenId: id,
    });
  });
});

describe('created credentials', () => {
  test('are returned with an edge whose cursor continues the default order of the list', async () => {
    const { data } = await kit.gql(
      `mutation {
        createApiKey(input: { name: "edge" }) { apiKeyEdge { cursor node { name user { name } } } }
        createPersonalAccessToken(input: { name: "edge" }) {
          personalAccessTokenEdge { cursor node { id name user { databaseId } } }
        }
      }`,
      {},
    );
    const { apiKeyEdge } = data.createApiKey;
    expect(apiKeyEdge.node).toEqual({ name: 'edge', user: { name: 'edge' } });
    const { personalAccessTokenEdge } = data.createPersonalAccessToken;
    const lists = await kit.gql(
      `query ($key: String, $token: String) {
        apiKeys(after: $key) { nodes { name } }
        personalAccessTokens(before: $token) { nodes { name } }
      }`,
      { key: apiKeyEdge.cursor, token: personalAccessTokenEdge.cursor },
    );
    expect(lists.data).toEqual({ apiKeys: { nodes: [] }, personalAccessTokens: { nodes: [] } });
    const revoked = await kit.gql(
      `mutation ($id: ID!) {
        revokePersonalAccessToken(input: { id: $id }) { revokedPersonalAccessTokenId personalAccessToken { name } }
      }`,
      { id: personalAccessTokenEdge.node.id },
    );
    expect(revoked.data.revokePersonalAccessToken).toEqual({
      revokedPersonalAccessTokenId: personalAccessTokenEdge.node.id,
      personalAccessToken: { name: 'edge' },
    });
  });
});

test('introspecting a token returns the user of the credential', async () => {
  const { data } = await kit.gql(
    'query ($token: String!) { introspectToken(token: $token) { userDatabaseId permissions user { databaseId name } } }',
    { token: kit.keys.LIMITED },
  );
  expect(data.introspectToken).toEqual({
    userDatabaseId: expect.any(String),
    permissions: ['READ_AGENTS', 'WRITE_CHAT'],
    user: { databaseId: data.introspectToken.userDatabaseId, name: 'limited' },
  });
});
