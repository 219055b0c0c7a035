import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit, withScopes } from '../../../test/kit.ts';

let kit: Kit;
let key: string;
let userId: string;
let other: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  other = (await kit.createKey('BASIC', { name: 'other' })).secret;
});
afterAll(() => kit?.close());

const fresh = async () => {
  ({ secret: key, userId } = await kit.createKey('BASIC', { name: 'owner' }));
};

const rest = (method: string, path: string, body?: object, as = key) =>
  kit.rest(method, `/api/user/projects${path}`, { key: as, ...(body && { body }) });

async function createProject(name: string, as = key): Promise<number> {
  const { body, status } = await rest('POST', `/create?name=${encodeURIComponent(name)}`, undefined, as);
  expect(status).toBe(200);
  return body.id;
}

async function createToken(projectId: number, input: object = {}, as = key) {
  const { data, errors } = await kit.gql(
    `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { databaseId } } }`,
    { input: withScopes({ projectId, name: 'token', role: 'BASIC', ...input }) },
    as,
  );
  expect(errors).toEqual([]);
  const { secret, projectToken } = data.createProjectToken;
  const token = await kit.prisma.token.findUniqueOrThrow({ where: { id: projectToken.databaseId } });
  return { secret: secret as string, id: token.id, userId: token.userId };
}

async function createSession(project_id: number | null, as = key): Promise<string> {
  const { body, status } = await kit.rest('POST', '/api/chat/create-chat-session', {
    key: as,
    body: { project_id, description: 'a chat' },
  });
  expect(status).toBe(200);
  return body.chat_session_id;
}

async function addDocument(projectId: number | null, title: string, as = key): Promise<string> {
  const { data, errors } = await kit.gql(
    `mutation ($input: AddProjectDocumentInput!) { addProjectDocument(input: $input) { document { documentId isPublic } } }`,
    { input: { ...(projectId !== null && { projectId }), title, sections: [{ text: `The ${title} is a zebra.` }] } },
    as,
  );
  expect(errors).toEqual([]);
  expect(data.addProjectDocument.document.isPublic).toBe(false);
  return data.addProjectDocument.document.documentId;
}

const unknown = 999_999;
const nowhere = '00000000-0000-4000-8000-000000000000';

