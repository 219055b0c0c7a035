import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, returned, startKit, withScopes } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';

let kit: Kit;
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
let limited: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  limited = kit.keys.LIMITED;
});
afterAll(() => kit?.close());

interface Turn {
  session: string;
  question: number;
  answer: number;
}

async function say(message = 'Hello', input: object = {}, key = anna.secret): Promise<Turn> {
  const { data, errors } = await kit.gql(
    `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId userMessageId assistantMessageId } }`,
    { input: { message, ...input } },
    key,
  );
  expect(errors).toEqual([]);
  const { sessionId, userMessageId, assistantMessageId } = data.sendChatMessage;
  return { session: sessionId, question: userMessageId, answer: assistantMessageId };
}

const rate = (input: object, key = anna.secret) =>
  kit.gql(
    `mutation ($input: RateChatMessageInput!) { rateChatMessage(input: $input) {
      messageId feedback { rating comment reason createdAt updatedAt } } }`,
    { input },
    key,
  );
const remove = (messageId: unknown, key = anna.secret) =>
  kit.gql(
    `mutation ($input: RemoveChatMessageRatingInput!) { removeChatMessageRating(input: $input) { messageId removed } }`,
    { input: { messageId } },
    key,
  );
const post = (body: object, key = anna.secret) =>
  kit.rest('POST', '/api/chat/create-chat-message-feedback', { key, body });
const drop = (id: unknown, key = anna.secret) =>
  kit.rest('DELETE', `/api/chat/remove-chat-message-feedback?chat_message_id=${id}`, { key });

const stored = (messageId: number) => kit.prisma.feedback.findMany({ where: { messageId }, orderBy: { id: 'asc' } });
const rootOf = async (sessionId: string) =>
  (await kit.prisma.chatMessage.findFirstOrThrow({ where: { sessionId, parentId: null } })).id;

