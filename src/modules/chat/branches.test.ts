import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, returned, startKit } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { withoutPassages } from '../../ai/passages.ts';
import { mainline } from './tree.ts';

let kit: Kit;
let anna: string;
let ben: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  anna = (await kit.createKey('BASIC', { name: 'anna' })).secret;
  ben = (await kit.createKey('BASIC', { name: 'ben' })).secret;
});
afterAll(() => kit?.close());

interface Turn {
  session: string;
  question: number;
  answer: number;
}

/** Performs one turn of a chat, with the input of the GraphQL API. */
async function say(message: string, input: object = {}, key = anna): Promise<Turn> {
  const { data, errors } = await kit.gql(
    `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId userMessageId assistantMessageId } }`,
    { input: { message, ...input } },
    key,
  );
  expect(errors).toEqual([]);
  const { sessionId, userMessageId, assistantMessageId } = data.sendChatMessage;
  return { session: sessionId, question: userMessageId, answer: assistantMessageId };
}

const messagesOf = (sessionId: string) =>
  kit.prisma.chatMessage.findMany({ where: { sessionId }, orderBy: { id: 'asc' } });
/** Returns the IDs of the current branch without the root. */
const branch = async (session: string) =>
  mainline(await messagesOf(session))
    .map(({ id }) => id)
    .slice(1);

const select = (messageId: unknown, key = anna) =>
  kit.gql(
    `mutation ($input: SelectChatBranchInput!) { selectChatBranch(input: $input) { sessionId } }`,
    { input: { messageId } },
    key,
  );
const prefer = (questionId: unknown, responseId: unknown, key = anna) =>
  kit.gql(
    `mutation ($input: SetPreferredResponseInput!) { setPreferredResponse(input: $input) { questionId preferredResponseId } }`,
    { input: responseId === null ? { questionId, clear: ['RESPONSE_ID'] } : { questionId, responseId } },
    key,
  );
const put = (path: string, body: unknown, key = anna) => kit.rest('PUT', `/api/chat/${path}`, { key, body });
const setLatest = (message_id: unknown, key = anna) => put('set-message-as-latest', { message_id }, key);
const setPreferred = (user_message_id: unknown, preferred_response_id: unknown, key = anna) =>
  put('set-preferred-response', { user_message_id, preferred_response_id }, key);

/**
 * Creates a question with two answers, the second of which was continued, and another first question, which is current.
 */
async function tree(key = anna, input: object = {}) {
  const first = await say('first', input, key);
  const again = await say('', { sessionId: first.session, parent: { messageId: first.question } }, key);
  const further = await say('further', { sessionId: first.session }, key);
  const over = await say('over', { sessionId: first.session, parent: { startOver: true } }, key);
  return { session: first.session, first, again, further, over };
}

