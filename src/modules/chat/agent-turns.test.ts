import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingAsked } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
let owner: { id: number; secret: string; userId: string };
let stranger: { id: number; secret: string; userId: string };
let limited: { id: number; secret: string; userId: string };
let searchId: number;

beforeAll(async () => {
  kit = await startKit({
    scripted: true,
    environment: { LLM_MODELS: 'second', LLM_CONTEXT_TOKENS: '16000', LLM_VISION: 'true' },
  });
  await kit.prisma.document.deleteMany();
  owner = await kit.createKey('BASIC', { name: 'owner' });
  stranger = await kit.createKey('BASIC', { name: 'stranger' });
  limited = await kit.createKey('LIMITED', { name: 'limited' });
  searchId = (await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } })).id;
});
afterAll(() => kit?.close());

const nowhere = '00000000-0000-4000-8000-000000000000';
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
).toString('base64');

let made = 0;
/** Creates a public agent that searches its own documents, with a document for each text. */
async function agent(settings: object = {}, texts: Record<string, string> = {}): Promise<{ id: number; slug: string }> {
  for (const [id, text] of Object.entries(texts)) await kit.ingest(id, text, { id });
  const documents = await kit.prisma.document.findMany({
    where: { externalId: { in: Object.keys(texts) } },
    select: { id: true },
  });
  return kit.prisma.agent.create({
    data: {
      name: `Agent ${++made}`,
      slug: `agent-${made}`,
      isPublic: true,
      knowledge: 'ATTACHED',
      actions: { connect: { id: searchId } },
      documents: { connect: documents },
      ...settings,
    },
    select: { id: true, slug: true },
  });
}

const pin = async (agentId: number, externalId: string) =>
  kit.prisma.agent.update({ where: { id: agentId }, data: { pinnedDocuments: { connect: { externalId } } } });