/** Returns the caller's own feedback on a message, from GraphQL and then from REST. */
async function told({ session, answer }: Turn, key = anna.secret, shared = false) {
  const { data, errors } = await kit.gql(
    `query ($id: ID!, $shared: Boolean) { chatSession(id: $id, shared: $shared) { messages { nodes {
      databaseId feedback { rating comment reason } } } } }`,
    { id: session, shared },
    key,
  );
  expect(errors).toEqual([]);
  const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}?is_shared=${shared}`, { key });
  const { nodes } = data.chatSession.messages as { nodes: { databaseId: number; feedback: object | null }[] };
  const messages = body.messages as { message_id: number; current_feedback: string | null }[];
  return [
    nodes.find(({ databaseId }) => databaseId === answer)?.feedback,
    messages.find(({ message_id }) => message_id === answer)?.current_feedback,
  ];
}

async function createProject(name: string, key = anna.secret): Promise<number> {
  const { data } = await kit.gql(
    'mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { databaseId } } }',
    { input: { name } },
    key,
  );
  return data.createProject.project.databaseId;
}

async function createToken(projectId: number, input: object = {}): Promise<string> {
  const { data } = await kit.gql(
    'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
    { input: withScopes({ projectId, name: 'token', role: 'BASIC', ...input }) },
    anna.secret,
  );
  return data.createProjectToken.secret;
}

describe('rating an answer', () => {
  it('stores the feedback and returns it only to the caller', async () => {
    const turn = await say();
    const { data, errors } = await rate({
      messageId: turn.answer,
      rating: 'LIKE',
      comment: 'Just so.\nVery ✓',
      reason: 'helpful',
    });
    expect(errors).toEqual([]);
    expect(data.rateChatMessage).toEqual({
      messageId: turn.answer,
      feedback: {
        rating: 'LIKE',
        comment: 'Just so.\nVery ✓',
        reason: 'helpful',
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
        updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    });
    expect(await told(turn)).toEqual([{ rating: 'LIKE', comment: 'Just so.\nVery ✓', reason: 'helpful' }, 'like']);

    await kit.rest('PATCH', `/api/chat/chat-session/${turn.session}`, {
      key: anna.secret,
      body: { sharing_status: 'public' },
    });
    expect(await told(turn, ben.secret, true)).toEqual([null, null]);
  });

  it('keeps omitted fields of earlier feedback and removes cleared fields', async () => {
    const turn = await say();
    await rate({ messageId: turn.answer, rating: 'LIKE', comment: 'Good.', reason: 'helpful' });
    const [before] = await stored(turn.answer);
    const { data } = await rate({ messageId: turn.answer, rating: 'DISLIKE' });
    expect(data.rateChatMessage.feedback).toMatchObject({ rating: 'DISLIKE', comment: 'Good.', reason: 'helpful' });
    const after = await stored(turn.answer);
    expect(after).toEqual([{ ...before, positive: false, updatedAt: expect.any(Date) }]);
    expect(after[0]?.updatedAt.getTime()).toBeGreaterThanOrEqual(before?.updatedAt.getTime() ?? 0);
    await rate({ messageId: turn.answer, rating: null, comment: null, reason: null });
    expect(await told(turn)).toEqual([{ rating: 'DISLIKE', comment: 'Good.', reason: 'helpful' }, 'dislike']);
    await rate({ messageId: turn.answer, clear: ['COMMENT'], reason: '' });
    expect(await told(turn)).toEqual([{ rating: 'DISLIKE', comment: null, reason: null }, 'dislike']);
    const { errors } = await rate({ messageId: turn.answer, clear: ['RATING'] });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'rating'] }] } }]);
    expect(await told(turn)).toEqual([{ rating: 'DISLIKE', comment: null, reason: null }, 'dislike']);
  });

  it('accepts a comment without a rating, which is neither a like nor a dislike', async () => {
    const turn = await say();
    expect((await rate({ messageId: turn.answer, comment: 'Hm.' })).data.rateChatMessage.feedback).toMatchObject({
      rating: null,
      comment: 'Hm.',
    });
    expect(await told(turn)).toEqual([{ rating: null, comment: 'Hm.', reason: null }, null]);
  });

  it('keeps a field over REST if the body omits it or sets it to null', async () => {
    const turn = await say();
    const given: [object, object, string | null][] = [
      [{ is_positive: true }, { rating: 'LIKE', comment: null, reason: null }, 'like'],
      [
        { is_positive: false, feedback_text: 'No.', predefined_feedback: 'wrong' },
        { rating: 'DISLIKE', comment: 'No.', reason: 'wrong' },
        'dislike',
      ],
      [{ is_positive: null, feedback_text: 'Hm.' }, { rating: 'DISLIKE', comment: 'Hm.', reason: 'wrong' }, 'dislike'],
      [
        { is_positive: true, feedback_text: '', predefined_feedback: null },
        { rating: 'LIKE', comment: null, reason: 'wrong' },
        'like',
      ],
    ];
    for (const [body, feedback, current] of given) {
      expect(await post({ chat_message_id: turn.answer, ...body })).toMatchObject({ status: 200, text: 'null' });
      expect(await told(turn)).toEqual([feedback, current]);
    }
    for (const _again of [1, 2]) expect(await drop(turn.answer)).toMatchObject({ status: 200, text: 'null' });
    expect(await told(turn)).toEqual([null, null]);
  });

  it('can be undone, and the result states if feedback was removed', async () => {
    const turn = await say();
    await rate({ messageId: turn.answer, rating: 'LIKE' });
    for (const removed of [true, false]) {
      const { data, errors } = await remove(turn.answer);
      expect(errors).toEqual([]);
      expect(data.removeChatMessageRating).toEqual({ messageId: turn.answer, removed });
    }
    expect(await stored(turn.answer)).toEqual([]);
  });

  it('is possible while the answer is still being generated', async () => {
    const { session } = await say();
    const gate = makeGate();
    kit.model.script({ text: ['Still ', 'writing.'], gate });
    const answering = say('slow', { sessionId: session });
    gate.release();
    await gate.reached(1);
    const { id } = await kit.prisma.chatMessage.findFirstOrThrow({
      where: { sessionId: session, status: 'STREAMING' },
    });
    expect((await rate({ messageId: id, rating: 'LIKE' })).errors).toEqual([]);
    gate.open();
    const turn = await answering;
    expect(turn.answer).toBe(id);
    expect(await told(turn)).toEqual([{ rating: 'LIKE', comment: null, reason: null }, 'like']);
  });

  it('is deleted together with its author', async () => {
    const projectId = await createProject('shared');
    const token = await createToken(projectId);
    const turn = await say('of the project', { newSession: { projectId } });
    await rate({ messageId: turn.answer, rating: 'LIKE' }, token);
    await rate({ messageId: turn.answer, rating: 'DISLIKE' });
    expect(await stored(turn.answer)).toHaveLength(2);
    await kit.gql(
      'mutation ($input: DeleteProjectInput!) { deleteProject(input: $input) { deletedProjectId } }',
      {
        input: { id: projectId },
      },
      anna.secret,
    );
    expect((await stored(turn.answer)).map(({ userId }) => userId)).toEqual([anna.userId]);
  });
});

describe('authorization of ratings', () => {
  /** Calls both operations in GraphQL and REST on each of these messages and expects identical responses. */
  async function refusesAll(ids: number[], key: string) {
    const before = await kit.fingerprint();
    for (const messageId of ids) {
      for (const { data, errors } of [await rate({ messageId, rating: 'LIKE' }, key), await remove(messageId, key)]) {
        expect(returned(data)).toEqual([]);
        expect(errors).toMatchObject([{ message: 'Chat message not found', extensions: { code: 'NOT_FOUND' } }]);
      }
      for (const reply of [
        await post({ chat_message_id: messageId, is_positive: true }, key),
        await drop(messageId, key),
      ])
        expect(reply).toMatchObject({ status: 400, text: '{"message":"Invalid chat message specified"}' });
    }
    expect(await kit.fingerprint()).toBe(before);
  }

  it('returns NOT_FOUND for a question, the root, a deleted message and another user’s answer', async () => {
    const mine = await say();
    await rate({ messageId: mine.answer, rating: 'LIKE' });
    const shared = await say('shared');
    await kit.rest('PATCH', `/api/chat/chat-session/${shared.session}`, {
      key: anna.secret,
      body: { sharing_status: 'public' },
    });
    const own = await say('own', {}, ben.secret);
    const deleted = await say('deleted', {}, ben.secret);
    await rate({ messageId: deleted.answer, rating: 'LIKE' }, ben.secret);
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${deleted.session}`, { key: ben.secret });
    const notThere = [999_999, 0, -1, 0x7fff_ffff, -0x8000_0000];
    await refusesAll(
      [own.question, await rootOf(own.session), mine.answer, mine.question, shared.answer, deleted.answer, ...notThere],
      ben.secret,
    );
    // Also denied for callers who can read the feedback of all users.
    await refusesAll([mine.answer, shared.answer], kit.keys.ADMIN);
  });

  it('lets a limited key rate its own answers and returns NOT_FOUND for all other messages', async () => {
    const turn = await say('of the widget', {}, limited);
    const mine = await say();
    expect((await rate({ messageId: turn.answer, rating: 'LIKE' }, limited)).errors).toEqual([]);
    expect((await post({ chat_message_id: turn.answer, feedback_text: 'Hm.' }, limited)).status).toBe(200);
    await refusesAll([turn.question, await rootOf(turn.session), mine.answer, mine.question, 999_999], limited);
    expect((await drop(turn.answer, limited)).status).toBe(200);
    expect(await stored(turn.answer)).toEqual([]);
  });

  it('limits a project token to answers in its project and keeps ratings of each caller separate', async () => {
    const [one, two] = [await createProject('one'), await createProject('two')];
    const token = await createToken(one);
    const ofToken = await say('of the token', {}, token);
    const ofOwner = await say('of the owner', { newSession: { projectId: one } });
    const sister = await say('sister', { newSession: { projectId: two } });
    const loose = await say('loose');
    const foreign = await say('foreign', {}, ben.secret);
    await refusesAll([sister.answer, loose.answer, foreign.answer, ofOwner.question], token);
    await refusesAll([ofToken.answer, ofOwner.answer], ben.secret);

    for (const turn of [ofToken, ofOwner]) {
      expect((await rate({ messageId: turn.answer, rating: 'LIKE' }, token)).errors).toEqual([]);
      expect((await post({ chat_message_id: turn.answer, is_positive: false })).status).toBe(200);
      expect((await told(turn, token))[1]).toBe('like');
      expect((await told(turn))[1]).toBe('dislike');
      expect(await stored(turn.answer)).toHaveLength(2);
      expect((await remove(turn.answer, token)).data.removeChatMessageRating.removed).toBe(true);
      expect((await told(turn))[1]).toBe('dislike');
    }
    // Without `read:chat`, the chats of other tokens of the project are not readable.
    const blind = await createToken(one, { scopes: ['write:chat'] });
    await refusesAll([ofToken.answer, ofOwner.answer], blind);
    const ofBlind = await say('blind', {}, blind);
    expect((await rate({ messageId: ofBlind.answer, rating: 'LIKE' }, blind)).errors).toEqual([]);
  });

  it('requires `write:chat`', async () => {
    const turn = await say();
    await rate({ messageId: turn.answer, rating: 'LIKE' });
    const { secret } = await kit.createPat(anna.secret, { scopes: ['read:chat', 'manage:chat'] });
    const before = await kit.fingerprint();
    for (const { errors } of [
      await rate({ messageId: turn.answer, rating: 'DISLIKE' }, secret),
      await remove(turn.answer, secret),
    ])
      expect(errors).toMatchObject([
        { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['write:chat'] } },
      ]);
    for (const reply of [
      await post({ chat_message_id: turn.answer, is_positive: false }, secret),
      await drop(turn.answer, secret),
    ])
      expect(reply).toMatchObject({ status: 403, body: { error_code: 'INSUFFICIENT_PERMISSIONS' } });
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('limits and validation of feedback', () => {
  let messageId: number;
  beforeAll(async () => {
    messageId = (await say()).answer;
  });

  it('rejects an invalid value over GraphQL, names the field and changes no data', async () => {
    const before = await kit.fingerprint();
    const id = (value: unknown): [object, string] => [{ messageId: value, rating: 'LIKE' }, 'messageId'];
    const cases: [object, string][] = [
      ...[2 ** 31, -(2 ** 31) - 1, 1e300, 1.5, '1a', Buffer.from('Agent:1').toString('base64'), true, null, {}].map(id),
      [{ messageId }, 'rating'],
      [{ messageId, rating: null, comment: null }, 'rating'],
      [{ messageId, rating: null, comment: '', reason: 'alone' }, 'rating'],
      [{ messageId, rating: 'MAYBE' }, 'rating'],
      [{ messageId, rating: true }, 'rating'],
      [{ messageId, comment: 'a\0b' }, 'comment'],
      [{ messageId, comment: '\ud800' }, 'comment'],
      [{ messageId, comment: 'x'.repeat(10_001) }, 'comment'],
      [{ messageId, comment: 1 }, 'comment'],
      [{ messageId, rating: 'LIKE', reason: 'a\0b' }, 'reason'],
      [{ messageId, rating: 'LIKE', reason: 'x'.repeat(501) }, 'reason'],
      [{ messageId, rating: 'LIKE', reason: [] }, 'reason'],
    ];
    for (const [input, field] of cases) {
      const { status, errors } = await rate(input);
      expect(status).toBeLessThan(500);
      expect(errors, JSON.stringify(input).slice(0, 100)).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] } },
      ]);
    }
    for (const value of [2 ** 31, 1.5, '1a', null])
      expect((await remove(value)).errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', 'messageId'] }] } },
      ]);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('rejects an invalid value over REST, names the field and changes no data', async () => {
    const before = await kit.fingerprint();
    const chat_message_id = messageId;
    const is_positive = true;
    const cases: [object, string][] = [
      ...[2 ** 31, -(2 ** 31) - 1, 1e300, 1.5, '1', true, null, {}].map((value): [object, string] => [
        { chat_message_id: value, is_positive },
        'chat_message_id',
      ]),
      [{ is_positive }, 'chat_message_id'],
      [{ chat_message_id }, 'is_positive'],
      [{ chat_message_id, is_positive: null, feedback_text: null }, 'is_positive'],
      [{ chat_message_id, is_positive: null, feedback_text: '', predefined_feedback: 'alone' }, 'is_positive'],
      [{ chat_message_id, is_positive: 'yes' }, 'is_positive'],
      [{ chat_message_id, is_positive, feedback_text: 1 }, 'feedback_text'],
      [{ chat_message_id, is_positive, feedback_text: 'x'.repeat(10_001) }, 'feedback_text'],
      [{ chat_message_id, is_positive, predefined_feedback: {} }, 'predefined_feedback'],
      [{ chat_message_id, is_positive, predefined_feedback: 'x'.repeat(501) }, 'predefined_feedback'],
    ];
    for (const [body, field] of cases)
      expect(await post(body), JSON.stringify(body).slice(0, 100)).toMatchObject({
        status: 422,
        body: { message: expect.stringContaining(`${field}: `) },
      });
    for (const [body, field] of [
      [{ chat_message_id, feedback_text: 'a\0b' }, 'feedback_text'],
      [{ chat_message_id, is_positive, predefined_feedback: '\ud800' }, 'predefined_feedback'],
    ] as const)
      expect(await post(body)).toMatchObject({
        status: 400,
        body: { error_code: 'INVALID_INPUT', detail: expect.stringContaining(`${field}: `) },
      });
    for (const value of ['', 'x', '1.5', '1e3', String(2 ** 31), '99999999999999999999', '%00'])
      expect(await drop(value)).toMatchObject({
        status: 422,
        body: { message: expect.stringContaining('chat_message_id: ') },
      });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('accepts a comment and a reason of the maximum length', async () => {
    const comment = 'x'.repeat(10_000);
    const reason = 'y'.repeat(500);
    expect((await rate({ messageId, comment, reason })).errors).toEqual([]);
    expect(await stored(messageId)).toMatchObject([{ comment, reason }]);
    expect(
      (await post({ chat_message_id: messageId, feedback_text: comment, predefined_feedback: reason })).status,
    ).toBe(200);
  });
});

