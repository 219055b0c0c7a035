import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kit, returned, startKit, until } from '../../../test/kit.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
let key: { id: number; secret: string; userId: string };

beforeAll(async () => {
  kit = await startKit();
  key = await kit.createKey('BASIC', { name: '=1+1, "quoted"\nname' });
  await kit.gql(`mutation ($id: ID!) { regenerateApiKey(input: { id: $id }) { secret } }`, { id: key.id });
});
afterAll(() => kit.close());

const Events = `query ($first: Int, $after: String, $filter: AuditFilter) {
  auditEvents(first: $first, after: $after, filter: $filter) {
    totalCount
    nodes { id databaseId at action actionName actorDatabaseId actorName tokenDatabaseId address userAgent targetType targetId detail }
    pageInfo { hasNextPage endCursor }
  }
}`;
const events = async (filter: object, more: object = {}) =>
  (await kit.gql(Events, { filter, ...more })).data.auditEvents;
const exported = (query: string, secret: string | null = kit.keys.ADMIN) =>
  kit.rest('GET', `/api/admin/audit-events/export?${query}`, { key: secret });

test('audit events are read newest first, with actor, action, target, credential and address', async () => {
  const { nodes } = await events({ targetType: 'ApiKey', targetId: String(key.id) });
  expect(nodes.map((node: any) => node.action)).toEqual(['API_KEY_REGENERATE', 'API_KEY_CREATE']);
  expect(nodes[1]).toMatchObject({
    actorName: 'First admin key',
    actionName: 'api_key.create',
    tokenDatabaseId: 1,
    address: expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$/),
    userAgent: 'node',
    detail: { role: 'BASIC', scopes: null },
  });
});

test('audit events match only if they satisfy all given filters', async () => {
  const all = await events({});
  const some = await events({ actions: ['API_KEY_REGENERATE'] });
  expect(some.totalCount).toBe(1);
  expect(all.totalCount).toBeGreaterThan(1);
  const [event] = some.nodes;
  expect((await events({ actorId: event.actorDatabaseId, actions: ['API_KEY_REGENERATE'] })).totalCount).toBe(1);
  expect((await events({ tokenId: event.tokenDatabaseId, actions: ['API_KEY_REGENERATE'] })).totalCount).toBe(1);
  expect((await events({ tokenId: 999_999 })).totalCount).toBe(0);
  expect((await events({ address: '203.0.113.9' })).totalCount).toBe(0);
  expect((await events({ since: event.at, actions: ['API_KEY_REGENERATE'] })).totalCount).toBe(1);
  expect((await events({ until: event.at, actions: ['API_KEY_REGENERATE'] })).totalCount).toBe(0);
});

test('the audit filter accepts global IDs, including that of a target', async () => {
  const [event] = (await events({ actions: ['API_KEY_REGENERATE'] })).nodes;
  const { data } = await kit.gql(
    'query ($id: ID!) { node(id: $id) { ... on AuditEvent { targetGlobalId actor { id } } } }',
    {
      id: event.id,
    },
  );
  expect(data.node).toEqual({
    targetGlobalId: globalId('ApiKey', key.id),
    actor: { id: globalId('User', event.actorDatabaseId) },
  });
  const actions = ['API_KEY_REGENERATE'];
  for (const filter of [
    { actorId: data.node.actor.id },
    { actorId: event.actorDatabaseId.toUpperCase() },
    { tokenId: globalId('ApiKey', event.tokenDatabaseId) },
    { tokenId: globalId('UserCredential', event.tokenDatabaseId) },
    { targetId: data.node.targetGlobalId },
    { targetId: String(key.id), targetType: 'ApiKey' },
  ])
    expect([filter, (await events({ actions, ...filter })).totalCount]).toEqual([filter, 1]);
  for (const filter of [
    { targetId: globalId('Project', key.id) },
    { targetId: globalId('ApiKey', key.id), targetType: 'Project' },
  ])
    expect((await events(filter)).totalCount).toBe(0);
});

test('audit events can be ordered by time in both directions and paged from both ends', async () => {
  const ids = async (args: string) =>
    (await kit.gql(`{ auditEvents(${args}) { nodes { databaseId } } }`)).data.auditEvents.nodes.map(
      ({ databaseId }: { databaseId: string }) => databaseId,
    );
  const newestFirst = await ids('first: 100, filter: { until: "2999-01-01T00:00:00Z" }');
  expect(newestFirst.length).toBeGreaterThan(2);
  expect(await ids('first: 100, orderBy: { field: AT }')).toEqual([...newestFirst].reverse());
  expect(await ids('last: 2')).toEqual(newestFirst.slice(-2));
});

