import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ImportFoundation } from '../../src/modules/imports/importing.ts';
import { onyxImport } from '../../src/modules/imports/onyx/command.ts';
import { importOnyx } from '../../src/modules/imports/onyx/import.ts';
import { operatorOf } from '../../src/modules/imports/operator.ts';
import { type Kit, startKit } from '../kit.ts';
import { endServers, message, recorded, silence } from './onyx-server.ts';

const key = 'on_some-key-of-that-server';

let kit: Kit;
/** A server with the current contract: another Latchkey. */
let there: Kit;
let foundation: ImportFoundation;

beforeAll(async () => {
  [kit, there] = await Promise.all([startKit(), startKit()]);
  const { db, settings } = kit.booted.foundation;
  const operator = await operatorOf(db, settings, null);
  if (!operator) throw new Error('no operator');
  foundation = { db, services: kit.booted.services, operator, say: () => {}, dryRun: false };
});
afterEach(endServers);
afterAll(async () => {
  await kit?.close();
  await there?.close();
});

/** Imports from a server with immediate retries. */
async function bringFrom(url: string) {
  const report = await importOnyx(foundation, url, key, async () => {});
  return { report, text: report.lines().join('\n') };
}

/** Returns the message tree without IDs. */
function tree(messages: any[], parent: any = null): object[] {
  return messages
    .filter((message) => message.parent_message === (parent?.message_id ?? null))
    .sort((a, b) => a.message_id - b.message_id)
    .map((message) => ({
      text: message.message,
      type: message.message_type,
      ...(parent && { time: message.time_sent, current: parent.latest_child_message === message.message_id }),
      documents: message.context_docs?.map(({ document_id: id }: { document_id: string }) => id),
      citations: message.citations,
      children: tree(messages, message),
    }));
}

