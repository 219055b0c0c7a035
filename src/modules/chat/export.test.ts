import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Kit, returned, startKit, until } from '../../../test/kit.ts';
import { ChatExport } from '../../rest/chat-export.ts';
import type { ExportedSession } from './exported-session.ts';

let kit: Kit;
/** A key of a user without sessions. */
let key: string;
let userId: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  await kit.ingest('Kettles', 'A kettle boils water.', { id: 'kettles', link: 'https://docs.example/kettles(1)' });
});
afterAll(() => kit?.close());
beforeEach(async () => {
  ({ secret: key, userId } = await kit.createKey('BASIC'));
});

const nowhere = '00000000-0000-4000-8000-000000000000';
const Export = `query ($id: ID!, $format: ChatExportFormat!) {
  exportChatSession(id: $id, format: $format) { fileName mediaType content } }`;
const ask = (id: string, format = 'JSON', as: string | null = key) => kit.gql(Export, { id, format }, as);
const download = (query = '', as: string | null = key) => kit.rest('GET', `/api/chat/export${query}`, { key: as });

async function exported(id: string, as = key): Promise<ExportedSession> {
  const { data, errors } = await ask(id, 'JSON', as);
  expect(errors).toEqual([]);
  const sessions = ChatExport.parse(JSON.parse(data.exportChatSession.content));
  expect(sessions).toHaveLength(1);
  return sessions[0] as unknown as ExportedSession;
}

async function say(
  message: string,
  more: object = {},
  as = key,
): Promise<{ chat_session_id: string; message_id: number }> {
  const body = { message, stream: false, allowed_tool_ids: [], ...more };
  const answer = await kit.rest('POST', '/api/chat/send-chat-message', { key: as, body });
  expect(answer).toMatchObject({ status: 200, body: { error_msg: null } });
  return answer.body;
}

/** Creates a session with this number of turns directly in the database. The texts are numbered. */
async function longSession(turns: number, name: string, createdAt: Date, text = (i: number) => `Said ${i}`) {
  const { id } = await kit.prisma.chatSession.create({ data: { userId, agentId: 0, name, createdAt } });
  const [row] = await kit.booted.foundation.db.query<{ next: number }>(
    { name: 'next_message', text: `SELECT nextval('"ChatMessage_id_seq"')::int AS next` },
    [],
  );
  const first = row?.next ?? 0;
  await kit.prisma.chatMessage.createMany({
    data: Array.from({ length: turns + 1 }, (_none, i) => ({
      id: first + i,
      sessionId: id,
      role: i === 0 ? ('SYSTEM' as const) : i % 2 ? ('USER' as const) : ('ASSISTANT' as const),
      parentId: i === 0 ? null : first + i - 1,
      latestChildId: i === turns ? null : first + i + 1,
      text: i === 0 ? '' : text(i),
    })),
  });
  await kit.prisma.$executeRaw`SELECT setval('"ChatMessage_id_seq"', ${first + turns + 1}::int)`;
  return { id, first };
}