test('an audit event returns its actor and credential only to callers who can read them', async () => {
  const person = await kit.person();
  await kit.gql('mutation { createPersonalAccessToken(input: { name: "one" }) { secret } }', {}, person.session);
  const query = `query ($actorId: ID, $tokenId: ID) {
    auditEvents(filter: { actions: [PERSONAL_ACCESS_TOKEN_CREATE, API_KEY_CREATE], actorId: $actorId, tokenId: $tokenId }) {
      nodes { actor { databaseId } apiKey { databaseId name role } userCredential { kind user { databaseId } } }
    }
  }`;
  const byPerson = await kit.gql(query, { actorId: globalId('User', person.userId) });
  expect(byPerson.errors).toEqual([]);
  expect(byPerson.data.auditEvents.nodes).toEqual([
    {
      actor: { databaseId: person.userId },
      apiKey: null,
      userCredential: { kind: 'SESSION', user: { databaseId: person.userId } },
    },
  ]);
  const byKey = await kit.gql(query, { tokenId: 1 });
  expect(byKey.data.auditEvents.nodes[0]).toMatchObject({
    apiKey: { databaseId: 1, name: 'First admin key', role: 'ADMIN' },
    userCredential: null,
  });
  const { secret } = await kit.createKey('ADMIN', { scopes: ['read:audit'] });
  const denied = await kit.gql(query, { actorId: person.userId }, secret);
  expect(denied.data.auditEvents.nodes).toEqual([{ actor: null, apiKey: null, userCredential: null }]);
  expect(denied.errors.map(({ extensions }) => [extensions.code, extensions.requiredPermissions]).sort()).toEqual([
    ['FORBIDDEN', ['manage:api_keys']],
    ['FORBIDDEN', ['manage:users']],
    ['FORBIDDEN', ['read:users']],
  ]);
  await kit.prisma.user.delete({ where: { id: person.userId } });
  const gone = await kit.gql(query, { actorId: person.userId });
  expect(gone.data.auditEvents.nodes).toEqual([{ actor: null, apiKey: null, userCredential: null }]);
});

test('an unknown action of another server version has a name and no enum value', async () => {
  await kit.prisma.auditEvent.create({ data: { action: 'moon.land', targetType: 'Moon' } });
  const { nodes } = await events({ targetType: 'Moon' });
  expect(nodes).toMatchObject([{ action: null, actionName: 'moon.land' }]);
});

test('pages of audit events contain each event exactly once', async () => {
  const whole = (await events({}, { first: 100 })).nodes.map((node: any) => node.databaseId);
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const page: any = await events({}, { first: 2, after });
    seen.push(...page.nodes.map((node: any) => node.databaseId));
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after);
  expect(seen).toEqual(whole);
});

test('an audit event can be fetched by its global ID only with `read:audit`', async () => {
  const [event] = (await events({}, { first: 1 })).nodes;
  const query = `query ($id: ID!) { node(id: $id) { id ... on AuditEvent { databaseId } } }`;
  expect((await kit.gql(query, { id: event.id })).data.node).toEqual({ id: event.id, databaseId: event.databaseId });
  const refused = await kit.gql(query, { id: event.id }, kit.keys.BASIC);
  expect(refused.errors[0]?.extensions).toMatchObject({
    code: 'FORBIDDEN',
    reason: 'MISSING_PERMISSION',
    requiredPermissions: ['read:audit'],
  });
});

test('rejects basic, limited and revoked keys and anonymous clients over GraphQL and REST', async () => {
  for (const secret of [kit.keys.BASIC, kit.keys.LIMITED]) {
    const { data, errors } = await kit.gql(Events, {}, secret);
    expect(returned(data)).toEqual([]);
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect(await exported('', secret)).toMatchObject({ status: 403, body: { error_code: 'INSUFFICIENT_PERMISSIONS' } });
  }
  for (const secret of [null, key.secret]) {
    const answer = await exported('', secret);
    expect(answer).toMatchObject({ status: 403, body: { detail: 'Access denied. User is not authenticated.' } });
  }
  const { nodes } = await until(async () => {
    const found = await events({ actions: ['PERMISSION_REFUSED'] });
    return found.nodes.some((node: any) => node.detail.operation === 'GET /admin/audit-events/export') && found;
  });
  expect(nodes.every((node: any) => node.actorDatabaseId !== null)).toBe(true);
});

