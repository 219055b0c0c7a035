import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit, withScopes } from '../../../test/kit.ts';
import { gather } from '../../../test/lines.ts';
import { makeGate } from '../../../test/model-server.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { permissionNames } from '../../rest/permission-names.ts';
import { chatSessionOrders } from '../chat/session-lists.ts';

/** A project with one object of each kind. Each text contains the project's name and occurs only there. */
interface Place {
  name: string;
  projectId: number;
  sessionId: string;
  messageIds: number[];
  documentId: string;
  documentRow: number;
  /** The run of the answer in its session. */
  runId: string;
}

let kit: Kit;
/** Two people; the first has two projects. */
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
/** The project of the token, another project of the same owner, and a project of the other person. */
let home: Place;
let sister: Place;
let foreign: Place;
let token: { secret: string; userId: string };
/** A chat of the owner outside projects, a public chat, and a deleted chat of each. */
let loose: Omit<Place, 'projectId' | 'documentId' | 'documentRow'>;
let shared: Omit<Place, 'projectId' | 'documentId' | 'documentRow'>;
let publicRow: number;

const nowhere = '00000000-0000-4000-8000-000000000000';
const unknown = 999_999;
const globalId = (typename: string, id: string | number) => Buffer.from(`${typename}:${id}`).toString('base64');

const api = (method: string, path: string, body?: unknown, key = token.secret) =>
  kit.rest(method, `/api${path}`, { key, ...(body !== undefined && { body }) });
const gql = (query: string, variables: object = {}, key = token.secret) => kit.gql(query, variables, key);

async function ok(query: string, variables: object, key = token.secret) {
  const { data, errors } = await gql(query, variables, key);
  expect(errors).toEqual([]);
  return data;
}

