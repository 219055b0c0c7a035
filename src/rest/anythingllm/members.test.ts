import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
let anna: { secret: string; userId: string };

beforeAll(async () => {
  kit = await startKit();
  anna = await kit.createKey('BASIC', { name: 'anna' });
});
afterAll(() => kit?.close());

const api = (method: string, path: string, body?: unknown, key: string | null = kit.keys.ADMIN) =>
  kit.rest(method, `/api/v1${path}`, { key, ...(body !== undefined && { body }) });
const list = (id: number | string, key?: string | null) => api('GET', `/admin/workspaces/${id}/users`, undefined, key);
const replace = (id: number, body: unknown, key?: string | null) =>
  api('POST', `/admin/workspaces/${id}/update-users`, body, key);
const manage = (slug: string, body: unknown, key?: string | null) =>
  api('POST', `/admin/workspaces/${slug}/manage-users`, body, key);

const make = async (name: string): Promise<{ id: number; slug: string }> =>
  (await api('POST', '/workspace/new', { name }, anna.secret)).body.workspace;
const sees = async (slug: string, key: string): Promise<boolean> =>
  (await api('GET', `/workspace/${slug}`, undefined, key)).body.workspace.length === 1;

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);
const told = ({ status, text, headers }: Answer) => [status, text, headers.get('content-type')?.split(';')[0]];
const nobodysId = 2_000_000;

describe('before the first user exists', () => {
  it('listing and changing the members of a workspace returns 401', async () => {
    const { id, slug } = await make('Alone');
    await unchanged(async () => {
      for (const answer of [await list(id), await replace(id, { userIds: [] }), await manage(slug, { userIds: [1] })])
        expect(told(answer)).toEqual([401, 'Unauthorized', 'text/plain']);
    });
  });
});