/** Expects that an operation is denied and changes no data. */
async function refused<T>(work: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const answer = await work();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

describe('a project over REST', () => {
  it('is created, read, changed, listed and deleted in the format of the contract, newest first', async () => {
    await fresh();
    const made = await rest('POST', '/create?name=%20Zoo%20');
    const id = made.body.id;
    const project = { id, name: 'Zoo', description: null, user_id: userId, instructions: null, chat_sessions: [] };
    expect(made).toMatchObject({ status: 200, body: project });
    expect(made.body.created_at).toBe(new Date(made.body.created_at).toISOString());
    const second = await createProject('Second');
    for (const path of ['', '/'])
      expect((await rest('GET', path)).body.map((each: { id: number }) => each.id)).toEqual([second, id]);
    expect((await kit.rest('GET', `/user/projects/${id}`, { key })).body).toEqual(made.body);

    const session = await createSession(id);
    expect((await rest('GET', `/${id}`)).body.chat_sessions).toMatchObject([
      { id: session, name: 'a chat', persona_id: 0, shared_status: 'private' },
    ]);
    const patched = await rest('PATCH', `/${id}`, { description: 'Animals', name: null });
    expect(patched).toMatchObject({ status: 200, body: { name: 'Zoo', description: 'Animals' } });
    expect((await rest('PATCH', `/${id}`, { name: 'Park', description: null })).body).toMatchObject({
      name: 'Park',
      description: 'Animals',
    });

    expect((await rest('GET', `/${id}/instructions`)).body).toEqual({ instructions: null });
    expect(await rest('POST', `/${id}/instructions`, { instructions: 'Be brief.' })).toMatchObject({
      status: 200,
      body: { instructions: 'Be brief.' },
    });
    expect((await rest('GET', `/${id}/instructions`)).body).toEqual({ instructions: 'Be brief.' });

    const gone = await rest('DELETE', `/${id}`);
    expect([gone.status, gone.text]).toEqual([204, '']);
    expect((await rest('GET', `/${id}`)).status).toBe(404);
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key });
    expect(body.chat_session_id).toBe(session);
  });

  it('requires a valid name, and limits the length of its description and instructions', async () => {
    await fresh();
    const bad = (name: string) => refused(() => rest('POST', `/create?name=${encodeURIComponent(name)}`));
    for (const name of ['', '  '])
      expect(await bad(name)).toMatchObject({ status: 400, body: { detail: 'Project name cannot be empty' } });
    expect(await bad('x'.repeat(101))).toMatchObject({ status: 400, body: { error_code: 'INVALID_INPUT' } });
    expect((await bad('x\0')).status).toBe(400);
    expect((await refused(() => rest('POST', '/create'))).status).toBe(422);
    const id = await createProject('x'.repeat(100));
    expect((await refused(() => rest('PATCH', `/${id}`, { name: ' ' }))).status).toBe(400);
    expect((await refused(() => rest('PATCH', `/${id}`, { description: 'x'.repeat(2001) }))).status).toBe(400);
    expect(
      (await refused(() => rest('POST', `/${id}/instructions`, { instructions: 'x'.repeat(20_001) }))).status,
    ).toBe(400);
    expect((await rest('POST', `/${id}/instructions`, { instructions: 'x'.repeat(20_000) })).status).toBe(200);
  });

  it('accepts chats that are moved into it, and releases them again', async () => {
    await fresh();
    const [one, two] = [await createProject('One'), await createProject('Two')];
    const [loose, inOne] = [await createSession(null), await createSession(one)];
    const listed = async (query: string) =>
      (await kit.rest('GET', `/api/chat/get-user-chat-sessions${query}`, { key })).body.sessions
        .map(({ id }: { id: string }) => id)
        .sort();
    expect(await listed('')).toEqual([loose]);
    expect(await listed('?only_non_project_chats=false')).toEqual([loose, inOne].sort());
    expect(await listed(`?project_id=${one}`)).toEqual([inOne]);
    expect(await listed(`?project_id=${one}&only_non_project_chats=true`)).toEqual([inOne]);
    expect(await listed(`?project_id=${unknown}`)).toEqual([]);

    const move = (id: number, chat_session_id: string, as = key) =>
      rest('POST', `/${id}/move_chat_session`, { chat_session_id }, as);
    const remove = (chat_session_id: string, as = key) => rest('POST', '/remove_chat_session', { chat_session_id }, as);
    const moved = await move(two, loose);
    expect([moved.status, moved.text]).toEqual([204, '']);
    expect(await listed(`?project_id=${two}`)).toEqual([loose]);
    expect((await remove(inOne)).status).toBe(204);
    expect(await listed('')).toEqual([inOne]);
    expect(await listed(`?project_id=${one}`)).toEqual([]);

    const foreign = await createProject('Foreign', other);
    const theirs = await createSession(null, other);
    for (const id of [foreign, unknown])
      expect(await refused(() => move(id, inOne))).toMatchObject({
        status: 404,
        body: { detail: 'Project not found' },
      });
    for (const session of [theirs, nowhere]) {
      const detail = 'Chat session not found';
      expect(await refused(() => move(one, session))).toMatchObject({ status: 404, body: { detail } });
      expect(await refused(() => remove(session))).toMatchObject({ status: 404, body: { detail } });
    }
    for (const project_id of [foreign, unknown])
      expect(
        await refused(() => kit.rest('POST', '/api/chat/create-chat-session', { key, body: { project_id } })),
      ).toMatchObject({ status: 403, body: { detail: 'User does not have access to project' } });
  });

  it('returns 404 when it belongs to another user', async () => {
    await fresh();
    const foreign = await createProject('Foreign', other);
    for (const id of [foreign, unknown])
      for (const [method, path, body] of [
        ['GET', '', undefined],
        ['PATCH', '', { name: 'x' }],
        ['DELETE', '', undefined],
        ['GET', '/instructions', undefined],
        ['POST', '/instructions', { instructions: 'x' }],
      ] as const)
        expect(await refused(() => rest(method, `/${id}${path}`, body))).toMatchObject({
          status: 404,
          body: { detail: 'Project not found' },
        });
    expect((await rest('GET', '')).body).toEqual([]);
  });

  it('hides its chats from callers without read:chat', async () => {
    await fresh();
    const id = await createProject('Zoo');
    await createSession(id);
    const { secret } = await kit.createPat(key, { scopes: ['write:projects'] });
    expect(await rest('GET', `/${id}`, undefined, secret)).toMatchObject({ status: 200, body: { chat_sessions: [] } });
    expect((await rest('GET', '', undefined, secret)).body).toMatchObject([{ id, chat_sessions: [] }]);
    const { data, errors } = await kit.gql(
      `query ($id: ID!) { project(id: $id) { name chatSessions { totalCount } } }`,
      { id },
      secret,
    );
    expect(data).toEqual({ project: { name: 'Zoo', chatSessions: null } });
    expect(errors[0]?.extensions).toMatchObject({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:chat'],
    });
  });

  it('requires write:projects in GraphQL and REST', async () => {
    await fresh();
    const id = await createProject('Zoo');
    const { secret } = await kit.createPat(key, { scopes: ['read:chat', 'write:chat'] });
    for (const as of [secret, kit.keys.LIMITED]) {
      for (const [method, path, body] of [
        ['GET', '', undefined],
        ['POST', '/create?name=x', undefined],
        ['GET', `/${id}`, undefined],
        ['DELETE', `/${id}`, undefined],
        ['POST', `/${id}/instructions`, { instructions: 'x' }],
        ['POST', `/${id}/move_chat_session`, { chat_session_id: nowhere }],
      ] as const)
        expect((await refused(() => rest(method, path, body, as))).status).toBe(403);
      const { errors } = await refused(() =>
        kit.gql(`mutation { createProject(input: { name: "x" }) { project { name } } }`, {}, as),
      );
      expect(errors[0]?.extensions).toMatchObject({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['write:projects'],
      });
    }
  });
});