const sendDocument = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
  sessionId runId userMessageId assistantMessageId answer citations { documentId } documents { documentId } } }`;
const send = async (input: object, key = token.secret) =>
  (await ok(sendDocument, { input: { message: 'zebra', ...input } }, key)).sendChatMessage;

async function chat(name: string, key: string, newSession: object = {}) {
  const turn = await send({ message: `zebra ${name}chat`, newSession: { ...newSession, name: `${name}session` } }, key);
  return {
    name,
    sessionId: turn.sessionId as string,
    runId: turn.runId as string,
    messageIds: [turn.userMessageId, turn.assistantMessageId] as number[],
  };
}

async function place(name: string, key: string): Promise<Place> {
  const { createProject } = await ok(
    `mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { databaseId } } }`,
    { input: { name: `${name}project`, instructions: `${name}instructions` } },
    key,
  );
  const projectId = createProject.project.databaseId;
  const { addProjectDocument } = await ok(
    `mutation ($input: AddProjectDocumentInput!) { addProjectDocument(input: $input) { document { documentId } } }`,
    { input: { projectId, title: `${name}title`, sections: [{ text: `A zebra in ${name}text.` }] } },
    key,
  );
  const { documentId } = addProjectDocument.document;
  const row = await kit.prisma.document.findUniqueOrThrow({ where: { externalId: documentId } });
  return { ...(await chat(name, key, { projectId })), projectId, documentId, documentRow: row.id };
}

async function createToken(projectId: number, key: string, input: object = {}) {
  const { createProjectToken } = await ok(
    `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { databaseId } } }`,
    { input: withScopes({ projectId, name: 'token', role: 'BASIC', ...input }) },
    key,
  );
  const { userId } = await kit.prisma.token.findUniqueOrThrow({
    where: { id: createProjectToken.projectToken.databaseId },
  });
  return { secret: createProjectToken.secret as string, userId };
}

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  await kit.ingest('publictitle', 'A zebra in publictext.');
  publicRow = (await kit.prisma.document.findFirstOrThrow()).id;
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  home = await place('home', anna.secret);
  sister = await place('sister', anna.secret);
  foreign = await place('foreign', ben.secret);
  token = await createToken(home.projectId, anna.secret);
  loose = await chat('loose', anna.secret);
  shared = await chat('shared', ben.secret);
  await api('PATCH', `/chat/chat-session/${shared.sessionId}`, { sharing_status: 'public' }, ben.secret);
  // A private document of the owner and one of an administrator.
  for (const [externalId, userId] of [
    ['annas', anna.userId],
    ['bens', ben.userId],
  ] as const) {
    await kit.ingest(externalId, `A zebra in ${externalId}text.`);
    await kit.prisma.document.update({ where: { externalId }, data: { isPublic: false, ownerId: userId } });
  }
});
afterAll(() => kit?.close());

const outsideSessions = () => [sister, foreign, loose, shared];
const outsideDocuments = () => [sister.documentId, foreign.documentId, 'publictitle', 'annas', 'bens'];
const outsideNames = ['sister', 'foreign', 'loose', 'shared', 'public', 'annas', 'bens'];

/** Expects that a text contains no data from outside the project. */
function expectNothingOfOutside(text: string): void {
  for (const name of outsideNames)
    for (const kind of ['chat', 'session', 'project', 'instructions', 'title', 'text'])
      expect(text).not.toContain(`${name}${kind}`);
  for (const { sessionId } of outsideSessions()) expect(text).not.toContain(sessionId);
  for (const id of [sister.documentId, foreign.documentId]) expect(text).not.toContain(id);
}

/** Returns the parts of a response that do not differ between requests. */
const answerOf = ({ status, data, errors }: { status: number; data: unknown; errors: object[] }) => ({
  status,
  data,
  errors,
});

async function refused<T>(work: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const requests = kit.model.requests.length;
  const answer = await work();
  expect(await kit.fingerprint()).toBe(before);
  expect(kit.model.requests.length).toBe(requests);
  return answer;
}

/** Every operation that names a session, in GraphQL and REST. */
const sessionReads = (id: string): (() => Promise<unknown>)[] => [
  ...['', ', shared: true', ', includeDeleted: true', ', shared: true, includeDeleted: true'].map(
    (how) => async () =>
      answerOf(
        await gql(`query ($id: UUID!) { chatSession(id: $id${how}) { name messages { totalCount nodes { text } } } }`, {
          id,
        }),
      ),
  ),
  ...['', '?is_shared=true', '?include_deleted=true'].map((how) => async () => {
    const { status, body } = await api('GET', `/chat/get-chat-session/${id}${how}`);
    return { status, body };
  }),
  async () => answerOf(await gql(`query ($id: ID!) { node(id: $id) { id } }`, { id: globalId('ChatSession', id) })),
];

const sessionWrites = (sessionId: string): (() => Promise<unknown>)[] => {
  const mutation = (field: string, type: string, input: object, selection: string) => async () =>
    answerOf(await gql(`mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} } }`, { input }));
  const row = (method: string, path: string, body?: object) => async () => {
    const { status, body: reply } = await api(method, path, body);
    return { status, reply };
  };
  return [
    mutation('sendChatMessage', 'SendChatMessageInput', { message: 'zebra', sessionId }, 'answer'),
    mutation('updateChatSession', 'UpdateChatSessionInput', { session: { id: sessionId }, name: 'taken' }, 'name'),
    mutation('updateChatSession', 'UpdateChatSessionInput', { session: { id: sessionId }, sharing: 'PUBLIC' }, 'name'),
    mutation(
      'deleteChatSession',
      'DeleteChatSessionInput',
      { session: { id: sessionId }, hard: true },
      'deletedChatSessionId',
    ),
    mutation('stopChatRun', 'StopChatRunInput', { sessionId }, 'stopped'),
    mutation('moveChatSession', 'MoveChatSessionInput', { sessionId, projectId: home.projectId }, 'sessionId'),
    row('POST', '/chat/send-chat-message', { message: 'zebra', stream: false, chat_session_id: sessionId }),
    row('POST', '/chat/send-chat-message', { message: 'zebra', stream: true, chat_session_id: sessionId }),
    row('POST', `/chat/stop-chat-session/${sessionId}`),
    row('PUT', '/chat/rename-chat-session', { chat_session_id: sessionId, name: 'taken' }),
    row('PUT', '/chat/rename-chat-session', { chat_session_id: sessionId }),
    row('PATCH', `/chat/chat-session/${sessionId}`, { sharing_status: 'public' }),
    row('DELETE', `/chat/delete-chat-session/${sessionId}`),
    row('DELETE', `/chat/delete-chat-session/${sessionId}?hard_delete=true`),
    row('POST', `/user/projects/${home.projectId}/move_chat_session`, { chat_session_id: sessionId }),
    async () =>
      (
        await gather(
          kit.subscribe(
            `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) { __typename } }`,
            { input: { message: 'zebra', sessionId } },
            token.secret,
          ),
        )
      ).map(({ data, errors }) => ({ data, errors })),
  ];
};

const chatRunDocument = `subscription ($runId: ID!) { chatRun(run: { id: $runId }) { __typename
  ... on ChatSearchDocuments { documents { documentId text } }
  ... on ChatAnswerStarted { documents { documentId text } }
  ... on ChatAnswerDelta { text }
  ... on ChatCitation { citation { documentId } } } }`;
const readRun = (runId: string, key = token.secret) => gather(kit.subscribe(chatRunDocument, { runId }, key));

describe('AZR 3: chats outside the project of a project token', () => {
  it('are reported as missing when they are read by ID', async () => {
    const missing = await Promise.all(sessionReads(nowhere).map((read) => read()));
    for (const { sessionId } of outsideSessions())
      expect(await Promise.all(sessionReads(sessionId).map((read) => read()))).toEqual(missing);
    const inside = (await Promise.all(sessionReads(home.sessionId).map((read) => read()))) as { status: number }[];
    expect(JSON.stringify(inside)).toContain('homechat');
  });

  it('resolve to null as nodes, as do their messages', async () => {
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on ChatSession { name } ... on ChatMessage { text } } }`;
    const ids = outsideSessions().flatMap(({ sessionId, messageIds }) => [
      globalId('ChatSession', sessionId),
      ...messageIds.map((id) => globalId('ChatMessage', id)),
    ]);
    expect((await ok(query, { ids })).nodes).toEqual(ids.map(() => null));
    const inside = [globalId('ChatSession', home.sessionId), globalId('ChatMessage', home.messageIds[0] ?? 0)];
    expect((await ok(query, { ids: inside })).nodes).toMatchObject([
      { name: 'homesession' },
      { text: 'zebra homechat' },
    ]);
  });

  it('do not appear in lists, counts and searches', async () => {
    const list = `query ($projectId: ID, $outsideProjects: Boolean) {
      chatSessions(filter: { projectId: $projectId, outsideProjects: $outsideProjects, includeFailed: true }) { totalCount nodes { databaseId } } }`;
    const only = { totalCount: 1, nodes: [{ databaseId: home.sessionId }] };
    for (const variables of [{}, { projectId: home.projectId }, { outsideProjects: true }])
      expect((await ok(list, variables)).chatSessions).toEqual(only);
    for (const projectId of [sister.projectId, foreign.projectId, unknown])
      expect((await ok(list, { projectId })).chatSessions).toEqual({ totalCount: 0, nodes: [] });
    const search = `query ($query: String) { chatSessions(filter: { search: $query }) { pageInfo { hasNextPage } nodes { databaseId } } }`;
    for (const query of [null, 'zebra', 'home'])
      expect((await ok(search, { query })).chatSessions.nodes).toEqual([{ databaseId: home.sessionId }]);
    for (const query of ['sister', 'foreignchat', 'loose', 'shared'])
      expect((await ok(search, { query })).chatSessions).toEqual({ pageInfo: { hasNextPage: false }, nodes: [] });
    for (const path of [
      '/chat/get-user-chat-sessions',
      '/chat/get-user-chat-sessions?only_non_project_chats=false&include_failed_chats=true',
      '/chat/search',
      '/chat/search?query=zebra',
    ]) {
      const { text } = await api('GET', path);
      expectNothingOfOutside(text);
      expect(text).toContain(home.sessionId);
    }
    for (const projectId of [sister.projectId, foreign.projectId])
      expect((await api('GET', `/chat/get-user-chat-sessions?project_id=${projectId}`)).body.sessions).toEqual([]);
  });

  it('cannot be written to, renamed, shared, moved, stopped or deleted, and are reported as missing', async () => {
    const attempt = async (id: string) => {
      const answers = [];
      for (const write of sessionWrites(id)) answers.push(await refused(write));
      return answers;
    };
    const missing = await attempt(nowhere);
    for (const { sessionId } of outsideSessions()) expect(await attempt(sessionId)).toEqual(missing);
  });

  it('have runs that are reported as missing to the token', async () => {
    const missing = await readRun(nowhere);
    expect(missing[0].errors[0].extensions.code).toBe('NOT_FOUND');
    for (const { runId } of outsideSessions()) expect(await readRun(runId)).toEqual(missing);
    expect(JSON.stringify(await readRun(home.runId))).toContain('homechat');
    // Only the owner can read the runs of the project's tokens.
    const own = await chat('home', token.secret);
    expect(JSON.stringify(await readRun(own.runId, anna.secret))).toContain('homechat');
    for (const key of [ben.secret, kit.keys.ADMIN]) expect(await readRun(own.runId, key)).toEqual(missing);
    await kit.prisma.chatSession.delete({ where: { id: own.sessionId } });
  });

  it('are not deleted when the token deletes all of its chats', async () => {
    const own = await chat('home', token.secret);
    const { deleteAllChatSessions } = await ok(`mutation { deleteAllChatSessions { deletedCount } }`, {});
    expect(deleteAllChatSessions).toEqual({ deletedCount: 1 });
    expect((await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: own.sessionId } })).deletedAt).not.toBeNull();
    for (const { sessionId } of [home, ...outsideSessions()])
      expect((await kit.prisma.chatSession.findUniqueOrThrow({ where: { id: sessionId } })).deletedAt).toBeNull();
    await kit.prisma.chatSession.delete({ where: { id: own.sessionId } });
  });

  it('cannot be created by the token, and chats of the project cannot be moved out of it', async () => {
    const create = `mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { sessionId } }`;
    const made: string[] = [];
    for (const input of [{}, { projectId: null }, { projectId: home.projectId }])
      made.push((await ok(create, { input })).createChatSession.sessionId);
    made.push((await send({})).sessionId, (await send({ newSession: { projectId: home.projectId } })).sessionId);
    made.push((await api('POST', '/chat/create-chat-session', {})).body.chat_session_id);
    const rows = await kit.prisma.chatSession.findMany({ where: { id: { in: made } } });
    expect(rows.map(({ projectId }) => projectId)).toEqual(made.map(() => home.projectId));

    const [own = ''] = made;
    const tries = (projectId: number): (() => Promise<unknown>)[] => [
      async () => answerOf(await gql(create, { input: { projectId } })),
      async () => answerOf(await gql(sendDocument, { input: { message: 'x', newSession: { projectId } } })),
      async () => (await api('POST', '/chat/create-chat-session', { project_id: projectId })).text,
      async () =>
        (
          await api('POST', '/chat/send-chat-message', {
            message: 'x',
            stream: false,
            chat_session_info: { project_id: projectId },
          })
        ).text,
      async () => (await api('POST', `/user/projects/${projectId}/move_chat_session`, { chat_session_id: own })).text,
      async () =>
        answerOf(
          await gql(`mutation ($input: MoveChatSessionInput!) { moveChatSession(input: $input) { sessionId } }`, {
            input: { sessionId: own, projectId },
          }),
        ),
    ];
    const missing = [];
    for (const attempt of tries(unknown)) missing.push(await refused(attempt));
    for (const { projectId } of [sister, foreign])
      for (const [index, attempt] of tries(projectId).entries()) expect(await refused(attempt)).toEqual(missing[index]);

    const out = await refused(() =>
      gql(`mutation ($input: MoveChatSessionInput!) { moveChatSession(input: $input) { sessionId } }`, {
        input: { sessionId: own, clear: ['PROJECT_ID'] },
      }),
    );
    expect(out.errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect(
      (await refused(() => api('POST', '/user/projects/remove_chat_session', { chat_session_id: own }))).status,
    ).toBe(403);
    expect(
      (await api('POST', `/user/projects/${home.projectId}/move_chat_session`, { chat_session_id: own })).status,
    ).toBe(204);
    await kit.prisma.chatSession.deleteMany({ where: { id: { in: made } } });
  });
});

