import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { rolePermissions } from '../../authz/permissions.ts';

let kit: Kit;
let person: Awaited<ReturnType<Kit['person']>>;
let agentId: number;
let keyUserId: string;

interface Spoken {
  userId: string;
  agentId?: number;
  clientKey?: string | null;
  pairs: [question: string, answer: string][];
}

/** Creates a session with questions and answers and returns the IDs of the answers. */
async function say({ userId, agentId: agent = agentId, clientKey = null, pairs }: Spoken) {
  const { prisma } = kit;
  const session = await prisma.chatSession.create({ data: { userId, agentId: agent, clientKey } });
  let parentId = (await prisma.chatMessage.create({ data: { sessionId: session.id, role: 'SYSTEM' } })).id;
  const answers: number[] = [];
  const follow = async (data: { role: 'USER' | 'ASSISTANT'; text: string }) => {
    const { id } = await prisma.chatMessage.create({ data: { ...data, sessionId: session.id, parentId } });
    await prisma.chatMessage.update({ where: { id: parentId }, data: { latestChildId: id } });
    parentId = id;
  };
  for (const [question, answer] of pairs) {
    await follow({ role: 'USER', text: question });
    await follow({ role: 'ASSISTANT', text: answer });
    answers.push(parentId);
  }
  return { session, answers };
}

beforeAll(async () => {
  kit = await startKit();
  person = await kit.person();
  keyUserId = (await kit.createKey('BASIC')).userId;
  const agent = await kit.prisma.agent.create({
    data: { name: 'Library', slug: 'library', systemPrompt: 'Be brief.', isPublic: true },
  });
  agentId = agent.id;
});
afterAll(() => kit.close());

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const history = (args = '', key?: string | null) =>
  kit.gql(`{ queryHistory${args} { totalCount nodes { databaseId question answer } } }`, {}, key);
const chats = async (body: unknown = {}) => (await kit.rest('POST', '/api/v1/admin/workspace-chats', { body })).body;
const exported = (type?: string, key?: string | null): Promise<Answer> =>
  kit.rest('GET', `/api/v1/system/export-chats${type === undefined ? '' : `?type=${encodeURIComponent(type)}`}`, {
    ...(key !== undefined && { key }),
  });

