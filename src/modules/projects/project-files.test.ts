import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { blobsOf, sweep } from '../../../test/multipart.ts';
import { parsePassages, withoutPassages } from '../../ai/passages.ts';

/** Files can use a quarter of the context window in full: 512 tokens. */
let kit: Kit;
let anna: { secret: string; userId: string };
/** An agent without actions. */
let plain: number;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { LLM_CONTEXT_TOKENS: '2048' } });
  await kit.prisma.document.deleteMany();
  anna = await kit.createKey('BASIC', { name: 'anna' });
  plain = (await ok(`mutation { createAgent(input: { name: "plain", actionIds: [] }) { agent { databaseId } } }`))
    .createAgent.agent.databaseId;
});
afterAll(() => kit?.close());

async function ok(query: string, variables: object = {}, key = anna.secret) {
  const { data, errors } = await kit.gql(query, variables, key);
  expect(errors).toEqual([]);
  return data;
}
const api = (method: string, path: string, body?: unknown, key = anna.secret) =>
  kit.rest(method, `/api${path}`, { key, ...(body !== undefined && { body }) });

const newProject = async (name: string): Promise<number> =>
  (await api('POST', `/user/projects/create?name=${name}`)).body.id;
const upload = (name: string, content: string, projectId?: number, key = anna.secret) =>
  kit.upload(name, content, { key, ...(projectId !== undefined && { projectId }) });

interface Asking {
  message?: string;
  projectId?: number;
  sessionId?: string;
  agentId?: number;
  actionIds?: number[];
  fileIds?: string[];
}
/** Sends a question and returns what the model received. */
async function ask({ message = 'Well?', projectId, sessionId, agentId = 0, ...rest }: Asking, key = anna.secret) {
  const where = sessionId ? { sessionId } : { newSession: { agentId, ...(projectId && { projectId }) } };
  const { sendChatMessage: turn } = await ok(
    `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
      sessionId answer searchQueries citations { documentId } documents { documentId title text } } }`,
    { input: { message, ...where, ...rest } },
    key,
  );
  const text = kit.model.requests.at(-1)?.body.messages?.at(-1)?.content as string;
  const passages = parsePassages(text);
  return { ...turn, passages, titles: passages.map(({ title }) => title), question: withoutPassages(text) };
}

/** About 220 tokens on one subject. */
const chapter = (subject: string) =>
  `# ${subject}\n\n${`The ${subject} is ${subject} all over. `.repeat(880 / (21 + 2 * subject.length))}`;