describe('a current Onyx server', () => {
  let agentId: number;
  let projectId: number;
  let sessionId: string;
  let inProject: string;
  let fileThere: string;

  async function bring(options: Partial<ImportFoundation> = {}) {
    const report = await importOnyx({ ...foundation, ...options }, there.url, there.keys.BASIC);
    // Waits until the text of imported files is extracted.
    await kit.booted.background.settled();
    return report;
  }
  const basic = { key: '' };

  beforeAll(async () => {
    basic.key = there.keys.BASIC;
    const tools = await there.rest('GET', '/api/tool', basic);
    const agent = await there.rest('POST', '/api/persona', {
      ...basic,
      body: {
        name: 'Guide',
        description: 'Guides.',
        document_set_ids: [],
        tool_ids: tools.body.filter((tool: any) => tool.in_code_tool_id === 'SearchTool').map((tool: any) => tool.id),
        system_prompt: 'You guide.',
        task_prompt: 'Guide them.',
        datetime_aware: false,
        is_public: true,
        starter_messages: [{ name: 'Start', message: 'Where to?' }],
      },
    });
    agentId = agent.body.id;
    const project = await there.rest('POST', '/api/user/projects/create?name=Voyage', basic);
    projectId = project.body.id;
    await there.rest('POST', `/api/user/projects/${projectId}/instructions`, {
      ...basic,
      body: { instructions: 'Speak of ships.' },
    });
    fileThere = await there.upload('log.txt', 'The ship sailed at dawn.', { key: basic.key, projectId });
    const say = (body: object) =>
      there.rest('POST', '/api/chat/send-chat-message', { ...basic, body: { stream: false, ...body } });
    const first = await say({ message: 'One', chat_session_info: { persona_id: agentId, description: 'Talk' } });
    sessionId = first.body.chat_session_id;
    await say({ message: 'Two', chat_session_id: sessionId });
    await say({ message: 'Instead of one', chat_session_id: sessionId, parent_message_id: null });
    const second = await say({ message: 'Ahoy', chat_session_info: { persona_id: 0, project_id: projectId } });
    inProject = second.body.chat_session_id;
    expect([first.status, second.status]).toEqual([200, 200]);
  });

  it('is counted by a dry run, which changes no data', async () => {
    const before = await kit.fingerprint();
    const report = await bring({ dryRun: true });
    expect(report.totals()).toMatchObject({
      agent: { imported: 1 },
      project: { imported: 1 },
      session: { imported: 2 },
    });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is imported with agents, projects and files, and with chats as trees under their own IDs', async () => {
    const report = await bring();
    const text = report.lines().join('\n');
    expect(report.failed, text).toBe(false);
    expect(report.totals()).toEqual({
      agent: { imported: 1, known: 0 },
      project: { imported: 1, known: 0 },
      file: { imported: 1, known: 0 },
      link: { imported: 1, known: 0 },
      session: { imported: 2, known: 0 },
      message: { imported: 8, known: 0 },
    });
    expect(text).not.toContain(there.keys.BASIC);

    const agents = await kit.rest('GET', '/api/persona');
    const guide = agents.body.find(({ name }: { name: string }) => name === 'Guide');
    const whole = await kit.rest('GET', `/api/persona/${guide.id}`);
    expect(whole.body).toMatchObject({
      description: 'Guides.',
      system_prompt: 'You guide.',
      task_prompt: 'Guide them.',
      datetime_aware: false,
      is_public: true,
      starter_messages: [{ name: 'Start', message: 'Where to?' }],
      tools: [{ in_code_tool_id: 'SearchTool' }],
    });

    const projects = await kit.rest('GET', '/api/user/projects');
    expect(projects.body).toMatchObject([
      { name: 'Voyage', instructions: 'Speak of ships.', chat_sessions: [{ id: inProject }] },
    ]);
    const files = await kit.rest('GET', `/api/user/projects/files/${projects.body[0].id}`);
    expect(files.body).toMatchObject([{ name: 'log.txt', status: 'COMPLETED' }]);
    // Citations refer to the imported file.
    const local = (text: string) => text.replaceAll(fileThere, files.body[0].file_id);
    const bytes = await kit.rest('GET', `/api/chat/file/${files.body[0].file_id}`);
    expect(bytes.text).toBe('The ship sailed at dawn.');

    for (const id of [sessionId, inProject]) {
      const path = `/api/chat/get-chat-session/${id}`;
      const [original, copy] = await Promise.all([there.rest('GET', path, basic), kit.rest('GET', path)]);
      expect(copy.status).toBe(200);
      expect(original.body.messages.length).toBeGreaterThan(2);
      // The same tree except for the IDs of messages and files.
      const expected = JSON.parse(local(JSON.stringify(tree(original.body.messages))));
      expect(tree(copy.body.messages)).toEqual(expected);
      expect(copy.body.description).toBe(original.body.description);
      // No other user can read it.
      expect((await kit.rest('GET', path, { key: kit.keys.BASIC })).status).toBe(404);
    }
    const talk = await kit.gql('query ($id: ID!) { chatSession(id: $id) { agentName name } }', { id: sessionId });
    expect(talk.data.chatSession).toEqual({ agentName: 'Guide', name: 'Talk' });
  });

  it('changes no data when it is imported again', async () => {
    const before = await kit.fingerprint();
    const report = await bring();
    expect(report.failed).toBe(false);
    expect(Object.values(report.totals()).filter(({ imported }) => imported > 0)).toEqual([]);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('adds new messages to the current branch when it is imported again', async () => {
    const more = await there.rest('POST', '/api/chat/send-chat-message', {
      ...basic,
      body: { stream: false, message: 'Three', chat_session_id: inProject },
    });
    expect(more.status).toBe(200);
    const report = await bring();
    expect(report.totals()).toMatchObject({ message: { imported: 2 }, session: { imported: 0, known: 2 } });
    const copy = await kit.rest('GET', `/api/chat/get-chat-session/${inProject}`);
    expect(copy.body.messages).toHaveLength(5);
    const [, , answer, question] = copy.body.messages;
    expect(question).toMatchObject({ message: 'Three', parent_message: answer.message_id });
    expect(answer.latest_child_message).toBe(question.message_id);
  });

  it('does not restore data that was deleted on this server', async () => {
    const guide = (await kit.rest('GET', '/api/persona')).body.find(({ name }: { name: string }) => name === 'Guide');
    await kit.rest('DELETE', `/api/persona/${guide.id}`);
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${sessionId}?hard_delete=true`);
    const before = await kit.fingerprint();
    const report = await bring();
    expect(report.totals()).toMatchObject({ agent: { imported: 0, known: 1 } });
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is not imported with an invalid key or from an invalid address', async () => {
    const before = await kit.fingerprint();
    await expect(importOnyx(foundation, there.url, key)).rejects.toThrow('the key does not work there');
    for (const address of ['ftp://x.example', 'file:///etc/passwd', 'nothing', 'http://user:pass@x.example'])
      await expect(importOnyx(foundation, address, key)).rejects.toThrow('the base URL must');
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('an older Onyx server', () => {
  it('is imported at the root path, without pagination, with numbered citations and malformed entries', async () => {
    const [chat, project, broken, failing] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const old = await recorded({
      '/persona': [
        { id: 0, name: 'Search', builtin_persona: true },
        { id: -1, name: 'General', builtin_persona: true },
        { id: 4, name: 'Old\u0000 one', is_visible: false, is_default_persona: false },
        { id: 5, name: '   ' },
        { id: 6, name: 'Failing' },
        'nonsense',
      ],
      '/persona/4': {
        id: 4,
        name: 'Old\u0000 one',
        description: 'From before.',
        system_prompt: 'x'.repeat(100_001),
        is_visible: false,
        is_public: false,
        llm_model_version_override: 'gpt-3',
        tools: [{ name: 'Teleport', in_code_tool_id: 'TeleportTool' }],
        document_sets: [{ id: 1, name: 'Manuals' }],
        users: [{ id: randomUUID(), email: 'nobody@x.example' }],
        labels: [{ id: 1, name: 'old' }],
      },
      '/persona/5': { id: 5, name: '   ' },
      '/persona/6': 500,
      '/user/projects/': [{ id: 9, name: 'Old project', chat_sessions: [{ id: project, name: 'P' }] }, { id: 'x' }],
      '/user/projects/9/instructions': { instructions: 'Old words.' },
      '/user/projects/files/9': [{ id: randomUUID(), name: '../../evil.txt', file_id: 'gone' }],
      '/chat/get-user-chat-sessions': {
        sessions: [
          {
            id: chat,
            name: 'Old chat',
            persona_id: 4,
            time_created: '2025-01-02T03:04:05+00:00',
            time_updated: '2025-01-03T00:00:00+00:00',
          },
          { id: broken, name: 'Broken' },
          { id: failing, name: 'Failing chat' },
          { id: '../../me', name: 'Not an id' },
        ],
        has_more: true,
      },
      [`/chat/get-chat-session/${chat}`]: {
        chat_session_id: chat,
        description: 'Old chat',
        persona_id: 4,
        time_created: '2025-01-02T03:04:05+00:00',
        shared_status: 'private',
        messages: [
          message(1, null, 'system', '', { latest_child_message: 2 }),
          message(2, 1, 'user', 'Question\u0000', { latest_child_message: 3 }),
          message(3, 2, 'tool_call_response', 'called', { latest_child_message: 4 }),
          message(4, 3, 'assistant', 'Answer [1]', {
            citations: { 1: 77, evil: 77, 2: 78 },
            context_docs: [
              {
                document_id: 'doc-a',
                semantic_identifier: 'Doc A',
                link: 'javascript:alert(1)',
                blurb: 'Text',
                score: 7,
                db_doc_id: 77,
              },
              'nonsense',
            ],
            current_feedback: 'dislike',
            processing_duration_seconds: 2,
          }),
          message(5, 1, 'user', 'Another branch'),
          message(6, 5, 'assistant', 'x'.repeat(200_001)),
          message(7, 6, 'user', 'After what was too long'),
          message(8, 9, 'user', 'Round'),
          message(9, 8, 'assistant', 'and round'),
          message(10, 404, 'user', 'From nowhere'),
          { message_id: 'x' },
        ],
      },
      [`/chat/get-chat-session/${project}`]: { chat_session_id: project, messages: [], persona_id: 4 },
      [`/chat/get-chat-session/${broken}`]: '{"messages": ',
      [`/chat/get-chat-session/${failing}`]: 500,
      '/manage/connector': [{ id: 1, name: 'Wiki\u001b[2J' }],
      '/manage/document-set': [{ id: 1, name: 'Manuals' }],
      '/onyx-api/ingestion': [{ document_id: 'a' }],
    });
    const { report, text } = await bringFrom(`${old.url}/`);
    expect(text).not.toContain(key);
    expect(text).not.toContain('\u001b');
    expect(old.seen.every((line) => line.endsWith(`Bearer ${key}`))).toBe(true);
    expect(old.seen.some((line) => line.includes('..'))).toBe(false);
    for (const line of [
      'agent number 6: does not have the form of an agent',
      'has no name',
      'agent Failing: /persona/6 returned the status 500',
      'agent Old one: was imported with a truncated system prompt',
      'chats: the list ends after 3 entries although it announces more',
      '2 messages of chat Old chat: refer to each other in a cycle',
      'tool Teleport of agent Old one: does not exist here',
      'model gpt-3 of agent Old one: is not available on this server',
      'document sets of agent Old one: the source does not return their documents (Manuals)',
      '1 people that agent Old one is shared with: have no account on this server',
      'project number 2: does not have the form of a project',
      'evil.txt: its content is not available',
      '1 chats: do not have the form of chats',
      'chat Broken: /chat/get-chat-session/',
      'chat Failing chat: /chat/get-chat-session/',
      '1 messages of chat Old chat: do not have the form of messages',
      'message 6 of chat Old chat: has more than 200000 characters',
      '1 connectors: do not exist here (Wiki [2J)',
      '1 document sets: do not exist here (Manuals)',
      '1 ingested documents: the source does not return their text',
      'keys and tokens: secrets are not imported',
    ])
      expect(text).toContain(line);
    // A failing server is not an error in the data.
    expect(report.failed).toBe(true);

    const agent = await kit.prisma.agent.findFirstOrThrow({ where: { name: 'Old one' }, include: { labels: true } });
    expect(agent).toMatchObject({
      isListed: false,
      isPublic: false,
      knowledge: 'ATTACHED',
      model: null,
      labels: [{ name: 'old' }],
    });
    expect(agent.systemPrompt).toHaveLength(100_000);
    const session = await kit.prisma.chatSession.findUniqueOrThrow({
      where: { id: chat },
      include: { messages: { include: { feedback: true } } },
    });
    expect(session).toMatchObject({ agentId: agent.id, createdAt: new Date('2025-01-02T03:04:05Z') });
    const said = (words: string) => session.messages.find((each) => each.text === words);
    const root = session.messages.find(({ parentId }) => parentId === null);
    expect(said('Question')).toMatchObject({ parentId: root?.id, createdAt: new Date('2025-01-02T03:04:05.678Z') });
    expect(said('Answer [1]')).toMatchObject({
      parentId: said('Question')?.id,
      citations: [{ number: 1, documentId: 'doc-a' }],
      passages: [{ documentId: 'doc-a', number: 1, link: null, score: 1 }],
      durationMs: 2000,
      feedback: [{ positive: false }],
    });
    expect(said('After what was too long')).toMatchObject({ parentId: said('Another branch')?.id });
    expect(said('From nowhere')).toMatchObject({ parentId: root?.id });
    expect(said('Round')).toBeUndefined();
    const voyage = await kit.prisma.project.findFirstOrThrow({ where: { name: 'Old project' } });
    expect(voyage.instructions).toBe('Old words.');
    const within = await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: project } });
    expect(within).toMatchObject({ projectId: voyage.id, agentId: agent.id });

    const before = await kit.fingerprint();
    await bringFrom(old.url);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is reported when it stops responding during an import, and the imported objects are kept', async () => {
    const short = await recorded({
      '/persona': [{ id: 1, name: 'Survivor' }],
      '/persona/1': { id: 1, name: 'Survivor' },
      '*': silence,
    });
    const { report } = await bringFrom(short.url);
    expect(report.failed).toBe(true);
    expect(report.totals()).toMatchObject({ agent: { imported: 1 } });
    expect(await kit.prisma.agent.count({ where: { name: 'Survivor' } })).toBe(1);
  });
});

it('an Onyx import replaces every key in its output with [key]', () => {
  expect(onyxImport.redact?.(`latchkey: ${key} and ${key}`, ['http://x', key])).toBe('latchkey: [key] and [key]');
});
