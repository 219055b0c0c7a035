import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, returned, startKit } from '../../../test/kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

const create = (body: object, key?: string | null) =>
  kit.rest('POST', '/api/v1/embed/new', { body, ...(key !== undefined && { key }) });
const made = async (body: object = {}) => {
  const answer = await create({ workspace_slug: 'default', ...body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.embed as { id: number; uuid: string } & Record<string, unknown>;
};
const update = (uuid: string, body: object) => kit.rest('POST', `/api/v1/embed/${uuid}`, { body });
const stored = (uuid: string) =>
  kit.prisma.embed.findUniqueOrThrow({ where: { uuid }, include: { user: { include: { tokens: true } } } });
const ask = (uuid: string, sessionId: string, message = 'Hello') =>
  kit.rest('POST', `/api/embed/${uuid}/stream-chat`, { key: null, body: { sessionId, message } });

async function privateAgent(name: string): Promise<{ id: number; slug: string }> {
  const { data } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId slug } } }',
    {
      input: { name, isPublic: false },
    },
  );
  return { id: data.createAgent.agent.databaseId, slug: data.createAgent.agent.slug };
}

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const noKey = [403, '{"error":"No valid api key found."}'];
const lacks = (permission: string) => [403, `{"error":"This credential lacks \`${permission}\`."}`];
const told = ({ status, text }: Answer) => [status, text];

describe('permissions', () => {
  test('callers without the permission read and change no data', async () => {
    const { uuid } = await made();
    const rows: [string, string, object | undefined, string][] = [
      ['GET', '/api/v1/embed', undefined, 'manage:agents'],
      ['GET', `/api/v1/embed/${uuid}/chats`, undefined, 'read:query_history'],
      ['GET', `/api/v1/embed/${uuid}/chats/${randomUUID()}`, undefined, 'read:query_history'],
      ['POST', '/api/v1/embed/new', { workspace_slug: 'default' }, 'manage:agents'],
      ['POST', `/api/v1/embed/${uuid}`, { enabled: false }, 'manage:agents'],
      ['DELETE', `/api/v1/embed/${uuid}`, undefined, 'manage:agents'],
    ];
    const fields: [string, ...string[]][] = [
      ['{ embeds { nodes { uuid } } }', 'manage:agents'],
      [`{ embed(id: "${uuid}") { uuid } }`, 'manage:agents'],
      [`{ embedChats(filter: { embedId: "${uuid}" }) { nodes { question } } }`, 'read:query_history', 'manage:agents'],
      ['mutation { createEmbed(input: { agent: { slug: "default" } }) { embed { uuid } } }', 'manage:agents'],
      [`mutation { updateEmbed(input: { id: "${uuid}", enabled: false }) { embed { uuid } } }`, 'manage:agents'],
      [`mutation { deleteEmbed(input: { id: "${uuid}" }) { deletedEmbedId } }`, 'manage:agents'],
    ];
    await unchanged(async () => {
      for (const [method, path, body, permission] of rows) {
        expect(told(await kit.rest(method, path, { key: null, body })), path).toEqual(noKey);
        for (const key of [kit.keys.LIMITED, kit.keys.BASIC])
          expect(told(await kit.rest(method, path, { key, body })), path).toEqual(lacks(permission));
      }
      for (const [query, ...permissions] of fields) {
        const stranger = await kit.gql(query, {}, null);
        expect([...returned(stranger.data), stranger.errors[0]?.extensions.code]).toEqual(['UNAUTHENTICATED']);
        for (const key of [kit.keys.LIMITED, kit.keys.BASIC]) {
          const { data, errors } = await kit.gql(query, {}, key);
          expect(returned(data)).toEqual([]);
          expect(errors[0]?.extensions).toEqual({
            code: 'FORBIDDEN',
            reason: 'MISSING_PERMISSION',
            requiredPermissions: permissions,
          });
        }
      }
    });
  });

  test('reading the chats of visitors requires both `read:query_history` and `manage:agents`', async () => {
    const { uuid } = await made();
    for (const scope of ['manage:agents', 'read:query_history']) {
      const { secret } = await kit.createKey('ADMIN', { scopes: [scope, 'read:agents'] });
      const missing = scope === 'manage:agents' ? 'read:query_history' : 'manage:agents';
      expect(told(await kit.rest('GET', `/api/v1/embed/${uuid}/chats`, { key: secret }))).toEqual(lacks(missing));
    }
  });
});