describe('a project over GraphQL', () => {
  it('has cursors, a count, chats and documents; clear resets a field, and null leaves it unchanged', async () => {
    await fresh();
    const create = `mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { id databaseId description instructions owner { id: databaseId } } } }`;
    const { data } = await kit.gql(create, { input: { name: 'A', description: 'd', instructions: 'i' } }, key);
    const { id, databaseId } = data.createProject.project;
    expect(data.createProject.project).toMatchObject({ description: 'd', instructions: 'i', owner: { id: userId } });
    await createProject('B');
    const session = await createSession(databaseId);
    const document = await addDocument(databaseId, 'note');
    const page = `query ($after: String) { projects(first: 1, after: $after) { totalCount pageInfo { endCursor hasNextPage }
      nodes { name
        chatSessions { totalCount nodes { databaseId agentName project { name } } edges { node { ownerName } } }
        documents(first: 5) { totalCount nodes { documentId title } } } } }`;
    const first = (await kit.gql(page, {}, key)).data.projects;
    expect(first).toMatchObject({ totalCount: 2, nodes: [{ name: 'B' }], pageInfo: { hasNextPage: true } });
    const second = (await kit.gql(page, { after: first.pageInfo.endCursor }, key)).data.projects;
    expect(second.nodes).toEqual([
      {
        name: 'A',
        chatSessions: {
          totalCount: 1,
          nodes: [{ databaseId: session, agentName: expect.any(String), project: { name: 'A' } }],
          edges: [{ node: { ownerName: 'owner' } }],
        },
        documents: { totalCount: 1, nodes: [{ documentId: document, title: 'note' }] },
      },
    ]);
    const bare = `query ($id: ID!) { project(id: $id) { chatSessions { totalCount edges { cursor } } documents { totalCount } } }`;
    expect((await kit.gql(bare, { id: databaseId }, key)).data.project).toEqual({
      chatSessions: { totalCount: 1, edges: [{ cursor: expect.any(String) }] },
      documents: { totalCount: 1 },
    });
    const node = `query ($id: ID!) { node(id: $id) { ... on Project { name } } }`;
    expect((await kit.gql(node, { id }, key)).data.node).toEqual({ name: 'A' });
    expect((await kit.gql(node, { id }, other)).data.node).toBeNull();
    const update = `mutation ($input: UpdateProjectInput!) { updateProject(input: $input) { project { name description instructions } } }`;
    expect((await kit.gql(update, { input: { id, clear: ['DESCRIPTION'] } }, key)).data.updateProject.project).toEqual({
      name: 'A',
      description: null,
      instructions: 'i',
    });
    const nulls = { name: null, description: null, instructions: null, clear: null };
    expect((await kit.gql(update, { input: { id, ...nulls } }, key)).data.updateProject.project).toEqual({
      name: 'A',
      description: null,
      instructions: 'i',
    });
  });

  it('accepts its global and its database ID, and its payloads contain the data to update a client’s lists', async () => {
    await fresh();
    const create = `mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { id databaseId } projectEdge { cursor node { id } } } }`;
    const { project, projectEdge } = (await kit.gql(create, { input: { name: 'A' } }, key)).data.createProject;
    expect(projectEdge.node.id).toBe(project.id);
    const newer = await createProject('B');
    const after = `query ($before: String) { projects(before: $before) { nodes { databaseId } } }`;
    expect((await kit.gql(after, { before: projectEdge.cursor }, key)).data.projects.nodes).toEqual([
      { databaseId: newer },
    ]);
    const read = `query ($id: ID!) { project(id: $id) { name } }`;
    for (const id of [project.id, project.databaseId, String(project.databaseId)])
      expect((await kit.gql(read, { id }, key)).data.project).toEqual({ name: 'A' });
    const agent = await refused(() => kit.gql(read, { id: Buffer.from('Agent:0').toString('base64') }, key));
    expect(agent.errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['id'] }] });
    expect((await refused(() => kit.gql(read, { id: project.id }, other))).errors[0]?.extensions.code).toBe(
      'NOT_FOUND',
    );

    const add = `mutation ($input: AddProjectDocumentInput!) { addProjectDocument(input: $input) { document { id documentId } documentEdge { node { title } } } }`;
    const content = { title: 'Note', sections: [{ text: 'A note.' }] };
    const added = (await kit.gql(add, { input: { projectId: project.id, ...content } }, key)).data.addProjectDocument;
    expect(added.documentEdge.node.title).toBe('Note');
    const replaced = { projectId: project.id, documentId: added.document.id, ...content, title: 'Better' };
    expect((await kit.gql(add, { input: replaced }, key)).data.addProjectDocument.document).toEqual(added.document);
    const remove = `mutation ($id: ID!) { removeProjectDocument(input: { documentId: $id }) { deletedDocumentId } }`;
    expect((await refused(() => kit.gql(remove, { id: added.document.id }, other))).errors[0]?.extensions.code).toBe(
      'NOT_FOUND',
    );
    expect((await kit.gql(remove, { id: added.document.id }, key)).data.removeProjectDocument).toEqual({
      deletedDocumentId: added.document.id,
    });
    const gone = `mutation ($id: ID!) { deleteProject(input: { id: $id }) { deletedProjectId } }`;
    expect((await refused(() => kit.gql(gone, { id: project.id }, other))).errors[0]?.extensions.code).toBe(
      'NOT_FOUND',
    );
    expect((await kit.gql(gone, { id: project.id }, key)).data.deleteProject).toEqual({
      deletedProjectId: project.id,
    });
  });

  it('is found by its name or description, in the requested order', async () => {
    await fresh();
    for (const [name, description] of [
      ['Beta', 'zoo'],
      ['Alpha', null],
      ['Zoology', null],
    ])
      await kit.prisma.project.create({ data: { name: name ?? '', description, ownerId: userId } });
    const names = async (args: string) => {
      const { data, errors } = await kit.gql(`{ projects(${args}) { totalCount nodes { name } } }`, {}, key);
      expect(errors).toEqual([]);
      return [data.projects.totalCount, ...data.projects.nodes.map(({ name }: { name: string }) => name)];
    };
    expect(await names('orderBy: { field: NAME }')).toEqual([3, 'Alpha', 'Beta', 'Zoology']);
    expect(await names('first: 1, orderBy: { field: NAME, direction: DESC }')).toEqual([3, 'Zoology']);
    expect(await names('filter: { search: "ZOO" }, orderBy: { field: CREATED_AT }')).toEqual([2, 'Beta', 'Zoology']);
    for (const wildcard of ['%', '_']) expect(await names(`filter: { search: "${wildcard}" }`)).toEqual([0]);
    const search = 'x'.repeat(201);
    const { errors } = await kit.gql(`{ projects(filter: { search: "${search}" }) { totalCount } }`, {}, key);
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['filter', 'search'] }] });
  });

  it('is listed with a constant number of statements regardless of the number of projects', async () => {
    await fresh();
    const query = `{ projects(first: 8) { totalCount nodes { name owner { name } documents(first: 2) { totalCount nodes { title } }
      chatSessions(first: 2) { totalCount nodes { agentName project { name } messages(first: 1) { totalCount nodes { text } } } } } } }`;
    const cost = async () => {
      kit.statements.length = 0;
      expect((await kit.gql(query, {}, key)).errors).toEqual([]);
      expect((await rest('GET', '')).status).toBe(200);
      return kit.statements.length;
    };
    const fill = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const id = await createProject(`P${i}`);
        for (let j = 0; j < 2; j++) await createSession(id);
        await addDocument(id, `doc ${i}`);
      }
    };
    await fill(2);
    const few = await cost();
    await fill(6);
    expect(await cost()).toBe(few);
  });

  it('cannot be created when the user already has 1000 projects', async () => {
    await fresh();
    await kit.prisma.project.createMany({
      data: Array.from({ length: 999 }, (_, i) => ({ name: `${i}`, ownerId: userId })),
    });
    const results = await Promise.all([1, 2, 3].map(() => rest('POST', '/create?name=last')));
    expect(results.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    expect((await createProject('another’s', other)) > 0).toBe(true);
  });

  it('is recorded in the audit trail with its actor when it is created, changed and deleted', async () => {
    await fresh();
    const id = await createProject('Zoo');
    await rest('PATCH', `/${id}`, { name: 'Park' });
    const token = await createToken(id);
    await rest('DELETE', `/${id}`);
    const events = await kit.prisma.auditEvent.findMany({
      where: { targetType: 'Project', targetId: String(id) },
      orderBy: { id: 'asc' },
    });
    expect(events.map(({ action, actorId, detail }) => ({ action, actorId, detail }))).toEqual([
      { action: 'project.create', actorId: userId, detail: { name: 'Zoo' } },
      { action: 'project.update', actorId: userId, detail: { name: 'Park', changed: ['name'] } },
      { action: 'project.delete', actorId: userId, detail: { name: 'Park', tokenIds: [token.id] } },
    ]);
  });
});