describe('selecting a branch', () => {
  it('makes the path to a message current and continues there with the next message', async () => {
    const { session, first, again, further, over } = await tree();
    expect(await branch(session)).toEqual([over.question, over.answer]);

    const { data, errors } = await kit.gql(
      `mutation ($input: SelectChatBranchInput!) { selectChatBranch(input: $input) {
        sessionId session { messages { nodes { databaseId latestChildId } } } } }`,
      { input: { messageId: first.answer } },
      anna,
    );
    expect(errors).toEqual([]);
    expect(data.selectChatBranch.sessionId).toBe(session);
    const root = (await messagesOf(session))[0]?.id;
    expect(data.selectChatBranch.session.messages.nodes).toEqual([
      { databaseId: root, latestChildId: first.question },
      { databaseId: first.question, latestChildId: first.answer },
      { databaseId: first.answer, latestChildId: null },
      { databaseId: again.answer, latestChildId: further.question },
      { databaseId: further.question, latestChildId: further.answer },
      { databaseId: further.answer, latestChildId: null },
      { databaseId: over.question, latestChildId: over.answer },
      { databaseId: over.answer, latestChildId: null },
    ]);

    const next = await say('next', { sessionId: session });
    expect(await branch(session)).toEqual([first.question, first.answer, next.question, next.answer]);
    const asked = kit.model.requests.at(-1)?.body.messages?.filter(({ role }) => role !== 'system');
    expect(asked?.map(({ content }) => withoutPassages(content as string))).toEqual([
      'first',
      'You said: first',
      'next',
    ]);
  });

  it('restores the part of the branch below the message that was current before', async () => {
    const { session, first, again, further } = await tree();
    expect((await select(again.answer)).errors).toEqual([]);
    const whole = [first.question, again.answer, further.question, further.answer];
    expect(await branch(session)).toEqual(whole);
    // Switches to another branch, and back to a message that is an ancestor of all messages of that branch.
    await select(first.answer);
    await select(again.answer);
    expect(await branch(session)).toEqual(whole);
  });

  it('returns null over REST and updates the session', async () => {
    const { session, first, again, further } = await tree();
    const { updatedAt } = await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: session } });
    expect(await setLatest(further.answer)).toMatchObject({ status: 200, text: 'null' });
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key: anna });
    const [root, question] = body.messages;
    expect(root.latest_child_message).toBe(first.question);
    expect(question).toMatchObject({ message_id: first.question, latest_child_message: again.answer });
    const after = await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: session } });
    expect(after.updatedAt.getTime()).toBeGreaterThan(updatedAt.getTime());
  });

  it('does not change the tree for the root or a message that is already current', async () => {
    const { session, over } = await tree();
    const before = await messagesOf(session);
    for (const id of [over.answer, over.question, before[0]?.id]) expect((await select(id)).errors).toEqual([]);
    expect(await messagesOf(session)).toEqual(before);
  });

  it('is possible during an answer, which is completed on its own branch', async () => {
    const { session, first } = await tree();
    const gate = makeGate();
    kit.model.script({ text: ['Slowly ', 'said.'], gate });
    const answering = say('slow', { sessionId: session });
    gate.release();
    await gate.reached(1);
    expect((await select(first.answer)).errors).toEqual([]);
    gate.open();
    const slow = await answering;
    expect(await branch(session)).toEqual([first.question, first.answer]);
    expect(await kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: slow.answer } })).toMatchObject({
      status: 'COMPLETE',
      text: 'Slowly said.',
    });
  });

  it('updates a path of 2,000 messages in one statement', async () => {
    const { session } = await say('whose');
    const { userId } = await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: session } });
    const long = await kit.prisma.chatSession.create({ data: { userId, agentId: 0 } });
    const first = 500_000_000;
    await kit.prisma.chatMessage.createMany({
      data: Array.from({ length: 2000 }, (_, at) => ({
        id: first + at,
        sessionId: long.id,
        parentId: at === 0 ? null : first + at - 1,
        role: at === 0 ? ('SYSTEM' as const) : at % 2 === 1 ? ('USER' as const) : ('ASSISTANT' as const),
      })),
    });
    expect((await select(first + 1999)).errors).toEqual([]);
    expect(await branch(long.id)).toHaveLength(1999);
    // The transaction and command that wrote each row.
    const writers = await kit.prisma.$queryRaw`SELECT "xmin"::text, "cmin"::text, count(*)::int AS "rows"
      FROM "ChatMessage" WHERE "sessionId" = ${long.id}::uuid AND "latestChildId" IS NOT NULL GROUP BY 1, 2`;
    expect(writers).toMatchObject([{ rows: 1999 }]);
  });
});

