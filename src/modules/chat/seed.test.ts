import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, ownDatabase, startKit } from '../../../test/kit.ts';
import { boot } from '../../boot.ts';
import { createLog } from '../../log.ts';
import { readSettings } from '../../settings.ts';

let kit: Kit;
let key: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { LLM_MODELS: 'second', WEB_URL: 'https://web.example/app/' } });
  await kit.prisma.document.deleteMany();
  key = (await kit.createKey('BASIC')).secret;
});
afterAll(() => kit?.close());

const Seed = `mutation ($input: SeedChatSessionInput!) { seedChatSession(input: $input) { sessionId userMessageId url } }`;
const attempt = (input: object, as = key) => kit.gql(Seed, { input }, as);
async function seed(input: object, as = key) {
  const { data, errors } = await attempt(input, as);
  expect(errors).toEqual([]);
  return data.seedChatSession as { sessionId: string; userMessageId: number | null; url: string };
}
const seedRow = (body: object, as = key) => kit.rest('POST', '/api/chat/seed-chat-session', { key: as, body });
const stored = (id: string) =>
  kit.prisma.chatSession.findUniqueOrThrow({
    where: { id },
    include: { messages: { orderBy: { id: 'asc' } }, user: true },
  });
const Answer = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
  userMessageId assistantMessageId answer } }`;
const asked = () => kit.model.requests.at(-1)?.body;

async function refused<T>(work: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const answer = await work();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

describe('a seeded session', () => {
  it('belongs to the caller, contains the question on its current branch, and starts no answer', async () => {
    const requests = kit.model.requests.length;
    const { sessionId, userMessageId, url } = await seed({ name: 'Seeded', message: 'What now?' });
    expect(url).toBe(`https://web.example/app/chat?chatId=${sessionId}&seeded=true`);
    const session = await stored(sessionId);
    const viewer = await kit.gql('{ viewer { user { databaseId } } }', {}, key);
    expect(session).toMatchObject({
      name: 'Seeded',
      agentId: 0,
      userId: viewer.data.viewer.user.databaseId,
      sharing: 'PRIVATE',
    });
    const [root, question, ...others] = session.messages;
    expect(others).toEqual([]);
    expect(root).toMatchObject({ role: 'SYSTEM', parentId: null, latestChildId: userMessageId });
    expect(question).toMatchObject({
      id: userMessageId,
      role: 'USER',
      text: 'What now?',
      status: 'COMPLETE',
      parentId: root?.id,
      latestChildId: null,
    });
    expect(kit.model.requests).toHaveLength(requests);
    // The session is not empty, so the list contains it.
    const { body } = await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key });
    expect(body.sessions[0]).toMatchObject({ id: sessionId, name: 'Seeded' });
  });

  it('answers its question with the prompts and the model that it was seeded with', async () => {
    const { sessionId, userMessageId } = await seed({
      message: 'Who are you?',
      systemPrompt: 'You are a lighthouse.',
      taskPrompt: 'Answer in Morse.',
      model: 'second',
      temperature: 0.25,
      reasoningEffort: 'LOW',
    });
    const input = { sessionId, parent: { messageId: userMessageId }, message: '', actionIds: [] };
    const { data, errors } = await kit.gql(Answer, { input }, key);
    expect(errors).toEqual([]);
    expect(data.sendChatMessage).toMatchObject({
      userMessageId: null,
      answer: expect.stringMatching(/^You said: Who/),
    });
    const { messages, ...request } = asked() ?? {};
    expect(request).toMatchObject({ model: 'second', temperature: 0.25, reasoning_effort: 'low' });
    expect(messages?.[0]).toMatchObject({ role: 'system', content: expect.stringContaining('You are a lighthouse.') });
    expect(messages?.slice(1)).toMatchObject([{ role: 'user', content: 'Who are you?\n\nAnswer in Morse.' }]);
    const session = await stored(sessionId);
    expect(session.messages.map(({ role }) => role)).toEqual(['SYSTEM', 'USER', 'ASSISTANT']);
    expect(session.messages[1]?.latestChildId).toBe(data.sendChatMessage.assistantMessageId);
  });

  it('keeps its prompts to itself: the agent’s next session uses the agent’s prompts', async () => {
    const { sessionId } = await seed({ systemPrompt: 'You are a lighthouse.', taskPrompt: '' });
    const agent = await kit.prisma.agent.findUniqueOrThrow({ where: { id: 0 } });
    expect(agent.systemPrompt).not.toContain('lighthouse');
    expect(await stored(sessionId)).toMatchObject({ systemPrompt: 'You are a lighthouse.', taskPrompt: '' });
    expect(await stored((await seed({})).sessionId)).toMatchObject({
      systemPrompt: null,
      taskPrompt: null,
      model: null,
    });
    const read = await kit.gql(
      'query ($id: ID!) { chatSession(id: $id) { systemPrompt taskPrompt } }',
      { id: sessionId },
      key,
    );
    expect(read.data.chatSession).toEqual({ systemPrompt: 'You are a lighthouse.', taskPrompt: '' });
  });

  it('can be created without a question', async () => {
    const { sessionId, userMessageId } = await seed({});
    expect(userMessageId).toBeNull();
    expect((await stored(sessionId)).messages).toMatchObject([{ role: 'SYSTEM', latestChildId: null }]);
  });

  it('can be created by a limited key, which gets only its IDs', async () => {
    const { secret } = await kit.createKey('LIMITED', { name: 'seeder' });
    const { sessionId, userMessageId } = await seed({ message: 'Hello' }, secret);
    expect((await stored(sessionId)).user.name).toBe('seeder');
    const input = { sessionId, parent: { messageId: userMessageId }, message: '' };
    expect((await kit.gql(Answer, { input }, secret)).data.sendChatMessage.answer).toBe('You said: Hello');
    const { errors } = await kit.gql(`{ chatSession(id: "${sessionId}") { name } }`, {}, secret);
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('can be created over REST', async () => {
    const { status, body } = await seedRow({
      persona_id: 0,
      llm_override: { model_provider: 'x', model_version: 'x__second', temperature: 1.5 },
      prompt_override: { system_prompt: 'Be brief.', task_prompt: null },
      description: 'From REST',
      message: 'Why?',
    });
    expect(status).toBe(200);
    const [, id] =
      /^https:\/\/web\.example\/app\/chat\?chatId=([0-9a-f-]{36})&seeded=true$/.exec(body.redirect_url) ?? [];
    expect(await stored(id ?? '')).toMatchObject({
      name: 'From REST',
      model: 'second',
      temperature: 1.5,
      systemPrompt: 'Be brief.',
      taskPrompt: null,
      messages: [{ role: 'SYSTEM' }, { role: 'USER', text: 'Why?' }],
    });
    for (const more of [{}, { llm_override: null, prompt_override: null, description: null, message: null }])
      expect((await seedRow({ persona_id: 0, ...more })).status).toBe(200);
  });

  it('links to this server’s address and port when the settings contain no web address', async () => {
    const { options: database, drop } = await ownDatabase();
    const booted = await boot({
      settings: readSettings({ PORT: '0', DATA_DIR: join(tmpdir(), `latchkey-test-${randomUUID()}`) }),
      log: createLog('silent'),
      database,
      listen: async () => 'http://127.0.0.1:54321',
    });
    const secret = booted.firstAdminKey;
    const response = await booted.fetch(
      new Request('http://localhost/api/chat/seed-chat-session', {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ persona_id: 0 }),
      }),
    );
    expect(await response.json()).toEqual({
      redirect_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:54321\/chat\?chatId=[0-9a-f-]{36}&seeded=true$/),
    });
    await booted.close();
    await drop();
  });
});