describe('short files of a project', () => {
  it('are awaited by a turn while their text is being extracted', async () => {
    const projectId = await newProject('fresh');
    const form = new FormData();
    form.append('files', new File([chapter('quartz')], 'fresh.txt'));
    form.append('project_id', String(projectId));
    const uploaded = await api('POST', '/user/projects/file/upload', form);
    expect(uploaded.body.user_files).toMatchObject([{ name: 'fresh.txt', status: 'PROCESSING' }]);
    const { titles } = await ask({ projectId, agentId: plain });
    expect(titles).toEqual(['fresh.txt']);
  });

  let projectId: number;
  beforeAll(async () => {
    projectId = await newProject('short');
    await upload('one.md', 'The first file.', projectId);
    await upload('two.csv', 'second,file', projectId);
  });

  it('are passed in full to every chat of the project from the first question on, and can be cited', async () => {
    const first = await ask({ projectId, message: 'Anything at all?' });
    expect(first.passages).toMatchObject([
      { number: 1, title: 'one.md', text: 'The first file.' },
      { number: 2, title: 'two.csv', text: 'second,file' },
    ]);
    kit.model.script({ text: 'It is so [2].' });
    const next = await ask({ sessionId: first.sessionId });
    expect(next.titles).toEqual(['one.md', 'two.csv']);
    expect(next.citations).toMatchObject([{ documentId: next.documents[1].documentId }]);
    expect(next.answer).toBe(`It is so [[2]](/api/chat/file/${next.documents[1].documentId}).`);
  });

  it('are passed regardless of the agent’s actions and of the actions that the question allows', async () => {
    for (const asking of [{ agentId: plain }, { actionIds: [] }, { agentId: plain, actionIds: [] }]) {
      const { titles, searchQueries } = await ask({ projectId, ...asking });
      expect([titles, searchQueries]).toEqual([['one.md', 'two.csv'], []]);
    }
    const { body } = await api('POST', '/chat/send-chat-message', {
      message: 'Well?',
      stream: false,
      allowed_tool_ids: [],
      chat_session_info: { project_id: projectId, persona_id: plain },
    });
    expect(body.top_documents.map((document: { semantic_identifier: string }) => document.semantic_identifier)).toEqual(
      ['one.md', 'two.csv'],
    );
    expect(body.tool_calls).toEqual([]);
  });

  it('are not passed to other chats', async () => {
    const other = await newProject('other');
    for (const asking of [{}, { projectId: other }, { agentId: plain }])
      expect((await ask({ message: 'The first file?', ...asking })).titles).toEqual([]);
  });

  it('are passed only once, after the files that are attached to the question', async () => {
    const own = await upload('own.txt', 'own');
    const { databaseId } = (
      await ok(`query ($id: ID!) { files(filter: { projectId: $id }, first: 1) { nodes { databaseId name } } }`, {
        id: projectId,
      })
    ).files.nodes[0];
    const first = await ask({ projectId, fileIds: [own, databaseId] });
    expect(first.titles).toEqual(['two.csv', 'own.txt', 'one.md']);
    // Later it counts as a file of the project again, and no longer as one of the question.
    expect((await ask({ sessionId: first.sessionId })).titles).toEqual(['one.md', 'two.csv', 'own.txt']);
  });

  it('are added and removed from the next question on when a file is linked or unlinked', async () => {
    const id = await upload('third.txt', 'third');
    const { sessionId } = await ask({ projectId });
    const knows = async () => (await ask({ sessionId })).titles.includes('third.txt');
    const link = { fileId: id, projectId };
    const mutation = (name: string) =>
      `mutation ($input: ${name[0]?.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { file { databaseId } } }`;
    expect(await knows()).toBe(false);
    await ok(mutation('linkFileToProject'), { input: link });
    expect(await knows()).toBe(true);
    await ok(mutation('unlinkFileFromProject'), { input: link });
    expect(await knows()).toBe(false);
    expect((await api('POST', `/user/projects/${projectId}/files/${id}`)).body).toMatchObject({
      id,
      name: 'third.txt',
    });
    expect(await knows()).toBe(true);
    const unlinked = await api('DELETE', `/user/projects/${projectId}/files/${id}`);
    expect([unlinked.status, unlinked.text]).toEqual([204, '']);
    expect(await knows()).toBe(false);
    const events = await kit.prisma.auditEvent.findMany({ where: { targetId: id }, orderBy: { id: 'asc' } });
    expect(events.map(({ action, detail }) => [action, (detail as { projectId?: number }).projectId])).toEqual([
      ['file.upload', undefined],
      ...['file.link', 'file.unlink', 'file.link', 'file.unlink'].map((action) => [action, projectId]),
    ]);
  });

  it('are all included in the token count, regardless of the requested page', async () => {
    const { project } = await ok(
      `query ($id: ID!) { project(id: $id) { fileTokens files(first: 1) { totalCount nodes { tokenCount } } } }`,
      { id: projectId },
    );
    expect(project).toEqual({ fileTokens: 7, files: { totalCount: 2, nodes: [{ tokenCount: 3 }] } });
    expect((await api('GET', `/user/projects/${projectId}/token-count`)).body).toEqual({ total_tokens: 7 });
  });
});

describe('long files of a project', () => {
  let projectId: number;
  beforeAll(async () => {
    projectId = await newProject('long');
    await upload('birds.md', ['grebe', 'heron', 'shrike'].map(chapter).join('\n\n'), projectId);
  });

  it('are searched for relevant passages, which can be cited', async () => {
    kit.model.script({ text: 'Herons are [1].' });
    const turn = await ask({ projectId, message: 'What is the heron?' });
    expect(turn.passages[0]).toMatchObject({ number: 1, title: 'birds.md' });
    expect(turn.passages[0]?.text).toContain('The heron is heron all over.');
    expect(turn.titles.length).toBeLessThan(4);
    expect(turn.searchQueries).toEqual(['What is the heron?']);
    expect(turn.answer).toMatch(/^Herons are \[\[1\]\]\(\/api\/chat\/file\/[0-9a-f-]+\)\.$/);
    expect((await ask({ projectId, message: 'Zebra?' })).titles).toEqual([]);
  });

  it('are also searched by an agent without search, and when the question allows no action', async () => {
    for (const asking of [{ agentId: plain }, { actionIds: [] }]) {
      const { passages, searchQueries } = await ask({ projectId, message: 'What is the shrike?', ...asking });
      expect(passages[0]?.text).toContain('The shrike is shrike all over.');
      expect(searchQueries).toEqual(['What is the shrike?']);
    }
  });

  it('are the only documents that are searched when the agent or the question does not allow search', async () => {
    await kit.ingest('Public herons', 'The heron is known to everybody.');
    const texts = async (asking: Asking) =>
      (await ask({ projectId, message: 'heron', ...asking })).documents.map(({ title }: { title: string }) => title);
    expect(new Set(await texts({}))).toEqual(new Set(['birds.md', 'Public herons']));
    expect(new Set(await texts({ agentId: plain }))).toEqual(new Set(['birds.md']));
    expect(new Set(await texts({ actionIds: [] }))).toEqual(new Set(['birds.md']));
  });

  it('are not searched in chats outside the project, although a search by the owner finds them', async () => {
    const other = await newProject('outside');
    for (const asking of [{}, { projectId: other }])
      expect((await ask({ message: 'heron', ...asking })).titles).not.toContain('birds.md');
    const { search } = await ok('{ search(query: "heron") { title } }');
    expect(search).toContainEqual({ title: 'birds.md' });
  });

  it('are searched in later questions even if they were attached to an earlier question', async () => {
    const [id] = (
      await ok(`query ($id: ID!) { files(filter: { projectId: $id }) { nodes { databaseId } } }`, { id: projectId })
    ).files.nodes;
    const first = await ask({ projectId, fileIds: [id.databaseId], message: 'grebe' });
    expect(first.titles).toEqual(['birds.md']);
    expect(first.passages[0]?.text).toContain('The grebe is');
    const next = await ask({ sessionId: first.sessionId, message: 'shrike' });
    expect(next.passages[0]?.text).toContain('The shrike is');
    expect(next.passages[0]?.text).not.toContain('The grebe is');
  });
});

