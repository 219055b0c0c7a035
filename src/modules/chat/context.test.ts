import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { estimateTokens } from '../../ai/tokens.ts';

let kit: Kit;
let key: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { LLM_CONTEXT_TOKENS: '8000' } });
  await kit.prisma.document.deleteMany();
  key = (await kit.createKey('BASIC')).secret;
});
afterAll(() => kit?.close());

const nowhere = '00000000-0000-4000-8000-000000000000';
const Available = 'query ($target: ContextTokensTarget!) { availableContextTokens(target: $target) }';
const ask = (target: object, as = key) => kit.gql(Available, { target }, as);
async function available(subject: object, as = key): Promise<number> {
  const { data, errors } = await ask(subject, as);
  expect(errors).toEqual([]);
  return data.availableContextTokens;
}
const ofSession = (id: string, as = key) => kit.rest('GET', `/api/chat/available-context-tokens/${id}`, { key: as });
const ofAgent = (id: string | number, as = key) =>
  kit.rest('GET', `/api/chat/max-selected-document-tokens?persona_id=${id}`, { key: as });

async function mutate(query: string, input: object, as = key) {
  const { data, errors } = await kit.gql(query, { input }, as);
  expect(errors).toEqual([]);
  return data;
}
const createSession = async (input: object = {}, as = key): Promise<string> =>
  (
    await mutate(
      'mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { sessionId } }',
      input,
      as,
    )
  ).createChatSession.sessionId;
const createAgent = async (input: object, as = key): Promise<number> =>
  (
    await mutate(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { name: `agent ${randomUUID()}`, replaceBaseSystemPrompt: true, datetimeAware: false, ...input },
      as,
    )
  ).createAgent.agent.databaseId;
const createProject = async (instructions: string, as = key): Promise<number> =>
  (
    await mutate(
      'mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { databaseId } } }',
      { name: 'project', instructions },
      as,
    )
  ).createProject.project.databaseId;

const window = 6000;

describe('the available context window', () => {
  it('is the prompt’s share of the window minus the agent’s instructions', async () => {
    const empty = await createAgent({});
    expect(await available({ agentId: empty })).toBe(window);
    const agent = await createAgent({ systemPrompt: 'x'.repeat(401), taskPrompt: 'y'.repeat(80) });
    expect(await available({ agentId: agent })).toBe(window - 101 - 20);
    expect(await ofAgent(agent)).toMatchObject({ status: 200, body: { max_tokens: window - 121 } });
    const session = await createSession({ agentId: agent });
    expect(await available({ sessionId: session })).toBe(window - 121);
    expect(await ofSession(session)).toMatchObject({ status: 200, body: { available_tokens: window - 121 } });
    expect(await ofSession(`${session}?model_configuration_id=3`)).toMatchObject({
      status: 422,
      body: { message: expect.stringMatching(/^model_configuration_id: is not supported/) },
    });
  });

  it('is never negative', async () => {
    const agent = await createAgent({ systemPrompt: 'x'.repeat(50_000) });
    expect(await available({ agentId: agent })).toBe(0);
  });

  it('is computed from the session’s own prompts and project', async () => {
    const agentId = await createAgent({ systemPrompt: 'x'.repeat(400), taskPrompt: 'y'.repeat(400) });
    const instructions = 'z'.repeat(1000);
    const projectId = await createProject(instructions);
    const session = await createSession({ agentId, projectId });
    const ofProject = `${'x'.repeat(400)}\n\n# Instructions of the project\n\n${instructions}`;
    expect(await available({ sessionId: session })).toBe(window - estimateTokens(ofProject) - 100);
    await kit.prisma.chatSession.update({ where: { id: session }, data: { systemPrompt: 's', taskPrompt: '' } });
    const overridden = `s\n\n# Instructions of the project\n\n${instructions}`;
    expect(await available({ sessionId: session })).toBe(window - estimateTokens(overridden));
  });

  it('is computed with the project instructions for a new session of a project token', async () => {
    const agentId = await createAgent({ isPublic: true }, kit.keys.ADMIN);
    const projectId = await createProject('z'.repeat(1000));
    const { createProjectToken } = await mutate(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { projectId, name: 'token', role: 'LIMITED' },
    );
    const session = await createSession({ agentId }, createProjectToken.secret);
    const left = window - estimateTokens(`# Instructions of the project\n\n${'z'.repeat(1000)}`);
    expect(await available({ agentId }, createProjectToken.secret)).toBe(left);
    expect(await available({ sessionId: session }, createProjectToken.secret)).toBe(left);
    expect(await available({ agentId })).toBe(window);
  });

  it('does not depend on earlier messages and is available to a limited key', async () => {
    const { secret } = await kit.createKey('LIMITED');
    const session = await createSession({}, secret);
    const before = await available({ sessionId: session }, secret);
    expect(before).toBeLessThan(window);
    const body = { message: 'word '.repeat(500), stream: false, chat_session_id: session };
    expect((await kit.rest('POST', '/api/chat/send-chat-message', { key: secret, body })).status).toBe(200);
    expect(await available({ sessionId: session }, secret)).toBe(before);
    expect((await ofSession(session, secret)).body).toEqual({ available_tokens: before });
    expect((await ofAgent(0, secret)).body).toEqual({ max_tokens: before });
  });
});

