import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { blobsOf, sweep } from '../../../test/multipart.ts';
import { deleteKey } from '../../../test/security/keys.ts';
import { globalId } from '../../graphql/id-input.ts';

let kit: Kit;
let anna: { secret: string; userId: string };
beforeAll(async () => {
  kit = await startKit();
  anna = await kit.createKey('BASIC', { name: 'anna' });
});
afterAll(() => kit?.close());

const upload = (name: string, key = anna.secret, projectId?: number) =>
  kit.upload(name, `The pangolin of ${name} rolls up.`, { key, ...(projectId && { projectId }) });
const newProject = async (name: string, key = anna.secret): Promise<number> =>
  (await kit.rest('POST', `/api/user/projects/create?name=${name}`, { key })).body.id;

const deleteFile = `mutation ($id: ID!) {
  deleteFile(input: { fileId: $id }) { deletedFileId projectNames agentNames }
}`;
const graph = (id: string, key = anna.secret) => kit.gql(deleteFile, { id }, key);
const rest = (id: string, key = anna.secret) => kit.rest('DELETE', `/api/user/projects/file/${id}`, { key });

/** Returns what exists of a file: its row, document, passages and bytes. */
async function left(id: string) {
  return {
    row: await kit.prisma.file.count({ where: { id } }),
    document: await kit.prisma.document.count({ where: { externalId: id } }),
    passages: await kit.prisma.chunk.count({ where: { link: `/api/chat/file/${id}` } }),
    bytes: blobsOf(kit).filter((blob) => blob === id).length,
  };
}
const everything = { row: 1, document: 1, passages: 1, bytes: 1 };
const nothing = { row: 0, document: 0, passages: 0, bytes: 0 };

