import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  byRest,
  graphNames,
  graphOperations,
  type Outcome,
  outcomes,
  restNames,
  restOperations,
  type Target,
} from '../../../test/file-access.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { blobsOf, uploadGraphql, uploadRest } from '../../../test/multipart.ts';

let kit: Kit;
/** The owner of the files. */
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
let projectId: number;
/** A file in Anna's project and one outside projects, each in a chat, and one in a public chat. */
let inside: Target;
let loose: Target;
let shared: Target;

const api = (method: string, path: string, key: string, body?: unknown) =>
  kit.rest(method, `/api${path}`, { key, ...(body !== undefined && { body }) });

async function target(word: string, project: number | null): Promise<Target> {
  const options = { key: anna.secret, ...(project !== null && { projectId: project }) };
  const file = await kit.upload(`${word}.txt`, `The ${word} is here.`, options);
  const { body } = await api('POST', '/chat/send-chat-message', anna.secret, {
    message: 'Well?',
    stream: false,
    file_descriptors: [{ id: file, type: 'plain_text' }],
    ...(project !== null && { chat_session_info: { project_id: project } }),
  });
  const document = await kit.prisma.document.findUniqueOrThrow({ where: { fileId: file } });
  return { file, word, document: document.id, projectId, sessionId: body.chat_session_id };
}

beforeAll(async () => {
  kit = await startKit();
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  projectId = (await api('POST', '/user/projects/create?name=Annas', anna.secret)).body.id;
  inside = await target('wombat', projectId);
  loose = await target('numbat', null);
  shared = await target('dingo', null);
  await api('PATCH', `/chat/chat-session/${shared.sessionId}`, anna.secret, { sharing_status: 'public' });
});
afterAll(() => kit?.close());

/** Expects that every operation is denied and no data changes. */
async function tries(target: Target, key: string, names?: { graph: string[]; rest: string[] }) {
  await kit.booted.background.settled();
  const [before, blobs] = [await kit.fingerprint(), blobsOf(kit)];
  const found = await outcomes(kit, target, key, names);
  await kit.booted.background.settled();
  expect(await kit.fingerprint()).toBe(before);
  expect(blobsOf(kit)).toEqual(blobs);
  return found;
}

const every = (names: readonly string[], outcome: Outcome) => Object.fromEntries(names.map((name) => [name, outcome]));
const without = (names: readonly string[], ...left: string[]) => names.filter((name) => !left.includes(name));

/** The response for a missing object to a caller with all permissions. */
const nothing = {
  graph: {
    ...every(['list', 'named', 'ofProject', 'ofSession', 'fileNode', 'documentNode', 'search'], 'none'),
    ...every(['project', 'file', 'link', 'unlink', 'delete'], 'NOT_FOUND'),
    attach: 'BAD_USER_INPUT',
  },
  rest: { ...every(restNames, 404), ...every(['recent', 'statuses'], 'none'), attach: 400 },
};

/** Uploads into Anna's project through both APIs and returns the codes. */
async function uploads(key: string, into: number | undefined): Promise<Outcome[]> {
  // Each upload has its own name: a file replaces the earlier file of the same name in its project.
  const file = () => ({ [`${randomUUID()}.txt`]: 'new' });
  const graph = await uploadGraphql(kit, file(), { key, ...(into !== undefined && { projectId: into }) });
  const rest = await uploadRest(kit, file(), { key, fields: into === undefined ? {} : { project_id: String(into) } });
  return [graph.errors[0]?.extensions.code ?? 'ok', rest.status];
}
async function triesToUpload(key: string, into: number | undefined): Promise<Outcome[]> {
  await kit.booted.background.settled();
  const [before, blobs] = [await kit.fingerprint(), blobsOf(kit)];
  const codes = await uploads(key, into);
  await kit.booted.background.settled();
  expect([await kit.fingerprint(), blobsOf(kit)]).toEqual([before, blobs]);
  return codes;
}

it('the owner of a file can perform every operation on it', async () => {
  const own = { ...(await target('bilby', null)), projectId };
  const names = {
    graph: without(graphNames, 'ofProject', 'project'),
    rest: without(restNames, 'ofProject', 'details'),
  };
  for (const [road, others] of [
    ['graph', 'rest'],
    ['rest', 'graph'],
  ] as const) {
    const one = road === 'graph' ? own : { ...(await target('kowari', null)), projectId };
    const found = await outcomes(kit, one, anna.secret, { ...names, [others]: [] });
    expect(found[road]).toEqual(every(names[road], 'ok'));
    // Deleting it was the last operation.
    expect(await kit.prisma.file.count({ where: { id: one.file } })).toBe(0);
  }
  expect(
    await outcomes(kit, inside, anna.secret, { graph: ['ofProject', 'project'], rest: ['ofProject', 'details'] }),
  ).toEqual({
    graph: every(['ofProject', 'project'], 'ok'),
    rest: every(['ofProject', 'details'], 'ok'),
  });
});