it('deleting a project leaves its files and chats to its owner, including those of its tokens', async () => {
  const projectId = await newProject('gone');
  const { secret } = (
    await ok(`mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }`, {
      input: { projectId, name: 'token', role: 'BASIC' },
    })
  ).createProjectToken;
  const [mine, tokens] = [
    await upload('mine.txt', 'A marmot of mine.', projectId),
    await upload('tokens.txt', 'A marmot of the token.', undefined, secret),
  ];
  const chat = await ask({ projectId });
  const tokenChat = await ask({}, secret);
  expect(new Set(tokenChat.titles)).toEqual(new Set(['mine.txt', 'tokens.txt']));
  expect((await api('DELETE', `/user/projects/${projectId}`)).status).toBe(204);
  await sweep(kit);

  for (const id of [mine, tokens]) {
    expect(
      await kit.prisma.file.findUniqueOrThrow({ where: { id }, include: { document: true, projects: true } }),
    ).toMatchObject({
      ownerId: anna.userId,
      status: 'COMPLETED',
      projects: [],
      document: { ownerId: anna.userId, isPublic: false, projectId: null },
    });
    expect((await api('GET', `/chat/file/${id}`)).text).toContain('marmot');
    expect(blobsOf(kit)).toContain(id);
  }
  const { search } = await ok('{ search(query: "marmot") { title } }');
  expect(new Set(search.map(({ title }: { title: string }) => title))).toEqual(new Set(['mine.txt', 'tokens.txt']));
  for (const { sessionId } of [chat, tokenChat]) {
    expect((await api('GET', `/chat/get-chat-session/${sessionId}`)).status).toBe(200);
    // The session is outside projects, and so without their files.
    expect((await ask({ sessionId })).titles).toEqual([]);
  }
  // They can be deleted now.
  for (const id of [mine, tokens])
    expect((await api('DELETE', `/user/projects/file/${id}`)).body).toMatchObject({ has_associations: false });
  await sweep(kit);
  for (const id of [mine, tokens]) expect(blobsOf(kit)).not.toContain(id);
});

it('a file that is uploaded to a project again replaces the earlier file', async () => {
  const projectId = await newProject('Repeated');
  const first = await upload('plan.md', 'The zorilla sleeps at noon.', projectId);
  const second = await upload('plan.md', 'The zorilla sleeps at midnight.', projectId);
  const listed = async () =>
    (await api('GET', `/user/projects/files/${projectId}`)).body.map(({ id }: { id: string }) => id);
  expect(await listed()).toEqual([second]);
  expect(await kit.prisma.file.count({ where: { id: first } })).toBe(0);
  const { documents } = await ask({ projectId, message: 'When does the zorilla sleep?' });
  expect(documents.map(({ documentId }: { documentId: string }) => documentId)).toEqual([second]);

  const other = await kit.createKey('BASIC', { name: 'other' });
  await upload('plan.md', 'Of another user.', undefined, other.secret);
  await upload('plan.md', 'An attachment.');
  expect(await listed()).toEqual([second]);
  await sweep(kit);
  expect(blobsOf(kit)).not.toContain(first);
  const where = { action: 'file.delete', targetId: first };
  expect(await kit.prisma.auditEvent.findMany({ where, select: { actorId: true, detail: true } })).toEqual([
    { actorId: anna.userId, detail: { replacedBy: second } },
  ]);
});

it('a file that cannot be read replaces no earlier file', async () => {
  const projectId = await newProject('Unreadable');
  const first = await upload('plan.json', '{"text": "The numbat sleeps at noon."}', projectId);
  const form = new FormData();
  form.append('files', new Blob(['{']), 'plan.json');
  form.append('project_id', String(projectId));
  const [second] = (await api('POST', '/user/projects/file/upload', form)).body.user_files;
  await kit.booted.background.settled();
  expect(await kit.prisma.file.findUniqueOrThrow({ where: { id: second.id } })).toMatchObject({ status: 'FAILED' });
  const listed = (await api('GET', `/user/projects/files/${projectId}`)).body;
  expect(listed.map(({ id }: { id: string }) => id).sort()).toEqual([first, second.id].sort());
  const { documents } = await ask({ projectId, message: 'When does the numbat sleep?' });
  expect(documents.map(({ documentId }: { documentId: string }) => documentId)).toEqual([first]);
});