async function refused<T>(work: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const answer = await work();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe('the JSON export', () => {
  it('contains the whole message tree of a session with citations, but no passages of documents', async () => {
    kit.model.script({ reasoning: 'Steam?', text: 'Water [1].' }, { text: 'Hot water.' }, { text: 'Tea.' });
    const first = await say('What does a kettle boil?', { allowed_tool_ids: null });
    const id = first.chat_session_id;
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${id}`, { key });
    const question = body.messages[1].message_id;
    // Regenerates the same question, then starts over.
    const again = await say('', { chat_session_id: id, parent_message_id: question });
    const other = await say('And then?', { chat_session_id: id, parent_message_id: null });
    const session = await exported(id);
    expect(session).toEqual({
      id,
      name: null,
      agent: { id: 0, name: expect.any(String) },
      createdAt: time,
      updatedAt: time,
      messages: expect.any(Array),
    });
    const common = { status: 'COMPLETE', reasoning: null, model: null, createdAt: time, citations: [], files: [] };
    const root = question - 1;
    expect(session.messages).toEqual([
      { ...common, id: root, parentId: null, latestChildId: expect.any(Number), role: 'SYSTEM', text: '' },
      {
        ...common,
        id: question,
        parentId: root,
        latestChildId: again.message_id,
        role: 'USER',
        text: 'What does a kettle boil?',
      },
      {
        ...common,
        id: first.message_id,
        parentId: question,
        latestChildId: null,
        role: 'ASSISTANT',
        text: 'Water [[1]](https://docs.example/kettles%281%29).',
        reasoning: 'Steam?',
        model: 'scripted',
        citations: [{ number: 1, documentId: 'kettles', title: 'Kettles', link: 'https://docs.example/kettles(1)' }],
      },
      {
        ...common,
        id: again.message_id,
        parentId: question,
        latestChildId: null,
        role: 'ASSISTANT',
        text: 'Hot water.',
        model: 'scripted',
      },
      expect.objectContaining({ parentId: root, role: 'USER', text: 'And then?', latestChildId: other.message_id }),
      expect.objectContaining({ id: other.message_id, role: 'ASSISTANT', text: 'Tea.' }),
    ]);
    expect(JSON.stringify(session)).not.toContain('boils water');
    const file = await download(`?session_id=${id}`);
    expect(JSON.parse(file.text)).toEqual([session]);
  });

  it('contains the names of files attached to a message, but not their text', async () => {
    const { chat_session_id: id } = await say('Look');
    const message = await kit.prisma.chatMessage.findFirstOrThrow({ where: { sessionId: id, role: 'USER' } });
    const files = [randomUUID(), randomUUID()].map((file, i) => ({
      id: file,
      ownerId: userId,
      name: `file_${i}.txt`,
      mediaType: 'text/plain',
      kind: 'PLAIN_TEXT' as const,
      size: 1,
      text: 'the text of the file',
      createdAt: new Date(Date.UTC(2026, 0, 1 + i)),
    }));
    await kit.prisma.file.createMany({ data: files });
    const connect = files.map((file) => ({ id: file.id }));
    await kit.prisma.chatMessage.update({ where: { id: message.id }, data: { files: { connect } } });
    const { messages } = await exported(id);
    expect(messages[1]?.files).toEqual(files.map((file) => ({ id: file.id, name: file.name })));
    const text = await download(`?format=markdown&session_id=${id}`);
    expect(text.text).toContain('Files:\n\n- file\\_0.txt\n- file\\_1.txt\n');
    expect(text.text).not.toContain('the text of the file');
  });

  it('is an empty list for a user without sessions', async () => {
    expect(await download()).toMatchObject({ status: 200, body: [] });
    expect((await download('?format=markdown')).text).toBe('');
  });
});

describe('the Markdown export', () => {
  it('contains the current branch with roles, times and unchanged text', async () => {
    kit.model.script({ text: 'Water [1].' }, { text: '# Heading\n\n- `code`' }, { text: 'Left behind.' });
    const { chat_session_id: id } = await say('What does a kettle boil?', { allowed_tool_ids: null });
    await say('Show *me*', { chat_session_id: id });
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${id}`, { key });
    const question = body.messages.at(-2).message_id;
    const current = body.messages.at(-1).message_id;
    await say('', { chat_session_id: id, parent_message_id: question });
    await kit.prisma.chatMessage.update({ where: { id: question }, data: { latestChildId: current } });
    await kit.prisma.chatMessage.update({ where: { id: current }, data: { status: 'STOPPED' } });
    await kit.prisma.chatSession.update({ where: { id }, data: { name: 'Tea\n# & *friends*' } });
    const { data } = await ask(id, 'MARKDOWN');
    expect(data.exportChatSession).toMatchObject({ fileName: `chat-${id}.md`, mediaType: 'text/markdown' });
    const iso = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
    const { content } = data.exportChatSession;
    const agent = await kit.prisma.agent.findUniqueOrThrow({ where: { id: 0 } });
    expect(content.replaceAll(iso, 'TIME')).toBe(`# Tea \\# & \\*friends\\*

With ${agent.name}. Begun TIME, last used TIME.

**User**, TIME

What does a kettle boil?

**Assistant** (scripted), TIME

Water [[1]](https://docs.example/kettles%281%29).

Sources:

- \\[1\\] [Kettles](<https://docs.example/kettles(1)>)

**User**, TIME

Show *me*

**Assistant** (scripted), TIME, stopped

# Heading

- \`code\`
`);
    expect((await download(`?format=markdown&session_id=${id}`)).text).toBe(content);
  });
});