describe('a project’s documents', () => {
  const add = (input: object, as = key) =>
    kit.gql(
      `mutation ($input: AddProjectDocumentInput!) { addProjectDocument(input: $input) { document { documentId title } } }`,
      { input: { sections: [{ text: 'A text about quaggas.' }], title: 'Quagga', ...input } },
      as,
    );
  const remove = (documentId: string, as = key) =>
    kit.gql(
      `mutation ($documentId: ID!) { removeProjectDocument(input: { documentId: $documentId }) { deletedDocumentId } }`,
      { documentId },
      as,
    );
  const found = async (query: string, as = key) =>
    (await kit.gql(`query ($query: String!) { search(query: $query) { documentId } }`, { query }, as)).data.search.map(
      ({ documentId }: { documentId: string }) => documentId,
    );

  it('can be found, replaced and removed only by the owner and the project’s tokens', async () => {
    await fresh();
    const project = await createProject('Zoo');
    const token = await createToken(project);
    const document = await addDocument(project, 'okapi');
    const fromToken = await addDocument(null, 'okapi', token.secret);
    for (const as of [key, token.secret])
      expect((await found('okapi', as)).sort()).toEqual([document, fromToken].sort());
    for (const as of [other, kit.keys.ADMIN]) expect(await found('okapi', as)).toEqual([]);

    for (const [input, as] of [
      [{}, token.secret],
      [{ projectId: project }, key],
    ] as const) {
      const { data } = await add({ ...input, documentId: document }, as);
      expect(data.addProjectDocument.document).toEqual({ documentId: document, title: 'Quagga' });
    }
    expect(await found('okapi')).toEqual([fromToken]);
    expect(await found('quaggas')).toEqual([document]);
    const deleted = await kit.prisma.document.findMany({ where: { projectId: project }, orderBy: { id: 'asc' } });
    const globalIds = deleted.map(({ id }) => Buffer.from(`Document:${id}`).toString('base64'));
    const removed = [await remove(document, token.secret), await remove(fromToken)];
    expect(removed.map(({ data }) => data.removeProjectDocument.deletedDocumentId)).toEqual(globalIds);
    expect(await kit.prisma.document.count({ where: { projectId: project } })).toBe(0);
  });

  it('cannot be added to or taken from another user’s project, and public ones require manage:documents', async () => {
    await fresh();
    const [project, foreign] = [await createProject('Zoo'), await createProject('Foreign', other)];
    const theirs = await addDocument(foreign, 'theirs', other);
    await kit.ingest('public zebra', 'A public zebra.');
    for (const projectId of [foreign, unknown])
      expect((await refused(() => add({ projectId }))).errors[0]).toMatchObject({
        message: 'Project not found',
        extensions: { code: 'NOT_FOUND' },
      });
    expect((await refused(() => remove(''))).errors[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      fields: [{ path: ['input', 'documentId'] }],
    });
    for (const documentId of [theirs, 'public zebra', nowhere, 'x'.repeat(501), 'a\0']) {
      expect((await refused(() => add({ projectId: project, documentId }))).errors[0]?.message).toBe(
        'Document not found',
      );
      expect((await refused(() => remove(documentId))).errors[0]?.message).toBe('Document not found');
    }
    expect((await refused(() => add({}))).errors[0]?.message).toBe('input.projectId: is required');
    expect((await refused(() => add({ projectId: project, title: ' ' }))).errors[0]?.extensions.code).toBe(
      'BAD_USER_INPUT',
    );
    const shown = await addDocument(project, 'shown');
    await kit.prisma.document.update({ where: { externalId: shown }, data: { isPublic: true } });
    for (const work of [() => remove(shown), () => add({ projectId: project, documentId: shown })])
      expect((await refused(work)).errors[0]?.extensions).toMatchObject({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['manage:documents'],
      });
  });

  it('can also be ingested by an administrator who owns the project, and are then private', async () => {
    const project = await createProject('Admin’s', kit.keys.ADMIN);
    const ingest = (projectId: number) =>
      kit.gql(
        `mutation ($input: IngestDocumentInput!) { ingestDocument(input: $input) { document { isPublic } } }`,
        { input: { documentId: 'dodo', title: 'Dodo', sections: [{ text: 'dodo' }], projectId } },
        kit.keys.ADMIN,
      );
    const foreign = await createProject('Foreign', other);
    for (const id of [foreign, unknown])
      expect((await refused(() => ingest(id))).errors[0]).toMatchObject({
        message: 'input.projectId: must be one of your projects',
        extensions: { code: 'BAD_USER_INPUT' },
      });
    expect((await ingest(project)).data.ingestDocument.document).toEqual({ isPublic: false });
    expect(await found('dodo', kit.keys.ADMIN)).toEqual(['dodo']);
    expect(await found('dodo', other)).toEqual([]);
  });
});