describe('the list of all feedback', () => {
  const fields = `id messageId sessionId rating comment reason question answer agentId agentName userId userName
    createdAt updatedAt`;
  const list = (args: string, key = kit.keys.ADMIN, selection = `nodes { ${fields} }`) =>
    kit.gql(`{ feedback${args} { ${selection} } }`, {}, key);
  const idsOf = async (args: string) =>
    ((await list(args)).data.feedback.nodes as { messageId: number }[]).map(({ messageId }) => messageId);
  const node = (id: string, key = kit.keys.ADMIN) =>
    kit.gql(
      `query ($id: ID!) { node(id: $id) { ... on ChatFeedback { ${fields} } } nodes(ids: [$id]) { __typename id } }`,
      { id },
      key,
    );

  /** Three answers with feedback, oldest first: in a chat, in a chat of a project, in a chat of a limited key. */
  let turns: Turn[];
  beforeAll(async () => {
    await kit.prisma.feedback.deleteMany();
    const projectId = await createProject('seen');
    turns = [
      await say('What is liked?'),
      await say('What is disliked?', { newSession: { projectId } }),
      await say('What is commented on?', {}, limited),
    ];
    const [liked, disliked, commented] = turns.map(({ answer }) => answer);
    await rate({ messageId: liked, rating: 'LIKE' });
    await rate({ messageId: disliked, rating: 'DISLIKE', comment: 'Wrong.', reason: 'incorrect' });
    await rate({ messageId: commented, comment: 'Hm.' }, limited);
  });

  it('contains rating, answer and user, newest first, including chats in other users’ projects', async () => {
    const { data, errors } = await list('', kit.keys.ADMIN, `totalCount nodes { ${fields} }`);
    expect(errors).toEqual([]);
    expect(data.feedback.totalCount).toBe(3);
    const [commented, disliked, liked] = data.feedback.nodes;
    expect(disliked).toEqual({
      id: expect.any(String),
      messageId: turns[1]?.answer,
      sessionId: turns[1]?.session,
      rating: 'DISLIKE',
      comment: 'Wrong.',
      reason: 'incorrect',
      question: 'What is disliked?',
      answer: 'You said: What is disliked?',
      agentId: 0,
      agentName: expect.any(String),
      userId: anna.userId,
      userName: 'anna',
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    expect(liked).toMatchObject({ messageId: turns[0]?.answer, rating: 'LIKE', comment: null, userName: 'anna' });
    expect(commented).toMatchObject({ messageId: turns[2]?.answer, rating: null, comment: 'Hm.', userName: 'limited' });

    const one = await node(disliked.id);
    expect(one.data).toEqual({ node: disliked, nodes: [{ __typename: 'ChatFeedback', id: disliked.id }] });
  });

  it('can be filtered by rating and time and read page by page', async () => {
    const [liked, disliked, commented] = turns.map(({ answer }) => answer) as [number, number, number];
    expect(await idsOf('(filter: { rating: LIKE })')).toEqual([liked]);
    expect(await idsOf('(filter: { rating: DISLIKE })')).toEqual([disliked]);
    expect(await idsOf('(filter: { rating: null })')).toEqual([commented, disliked, liked]);
    const at = (day: number) => `2026-01-0${day}T00:00:00.000Z`;
    for (const [index, messageId] of [liked, disliked, commented].entries())
      await kit.prisma.feedback.updateMany({ where: { messageId }, data: { createdAt: at(index + 1) } });
    expect(await idsOf(`(filter: { createdSince: "${at(2)}" })`)).toEqual([commented, disliked]);
    expect(await idsOf(`(filter: { createdBefore: "${at(2)}" })`)).toEqual([liked]);
    expect(await idsOf(`(filter: { createdSince: "${at(2)}", createdBefore: "${at(3)}" })`)).toEqual([disliked]);
    expect(await idsOf(`(filter: { createdSince: "${at(2)}", rating: LIKE })`)).toEqual([]);
    expect(await idsOf('(first: 1, offset: 1)')).toEqual([disliked]);

    const selection = 'totalCount nodes { messageId } pageInfo { hasNextPage endCursor }';
    const { data } = await list(`(first: 2, filter: { createdSince: "${at(1)}" })`, kit.keys.ADMIN, selection);
    const { pageInfo, nodes, totalCount } = data.feedback;
    expect([totalCount, nodes.length, pageInfo.hasNextPage]).toEqual([3, 2, true]);
    expect(await idsOf(`(first: 2, after: "${pageInfo.endCursor}")`)).toEqual([liked]);
    for (const [name, type, value] of [
      ['first', 'Int', -1],
      ['first', 'Int', 2 ** 31],
      ['offset', 'Int', -1],
      ['after', 'String', 'nonsense'],
      ['filter', 'ChatFeedbackFilter', { rating: 'MAYBE' }],
      ['filter', 'ChatFeedbackFilter', { createdSince: 'yesterday' }],
      ['filter', 'ChatFeedbackFilter', { createdBefore: '+275760-09-13T00:00:00Z' }],
    ]) {
      const query = `query ($${name}: ${type}) { feedback(${name}: $${name}) { totalCount } }`;
      const { status, errors } = await kit.gql(query, { [`${name}`]: value });
      expect(status).toBeLessThan(500);
      const path = [name, ...(typeof value === 'object' ? Object.keys(value) : [])];
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', fields: [{ path }] } }]);
    }
  });

  it('omits deleted sessions from the list, the count and the nodes', async () => {
    const turn = await say('Gone soon', {}, ben.secret);
    await rate({ messageId: turn.answer, rating: 'LIKE' }, ben.secret);
    const { data } = await list('(first: 1)');
    const [{ id, messageId }] = data.feedback.nodes;
    expect(messageId).toBe(turn.answer);
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${turn.session}`, { key: ben.secret });
    expect(await stored(turn.answer)).toHaveLength(1);
    const after = await list('', kit.keys.ADMIN, 'totalCount nodes { messageId }');
    expect(after.data.feedback.totalCount).toBe(3);
    expect(after.data.feedback.nodes).not.toContainEqual({ messageId });
    expect((await node(id)).data).toEqual({ node: null, nodes: [null] });
  });

  it('requires `read:query_history`, both for the list and for a global ID', async () => {
    const [{ id }] = (await list('(first: 1)')).data.feedback.nodes;
    const required = { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:query_history'] };
    const { secret: scoped } = await kit.createPat(kit.keys.ADMIN, {
      scopes: ['read:chat', 'write:chat', 'read:analytics'],
    });
    const token = await createToken(await createProject('confined'));
    const before = await kit.fingerprint();
    for (const key of [anna.secret, limited, scoped, token]) {
      expect((await list('', key)).errors).toMatchObject([{ extensions: required }]);
      expect((await list('', key, 'totalCount')).errors).toMatchObject([{ extensions: required }]);
      const { data, errors } = await node(id, key);
      expect(returned(data)).toEqual([]);
      expect(errors).toMatchObject([{ extensions: required }, { extensions: required }]);
    }
    expect(await kit.fingerprint()).toBe(before);
    const { secret: reader } = await kit.createPat(kit.keys.ADMIN, { scopes: ['read:query_history'] });
    expect((await list('', reader)).data.feedback.nodes).toHaveLength(3);
  });

  it('executes the same number of statements for one and many items, as does a caller’s own feedback', async () => {
    const { session } = await say('many');
    const many = async (count: number) => {
      const root = await rootOf(session);
      for (let at = 0; at < count; at++) {
        const { id: parentId } = await kit.prisma.chatMessage.create({
          data: { sessionId: session, parentId: root, role: 'USER', text: `question ${at}` },
        });
        const { id: messageId } = await kit.prisma.chatMessage.create({
          data: { sessionId: session, parentId, role: 'ASSISTANT', text: `answer ${at}` },
        });
        await kit.prisma.feedback.create({ data: { messageId, userId: anna.userId, positive: at % 2 === 0 } });
      }
    };
    const counted = async (work: () => Promise<number>) => {
      await work();
      await kit.booted.background.settled();
      kit.statements.length = 0;
      const rows = await work();
      await kit.booted.background.settled();
      return { rows, statements: kit.statements.length };
    };
    const all = () =>
      counted(async () => {
        const { data } = await list('(first: 100)', kit.keys.ADMIN, `totalCount nodes { ${fields} }`);
        return data.feedback.nodes.length;
      });
    const own = () =>
      counted(async () => {
        const { data } = await kit.gql(
          'query ($id: ID!) { chatSession(id: $id) { messages(first: 100) { nodes { text feedback { rating } } } } }',
          { id: session },
          anna.secret,
        );
        return data.chatSession.messages.nodes.filter(({ feedback }: { feedback: unknown }) => feedback).length;
      });
    const rest = () =>
      counted(async () => {
        const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key: anna.secret });
        return body.messages.filter((message: { current_feedback: unknown }) => message.current_feedback).length;
      });
    await many(2);
    const few = [await all(), await own(), await rest()];
    await many(30);
    const after = [await all(), await own(), await rest()];
    expect(after.map(({ rows }, index) => rows - (few[index]?.rows ?? 0))).toEqual([30, 30, 30]);
    expect(after.map(({ statements }) => statements)).toEqual(few.map(({ statements }) => statements));
  });
});

describe('concurrent ratings', () => {
  it('of one answer all succeed and leave exactly one rating', async () => {
    const turn = await say();
    const ratings = Array.from({ length: 12 }, (_, at) =>
      at % 2 === 0
        ? rate({ messageId: turn.answer, rating: at % 4 === 0 ? 'LIKE' : 'DISLIKE', comment: `${at}` })
        : post({ chat_message_id: turn.answer, is_positive: at % 4 === 1, feedback_text: `${at}` }),
    );
    for (const reply of await Promise.all(ratings)) {
      expect(reply.status).toBe(200);
      if ('errors' in reply) expect(reply.errors).toEqual([]);
    }
    expect(await stored(turn.answer)).toHaveLength(1);
  });

  it.each(['', '?hard_delete=true'])(
    'during deletion of the session%s succeed before it or return NOT_FOUND after it',
    async (how) => {
      const turn = await say();
      const input = { messageId: turn.answer, rating: 'LIKE' };
      const rest = { chat_message_id: turn.answer, is_positive: false };
      const [deleted, ...replies] = await Promise.all([
        kit.rest('DELETE', `/api/chat/delete-chat-session/${turn.session}${how}`, { key: anna.secret }),
        ...Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? rate(input) : post(rest))),
      ]);
      expect(deleted.status).toBe(200);
      for (const reply of replies) {
        if ('errors' in reply) for (const { extensions } of reply.errors) expect(extensions.code).toBe('NOT_FOUND');
        else expect([200, 400]).toContain(reply.status);
      }
      expect((await rate(input)).errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    },
  );

  it('return NOT_FOUND when the answer is deleted between the check and the insert', async () => {
    const turn = await say();
    const before = await kit.fingerprint();
    await kit.prisma.$executeRaw`CREATE FUNCTION erase_answer() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN DELETE FROM "ChatMessage" WHERE "id" = NEW."messageId"; RETURN NEW; END $$`;
    await kit.prisma.$executeRaw`CREATE TRIGGER erase_answer BEFORE INSERT ON "Feedback"
      FOR EACH ROW EXECUTE FUNCTION erase_answer()`;
    try {
      const { errors } = await rate({ messageId: turn.answer, rating: 'LIKE' });
      expect(errors).toMatchObject([{ message: 'Chat message not found', extensions: { code: 'NOT_FOUND' } }]);
      expect((await post({ chat_message_id: turn.answer, is_positive: true })).status).toBe(400);
    } finally {
      await kit.prisma.$executeRaw`DROP FUNCTION erase_answer CASCADE`;
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});