describe('the export download', () => {
  it('is an attachment with a fixed media type, no caching and no type sniffing', async () => {
    const { chat_session_id: id } = await say('Hello');
    for (const [query, name, type] of [
      ['', 'chats.json', 'application/json; charset=utf-8'],
      ['?format=markdown', 'chats.md', 'text/markdown; charset=utf-8'],
      [`?format=json&session_id=${id}`, `chat-${id}.json`, 'application/json; charset=utf-8'],
    ] as const)
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, text } = await kit.rest(method, `/api/chat/export${query}`, { key });
        expect([method, status]).toEqual([method, 200]);
        expect(headers.get('content-type')).toBe(type);
        expect(headers.get('content-disposition')).toBe(`attachment; filename="${name}"`);
        expect(headers.get('cache-control')).toBe('no-store');
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(text.length > 0).toBe(method === 'GET');
      }
  });

  it('contains all sessions of the caller that are not deleted, oldest first, across pages', async () => {
    const names = Array.from({ length: 103 }, (_none, i) => `session ${String(i).padStart(3, '0')}`);
    await kit.prisma.chatSession.createMany({
      // Three sessions with the same creation time.
      data: names.map((name, i) => ({
        name,
        userId,
        agentId: 0,
        createdAt: new Date(Date.UTC(2026, 0, 1) + Math.max(i, 3) * 1000),
      })),
    });
    await longSession(120, 'long', new Date(Date.UTC(2026, 1, 1)));
    const { chat_session_id: hidden } = await say('Hidden');
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${hidden}`, { key });
    await say('Foreign', {}, kit.keys.ADMIN);
    const sessions = ChatExport.parse((await download()).body);
    expect(sessions.map(({ name }) => name).sort()).toEqual([...names, 'long'].sort());
    const times = sessions.map(({ createdAt }) => createdAt);
    expect(times).toEqual([...times].sort());
    const { messages } = sessions.at(-1) ?? expect.unreachable();
    expect(messages.map(({ text }) => text)).toEqual([
      '',
      ...Array.from({ length: 120 }, (_none, i) => `Said ${i + 1}`),
    ]);
    const { text } = await download('?format=markdown');
    expect(text.match(/^# .*/gm)).toHaveLength(104);
    expect(text.match(/^Said \d+$/gm)).toEqual(Array.from({ length: 120 }, (_none, i) => `Said ${i + 1}`));
  });

  it('executes the same number of statements for few and for many messages', async () => {
    const count = async (id: string, format: string) => {
      await download(`?format=${format}&session_id=${id}`);
      await kit.booted.background.settled();
      kit.statements.length = 0;
      expect((await download(`?format=${format}&session_id=${id}`)).status).toBe(200);
      await kit.booted.background.settled();
      return kit.statements.length;
    };
    const few = await longSession(2, 'few', new Date());
    const many = await longSession(40, 'many', new Date());
    for (const format of ['json', 'markdown']) expect(await count(many.id, format)).toBe(await count(few.id, format));
  });

  it('contains the whole of a branch longer than a page and omits other branches', async () => {
    const { id, first } = await longSession(130, 'branched', new Date());
    await kit.prisma.chatMessage.create({
      data: { sessionId: id, parentId: first + 60, role: 'USER', text: 'Left behind' },
    });
    const { text } = await download(`?format=markdown&session_id=${id}`);
    expect(text.match(/^Said \d+$/gm)).toHaveLength(130);
    expect(text).not.toContain('Left behind');
    // The branch ends at a message that points to a message that is not its child.
    await kit.prisma.chatMessage.update({ where: { id: first + 70 }, data: { latestChildId: first + 1 } });
    const cut = await download(`?format=markdown&session_id=${id}`);
    expect(cut.text.match(/^Said \d+$/gm)).toHaveLength(70);
  });

  it('is aborted when its key is revoked', async () => {
    const doomed = await kit.createKey('BASIC');
    userId = doomed.userId;
    for (let i = 0; i < 3; i++)
      await longSession(150, `heavy ${i}`, new Date(Date.UTC(2026, 0, 1 + i)), (n) => `${n} ${'x'.repeat(20_000)}`);
    const response = await fetch(`${kit.url}/api/chat/export`, {
      headers: { authorization: `Bearer ${doomed.secret}` },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader() ?? expect.unreachable();
    expect((await reader.read()).value).toContain('[');
    const gone = await kit.gql('mutation ($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }', {
      id: doomed.id,
    });
    expect(gone.errors).toEqual([]);
    const end = await (async () => {
      for (;;) if ((await reader.read()).done) return 'as if it were whole';
    })().catch(() => 'broken off');
    expect(end).toBe('broken off');
    // A fingerprint would read all of it.
    await kit.prisma.chatSession.deleteMany({ where: { userId } });
  });

  it('has no size limit, unlike the export over GraphQL', async () => {
    const { id } = await longSession(25, 'endless', new Date(), () => 'x'.repeat(180_000));
    for (const format of ['JSON', 'MARKDOWN'])
      expect((await ask(id, format)).errors[0]).toMatchObject({
        message: expect.stringContaining('/api/chat/export'),
        extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['id'] }] },
      });
    const { body } = await download(`?session_id=${id}`);
    expect(body[0].messages).toHaveLength(26);
    await kit.prisma.chatSession.delete({ where: { id } });
  });
});

describe('authorization and validation of exports', () => {
  it('returns NOT_FOUND for a session that is deleted, unknown or of another user', async () => {
    const { chat_session_id: foreign } = await say('Foreign', {}, kit.keys.ADMIN);
    const { chat_session_id: shared } = await say('Shared', {}, kit.keys.ADMIN);
    await kit.rest('PATCH', `/api/chat/chat-session/${shared}`, { body: { sharing_status: 'public' } });
    const { chat_session_id: hidden } = await say('Hidden');
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${hidden}`, { key });
    for (const id of [foreign, shared, hidden, nowhere])
      for (const format of ['JSON', 'MARKDOWN']) {
        const { data, errors } = await refused(() => ask(id, format));
        expect([...returned(data), errors[0]?.extensions.code]).toEqual(['NOT_FOUND']);
        const file = await refused(() => download(`?session_id=${id}&format=${format.toLowerCase()}`));
        expect(file).toMatchObject({
          status: 404,
          body: { error_code: 'SESSION_NOT_FOUND', detail: 'Chat session not found' },
        });
        expect(file.headers.get('content-disposition')).toBeNull();
      }
  });

  it('rejects and audits a credential without `read:chat`, and rejects an anonymous client', async () => {
    const { secret: limited } = await kit.createKey('LIMITED');
    const { chat_session_id: ofLimited } = await say('Hello', {}, limited);
    const { chat_session_id: mine } = await say('Hello');
    const pat = await kit.createPat(key, { scopes: ['write:chat', 'manage:chat'] });
    for (const [id, secret] of [
      [ofLimited, limited],
      [mine, pat.secret],
      [nowhere, pat.secret],
    ] as const) {
      expect(await refused(() => ask(id, 'JSON', secret))).toMatchObject({
        data: { exportChatSession: null },
        errors: [
          { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:chat'] } },
        ],
      });
      for (const query of ['', `?session_id=${id}`, '?format=none'])
        expect(await refused(() => download(query, secret))).toMatchObject({
          status: 403,
          body: { error_code: 'INSUFFICIENT_PERMISSIONS' },
        });
    }
    await until(() =>
      kit.prisma.auditEvent.findFirst({
        where: { action: 'permission.refused', detail: { path: ['operation'], equals: 'GET /chat/export' } },
      }),
    );
    expect((await ask(mine, 'JSON', null)).errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    const strange = await download('', null);
    expect(strange).toMatchObject({ status: 403, body: { detail: 'Access denied. User is not authenticated.' } });
    expect((await download('', `${key.slice(0, -1)}x`)).text).toBe(strange.text);
  });

  it('rejects an invalid format or session ID', async () => {
    for (const query of ['?format=xml', '?format=JSON', '?session_id=x', '?session_id=', '?format=json&format=json'])
      expect(await download(query)).toMatchObject({ status: 422, body: { status_code: 422, data: null } });
    expect((await ask(nowhere, 'XML')).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  it('limits a project token to sessions and citations of its project', async () => {
    const gql = async (query: string, input: object, as = key) => {
      const { data, errors } = await kit.gql(query, { input }, as);
      expect(errors).toEqual([]);
      return data;
    };
    const project = async (name: string) =>
      (
        await gql(
          'mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { databaseId } } }',
          {
            name,
          },
        )
      ).createProject.project.databaseId;
    const [home, sister] = [await project('home'), await project('sister')];
    const { createProjectToken } = await gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { projectId: home, name: 'token', role: 'BASIC' },
    );
    const token = createProjectToken.secret;
    kit.model.script({ text: 'Water [1].' });
    const info = { chat_session_info: { project_id: home } };
    const owners = await say('What does a kettle boil?', { ...info, allowed_tool_ids: null });
    const outside = await say('Loose');
    const others = await say('Sister', { chat_session_info: { project_id: sister } });
    const own = await say('Mine', {}, token);
    for (const { chat_session_id: id } of [outside, others]) {
      expect((await refused(() => ask(id, 'JSON', token))).errors[0]?.extensions.code).toBe('NOT_FOUND');
      expect((await refused(() => download(`?session_id=${id}`, token))).status).toBe(404);
    }
    // The owner's chat in the project, without the document outside the project.
    const seen = await exported(owners.chat_session_id, token);
    expect(seen.messages.at(-1)).toMatchObject({ role: 'ASSISTANT', citations: [] });
    expect(JSON.stringify(seen)).not.toContain('Kettles');
    const markdown = await download(`?format=markdown&session_id=${owners.chat_session_id}`, token);
    expect(markdown.text).not.toContain('Sources');
    expect((await exported(owners.chat_session_id)).messages.at(-1)?.citations).toMatchObject([{ title: 'Kettles' }]);
    // Each exports only its own sessions: the token's export omits the owner's, and the owner's omits the token's.
    const ids = (text: string) => (JSON.parse(text) as ExportedSession[]).map(({ id }) => id);
    expect(ids((await download('', token)).text)).toEqual([own.chat_session_id]);
    expect(ids((await download()).text)).toEqual([owners, outside, others].map((each) => each.chat_session_id));
    expect((await exported(own.chat_session_id)).id).toBe(own.chat_session_id);
  });
});