describe('the chat history of all users', () => {
  test('can be read and exported only with read:query_history', async () => {
    const others = rolePermissions('ADMIN');
    const scopes = [...others].filter((name) => name !== 'read:query_history');
    const scoped = await kit.createKey('ADMIN', { scopes });
    for (const key of [kit.keys.BASIC, kit.keys.LIMITED, person.session, scoped.secret]) {
      for (const attempt of [
        () => history('', key),
        () => kit.gql('{ exportQueryHistory(format: CSV) { content } }', {}, key),
      ])
        expect((await unchanged(attempt)).errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'MISSING_PERMISSION',
          requiredPermissions: ['read:query_history'],
        });
      expect((await exported('csv', key)).status).toBe(403);
    }
    expect(code(await history('', null))).toBe('UNAUTHENTICATED');
    const alone = await kit.createKey('ADMIN', { scopes: ['read:query_history'] });
    expect((await history('', alone.secret)).errors).toEqual([]);
    expect((await exported('csv', alone.secret)).status).toBe(200);
  });

  test('is returned newest first, in the format of AnythingLLM’s clients', async () => {
    const own = await say({
      userId: person.userId,
      pairs: [
        ['first?', 'one'],
        ['second?', 'two'],
      ],
    });
    const named = await say({ userId: keyUserId, clientKey: 'session:abc', pairs: [['api?', 'yes']] });
    const unnamed = await say({ userId: keyUserId, clientKey: '', pairs: [['key?', 'no']] });
    await kit.prisma.feedback.create({
      data: { messageId: own.answers[0] as number, userId: person.userId, positive: true },
    });
    const visitor = await say({ userId: keyUserId, clientKey: 'embed:xyz', pairs: [['visitor?', 'hello']] });
    const hidden = await say({ userId: person.userId, pairs: [['hidden?', 'gone']] });
    await kit.prisma.chatSession.update({ where: { id: hidden.session.id }, data: { deletedAt: new Date() } });
    const streaming = await say({ userId: person.userId, pairs: [['now?', 'not y']] });
    await kit.prisma.chatMessage.update({
      where: { id: streaming.answers[0] as number },
      data: { status: 'STREAMING' },
    });
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const answer = await chats();
    expect(answer).toMatchObject({ success: true, error: null, hasPages: false });
    expect(answer.chats.map(({ id }: { id: number }) => id)).toEqual([
      ...unnamed.answers,
      ...named.answers,
      ...[...own.answers].reverse(),
    ]);
    expect(answer.chats.at(-1)).toEqual({
      id: own.answers[0],
      workspaceId: agentId,
      prompt: 'first?',
      response: expect.any(String),
      include: true,
      user_id: databaseId,
      thread_id: own.session.databaseId,
      api_session_id: null,
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
      feedbackScore: true,
      memoryProcessed: false,
      workspace: { name: 'Library', slug: 'library' },
      user: { username: person.email },
    });
    expect(JSON.parse(answer.chats.at(-1).response)).toMatchObject({ text: 'one', sources: [], attachments: [] });
    expect(answer.chats.slice(0, 2)).toMatchObject([
      { user_id: null, thread_id: null, api_session_id: null, user: { username: 'unknown user' } },
      { user_id: null, thread_id: null, api_session_id: 'abc', user: { username: 'API' } },
    ]);
    const all = (await history()).data.queryHistory;
    expect(all.totalCount).toBe(5);
    expect((await history('(filter: { visitors: true })')).data.queryHistory.nodes).toEqual([
      { databaseId: visitor.answers[0], question: 'visitor?', answer: 'hello' },
    ]);
    expect((await history(`(filter: { userId: "${person.userId}" })`)).data.queryHistory.totalCount).toBe(2);
    expect((await history('(filter: { agentId: 0 })')).data.queryHistory.totalCount).toBe(0);
    for (const args of ['(first: -1)', '(after: "x")']) expect(code(await history(args)), args).toBe('BAD_USER_INPUT');
  });

  test('shows a chat with a deleted workspace under the name “deleted workspace”', async () => {
    const gone = await kit.prisma.agent.create({ data: { name: 'Gone', deletedAt: new Date() } });
    await say({ userId: person.userId, agentId: gone.id, pairs: [['still?', 'there']] });
    expect((await chats()).chats[0].workspace).toEqual({ name: 'deleted workspace', slug: null });
  });

  test('is split into pages of 20 at a constant number of statements, and an invalid offset returns the first page', async () => {
    const pairs = Array.from({ length: 25 }, (_, index): [string, string] => [`${index}?`, `${index}`]);
    await say({ userId: person.userId, pairs });
    const first = await chats();
    expect([first.chats.length, first.hasPages]).toEqual([20, true]);
    const second = await chats({ offset: '1' });
    expect([second.chats.length > 0, second.hasPages]).toEqual([true, false]);
    const ids = [...first.chats, ...second.chats].map(({ id }: { id: number }) => id);
    expect(new Set(ids).size).toBe((await history('(filter: { visitors: false })')).data.queryHistory.totalCount);
    for (const offset of [null, 'x', -1, {}, 0.5, 'NaN']) expect(await chats({ offset })).toEqual(first);
    for (const offset of [1e300, '99999999999']) expect((await chats({ offset })).chats).toEqual([]);
    const cost = async (offset: number) => {
      kit.statements.length = 0;
      await chats({ offset });
      return kit.statements.filter((text) => text.startsWith('SELECT')).length;
    };
    await cost(0);
    expect(await cost(0)).toBe(await cost(1));
  });

  test('contains only those sources of an answer that the caller can read', async () => {
    await kit.ingest('Public', 'The public text.');
    const hidden = await kit.prisma.document.create({
      data: {
        externalId: 'hidden',
        title: 'Hidden',
        contentHash: Buffer.from('x'),
        isPublic: false,
        ownerId: person.userId,
      },
    });
    const hit = (documentId: string, text: string) => ({
      documentId,
      text,
      number: 1,
      position: 0,
      title: documentId,
      heading: '',
      link: null,
      source: 'ingestion_api',
      metadata: {},
      score: 0.5,
      updatedAt: null,
      highlights: [],
    });
    const { answers } = await say({ userId: person.userId, pairs: [['what?', 'that']] });
    await kit.prisma.chatMessage.update({
      where: { id: answers[0] as number },
      data: { passages: [hit('Public', 'The public text.'), hit(hidden.externalId, 'The hidden text.')] },
    });
    const alone = await kit.createKey('ADMIN', { scopes: ['read:query_history'] });
    const { body } = await kit.rest('POST', '/api/v1/admin/workspace-chats', { key: alone.secret });
    expect(JSON.parse(body.chats[0].response).sources).toMatchObject([
      { id: 'Public-0', title: 'Public', text: expect.stringMatching(/\n\nThe public text\.$/) },
    ]);
    const alpaca = await exported('jsonAlpaca', alone.secret);
    expect(alpaca.body.at(-1)).toEqual({
      instruction: 'Be brief.\nContext:\n[CONTEXT 0]:\nThe public text.\n[END CONTEXT 0]\n\n',
      input: 'what?',
      output: 'that',
    });
    expect(alpaca.text).not.toContain('hidden text');
  });
});

