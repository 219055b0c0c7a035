import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, returned, startKit } from '../../../test/kit.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
type Person = Awaited<ReturnType<Kit['person']>>;
let ann: Person;
let ben: Person;
beforeAll(async () => {
  kit = await startKit();
  ann = await kit.person({ email: 'ann@people.example' });
  ben = await kit.person({ email: 'ben@people.example', role: 'ADMIN' });
});
afterAll(() => kit?.close());

const fields = 'id databaseId number name accountType email username role';
const administrative = 'active passwordConfigured dailyMessageLimit bio createdAt updatedAt lastLoginAt';
const node = (id: string, selection: string, key?: string | null) =>
  kit.gql(`query ($id: ID!) { node(id: $id) { ... on User { ${selection} } } }`, { id }, key);
const names = (list: { nodes: { name: string }[] }) => list.nodes.map(({ name }) => name);

describe('a user', () => {
  test('is the same node in every field that returns it', async () => {
    const id = globalId('User', ann.userId);
    const { databaseId: number } = await kit.prisma.user.findUniqueOrThrow({ where: { id: ann.userId } });
    const expected = {
      id,
      databaseId: ann.userId,
      number,
      name: 'ann',
      accountType: 'STANDARD',
      email: 'ann@people.example',
      username: null,
      role: 'BASIC',
    };
    const { data } = await kit.gql(
      `{ viewer { user { ${fields} } } users(filter: { search: "ann@" }) { nodes { ${fields} } } }`,
      {},
      ann.session,
    );
    expect(data).toEqual({ viewer: { user: expected }, users: { nodes: [expected] } });
    expect((await node(id, fields)).data.node).toEqual(expected);
    const all = await kit.gql(`{ allUsers(filter: { search: "ann@" }) { nodes { ${fields} } } }`);
    expect(all.data.allUsers.nodes).toEqual([expected]);
  });

  test('reads their own administrative fields, and other callers need `manage:users` for them', async () => {
    const own = await kit.gql(`{ viewer { user { ${administrative} } } }`, {}, ann.session);
    expect(own.errors).toEqual([]);
    const expected = {
      active: true,
      passwordConfigured: true,
      dailyMessageLimit: null,
      bio: '',
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
      lastLoginAt: expect.any(String),
    };
    expect(own.data.viewer.user).toEqual(expected);
    const id = globalId('User', ann.userId);
    expect((await node(id, administrative)).data.node).toEqual(expected);
    for (const key of [kit.keys.BASIC, (await kit.person()).session]) {
      const { data, errors } = await node(id, administrative, key);
      expect(returned(data.node)).toEqual([]);
      expect(errors.map(({ path, extensions }) => [path?.[1], extensions.requiredPermissions])).toEqual(
        administrative.split(' ').map((field) => [field, ['manage:users']]),
      );
    }
  });

  test('shows the address, username and role only to callers with `read:users` or `manage:users`', async () => {
    const { data } = await kit.gql(
      'mutation { createAgent(input: { name: "shared", isPublic: true }) { agent { databaseId } } }',
      {},
      ann.session,
    );
    const { databaseId } = data.createAgent.agent;
    const read = async (scopes: string[]) => {
      const { secret } = await kit.createKey('ADMIN', { scopes });
      const query = `query ($id: ID!) { agent(id: $id) { shares { nodes { user { ${fields} } } } } }`;
      return (await kit.gql(query, { id: databaseId }, secret)).data.agent.shares.nodes[0].user;
    };
    await kit.prisma.agentShare.create({ data: { agentId: databaseId, userId: ben.userId } });
    const manages = ['read:agents', 'write:agents', 'manage:agents'];
    const masked = { name: 'ben', accountType: 'STANDARD', email: null, username: null, role: null };
    expect(await read(manages)).toMatchObject(masked);
    const shown = { email: 'ben@people.example', role: 'ADMIN' };
    expect(await read([...manages, 'read:users'])).toMatchObject(shown);
    expect(await read([...manages, 'manage:users'])).toMatchObject(shown);
  });

  test('is returned by node to callers with `read:users`, and always to the user themselves', async () => {
    const limited = await kit.createKey('LIMITED');
    const own = globalId('User', limited.userId);
    expect((await node(own, fields, limited.secret)).data.node).toMatchObject({ databaseId: limited.userId });
    const other = await node(globalId('User', ann.userId), fields, limited.secret);
    expect(other.data).toEqual({ node: null });
    expect(other.errors[0]?.extensions).toEqual({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:users'],
    });
    const both = await kit.gql(
      'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
      { ids: [own, globalId('User', ann.userId)] },
      limited.secret,
    );
    expect(both.errors[0]?.extensions.code).toBe('FORBIDDEN');

    const gone = await kit.person();
    await kit.prisma.user.update({ where: { id: gone.userId }, data: { active: false } });
    expect((await node(globalId('User', gone.userId), fields, kit.keys.BASIC)).data).toEqual({ node: null });
    expect((await node(globalId('User', gone.userId), 'active')).data).toEqual({ node: { active: false } });
    const nobody = globalId('User', '00000000-0000-4000-8000-000000000000');
    expect(await node(nobody, fields, kit.keys.BASIC)).toMatchObject({ data: { node: null }, errors: [] });
  });

  test('is returned with all fields to the anonymous client that registers it', async () => {
    const open = await startKit({ environment: { REGISTRATION: 'open' } });
    try {
      const { data, errors } = await open.gql(
        `mutation {
          register(input: { email: "new@people.example", password: "long enough" }) {
            user { ${fields} ${administrative} }
            userEdge { cursor node { email active } }
          }
        }`,
        {},
        null,
      );
      expect(errors).toEqual([]);
      expect(data.register.user).toMatchObject({ email: 'new@people.example', role: 'ADMIN', active: true });
      expect(data.register.userEdge.node).toEqual({ email: 'new@people.example', active: true });
      const after = await open.gql('query ($after: String) { allUsers(after: $after) { nodes { email } } }', {
        after: data.register.userEdge.cursor,
      });
      expect(after.data.allUsers.nodes).toEqual([]);
    } finally {
      await open.close();
    }
  });
});