describe('after the first user exists', () => {
  let carl: { id: number; email: string; session: string };
  let dora: typeof carl;
  const member = ({ id, email }: typeof carl) => ({
    userId: id,
    username: email,
    role: 'default',
    lastUpdatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
  });

  beforeAll(async () => {
    const person = async () => {
      const { email, session, userId } = await kit.person();
      return { id: (await kit.prisma.user.findUniqueOrThrow({ where: { id: userId } })).databaseId, email, session };
    };
    [carl, dora] = [await person(), await person()];
  });

  it('setting members makes a workspace private to its members, its owner and administrators', async () => {
    const { id, slug } = await make('Team');
    expect((await list(id)).body).toEqual({ users: [] });
    expect(await sees(slug, dora.session)).toBe(true);
    const added = await manage(slug, { userIds: [carl.id, nobodysId, 'x', null] });
    expect([added.status, added.body]).toEqual([200, { success: true, error: null, users: [member(carl)] }]);
    expect(await sees(slug, carl.session)).toBe(true);
    expect(await sees(slug, anna.secret)).toBe(true);
    expect(await sees(slug, kit.keys.ADMIN)).toBe(true);
    expect(await sees(slug, dora.session)).toBe(false);
    // Members can use the workspace but not change it.
    expect((await api('POST', `/workspace/${slug}/update`, { topN: 1 }, carl.session)).status).toBe(403);
    expect((await manage(slug, { userIds: [String(dora.id)] })).body.users).toEqual([member(carl), member(dora)]);
    expect((await list(id)).body).toEqual({ users: [member(carl), member(dora)] });
    expect((await manage(slug, { userIds: [dora.id], reset: true })).body.users).toEqual([member(dora)]);
    expect(await sees(slug, carl.session)).toBe(false);
    expect((await replace(id, { userIds: [carl.id] })).body).toEqual({ success: true, error: null });
    expect((await list(id)).body).toEqual({ users: [member(carl)] });
    expect((await replace(id, { userIds: [] })).body).toEqual({ success: true, error: null });
    expect((await list(id)).body).toEqual({ users: [] });
    expect(await sees(slug, carl.session)).toBe(false);
  });

  it('an editor who is set as a member again stays an editor', async () => {
    const { id } = await make('Editors');
    const { userId } = (await kit.gql('{ viewer { user { userId: databaseId } } }', {}, carl.session)).data.viewer.user;
    await kit.prisma.agentShare.create({ data: { agentId: id, userId, permission: 'EDITOR' } });
    await replace(id, { userIds: [carl.id, dora.id] });
    const { data } = await kit.gql('query ($id: ID!) { agent(id: $id) { shares { nodes { permission } } } }', {
      id,
    });
    expect(data.agent.shares.nodes.map(({ permission }: { permission: string }) => permission).toSorted()).toEqual([
      'EDITOR',
      'VIEWER',
    ]);
  });

  it('unknown users, unknown workspaces and invalid lists change no data and get the documented response', async () => {
    const { id, slug } = await make('Still');
    await manage(slug, { userIds: [carl.id] });
    await unchanged(async () => {
      for (const userIds of [[nobodysId], [], ['x', 1.5, 1e300]]) {
        const answer = await manage(slug, { userIds, reset: true });
        const users = [expect.objectContaining({ userId: carl.id })];
        expect([answer.status, answer.body]).toEqual([
          404,
          { success: false, error: 'No valid user IDs provided.', users },
        ]);
      }
      const unknown = await manage('nowhere', { userIds: [carl.id] });
      expect([unknown.status, unknown.body]).toEqual([
        404,
        { success: false, error: 'Workspace not found', users: [] },
      ]);
      expect((await replace(id, { userIds: [nobodysId] })).body).toEqual({ success: true, error: null });
      expect(await replace(nobodysId, { userIds: [carl.id] })).toMatchObject({
        status: 200,
        body: { success: true, error: null },
      });
      expect(await list(nobodysId)).toMatchObject({ status: 200, body: { users: [] } });
      expect(told(await list('x'))).toEqual([400, 'Bad Request', 'text/plain']);
      const error = 'userIds must be a list of at most 1,000 user IDs.';
      for (const body of [{}, { userIds: null }, { userIds: 7 }, { userIds: Array(1001).fill(carl.id) }]) {
        expect(await manage(slug, body)).toMatchObject({ status: 400, body: { success: false, error, users: [] } });
        expect(await replace(id, body)).toMatchObject({ status: 400, body: { success: false, error } });
      }
      expect(await replace(0, { userIds: [carl.id] })).toMatchObject({
        status: 403,
        body: { error: 'A built-in agent is available to all users and cannot be shared.' },
      });
    });
  });

  it('the members of a workspace require `manage:users` and `manage:agents`, even for its owner', async () => {
    const { id, slug } = await make('Refused');
    const { secret: usersOnly } = await kit.createKey('ADMIN', { scopes: ['manage:users', 'write:agents'] });
    const { secret: agentsOnly } = await kit.createKey('ADMIN', { scopes: ['manage:agents', 'write:agents'] });
    const roads = (key: string | null) => [
      () => list(id, key),
      () => replace(id, { userIds: [dora.id] }, key),
      () => manage(slug, { userIds: [dora.id] }, key),
    ];
    await unchanged(async () => {
      for (const [key, error] of [
        [null, 'No valid api key found.'],
        [kit.keys.LIMITED, 'This credential lacks `manage:users`.'],
        [anna.secret, 'This credential lacks `manage:users`.'],
        [agentsOnly, 'This credential lacks `manage:users`.'],
        [usersOnly, 'This credential lacks `manage:agents`.'],
      ] as const) {
        for (const road of roads(key)) expect(await road()).toMatchObject({ status: 403, body: { error } });
        if (key === null) continue;
        const agent = { id };
        const asked = [
          kit.gql(
            'query ($agent: AgentLocatorInput!) { agentMembers(agent: $agent) { totalCount nodes { permission } } }',
            { agent },
            key,
          ),
          kit.gql(
            'mutation ($input: ChangeAgentMembersInput!) { changeAgentMembers(input: $input) { foundCount } }',
            { input: { agent, userIds: [String(dora.id)] } },
            key,
          ),
        ];
        const both = 'This credential lacks `manage:users` and `manage:agents`.';
        const message = [kit.keys.LIMITED, anna.secret].includes(key) ? both : error;
        for (const { errors } of await Promise.all(asked))
          expect(errors[0]).toMatchObject({ message, extensions: { code: 'FORBIDDEN' } });
      }
    });
  });

  it('the list of members takes the same number of SQL statements, regardless of its length', async () => {
    const { id } = await make('Crowd');
    const count = async (): Promise<number> => {
      kit.statements.length = 0;
      expect((await list(id)).status).toBe(200);
      return kit.statements.length;
    };
    await replace(id, { userIds: [carl.id] });
    await count();
    const before = await count();
    await kit.prisma.user.createMany({
      data: [1, 2, 3, 4].map((number) => ({ name: `${number}`, email: `crowd-${number}@people.example` })),
    });
    const users = await kit.prisma.user.findMany({ where: { email: { startsWith: 'crowd-' } } });
    expect((await replace(id, { userIds: users.map(({ databaseId }) => databaseId) })).status).toBe(200);
    expect((await list(id)).body.users).toHaveLength(4);
    expect(await count()).toBe(before);
  });
});