const Send = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
  sessionId userMessageId assistantMessageId answer isRefusal searchQueries failure { message }
  documents { documentId isWhole text score documentWordCount documentTokenCount }
  usage { inputTokens outputTokens durationMs model provider endedAt } } }`;

const say = (input: object, key = owner.secret) => kit.gql(Send, { input: { message: 'Hello', ...input } }, key);

async function said(input: object, key = owner.secret) {
  const { data, errors } = await say(input, key);
  expect(errors).toEqual([]);
  return data.sendChatMessage;
}

const asked = (): any => kit.model.requests.at(-1)?.body;
/** Returns the texts that the model received before the question. */
const earlier = (): string[] =>
  asked()
    .messages.filter(({ role }: { role: string }) => role !== 'system')
    .slice(0, -1)
    .map(({ content }: { content: string }) => content);
const prompt = (): string => JSON.stringify(asked().messages.at(-1).content);

const code = ({ errors }: { errors: { extensions: Record<string, any> }[] }) => errors[0]?.extensions.code;
const field = ({ errors }: { errors: { extensions: Record<string, any> }[] }) =>
  errors[0]?.extensions.fields?.[0]?.path.join('.');

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingAsked(kit, work);

const AgentChat = `query ($chat: ChatReferenceInput!) {
  agentChat(chat: $chat) {
    databaseId slug number ownerNumber agentId
    messages(first: 100) { nodes { databaseId parentId latestChildId role text usage { model inputTokens } } } } }`;
const agentChat = (chat: object, key = owner.secret) => kit.gql(AgentChat, { chat }, key);

describe('a turn with an agent', () => {
  it('uses the agent’s model and temperature unless the session or message sets them', async () => {
    const { id, slug } = await agent({ model: 'second', temperature: 0.25, actions: {} });
    await said({ chat: { agent: { slug } } });
    expect(asked()).toMatchObject({ model: 'second', temperature: 0.25 });

    const newSession = { agentId: id, model: 'scripted', temperature: 1 };
    const { sessionId, usage } = await said({ newSession });
    expect(asked()).toMatchObject({ model: 'scripted', temperature: 1 });
    expect(usage).toMatchObject({ model: 'scripted', provider: 'OPENAI_COMPATIBLE' });

    await said({ sessionId, model: 'second', temperature: 0 });
    expect(asked()).toMatchObject({ model: 'second', temperature: 0 });
  });

  it('uses the server’s default model if the agent’s model no longer exists', async () => {
    const { slug } = await agent({ model: 'gone', actions: {} });
    await said({ chat: { agent: { slug } } });
    expect(asked()).toMatchObject({ model: 'scripted' });
  });

  it.each([
    [null, ['one', 'You said: one', 'two', 'You said: two']],
    [3, ['You said: one', 'two', 'You said: two']],
    [0, []],
  ])('passes at most the agent’s number of earlier messages to the model: %s', async (historyLimit, told) => {
    const { slug } = await agent({ historyLimit, actions: {} });
    for (const message of ['one', 'two', 'three']) await said({ chat: { agent: { slug } }, message });
    expect(earlier()).toEqual(told);
  });

  it('uses only passages that reach the agent’s similarity threshold', async () => {
    const texts = { 'threshold-a': 'The zebra crossing opens at noon.', 'threshold-b': 'A crossing of two rivers.' };
    const question = { message: 'When does the zebra crossing open?' };
    const open = await agent({}, texts);
    const strict = await agent({ similarityThreshold: 0.9 }, texts);
    const ids = ({ documents }: { documents: { documentId: string }[] }) => documents.map((hit) => hit.documentId);
    expect(ids(await said({ ...question, chat: { agent: { slug: open.slug } } }))).toEqual([
      'threshold-a',
      'threshold-b',
    ]);
    expect(ids(await said({ ...question, chat: { agent: { slug: strict.slug } } }))).toEqual(['threshold-a']);
    expect(prompt()).not.toContain('two rivers');
  });
});

describe('pinned documents', () => {
  const long = Array.from({ length: 80 }, (_, n) => `Rule ${n} is that item ${n * 3} stands before the next.`).join(
    ' ',
  );

  it('are given whole with a citation number, without duplicates, and are not searched again', async () => {
    const { id, slug } = await agent({}, { 'pinned-rules': long, 'pinned-other': 'Rule of thumb: measure twice.' });
    await pin(id, 'pinned-rules');
    kit.model.script({ text: 'See [1].' });
    const { answer, documents } = await said({ chat: { agent: { slug } }, message: 'What is the rule of thumb?' });
    expect(answer).toContain('[[1]](https://docs.example/pinned-rules)');
    expect(documents.map((hit: any) => [hit.documentId, hit.isWhole])).toEqual([
      ['pinned-rules', true],
      ['pinned-other', false],
    ]);
    expect(documents[0].text).toBe(long.slice(0, 1000));
    const given = prompt().replaceAll(/\\n|\s+/g, ' ');
    for (const n of [0, 1, 40, 79]) expect(given.split(`Rule ${n} is that`)).toHaveLength(2);
    expect(given).toContain(long);
  });

  it('are omitted if the caller cannot read them', async () => {
    const { id, slug } = await agent({}, { 'pinned-private': 'The secret word is plumbago.' });
    await kit.prisma.document.update({
      where: { externalId: 'pinned-private' },
      data: { isPublic: false, ownerId: owner.userId },
    });
    await pin(id, 'pinned-private');
    expect((await said({ chat: { agent: { slug } }, message: 'Hm?' })).documents).toHaveLength(1);
    const { documents } = await said({ chat: { agent: { slug } }, message: 'Hm?' }, stranger.secret);
    expect(documents).toEqual([]);
    expect(prompt()).not.toContain('plumbago');
  });

  it('are searched like other documents if they exceed the context window', async () => {
    const huge = Array.from({ length: 2500 }, (_, n) => `Line ${n} of the almanac.`).join(' ');
    const { id, slug } = await agent({}, { 'pinned-huge': `${huge} The heliotrope blooms in June.` });
    await pin(id, 'pinned-huge');
    const { documents } = await said({ chat: { agent: { slug } }, message: 'When does the heliotrope bloom?' });
    expect(documents.length).toBeGreaterThan(0);
    expect(documents.every((hit: any) => !hit.isWhole)).toBe(true);
    expect(prompt()).toContain('heliotrope');
  });

  it('return the word and token count of each cited document', async () => {
    const { slug } = await agent({}, { sized: 'Five words are in here.' });
    const { documents } = await said({ chat: { agent: { slug } }, message: 'How many words are in here?' });
    const { wordCount, tokenCount } = await kit.prisma.document.findUniqueOrThrow({ where: { externalId: 'sized' } });
    expect(documents).toMatchObject([{ documentWordCount: wordCount, documentTokenCount: tokenCount }]);
  });
});

describe('an agent in QUERY mode', () => {
  const question = { message: 'What is the boiling point of tin?' };

  it('refuses without relevant passages, calls no model, records no usage and keeps the chat branch', async () => {
    const { slug } = await agent({ chatMode: 'QUERY' }, { tin: 'Tin melts at 232 degrees.' });
    const chat = { agent: { slug } };
    const first = await said({ chat, message: 'When does tin melt?' });
    expect(first).toMatchObject({ isRefusal: false, usage: { model: 'scripted' } });

    const requests = kit.model.requests.length;
    const used = await kit.prisma.usageRecord.findMany();
    const refused = await said({ chat, message: 'Who wrote the zeppelin symphony?' });
    expect(refused).toMatchObject({
      answer: 'There is no relevant information in this workspace to answer your query.',
      isRefusal: true,
      usage: null,
      documents: [],
      failure: null,
    });
    expect(kit.model.requests).toHaveLength(requests);
    expect(await kit.prisma.usageRecord.findMany()).toEqual(used);

    const { data } = await agentChat({ agent: { slug } });
    const { nodes } = data.agentChat.messages;
    const answer = nodes.find((node: any) => node.databaseId === first.assistantMessageId);
    expect(answer.latestChildId).toBeNull();
    expect(nodes.find((node: any) => node.databaseId === refused.assistantMessageId)).toMatchObject({ usage: null });

    await said({ chat, message: 'Does tin melt?' });
    expect(earlier()).toEqual(['When does tin melt?', first.answer]);
  });

  it('refuses with its configured text, both in the first turn and on regeneration', async () => {
    const { slug } = await agent({ chatMode: 'QUERY', refusalText: 'Not my department.' });
    const chat = { agent: { slug } };
    const first = await said({ ...question, chat });
    expect(first).toMatchObject({ answer: 'Not my department.', isRefusal: true });
    const [root] = (await agentChat({ agent: { slug } })).data.agentChat.messages.nodes;
    expect(root).toMatchObject({ parentId: null, latestChildId: null });

    const answered = await said({ ...question, chat, mode: 'CHAT' });
    expect(answered).toMatchObject({ isRefusal: false, answer: `You said: ${question.message}` });
    expect(earlier()).toEqual([]);
    const again = await said({ chat, parent: { messageId: answered.userMessageId } });
    expect(again).toMatchObject({ answer: 'Not my department.', userMessageId: null });
    const { nodes } = (await agentChat({ agent: { slug } })).data.agentChat.messages;
    expect(nodes.find((node: any) => node.databaseId === answered.userMessageId)).toMatchObject({
      latestChildId: answered.assistantMessageId,
    });
  });

  it('answers from pinned documents, attachments or additional context without a search', async () => {
    const { id, slug } = await agent({ actions: {} }, { 'query-pinned': 'Tin boils at 2602 degrees.' });
    const chat = { agent: { slug } };
    expect(await said({ ...question, chat, mode: 'QUERY' })).toMatchObject({ isRefusal: true });
    const additionalContext = 'Tin boils at 2602 degrees.';
    expect(await said({ ...question, chat, mode: 'QUERY', additionalContext })).toMatchObject({ isRefusal: false });
    const attachments = [{ name: 'tin.png', mediaType: 'image/png', base64: png }];
    expect(await said({ ...question, chat, mode: 'QUERY', attachments })).toMatchObject({ isRefusal: false });
    await pin(id, 'query-pinned');
    expect(await said({ ...question, chat, mode: 'QUERY' })).toMatchObject({ isRefusal: false });
  });

  it('marks a refusal in the events of the turn', async () => {
    const { slug } = await agent({ chatMode: 'QUERY' });
    const events = [];
    for await (const { data } of kit.subscribe(
      `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename
        ... on ChatAnswerStarted { isRefusal } ... on ChatAnswerDelta { text } ... on ChatTurnStopped { reason usage { model } } } }`,
      { input: { ...question, chat: { agent: { slug } } } },
      owner.secret,
    ))
      events.push(data.chatTurn);
    expect(events.slice(-3)).toEqual([
      { __typename: 'ChatAnswerStarted', isRefusal: true },
      {
        __typename: 'ChatAnswerDelta',
        text: 'There is no relevant information in this workspace to answer your query.',
      },
      { __typename: 'ChatTurnStopped', reason: 'FINISHED', usage: null },
    ]);
  });
});

describe('a chat referenced by name', () => {
  const Create = `mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) {
    sessionId slug number agentId name session { ownerNumber } } }`;
  const create = (input: object, key = owner.secret) => kit.gql(Create, { input }, key);

  it('belongs to the caller and is created with the first message, per client session', async () => {
    const { id, slug } = await agent({ actions: {} });
    expect((await agentChat({ agent: { slug } })).data).toEqual({ agentChat: null });
    const unnamed = await said({ chat: { agent: { slug } } });
    const named = await said({ chat: { agent: { slug }, clientSessionId: 'abc' } });
    expect(new Set([unnamed.sessionId, named.sessionId])).toHaveProperty('size', 2);
    expect(await said({ chat: { agent: { slug } } })).toMatchObject({ sessionId: unnamed.sessionId });
    expect(await said({ chat: { agent: { slug }, clientSessionId: 'abc' } })).toMatchObject({
      sessionId: named.sessionId,
    });
    const another = await said({ chat: { agent: { slug } } }, stranger.secret);
    expect(another.sessionId).not.toBe(unnamed.sessionId);

    const found = (await agentChat({ agent: { slug }, clientSessionId: 'abc' })).data.agentChat;
    expect(found).toMatchObject({ databaseId: named.sessionId, agentId: id, ownerNumber: null });
    // A person has a number; a key does not.
    const person = await kit.person();
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const theirs = await create({ agentSlug: slug }, person.session);
    expect(theirs.data.createChatSession.session).toEqual({ ownerNumber: databaseId });
  });

  it('is created once by concurrent first messages', async () => {
    const { id, slug } = await agent({ actions: {} });
    const answers = await Promise.all(Array.from({ length: 4 }, () => say({ chat: { agent: { slug } } })));
    expect(await kit.prisma.chatSession.count({ where: { agentId: id } })).toBe(1);
    const codes = new Set(answers.map((answer) => code(answer) ?? 'OK'));
    expect([...codes].every((each) => each === 'OK' || each === 'CONFLICT')).toBe(true);
    expect(codes).toContain('OK');
  });

  it('finds a thread by slug or ID only for its own agent and its owner', async () => {
    const { id, slug } = await agent({ actions: {} });
    const other = await agent({ actions: {} });
    const thread = (await create({ agentSlug: slug, slug: 'Über My Thread!', name: 'T' })).data.createChatSession;
    expect(thread).toMatchObject({ slug: 'Uber-My-Thread-bang', agentId: id, name: 'T' });
    const plain = (await create({ agentId: id })).data.createChatSession;
    expect(plain.slug).toBe(plain.sessionId);
    for (const { slug: threadSlug, sessionId } of [thread, plain]) {
      expect(await said({ chat: { agent: { slug }, threadSlug } })).toMatchObject({ sessionId });
      const found = (await agentChat({ agent: { slug }, threadSlug })).data.agentChat;
      expect(found).toMatchObject({ databaseId: sessionId, slug: threadSlug, number: expect.any(Number) });
    }
    const refused: [object, string][] = [
      [{ agent: { slug: other.slug }, threadSlug: thread.slug }, owner.secret],
      [{ agent: { slug }, threadSlug: 'no-such' }, owner.secret],
      [{ agent: { slug }, threadSlug: '\0' }, owner.secret],
      [{ agent: { slug }, threadSlug: nowhere }, owner.secret],
      [{ agent: { slug }, threadSlug: thread.slug }, stranger.secret],
      [{ agent: { slug }, threadSlug: plain.slug }, stranger.secret],
      [{ agent: { slug: 'no-such' } }, owner.secret],
      [{ agent: { slug: '\0' } }, owner.secret],
    ];
    const messages = await unchanged(async () => {
      const told = [];
      for (const [chat, key] of refused) {
        const sent = await say({ chat }, key);
        const read = await agentChat(chat, key);
        expect([code(sent), code(read)]).toEqual(['NOT_FOUND', 'NOT_FOUND']);
        told.push(sent.errors[0]?.message);
      }
      return told;
    });
    expect(messages.slice(0, 6)).toEqual(Array(6).fill('Chat session not found'));
    // The unnamed chat is not a thread, and its ID does not make it one.
    const { sessionId } = await said({ chat: { agent: { slug } } });
    expect(code(await say({ chat: { agent: { slug }, threadSlug: sessionId } }))).toBe('NOT_FOUND');
  });

  it('frees its name when it is deleted', async () => {
    const { slug } = await agent({ actions: {} });
    await create({ agentSlug: slug, slug: 'again' });
    expect(code(await unchanged(() => create({ agentSlug: slug, slug: 'again' }, stranger.secret)))).toBe('CONFLICT');
    const first = await said({ chat: { agent: { slug } } });
    const Delete = `mutation ($input: DeleteChatSessionInput!) { deleteChatSession(input: $input) { deletedChatSessionId } }`;
    for (const chat of [{ agent: { slug }, threadSlug: 'again' }, { agent: { slug } }])
      expect((await kit.gql(Delete, { input: { session: { chat } } }, owner.secret)).errors).toEqual([]);
    expect((await create({ agentSlug: slug, slug: 'again' }, stranger.secret)).data.createChatSession.slug).toBe(
      'again',
    );
    const second = await said({ chat: { agent: { slug } } });
    expect(second.sessionId).not.toBe(first.sessionId);
    await kit.gql('mutation { deleteAllChatSessions { deletedCount } }', {}, owner.secret);
    expect((await said({ chat: { agent: { slug } } })).sessionId).not.toBe(second.sessionId);
  });

  it('can be renamed by name or ID, and requires exactly one of them', async () => {
    const { slug } = await agent({ actions: {} });
    const { sessionId } = (await create({ agentSlug: slug, slug: 'renamed' })).data.createChatSession;
    const chat = { agent: { slug }, threadSlug: 'renamed' };
    const Rename = `mutation ($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { sessionId name } }`;
    const rename = (session: object, key = owner.secret) => kit.gql(Rename, { input: { name: 'New', session } }, key);
    expect((await rename({ chat })).data.updateChatSession).toEqual({ sessionId, name: 'New' });
    expect((await rename({ id: sessionId })).data.updateChatSession).toEqual({ sessionId, name: 'New' });
    for (const session of [{}, { chat, id: sessionId }])
      expect(code(await unchanged(() => rename(session)))).toBe('BAD_USER_INPUT');
    expect(code(await unchanged(() => rename({ chat }, stranger.secret)))).toBe('NOT_FOUND');
    expect(code(await unchanged(() => rename({ chat }, limited.secret)))).toBe('FORBIDDEN');
    expect(code(await unchanged(() => rename({ chat: { agent: { slug }, clientSessionId: 'x' } })))).toBe('NOT_FOUND');
  });

  it('can be written to without `read:chat`, but not read', async () => {
    const { slug } = await agent({ actions: {} });
    const { sessionId } = await said({ chat: { agent: { slug } } }, limited.secret);
    expect(await said({ chat: { agent: { slug } } }, limited.secret)).toMatchObject({ sessionId });
    expect(code(await unchanged(() => agentChat({ agent: { slug } }, limited.secret)))).toBe('FORBIDDEN');
    const { data, errors } = await create({ agentSlug: slug, slug: 'of-limited' }, limited.secret);
    expect(data.createChatSession).toMatchObject({ slug: 'of-limited', session: null });
    expect(errors.map(({ path }) => path)).toEqual([['createChatSession', 'session']]);
    const chat = { agent: { slug }, threadSlug: 'of-limited' };
    expect(await said({ chat }, limited.secret)).toMatchObject({ sessionId: data.createChatSession.sessionId });
  });

  it.each([
    ['beside an id', { chat: { agent: { slug: 'x' } }, sessionId: nowhere }, 'input.chat'],
    ['beside a new session', { chat: { agent: { slug: 'x' } }, newSession: {} }, 'input.chat'],
    [
      'of two kinds',
      { chat: { agent: { slug: 'x' }, threadSlug: 'a', clientSessionId: 'b' } },
      'input.chat.clientSessionId',
    ],
    [
      'of a client that does not say which',
      { chat: { agent: { slug: 'x' }, clientSessionId: '' } },
      'input.chat.clientSessionId',
    ],
    [
      'of a client that says too much',
      { chat: { agent: { slug: 'x' }, clientSessionId: 'b'.repeat(256) } },
      'input.chat.clientSessionId',
    ],
    ['of an agent that is named twice', { newSession: { agentId: 0, agentSlug: 'x' } }, 'input.newSession.agentSlug'],
  ])('is rejected for a reference %s, and the error names the field', async (_name, input, path) => {
    const answer = await unchanged(() => say(input));
    expect([code(answer), field(answer)]).toEqual(['BAD_USER_INPUT', path]);
  });

  it('belongs to the project with a project token, and becomes a thread when the project is deleted', async () => {
    const { id, slug } = await agent({ actions: {} });
    await said({ chat: { agent: { slug } } });
    const project = (
      await kit.gql('mutation { createProject(input: { name: "P" }) { project { databaseId } } }', {}, owner.secret)
    ).data.createProject.project.databaseId;
    const { data } = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId: project, name: 'p' } },
      owner.secret,
    );
    const { secret } = data.createProjectToken;
    const { sessionId } = await said({ chat: { agent: { slug } } }, secret);
    expect(await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: sessionId } })).toMatchObject({
      projectId: project,
      clientKey: '',
    });
    const thread = (await create({ agentSlug: slug, slug: 'outside' })).data.createChatSession;
    expect(code(await unchanged(() => say({ chat: { agent: { slug }, threadSlug: thread.slug } }, secret)))).toBe(
      'NOT_FOUND',
    );
    const gone = await kit.gql(
      'mutation ($id: ID!) { deleteProject(input: { id: $id }) { deletedProjectId } }',
      { id: project },
      owner.secret,
    );
    expect(gone.errors).toEqual([]);
    expect(await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: sessionId } })).toMatchObject({
      userId: owner.userId,
      agentId: id,
      clientKey: null,
    });
  });
});

describe('starting a chat over', () => {
  const Over = 'mutation ($input: ChatReferenceInput!) { startChatOver(input: $input) { sessionId } }';
  const over = (input: object, key = owner.secret) => kit.gql(Over, { input }, key);

  it('keeps the earlier messages but does not pass them to the model', async () => {
    const { slug } = await agent({ actions: {} });
    const chat = { agent: { slug } };
    expect((await unchanged(() => over(chat))).data.startChatOver).toEqual({ sessionId: null });
    const { sessionId } = await said({ chat, message: 'one' });
    expect((await over(chat)).data.startChatOver).toEqual({ sessionId });
    await said({ chat, message: 'two' });
    expect(earlier()).toEqual([]);
    const { nodes } = (await agentChat(chat)).data.agentChat.messages;
    expect(nodes.map(({ text }: { text: string }) => text)).toEqual([
      '',
      'one',
      'You said: one',
      'two',
      'You said: two',
    ]);
  });

  it('affects only that chat and requires permission to write to it', async () => {
    const { slug } = await agent({ actions: {} });
    await said({ chat: { agent: { slug } }, message: 'one' });
    await said({ chat: { agent: { slug }, clientSessionId: 'a' }, message: 'one' }, limited.secret);
    expect((await over({ agent: { slug }, clientSessionId: 'a' }, limited.secret)).errors).toEqual([]);
    await said({ chat: { agent: { slug } }, message: 'two' });
    expect(earlier()).toEqual(['one', 'You said: one']);

    const thread = await kit.gql(
      'mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { slug } }',
      { input: { agentSlug: slug, slug: 'not-over' } },
      owner.secret,
    );
    expect(thread.errors).toEqual([]);
    const chat = { agent: { slug }, threadSlug: 'not-over' };
    await said({ chat, message: 'one' });
    expect(code(await unchanged(() => over(chat, stranger.secret)))).toBe('NOT_FOUND');
    const reader = await kit.createKey('BASIC', { scopes: ['read:chat'] });
    expect(code(await unchanged(() => over({ agent: { slug } }, reader.secret)))).toBe('FORBIDDEN');
    expect(code(await unchanged(() => kit.gql(Over, { input: chat }, null)))).toBe('UNAUTHENTICATED');
  });
});

describe('attachments sent with a message', () => {
  const image = { name: 'dot.png', mediaType: 'image/png', base64: png };
  const text = (content: string, name = 'notes.txt') => ({
    name,
    mediaType: 'text/plain',
    base64: Buffer.from(content).toString('base64'),
  });

  it('are stored like uploads and passed to the model', async () => {
    const { slug } = await agent({ actions: {} });
    const attachments = [image, text('The password of the day is swordfish.'), { ...image, name: 'nameless' }];
    const { userMessageId, documents } = await said({ chat: { agent: { slug } }, attachments });
    expect(prompt()).toContain('swordfish');
    expect(prompt()).toContain('data:image/png;base64,');
    expect(documents).toMatchObject([{ isWhole: true, text: 'The password of the day is swordfish.' }]);
    const files = await kit.prisma.file.findMany({
      where: { messages: { some: { id: userMessageId } } },
      orderBy: { name: 'asc' },
      select: { name: true, kind: true, ownerId: true },
    });
    expect(files).toEqual([
      { name: 'dot.png', kind: 'IMAGE', ownerId: owner.userId },
      { name: 'nameless.png', kind: 'IMAGE', ownerId: owner.userId },
      { name: 'notes.txt', kind: 'PLAIN_TEXT', ownerId: owner.userId },
    ]);
    const { data } = await kit.gql('{ files(first: 10) { nodes { name dataUrl } } }', {}, owner.secret);
    const urls = Object.fromEntries(data.files.nodes.map((file: any) => [file.name, file.dataUrl]));
    expect(urls).toMatchObject({ 'dot.png': `data:image/png;base64,${png}`, 'notes.txt': null });
  });

  it.each([
    ['no Base64', [{ ...image, base64: '***' }], 'input.attachments.0.base64'],
    ['no media type', [{ ...image, mediaType: 'png' }], 'input.attachments.0.mediaType'],
    [
      'a type of image that is not taken',
      [image, { ...image, mediaType: 'image/x-icon' }],
      'input.attachments.1.mediaType',
    ],
    ['another content than its name says', [{ ...text('words'), name: 'x.pdf' }], 'input.attachments.0'],
    ['nothing in it', [text('good'), text('')], 'input.attachments.1'],
    ['too many beside it', Array(21).fill(image), 'input.attachments'],
  ])('are rejected and store no data when the problem is: %s', async (_name, attachments, path) => {
    const { slug } = await agent({ actions: {} });
    const answer = await unchanged(() => say({ chat: { agent: { slug } }, attachments }));
    expect([code(answer), field(answer)]).toEqual(['BAD_USER_INPUT', path]);
  });

  it('are rejected for a caller who cannot upload and for an unknown chat', async () => {
    const { slug } = await agent({ actions: {} });
    const attachments = [image];
    expect(code(await unchanged(() => say({ chat: { agent: { slug } }, attachments }, limited.secret)))).toBe(
      'FORBIDDEN',
    );
    expect(code(await unchanged(() => say({ chat: { agent: { slug: 'no-such' } }, attachments })))).toBe('NOT_FOUND');
    const { sessionId } = await said({ chat: { agent: { slug } } });
    expect(code(await unchanged(() => say({ sessionId, attachments }, stranger.secret)))).toBe('NOT_FOUND');
  });

  it('are removed when the turn does not start', async () => {
    const { slug } = await agent({ actions: {} });
    const files = await kit.prisma.file.count();
    expect(code(await say({ chat: { agent: { slug } }, attachments: [image], model: 'no-such' }))).toBe(
      'BAD_USER_INPUT',
    );
    expect(await kit.prisma.file.count()).toBe(files);
  });
});