describe('creating and changing a widget', () => {
  test('returns the documented fields of a new widget', async () => {
    const embed = await made({
      chat_mode: 'chat',
      allowlist_domains: 'example.com, https://Shop.example:8443/,http://localhost:3000,example.com,',
      allow_model_override: true,
      allow_prompt_override: 'yes',
      max_chats_per_day: '100',
      max_chats_per_session: 2.9,
      message_limit: 7,
      unknown: 1,
    });
    expect(embed).toEqual({
      id: expect.any(Number),
      uuid: expect.stringMatching(/^[\da-f-]{36}$/),
      enabled: true,
      chat_mode: 'chat',
      allowlist_domains: '["https://example.com","https://shop.example:8443","http://localhost:3000"]',
      allow_model_override: true,
      allow_temperature_override: false,
      allow_prompt_override: false,
      max_chats_per_day: 100,
      max_chats_per_session: 2,
      message_limit: 7,
      workspace_id: 2147483647,
      createdBy: expect.any(Number),
      usersId: null,
      createdAt: expect.stringMatching(/Z$/),
    });
    const { embeds } = (await kit.rest('GET', '/api/v1/embed')).body;
    expect(embeds.find(({ uuid }: { uuid: string }) => uuid === embed.uuid)).toEqual({
      id: embed.id,
      uuid: embed.uuid,
      enabled: true,
      chat_mode: 'chat',
      createdAt: embed.createdAt,
      workspace: { id: 2147483647, name: 'Assistant' },
      chat_count: 0,
    });
  });

  test.each([
    [
      { allowlist_domains: ['a.example', 'https://b.example'] },
      'allowlist_domains',
      '["https://a.example","https://b.example"]',
    ],
    [{ allowlist_domains: [] }, 'allowlist_domains', null],
    [{ allowlist_domains: '' }, 'allowlist_domains', null],
    [{ allowlist_domains: null }, 'allowlist_domains', null],
    [{ chat_mode: 'automatic' }, 'chat_mode', 'automatic'],
    [{ chat_mode: 'other' }, 'chat_mode', 'query'],
    [{ chat_mode: 5 }, 'chat_mode', 'query'],
    [{ max_chats_per_day: 0 }, 'max_chats_per_day', null],
    [{ max_chats_per_day: -3 }, 'max_chats_per_day', null],
    [{ max_chats_per_day: 'many' }, 'max_chats_per_day', null],
    [{ max_chats_per_day: 1e12 }, 'max_chats_per_day', 0x7fff_ffff],
    [{ message_limit: null }, 'message_limit', null],
    [{ allow_temperature_override: 1 }, 'allow_temperature_override', false],
  ])('accepts or replaces the value in %j', async (body, field, value) => {
    expect((await made(body))[field]).toEqual(value);
  });

  test.each([
    [{}, 400, '{"error":"Workspace slug is required"}'],
    [{ workspace_slug: '' }, 400, '{"error":"Workspace slug is required"}'],
    [{ workspace_slug: 7 }, 400, '{"error":"Workspace slug is required"}'],
    [{ workspace_slug: 'nothing-of-the-kind' }, 404, '{"error":"Workspace not found"}'],
    [{ workspace_slug: 'a\0b' }, 400, expect.stringContaining('error')],
  ])('rejects a missing, invalid or unknown workspace: %j', async (body, status, text) => {
    await unchanged(async () => expect(told(await create(body))).toEqual([status, text]));
  });

  test.each([
    ['https://'],
    [','],
    ['not an origin'],
    ['https://a.example/page'],
    ['ftp://a.example'],
    ['*'],
    ['*.a.example'],
    ['https://u:p@a.example'],
    [['a.example', 5]],
    [{}],
    [7],
  ])('rejects an invalid list of origins: %j', async (allowlist_domains) => {
    const { uuid } = await made();
    await unchanged(async () => {
      const answers = [
        await create({ workspace_slug: 'default', allowlist_domains }),
        await update(uuid, { allowlist_domains }),
      ];
      for (const answer of answers) {
        expect(answer.status).toBe(400);
        expect(answer.body.error).toContain('allow');
      }
    });
  });

  test('keeps the fields that the change does not contain', async () => {
    const { uuid } = await made({ chat_mode: 'chat', allowlist_domains: 'a.example', max_chats_per_day: 5 });
    const { id, slug } = await privateAgent('Another agent');
    expect((await update(uuid, { workspace_id: id, max_chats_per_day: 0, enabled: false })).body).toEqual({
      success: true,
      error: null,
    });
    const { data } = await kit.gql(
      `{ embed(id: "${uuid}") { enabled chatMode allowedOrigins maxChatsPerDay agentDatabaseId agentName agent { slug } createdBy { name } } }`,
    );
    expect(data.embed).toEqual({
      enabled: false,
      chatMode: 'CHAT',
      allowedOrigins: ['https://a.example'],
      maxChatsPerDay: null,
      agentDatabaseId: id,
      agentName: 'Another agent',
      agent: { slug },
      createdBy: { name: 'First admin key' },
    });
  });

  test('returns an empty object for an empty change, and 404 for an unknown widget', async () => {
    const { uuid } = await made();
    await unchanged(async () => {
      expect(told(await update(uuid, {}))).toEqual([200, '{}']);
      expect(told(await update(uuid, { workspace_slug: 'x', unknown: true }))).toEqual([200, '{}']);
      for (const id of [randomUUID(), 'none', '%00']) {
        expect(told(await update(id, { enabled: false }))).toEqual([404, '{"error":"Embed not found"}']);
        expect(told(await kit.rest('DELETE', `/api/v1/embed/${id}`))).toEqual([404, '{"error":"Embed not found"}']);
        expect(told(await kit.rest('GET', `/api/v1/embed/${id}/chats`))).toEqual([200, '{"chats":[]}']);
        expect(told(await kit.rest('GET', `/api/v1/embed/${uuid}/chats/${id}`))).toEqual([200, '{"chats":[]}']);
      }
      expect(told(await update(uuid, { workspace_id: 999_999 }))).toEqual([404, '{"error":"Workspace not found"}']);
      expect((await update(uuid, { workspace_id: 'x' })).status).toBe(400);
    });
  });

  test.each([
    ['maxChatsPerDay: 0', 'input.maxChatsPerDay'],
    ['messageLimit: 1001', 'input.messageLimit'],
    ['allowedOrigins: ["a.example", "no origin"]', 'input.allowedOrigins.1'],
    ['agent: { id: "RW1iZWQ6MQ==" }', 'input.agent.id'],
    ['agent: { slug: "a\\u0000b" }', 'input.agent.slug'],
  ])('GraphQL names the invalid field for %s', async (change, path) => {
    const { uuid } = await made();
    await unchanged(async () => {
      const { errors } = await kit.gql(
        `mutation { updateEmbed(input: { id: "${uuid}", ${change} }) { embed { uuid } } }`,
      );
      expect(errors[0]?.extensions.fields.map((field: { path: string[] }) => field.path.join('.'))).toEqual([path]);
    });
  });

  test('records each change in the audit trail', async () => {
    const { uuid } = await made();
    await update(uuid, { enabled: false });
    await kit.rest('DELETE', `/api/v1/embed/${uuid}`);
    const events = await kit.prisma.auditEvent.findMany({ where: { targetId: uuid }, orderBy: { id: 'asc' } });
    expect(events.map(({ action, actorName }) => [action, actorName])).toEqual(
      ['embed.create', 'embed.update', 'embed.delete'].map((action) => [action, 'First admin key']),
    );
  });
});