test('the export contains each matching event, oldest first, as JSON lines or CSV', async () => {
  const { totalCount } = await events({});
  const lines = await exported('format=jsonl');
  expect(lines.headers.get('content-type')).toBe('application/jsonl; charset=utf-8');
  expect(lines.headers.get('content-disposition')).toBe('attachment; filename="audit-events.jsonl"');
  const objects = lines.text
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text));
  expect(objects.length).toBeGreaterThanOrEqual(totalCount);
  const ids = objects.map((object) => object.id);
  expect(ids).toEqual([...ids].sort((a, b) => a - b));

  const table = await exported('format=csv&action=api_key.regenerate&action=api_key.create&target_type=ApiKey');
  expect(table.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(table.text.split('\n')[0]).toBe(
    'id,at,action,actor_id,actor_name,token_id,address,user_agent,target_type,target_id,detail',
  );
  expect(table.text).toContain('api_key.regenerate');
});

test('the CSV export escapes a cell that a spreadsheet would run as a formula', async () => {
  await kit.prisma.user.updateMany({
    where: { id: key.userId },
    data: { role: 'ADMIN', name: '=HYPERLINK("http://x")' },
  });
  const { data } = await kit.gql(`mutation ($id: ID!) { regenerateApiKey(input: { id: $id }) { secret } }`, {
    id: key.id,
  });
  await kit.gql(
    `mutation { createApiKey(input: { name: "by a formula" }) { secret } }`,
    {},
    data.regenerateApiKey.secret,
  );
  const { text } = await exported(`format=csv&actor_id=${key.userId}&action=api_key.create`);
  expect(text).toContain(`"'=HYPERLINK(""http://x"")"`);
});

test('an invalid filter is rejected and named over GraphQL and REST', async () => {
  for (const [filter, path] of [
    [{ actions: ['no.such'] }, ['filter', 'actions', 0]],
    [{ actorId: 'me' }, ['filter', 'actorId']],
    [{ actorId: globalId('ApiKey', key.id) }, ['filter', 'actorId']],
    [{ tokenId: 'abc' }, ['filter', 'tokenId']],
    [{ tokenId: globalId('User', key.userId) }, ['filter', 'tokenId']],
    [{ targetId: 'a\u0000' }, ['filter', 'targetId']],
  ] as const) {
    const { errors } = await kit.gql(Events, { filter });
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path }] });
  }
  for (const query of ['format=xml', 'since=yesterday', 'token_id=abc', 'actor_id=me'])
    expect((await exported(query)).status).toBe(422);
  expect(await exported('action=no.such')).toMatchObject({
    status: 422,
    body: { message: expect.stringContaining('actions') },
  });
});

test('TOK 15: the database rejects changing, deleting or truncating audit events', async () => {
  const before = await kit.prisma.auditEvent.count();
  const refused = /append-only/;
  await expect(kit.prisma.auditEvent.updateMany({ data: { action: 'nothing' } })).rejects.toThrow(refused);
  await expect(kit.prisma.auditEvent.deleteMany({})).rejects.toThrow(refused);
  await expect(kit.prisma.$executeRaw`TRUNCATE "AuditEvent"`).rejects.toThrow(refused);
  expect(await kit.prisma.auditEvent.count()).toBe(before);
  expect(await kit.prisma.auditEvent.count({ where: { action: 'nothing' } })).toBe(0);
});

test('deletes only events older than the retention period', async () => {
  const old = new Date(Date.now() - 40 * 24 * 3600 * 1000);
  await kit.prisma.auditEvent.create({ data: { action: 'api_key.create', at: old, targetType: 'Old' } });
  const before = await kit.prisma.auditEvent.count();
  expect(await kit.booted.services.audit.forget(50)).toBe(0);
  expect(await kit.booted.services.audit.forget(30)).toBe(1);
  expect(await kit.prisma.auditEvent.count({ where: { targetType: 'Old' } })).toBe(0);
  expect(await kit.prisma.auditEvent.count()).toBeGreaterThanOrEqual(before - 1);
});