describe('AZR 3: projects other than the project of a project token', () => {
  const roads = (id: number): (() => Promise<unknown>)[] => [
    async () => answerOf(await gql(`query ($id: ID!) { project(id: $id) { name instructions } }`, { id })),
    async () => answerOf(await gql(`query ($id: ID!) { node(id: $id) { id } }`, { id: globalId('Project', id) })),
    async () =>
      answerOf(
        await gql(
          `mutation ($id: ID!) { updateProject(input: { id: $id, instructions: "mine" }) { project { name } } }`,
          { id },
        ),
      ),
    async () =>
      answerOf(await gql(`mutation ($id: ID!) { deleteProject(input: { id: $id }) { deletedProjectId } }`, { id })),
    async () =>
      answerOf(
        await gql(
          `mutation ($id: ID!) { addProjectDocument(input: { projectId: $id, title: "x", sections: [{ text: "x" }] }) { document { id } } }`,
          { id },
        ),
      ),
    ...(
      [
        ['GET', ''],
        ['PATCH', '', { name: 'mine' }],
        ['DELETE', ''],
        ['GET', '/instructions'],
        ['POST', '/instructions', { instructions: 'mine' }],
      ] as const
    ).map(([method, path, body]) => async () => {
      const { status, text } = await api(method, `/user/projects/${id}${path}`, body);
      return { status, text };
    }),
  ];

  it('are reported as missing in GraphQL and REST', async () => {
    const missing = [];
    for (const road of roads(unknown)) missing.push(await refused(road));
    for (const { projectId } of [sister, foreign])
      for (const [index, road] of roads(projectId).entries()) expect(await refused(road)).toEqual(missing[index]);
  });

  it('do not appear in lists and counts; the token can list, read and change its project', async () => {
    const { projects } = await ok(
      `{ projects { totalCount nodes { databaseId instructions owner { name email } chatSessions { totalCount nodes { databaseId } }
        documents { totalCount nodes { documentId } } } } }`,
      {},
    );
    expect(projects).toEqual({
      totalCount: 1,
      nodes: [
        {
          databaseId: home.projectId,
          instructions: 'homeinstructions',
          owner: { name: 'anna', email: null },
          chatSessions: { totalCount: 1, nodes: [{ databaseId: home.sessionId }] },
          documents: { totalCount: 1, nodes: [{ documentId: home.documentId }] },
        },
      ],
    });
    const listed = await api('GET', '/user/projects');
    expectNothingOfOutside(listed.text);
    expect(listed.body).toMatchObject([{ id: home.projectId, chat_sessions: [{ id: home.sessionId }] }]);
    expect((await api('PATCH', `/user/projects/${home.projectId}`, { description: 'new' })).body.description).toBe(
      'new',
    );
    expect(
      (await api('POST', `/user/projects/${home.projectId}/instructions`, { instructions: 'homeinstructions' })).body,
    ).toEqual({ instructions: 'homeinstructions' });
  });

  it('cannot be created by the token, which cannot delete its project either', async () => {
    const { errors } = await refused(() =>
      gql(`mutation { createProject(input: { name: "x" }) { project { name } } }`),
    );
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await refused(() => api('POST', '/user/projects/create?name=x'))).status).toBe(403);
    const own = await refused(() =>
      gql(`mutation ($id: ID!) { deleteProject(input: { id: $id }) { deletedProjectId } }`, {
        id: home.projectId,
      }),
    );
    expect(own.errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await refused(() => api('DELETE', `/user/projects/${home.projectId}`))).status).toBe(403);
  });

  it('are not named in a shared chat of another user', async () => {
    const key = kit.keys.BASIC;
    const query = `query ($id: ID!) { chatSession(id: $id, shared: true) { name project { name } } }`;
    await kit.prisma.chatSession.update({ where: { id: sister.sessionId }, data: { sharing: 'PUBLIC' } });
    expect((await ok(query, { id: sister.sessionId }, key)).chatSession).toEqual({
      name: 'sistersession',
      project: null,
    });
    expect((await ok(query, { id: sister.sessionId }, anna.secret)).chatSession.project).toEqual({
      name: 'sisterproject',
    });
    expect((await gql(query, { id: sister.sessionId })).errors[0]?.extensions.code).toBe('NOT_FOUND');
    await kit.prisma.chatSession.update({ where: { id: sister.sessionId }, data: { sharing: 'PRIVATE' } });
  });
});