describe('lists of users', () => {
  let own: Kit;
  beforeAll(async () => {
    own = await startKit();
    for (const name of ['dan', 'bea', 'cleo', 'adam']) await own.person({ email: `${name}@people.example` });
  });
  afterAll(() => own?.close());

  test.each([
    ['users', (own) => own.keys.BASIC],
    ['allUsers', (own) => own.keys.ADMIN],
  ] as [string, (own: Kit) => string][])(
    '%s sorts by name and by creation date in both directions',
    async (list, key) => {
      const ordered = async (args: string) =>
        names((await own.gql(`{ ${list}(${args}) { nodes { name } } }`, {}, key(own))).data[list]);
      const created = ['dan', 'bea', 'cleo', 'adam'];
      expect(await ordered('first: 10')).toEqual(created);
      expect(await ordered('orderBy: { field: CREATED_AT }')).toEqual(created);
      expect(await ordered('orderBy: { field: CREATED_AT, direction: DESC }')).toEqual([...created].reverse());
      expect(await ordered('orderBy: { field: NAME }')).toEqual(['adam', 'bea', 'cleo', 'dan']);
      expect(await ordered('orderBy: { field: NAME, direction: DESC }, first: 2')).toEqual(['dan', 'cleo']);
      expect(await ordered('orderBy: { field: NAME }, last: 2')).toEqual(['cleo', 'dan']);
    },
  );

  test('can be paged backwards to the first user', async () => {
    const page = async (before: string | null) =>
      (
        await own.gql(
          `query ($before: String) {
            users(last: 3, before: $before, orderBy: { field: NAME }) {
              nodes { name } pageInfo { hasPreviousPage hasNextPage startCursor }
            }
          }`,
          { before },
        )
      ).data.users;
    const last = await page(null);
    expect([names(last), last.pageInfo]).toMatchObject([
      ['bea', 'cleo', 'dan'],
      { hasPreviousPage: true, hasNextPage: false },
    ]);
    const first = await page(last.pageInfo.startCursor);
    expect([names(first), first.pageInfo]).toMatchObject([['adam'], { hasPreviousPage: false, hasNextPage: true }]);
  });

  test('reject a cursor of another order and name the argument', async () => {
    const { data } = await own.gql('{ users(first: 1) { pageInfo { endCursor } } }');
    const { errors } = await own.gql(
      'query ($after: String) { users(after: $after, orderBy: { field: NAME }) { totalCount } }',
      { after: data.users.pageInfo.endCursor },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['after'] }] } }]);
  });
});

describe('the user ID of a mutation', () => {
  const change = (id: string | number) =>
    kit.gql(
      'mutation ($id: ID!) { updateUser(input: { user: { id: $id }, bio: "named" }) { user { databaseId bio } } }',
      { id },
    );

  test('is accepted as the global ID, the UUID or the integer ID', async () => {
    const { databaseId: number } = await kit.prisma.user.findUniqueOrThrow({ where: { id: ann.userId } });
    for (const id of [globalId('User', ann.userId), ann.userId, ann.userId.toUpperCase(), number, String(number)]) {
      await kit.prisma.user.update({ where: { id: ann.userId }, data: { bio: '' } });
      expect((await change(id)).data.updateUser.user).toEqual({ databaseId: ann.userId, bio: 'named' });
    }
  });

  test('returns the same NOT_FOUND for an unknown user and for a service account', async () => {
    const key = await kit.createKey('BASIC');
    const { databaseId: number } = await kit.prisma.user.findUniqueOrThrow({ where: { id: key.userId } });
    const before = await kit.fingerprint();
    for (const id of [
      globalId('User', key.userId),
      key.userId,
      number,
      999_999_999,
      '00000000-0000-4000-8000-000000000000',
    ])
      expect((await change(id)).errors).toMatchObject([
        { message: 'User not found', extensions: { code: 'NOT_FOUND' } },
      ]);
    expect(await kit.fingerprint()).toBe(before);
  });
});