describe('selecting a preferred answer', () => {
  it('stores it on the question and makes its branch current', async () => {
    const { session, first, again } = await tree();
    const { data, errors } = await kit.gql(
      `mutation ($input: SetPreferredResponseInput!) { setPreferredResponse(input: $input) {
        questionId preferredResponseId question { databaseId preferredResponseId latestChildId } } }`,
      { input: { questionId: first.question, responseId: first.answer } },
      anna,
    );
    expect(errors).toEqual([]);
    expect(data.setPreferredResponse).toEqual({
      questionId: first.question,
      preferredResponseId: first.answer,
      question: { databaseId: first.question, preferredResponseId: first.answer, latestChildId: first.answer },
    });
    expect(await branch(session)).toEqual([first.question, first.answer]);

    expect(await setPreferred(first.question, again.answer)).toMatchObject({ status: 200, text: 'null' });
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key: anna });
    const { messages } = body as { messages: { message_id: number; preferred_response_id: number | null }[] };
    const preferring = messages.filter((message) => message.preferred_response_id !== null);
    expect(preferring).toMatchObject([{ message_id: first.question, preferred_response_id: again.answer }]);
    expect((await branch(session))[1]).toBe(again.answer);
  });

  it('can be undone without changing the current branch', async () => {
    const { session, first } = await tree();
    await prefer(first.question, first.answer);
    const before = await branch(session);
    const { data } = await prefer(first.question, null);
    expect(data.setPreferredResponse).toEqual({ questionId: first.question, preferredResponseId: null });
    expect(await branch(session)).toEqual(before);

    await prefer(first.question, first.answer);
    expect((await setPreferred(first.question, null)).status).toBe(200);
    const stored = await kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: first.question } });
    expect(stored.preferredResponseId).toBeNull();
  });

  it('rejects an answer to another question or a message that is not a question, and names the field', async () => {
    const { session, first, further, over } = await tree();
    const foreign = await say('of ben', {}, ben);
    const root = (await messagesOf(session))[0]?.id as number;
    const before = await kit.fingerprint();
    const cases: [number, number, string, string][] = [
      ...[further.answer, over.answer, first.question, further.question, root, foreign.answer, 999_999, -1].map(
        (id): [number, number, string, string] => [
          first.question,
          id,
          'responseId',
          'is not an answer to that question',
        ],
      ),
      [first.answer, further.question, 'questionId', 'is not a question'],
      [root, first.question, 'questionId', 'is not a question'],
    ];
    for (const [question, response, field, problem] of cases) {
      const { errors } = await prefer(question, response);
      expect(errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', field], message: problem }] } },
      ]);
      expect(await setPreferred(question, response)).toMatchObject({
        status: 400,
        body: { message: `${field === 'responseId' ? 'preferred_response_id' : 'user_message_id'}: ${problem}` },
      });
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('authorization of branch changes', () => {
  /** Calls both operations in GraphQL and REST on each of these messages and expects identical responses. */
  async function refusesAll(targets: { question: number; answer: number }[], key: string) {
    const before = await kit.fingerprint();
    for (const { question, answer } of targets) {
      for (const { data, errors } of [
        await select(answer, key),
        await select(question, key),
        await prefer(question, answer, key),
        await prefer(question, null, key),
      ]) {
        expect(returned(data)).toEqual([]);
        expect(errors).toMatchObject([{ message: 'Chat message not found', extensions: { code: 'NOT_FOUND' } }]);
      }
      for (const reply of [
        await setLatest(answer, key),
        await setLatest(question, key),
        await setPreferred(question, answer, key),
        await setPreferred(question, null, key),
      ])
        expect(reply).toMatchObject({ status: 400, text: '{"message":"Invalid chat message specified"}' });
    }
    expect(await kit.fingerprint()).toBe(before);
  }

  it('returns the same NOT_FOUND for a deleted session, a session of another user and an unknown message', async () => {
    const mine = await say('mine');
    const shared = await say('shared');
    await kit.rest('PATCH', `/api/chat/chat-session/${shared.session}`, {
      key: anna,
      body: { sharing_status: 'public' },
    });
    const deleted = await say('deleted', {}, ben);
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${deleted.session}`, { key: ben });
    const unknown = { question: 999_999, answer: 999_998 };
    const least = { question: -0x8000_0000, answer: 0x7fff_ffff };
    await refusesAll([mine, shared, deleted, unknown, least, { question: -1, answer: 0 }], ben);
    // Also denied for callers who can read the chats of all users.
    await refusesAll([mine], kit.keys.ADMIN);
  });

  it('lets the project owner change all its chats, and a project token only its own', async () => {
    const made = await kit.gql(
      'mutation { one: createProject(input: { name: "one" }) { project { databaseId } } two: createProject(input: { name: "two" }) { project { databaseId } } }',
      {},
      anna,
    );
    const [one, two] = [made.data.one.project.databaseId, made.data.two.project.databaseId];
    const { data } = await kit.gql(
      `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }`,
      { input: { projectId: one, name: 'token', role: 'BASIC' } },
      anna,
    );
    const token = data.createProjectToken.secret;
    const ofToken = await tree(token);
    const ofOwner = await say('of the owner', { newSession: { projectId: one } });
    const sister = await say('sister', { newSession: { projectId: two } });
    const loose = await say('loose');
    const foreign = await say('foreign', {}, ben);

    await refusesAll([ofOwner, sister, loose, foreign], token);
    await refusesAll([ofToken.first], ben);
    expect((await select(ofToken.first.answer, token)).errors).toEqual([]);
    expect((await setPreferred(ofToken.first.question, ofToken.again.answer, token)).status).toBe(200);
    expect((await prefer(ofToken.first.question, ofToken.first.answer)).errors).toEqual([]);
    expect((await setLatest(ofToken.over.answer)).status).toBe(200);
    expect(await branch(ofToken.session)).toEqual([ofToken.over.question, ofToken.over.answer]);
  });

  it('requires `manage:chat`, which limited keys and tokens with other scopes lack', async () => {
    const { first } = await tree();
    const limited = await say('limited', {}, kit.keys.LIMITED);
    const { secret } = await kit.createPat(anna, { scopes: ['read:chat', 'write:chat'] });
    const before = await kit.fingerprint();
    for (const [key, { question, answer }] of [
      [secret, first],
      [kit.keys.LIMITED, limited],
    ] as const) {
      for (const { errors } of [await select(answer, key), await prefer(question, answer, key)])
        expect(errors).toMatchObject([
          { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['manage:chat'] } },
        ]);
      for (const reply of [await setLatest(answer, key), await setPreferred(question, answer, key)])
        expect(reply).toMatchObject({ status: 403, body: { error_code: 'INSUFFICIENT_PERMISSIONS' } });
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  it('returns no session data to a token with `manage:chat` but without `read:chat`', async () => {
    const { session, first } = await tree();
    const { secret } = await kit.createPat(anna, { scopes: ['manage:chat'] });
    const { data, errors } = await kit.gql(
      `mutation ($branch: SelectChatBranchInput!, $preferred: SetPreferredResponseInput!) {
        selectChatBranch(input: $branch) { sessionId session { name } }
        setPreferredResponse(input: $preferred) { preferredResponseId question { text } } }`,
      {
        branch: { messageId: first.answer },
        preferred: { questionId: first.question, responseId: first.answer },
      },
      secret,
    );
    expect(data).toEqual({
      selectChatBranch: { sessionId: session, session: null },
      setPreferredResponse: { preferredResponseId: first.answer, question: null },
    });
    expect(errors.map(({ extensions }) => extensions)).toEqual(
      Array(2).fill({ code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:chat'] }),
    );
  });
});

describe('invalid input for a branch change', () => {
  it('is rejected with the name of the field and changes no data', async () => {
    const { first } = await tree();
    const before = await kit.fingerprint();
    for (const value of [2 ** 31, -(2 ** 31) - 1, 1e300, 1.5, '1a', 'x', true, {}, [[first.answer]]]) {
      for (const [{ status, errors }, field] of [
        [await select(value), 'messageId'],
        [await prefer(value, first.answer), 'questionId'],
        [await prefer(first.question, value), 'responseId'],
      ] as const) {
        expect(status).toBeLessThan(500);
        expect(errors).toMatchObject([
          { extensions: { code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] } },
        ]);
      }
      for (const [reply, field] of [
        [await setLatest(value), 'message_id'],
        [await setPreferred(value, first.answer), 'user_message_id'],
        [await setPreferred(first.question, value), 'preferred_response_id'],
      ] as const)
        expect(reply).toMatchObject({ status: 422, body: { message: expect.stringContaining(`${field}: `) } });
    }
    for (const [reply, field] of [
      [await put('set-message-as-latest', {}), 'message_id'],
      [await put('set-message-as-latest', { message_id: null }), 'message_id'],
      [await put('set-preferred-response', { user_message_id: first.question }), 'preferred_response_id'],
    ] as const)
      expect(reply).toMatchObject({ status: 422, body: { message: expect.stringContaining(`${field}: `) } });
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('concurrent branch changes', () => {
  /**
   * Expects that the latest child of every message is one of its children, and that every message with children has
   * one.
   */
  async function isSound(session: string) {
    const messages = await messagesOf(session);
    const byId = new Map(messages.map((message) => [message.id, message]));
    for (const { id, latestChildId } of messages) {
      const children = messages.filter(({ parentId }) => parentId === id);
      if (children.length === 0) expect(latestChildId).toBeNull();
      else expect(byId.get(latestChildId ?? 0)?.parentId).toBe(id);
    }
  }

  it('result in exactly one of several selected branches', async () => {
    const { session, first, again, further, over } = await tree();
    const branches = [
      [first.question, first.answer],
      [first.question, again.answer, further.question, further.answer],
      [over.question, over.answer],
    ];
    const choices = Array.from({ length: 12 }, (_, at) =>
      at % 4 === 3 ? prefer(first.question, first.answer) : select(branches[at % 3]?.at(-1)),
    );
    for (const { errors } of await Promise.all(choices)) expect(errors).toEqual([]);
    await isSound(session);
    expect(branches).toContainEqual(await branch(session));
  });

  it('keep the tree consistent and lose no message when a turn starts at the same time', async () => {
    const { session, first, further, over } = await tree();
    const before = (await messagesOf(session)).length;
    const [, , , turn] = await Promise.all([
      select(first.answer),
      select(further.answer),
      setPreferred(first.question, first.answer),
      say('meanwhile', { sessionId: session }),
      select(first.answer),
    ]);
    await isSound(session);
    const messages = await messagesOf(session);
    expect(messages).toHaveLength(before + 2);
    const parent = messages.find(({ id }) => id === turn.question)?.parentId;
    // The turn continued the branch that one of the selections had made current.
    expect([first.answer, further.answer, over.answer]).toContain(parent);
  });

  it('return NOT_FOUND or succeed, without a server error, while the session is deleted', async () => {
    const { session, first, over } = await tree();
    const replies = await Promise.all([
      select(first.answer),
      kit.rest('DELETE', `/api/chat/delete-chat-session/${session}?hard_delete=true`, { key: anna }),
      select(over.answer),
      prefer(first.question, first.answer),
      setLatest(first.answer),
    ]);
    for (const reply of replies) {
      expect(reply.status).toBeLessThan(500);
      if ('errors' in reply) for (const { extensions } of reply.errors) expect(extensions.code).toBe('NOT_FOUND');
    }
    expect(await messagesOf(session)).toEqual([]);
    expect((await select(first.answer)).errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  });
});
