import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
let admin: string;
let limited: string;
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
let searchId: number;

beforeAll(async () => {
  kit = await startKit();
  admin = kit.keys.ADMIN;
  limited = kit.keys.LIMITED;
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  searchId = (await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } })).id;
  await kit.ingest('Handbook', 'Holidays are thirty days.');
});
afterAll(() => kit?.close());

beforeEach(async () => {
  await kit.prisma.agent.deleteMany({ where: { isBuiltin: false } });
  await kit.prisma.label.deleteMany();
});

const upsert = (change: object = {}) => ({
  name: 'Helper',
  description: 'Helps.',
  document_set_ids: [],
  tool_ids: [searchId],
  system_prompt: 'Be kind.',
  task_prompt: 'Answer.',
  datetime_aware: true,
  ...change,
});

async function create(key: string, input: object = {}): Promise<number> {
  const { data, errors } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
    { input: { name: 'Helper', ...input } },
    key,
  );
  expect(errors).toEqual([]);
  return data.createAgent.agent.databaseId;
}

const mutate = (field: string, input: object, key: string, select = 'agent { databaseId }') => {
  const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`;
  return kit.gql(`mutation ($input: ${type}!) { ${field}(input: $input) { ${select} } }`, { input }, key);
};

const codes = ({ errors }: Awaited<ReturnType<Kit['gql']>>) => errors.map(({ extensions }) => extensions.code);

const listed = async (key: string, filter: object = {}, field = 'agents'): Promise<number[]> => {
  const { data } = await kit.gql(
    `query ($filter: AgentFilter) { ${field}(filter: $filter, first: 100) { nodes { databaseId } } }`,
    { filter },
    key,
  );
  return data[field].nodes.map(({ databaseId }: { databaseId: number }) => databaseId);
};

const restListed = async (key: string, path = '/api/persona'): Promise<number[]> => {
  const { body } = await kit.rest('GET', path, { key });
  return (body.items ?? body).map(({ id }: { id: number }) => id);
};

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const lacking = {
  error_code: 'INSUFFICIENT_PERMISSIONS',
  detail: 'You do not have the required permissions for this action.',
};
const unreachable = (id: number) => ({
  detail: `Persona with ID ${id} does not exist or user is not authorized to access it`,
});
const unknownId = 2_000_000;

describe('creating an agent', () => {
  it('stores all given fields and returns them over GraphQL and REST', async () => {
    const label = await kit.rest('POST', '/api/persona/labels', { key: anna.secret, body: { name: 'People' } });
    const made = await kit.rest('POST', '/api/persona', {
      key: anna.secret,
      body: upsert({
        is_public: false,
        starter_messages: [
          { name: 'Second comes second', message: 'b' },
          { name: 'First came first', message: 'a' },
        ],
        label_ids: [label.body.id],
        users: [ben.userId],
        document_ids: ['Handbook'],
        icon_name: 'star',
        search_start_date: '2026-01-02T03:04:05Z',
        replace_base_system_prompt: true,
      }),
    });
    expect(made.status).toBe(200);
    expect(made.body).toMatchObject({
      name: 'Helper',
      description: 'Helps.',
      is_public: false,
      is_listed: true,
      is_visible: true,
      is_featured: false,
      is_default_persona: false,
      builtin_persona: false,
      system_prompt: 'Be kind.',
      task_prompt: 'Answer.',
      icon_name: 'star',
      replace_base_system_prompt: true,
      owner: { id: anna.userId, email: expect.stringContaining('@') },
      user_permission: 'OWNER',
      users: [{ id: ben.userId, email: expect.stringContaining('@') }],
      user_shares: [{ user_id: ben.userId, email: expect.stringContaining('@'), permission: 'VIEWER' }],
      sharing_status: 'SHARED',
      labels: [{ id: label.body.id, name: 'People' }],
      tools: [{ id: searchId, in_code_tool_id: 'SearchTool' }],
      attached_documents: [{ id: 'Handbook', title: 'Handbook', source: 'ingestion_api' }],
      document_ids: ['Handbook'],
      starter_messages: [
        { name: 'Second comes second', message: 'b' },
        { name: 'First came first', message: 'a' },
      ],
      groups: [],
      document_sets: [],
      user_file_ids: [],
      num_chunks: null,
    });
    const { data } = await kit.gql(
      `query ($id: ID!) { agent(id: $id) {
        name systemPrompt knowledge searchStartDate starterMessages { message } documents { nodes { documentId } } ownerId
        viewerPermission viewerCan shares { nodes { permission user { id: databaseId } } } actions { builtinKey } labels { name }
      } }`,
      { id: made.body.id },
      anna.secret,
    );
    expect(data.agent).toEqual({
      name: 'Helper',
      systemPrompt: 'Be kind.',
      knowledge: 'ATTACHED',
      searchStartDate: '2026-01-02T03:04:05.000Z',
      starterMessages: [{ message: 'b' }, { message: 'a' }],
      documents: { nodes: [{ documentId: 'Handbook' }] },
      ownerId: anna.userId,
      viewerPermission: 'OWNER',
      viewerCan: ['EDIT', 'SHARE', 'DELETE'],
      shares: { nodes: [{ permission: 'VIEWER', user: { id: ben.userId } }] },
      actions: [{ builtinKey: 'SearchTool' }],
      labels: [{ name: 'People' }],
    });
  });

  it('accepts a body of an older API version, and searches all documents when no documents are given', async () => {
    const made = await kit.rest('POST', '/api/persona', {
      key: anna.secret,
      body: upsert({
        num_chunks: 10,
        is_public: true,
        recency_bias: 'auto',
        llm_filter_extraction: false,
        llm_relevance_filter: false,
        llm_model_provider_override: null,
        is_default_persona: false,
      }),
    });
    expect(made.body).toMatchObject({ is_public: true, sharing_status: 'PUBLIC', public_permission: 'VIEWER' });
    expect(await kit.prisma.agent.findUnique({ where: { id: made.body.id } })).toMatchObject({ knowledge: 'ALL' });
  });

  it('is rejected for a limited key and for a key without the scope', async () => {
    const scoped = await kit.createKey('BASIC', { name: 'reader', scopes: ['read:agents', 'read:chat'] });
    for (const key of [limited, scoped.secret])
      await unchanged(async () => {
        expect(await kit.rest('POST', '/api/persona', { key, body: upsert() })).toMatchObject({
          status: 403,
          body: lacking,
        });
        expect(codes(await mutate('createAgent', { name: 'No' }, key))).toEqual(['FORBIDDEN']);
      });
  });

  it('rejects unsupported values with 400 and the expected error text, and changes no data', async () => {
    await create(anna.secret, { name: 'Taken' });
    const refusals: [object, string][] = [
      [{ tool_ids: [unknownId] }, 'Tools not found'],
      [{ label_ids: [unknownId] }, 'Some label IDs were not found in the database'],
      [{ document_set_ids: [1] }, 'document_sets not found'],
      [{ user_file_ids: ['nonsense'] }, 'Invalid user_file_ids; must be UUID strings'],
      [{ user_file_ids: [anna.userId] }, 'user_files not found'],
      [{ name: 'Taken' }, "Assistant with name 'Taken' already exists. Please rename your assistant."],
      [{ is_featured: true }, 'Only users with agent management permissions can make a featured persona'],
      [{ is_default_persona: true }, 'Only users with agent management permissions can make a featured persona'],
      [{ document_ids: ['nowhere'] }, 'Some documents were not found'],
      [{ users: ['00000000-0000-4000-8000-000000000000'] }, 'Some users were not found'],
      [{ groups: [1] }, 'This server has no groups to share an agent with.'],
      [{ name: '  ' }, 'name must not be blank'],
    ];
    await unchanged(async () => {
      for (const [change, text] of refusals)
        expect(await kit.rest('POST', '/api/persona', { key: anna.secret, body: upsert(change) })).toMatchObject({
          status: 400,
          body: { detail: text },
        });
      const { system_prompt: _, ...incomplete } = upsert();
      const short = await kit.rest('POST', '/api/persona', { key: anna.secret, body: incomplete });
      expect(short).toMatchObject({ status: 422, body: { status_code: 422, data: null } });
      expect(short.body.message).toContain('system_prompt');
    });
  });

  it('returns to a write-only key the new agent without the fields it cannot read', async () => {
    const { secret } = await kit.createKey('BASIC', { name: 'writer', scopes: ['write:agents'] });
    const made = await kit.rest('POST', '/api/persona', { key: secret, body: upsert() });
    expect(made).toMatchObject({ status: 200, body: { name: 'Helper', tools: [], document_ids: [] } });
    expect((await kit.rest('GET', `/api/persona/${made.body.id}`)).body.tools).toMatchObject([{ id: searchId }]);
    const { status, body } = await kit.rest('GET', `/api/persona/${made.body.id}`, { key: secret });
    expect([status, body]).toEqual([403, lacking]);
  });

  it('allows an administrator to feature an agent, and another user to use the same name', async () => {
    const featured = await kit.rest('POST', '/api/persona', {
      body: upsert({ is_featured: true, display_priority: 3 }),
    });
    expect(featured.body).toMatchObject({ is_featured: true, is_default_persona: true, display_priority: 3 });
    expect(featured.body.permissions).toEqual({
      edit: true,
      share: true,
      view_stats: false,
      delete: true,
      publish: true,
      feature: true,
      list: true,
      reorder: true,
    });
    expect((await kit.rest('POST', '/api/persona', { key: ben.secret, body: upsert() })).status).toBe(200);
  });

  it('returns CONFLICT for the 1001st agent of a user and stores no data', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    const names = Array.from({ length: 1000 }, (_, i) => ({ name: `agent ${i}`, ownerId: userId }));
    await kit.prisma.agent.createMany({ data: names });
    const message = 'Too many agents (limit per user: 1000).';
    await unchanged(async () => {
      const input = { name: 'one more' };
      const made = await kit.gql(
        'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { id } } }',
        { input },
        secret,
      );
      expect(made.errors[0]).toMatchObject({ message, extensions: { code: 'CONFLICT' } });
      const overRest = await kit.rest('POST', '/api/persona', { key: secret, body: upsert() });
      expect([overRest.status, overRest.text]).toEqual([400, expect.stringContaining(message)]);
    });
    await kit.prisma.agent.deleteMany({ where: { ownerId: userId, name: { not: 'agent 0' } } });
    expect((await kit.rest('POST', '/api/persona', { key: secret, body: upsert() })).status).toBe(200);
  });
});

describe('visibility of an agent', () => {
  const cases: [string, object, { ben: boolean; limited: boolean }][] = [
    ['private', {}, { ben: false, limited: false }],
    ['public', { isPublic: true }, { ben: true, limited: true }],
    ['shared with ben', { userIds: 'ben' }, { ben: true, limited: false }],
  ];
  for (const [what, input, sees] of cases)
    it(`${what}: its owner and administrators always see it, other callers ${sees.ben ? 'as far as it says' : 'never'}`, async () => {
      const id = await create(anna.secret, 'userIds' in input ? { userIds: [ben.userId] } : input);
      const expected: [string, boolean][] = [
        [anna.secret, true],
        [admin, true],
        [ben.secret, sees.ben],
        [limited, sees.limited],
      ];
      const missing = await kit.gql('{ agent(id: 2000000) { name } }', {}, ben.secret);
      for (const [key, seen] of expected) {
        expect((await listed(key)).includes(id)).toBe(seen);
        expect((await restListed(key)).includes(id)).toBe(seen);
        expect((await restListed(key, '/api/agents?page_size=1000')).includes(id)).toBe(seen);
        const graph = await kit.gql('query ($id: ID!) { agent(id: $id) { databaseId } }', { id }, key);
        const { status, body } = await kit.rest('GET', `/api/persona/${id}`, { key });
        if (seen) {
          expect(graph.data.agent.databaseId).toBe(id);
          expect([status, body.id]).toEqual([200, id]);
        } else {
          // The response is the same as for an unknown agent.
          expect(graph.errors[0]).toMatchObject({ message: missing.errors[0]?.message });
          expect(codes(graph)).toEqual(['NOT_FOUND']);
          expect([status, body]).toEqual([
            400,
            { message: `Persona with ID ${id} does not exist or does not belong to user` },
          ]);
        }
      }
    });

  it('returns the same error for an unknown ID as for an invisible agent', async () => {
    expect(await kit.rest('GET', `/api/persona/${unknownId}`)).toMatchObject({
      status: 400,
      body: { message: `Persona with ID ${unknownId} does not exist or does not belong to user` },
    });
    expect((await kit.rest('GET', '/api/persona/nonsense')).status).toBe(422);
  });

  it('rejects an anonymous client on each access path', async () => {
    for (const path of ['/api/persona', '/api/agents', '/api/persona/0', '/api/admin/persona', '/api/tool'])
      expect(await kit.rest('GET', path, { key: null })).toMatchObject({
        status: 403,
        body: { detail: 'Access denied. User is not authenticated.' },
      });
    expect(codes(await kit.gql('{ agents { totalCount } }', {}, null))).toEqual(['UNAUTHENTICATED']);
  });

  it('hides an unlisted agent from the lists of callers who cannot edit it, but lets them open it', async () => {
    const id = await create(anna.secret, { isPublic: true });
    for (const [path, body] of [
      ['listed', { is_listed: false }],
      ['visible', { is_visible: false }],
    ] as const) {
      await kit.prisma.agent.update({ where: { id }, data: { isListed: true } });
      expect(await restListed(ben.secret)).toContain(id);
      expect(await kit.rest('PATCH', `/api/admin/persona/${id}/${path}`, { body })).toMatchObject({
        status: 200,
        body: null,
      });
      expect(await restListed(ben.secret)).not.toContain(id);
      expect(await restListed(anna.secret)).toContain(id);
      const { body: one } = await kit.rest('GET', `/api/persona/${id}`, { key: ben.secret });
      expect(one).toMatchObject({ is_listed: false, is_visible: false, user_permission: 'VIEWER' });
    }
  });

  it('hides the owner’s email address and the shares from callers who do not own the agent', async () => {
    const id = await create(anna.secret, { userIds: [ben.userId] });
    const { body } = await kit.rest('GET', `/api/persona/${id}`, { key: ben.secret });
    expect(body).toMatchObject({
      owner: { id: anna.userId, email: '' },
      users: [],
      user_shares: [],
      sharing_status: 'SHARED',
      user_permission: 'VIEWER',
    });
    expect(Object.values(body.permissions)).not.toContain(true);
    const { data } = await kit.gql(
      `{ agent(id: ${id}) { ownerEmail shares { totalCount nodes { user { id: databaseId } } } viewerCan } }`,
      {},
      ben.secret,
    );
    expect(data.agent).toEqual({ ownerEmail: '', shares: { totalCount: 0, nodes: [] }, viewerCan: [] });
  });

  it('returns an agent to a limited key without tools, documents and users, with FORBIDDEN for each', async () => {
    const id = await create(anna.secret, { isPublic: true, actionIds: [searchId], documentIds: ['Handbook'] });
    const { data, errors } = await kit.gql(
      `{ agent(id: ${id}) { name actions { name } documents { totalCount } shares { totalCount } owner { id: databaseId } } }`,
      {},
      limited,
    );
    expect(data.agent).toEqual({ name: 'Helper', actions: null, documents: null, shares: null, owner: null });
    expect(errors.map(({ extensions }) => extensions.code)).toEqual([
      'FORBIDDEN',
      'FORBIDDEN',
      'FORBIDDEN',
      'FORBIDDEN',
    ]);
    const { status, body } = await kit.rest('GET', `/api/persona/${id}`, { key: limited });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: 'Helper', tools: [], attached_documents: [], users: [], user_shares: [] });
    const whole = await kit.rest('GET', `/api/persona/${id}`, { key: ben.secret });
    expect(whole.body).toMatchObject({ tools: [{ id: searchId }], attached_documents: [{ id: 'Handbook' }] });
  });

  it('counts only documents of an agent that the caller can read', async () => {
    const id = await create(anna.secret, { isPublic: true, documentIds: ['Handbook'] });
    await kit.prisma.document.update({
      where: { externalId: 'Handbook' },
      data: { isPublic: false, ownerId: anna.userId },
    });
    const counted = async (key: string) => {
      const { body } = await kit.rest('GET', `/api/persona?persona_ids=${id}`, { key });
      return [body[0].attached_document_count, body[0].knowledge_sources];
    };
    expect(await counted(anna.secret)).toEqual([1, ['ingestion_api']]);
    expect(await counted(ben.secret)).toEqual([0, []]);
    await kit.prisma.document.update({ where: { externalId: 'Handbook' }, data: { isPublic: true, ownerId: null } });
  });
});

describe('the number of administrators', () => {
  it('counts active users with the role ADMIN, and requires `read:users`', async () => {
    const count = async (key?: string) =>
      (await kit.rest('GET', '/api/persona/0', key === undefined ? {} : { key })).body.admin_count;
    const before = await count();
    const { email } = await kit.person({ role: 'ADMIN' });
    await kit.person({ role: 'BASIC' });
    expect([await count(), await count(ben.secret)]).toEqual([before + 1, before + 1]);
    expect(await count(kit.keys.LIMITED)).toBe(0);
    for (const name of ['One', 'Another']) await create(anna.secret, { name, isPublic: true });
    const asked = '{ agents(first: 100) { nodes { administratorCount } } }';
    kit.statements.length = 0;
    const all = await kit.gql(asked);
    const counted = kit.statements.filter((text) => text.includes('COUNT(*)') && text.includes('"User"')).length;
    expect(all.data.agents.nodes.length).toBeGreaterThan(1);
    expect(counted).toBe(1);
    const limited = await kit.gql(asked, {}, kit.keys.LIMITED);
    expect(limited.errors[0]?.extensions).toMatchObject({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:users'],
    });
    expect(limited.data.agents.nodes[0]).toEqual({ administratorCount: null });
    await kit.rest('PATCH', '/api/manage/admin/deactivate-user', { body: { user_email: email } });
    expect(await count()).toBe(before);
  });
});

describe('lists of agents', () => {
  it('count all documents of an agent even if they read the sources of only the first 100', async () => {
    const owner = { ownerId: anna.userId, contentHash: new Uint8Array(32) };
    const agent = await kit.prisma.agent.create({
      data: {
        name: 'many documents',
        ownerId: anna.userId,
        documents: {
          create: Array.from({ length: 120 }, (_, i) => ({ externalId: `many-${i}`, title: `${i}`, ...owner })),
        },
      },
    });
    const { body } = await kit.rest('GET', `/api/persona?persona_ids=${agent.id}`, { key: anna.secret });
    expect(body).toMatchObject([{ attached_document_count: 120, knowledge_sources: ['ingestion_api'] }]);
    const whole = await kit.rest('GET', `/api/persona/${agent.id}`, { key: anna.secret });
    expect(whole.body.attached_documents).toHaveLength(120);
    const page = await kit.gql(
      `query ($id: ID!) { node(id: $id) { ... on Agent { documents(first: 100) { totalCount nodes { id } } } } }`,
      { id: Buffer.from(`Agent:${agent.id}`).toString('base64') },
      anna.secret,
    );
    expect(page.data.node.documents.totalCount).toBe(120);
    expect(page.data.node.documents.nodes).toHaveLength(100);
    await kit.prisma.agent.delete({ where: { id: agent.id } });
  });

  it('are ordered by display priority, then ID, without repetitions or gaps between pages', async () => {
    const last = await create(admin, { name: 'a' });
    const third = await create(admin, { name: 'b', displayPriority: 7 });
    const second = await create(admin, { name: 'c', displayPriority: 5 });
    const veryLast = await create(admin, { name: 'd' });
    const order = [0, second, third, last, veryLast];
    expect(await listed(admin)).toEqual(order);
    expect(await restListed(admin)).toEqual(order);
    const numbered: number[] = [];
    for (let page = 0; page < 3; page += 1) {
      const { body } = await kit.rest('GET', `/api/agents?page_num=${page}&page_size=2`);
      expect(body.total_items).toBe(5);
      numbered.push(...body.items.map(({ id }: { id: number }) => id));
    }
    expect(numbered).toEqual(order);
    const walked: number[] = [];
    let after: string | null = null;
    do {
      const answer: Awaited<ReturnType<Kit['gql']>> = await kit.gql(
        'query ($after: String) { agents(first: 2, after: $after) { nodes { databaseId } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      walked.push(...answer.data.agents.nodes.map(({ databaseId }: { databaseId: number }) => databaseId));
      after = answer.data.agents.pageInfo.hasNextPage ? answer.data.agents.pageInfo.endCursor : null;
    } while (after);
    expect(walked).toEqual(order);
  });

  it('apply their parameters and reject invalid ones with 422', async () => {
    const [one, two, three] = [
      await create(anna.secret, { name: 'one' }),
      await create(anna.secret, { name: 'two', isPublic: true }),
      await create(ben.secret, { name: 'three', isPublic: true }),
    ];
    expect(await restListed(anna.secret, '/api/agents?include_default=false')).toEqual([one, two, three]);
    expect(await restListed(anna.secret, '/api/agents?get_editable=true')).toEqual([one, two]);
    expect(await restListed(anna.secret, `/api/persona?persona_ids=${one}&persona_ids=${three}`)).toEqual([one, three]);
    expect(await restListed(ben.secret, `/api/persona?persona_ids=${one}&persona_ids=${three}`)).toEqual([three]);
    expect(await restListed(anna.secret, `/api/persona?persona_ids=${one}`)).toEqual([one]);
    for (const query of ['page_num=-1', 'page_size=0', 'page_size=1001', 'page_size=x', 'include_deleted=maybe'])
      expect((await kit.rest('GET', `/api/agents?${query}`)).status).toBe(422);
  });

  it('of all users’ agents are available only to callers who can manage agents', async () => {
    const id = await create(anna.secret, { userIds: [ben.userId] });
    expect(await listed(admin, {}, 'allAgents')).toEqual([0, id]);
    const { body } = await kit.rest('GET', '/api/admin/persona');
    expect(body[1]).toMatchObject({ id, users: [{ id: ben.userId }], owner: { id: anna.userId }, system_prompt: '' });
    const page = await kit.rest('GET', '/api/admin/agents?page_size=1&page_num=1');
    expect(page.body).toMatchObject({ items: [{ id }], total_items: 2 });
    for (const key of [anna.secret, limited]) {
      expect(codes(await kit.gql('{ allAgents { totalCount } }', {}, key))).toEqual(['FORBIDDEN']);
      for (const path of ['/api/admin/persona', '/api/admin/agents'])
        expect(await kit.rest('GET', path, { key })).toMatchObject({ status: 403, body: lacking });
    }
  });

  it('execute the same number of statements for any number of agents', async () => {
    const counted = async () => {
      kit.statements.length = 0;
      const { status } = await kit.rest('GET', '/api/admin/persona');
      expect(status).toBe(200);
      return kit.statements.length;
    };
    const some = { userIds: [ben.userId], documentIds: ['Handbook'], actionIds: [searchId] };
    await create(anna.secret, { ...some, name: 'first' });
    await counted();
    const few = await counted();
    for (let number = 0; number < 5; number += 1) await create(anna.secret, { ...some, name: `agent ${number}` });
    expect(await counted()).toBe(few);
  });
});

describe('changing an agent', () => {
  it('keeps optional fields that a REST body omits or sets to null', async () => {
    const id = await create(anna.secret, {
      userIds: [ben.userId],
      isPublic: true,
      starterMessages: [{ name: 'a', message: 'b' }],
      actionIds: [searchId],
      documentIds: ['Handbook'],
      iconName: 'star',
      knowledge: 'ATTACHED',
    });
    await mutate('curateAgent', { agent: { id: id }, isFeatured: true, displayPriority: 4 }, admin);
    const patch = (body: object) => kit.rest('PATCH', `/api/persona/${id}`, { key: anna.secret, body });
    const kept = {
      name: 'Renamed',
      starter_messages: [{ name: 'a', message: 'b' }],
      tools: [],
      document_ids: ['Handbook'],
      icon_name: 'star',
      is_public: true,
      is_featured: true,
      display_priority: 4,
      users: [{ id: ben.userId }],
      replace_base_system_prompt: true,
    };
    const options = ['starter_messages', 'document_ids', 'user_file_ids', 'label_ids', 'icon_name', 'users'];
    const more = ['is_featured', 'display_priority', 'is_public', 'search_start_date', 'replace_base_system_prompt'];
    const nulls = Object.fromEntries([...options, ...more].map((field) => [field, null]));
    for (const optional of [{ replace_base_system_prompt: true }, {}, nulls]) {
      const { status, body } = await patch(upsert({ name: 'Renamed', tool_ids: [], ...optional }));
      expect(status).toBe(200);
      expect(body).toMatchObject(kept);
    }
    const emptied = { starter_messages: [], document_ids: [], users: [], clear: ['icon_name', 'search_start_date'] };
    expect((await patch(upsert({ tool_ids: [], ...emptied }))).body).toMatchObject({
      starter_messages: [],
      document_ids: [],
      users: [],
      icon_name: null,
    });
    // An agent that searched only its own documents does not start to search all documents when its last document is
    // removed.
    expect(await kit.prisma.agent.findUnique({ where: { id } })).toMatchObject({ knowledge: 'ATTACHED' });
  });

  it('changes only the given fields over GraphQL', async () => {
    const id = await create(anna.secret, { description: 'stays', systemPrompt: 'goes' });
    const { data } = await mutate(
      'updateAgent',
      { agent: { id: id }, systemPrompt: 'comes' },
      anna.secret,
      'agent { name description systemPrompt }',
    );
    expect(data.updateAgent.agent).toEqual({ name: 'Helper', description: 'stays', systemPrompt: 'comes' });
  });

  it('is allowed for the owner, editors and administrators, and rejected for other callers', async () => {
    const id = await create(anna.secret);
    const body = upsert({ name: 'Taken over' });
    const refused = async (key: string) => {
      await unchanged(async () => {
        expect(await kit.rest('PATCH', `/api/persona/${id}`, { key, body })).toMatchObject({
          status: 403,
          body: unreachable(id),
        });
      });
    };
    await refused(ben.secret);
    expect(codes(await mutate('updateAgent', { agent: { id: id }, name: 'x' }, ben.secret))).toEqual(['NOT_FOUND']);
    await mutate('shareAgent', { agent: { id: id }, shares: [{ userId: ben.userId }] }, anna.secret);
    await refused(ben.secret);
    expect(codes(await mutate('updateAgent', { agent: { id: id }, name: 'x' }, ben.secret))).toEqual(['FORBIDDEN']);
    const missing = await kit.rest('PATCH', `/api/persona/${unknownId}`, { key: ben.secret, body });
    expect([missing.status, missing.body]).toEqual([403, unreachable(unknownId)]);
    await mutate(
      'shareAgent',
      { agent: { id: id }, shares: [{ userId: ben.userId, permission: 'EDITOR' }] },
      anna.secret,
    );
    const edited = await kit.rest('PATCH', `/api/persona/${id}`, { key: ben.secret, body });
    expect(edited.body).toMatchObject({ name: 'Taken over', user_permission: 'EDITOR' });
    expect(edited.body.permissions).toMatchObject({ edit: true, share: false, delete: false, publish: false });
    expect((await kit.rest('PATCH', `/api/persona/${id}`, { body: upsert() })).status).toBe(200);
    await unchanged(async () => {
      expect(await kit.rest('PATCH', `/api/persona/${id}`, { key: limited, body })).toMatchObject({
        status: 403,
        body: lacking,
      });
      expect(codes(await mutate('updateAgent', { agent: { id: id }, name: 'x' }, limited))).toEqual(['FORBIDDEN']);
    });
  });

  it('does not allow an editor to publish the agent or change its shares', async () => {
    const id = await create(anna.secret);
    await mutate(
      'shareAgent',
      { agent: { id: id }, shares: [{ userId: ben.userId, permission: 'EDITOR' }] },
      anna.secret,
    );
    await unchanged(async () => {
      for (const change of [{ is_public: true }, { users: [] }])
        expect(await kit.rest('PATCH', `/api/persona/${id}`, { key: ben.secret, body: upsert(change) })).toMatchObject({
          status: 403,
          body: unreachable(id),
        });
      for (const change of [{ isPublic: true }, { userIds: [] }])
        expect(codes(await mutate('updateAgent', { agent: { id: id }, ...change }, ben.secret))).toEqual(['FORBIDDEN']);
    });
    const same = await kit.rest('PATCH', `/api/persona/${id}`, { key: ben.secret, body: upsert({ is_public: false }) });
    expect(same.status).toBe(200);
  });

  it('keeps an editor’s permission when the owner sends the same users again', async () => {
    const id = await create(anna.secret);
    await mutate(
      'shareAgent',
      { agent: { id: id }, shares: [{ userId: ben.userId, permission: 'EDITOR' }] },
      anna.secret,
    );
    const { body } = await kit.rest('PATCH', `/api/persona/${id}`, {
      key: anna.secret,
      body: upsert({ users: [ben.userId] }),
    });
    const email = expect.stringContaining('@');
    expect(body.user_shares).toEqual([
      { user: { id: ben.userId, email }, user_id: ben.userId, email, permission: 'EDITOR' },
    ]);
    const cleared = await kit.rest('PATCH', `/api/persona/${id}`, { key: anna.secret, body: upsert({ users: [] }) });
    expect(cleared.body).toMatchObject({ users: [], sharing_status: 'PRIVATE' });
  });

  it('allows only administrators to feature an agent, under the old and the new field name', async () => {
    const id = await create(anna.secret);
    await unchanged(async () => {
      expect(
        await kit.rest('PATCH', `/api/persona/${id}`, { key: anna.secret, body: upsert({ is_featured: true }) }),
      ).toMatchObject({
        status: 400,
        body: { detail: 'Only users with agent management permissions can make a featured persona' },
      });
      for (const key of [anna.secret, limited]) {
        const asked = {
          key,
          body: { is_featured: true, is_default_persona: true, is_listed: false, is_visible: false },
        };
        for (const path of ['featured', 'default', 'listed', 'visible'])
          expect(await kit.rest('PATCH', `/api/admin/persona/${id}/${path}`, asked)).toMatchObject({
            status: 403,
            body: lacking,
          });
        expect(codes(await mutate('curateAgent', { agent: { id: id }, isFeatured: true }, key))).toEqual(['FORBIDDEN']);
      }
    });
    await kit.rest('PATCH', `/api/admin/persona/${id}/featured`, { body: { is_featured: true } });
    expect((await kit.rest('GET', `/api/persona/${id}`)).body).toMatchObject({ is_featured: true });
    await kit.rest('PATCH', `/api/admin/persona/${id}/default`, { body: { is_default_persona: false } });
    expect((await kit.rest('GET', `/api/persona/${id}`)).body).toMatchObject({ is_default_persona: false });
    expect(
      await kit.rest('PATCH', `/api/admin/persona/${unknownId}/featured`, { body: { is_featured: true } }),
    ).toMatchObject({ status: 403, body: unreachable(unknownId) });
    expect((await kit.rest('PATCH', `/api/admin/persona/${id}/featured`, { body: {} })).status).toBe(422);
  });

  it('does not allow the built-in agent to be renamed', async () => {
    const refused = await unchanged(() => kit.rest('PATCH', '/api/persona/0', { body: upsert({ name: 'Mine' }) }));
    expect(refused).toMatchObject({
      status: 400,
      body: { detail: 'Cannot update builtin persona with non-builtin.' },
    });
    expect(await kit.rest('PATCH', '/api/persona/0', { key: anna.secret, body: upsert() })).toMatchObject({
      status: 403,
      body: unreachable(0),
    });
  });
});

describe('sharing an agent', () => {
  it('replaces the shares in the old and the new body format', async () => {
    const id = await create(anna.secret);
    const share = (body: object, key = anna.secret) => kit.rest('PATCH', `/api/persona/${id}/share`, { key, body });
    const people = async () => (await kit.rest('GET', `/api/persona/${id}`, { key: anna.secret })).body.user_shares;
    expect(await share({ user_ids: [ben.userId] })).toMatchObject({ status: 200, body: null });
    expect(await people()).toMatchObject([{ user_id: ben.userId, permission: 'VIEWER' }]);
    await share({ user_shares: [{ user_id: ben.userId, permission: 'EDITOR' }] });
    expect(await people()).toMatchObject([{ permission: 'EDITOR' }]);
    await share({ user_ids: [ben.userId] });
    expect(await people()).toMatchObject([{ permission: 'EDITOR' }]);
    await share({ is_public: true });
    expect(await people()).toHaveLength(1);
    await share({ user_ids: [], is_public: false });
    expect(await people()).toEqual([]);
    expect(await restListed(ben.secret)).not.toContain(id);
  });

  it('returns each user with their permission, and a public permission that is never null', async () => {
    const id = await create(anna.secret);
    await kit.rest('PATCH', `/api/persona/${id}/share`, { key: anna.secret, body: { user_ids: [ben.userId] } });
    const { body } = await kit.rest('GET', `/api/persona/${id}`, { key: anna.secret });
    const email = body.users[0].email;
    expect(body.user_shares).toEqual([
      { user: { id: ben.userId, email }, user_id: ben.userId, email, permission: 'VIEWER' },
    ]);
    expect([body.sharing_status, body.public_permission]).toEqual(['SHARED', 'VIEWER']);
  });

  it('rejects groups, unknown users and a body with both formats', async () => {
    const id = await create(anna.secret);
    const share = (body: object) => kit.rest('PATCH', `/api/persona/${id}/share`, { key: anna.secret, body });
    await unchanged(async () => {
      const noGroups = { status: 400, body: { detail: 'This server has no groups to share an agent with.' } };
      expect(await share({ group_ids: [1] })).toMatchObject(noGroups);
      expect(await share({ group_shares: [{ group_id: 1, permission: 'VIEWER' }] })).toMatchObject(noGroups);
      expect(await share({ user_ids: ['00000000-0000-4000-8000-000000000000'] })).toMatchObject({
        status: 400,
        body: { detail: 'Some users were not found' },
      });
      expect((await share({ user_ids: [], user_shares: [] })).status).toBe(422);
      expect((await share({ group_ids: [], group_shares: [] })).status).toBe(422);
      expect((await share({ public_permission: 'EDITOR' })).status).toBe(422);
    });
    expect((await share({ group_ids: [], public_permission: 'VIEWER', is_public: true })).status).toBe(200);
  });

  it('is rejected, like publishing, for another user, an editor and a limited key, and changes no data', async () => {
    const id = await create(anna.secret);
    const body = { is_public: true, user_ids: [ben.userId] };
    const refuse = async (key: string, expected: object, code: string) =>
      unchanged(async () => {
        for (const path of ['share', 'public'])
          expect(await kit.rest('PATCH', `/api/persona/${id}/${path}`, { key, body })).toMatchObject({
            status: 403,
            body: expected,
          });
        expect(codes(await mutate('shareAgent', { agent: { id: id }, isPublic: true }, key))).toEqual([code]);
      });
    await refuse(ben.secret, unreachable(id), 'NOT_FOUND');
    await refuse(limited, lacking, 'FORBIDDEN');
    await mutate(
      'shareAgent',
      { agent: { id: id }, shares: [{ userId: ben.userId, permission: 'EDITOR' }] },
      anna.secret,
    );
    await refuse(ben.secret, unreachable(id), 'FORBIDDEN');
    expect(
      await kit.rest('PATCH', `/api/persona/${id}/public`, { key: anna.secret, body: { is_public: true } }),
    ).toMatchObject({ status: 200, body: null });
    expect(await restListed(limited)).toContain(id);
    expect((await kit.rest('PATCH', `/api/persona/${id}/public`, { body: { is_public: false } })).status).toBe(200);
    expect(await restListed(limited)).not.toContain(id);
  });
});

describe('deleting an agent', () => {
  const refusal = { error_code: 'INSUFFICIENT_PERMISSIONS', detail: 'You can only delete agents you created.' };

  it('hides the agent until an administrator restores it', async () => {
    const id = await create(anna.secret, { isPublic: true });
    expect(await kit.rest('DELETE', `/api/persona/${id}`, { key: anna.secret })).toMatchObject({
      status: 200,
      body: null,
    });
    for (const key of [anna.secret, ben.secret]) {
      expect(await restListed(key)).not.toContain(id);
      expect((await kit.rest('GET', `/api/persona/${id}`, { key })).status).toBe(400);
    }
    expect(await restListed(admin, '/api/admin/persona')).not.toContain(id);
    expect(await restListed(admin, '/api/admin/persona?include_deleted=true')).toContain(id);
    expect(await restListed(anna.secret, '/api/persona?include_deleted=true')).toContain(id);
    expect(await restListed(ben.secret, '/api/persona?include_deleted=true')).not.toContain(id);
    const { data } = await kit.gql(`{ agent(id: ${id}) { viewerCan } }`);
    expect(data.agent.viewerCan).toEqual([]);
    await unchanged(async () => {
      for (const key of [anna.secret, limited]) {
        expect(await kit.rest('PATCH', `/api/admin/persona/${id}/undelete`, { key })).toMatchObject({
          status: 403,
          body: lacking,
        });
        expect(codes(await mutate('undeleteAgent', { agent: { id: id } }, key))).toEqual(['FORBIDDEN']);
      }
    });
    expect(await kit.rest('PATCH', `/api/admin/persona/${id}/undelete`)).toMatchObject({ status: 200, body: null });
    expect(await restListed(ben.secret)).toContain(id);
    for (const other of [id, unknownId])
      expect(await kit.rest('PATCH', `/api/admin/persona/${other}/undelete`)).toMatchObject({
        status: 400,
        body: { message: `Persona with ID ${other} is not deleted.` },
      });
  });

  it('is rejected for callers other than the owner or an administrator with the same error as for an unknown ID', async () => {
    const id = await create(anna.secret);
    const shared = await create(anna.secret, { name: 'Shared', isPublic: true });
    await unchanged(async () => {
      for (const other of [id, shared, unknownId, 0])
        expect(await kit.rest('DELETE', `/api/persona/${other}`, { key: ben.secret })).toMatchObject({
          status: 403,
          body: refusal,
        });
      expect((await kit.rest('DELETE', '/api/persona/0')).status).toBe(403);
      expect(await kit.rest('DELETE', `/api/persona/${shared}`, { key: limited })).toMatchObject({
        status: 403,
        body: lacking,
      });
      expect(codes(await mutate('deleteAgent', { agent: { id: id } }, ben.secret))).toEqual(['NOT_FOUND']);
      expect(codes(await mutate('deleteAgent', { agent: { id: shared } }, ben.secret))).toEqual(['FORBIDDEN']);
      expect(codes(await mutate('deleteAgent', { agent: { id: 0 } }, admin))).toEqual(['FORBIDDEN']);
    });
    expect((await kit.rest('DELETE', `/api/persona/${id}`)).status).toBe(200);
  });

  it('frees its name, and restoring it is rejected when another agent has the name', async () => {
    const id = await create(anna.secret);
    await mutate('deleteAgent', { agent: { id: id } }, anna.secret);
    await create(anna.secret);
    await unchanged(async () => {
      expect(await kit.rest('PATCH', `/api/admin/persona/${id}/undelete`)).toMatchObject({
        status: 400,
        body: { detail: "Assistant with name 'Helper' already exists. Please rename your assistant." },
      });
      expect(codes(await mutate('undeleteAgent', { agent: { id: id } }, admin))).toEqual(['CONFLICT']);
    });
  });
});

describe('labels', () => {
  it('can be created once per name and listed by other users', async () => {
    const made = await kit.rest('POST', '/api/persona/labels', { key: anna.secret, body: { name: 'Law' } });
    expect(made).toMatchObject({ status: 200, body: { id: expect.any(Number), name: 'Law' } });
    expect(await kit.rest('GET', '/api/persona/labels', { key: ben.secret })).toMatchObject({
      status: 200,
      body: [made.body],
    });
    await unchanged(async () => {
      expect(await kit.rest('POST', '/api/persona/labels', { key: ben.secret, body: { name: 'Law' } })).toMatchObject({
        status: 400,
        body: { detail: "Label with name 'Law' already exists" },
      });
      expect(codes(await mutate('createLabel', { name: ' Law ' }, ben.secret, 'label { name }'))).toEqual(['CONFLICT']);
      expect((await kit.rest('POST', '/api/persona/labels', { key: ben.secret, body: { name: ' ' } })).status).toBe(
        400,
      );
    });
  });

  it('are forbidden for a limited key', async () => {
    await unchanged(async () => {
      const answers: Answer[] = [
        await kit.rest('GET', '/api/persona/labels', { key: limited }),
        await kit.rest('POST', '/api/persona/labels', { key: limited, body: { name: 'Law' } }),
      ];
      for (const answer of answers) expect(answer).toMatchObject({ status: 403, body: lacking });
      expect(codes(await kit.gql('{ labels { totalCount } }', {}, limited))).toEqual(['FORBIDDEN']);
      expect(codes(await mutate('createLabel', { name: 'Law' }, limited, 'label { name }'))).toEqual(['FORBIDDEN']);
    });
  });
});

describe('tools', () => {
  it('are listed and found by ID', async () => {
    const { status, body } = await kit.rest('GET', '/api/tool', { key: anna.secret });
    expect(status).toBe(200);
    expect(body).toContainEqual({
      id: searchId,
      name: 'internal_search',
      description: expect.any(String),
      definition: null,
      display_name: 'Search',
      in_code_tool_id: 'SearchTool',
      custom_headers: null,
      passthrough_auth: false,
      mcp_server_id: null,
      user_id: null,
      oauth_config_id: null,
      oauth_config_name: null,
      enabled: true,
      permissions: {},
      chat_selectable: true,
      agent_creation_selectable: true,
      default_enabled: false,
    });
    expect((await kit.rest('GET', `/tool/${searchId}`, { key: anna.secret })).body).toMatchObject({ id: searchId });
    expect((await kit.rest('GET', '/api/tool/openapi', { key: anna.secret })).body).toEqual([]);
    expect(await kit.rest('GET', `/api/tool/${unknownId}`, { key: anna.secret })).toMatchObject({
      status: 404,
      body: { detail: 'Tool by specified id does not exist' },
    });
    const { data } = await kit.gql('{ actions { nodes { databaseId builtinKey } } }', {}, anna.secret);
    expect(data.actions.nodes).toContainEqual({ databaseId: searchId, builtinKey: 'SearchTool' });
  });

  it('are forbidden for a limited key', async () => {
    for (const path of ['/api/tool', `/api/tool/${searchId}`, `/api/tool/${unknownId}`, '/api/tool/openapi'])
      expect(await kit.rest('GET', path, { key: limited })).toMatchObject({ status: 403, body: lacking });
    expect(codes(await kit.gql('{ actions { totalCount } }', {}, limited))).toEqual(['FORBIDDEN']);
  });
});
