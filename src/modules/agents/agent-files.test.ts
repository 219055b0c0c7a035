import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { png } from '../../../test/multipart.ts';
import { parsePassages } from '../../ai/passages.ts';

interface Person {
  secret: string;
  userId: string;
}

let kit: Kit;
/** The owner of the agents, a person they are shared with, and another person. */
let anna: Person;
let ben: Person;
let cora: Person;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  [anna, ben, cora] = [
    await kit.createKey('BASIC', { name: 'anna' }),
    await kit.createKey('BASIC', { name: 'ben' }),
    await kit.createKey('BASIC', { name: 'cora' }),
  ];
});
afterAll(() => kit?.close());

const upload = (name: string, content: string | Uint8Array<ArrayBuffer>, who = anna) =>
  kit.upload(name, content, { key: who.secret });
const api = (method: string, path: string, who: Person, body?: unknown) =>
  kit.rest(method, `/api${path}`, { key: who.secret, ...(body !== undefined && { body }) });

const createAgent = `mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId files(first: 100) { nodes { databaseId } } } } }`;
const updateAgent = `mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { files(first: 100) { nodes { databaseId } } } } }`;
const filesOf = (agent: { files: { nodes: { databaseId: string }[] } }) =>
  agent.files.nodes.map(({ databaseId }) => databaseId);

async function ok(query: string, variables: object, who: Person) {
  const { data, errors } = await kit.gql(query, variables, who.secret);
  expect(errors).toEqual([]);
  return data;
}
let last = 0;
const make = async (input: object, who = anna): Promise<number> =>
  (await ok(createAgent, { input: { name: `agent ${++last}`, ...input } }, who)).createAgent.agent.databaseId;
const change = async (databaseId: number, input: object, who = anna) =>
  filesOf((await ok(updateAgent, { input: { agent: { id: databaseId }, ...input } }, who)).updateAgent.agent);
const share = (id: number, shares: object[], who = anna) =>
  api('PATCH', `/persona/${id}/share`, who, { user_shares: shares });

