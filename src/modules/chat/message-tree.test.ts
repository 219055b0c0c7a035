import { describe, expect, it } from 'vitest';
import { asked, createSession, deltas, detail, kit, send, stored, stream, useChatKit } from '../../../test/chat-kit.ts';
import { gather } from '../../../test/lines.ts';

useChatKit();

describe('an invalid message request', () => {
  const nowhere = '00000000-0000-4000-8000-000000000000';

  it.each([
    [
      'a session that does not exist',
      { chat_session_id: nowhere },
      'VALIDATION_ERROR',
      'Invalid Chat Session ID provided',
    ],
    [
      'an agent that does not exist',
      { chat_session_info: { persona_id: 4711 } },
      'VALIDATION_ERROR',
      'Agent not found',
    ],
    ['a text that cannot be stored', { message: 'a\0b' }, 'VALIDATION_ERROR', /NUL/],
    ['half a character', { message: 'a\ud800b' }, 'VALIDATION_ERROR', /well-formed|Unicode|UTF/i],
    [
      'a date that cannot be stored',
      { internal_search_filters: { time_cutoff: '0000-01-01T00:00:00Z' } },
      'VALIDATION_ERROR',
      'internal_search_filters.time_cutoff: must have a year from 1 to 9999',
    ],
  ])('is reported in the stream and stores no data: %s', async (_what, body, error_code, error) => {
    const before = await kit.fingerprint();
    expect(await gather(stream(body))).toEqual([
      {
        error: typeof error === 'string' ? error : expect.stringMatching(error),
        stack_trace: null,
        error_code,
        is_retryable: false,
        details: null,
      },
    ]);
    const whole = await send(body);
    expect([400, 404]).toContain(whole.status);
    expect(await kit.fingerprint()).toBe(before);
  });

  it.each([
    ['both a session and a new one', { chat_session_id: nowhere, chat_session_info: {} }],
    ['no message', { message: undefined }],
    ['a message that is none', { message: 1 }],
    ['a parent that no integer column holds', { parent_message_id: 2 ** 31 }],
    ['an action that no integer column holds', { allowed_tool_ids: [2 ** 31] }],
    ['an id that is none', { chat_session_id: 'x' }],
  ])('returns 422 and stores no data when it is malformed: %s', async (_what, body) => {
    const before = await kit.fingerprint();
    for (const stream of [true, false]) expect((await send({ ...body, stream })).status).toBe(422);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('returns an error for a session of another user and stores no data', async () => {
    const session = await createSession({}, kit.keys.ADMIN);
    const before = await kit.fingerprint();
    expect((await gather(stream({ chat_session_id: session })))[0]).toMatchObject({ error_code: 'VALIDATION_ERROR' });
    expect((await send({ chat_session_id: session })).status).toBe(404);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('returns an error when the agent was unshared or deleted, in existing sessions too', async () => {
    const agent = async (change: object) => {
      const { errors } = await kit.gql(
        'mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { databaseId } } }',
        { input: { agent: { id }, ...change } },
      );
      expect(errors).toEqual([]);
    };
    const { data } = await kit.gql(
      'mutation { createAgent(input: { name: "Fleeting", isPublic: true, actionIds: [] }) { agent { databaseId } } }',
    );
    const id = data.createAgent.agent.databaseId;
    const session = await createSession({ persona_id: id });
    expect((await send({ chat_session_id: session })).body.answer).toBe('You said: Hello');
    await agent({ isPublic: false });
    expect((await send({ chat_session_id: session })).status).toBe(404);
    expect(
      (await kit.rest('POST', '/api/chat/create-chat-session', { body: { persona_id: id }, key: kit.keys.BASIC }))
        .status,
    ).toBe(403);
    await agent({ isPublic: true });
    expect((await send({ chat_session_id: session })).status).toBe(200);
    const deleted = await kit.gql('mutation ($id: ID!) { deleteAgent(input: { agent: { id: $id } }) { __typename } }', {
      id,
    });
    expect(deleted.errors).toEqual([]);
    expect((await send({ chat_session_id: session })).status).toBe(404);
    expect((await detail(session)).body.persona_name).toBe('Fleeting');
  });
});

describe('the message tree', () => {
  const say = async (chat_session_id: string, message: string, rest: object = {}) => {
    const lines = await gather(stream({ chat_session_id, message, allowed_tool_ids: [], ...rest }));
    const { user_message_id, reserved_assistant_message_id } = lines[0];
    return {
      user: user_message_id as number | null,
      assistant: reserved_assistant_message_id as number,
      text: deltas(lines),
    };
  };
  const history = () =>
    asked()
      .slice(1)
      .map(({ content }) => content);

  it('continues after the last message by default and passes the earlier messages to the model', async () => {
    const session = await createSession();
    const first = await say(session, 'one');
    const second = await say(session, 'two', { parent_message_id: -1 });
    expect(asked().map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(history()).toEqual(['one', 'You said: one', 'two']);
    const { body } = await detail(session);
    const [root] = body.messages;
    expect(root).toMatchObject({
      message_type: 'system',
      message: '',
      parent_message: null,
      latest_child_message: first.user,
    });
    expect(
      body.messages.map((message: any) => [message.message_id, message.parent_message, message.message_type]),
    ).toEqual([
      [root.message_id, null, 'system'],
      [first.user, root.message_id, 'user'],
      [first.assistant, first.user, 'assistant'],
      [second.user, first.assistant, 'user'],
      [second.assistant, second.user, 'assistant'],
    ]);
  });

  it('starts over when the parent is null or the root', async () => {
    const session = await createSession();
    const first = await say(session, 'one');
    const { parentId: root } = await stored(first.user ?? 0);
    for (const parent_message_id of [null, root]) {
      const again = await say(session, 'anew', { parent_message_id });
      expect(history()).toEqual(['anew']);
      expect((await stored(again.user ?? 0)).parentId).toBe(root);
      expect((await stored(root ?? 0)).latestChildId).toBe(again.user);
    }
    // The previous branch is no longer the mainline: the next message follows the last one.
    await say(session, 'next');
    expect(history()).toEqual(['anew', 'You said: anew', 'next']);
  });

  it('branches when the parent is an earlier answer', async () => {
    const session = await createSession();
    const first = await say(session, 'one');
    await say(session, 'two');
    const branch = await say(session, 'other', { parent_message_id: first.assistant });
    expect(history()).toEqual(['one', 'You said: one', 'other']);
    expect((await stored(branch.user ?? 0)).parentId).toBe(first.assistant);
    expect((await stored(first.assistant)).latestChildId).toBe(branch.user);
  });

  it('adds a second answer and no new question when a question is answered again', async () => {
    const session = await createSession();
    await say(session, 'one');
    const second = await say(session, 'two');
    kit.model.script({ text: 'Otherwise.' });
    const again = await say(session, 'ignored', { parent_message_id: second.user });
    expect(again).toMatchObject({ user: null, text: 'Otherwise.' });
    expect(history()).toEqual(['one', 'You said: one', 'two']);
    expect((await stored(again.assistant)).parentId).toBe(second.user);
    expect((await stored(second.user ?? 0)).latestChildId).toBe(again.assistant);
    expect((await stored(second.assistant)).text).toBe('You said: two');
    expect(await kit.prisma.chatMessage.count({ where: { sessionId: session, role: 'USER' } })).toBe(2);
    await say(session, 'three');
    expect(history()).toEqual(['one', 'You said: one', 'two', 'Otherwise.', 'three']);
  });

  it('rejects a parent off the mainline, in another session or unknown, and stores no data', async () => {
    const session = await createSession();
    const left = await say(session, 'one');
    await say(session, 'anew', { parent_message_id: null });
    const elsewhere = await say(await createSession(), 'there');
    const before = await kit.fingerprint();
    for (const parent_message_id of [
      left.assistant,
      left.user,
      elsewhere.assistant,
      elsewhere.user,
      0,
      -2,
      2 ** 31 - 1,
    ]) {
      const body = { chat_session_id: session, parent_message_id };
      expect(await gather(stream(body))).toEqual([
        expect.objectContaining({
          error: expect.stringContaining('The new message sent is not on the latest mainline of messages'),
          error_code: 'VALIDATION_ERROR',
        }),
      ]);
      expect((await send(body)).status).toBe(400);
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});