describe('seeding a session', () => {
  it('rejects invalid input and names the field', async () => {
    for (const [field, value] of [
      ['systemPrompt', 'x'.repeat(20_001)],
      ['taskPrompt', 'x'.repeat(20_001)],
      ['message', 'x'.repeat(200_001)],
      ['message', 'a\0b'],
      ['systemPrompt', 'a\0b'],
      ['taskPrompt', '\ud800'],
      ['name', 'x'.repeat(501)],
      ['model', 'unknown'],
      ['temperature', 3],
    ] as const) {
      const { errors } = await refused(() => attempt({ [field]: value }));
      expect([field, errors[0]?.extensions]).toMatchObject([
        field,
        { code: 'BAD_USER_INPUT', fields: [{ path: ['input', field] }] },
      ]);
    }
    for (const [body, status] of [
      [{}, 422],
      [{ persona_id: 'x' }, 422],
      [{ persona_id: 4_294_967_296 }, 422],
      [{ persona_id: 0, message: 5 }, 422],
      [{ persona_id: 0, llm_override: { temperature: 3 } }, 422],
      [{ persona_id: 0, llm_override: { model_version: 'unknown' } }, 400],
      [{ persona_id: 0, prompt_override: { system_prompt: 'x'.repeat(20_001) } }, 400],
      [{ persona_id: 0, description: 'a\0b' }, 400],
    ] as const)
      expect([body, (await refused(() => seedRow(body))).status]).toEqual([body, status]);
    expect(
      (await seed({ systemPrompt: 'x'.repeat(20_000), message: 'x'.repeat(200_000) })).userMessageId,
    ).not.toBeNull();
  });

  it('returns the same error for an inaccessible agent or project as for an unknown one', async () => {
    const agent = await kit.gql('mutation { createAgent(input: { name: "Hidden" }) { agent { databaseId } } }');
    const project = await kit.gql('mutation { createProject(input: { name: "Foreign" }) { project { databaseId } } }');
    for (const agentId of [agent.data.createAgent.agent.databaseId, 4711]) {
      const { errors } = await refused(() => attempt({ agentId }));
      expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
      expect(await refused(() => seedRow({ persona_id: agentId }))).toMatchObject({
        status: 403,
        body: { detail: 'User does not have access to persona' },
      });
    }
    for (const projectId of [project.data.createProject.project.databaseId, 4711]) {
      const { errors } = await refused(() => attempt({ projectId }));
      expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
    }
  });

  it('rejects tokens without `write:chat` and anonymous clients', async () => {
    const pat = await kit.createPat(key, { scopes: ['read:chat', 'manage:chat', 'read:agents'] });
    expect(await refused(() => attempt({}, pat.secret))).toMatchObject({
      data: { seedChatSession: null },
      errors: [
        { extensions: { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['write:chat'] } },
      ],
    });
    expect((await refused(() => seedRow({ persona_id: 0 }, pat.secret))).status).toBe(403);
    expect((await refused(() => kit.rest('POST', '/api/chat/seed-chat-session', { key: null, body: {} }))).status).toBe(
      403,
    );
    expect((await refused(() => kit.gql(Seed, { input: {} }, null))).errors[0]?.extensions.code).toBe(
      'UNAUTHENTICATED',
    );
  });

  it('keeps a project token within its project', async () => {
    const made = (name: string) =>
      kit.gql(
        'mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { databaseId } } }',
        { input: { name } },
        key,
      );
    const home = (await made('home')).data.createProject.project.databaseId;
    const sister = (await made('sister')).data.createProject.project.databaseId;
    const created = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId: home, name: 'token', role: 'BASIC' } },
      key,
    );
    const token = created.data.createProjectToken.secret;
    expect((await refused(() => attempt({ projectId: sister }, token))).errors[0]?.extensions.code).toBe('NOT_FOUND');
    expect((await stored((await seed({}, token)).sessionId)).projectId).toBe(home);
    const { body } = await seedRow({ persona_id: 0 }, token);
    const id = new URL(body.redirect_url).searchParams.get('chatId') ?? '';
    expect((await stored(id)).projectId).toBe(home);
  });
});