describe('an export of the chat history', () => {
  test('supports every format with its content type, lists the oldest chat first, and is audited', async () => {
    const { answers } = await say({
      userId: person.userId,
      clientKey: '',
      pairs: [['=HYPERLINK("x")', 'line one\nline "two"']],
    });
    const types = {
      json: 'application/json',
      csv: 'text/csv',
      jsonl: 'application/jsonl',
      jsonAlpaca: 'application/json',
    };
    for (const [type, mediaType] of Object.entries(types)) {
      const answer = await exported(type);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, `${mediaType}; charset=utf-8`]);
      expect(answer.headers.get('x-truncated')).toBeNull();
    }
    const json = await exported('json');
    const ids = json.body.map(({ id }: { id: number }) => id);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(json.text.startsWith('[\n    {')).toBe(true);
    expect(json.body.at(-1)).toEqual({
      id: answers[0],
      prompt: '=HYPERLINK("x")',
      response: 'line one\nline "two"',
      sent_at: expect.stringMatching(/^\d{4}-.*Z$/),
      attachments: [],
      workspace: 'Library',
      username: person.email,
      rating: '--',
    });
    const lines = (await exported('csv')).text.split('\n');
    expect(lines[0]).toBe('id,workspace,prompt,response,sent_at,username,rating');
    expect(lines).toHaveLength(ids.length + 1);
    expect(lines.at(-1)).toMatch(
      new RegExp(`^"${answers[0]}","Library","'=HYPERLINK\\(""x""\\)","line one line ""two""","[^"]+","[^"]+","--"$`),
    );
    expect((await exported('csv')).text).toContain('"GOOD"');
    // jsonl is the default.
    const usual = await exported();
    expect(usual.text).toBe((await exported('jsonl')).text);
    const conversation = usual.text
      .split('\n')
      .map((line) => JSON.parse(line))
      .find(({ messages }) => messages[0].content[0].text === 'Be brief.');
    expect(conversation.messages.slice(0, 3)).toEqual([
      { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] },
      { role: 'user', content: [{ type: 'text', text: 'first?' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'one' }] },
    ]);
    expect(usual.text).not.toContain('visitor?');
    const { data } = await kit.gql('{ exportQueryHistory(format: JSON) { content count truncated mediaType } }');
    expect(data.exportQueryHistory).toEqual({
      content: json.text,
      count: ids.length,
      truncated: false,
      mediaType: 'application/json',
    });
    const event = await kit.prisma.auditEvent.findFirst({
      where: { action: 'query_history.export' },
      orderBy: { id: 'desc' },
    });
    expect(event?.detail).toEqual({ format: 'JSON', count: ids.length });
  });

  test('rejects an unknown type with the error message of the contract', async () => {
    for (const type of ['xx', '', 'JSON', '__proto__', 'toString']) {
      const answer = await exported(type);
      expect([answer.status, answer.body]).toEqual([
        400,
        { message: `Invalid export type: ${type}. Must be one of json, csv, jsonl, jsonAlpaca` },
      ]);
    }
    const twice = await kit.rest('GET', '/api/v1/system/export-chats?type=csv&type=json');
    expect(twice.status).toBe(400);
  });

  test('contains the newest 10,000 chats, and reports that it is truncated', async () => {
    const { session } = await say({ userId: person.userId, pairs: [] });
    const root = await kit.prisma.chatMessage.findFirstOrThrow({ where: { sessionId: session.id } });
    const question = await kit.prisma.chatMessage.create({
      data: { sessionId: session.id, role: 'USER', text: 'over and over?', parentId: root.id },
    });
    await kit.prisma.$executeRaw`
      INSERT INTO "ChatMessage" ("sessionId", "role", "text", "parentId")
      SELECT ${session.id}::uuid, 'ASSISTANT', 'answer ' || n, ${question.id}::int FROM generate_series(0, 10000) AS n`;
    const answer = await exported('json');
    expect([answer.headers.get('x-truncated'), answer.body.length]).toEqual(['true', 10_000]);
    expect([answer.body[0].response, answer.body.at(-1).response]).toEqual(['answer 1', 'answer 10000']);
    expect((await chats()).chats[0].include).toBe(false);
  });
});