describe('operations on files without the required permission', () => {
  it('a limited key is denied every operation on files', async () => {
    for (const one of [inside, loose, shared])
      expect(await tries(one, kit.keys.LIMITED)).toEqual({
        graph: { ...every(graphNames, 'FORBIDDEN'), attach: 'BAD_USER_INPUT' },
        rest: { ...every(restNames, 403), attach: 400 },
      });
    for (const into of [undefined, projectId])
      expect(await triesToUpload(kit.keys.LIMITED, into)).toEqual(['FORBIDDEN', 403]);
  });

  it('a token with only `write:chat` can only attach its owner’s files', async () => {
    const { secret } = await kit.createPat(anna.secret, { scopes: ['write:chat'] });
    const names = { graph: without(graphNames, 'attach'), rest: without(restNames, 'attach') };
    for (const one of [inside, loose])
      expect(await tries(one, secret, names)).toEqual({
        graph: every(names.graph, 'FORBIDDEN'),
        rest: every(names.rest, 403),
      });
    expect(await triesToUpload(secret, undefined)).toEqual(['FORBIDDEN', 403]);
    expect(await outcomes(kit, loose, secret, { graph: ['attach'], rest: ['attach'] })).toEqual({
      graph: { attach: 'ok' },
      rest: { attach: 'ok' },
    });
    const theirs = { ...loose, file: await kit.upload('bens.txt', 'of ben', { key: ben.secret }) };
    expect(await tries(theirs, secret, { graph: ['attach'], rest: ['attach'] })).toEqual({
      graph: { attach: 'BAD_USER_INPUT' },
      rest: { attach: 400 },
    });
  });

  it('a token with only `read:chat` can only read its owner’s files', async () => {
    const { secret } = await kit.createPat(anna.secret, { scopes: ['read:chat'] });
    for (const one of [inside, loose])
      expect(await tries(one, secret)).toEqual({
        graph: { ...every(graphNames, 'FORBIDDEN'), file: 'ok', fileNode: 'ok' },
        rest: { ...every(restNames, 403), download: 'ok' },
      });
    expect(await triesToUpload(secret, undefined)).toEqual(['FORBIDDEN', 403]);
  });

  it('a token with only `write:projects` can manage files but not read their content or chats', async () => {
    const { secret } = await kit.createPat(anna.secret, { scopes: ['write:projects'] });
    const changing = ['link', 'unlink', 'delete'];
    const names = { graph: without(graphNames, ...changing), rest: without(restNames, ...changing) };
    expect(await tries(inside, secret, names)).toEqual({
      graph: {
        ...every(['list', 'named', 'ofProject', 'project'], 'ok'),
        ...every(['ofSession', 'file', 'fileNode', 'documentNode', 'search', 'attach'], 'FORBIDDEN'),
      },
      rest: {
        ...every(['recent', 'statuses', 'status', 'ofProject', 'details'], 'ok'),
        ...every(['ofSession', 'download', 'attach'], 403),
      },
    });
    const one = { ...(await target('quoll', null)), projectId };
    expect((await outcomes(kit, one, secret, { graph: ['link', 'unlink'], rest: changing })).rest).toEqual(
      every(changing, 'ok'),
    );
    expect(await uploads(secret, projectId)).toEqual(['ok', 200]);
  });

  it('an anonymous client is denied every operation with the same error', async () => {
    await kit.booted.background.settled();
    const before = await kit.fingerprint();
    for (const name of graphNames) {
      const [query, variables] = graphOperations[name]?.(loose) ?? [];
      const { status, errors } = await kit.gql(query as string, variables, null);
      expect([status, errors[0]?.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
    }
    for (const name of restNames) {
      const [method, path, body] = restOperations[name]?.(loose) ?? [];
      const answer = await kit.rest(method as string, `/api${path}`, { key: null, body });
      expect([answer.status, answer.body.detail]).toEqual([403, 'Access denied. User is not authenticated.']);
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('a file of another user', () => {
  it('is reported as missing to a user without access', async () => {
    for (const one of [inside, loose]) expect(await tries(one, ben.secret)).toEqual(nothing);
    expect(await triesToUpload(ben.secret, projectId)).toEqual(['NOT_FOUND', 404]);
  });

  it('is reported as missing to administrators, including its name, bytes and text', async () => {
    for (const one of [inside, loose]) expect(await tries(one, kit.keys.ADMIN)).toEqual(nothing);
    expect(await triesToUpload(kit.keys.ADMIN, projectId)).toEqual(['NOT_FOUND', 404]);
    const { data } = await kit.gql('{ documents(first: 100) { nodes { documentId title } } }');
    for (const { file } of [inside, loose, shared]) expect(JSON.stringify(data)).not.toContain(file);
    const document = `mutation ($id: ID!) { deleteDocument(input: { documentId: $id }) { __typename } }`;
    expect((await kit.gql(document, { id: loose.file })).errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  });

  it('is readable but not changeable for administrators of agents when an agent contains it', async () => {
    const one = await target('cuscus', null);
    const made = await kit.gql(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input: { name: 'private', fileIds: [one.file] } },
      anna.secret,
    );
    expect(made.errors).toEqual([]);
    const names = {
      graph: ['named', 'file', 'fileNode', 'documentNode', 'search'],
      rest: ['statuses', 'status', 'download'],
    };
    expect(await tries(one, kit.keys.ADMIN, names)).toEqual({
      graph: every(names.graph, 'ok'),
      rest: every(names.rest, 'ok'),
    });
    const refused = await tries(one, ben.secret, names);
    expect(refused).toEqual({
      graph: Object.fromEntries(names.graph.map((name) => [name, nothing.graph[name as keyof typeof nothing.graph]])),
      rest: { statuses: 'none', status: 404, download: 404 },
    });
    // Changing it is still denied.
    const changing = ['link', 'unlink', 'delete'];
    expect(await tries(one, kit.keys.ADMIN, { graph: changing, rest: changing })).toEqual({
      graph: every(changing, 'NOT_FOUND'),
      rest: every(changing, 404),
    });
    const scoped = await kit.createKey('ADMIN', {
      name: 'documents',
      scopes: ['manage:documents', 'read:chat', 'read:search', 'write:projects'],
    });
    expect(await tries(one, scoped.secret, names)).toEqual(refused);
  });
});

describe('a token restricted to a project', () => {
  let token: { secret: string; userId: string };
  beforeAll(async () => {
    const made = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { user { databaseId } } } }',
      { input: { projectId, name: 'token', role: 'BASIC' } },
      anna.secret,
    );
    const { secret, projectToken } = made.data.createProjectToken;
    token = { secret, userId: projectToken.user.databaseId };
  });

  it('can read and attach the files of the project', async () => {
    const changing = ['attach', 'link', 'unlink', 'delete'];
    const names = { graph: without(graphNames, ...changing), rest: without(restNames, ...changing) };
    expect(await tries(inside, token.secret, names)).toEqual({
      graph: every(names.graph, 'ok'),
      rest: every(names.rest, 'ok'),
    });
    expect(await outcomes(kit, inside, token.secret, { graph: ['attach'], rest: ['attach'] })).toEqual({
      graph: { attach: 'ok' },
      rest: { attach: 'ok' },
    });
  });

  it('cannot access its owner’s other files or files in public chats', async () => {
    const names = {
      graph: without(graphNames, 'ofProject', 'project'),
      rest: without(restNames, 'ofProject', 'details'),
    };
    for (const one of [loose, shared]) {
      const { graph, rest } = await tries(one, token.secret, names);
      expect(graph).toEqual(Object.fromEntries(Object.entries(nothing.graph).filter(([name]) => name in graph)));
      expect(rest).toEqual(Object.fromEntries(Object.entries(nothing.rest).filter(([name]) => name in rest)));
    }
  });

  it('can only remove its owner’s files from the project', async () => {
    const one = await target('potoroo', projectId);
    const names = { graph: ['link', 'delete'], rest: ['link', 'delete'] };
    expect(await tries(one, token.secret, names)).toEqual({
      graph: every(names.graph, 'NOT_FOUND'),
      rest: every(names.rest, 404),
    });
    expect(await byRest(kit, 'unlink', one, token.secret)).toBe('ok');
    expect(
      await kit.prisma.file.findUniqueOrThrow({ where: { id: one.file }, include: { projects: true } }),
    ).toMatchObject({
      ownerId: anna.userId,
      projects: [],
    });
  });

  it('uploads into its project by default and is rejected for any other project', async () => {
    const other = (await api('POST', '/user/projects/create?name=Other', anna.secret)).body.id;
    for (const elsewhere of [other, 999_999])
      expect(await triesToUpload(token.secret, elsewhere)).toEqual(['NOT_FOUND', 404]);
    for (const into of [undefined, projectId]) expect(await uploads(token.secret, into)).toEqual(['ok', 200]);
    const made = await kit.prisma.file.findMany({ where: { ownerId: token.userId }, include: { projects: true } });
    expect(made.map(({ projects }) => projects.map(({ id }) => id))).toEqual(Array(4).fill([projectId]));
  });

  it('loses a permission when the owner of its project loses it', async () => {
    const owner = await kit.createKey('BASIC', { name: 'demoted' });
    const project = (await api('POST', '/user/projects/create?name=Demoted', owner.secret)).body.id;
    const file = await kit.upload('a.txt', 'The kiwi.', { key: owner.secret, projectId: project });
    const made = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId: project, name: 'token', role: 'BASIC' } },
      owner.secret,
    );
    const { secret } = made.data.createProjectToken;
    expect((await api('GET', `/chat/file/${file}`, secret)).status).toBe(200);
    await kit.prisma.user.update({ where: { id: owner.userId }, data: { role: 'LIMITED' } });
    for (const key of [secret, owner.secret]) {
      expect((await api('GET', `/chat/file/${file}`, key)).status).toBe(403);
      expect(await triesToUpload(key, undefined)).toEqual(['FORBIDDEN', 403]);
    }
  });
});

describe('the files of a public chat', () => {
  const reading = { graph: ['named', 'file', 'fileNode'], rest: ['statuses', 'status', 'download'] };
  const all = { graph: every(reading.graph, 'ok'), rest: every(reading.rest, 'ok') };
  const gone = {
    graph: { named: 'none', file: 'NOT_FOUND', fileNode: 'none' },
    rest: { statuses: 'none', status: 404, download: 404 },
  };

  it('are readable for callers with `read:chat`, and other files are not', async () => {
    for (const key of [ben.secret, kit.keys.ADMIN]) {
      expect(await tries(shared, key, reading)).toEqual(all);
      expect(await tries(loose, key, reading)).toEqual(gone);
      // Their text is not searched, and they cannot be changed.
      expect(
        await tries(shared, key, {
          graph: ['list', 'documentNode', 'search', 'delete', 'link'],
          rest: ['recent', 'delete'],
        }),
      ).toEqual({
        graph: { list: 'none', documentNode: 'none', search: 'none', delete: 'NOT_FOUND', link: 'NOT_FOUND' },
        rest: { recent: 'none', delete: 404 },
      });
    }
    const { secret } = await kit.createPat(ben.secret, { scopes: ['write:chat', 'write:projects'] });
    expect(await tries(shared, secret, reading)).toEqual({
      graph: { named: 'none', file: 'FORBIDDEN', fileNode: 'FORBIDDEN' },
      rest: { statuses: 'none', status: 404, download: 403 },
    });
  });

  it('are no longer readable for other users when the chat is private again or deleted', async () => {
    const one = await target('echidna', null);
    const path = `/chat/chat-session/${one.sessionId}`;
    expect(await tries(one, ben.secret, reading)).toEqual(gone);
    await api('PATCH', path, anna.secret, { sharing_status: 'public' });
    expect(await tries(one, ben.secret, reading)).toEqual(all);
    await api('PATCH', path, anna.secret, { sharing_status: 'private' });
    expect(await tries(one, ben.secret, reading)).toEqual(gone);
    await api('PATCH', path, anna.secret, { sharing_status: 'public' });
    await api('DELETE', `/chat/delete-chat-session/${one.sessionId}`, anna.secret);
    expect(await tries(one, ben.secret, reading)).toEqual(gone);
    expect(await tries(one, anna.secret, reading)).toEqual(all);
  });
});

it('the text of a file cannot be replaced or deleted through the document operations', async () => {
  const document = { title: 'x', sections: [{ text: 'x' }] };
  const ingest = `mutation ($input: IngestDocumentInput!) { ingestDocument(input: $input) { alreadyExisted } }`;
  const remove = `mutation ($id: ID!) { deleteDocument(input: { documentId: $id }) { __typename } }`;
  const { secret } = await kit.createKey('ADMIN', { name: 'owner' });
  const own = await kit.upload('own.txt', 'The numbat of an administrator.', { key: secret });
  await kit.booted.background.settled();
  const before = await kit.fingerprint();
  for (const id of [own, loose.file]) {
    const replaced = await kit.gql(ingest, { input: { ...document, documentId: id } }, secret);
    expect(replaced.errors).toMatchObject([{ extensions: { code: 'CONFLICT' } }]);
    const removed = await kit.gql(remove, { id }, secret);
    expect(removed.errors).toMatchObject([{ extensions: { code: id === own ? 'CONFLICT' : 'NOT_FOUND' } }]);
  }
  expect(await kit.fingerprint()).toBe(before);
});