describe('a request for the context window', () => {
  it('is rejected without a session or agent, with both, or with a malformed ID', async () => {
    const session = await createSession();
    for (const target of [{}, { sessionId: null, agentId: null }, { sessionId: session, agentId: 0 }])
      expect((await ask(target)).errors[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        fields: [{ path: expect.arrayContaining(['target']) }],
      });
    for (const answer of [await ofSession('x'), await ofAgent('x'), await ofAgent('4294967296'), await ofAgent('')])
      expect(answer.status).toBe(422);
  });

  it('returns the same NOT_FOUND for an inaccessible session or agent as for an unknown one', async () => {
    const foreign = await createSession({}, kit.keys.ADMIN);
    const hidden = await createAgent({}, kit.keys.ADMIN);
    const deleted = await createAgent({});
    const orphan = await createSession({ agentId: deleted });
    await kit.prisma.agent.update({ where: { id: deleted }, data: { deletedAt: new Date() } });
    const gone = await createSession();
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${gone}`, { key });
    const shared = await createSession({}, kit.keys.ADMIN);
    await kit.rest('PATCH', `/api/chat/chat-session/${shared}`, { body: { sharing_status: 'public' } });
    const before = await kit.fingerprint();
    for (const sessionId of [foreign, gone, shared, nowhere]) {
      expect((await ask({ sessionId })).errors[0]?.extensions.code).toBe('NOT_FOUND');
      expect(await ofSession(sessionId)).toMatchObject({ status: 404, body: { error_code: 'SESSION_NOT_FOUND' } });
    }
    for (const agentId of [hidden, deleted, 999_999]) {
      expect((await ask({ agentId })).errors[0]?.extensions.code).toBe('NOT_FOUND');
      expect(await ofAgent(agentId)).toMatchObject({ status: 404, body: { error_code: 'PERSONA_NOT_FOUND' } });
    }
    expect(await ofSession(orphan)).toMatchObject({ status: 404, body: { error_code: 'PERSONA_NOT_FOUND' } });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('returns NOT_FOUND to a project token for a session outside its project', async () => {
    const projectId = await createProject('here');
    const { createProjectToken } = await mutate(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { projectId, name: 'token', role: 'BASIC' },
    );
    const token = createProjectToken.secret;
    const [outside, inside] = [await createSession(), await createSession({ projectId })];
    const before = await kit.fingerprint();
    expect((await ask({ sessionId: outside }, token)).errors[0]?.extensions.code).toBe('NOT_FOUND');
    expect((await ofSession(outside, token)).status).toBe(404);
    expect(await available({ sessionId: inside }, token)).toBeGreaterThan(0);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is rejected for a credential without `write:chat`', async () => {
    const session = await createSession();
    const pat = await kit.createPat(key, { scopes: ['read:chat', 'read:agents', 'manage:chat'] });
    const before = await kit.fingerprint();
    for (const subject of [{ sessionId: session }, { agentId: 0 }])
      expect((await ask(subject, pat.secret)).errors[0]?.extensions).toMatchObject({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['write:chat'],
      });
    expect((await ofSession(session, pat.secret)).status).toBe(403);
    expect((await ofAgent(0, pat.secret)).status).toBe(403);
    expect(await kit.fingerprint()).toBe(before);
  });
});