describe('AZR 3: documents outside the project of a project token', () => {
  it('are not found by a search, even with an agent that knows them', async () => {
    const search = `query ($query: String!, $agent: AgentLocatorInput) { search(query: $query, agent: $agent) { documentId } }`;
    for (const agent of [null, { id: 0 }])
      expect((await ok(search, { query: 'zebra', agent })).search).toEqual([{ documentId: home.documentId }]);
    for (const query of ['sistertext', 'foreigntext', 'publictext', 'annastext', 'benstext'])
      expect((await ok(search, { query })).search).toEqual([]);
  });

  it('resolve to null as nodes, and are reported as missing when they are removed or replaced', async () => {
    const rows = [sister.documentRow, foreign.documentRow, publicRow];
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Document { title } } }`;
    expect((await ok(query, { ids: rows.map((id) => globalId('Document', id)) })).nodes).toEqual([null, null, null]);
    expect((await ok(query, { ids: [globalId('Document', home.documentRow)] })).nodes).toMatchObject([
      { title: 'hometitle' },
    ]);
    for (const documentId of [...outsideDocuments(), nowhere]) {
      const removed = await refused(() =>
        gql(
          `mutation ($documentId: ID!) { removeProjectDocument(input: { documentId: $documentId }) { deletedDocumentId } }`,
          { documentId },
        ),
      );
      expect(removed.errors).toMatchObject([{ message: 'Document not found', extensions: { code: 'NOT_FOUND' } }]);
      const replaced = await refused(() =>
        gql(
          `mutation ($documentId: ID!) { addProjectDocument(input: { documentId: $documentId, title: "x", sections: [{ text: "x" }] }) { document { id } } }`,
          { documentId },
        ),
      );
      expect(replaced.errors).toMatchObject([{ message: 'Document not found', extensions: { code: 'NOT_FOUND' } }]);
    }
  });

  it('reach neither the model nor the answer in a turn of the token, regardless of the agent', async () => {
    const wide = await kit.prisma.agent.create({
      data: {
        name: 'wide',
        isPublic: true,
        knowledge: 'ATTACHED',
        documents: { connect: { externalId: 'publictitle' } },
        actions: { connect: { builtinKey: 'SearchTool' } },
      },
    });
    for (const agentId of [0, wide.id]) {
      kit.model.script({ text: 'Seen [1] and [2] and [3].' });
      const turn = await send({ newSession: { agentId } });
      expect(turn.documents).toEqual([{ documentId: home.documentId }]);
      expect(turn.citations).toEqual([{ documentId: home.documentId }]);
      const sent = JSON.stringify(kit.model.requests.at(-1)?.body.messages);
      expect(sent).toContain('hometext');
      expect(sent).toContain('homeinstructions');
      expectNothingOfOutside(sent);
      await kit.prisma.chatSession.delete({ where: { id: turn.sessionId } });
    }
    // In the same project, the owner can read everything except the other project.
    const turn = await send({ newSession: { projectId: home.projectId } }, anna.secret);
    expect(turn.documents.map(({ documentId }: { documentId: string }) => documentId).sort()).toEqual(
      [home.documentId, 'publictitle', 'annas'].sort(),
    );
    await kit.prisma.chatSession.delete({ where: { id: turn.sessionId } });
  });

  it('are hidden from the token in answers to its owner: in messages, in nodes and in the run', async () => {
    kit.model.script({ text: 'Seen [1] and [2] and [3].' });
    const turn = await send({ newSession: { projectId: home.projectId, name: 'homeanswer' } }, anna.secret);
    expect(turn.citations).toHaveLength(3);
    const only = [{ documentId: home.documentId }];
    const fields = 'citations { documentId } documents { documentId }';
    const read = async (key: string) => {
      const { chatSession } = await ok(
        `query ($id: ID!) { chatSession(id: $id) { messages { nodes { databaseId ${fields} } } } }`,
        { id: turn.sessionId },
        key,
      );
      const { node } = await ok(
        `query ($id: ID!) { node(id: $id) { ... on ChatMessage { databaseId ${fields} } } }`,
        { id: globalId('ChatMessage', turn.assistantMessageId) },
        key,
      );
      const rest = await api('GET', `/chat/get-chat-session/${turn.sessionId}`, undefined, key);
      return { message: chatSession.messages.nodes.at(-1), node, rest: rest.body.messages.at(-1) };
    };
    const [tokens, owners] = [await read(token.secret), await read(anna.secret)];
    for (const message of [tokens.message, tokens.node])
      expect(message).toMatchObject({ citations: only, documents: only });
    for (const message of [owners.message, owners.node]) {
      expect(message.citations).toHaveLength(3);
      expect(message.documents).toHaveLength(3);
    }
    expect(tokens.rest.context_docs).toMatchObject([{ document_id: home.documentId }]);
    expect(Object.values(tokens.rest.citations)).toEqual([home.documentId]);
    expect(owners.rest.context_docs).toHaveLength(3);

    const events = (await readRun(turn.runId)).map(({ data }) => data.chatRun);
    const of = (type: string) => events.filter(({ __typename }) => __typename === type);
    for (const type of ['ChatSearchDocuments', 'ChatAnswerStarted'])
      expect(of(type)).toMatchObject([{ documents: only }]);
    expect(of('ChatCitation')).toEqual([{ __typename: 'ChatCitation', citation: { documentId: home.documentId } }]);
    const all = (await readRun(turn.runId, anna.secret)).map(({ data }) => data.chatRun);
    expect(all.filter(({ __typename }) => __typename === 'ChatCitation')).toHaveLength(3);

    // When a document leaves the project, it is no longer shown in the token's own answers either.
    kit.model.script({ text: 'Seen [1].' });
    const own = await send({});
    const mine = `query ($id: ID!) { chatSession(id: $id) { messages { nodes { ${fields} } } } }`;
    const last = async () => (await ok(mine, { id: own.sessionId })).chatSession.messages.nodes.at(-1);
    expect(await last()).toMatchObject({ citations: only, documents: only });
    await kit.prisma.document.update({ where: { id: home.documentRow }, data: { projectId: null } });
    expect(await last()).toEqual({ citations: [], documents: [] });
    await kit.prisma.document.update({ where: { id: home.documentRow }, data: { projectId: home.projectId } });
    await kit.prisma.chatSession.deleteMany({ where: { id: { in: [turn.sessionId, own.sessionId] } } });
  });

  it('are not quoted by the built-in model', async () => {
    const quoting = await startKit();
    try {
      await quoting.prisma.document.deleteMany();
      await quoting.ingest('outside', 'Otters sleep in the publictext.');
      const { secret } = await quoting.createKey('BASIC');
      const id = (await quoting.rest('POST', '/api/user/projects/create?name=zoo', { key: secret })).body.id;
      const made = await quoting.gql(
        `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }`,
        { input: { projectId: id, name: 'token', role: 'LIMITED' } },
        secret,
      );
      const key = made.data.createProjectToken.secret;
      const ask = async () =>
        (
          await quoting.rest('POST', '/api/chat/send-chat-message', {
            key,
            body: { message: 'Where do otters sleep?', stream: false },
          })
        ).body;
      const nothing = await ask();
      expect([nothing.top_documents, nothing.citation_info]).toEqual([[], []]);
      expect(nothing.answer).not.toContain('publictext');
      const { data } = await quoting.gql(
        `mutation ($id: ID!) { addProjectDocument(input: { projectId: $id, title: "Otters", sections: [{ text: "Otters sleep in the zoo." }] }) { document { documentId } } }`,
        { id },
        secret,
      );
      const found = await ask();
      expect(found.answer).toContain('Otters sleep in the zoo.');
      expect(found.citation_info).toMatchObject([{ document_id: data.addProjectDocument.document.documentId }]);
    } finally {
      await quoting.close();
    }
  });
});

describe('AZR 3: a project token without read:chat', () => {
  it.each([
    ['LIMITED', { role: 'LIMITED' }],
    ['scoped', { scopes: ['write:chat', 'manage:chat', 'write:projects'] }],
  ])('%s: cannot read the history, and cannot continue a chat of another user in the project', async (_name, grant) => {
    const { secret, userId } = await createToken(home.projectId, anna.secret, grant);
    for (const query of [
      '{ chatSessions { totalCount } }',
      '{ chatSessions(filter: { search: "home" }) { totalCount } }',
      `{ chatSession(id: "${home.sessionId}") { name } }`,
      `{ node(id: "${globalId('ChatSession', home.sessionId)}") { id } }`,
      `{ node(id: "${globalId('ChatMessage', home.messageIds[0] ?? 0)}") { id } }`,
    ])
      expect((await refused(() => gql(query, {}, secret))).errors[0]?.extensions).toMatchObject({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['read:chat'],
      });
    const run = await readRun(home.runId, secret);
    expect(run[0].errors[0].extensions.code).toBe('FORBIDDEN');
    for (const path of ['get-user-chat-sessions', `get-chat-session/${home.sessionId}`, 'search'])
      expect((await refused(() => api('GET', `/chat/${path}`, undefined, secret))).status).toBe(403);
    const missing = await refused(() => gql(sendDocument, { input: { message: 'x', sessionId: nowhere } }, secret));
    const others = await refused(() =>
      gql(sendDocument, { input: { message: 'x', sessionId: home.sessionId } }, secret),
    );
    expect(answerOf(others)).toEqual(answerOf(missing));
    expect(others.errors[0]?.extensions.code).toBe('NOT_FOUND');
    const rows = await api('GET', '/user/projects', undefined, secret);
    expect(rows.text).not.toContain(home.sessionId);

    const own = await send({ message: 'first zebra' }, secret);
    const more = await send({ message: 'second zebra', sessionId: own.sessionId }, secret);
    expect(more.sessionId).toBe(own.sessionId);
    const sent = JSON.stringify(kit.model.requests.at(-1)?.body.messages);
    expect(sent).toContain('first zebra');
    expect(sent).not.toContain('homechat');
    await kit.prisma.chatSession.deleteMany({ where: { userId } });
  });
});

describe('AZR 3: the chats of a project', () => {
  it('can be read and continued only by its owner and its tokens', async () => {
    const mate = await createToken(home.projectId, anna.secret);
    const { sessionId } = await chat('home', mate.secret);
    const read = (key: string) => gql(`query ($id: ID!) { chatSession(id: $id) { name } }`, { id: sessionId }, key);
    for (const key of [anna.secret, token.secret, mate.secret])
      expect((await read(key)).data.chatSession).toEqual({ name: 'homesession' });
    for (const key of [ben.secret, kit.keys.ADMIN])
      expect((await read(key)).errors[0]?.extensions.code).toBe('NOT_FOUND');
    await send({ message: 'another word', sessionId }, anna.secret);
    await send({ message: 'zebra', sessionId });
    expect(JSON.stringify(kit.model.requests.at(-1)?.body.messages)).toContain('another word');

    // The owner's plain list contains the owner's chats, the list of the project all chats in it.
    const list = async (filter: string) =>
      (await ok(`{ chatSessions${filter} { nodes { databaseId } } }`, {}, anna.secret)).chatSessions.nodes.map(
        ({ databaseId }: { databaseId: string }) => databaseId,
      );
    expect((await list('')).sort()).toEqual([home, sister, loose].map((each) => each.sessionId).sort());
    expect((await list(`(filter: { projectId: ${home.projectId} })`)).sort()).toEqual(
      [home.sessionId, sessionId].sort(),
    );
    expect(await list('(filter: { outsideProjects: true })')).toEqual([loose.sessionId]);
    const { sessions } = (
      await api('GET', `/chat/get-user-chat-sessions?project_id=${home.projectId}`, undefined, anna.secret)
    ).body;
    expect(sessions).toHaveLength(2);
    await kit.prisma.chatSession.delete({ where: { id: sessionId } });
  });

  it('are found by a search exactly as visible.chatSessions allows', async () => {
    const mate = await createToken(home.projectId, anna.secret);
    const limited = await createToken(home.projectId, anna.secret, { role: 'LIMITED' });
    const hidden = await chat('home', mate.secret);
    await kit.prisma.chatSession.update({ where: { id: hidden.sessionId }, data: { deletedAt: new Date() } });
    const made = [await chat('home', mate.secret), await chat('home', limited.secret), hidden];
    const scoped = await kit.createPat(anna.secret, { scopes: ['write:chat'] });
    const { services } = kit.booted;
    const secrets = [anna, ben, token, mate, limited, scoped, { secret: kit.keys.ADMIN }].map(({ secret }) => secret);
    const sizes = new Set<number>();
    for (const secret of secrets) {
      const principal = (await services.credentials.inspect(secret)) as Principal;
      const rows = await kit.prisma.chatSession.findMany({ where: visible.chatSessions(principal) });
      // One per page: a page with fewer items than requested would reveal that something was filtered out.
      const found: string[] = [];
      for (let more = true; more; ) {
        const order = chatSessionOrders.default;
        const args = { first: 1, offset: found.length };
        const request = { order, args, limit: 1, query: {} };
        const page = await services.chat.list(principal, { search: 'zebra', includeFailed: true }, request);
        found.push(...(page.hasMore ? [page.rows[0]?.id ?? 'hidden'] : page.rows.map(({ id }) => id)));
        more = page.hasMore;
      }
      expect(found.sort()).toEqual(rows.map(({ id }) => id).sort());
      sizes.add(rows.length);
    }
    expect(sizes.size).toBeGreaterThan(3);
    await kit.prisma.chatSession.deleteMany({ where: { id: { in: made.map(({ sessionId }) => sessionId) } } });
  });
});

describe('AZR 3: the permissions of a project token', () => {
  const permissions = async (key: string) =>
    permissionNames((await ok('{ viewer { permissions } }', {}, key)).viewer.permissions);

  it('shrink immediately with its owner’s role', async () => {
    const owner = await kit.createKey('BASIC', { name: 'owner' });
    const there = await place('demoted', owner.secret);
    const { secret } = await createToken(there.projectId, owner.secret);
    expect(await permissions(secret)).toContain('read:chat');
    await ok(
      `mutation ($id: ID!) { updateApiKey(input: { id: $id, role: LIMITED }) { apiKey { role } } }`,
      { id: owner.id },
      kit.keys.ADMIN,
    );
    expect((await permissions(secret)).sort()).toEqual(['read:agents', 'write:chat']);
    expect((await gql('{ chatSessions { totalCount } }', {}, secret)).errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await api('GET', '/user/projects', undefined, secret)).status).toBe(403);
    expect(
      (await gql(sendDocument, { input: { message: 'x', sessionId: there.sessionId } }, secret)).errors[0]?.extensions
        .code,
    ).toBe('NOT_FOUND');
  });

  it('end when its owner is deactivated', async () => {
    const person = await kit.person();
    const there = await place('deactivated', person.session);
    const { secret } = await createToken(there.projectId, person.session);
    expect(await permissions(secret)).toContain('read:chat');
    await ok(
      `mutation ($input: DeactivateUserInput!) { deactivateUser(input: $input) { user { id: databaseId } } }`,
      { input: { user: { id: person.userId } } },
      kit.keys.ADMIN,
    );
    expect((await gql('{ viewer { role } }', {}, secret)).errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await api('GET', '/user/projects', undefined, secret)).status).toBe(403);
  });

  it('end when its project is deleted; open streams are closed, and the owner keeps the messages', async () => {
    const owner = await kit.createKey('BASIC', { name: 'owner' });
    const there = await place('deleted', owner.secret);
    const { secret } = await createToken(there.projectId, owner.secret);
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const stream = kit.subscribe(
      `subscription { chatTurn(input: { message: "zebra" }) { __typename
        ... on ChatMessageIds { sessionId } ... on ChatAnswerDelta { text } } }`,
      {},
      secret,
    );
    gate.release();
    const before = await gather(stream, ({ data }) => data?.chatTurn.__typename === 'ChatAnswerDelta');
    const { sessionId } = before.map(({ data }) => data.chatTurn).find((event) => event.sessionId);
    const aborted = kit.model.nextAbort();
    expect((await api('DELETE', `/user/projects/${there.projectId}`, undefined, owner.secret)).status).toBe(204);
    const rest = await gather(stream);
    expect(rest.at(-1).errors[0].extensions.code).toBe('UNAUTHENTICATED');
    await aborted;
    await kit.booted.background.settled();
    expect((await gql('{ viewer { role } }', {}, secret)).errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await api('GET', `/user/projects/${there.projectId}`, undefined, secret)).status).toBe(403);
    const { chatSession } = await ok(
      `query ($id: ID!) { chatSession(id: $id) { project { name } messages { nodes { text status } } } }`,
      { id: sessionId },
      owner.secret,
    );
    expect(chatSession.project).toBeNull();
    expect(chatSession.messages.nodes.at(-1)).toEqual({ text: 'One ', status: 'STOPPED' });
  });
});

it('AZR 3: an administrator cannot list, find or remove private documents of another user’s project', async () => {
  const key = kit.keys.ADMIN;
  const { documents } = await ok('{ documents(first: 100) { totalCount nodes { documentId } } }', {}, key);
  const ids = documents.nodes.map(({ documentId }: { documentId: string }) => documentId);
  expect(ids).toEqual(expect.arrayContaining(['publictitle', 'annas', 'bens']));
  for (const { documentId, documentRow } of [home, sister, foreign]) {
    expect(ids).not.toContain(documentId);
    expect(
      (await ok(`query ($id: ID!) { node(id: $id) { id } }`, { id: globalId('Document', documentRow) }, key)).node,
    ).toBeNull();
    const remove = (id: string) =>
      refused(() =>
        gql(`mutation ($id: ID!) { deleteDocument(input: { documentId: $id }) { deletedDocumentId } }`, { id }, key),
      );
    expect(answerOf(await remove(documentId))).toEqual(answerOf(await remove(randomUUID())));
  }
  expect(documents.totalCount).toBe(ids.length);
});
