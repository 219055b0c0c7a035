import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
/** The owner of the agents and an editor. */
let anna: { secret: string; userId: string };
let ben: { secret: string; userId: string };
let searchId: number;

beforeAll(async () => {
  kit = await startKit();
  anna = await kit.createKey('BASIC', { name: 'anna' });
  ben = await kit.createKey('BASIC', { name: 'ben' });
  searchId = (await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } })).id;
  for (const title of ['Handbook', 'Manual', 'Private']) await kit.ingest(title, `The text of ${title}.`);
  await kit.prisma.document.update({
    where: { externalId: 'Private' },
    data: { isPublic: false, ownerId: anna.userId },
  });
});
afterAll(() => kit?.close());

let agentId: number;
let fileId: string;
beforeEach(async () => {
  await kit.prisma.agent.deleteMany({ where: { isBuiltin: false } });
  fileId = await kit.upload('notes.txt', 'Notes.', { key: anna.secret });
  const { data, errors } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
    {
      input: {
        name: 'Helper',
        documentIds: ['Handbook', 'Private'],
        actionIds: [searchId],
        fileIds: [fileId],
        userIds: [ben.userId],
      },
    },
    anna.secret,
  );
  expect(errors).toEqual([]);
  agentId = data.createAgent.agent.databaseId;
  await kit.prisma.agent.update({
    where: { id: agentId },
    data: {
      pinnedDocuments: { connect: [{ externalId: 'Handbook' }, { externalId: 'Private' }] },
      shares: { updateMany: { where: {}, data: { permission: 'EDITOR' } } },
    },
  });
});

/** Returns everything that the agent has. */
async function stored() {
  const byTitle = { select: { title: true }, orderBy: { title: 'asc' } } as const;
  const agent = await kit.prisma.agent.findUniqueOrThrow({
    where: { id: agentId },
    include: { documents: byTitle, pinnedDocuments: byTitle, files: true, actions: true, shares: true },
  });
  return {
    documents: agent.documents.map(({ title }) => title),
    pinned: agent.pinnedDocuments.map(({ title }) => title),
    files: agent.files.map(({ id }) => id),
    actions: agent.actions.map(({ id }) => id),
    users: agent.shares.map(({ userId }) => userId),
  };
}

interface Lists {
  documentIds?: string[];
  fileIds?: string[];
  actionIds?: number[];
  userIds?: string[];
}

const ways: [string, (lists: Lists, key: string) => Promise<unknown>][] = [
  [
    'GraphQL',
    async (lists, key) => {
      const { errors } = await kit.gql(
        'mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { databaseId } } }',
        { input: { agent: { id: agentId }, ...lists } },
        key,
      );
      return errors.map(({ message }) => message);
    },
  ],
  [
    'REST',
    async ({ documentIds, fileIds, actionIds, userIds }, key) => {
      const body = {
        name: 'Helper',
        description: '',
        system_prompt: '',
        task_prompt: '',
        datetime_aware: false,
        document_set_ids: [],
        // Onyx requires this list.
        tool_ids: actionIds ?? [searchId],
        document_ids: documentIds,
        user_file_ids: fileIds,
        users: userIds,
      };
      const { status, text } = await kit.rest('PATCH', `/api/persona/${agentId}`, { key, body });
      return status === 200 ? [] : text;
    },
  ],
];

/** The message about objects that do not exist, in GraphQL and on the Onyx paths. */
const missing = /contains objects that do not exist|Some (documents|users) were not found/;

describe.each(ways)('a complete list sent over %s', (_name, update) => {
  it('replaces the documents that the editor can see and keeps the others, with their pins', async () => {
    expect(await update({ documentIds: ['Manual'] }, ben.secret)).toEqual([]);
    expect(await stored()).toMatchObject({ documents: ['Manual', 'Private'], pinned: ['Private'] });
    expect(await update({ documentIds: [] }, ben.secret)).toEqual([]);
    expect(await stored()).toMatchObject({ documents: ['Private'], pinned: ['Private'] });
    expect(await update({ documentIds: [] }, anna.secret)).toEqual([]);
    expect(await stored()).toMatchObject({ documents: [], pinned: [] });
  });

  it('does not reveal to an editor which documents they cannot see', async () => {
    const before = await kit.fingerprint();
    const refused = await update({ documentIds: ['Private'] }, ben.secret);
    expect(JSON.stringify(refused)).toMatch(missing);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('keeps documents and files for a token that cannot read them', async () => {
    const token = await kit.createPat(anna.secret, { scopes: ['read:agents', 'write:agents', 'read:actions'] });
    const before = await stored();
    expect(await update({ documentIds: [], fileIds: [] }, token.secret)).toEqual([]);
    expect(await stored()).toEqual(before);
    expect(await update({ fileIds: [] }, ben.secret)).toEqual([]);
    expect(await stored()).toEqual({ ...before, files: [] });
  });

  it('keeps actions for a token that cannot read them', async () => {
    const token = await kit.createPat(anna.secret, { scopes: ['read:agents', 'write:agents'] });
    expect(await update({ actionIds: [] }, token.secret)).toEqual([]);
    expect((await stored()).actions).toEqual([searchId]);
    expect(await update({ actionIds: [] }, ben.secret)).toEqual([]);
    expect((await stored()).actions).toEqual([]);
  });

  it('keeps a deactivated user when the owner sends the same users again', async () => {
    const { userId } = await kit.person();
    await kit.prisma.agentShare.create({ data: { agentId, userId } });
    await kit.prisma.user.update({ where: { id: userId }, data: { active: false } });
    const users = [ben.userId, userId];
    expect(await update({ userIds: users }, anna.secret)).toEqual([]);
    expect((await stored()).users.sort()).toEqual([...users].sort());
    expect(await update({ userIds: [ben.userId] }, anna.secret)).toEqual([]);
    expect(JSON.stringify(await update({ userIds: users }, anna.secret))).toMatch(missing);
    expect((await stored()).users).toEqual([ben.userId]);
  });
});