describe('the instructions of a project', () => {
  const sent = () => kit.model.requests.at(-1)?.body.messages ?? [];
  const system = () => sent().find(({ role }) => role === 'system')?.content;
  const send = (body: object, as = key) =>
    kit.rest('POST', '/api/chat/send-chat-message', { key: as, body: { message: 'zebra?', stream: false, ...body } });

  it('are sent to the model only in the project’s chats, in their current version', async () => {
    await fresh();
    const project = await createProject('Zoo');
    await rest('POST', `/${project}/instructions`, { instructions: 'Speak like a zookeeper.' });
    const { body } = await send({ chat_session_info: { project_id: project } });
    expect(system()).toContain('# Instructions of the project\n\nSpeak like a zookeeper.');
    await rest('POST', `/${project}/instructions`, { instructions: 'Speak like a lion.' });
    await send({ chat_session_id: body.chat_session_id });
    expect(system()).toContain('Speak like a lion.');
    expect(system()).not.toContain('zookeeper');
    await rest('POST', '/remove_chat_session', { chat_session_id: body.chat_session_id });
    await send({ chat_session_id: body.chat_session_id });
    expect(system()).not.toContain('Instructions of the project');
    await send({});
    expect(system()).not.toContain('Instructions of the project');
  });

  it('a turn in a project finds its documents, even with an agent whose knowledge is ATTACHED', async () => {
    await fresh();
    const project = await createProject('Zoo');
    const mine = await addDocument(project, 'heron');
    const { data } = await kit.gql(
      `mutation { createAgent(input: { name: "narrow", knowledge: ATTACHED }) { agent { databaseId } } }`,
      {},
      key,
    );
    const persona_id = data.createAgent.agent.databaseId;
    const search = await kit.prisma.action.findUniqueOrThrow({ where: { builtinKey: 'SearchTool' } });
    await kit.prisma.agent.update({ where: { id: persona_id }, data: { actions: { set: [{ id: search.id }] } } });
    const documents = async (info: object) =>
      (await send({ message: 'the heron', chat_session_info: { persona_id, ...info } })).body.top_documents.map(
        ({ document_id }: { document_id: string }) => document_id,
      );
    expect(await documents({ project_id: project })).toEqual([mine]);
    expect(await documents({})).toEqual([]);
  });
});