const send = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId answer documents { documentId } } }`;
/** Asks an agent and returns the names of the sources that the model received. */
async function ask(agentId: number, who: Person, sessionId?: string) {
  const where = sessionId ? { sessionId } : { newSession: { agentId } };
  const { sendChatMessage: turn } = await ok(send, { input: { message: 'Well?', actionIds: [], ...where } }, who);
  const text = kit.model.requests.at(-1)?.body.messages?.at(-1)?.content as string;
  return { ...turn, titles: parsePassages(text).map(({ title }) => title) };
}

/** A complete agent as REST clients send it. */
const persona = (name: string, more: object = {}) => ({
  name,
  description: '',
  document_set_ids: [],
  tool_ids: [],
  system_prompt: '',
  task_prompt: '',
  datetime_aware: false,
  is_public: false,
  ...more,
});

/** Returns for every path to a file's name, text or bytes whether it is accessible. */
async function roads(id: string, word: string, who: Person) {
  const node = (type: string, key: string | number) => Buffer.from(`${type}:${key}`).toString('base64');
  const document = await kit.prisma.document.findUniqueOrThrow({ where: { fileId: id } });
  const { data } = await kit.gql(
    `query ($id: ID!, $file: ID!, $document: ID!, $word: String!) {
      files(filter: { ids: [$id] }) { totalCount nodes { databaseId } }
      fileNode: node(id: $file) { id }
      documentNode: node(id: $document) { id }
      search(query: $word) { documentId }
    }`,
    { id, file: node('File', id), document: node('Document', document.id), word },
    who.secret,
  );
  const one = await kit.gql(`query ($id: ID!) { file(id: $id) { name } }`, { id }, who.secret);
  const listed = await kit.gql('{ documents(first: 100) { nodes { documentId } } }', {}, who.secret);
  return {
    file: one.data?.file != null,
    files: data.files.totalCount === 1 && data.files.nodes.length === 1,
    fileNode: data.fileNode !== null,
    documentNode: data.documentNode !== null,
    search: data.search.some(({ documentId }: { documentId: string }) => documentId === id),
    documents: (listed.data?.documents?.nodes ?? []).some(
      ({ documentId }: { documentId: string }) => documentId === id,
    ),
    download: (await api('GET', `/chat/file/${id}`, who)).status === 200,
    status: (await api('GET', `/user/projects/file/${id}`, who)).status === 200,
    statuses: (await api('POST', '/user/projects/file/statuses', who, { file_ids: [id] })).body.length === 1,
  };
}
/** `documents` requires a permission that only administrators have. */
const all = {
  ...Object.fromEntries(
    ['file', 'files', 'fileNode', 'documentNode', 'search', 'download', 'status', 'statuses'].map((name) => [
      name,
      true,
    ]),
  ),
  documents: false,
};
const none = Object.fromEntries(Object.keys(all).map((name) => [name, false]));

describe('the files of an agent', () => {
  it('are given to each chat with it, for each of its users, and to no other agent', async () => {
    const id = await upload('guide.md', 'Ask politely.');
    const agent = await make({ fileIds: [id], isPublic: true });
    const other = await make({ isPublic: true });
    for (const who of [anna, ben, { secret: kit.keys.LIMITED, userId: '' }]) {
      const first = await ask(agent, who);
      expect(first.titles).toEqual(['guide.md']);
      expect((await ask(agent, who, first.sessionId)).titles).toEqual(['guide.md']);
      expect((await ask(other, who)).titles).toEqual([]);
    }
  });

  it('can be added and removed over GraphQL and REST', async () => {
    const [one, two] = [await upload('one.txt', 'one'), await upload('two.png', png)];
    const agent = await make({ fileIds: [one] });
    expect(await change(agent, { fileIds: [one, two] })).toEqual([one, two]);
    expect(await change(agent, { description: 'left as they are' })).toEqual([one, two]);
    expect(await change(agent, { fileIds: [] })).toEqual([]);
    const created = await api('POST', '/persona', anna, persona('by REST', { user_file_ids: [one, two] }));
    expect(created.body.user_file_ids).toEqual([one, two]);
    const path = `/persona/${created.body.id}`;
    expect((await api('PATCH', path, anna, persona('by REST', { user_file_ids: [two] }))).body.user_file_ids).toEqual([
      two,
    ]);
    expect((await api('GET', path, anna)).body.user_file_ids).toEqual([two]);
    // Onyx keeps the agent's files when the request body does not contain `user_file_ids`.
    expect((await api('PATCH', path, anna, persona('by REST'))).body.user_file_ids).toEqual([two]);
    expect((await api('PATCH', path, anna, persona('by REST', { user_file_ids: [] }))).body.user_file_ids).toEqual([]);
  });

  it('can be read on every access path by users of the agent, and are denied to other users', async () => {
    const id = await upload('quokka.md', 'The quokka smiles.');
    const agent = await make({ fileIds: [id], userIds: [ben.userId] });
    expect(await roads(id, 'quokka', anna)).toEqual(all);
    expect(await roads(id, 'quokka', ben)).toEqual(all);
    expect(await roads(id, 'quokka', cora)).toEqual(none);
    await change(agent, { fileIds: [] });
    expect(await roads(id, 'quokka', ben)).toEqual(none);
  });
});

describe('adding files to an agent', () => {
  it('rejects missing files and files of another user, and changes no data', async () => {
    const theirs = await upload('theirs.txt', 'theirs', ben);
    const own = await upload('own.txt', 'own');
    const agent = await make({ fileIds: [own] });
    // A file that Anna can read through an agent she can use is still not hers to share.
    await make({ fileIds: [theirs], userIds: [anna.userId] }, ben);
    const before = await kit.fingerprint();
    for (const id of [theirs, '00000000-0000-4000-8000-000000000000']) {
      const refused = {
        code: 'BAD_USER_INPUT',
        fields: [{ path: ['input', 'fileIds'], message: 'contains objects that do not exist' }],
      };
      const created = await kit.gql(createAgent, { input: { name: 'no', fileIds: [own, id] } }, anna.secret);
      expect(created.errors).toMatchObject([{ extensions: refused }]);
      const updated = await kit.gql(updateAgent, { input: { agent: { id: agent }, fileIds: [id] } }, anna.secret);
      expect(updated.errors).toMatchObject([{ extensions: refused }]);
      for (const [method, path] of [
        ['POST', '/persona'],
        ['PATCH', `/persona/${agent}`],
      ] as const) {
        const { status, body } = await api(method, path, anna, persona('no', { user_file_ids: [id] }));
        expect([status, body]).toEqual([400, { detail: 'user_files not found' }]);
      }
    }
    const malformed = await api('POST', '/persona', anna, persona('no', { user_file_ids: ['none'] }));
    expect([malformed.status, malformed.body.detail]).toEqual([400, 'Invalid user_file_ids; must be UUID strings']);
    const many = await kit.gql(createAgent, { input: { name: 'no', fileIds: Array(101).fill(own) } }, anna.secret);
    expect(many.errors).toMatchObject([{ extensions: { fields: [{ path: ['input', 'fileIds'] }] } }]);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('lets an editor keep and remove files of others and add their own', async () => {
    const [annas, bens] = [await upload('annas.txt', 'annas'), await upload('bens.txt', 'bens', ben)];
    const agent = await make({ fileIds: [annas] });
    await share(agent, [
      { user_id: ben.userId, permission: 'EDITOR' },
      { user_id: cora.userId, permission: 'VIEWER' },
    ]);
    expect((await change(agent, { fileIds: [annas, bens] }, ben)).sort()).toEqual([annas, bens].sort());
    expect((await ask(agent, cora)).titles.sort()).toEqual(['annas.txt', 'bens.txt']);
    const before = await kit.fingerprint();
    const viewer = await kit.gql(updateAgent, { input: { agent: { id: agent }, fileIds: [] } }, cora.secret);
    expect(viewer.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    expect(await kit.fingerprint()).toBe(before);
    expect(await change(agent, { fileIds: [bens] }, ben)).toEqual([bens]);
    // Once removed, only its owner can add it again.
    const again = await kit.gql(updateAgent, { input: { agent: { id: agent }, fileIds: [annas] } }, ben.secret);
    expect(again.errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect((await change(agent, { fileIds: [annas, bens] })).sort()).toEqual([annas, bens].sort());
  });
});

describe('the files of an agent that is no longer shared or was deleted', () => {
  it('are removed from every access path and from old answers after unsharing', async () => {
    const id = await upload('okapi.md', 'The okapi hides.');
    const agent = await make({ fileIds: [id], userIds: [ben.userId] });
    kit.model.script({ text: 'It hides [1].' });
    const { sessionId, documents } = await ask(agent, ben);
    expect(documents).toEqual([{ documentId: id }]);
    const session = () => api('GET', `/chat/get-chat-session/${sessionId}`, ben);
    expect((await session()).text).toContain('The okapi hides.');
    await share(agent, []);

    expect(await roads(id, 'okapi', ben)).toEqual(none);
    expect(await roads(id, 'okapi', anna)).toEqual(all);
    const { body, text } = await session();
    expect(text).not.toContain('The okapi hides.');
    expect(body.messages[2]).toMatchObject({
      message: `It hides [[1]](/api/chat/file/${id}).`,
      context_docs: [],
      citations: {},
    });
    const exported = await kit.gql(
      'query ($id: ID!) { exportChatSession(id: $id, format: JSON) { content } }',
      { id: sessionId },
      ben.secret,
    );
    expect(exported.data.exportChatSession.content).toContain('It hides');
    expect(exported.data.exportChatSession.content).not.toContain('okapi.md');
    const next = await kit.gql(send, { input: { message: 'Well?', sessionId } }, ben.secret);
    expect(next.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  });

  it('can be read only by their owner after the agent is deleted', async () => {
    const id = await upload('tapir.md', 'The tapir sleeps.');
    const agent = await make({ fileIds: [id], isPublic: true });
    expect(await roads(id, 'tapir', cora)).toEqual(all);
    await api('DELETE', `/persona/${agent}`, anna);
    expect(await roads(id, 'tapir', cora)).toEqual(none);
    expect(await roads(id, 'tapir', anna)).toEqual(all);
    const { body } = await api('DELETE', `/user/projects/file/${id}`, anna);
    expect(body).toEqual({ has_associations: false, project_names: [], assistant_names: [] });
  });

  it('can still be deleted by a former editor who added them', async () => {
    const id = await upload('given.txt', 'given', ben);
    const agent = await make({});
    await share(agent, [{ user_id: ben.userId, permission: 'EDITOR' }]);
    await change(agent, { fileIds: [id] }, ben);
    const kept = await api('DELETE', `/user/projects/file/${id}`, ben);
    expect(kept.body).toMatchObject({ has_associations: true, assistant_names: [`agent ${last}`] });
    await share(agent, []);
    const gone = await api('DELETE', `/user/projects/file/${id}`, ben);
    expect(gone.body).toEqual({ has_associations: false, project_names: [], assistant_names: [] });
    expect((await ask(agent, anna)).titles).toEqual([]);
  });
});

it('a project token sees no files of an agent', async () => {
  const id = await upload('outer.md', 'The dugong grazes.');
  const agent = await make({ fileIds: [id], isPublic: true });
  const project = await api('POST', '/user/projects/create?name=Inner', anna);
  const { createProjectToken } = await ok(
    `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }`,
    { input: { projectId: project.body.id, name: 'token', role: 'BASIC' } },
    anna,
  );
  const token = { secret: createProjectToken.secret, userId: '' };
  expect(
    (await ok(`query ($id: ID!) { agent(id: $id) { files { totalCount nodes { name } } } }`, { id: agent }, token))
      .agent,
  ).toEqual({
    files: { totalCount: 0, nodes: [] },
  });
  expect((await api('GET', `/persona/${agent}`, token)).body.user_file_ids).toEqual([]);
  expect(await roads(id, 'dugong', token)).toEqual(none);
  expect((await ask(agent, token)).titles).toEqual([]);
});