describe('the account of a widget’s visitors', () => {
  test('is a limited service account that appears in no list', async () => {
    const agent = await privateAgent('Hidden account');
    const { uuid } = await made({ workspace_slug: agent.slug });
    const { user } = await stored(uuid);
    expect(user).toMatchObject({ role: 'LIMITED', accountType: 'SERVICE_ACCOUNT', passwordHash: null });
    expect(user.tokens).toMatchObject([{ kind: 'EMBED', allScopes: false, scopes: ['write:chat', 'read:agents'] }]);
    const { data } = await kit.gql(`{
      apiKeys(first: 100) { nodes { user { databaseId } } }
      users(first: 100, filter: { accountTypes: [STANDARD, SERVICE_ACCOUNT] }) { nodes { databaseId } }
      allUsers(first: 100, filter: { accountTypes: [STANDARD, SERVICE_ACCOUNT] }) { nodes { databaseId } }
      agent(id: ${agent.id}) { shares { totalCount nodes { user { databaseId } } } }
    }`);
    expect(data.allUsers.nodes.length).toBeGreaterThan(0);
    expect(JSON.stringify(data)).not.toContain(user.id);
  });

  test('keeps access to the agent when it is shared with other users, and cannot be the target of a share', async () => {
    const agent = await privateAgent('Shared with others');
    const { uuid } = await made({ workspace_slug: agent.slug, chat_mode: 'chat' });
    const { userId } = await stored(uuid);
    const { userId: other } = await kit.createKey('BASIC');
    const share = (ids: string[]) =>
      kit.gql(
        `mutation ($ids: [AgentShareInput!]) { shareAgent(input: { agent: { id: ${agent.id} }, shares: $ids }) { agent { databaseId } } }`,
        { ids: ids.map((id) => ({ userId: id })) },
      );
    expect((await share([other])).errors).toEqual([]);
    expect((await ask(uuid, randomUUID())).status).toBe(200);
    expect((await share([userId])).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test('is deleted with the widget, together with all chats', async () => {
    const { uuid } = await made({ chat_mode: 'chat' });
    const { userId } = await stored(uuid);
    expect((await ask(uuid, randomUUID())).status).toBe(200);
    await kit.booted.background.settled();
    expect(await kit.prisma.chatSession.count({ where: { userId } })).toBe(1);
    expect((await kit.rest('DELETE', `/api/v1/embed/${uuid}`)).body).toEqual({ success: true, error: null });
    expect(await kit.prisma.chatSession.count({ where: { userId } })).toBe(0);
    expect(await kit.prisma.token.count({ where: { userId } })).toBe(0);
    expect(await kit.prisma.user.count({ where: { id: userId } })).toBe(0);
    expect((await ask(uuid, randomUUID())).status).toBe(404);
  });

  test('cannot send messages once its token is revoked, disabled or expired, or the account is deactivated', async () => {
    const { uuid } = await made({ chat_mode: 'chat' });
    const { userId } = await stored(uuid);
    for (const [broken, mended] of [
      [{ revokedAt: new Date() }, { revokedAt: null }],
      [{ disabledAt: new Date() }, { disabledAt: null }],
      [{ expiresAt: new Date(Date.now() - 1) }, { expiresAt: null }],
    ]) {
      await kit.prisma.token.updateMany({ where: { userId }, data: broken as object });
      expect((await ask(uuid, randomUUID())).status).toBe(404);
      await kit.prisma.token.updateMany({ where: { userId }, data: mended as object });
    }
    await kit.prisma.user.update({ where: { id: userId }, data: { active: false } });
    expect((await ask(uuid, randomUUID())).status).toBe(404);
  });
});

describe('GraphQL', () => {
  const exchange = async (uuid: string, message: string) => {
    expect((await ask(uuid, randomUUID(), message)).status).toBe(200);
    await kit.booted.background.settled();
  };

  test('names a widget by its global ID, its integer ID and its UUID', async () => {
    const { id, uuid } = await made();
    const global = Buffer.from(`Embed:${id}`).toString('base64');
    for (const each of [global, String(id), uuid, uuid.toUpperCase()]) {
      const { data, errors } = await kit.gql('query ($id: ID!) { embed(id: $id) { id databaseId uuid } }', {
        id: each,
      });
      expect([data, errors], each).toEqual([{ embed: { id: global, databaseId: id, uuid } }, []]);
    }
    const { data } = await kit.gql('query ($id: ID!) { node(id: $id) { __typename id } }', { id: global });
    expect(data.node).toEqual({ __typename: 'Embed', id: global });
  });

  test('returns BAD_USER_INPUT for the ID of another type, and NOT_FOUND for an unknown widget', async () => {
    const agent = Buffer.from('Agent:0').toString('base64');
    await unchanged(async () => {
      for (const [id, code] of [
        [agent, 'BAD_USER_INPUT'],
        ['none', 'BAD_USER_INPUT'],
        ['999999', 'NOT_FOUND'],
        [randomUUID(), 'NOT_FOUND'],
      ] as const)
        for (const [query, path] of [
          ['query ($id: ID!) { embed(id: $id) { uuid } }', 'id'],
          ['mutation ($id: ID!) { updateEmbed(input: { id: $id, enabled: false }) { embed { uuid } } }', 'input.id'],
          ['mutation ($id: ID!) { deleteEmbed(input: { id: $id }) { deletedEmbedId } }', 'input.id'],
        ] as const) {
          const { errors } = await kit.gql(query, { id });
          expect(errors[0]?.extensions.code, `${query} ${id}`).toBe(code);
          if (code === 'BAD_USER_INPUT') expect(errors[0]?.extensions.fields[0].path.join('.')).toBe(path);
        }
    });
  });

  test('does not accept an integer ID from visitors or on the REST paths', async () => {
    const { id } = await made({ chat_mode: 'chat' });
    await unchanged(async () => {
      expect((await ask(String(id), randomUUID())).status).toBe(404);
      expect((await update(String(id), { enabled: false })).status).toBe(404);
      expect((await kit.rest('DELETE', `/api/v1/embed/${id}`)).status).toBe(404);
    });
  });

  test('returns the edge of a new widget and the global ID of a deleted one', async () => {
    const { data, errors } = await kit.gql(
      'mutation { createEmbed(input: { agent: { id: "0" } }) { embed { id agent { databaseId } } embedEdge { cursor node { id } } } }',
    );
    expect(errors).toEqual([]);
    const { embed, embedEdge } = data.createEmbed;
    expect([embedEdge.node.id, embed.agent.databaseId]).toEqual([embed.id, 0]);
    const after = await kit.gql('query ($after: String) { embeds(after: $after) { nodes { id } } }', {
      after: embedEdge.cursor,
    });
    expect(after.data.embeds.nodes).toEqual([]);
    const gone = await kit.gql('mutation ($id: ID!) { deleteEmbed(input: { id: $id }) { deletedEmbedId } }', {
      id: embed.id,
    });
    expect(gone.data.deleteEmbed).toEqual({ deletedEmbedId: embed.id });
  });

  test('lists widgets and exchanges with filters and in both directions', async () => {
    const agent = await privateAgent('Filtered');
    const first = await made({ workspace_slug: agent.slug, chat_mode: 'chat' });
    const second = await made({ workspace_slug: agent.slug });
    await kit.gql('mutation ($id: ID!) { updateEmbed(input: { id: $id, enabled: false }) { embed { id } } }', {
      id: second.uuid,
    });
    const list = async (args: string) =>
      (await kit.gql(`{ embeds(${args}) { totalCount nodes { databaseId } } }`)).data.embeds;
    const nodes = (...ids: number[]) => ({ totalCount: ids.length, nodes: ids.map((databaseId) => ({ databaseId })) });
    const filter = `agentId: ${agent.id}`;
    expect(await list(`filter: { ${filter} }`)).toEqual(nodes(first.id, second.id));
    expect(await list(`filter: { ${filter}, enabled: false }`)).toEqual(nodes(second.id));
    expect(await list(`filter: { ${filter} }, orderBy: { field: CREATED_AT, direction: DESC }`)).toEqual(
      nodes(second.id, first.id),
    );
    await exchange(first.uuid, 'one');
    await exchange(first.uuid, 'two');
    const chats = async (args: string) =>
      (await kit.gql(`{ embedChats(${args}) { nodes { id question clientSessionId embed { uuid } } } }`)).data
        .embedChats.nodes;
    const all = await chats(`filter: { embedId: ${first.id} }`);
    expect(all.map(({ question }: { question: string }) => question)).toEqual(['one', 'two']);
    expect(all[0].embed).toEqual({ uuid: first.uuid });
    expect(await chats(`filter: { embedId: ${first.id} }, orderBy: { field: ANSWERED_AT, direction: DESC }`)).toEqual(
      [...all].reverse(),
    );
    expect(await chats(`filter: { clientSessionId: "${all[1].clientSessionId}" }`)).toEqual([all[1]]);
    expect(await chats(`filter: { embedId: ${second.id} }`)).toEqual([]);
    const { data } = await kit.gql('query ($id: ID!) { node(id: $id) { ... on EmbedExchange { question } } }', {
      id: all[0].id,
    });
    expect(data.node).toEqual({ question: 'one' });
  });

  test('returns an exchange as a node only to a caller that also manages agents', async () => {
    const { uuid } = await made({ chat_mode: 'chat' });
    await exchange(uuid, 'asked');
    const { data } = await kit.gql(`{ embedChats(filter: { embedId: "${uuid}" }) { nodes { id } } }`);
    const { id } = data.embedChats.nodes[0];
    const { secret } = await kit.createKey('ADMIN', { scopes: ['read:query_history'] });
    const denied = await kit.gql('query ($id: ID!) { node(id: $id) { id } }', { id }, secret);
    expect(denied.data.node).toBeNull();
    expect(denied.errors[0]?.extensions).toMatchObject({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['manage:agents'],
    });
  });
});

test('lists take the same number of SQL statements, regardless of their length', async () => {
  const { uuid } = await made({ chat_mode: 'chat' });
  const count = async (path: string) => {
    kit.statements.length = 0;
    expect((await kit.rest('GET', path)).status).toBe(200);
    await kit.booted.background.settled();
    return kit.statements.filter((text) => !text.startsWith('UPDATE')).length;
  };
  await ask(uuid, randomUUID());
  await kit.booted.background.settled();
  const chats = `/api/v1/embed/${uuid}/chats`;
  const before = [await count('/api/v1/embed'), await count(chats)];
  for (let i = 0; i < 3; i++) {
    await made();
    await ask(uuid, randomUUID());
  }
  await kit.booted.background.settled();
  expect([await count('/api/v1/embed'), await count(chats)]).toEqual(before);
  const { embeds } = (await kit.rest('GET', '/api/v1/embed')).body;
  expect(embeds.find((embed: { uuid: string }) => embed.uuid === uuid).chat_count).toBe(4);
});
