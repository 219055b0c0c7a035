import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';

let kit: Kit;
/** A key of a user without sessions. */
let key: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
});
afterAll(() => kit?.close());

const fresh = async () => {
  key = (await kit.createKey('BASIC')).secret;
};

const rest = (method: string, path: string, body?: object, as = key) =>
  kit.rest(method, `/api/chat/${path}`, { key: as, body });

async function create(description?: string, as = key): Promise<string> {
  const { body, status } = await rest('POST', 'create-chat-session', { description }, as);
  expect(status).toBe(200);
  return body.chat_session_id;
}

async function say(message: string, chat_session_id?: string, as = key): Promise<string> {
  const { body, status } = await rest('POST', 'send-chat-message', { message, stream: false, chat_session_id }, as);
  expect(status).toBe(200);
  return body.chat_session_id;
}

const nowhere = '00000000-0000-4000-8000-000000000000';
const listed = async (query = '', as = key) => {
  const { body, status } = await rest('GET', `get-user-chat-sessions${query}`, undefined, as);
  expect(status).toBe(200);
  return { ids: body.sessions.map(({ id }: { id: string }) => id), has_more: body.has_more };
};

describe('creating a session', () => {
  it('accepts an empty body or a name and uses the default agent', async () => {
    await fresh();
    const { body } = await rest('POST', 'create-chat-session', {});
    expect(body).toEqual({ chat_session_id: expect.stringMatching(/^[0-9a-f-]{36}$/), incognito: false });
    const named = await create('Named');
    expect((await rest('GET', `get-chat-session/${named}`)).body).toMatchObject({
      description: 'Named',
      persona_id: 0,
    });
    const { data } = await kit.gql(
      'mutation { createChatSession(input: { name: "Graph" }) { sessionId session { name agentId sharing messages { totalCount nodes { role text } } } } }',
      {},
      key,
    );
    expect(data.createChatSession.session).toEqual({
      name: 'Graph',
      agentId: 0,
      sharing: 'PRIVATE',
      messages: { totalCount: 1, nodes: [{ role: 'SYSTEM', text: '' }] },
    });
  });

  it('rejects an inaccessible agent with the same error as an unknown agent', async () => {
    const { data } = await kit.gql('mutation { createAgent(input: { name: "Hidden" }) { agent { databaseId } } }');
    const before = await kit.fingerprint();
    for (const persona_id of [data.createAgent.agent.databaseId, 4711])
      expect(await rest('POST', 'create-chat-session', { persona_id })).toMatchObject({
        status: 403,
        body: { detail: 'User does not have access to persona' },
      });
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('reading a session', () => {
  it('returns the session, the message tree from its root, and the packets of every answer', async () => {
    await fresh();
    await kit.ingest('Kettles', 'A kettle boils water.', { id: 'kettles', link: 'https://docs.example/kettles' });
    kit.model.script({ reasoning: 'Steam?', text: 'Water [1].' }, { text: 'Sure.' });
    const session = await say('What does a kettle boil?');
    await say('Really?', session);
    const { body } = await rest('GET', `get-chat-session/${session}`);
    expect(body).toEqual({
      chat_session_id: session,
      description: null,
      persona_id: 0,
      persona_name: expect.any(String),
      personal_icon_name: null,
      messages: expect.any(Array),
      time_created: expect.any(String),
      shared_status: 'private',
      current_alternate_model: null,
      current_temperature_override: null,
      current_reasoning_effort_override: null,
      deleted: false,
      owner_name: expect.any(String),
      packets: expect.any(Array),
      current_run: null,
      incognito: false,
    });
    const [root, question, answer, second, last] = body.messages;
    const common = {
      chat_session_id: session,
      time_sent: expect.stringMatching(/^\d{4}-.*Z$/),
      files: [],
      error: null,
      current_feedback: null,
      preferred_response_id: null,
      reasoning_tokens: null,
      context_docs: null,
      citations: null,
      processing_duration_seconds: null,
      model_display_name: null,
      request_params: null,
    };
    expect(root).toEqual({
      ...common,
      message_id: expect.any(Number),
      parent_message: null,
      latest_child_message: question.message_id,
      message: '',
      message_type: 'system',
    });
    expect(question).toEqual({
      ...common,
      message_id: root.message_id + 1,
      parent_message: root.message_id,
      latest_child_message: answer.message_id,
      message: 'What does a kettle boil?',
      message_type: 'user',
    });
    expect(answer).toEqual({
      ...common,
      message_id: root.message_id + 2,
      parent_message: question.message_id,
      latest_child_message: second.message_id,
      message: 'Water [[1]](https://docs.example/kettles).',
      message_type: 'assistant',
      reasoning_tokens: 'Steam?',
      context_docs: [expect.objectContaining({ document_id: 'kettles', db_doc_id: 1 })],
      citations: { 1: 'kettles' },
      processing_duration_seconds: expect.any(Number),
      model_display_name: 'scripted',
    });
    expect(last).toMatchObject({ latest_child_message: null, context_docs: [], citations: {} });

    const document = expect.objectContaining({ document_id: 'kettles' });
    const packet = (turn_index: number, obj: object) => ({
      placement: { turn_index, tab_index: 0, sub_turn_index: null, model_index: 0 },
      obj,
    });
    expect(body.packets).toEqual([
      [
        packet(0, { type: 'search_tool_start', is_internet_search: false }),
        packet(0, { type: 'search_tool_queries_delta', queries: ['What does a kettle boil?'] }),
        packet(0, { type: 'search_tool_documents_delta', documents: [document] }),
        packet(0, { type: 'section_end' }),
        packet(1, { type: 'reasoning_start' }),
        packet(1, { type: 'reasoning_delta', reasoning: 'Steam?' }),
        packet(1, { type: 'reasoning_done' }),
        packet(1, { type: 'section_end' }),
        packet(2, { type: 'message_start', final_documents: [document], pre_answer_processing_seconds: null }),
        packet(2, { type: 'message_delta', content: answer.message }),
        packet(2, { type: 'section_end' }),
        packet(3, { type: 'citation_info', citation_number: 1, document_id: 'kettles' }),
        packet(3, { type: 'section_end' }),
        packet(4, { type: 'stop', stop_reason: null }),
      ],
      [
        packet(0, { type: 'search_tool_start', is_internet_search: false }),
        packet(0, { type: 'search_tool_queries_delta', queries: ['Really?'] }),
        packet(0, { type: 'search_tool_documents_delta', documents: [] }),
        packet(0, { type: 'section_end' }),
        packet(1, { type: 'message_start', final_documents: null, pre_answer_processing_seconds: null }),
        packet(1, { type: 'message_delta', content: 'Sure.' }),
        packet(1, { type: 'section_end' }),
        packet(2, { type: 'stop', stop_reason: null }),
      ],
    ]);
  });

  it('returns the same 404 for another user’s session as for an unknown session', async () => {
    await fresh();
    const session = await create();
    const other = (await kit.createKey('BASIC')).secret;
    for (const [id, as] of [
      [session, other],
      [session, kit.keys.ADMIN],
      [nowhere, key],
    ] as const)
      for (const flags of ['', '?is_shared=true', '?include_deleted=true'])
        expect(await rest('GET', `get-chat-session/${id}${flags}`, undefined, as)).toMatchObject({
          status: 404,
          body: { detail: 'Chat session not found' },
        });
    expect((await rest('GET', 'get-chat-session/x')).status).toBe(422);
  });
});

describe('sharing a session', () => {
  it('lets callers with `read:chat` read it on request until it is private again or deleted', async () => {
    await fresh();
    const session = await say('Hello');
    const other = (await kit.createKey('BASIC')).secret;
    const shared = (as: string) => rest('GET', `get-chat-session/${session}?is_shared=true`, undefined, as);
    expect(await shared(key)).toMatchObject({ status: 403, body: { detail: 'Chat session is not shared' } });

    const share = (sharing_status: string) => rest('PATCH', `chat-session/${session}`, { sharing_status });
    expect(await share('public')).toMatchObject({ status: 200, body: null });
    expect((await shared(other)).body).toMatchObject({
      chat_session_id: session,
      shared_status: 'public',
      owner_name: 'basic',
    });
    expect((await shared(other)).body.messages.at(-1).message).toBe('You said: Hello');
    expect((await shared(key)).status).toBe(200);
    // Sharing grants reading only.
    expect((await rest('GET', `get-chat-session/${session}`, undefined, other)).status).toBe(404);
    expect((await rest('GET', `get-chat-session/${session}?is_shared=true`, undefined, kit.keys.LIMITED)).status).toBe(
      403,
    );
    expect((await listed('', other)).ids).toEqual([]);
    const before = await kit.fingerprint();
    expect(
      (await rest('POST', 'send-chat-message', { message: 'x', stream: false, chat_session_id: session }, other))
        .status,
    ).toBe(404);
    expect((await rest('PATCH', `chat-session/${session}`, { sharing_status: 'private' }, other)).status).toBe(400);
    expect((await rest('PUT', 'rename-chat-session', { chat_session_id: session, name: 'x' }, other)).status).toBe(400);
    expect((await rest('DELETE', `delete-chat-session/${session}`, undefined, other)).status).toBe(400);
    expect(await kit.fingerprint()).toBe(before);

    await share('private');
    expect((await shared(other)).status).toBe(404);
    await share('public');
    await rest('DELETE', `delete-chat-session/${session}`);
    expect((await shared(other)).status).toBe(404);
  });

  it('requires `public` or `private` as the status', async () => {
    await fresh();
    const session = await create();
    for (const body of [{}, { sharing_status: null }, { sharing_status: 'PUBLIC' }])
      expect((await rest('PATCH', `chat-session/${session}`, body)).status).toBe(422);
    expect(await rest('PATCH', `chat-session/${nowhere}`, { sharing_status: 'public' })).toMatchObject({
      status: 400,
      body: { message: expect.any(String) },
    });
  });
});

describe('listing sessions', () => {
  it('returns the caller’s sessions page by page, most recently used first', async () => {
    await fresh();
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.unshift(await create(name));
    expect(await listed()).toEqual({ ids, has_more: false });
    expect(await listed('?page_size=2')).toEqual({ ids: ids.slice(0, 2), has_more: true });
    const { body } = await rest('GET', 'get-user-chat-sessions?page_size=2');
    const before = encodeURIComponent(body.sessions.at(-1).time_updated);
    expect(await listed(`?page_size=2&before=${before}`)).toEqual({ ids: ids.slice(2), has_more: false });
    // A message in the oldest session makes it the most recently used.
    await say('Hello', ids[2]);
    expect((await listed()).ids).toEqual([ids[2], ids[0], ids[1]]);
    expect(body.sessions[0]).toEqual({
      id: ids[0],
      name: 'c',
      persona_id: 0,
      time_created: expect.stringMatching(/Z$/),
      time_updated: expect.stringMatching(/Z$/),
      shared_status: 'private',
      current_alternate_model: null,
      current_temperature_override: null,
      current_reasoning_effort_override: null,
    });
  });

  it('accepts `before` with an offset or in UTC and rejects invalid timestamps', async () => {
    await fresh();
    const session = await create();
    const updatedAt = new Date('2026-03-01T12:00:00Z');
    await kit.prisma.chatSession.update({ where: { id: session }, data: { updatedAt } });
    const until = async (before: string) => (await listed(`?before=${encodeURIComponent(before)}`)).ids.length;
    for (const [before, found] of [
      ['2026-03-01T12:00:01Z', 1],
      ['2026-03-01T12:00:00Z', 0],
      ['2026-03-01T12:00:01', 1],
      ['2026-03-01T12:00:00', 0],
      ['2026-03-01T14:00:01.500+02:00', 1],
      ['2026-03-01T14:00:00+02:00', 0],
    ] as const)
      expect([before, await until(before)]).toEqual([before, found]);
    for (const before of ['yesterday', '2026-02-30T00:00:00Z', '0000-01-01T00:00:00Z', '1'])
      expect(await rest('GET', `get-user-chat-sessions?before=${before}`)).toMatchObject({
        status: 422,
        body: { detail: "Invalid 'before' timestamp format" },
      });
    for (const query of ['page_size=0', 'page_size=101', 'page_size=x', 'only_non_project_chats=maybe'])
      expect((await rest('GET', `get-user-chat-sessions?${query}`)).status).toBe(422);
  });

  it('omits older sessions without messages unless `include_failed_chats` is set', async () => {
    await fresh();
    const [silent, spoken] = [await create(), await say('Hello')];
    const createdAt = new Date(Date.now() - 6 * 60_000);
    await kit.prisma.chatSession.updateMany({ where: { id: { in: [silent, spoken] } }, data: { createdAt } });
    expect((await listed()).ids).toEqual([spoken]);
    expect((await listed('?include_failed_chats=true')).ids.sort()).toEqual([silent, spoken].sort());
  });

  it('supports cursors, a total count and an agent filter over GraphQL', async () => {
    await fresh();
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.unshift(await create(name));
    const query = `query ($after: String, $filter: ChatSessionFilter) {
      chatSessions(first: 2, after: $after, filter: $filter) {
        totalCount nodes { databaseId } pageInfo { hasNextPage endCursor } } }`;
    const first = (await kit.gql(query, {}, key)).data.chatSessions;
    expect(first.nodes.map((node: any) => node.databaseId)).toEqual(ids.slice(0, 2));
    expect(first).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true } });
    const second = (await kit.gql(query, { after: first.pageInfo.endCursor }, key)).data.chatSessions;
    expect(second).toMatchObject({ totalCount: 3, nodes: [{ databaseId: ids[2] }], pageInfo: { hasNextPage: false } });
    expect((await kit.gql(query, { filter: { agentId: 4711 } }, key)).data.chatSessions).toMatchObject({
      totalCount: 0,
      nodes: [],
    });
    const { errors } = await kit.gql(query, { filter: { updatedBefore: '0000-01-01T00:00:00Z' } }, key);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});

describe('searching sessions', () => {
  const search = async (query: string, rest_ = '', as = key) => {
    const { body, status } = await rest('GET', `search?query=${encodeURIComponent(query)}${rest_}`, undefined, as);
    expect([query, status]).toEqual([query, 200]);
    return body;
  };
  const found = async (query: string, as = key): Promise<string[]> =>
    (await search(query, '', as)).groups.flatMap(({ chats }: any) => chats.map(({ id }: any) => id));

  it('matches all words of the query in names and messages, the last word as a prefix', async () => {
    await fresh();
    const [tea, files, hindi] = [
      await create('Tea ceremony'),
      await say('See src/main.ts and v1.2.3'),
      await say('नमस्ते हिन्दी'),
    ];
    await say('Sencha and Gyokuro', tea);
    expect(await found('ceremony')).toEqual([tea]);
    expect(await found('CEREMONY tea')).toEqual([tea]);
    expect(await found('gyok')).toEqual([tea]);
    expect(await found('sencha gyok')).toEqual([tea]);
    expect(await found('gyok sencha')).toEqual([]);
    expect(await found('sencha coffee')).toEqual([]);
    expect(await found('src/main.ts')).toEqual([files]);
    expect(await found('v1.2.3')).toEqual([files]);
    expect(await found('हिन्दी')).toEqual([hindi]);
    expect(await found('ceremony', kit.keys.ADMIN)).toEqual([]);
    await rest('DELETE', `delete-chat-session/${tea}`);
    expect(await found('ceremony')).toEqual([]);
  });

  it('groups sessions by age and returns them page by page', async () => {
    await fresh();
    const day = 24 * 3600 * 1000;
    const now = new Date();
    const noon = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()) + day / 2;
    const ages = { Today: 0, Yesterday: 1, 'This Week': 5, 'This Month': 20, Older: 60 };
    const ids: Record<string, string> = {};
    for (const [title, days] of Object.entries(ages).reverse()) {
      ids[title] = await create(`Aged ${title}`);
      await kit.prisma.chatSession.update({
        where: { id: ids[title] },
        data: { createdAt: new Date(noon - days * day) },
      });
    }
    const whole = { has_more: false, next_page: null };
    const groups = Object.keys(ages).map((title) => ({
      title,
      chats: [expect.objectContaining({ id: ids[title], name: `Aged ${title}` })],
    }));
    expect(await search('aged')).toEqual({ groups, ...whole });
    expect(await search('')).toEqual({ groups, ...whole });
    expect(await search('aged', '&page_size=2')).toEqual({ groups: groups.slice(0, 2), has_more: true, next_page: 2 });
    expect(await search('aged', '&page_size=2&page=3')).toEqual({ groups: groups.slice(4), ...whole });
    expect(await search('', '&page_size=4&page=2')).toEqual({ groups: groups.slice(4), ...whole });
    expect(await search('aged', '&page=9')).toEqual({ groups: [], ...whole });
    expect(groups[0]?.chats).toHaveLength(1);
    expect((await search('aged')).groups[0].chats[0]).toEqual({
      id: ids.Today,
      name: 'Aged Today',
      persona_id: 0,
      time_created: expect.stringMatching(/Z$/),
      shared_status: 'private',
      current_alternate_model: null,
      current_temperature_override: null,
      current_reasoning_effort_override: null,
    });
  });

  it('treats any query as words and not as query syntax', async () => {
    await fresh();
    const session = await say('It is “100% sure” to work');
    for (const query of [
      ...[
        "' OR 1=1 --",
        "'; DROP TABLE x; --",
        '& | ! ( ) : * <->',
        '!!! sure',
        'sure:* & !work',
        '"sure',
        "sure'",
        '\\',
        '%',
        '$1',
      ],
      ...['a\0b', '\uffff', '½²', ':*', 'sure | nothing', '-sure', '🫖', ' \t\n', 'x'.repeat(1000), 'x '.repeat(500)],
    ])
      expect(await search(query)).toHaveProperty('groups');
    expect(await found('100% (sure)')).toEqual([session]);
    expect(await found('-sure')).toEqual([session]);
    expect(await found('sure | nothing')).toEqual([]);
    expect((await rest('GET', `search?query=${'x'.repeat(1001)}`)).status).toBe(422);
    const { data } = await kit.gql(
      'query ($q: String) { chatSessions(filter: { search: $q }) { nodes { databaseId } } }',
      { q: '\ud800\0sure' },
      key,
    );
    expect(data.chatSessions.nodes).toEqual([{ databaseId: session }]);
  });
});

describe('renaming a session', () => {
  const rename = (chat_session_id: string, name?: string | null) =>
    rest('PUT', 'rename-chat-session', { chat_session_id, name });

  it('sets the requested name or generates one from the first message', async () => {
    await fresh();
    const session = await say('  What is the best tea?\nAnd why?  ');
    await say('Something else', session);
    expect(await rename(session, 'Tea')).toMatchObject({ status: 200, body: { new_name: 'Tea' } });
    expect((await rest('GET', `get-chat-session/${session}`)).body.description).toBe('Tea');
    expect((await rename(session, null)).body).toEqual({ new_name: 'What is the best tea?' });
    expect((await rename(session)).body).toEqual({ new_name: 'What is the best tea?' });
    expect((await rename(session, 'Tea')).body).toEqual({ new_name: 'Tea' });
    expect((await rename(session, '')).body).toEqual({ new_name: 'What is the best tea?' });
    expect((await rename(await say('🫖'.repeat(100)))).body).toEqual({ new_name: `${'🫖'.repeat(29)}…` });
    expect((await rename(await create())).body).toEqual({ new_name: 'New chat' });
  });

  it('rejects another user’s session, an unknown session and an invalid name', async () => {
    await fresh();
    const session = await create('Mine');
    const foreign = await create('Foreign', kit.keys.ADMIN);
    const before = await kit.fingerprint();
    for (const id of [foreign, nowhere])
      expect(await rename(id, 'x')).toMatchObject({
        status: 400,
        body: { message: 'Invalid Chat Session ID provided' },
      });
    expect((await rename(session, 'x'.repeat(501))).status).toBe(422);
    expect((await rename(session, 'a\0b')).status).toBe(400);
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('deleting sessions', () => {
  const remove = (id: string, query = '', as = key) =>
    rest('DELETE', `delete-chat-session/${id}${query}`, undefined, as);

  it('hides a session, which its owner can still read with `include_deleted`', async () => {
    await fresh();
    const session = await say('Secret');
    expect(await remove(session)).toMatchObject({ status: 200, body: null });
    expect((await listed()).ids).toEqual([]);
    expect((await rest('GET', `get-chat-session/${session}`)).status).toBe(404);
    const kept = await rest('GET', `get-chat-session/${session}?include_deleted=true`);
    expect(kept).toMatchObject({ status: 200, body: { deleted: true } });
    const other = await rest('GET', `get-chat-session/${session}?include_deleted=true`, undefined, kit.keys.ADMIN);
    expect(other.status).toBe(404);
    const before = await kit.fingerprint();
    expect(
      (await rest('POST', 'send-chat-message', { message: 'x', stream: false, chat_session_id: session })).status,
    ).toBe(404);
    expect(await remove(session)).toMatchObject({ status: 400, body: { detail: 'Invalid Chat Session ID provided' } });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('erases a session with its messages and runs when `hard_delete` is set', async () => {
    await fresh();
    const session = await say('Secret');
    expect((await remove(session, '?hard_delete=true')).status).toBe(200);
    expect((await rest('GET', `get-chat-session/${session}?include_deleted=true`)).status).toBe(404);
    const where = { sessionId: session };
    expect(await kit.prisma.chatMessage.count({ where })).toBe(0);
    expect(await kit.prisma.run.count({ where })).toBe(0);
  });

  it('only hides a session without `hard_delete`, and rejects deleting it again', async () => {
    await fresh();
    for (const query of ['', '?hard_delete=false']) {
      const session = await say('Kept');
      expect((await remove(session, query)).status).toBe(200);
      expect(await kit.prisma.chatMessage.count({ where: { sessionId: session } })).toBe(3);
      const before = await kit.fingerprint();
      for (const again of ['', '?hard_delete=true'])
        expect(await remove(session, again)).toMatchObject({
          status: 400,
          body: { detail: 'Invalid Chat Session ID provided' },
        });
      expect((await remove(session, '?hard_delete=perhaps')).status).toBe(422);
      expect(await kit.fingerprint()).toBe(before);
    }
  });

  it('stops all running answers when all sessions are deleted', async () => {
    await fresh();
    const gates = [makeGate(), makeGate()];
    kit.model.script(...gates.map((gate) => ({ text: ['One ', 'two'], gate })));
    const sessions = [await create(), await create()];
    const answers = sessions.map((chat_session_id) =>
      rest('POST', 'send-chat-message', { message: 'Hello', stream: false, chat_session_id }),
    );
    for (const gate of gates) gate.release();
    await Promise.all(gates.map((gate) => gate.reached(1)));
    expect((await rest('DELETE', 'delete-all-chat-sessions')).status).toBe(200);
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
    const where = { sessionId: { in: sessions }, role: 'ASSISTANT' as const };
    const left = await kit.prisma.chatMessage.findMany({ where });
    expect(left.map(({ status }) => status)).toEqual(['STOPPED', 'STOPPED']);
  });

  it('rejects another user’s session with the same error as an unknown session', async () => {
    await fresh();
    const foreign = await create('Foreign', kit.keys.ADMIN);
    const before = await kit.fingerprint();
    for (const id of [foreign, nowhere])
      for (const query of ['', '?hard_delete=true'])
        expect(await remove(id, query)).toMatchObject({
          status: 400,
          body: { detail: 'Invalid Chat Session ID provided' },
        });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('deletes only the caller’s sessions when all sessions are deleted', async () => {
    await fresh();
    const other = (await kit.createKey('BASIC')).secret;
    const theirs = await create('Theirs', other);
    await create();
    await say('Hello');
    expect(await rest('DELETE', 'delete-all-chat-sessions')).toMatchObject({ status: 200, body: null });
    expect((await listed('?include_failed_chats=true')).ids).toEqual([]);
    expect((await listed('', other)).ids).toEqual([theirs]);
    const { data } = await kit.gql('mutation { deleteAllChatSessions { deletedCount } }', {}, other);
    expect(data).toEqual({ deleteAllChatSessions: { deletedCount: 1 } });
  });
});

it('rejects renaming, sharing and deleting without `manage:chat` and for another user’s session', async () => {
  await fresh();
  const session = await say('Hello');
  const pat = await kit.createPat(key, { scopes: ['read:chat', 'write:chat'] });
  const other = (await kit.createKey('BASIC')).secret;
  const update = (change: string) =>
    `mutation { updateChatSession(input: { session: { id: "${session}" }, ${change} }) { sessionId } }`;
  const remove = (more = '') =>
    `mutation { deleteChatSession(input: { session: { id: "${session}" } ${more} }) { deletedChatSessionId } }`;
  const documents = [
    update('name: "x"'),
    update('generateName: true'),
    update('sharing: PUBLIC'),
    remove(),
    remove(', hard: true'),
  ];
  const rows = [
    ['PUT', 'rename-chat-session', { chat_session_id: session, name: 'x' }],
    ['PUT', 'rename-chat-session', { chat_session_id: session }],
    ['PATCH', `chat-session/${session}`, { sharing_status: 'public' }],
    ['DELETE', `delete-chat-session/${session}`],
    ['DELETE', `delete-chat-session/${session}?hard_delete=true`],
  ] as const;
  const before = await kit.fingerprint();
  for (const [method, path, body] of rows) {
    expect([path, (await rest(method, path, body, pat.secret)).status]).toEqual([path, 403]);
    expect([path, (await rest(method, path, body, other)).status]).toEqual([path, 400]);
  }
  expect((await rest('DELETE', 'delete-all-chat-sessions', undefined, pat.secret)).status).toBe(403);
  for (const document of documents) {
    expect((await kit.gql(document, {}, pat.secret)).errors).toMatchObject([
      { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['manage:chat'] } },
    ]);
    expect((await kit.gql(document, {}, other)).errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  }
  const all = await kit.gql('mutation { deleteAllChatSessions { deletedCount } }', {}, pat.secret);
  expect(all.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  expect(await kit.fingerprint()).toBe(before);
});

it('a limited key can create sessions but cannot read or change them over any access path', async () => {
  const { secret: limited } = await kit.createKey('LIMITED');
  const session = await say('Hello', undefined, limited);
  const message = await kit.prisma.chatMessage.findFirstOrThrow({ where: { sessionId: session, role: 'USER' } });
  const before = await kit.fingerprint();
  for (const [method, path, body] of [
    ['GET', 'get-user-chat-sessions'],
    ['GET', `get-chat-session/${session}`],
    ['GET', 'search?query=hello'],
    ['PUT', 'rename-chat-session', { chat_session_id: session, name: 'x' }],
    ['PATCH', `chat-session/${session}`, { sharing_status: 'public' }],
    ['DELETE', `delete-chat-session/${session}`],
    ['DELETE', 'delete-all-chat-sessions'],
  ] as const)
    expect([path, (await rest(method, path, body, limited)).status]).toEqual([path, 403]);
  const global = (type: string, id: string | number) => Buffer.from(`${type}:${id}`).toString('base64');
  for (const query of [
    '{ chatSessions { nodes { databaseId } } }',
    `{ chatSession(id: "${session}") { databaseId } }`,
    '{ chatSessions(filter: { search: "hello" }) { nodes { databaseId } } }',
    `{ node(id: "${global('ChatSession', session)}") { id } }`,
    `{ node(id: "${global('ChatMessage', message.id)}") { id } }`,
  ]) {
    const { data, errors } = await kit.gql(query, {}, limited);
    expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    expect(JSON.stringify(data)).not.toContain(session);
  }
  expect(await kit.fingerprint()).toBe(before);
  // The credential can name a session that it creates, but cannot read it.
  const made = await kit.gql('mutation { createChatSession(input: {}) { sessionId session { name } } }', {}, limited);
  expect(made.data).toEqual({ createChatSession: { sessionId: expect.any(String), session: null } });
  expect(made.errors).toMatchObject([
    { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:chat'] } },
  ]);
});
