import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather } from '../../../test/lines.ts';

let kit: Kit;
let alice: { secret: string; userId: string };
let bob: { secret: string; userId: string };

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  alice = await kit.createKey('BASIC');
  bob = await kit.createKey('BASIC');
});
afterAll(() => kit?.close());

const globalId = (typename: string, id: string | number) => Buffer.from(`${typename}:${id}`).toString('base64');
const code = ({ errors }: { errors: { extensions: { code?: string } }[] }) => errors[0]?.extensions.code;

async function ok(query: string, variables: object = {}, key = alice.secret) {
  const { data, errors } = await kit.gql(query, variables, key);
  expect(errors).toEqual([]);
  return data;
}

const Send = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
  sessionId runId userMessageId assistantMessageId } }`;

async function say(input: object = {}, key = alice.secret) {
  kit.model.script({ text: ['Answer'] });
  return (await ok(Send, { input: { message: 'Question', ...input } }, key)).sendChatMessage;
}

/** Creates an agent of Alice. */
async function createAgent(input: object = {}): Promise<number> {
  const name = `Agent ${Math.random()}`;
  const document = `mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }`;
  return (await ok(document, { input: { name, ...input } })).createAgent.agent.databaseId;
}

describe('inputs and arguments of chats', () => {
  it('accept the global ID and the database ID of every object that they name', async () => {
    const agentId = await createAgent();
    const { sessionId, userMessageId, assistantMessageId } = await say({ newSession: { agentId } });
    const session = [sessionId, globalId('ChatSession', sessionId)];
    const answer = [assistantMessageId, String(assistantMessageId), globalId('ChatMessage', assistantMessageId)];
    for (const id of session) {
      expect((await ok('query ($id: ID!) { chatSession(id: $id) { databaseId } }', { id })).chatSession).toEqual({
        databaseId: sessionId,
      });
      await ok('query ($id: ID!) { exportChatSession(id: $id) { fileName } }', { id });
      await ok('query ($id: ID!) { availableContextTokens(target: { sessionId: $id }) }', { id });
      await ok('mutation ($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }', { id });
      await ok('mutation ($id: ID!) { updateChatSession(input: { session: { id: $id }, name: "x" }) { name } }', {
        id,
      });
      await ok(
        'mutation ($id: ID!) { moveChatSession(input: { sessionId: $id, clear: [PROJECT_ID] }) { sessionId } }',
        {
          id,
        },
      );
      expect((await say({ sessionId: id })).sessionId).toBe(sessionId);
    }
    for (const id of answer) {
      await ok('mutation ($id: ID!) { rateChatMessage(input: { messageId: $id, rating: LIKE }) { messageId } }', {
        id,
      });
      await ok('mutation ($id: ID!) { removeChatMessageRating(input: { messageId: $id }) { removed } }', { id });
      await ok('mutation ($id: ID!) { selectChatBranch(input: { messageId: $id }) { sessionId } }', { id });
      await say({ sessionId, parent: { messageId: id } });
    }
    for (const id of [userMessageId, globalId('ChatMessage', userMessageId)])
      await ok(
        'mutation ($id: ID!, $answer: ID!) { setPreferredResponse(input: { questionId: $id, responseId: $answer }) { questionId } }',
        { id, answer: globalId('ChatMessage', assistantMessageId) },
      );
    for (const id of [agentId, globalId('Agent', agentId)]) {
      await ok('query ($id: ID!) { availableContextTokens(target: { agentId: $id }) }', { id });
      expect(
        (await ok('query ($id: ID!) { chatSessions(filter: { agentId: $id }) { totalCount } }', { id })).chatSessions,
      ).toEqual({ totalCount: 1 });
      const seeded = await ok('mutation ($id: ID!) { seedChatSession(input: { agentId: $id }) { sessionId } }', { id });
      await ok('mutation ($id: ID!) { deleteChatSession(input: { session: { id: $id } }) { deletedChatSessionId } }', {
        id: globalId('ChatSession', seeded.seedChatSession.sessionId),
      });
      await ok('query ($id: ID!) { agentChat(chat: { agent: { id: $id } }) { databaseId } }', { id });
    }
  });

  it('reject the global ID of another type and name the field', async () => {
    const id = globalId('Document', 1);
    const before = await kit.fingerprint();
    for (const [query, path] of [
      ['query ($id: ID!) { chatSession(id: $id) { name } }', ['id']],
      ['query ($id: ID!) { exportChatSession(id: $id) { content } }', ['id']],
      ['query ($id: ID!) { chatSessions(filter: { agentId: $id }) { totalCount } }', ['filter', 'agentId']],
      ['query ($id: ID!) { chatSessions(filter: { projectId: $id }) { totalCount } }', ['filter', 'projectId']],
      ['query ($id: ID!) { availableContextTokens(target: { agentId: $id }) }', ['target', 'agentId']],
      ['query ($id: ID!) { agentChat(chat: { agent: { id: $id } }) { name } }', ['chat', 'agent', 'id']],
      ['mutation ($id: ID!) { createChatSession(input: { agentId: $id }) { sessionId } }', ['input', 'agentId']],
      ['mutation ($id: ID!) { seedChatSession(input: { projectId: $id }) { url } }', ['input', 'projectId']],
      [
        'mutation ($id: ID!) { updateChatSession(input: { session: { id: $id }, name: "x" }) { name } }',
        ['input', 'session', 'id'],
      ],
      ['mutation ($id: ID!) { selectChatBranch(input: { messageId: $id }) { sessionId } }', ['input', 'messageId']],
      [
        'mutation ($id: ID!) { sendChatMessage(input: { message: "x", fileIds: [$id] }) { answer } }',
        ['input', 'fileIds', '0'],
      ],
      [
        'mutation ($id: ID!) { sendChatMessage(input: { message: "x", parent: { messageId: $id } }) { answer } }',
        ['input', 'parent', 'messageId'],
      ],
      [
        'mutation ($id: ID!) { sendChatMessage(input: { message: "x", newSession: { agentId: $id } }) { answer } }',
        ['input', 'newSession', 'agentId'],
      ],
    ] as const) {
      const { errors } = await kit.gql(query, { id }, alice.secret);
      expect(errors, query).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(errors[0]?.extensions.fields?.[0]?.path.map(String), query).toEqual(path);
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('lists of sessions and messages', () => {
  it('are ordered by the field and direction that the client chooses, and paged in both directions', async () => {
    const { secret } = await kit.createKey('BASIC');
    for (const name of ['b', 'c', 'a'])
      await ok(
        'mutation ($name: String) { createChatSession(input: { name: $name }) { sessionId } }',
        { name },
        secret,
      );
    const names = async (args: string) =>
      (await ok(`{ chatSessions(${args}) { nodes { name } pageInfo { startCursor } } }`, {}, secret)).chatSessions;
    const listed = async (orderBy: string) =>
      (await names(`orderBy: ${orderBy}`)).nodes.map(({ name }: { name: string }) => name).join('');
    expect(await listed('{ field: NAME }')).toBe('abc');
    expect(await listed('{ field: NAME, direction: DESC }')).toBe('cba');
    expect(await listed('{ field: CREATED_AT }')).toBe('bca');
    expect(await listed('{ field: UPDATED_AT, direction: DESC }')).toBe('acb');
    const last = await names('orderBy: { field: NAME }, last: 1');
    expect(last.nodes).toEqual([{ name: 'c' }]);
    const previous = await names(`orderBy: { field: NAME }, last: 5, before: "${last.pageInfo.startCursor}"`);
    expect(previous.nodes).toEqual([{ name: 'a' }, { name: 'b' }]);
    const other = await kit.gql(`{ chatSessions(before: "${last.pageInfo.startCursor}") { totalCount } }`, {}, secret);
    expect(code(other)).toBe('BAD_USER_INPUT');
  });

  it('return messages newest first', async () => {
    const { sessionId, assistantMessageId } = await say();
    const { chatSession } = await ok(
      `query ($id: ID!) { chatSession(id: $id) {
        messages(first: 1, orderBy: { field: CREATED_AT, direction: DESC }) { nodes { databaseId } } } }`,
      { id: sessionId },
    );
    expect(chatSession.messages.nodes).toEqual([{ databaseId: assistantMessageId }]);
  });
});

describe('related objects', () => {
  const Session = 'query ($id: ID!) { chatSession(id: $id) { agent { databaseId } agentName } }';

  it('connect sessions, messages, agents and owners', async () => {
    const agentId = await createAgent();
    const { sessionId, userMessageId, assistantMessageId } = await say({ newSession: { agentId } });
    const { chatSession } = await ok(
      `query ($id: ID!) { chatSession(id: $id) { agent { databaseId } owner { databaseId } currentRun { id }
        messages { nodes { databaseId session { databaseId } parent { databaseId } latestChild { databaseId } } } } }`,
      { id: sessionId },
    );
    expect(chatSession).toMatchObject({
      agent: { databaseId: agentId },
      owner: { databaseId: alice.userId },
      currentRun: null,
    });
    const [root, question, answer] = chatSession.messages.nodes;
    const session = { databaseId: sessionId };
    expect(root).toMatchObject({ session, parent: null, latestChild: { databaseId: userMessageId } });
    expect(question).toMatchObject({
      databaseId: userMessageId,
      session,
      parent: { databaseId: root.databaseId },
      latestChild: { databaseId: assistantMessageId },
    });
    expect(answer).toMatchObject({ session, parent: { databaseId: userMessageId }, latestChild: null });
  });

  it('are null for an agent that the caller can no longer see, and denied without the permission', async () => {
    const agentId = await createAgent({ isPublic: true });
    const { sessionId: id } = await say({ newSession: { agentId } }, bob.secret);
    expect((await ok(Session, { id }, bob.secret)).chatSession.agent).toEqual({ databaseId: agentId });
    await kit.prisma.agent.update({ where: { id: agentId }, data: { isPublic: false } });
    const { agent, agentName } = (await ok(Session, { id }, bob.secret)).chatSession;
    expect([agent, typeof agentName]).toEqual([null, 'string']);

    const { secret } = await kit.createPat(bob.secret, { scopes: ['read:chat'] });
    const denied = await kit.gql(Session, { id }, secret);
    expect(denied.data.chatSession).toMatchObject({ agent: null, agentName });
    expect(denied.errors).toMatchObject([
      {
        path: ['chatSession', 'agent'],
        extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['read:agents'] },
      },
    ]);
  });

  it('contain the document of a citation only for callers who can read it', async () => {
    const { sessionId, assistantMessageId } = await say();
    const contentHash = new Uint8Array(32);
    const row = (externalId: string, ownerId: string, isPublic: boolean) =>
      kit.prisma.document.create({ data: { externalId, title: externalId, contentHash, ownerId, isPublic } });
    await row('cited-public', bob.userId, true);
    await row('cited-private', bob.userId, false);
    const citations = ['cited-public', 'cited-private', 'cited-gone'].map((documentId, index) => ({
      number: index + 1,
      documentId,
    }));
    await kit.prisma.chatMessage.update({ where: { id: assistantMessageId }, data: { citations } });
    const query = `query ($id: ID!) { chatSession(id: $id) { messages(last: 1) { nodes {
      citations { documentId document { title } } } } } }`;
    const { nodes } = (await ok(query, { id: sessionId })).chatSession.messages;
    expect(nodes[0].citations).toEqual([
      { documentId: 'cited-public', document: { title: 'cited-public' } },
      { documentId: 'cited-private', document: null },
      { documentId: 'cited-gone', document: null },
    ]);
    const { secret } = await kit.createPat(alice.secret, { scopes: ['read:chat'] });
    const denied = await kit.gql(query, { id: sessionId }, secret);
    expect(denied.data.chatSession.messages.nodes[0].citations[0].document).toBeNull();
    expect(denied.errors[0]?.extensions).toMatchObject({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:search'],
    });
  });

  it('of feedback and query history are null in sessions that the caller cannot read', async () => {
    const { sessionId, assistantMessageId } = await say();
    await ok('mutation ($id: ID!) { rateChatMessage(input: { messageId: $id, rating: LIKE }) { messageId } }', {
      id: assistantMessageId,
    });
    const query = `{
      feedback(first: 1) { nodes { messageId sessionId message { text } session { name } agent { databaseId } user { databaseId } } }
      queryHistory(first: 1) { nodes { id message { text } session { name } agent { databaseId } user { databaseId } } } }`;
    const all = await ok(query, {}, kit.keys.ADMIN);
    const objects = { message: null, session: null, agent: { databaseId: 0 }, user: { databaseId: alice.userId } };
    expect(all.feedback.nodes).toEqual([{ messageId: assistantMessageId, sessionId, ...objects }]);
    const id = globalId('QueryHistoryEntry', assistantMessageId);
    expect(all.queryHistory.nodes).toEqual([{ id, ...objects }]);
    const Node = 'query ($id: ID!) { node(id: $id) { ... on QueryHistoryEntry { answer } } }';
    expect(await ok(Node, { id }, kit.keys.ADMIN)).toEqual({ node: { answer: 'Answer' } });
    expect(code(await kit.gql(Node, { id }, alice.secret))).toBe('FORBIDDEN');

    const { secret } = await kit.createPat(kit.keys.ADMIN, { scopes: ['read:query_history'] });
    const denied = await kit.gql(query, {}, secret);
    expect(denied.data.feedback.nodes[0]).toMatchObject({ message: null, session: null, agent: null, user: null });
    const permissions = denied.errors.flatMap(({ extensions }: any) => extensions.requiredPermissions);
    expect(new Set(permissions)).toEqual(new Set(['read:chat', 'read:agents', 'read:users']));
  });
});

describe('mutation payloads', () => {
  it('contain the nodes, edges and global IDs from which a client updates its cache', async () => {
    const { createChatSession } = await ok(
      `mutation { createChatSession(input: { name: "new" }) {
        session { id name } chatSessionEdge { cursor node { id } } } }`,
    );
    const { id } = createChatSession.session;
    expect(createChatSession.chatSessionEdge.node).toEqual({ id });
    const after = await ok('query ($after: String) { chatSessions(first: 1, after: $after) { totalCount } }', {
      after: createChatSession.chatSessionEdge.cursor,
    });
    expect(after.chatSessions.totalCount).toBeGreaterThan(0);
    kit.model.script({ text: ['Answer'] });
    const { sendChatMessage } = await ok(
      `mutation ($id: ID!) { sendChatMessage(input: { sessionId: $id, message: "Question" }) {
        userMessageId assistantMessageId session { id } userMessage { databaseId text }
        assistantMessage { databaseId text status } } }`,
      { id },
    );
    const { userMessageId, assistantMessageId } = sendChatMessage;
    expect(sendChatMessage).toMatchObject({
      session: { id },
      userMessage: { databaseId: userMessageId, text: 'Question' },
      assistantMessage: { databaseId: assistantMessageId, text: 'Answer', status: 'COMPLETE' },
    });
    const rated = await ok(
      'mutation ($id: ID!) { rateChatMessage(input: { messageId: $id, rating: LIKE }) { message { feedback { rating } } } }',
      { id: assistantMessageId },
    );
    expect(rated.rateChatMessage.message).toEqual({ feedback: { rating: 'LIKE' } });
    const removed = await ok(
      'mutation ($id: ID!) { deleteChatSession(input: { session: { id: $id } }) { deletedChatSessionId } }',
      { id },
    );
    expect(removed.deleteChatSession).toEqual({ deletedChatSessionId: id });
  });

  it('contain the global IDs of all sessions that were deleted', async () => {
    const { secret } = await kit.createKey('BASIC');
    const { sessionId } = await say({}, secret);
    const { deleteAllChatSessions } = await ok(
      'mutation { deleteAllChatSessions { deletedChatSessionIds deletedCount } }',
      {},
      secret,
    );
    expect(deleteAllChatSessions).toEqual({
      deletedChatSessionIds: [globalId('ChatSession', sessionId)],
      deletedCount: 1,
    });
  });

  it('contain the keys and no nodes for a caller without `read:chat`', async () => {
    const { secret } = await kit.createKey('LIMITED');
    kit.model.script({ text: ['Answer'] });
    const { data, errors } = await kit.gql(
      `mutation { sendChatMessage(input: { message: "Question" }) {
        sessionId answer session { name } userMessage { text } assistantMessage { text } } }`,
      {},
      secret,
    );
    expect(data.sendChatMessage).toEqual({
      sessionId: expect.any(String),
      answer: 'Answer',
      session: null,
      userMessage: null,
      assistantMessage: null,
    });
    expect(errors.map(({ extensions }: any) => extensions.requiredPermissions)).toEqual([
      ['read:chat'],
      ['read:chat'],
      ['read:chat'],
    ]);
  });
});

describe('the last event of a turn', () => {
  const Turn = `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename
    ... on ChatTurnStopped { reason session { databaseId } assistantMessage { text status parent { text } } }
    ... on ChatTurnFailed { code session { databaseId } assistantMessage { status } } } }`;
  const last = async (key: string) =>
    (await gather(kit.subscribe(Turn, { input: { message: 'Question' } }, key))).at(-1);

  it('contains the session and the stored answer', async () => {
    kit.model.script({ text: ['Answer'] });
    expect((await last(alice.secret)).data.chatTurn).toEqual({
      __typename: 'ChatTurnStopped',
      reason: 'FINISHED',
      session: { databaseId: expect.any(String) },
      assistantMessage: { text: 'Answer', status: 'COMPLETE', parent: { text: 'Question' } },
    });
  });

  it('contains the session and the stored answer after a failure', async () => {
    kit.model.script({ status: 400 });
    expect((await last(alice.secret)).data.chatTurn).toMatchObject({
      __typename: 'ChatTurnFailed',
      session: { databaseId: expect.any(String) },
      assistantMessage: { status: 'FAILED' },
    });
  });

  it('reaches a caller without `read:chat`, with null for both', async () => {
    const { secret } = await kit.createKey('LIMITED');
    kit.model.script({ text: ['Answer'] });
    const { data, errors } = await last(secret);
    expect(data.chatTurn).toEqual({
      __typename: 'ChatTurnStopped',
      reason: 'FINISHED',
      session: null,
      assistantMessage: null,
    });
    expect(errors.map(({ path }: any) => path)).toEqual([
      ['chatTurn', 'session'],
      ['chatTurn', 'assistantMessage'],
    ]);
  });
});