describe('deleting a project', () => {
  it('leaves chats and documents to the owner, including those of tokens, and deletes the tokens and their users', async () => {
    await fresh();
    const project = await createProject('Zoo');
    const token = await createToken(project);
    const [mine, theirs, hidden] = [
      await createSession(project),
      await createSession(project, token.secret),
      await createSession(project, token.secret),
    ];
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${hidden}`, { key: token.secret });
    const documents = [await addDocument(project, 'ibex'), await addDocument(null, 'ibis', token.secret)];
    const times = async () =>
      kit.prisma.chatSession.findMany({
        where: { id: { in: [mine, theirs] } },
        select: { id: true, updatedAt: true },
        orderBy: { id: 'asc' },
      });
    const before = await times();
    expect((await rest('DELETE', `/${project}`)).status).toBe(204);
    expect(await times()).toEqual(before);
    expect(await kit.prisma.chatSession.findMany({ where: { id: { in: [mine, theirs, hidden] } } })).toSatisfy(
      (sessions: { id: string; userId: string; projectId: number | null }[]) =>
        sessions.length === 2 && sessions.every((session) => session.userId === userId && session.projectId === null),
    );
    expect(
      await kit.prisma.document.findMany({
        where: { externalId: { in: documents } },
        select: { ownerId: true, projectId: true, isPublic: true },
      }),
    ).toEqual(documents.map(() => ({ ownerId: userId, projectId: null, isPublic: false })));
    expect(await kit.prisma.user.count({ where: { id: token.userId } })).toBe(0);
    expect((await kit.gql('{ viewer { role } }', {}, token.secret)).errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await kit.rest('GET', '/api/user/projects', { key: token.secret })).status).toBe(403);
  });
});