describe('deleting a file', () => {
  it('changes no data when the file belongs to projects or agents, and returns their names', async () => {
    const id = await upload('used.txt');
    const projects = [await newProject('Zoo'), await newProject('Ark')];
    for (const project of projects)
      await kit.rest('POST', `/api/user/projects/${project}/files/${id}`, { key: anna.secret });
    await kit.gql(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input: { name: 'Keeper', fileIds: [id] } },
      anna.secret,
    );
    const before = await kit.fingerprint();
    expect((await graph(id)).data.deleteFile).toEqual({
      deletedFileId: null,
      projectNames: ['Zoo', 'Ark'],
      agentNames: ['Keeper'],
    });
    expect((await rest(id)).body).toEqual({
      has_associations: true,
      project_names: ['Zoo', 'Ark'],
      assistant_names: ['Keeper'],
    });
    expect(await kit.fingerprint()).toBe(before);
    expect(await left(id)).toEqual(everything);
  });

  it.each(['the graph', 'REST'])(
    'removes all data of an unused file and keeps the messages that used it: by %s',
    async (road) => {
      const id = await upload(`${road}.txt`);
      const sent = await kit.rest('POST', '/api/chat/send-chat-message', {
        key: anna.secret,
        body: { message: 'What rolls up?', stream: false, file_descriptors: [{ id, type: 'plain_text' }] },
      });
      expect(sent.body.citation_info[0]).toMatchObject({ document_id: id });
      expect(await left(id)).toEqual(everything);
      if (road === 'REST')
        expect((await rest(id)).body).toEqual({ has_associations: false, project_names: [], assistant_names: [] });
      else
        expect((await graph(id)).data.deleteFile).toEqual({
          deletedFileId: globalId('File', id),
          projectNames: [],
          agentNames: [],
        });
      // Waits for the sweep that follows the deletion.
      await kit.booted.background.settled();
      expect(await left(id)).toEqual(nothing);
      expect(await kit.prisma.orphanedBlob.count()).toBe(0);
      const session = await kit.rest('GET', `/api/chat/get-chat-session/${sent.body.chat_session_id}`, {
        key: anna.secret,
      });
      expect(session.body.messages.map(({ message }: { message: string }) => message)).toEqual([
        '',
        'What rolls up?',
        sent.body.answer,
      ]);
      expect(await kit.prisma.auditEvent.findMany({ where: { targetId: id, action: 'file.delete' } })).toMatchObject([
        { actorId: anna.userId, targetType: 'File' },
      ]);
    },
  );

  it('deletes the file once when several requests arrive at the same time', async () => {
    const id = await upload('raced.txt');
    const answers = await Promise.all([rest(id), rest(id), graph(id)]);
    await kit.booted.background.settled();
    expect(await left(id)).toEqual(nothing);
    const deleted = answers.map((answer) => ('body' in answer ? answer.status === 200 : answer.errors.length === 0));
    expect(deleted.filter(Boolean)).toHaveLength(1);
    expect(await kit.prisma.auditEvent.count({ where: { targetId: id, action: 'file.delete' } })).toBe(1);
  });

  it('leaves no data when the text of the file is still being extracted', async () => {
    const form = new FormData();
    form.append('files', new Blob(['The pangolin runs. '.repeat(50_000)]), 'reading.txt');
    const response = await fetch(`${kit.url}/api/user/projects/file/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${anna.secret}` },
      body: form,
    });
    const { user_files } = (await response.json()) as { user_files: { id: string; status: string }[] };
    expect(user_files).toMatchObject([{ status: 'PROCESSING' }]);
    const id = user_files[0]?.id ?? '';
    expect((await rest(id)).status).toBe(200);
    await kit.booted.background.settled();
    expect(await left(id)).toEqual(nothing);
  });

  it('returns the same 404 for another user’s file as for an unknown file and changes no data', async () => {
    const theirs = await kit.upload('theirs.txt', 'theirs', { key: kit.keys.BASIC });
    const before = await kit.fingerprint();
    for (const id of [theirs, '00000000-0000-4000-8000-000000000000']) {
      expect((await graph(id)).errors).toMatchObject([
        { message: 'File not found', extensions: { code: 'NOT_FOUND' } },
      ]);
      const { status, body } = await rest(id);
      expect([status, body]).toEqual([404, { error_code: 'NOT_FOUND', detail: 'File not found' }]);
    }
    expect((await rest('none')).status).toBe(422);
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('deleting the owner of files', () => {
  it('removes the files of a deleted key', async () => {
    const key = await kit.createKey('BASIC', { name: 'gone' });
    const project = await newProject('Gone', key.secret);
    const ids = [await upload('a.txt', key.secret), await upload('b.txt', key.secret, project)];
    expect((await deleteKey(kit, key.id)).errors).toEqual([]);
    await sweep(kit);
    for (const id of ids) expect(await left(id)).toEqual(nothing);
  });

  it('removes the files of a deleted user, including those used by agents of other users', async () => {
    const person = await kit.person();
    const ids = [await upload('a.txt', person.session), await upload('b.txt', person.session)];
    const agent = await kit.gql(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input: { name: 'shared', userIds: [person.userId] } },
      anna.secret,
    );
    const { databaseId } = agent.data.createAgent.agent;
    await kit.rest('PATCH', `/api/persona/${databaseId}/share`, {
      key: anna.secret,
      body: { user_shares: [{ user_id: person.userId, permission: 'EDITOR' }] },
    });
    const given = await kit.gql(
      'mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { databaseId } } }',
      { input: { agent: { id: databaseId }, fileIds: [ids[0]] } },
      person.session,
    );
    expect(given.errors).toEqual([]);
    for (const step of ['deactivateUser', 'deleteUser']) {
      const mutation = `mutation ($id: ID!) { ${step}(input: { user: { id: $id } }) { __typename } }`;
      expect((await kit.gql(mutation, { id: person.userId })).errors).toEqual([]);
    }
    await sweep(kit);
    for (const id of ids) expect(await left(id)).toEqual(nothing);
    expect(await kit.prisma.agent.count({ where: { id: databaseId, files: { none: {} } } })).toBe(1);
  });

  it('removes the files of a deleted project token and no other files of the project', async () => {
    const project = await newProject('Kept');
    const made = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { databaseId } } }',
      { input: { projectId: project, name: 'token', role: 'BASIC' } },
      anna.secret,
    );
    const { secret, projectToken } = made.data.createProjectToken;
    const [mine, tokens] = [await upload('mine.txt', anna.secret, project), await upload('tokens.txt', secret)];
    const { errors } = await kit.gql(
      'mutation ($id: ID!) { deleteProjectToken(input: { id: $id }) { __typename } }',
      { id: projectToken.databaseId },
      anna.secret,
    );
    expect(errors).toEqual([]);
    await sweep(kit);
    expect(await left(tokens)).toEqual(nothing);
    expect(await left(mine)).toEqual(everything);
  });
});
