import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importExport } from '../../src/modules/imports/anythingllm/export.ts';
import { importStorage } from '../../src/modules/imports/anythingllm/storage.ts';
import type { ImportFoundation } from '../../src/modules/imports/importing.ts';
import { ImportError, operatorOf } from '../../src/modules/imports/operator.ts';
import { maxFolders } from '../../src/modules/knowledge/folder-rules.ts';
import { type Kit, returned, startKit } from '../kit.ts';
import { document, type Rows, response, type StorageFolder, storageFolder } from './storage.ts';

let kit: Kit;
let folder: StorageFolder;
let foundation: ImportFoundation;

const asked = Date.UTC(2025, 2, 4, 9, 30);

/** A recorded installation with people. */
const installation: Rows = {
  system_settings: [
    { label: 'multi_user_mode', value: 'true' },
    { label: 'telemetry_id', value: 'f3f1b1c4-0000-4000-8000-0000000000aa' },
    { label: 'default_system_prompt', value: 'Answer shortly.' },
    { label: 'default_agent_skills', value: '["web-browsing"]' },
  ],
  users: [
    { id: 1, username: 'root.admin', password: '$2b$10$not-for-us', role: 'admin' },
    { id: 2, username: 'bob', password: 'x', role: 'default', dailyMessageLimit: 30, bio: 'Reads a lot.' },
    { id: 3, username: 'mara', password: 'x', role: 'manager', suspended: 1 },
  ],
  workspaces: [
    {
      id: 7,
      name: 'Harbour Rules',
      slug: 'harbour-rules',
      openAiTemp: 0.4,
      openAiHistory: 11,
      openAiPrompt: 'You know the harbour.',
      similarityThreshold: 0.5,
      topN: 6,
      chatMode: 'query',
      queryRefusalResponse: 'Nothing about that.',
      chatModel: 'gpt-nowhere',
      createdAt: asked - 86_400_000,
    },
    { id: 8, name: 'Second', slug: 'second', createdAt: '2025-03-01T00:00:00.000Z' },
  ],
  workspace_users: [{ user_id: 2, workspace_id: 7 }],
  workspace_documents: [
    { docId: 'a', filename: 'tides.json', docpath: 'custom-documents/tides.json', workspaceId: 7, pinned: 1 },
    { docId: 'b', filename: 'fees.json', docpath: 'paper/fees.json', workspaceId: 7 },
    { docId: 'c', filename: 'gone.json', docpath: 'paper/gone.json', workspaceId: 7 },
  ],
  workspace_threads: [
    {
      id: 21,
      name: 'About fees',
      slug: 'fees-thread',
      workspace_id: 7,
      user_id: 2,
      createdAt: asked,
      lastUpdatedAt: asked,
    },
  ],
  workspace_chats: [
    {
      id: 101,
      workspaceId: 7,
      thread_id: 21,
      user_id: 2,
      prompt: 'What is the fee?',
      response: response('Twelve crowns.', {
        sources: [
          {
            id: 'v1',
            url: 'file:///app/collector/hotdir/Fees',
            title: 'Fees',
            text: '<document_metadata>\nsourceDocument: Fees\n</document_metadata>\n\nThe fee is twelve crowns.',
            score: 0.7,
          },
        ],
        metrics: { model: 'llama', duration: 1.5 },
      }),
      createdAt: asked,
      feedbackScore: 1,
    },
    {
      id: 102,
      workspaceId: 7,
      thread_id: 21,
      user_id: 2,
      prompt: 'Since when?',
      response: response('Since May.'),
      createdAt: asked + 60_000,
    },
    {
      id: 103,
      workspaceId: 7,
      user_id: 2,
      prompt: 'Hello',
      response: response('<think>He greets.</think>Good day.'),
      createdAt: asked + 1000,
    },
    {
      id: 104,
      workspaceId: 7,
      user_id: null,
      api_session_id: 'bot-9',
      prompt: 'Ping',
      response: response('Pong'),
      createdAt: asked + 2000,
    },
    {
      id: 105,
      workspaceId: 7,
      user_id: 2,
      prompt: 'Forgotten',
      response: response('Yes'),
      include: 0,
      createdAt: asked + 3000,
    },
    { id: 106, workspaceId: 99, user_id: 2, prompt: 'Where?', response: response('Nowhere'), createdAt: asked + 4000 },
  ],
  api_keys: [{ name: 'ci', secret: 'AAAAAAA-BBBBBBB-CCCCCCC-DDDDDDD' }],
  invites: [{ code: 'secret-code', createdBy: 1 }],
  embed_configs: [{ uuid: 'e1', workspace_id: 7 }],
};

async function run(options: Partial<ImportFoundation> = {}, path = folder.path) {
  const report = await importStorage({ ...foundation, ...options }, path);
  // Idle connections are closed before the next request uses one of them.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  return report;
}

beforeAll(async () => {
  kit = await startKit();
  folder = storageFolder();
  await folder.database(installation);
  folder.write(
    'documents/custom-documents/tides.json',
    JSON.stringify(document('Tides', 'High water comes twice a day.')),
  );
  folder.write(
    'documents/paper/fees.json',
    JSON.stringify(
      document('Fees', 'The fee is twelve crowns.', { chunkSource: 'link://https://harbour.example/fees' }),
    ),
  );
  folder.write('documents/paper/unused.json', JSON.stringify(document('Unused', 'Nobody embedded this text.')));
  folder.write('vector-cache/one.json', '[]');
  const { db } = kit.booted.foundation;
  const operator = await operatorOf(db, kit.booted.foundation.settings, null);
  if (!operator) throw new Error('no operator');
  foundation = { db, services: kit.booted.services, operator, say: () => {}, dryRun: false };
});
afterAll(async () => {
  folder?.remove();
  await kit?.close();
});

describe('a storage folder of AnythingLLM', () => {
  it('is counted by a dry run, which changes no data', async () => {
    const before = await kit.fingerprint();
    const report = await run({ dryRun: true });
    expect(report.totals()).toMatchObject({
      user: { imported: 3 },
      document: { imported: 3 },
      agent: { imported: 2 },
      chat: { imported: 4 },
    });
    expect(report.lines()[0]).toBe('Dry run: no data was written.');
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is imported, and the report lists the totals and every omission', async () => {
    const progress: string[] = [];
    const report = await run({ say: (line) => progress.push(line) });
    const text = report.lines().join('\n');
    expect(report.failed, text).toBe(false);
    expect(report.totals()).toEqual({
      user: { imported: 3, known: 0 },
      folder: { imported: 1, known: 0 },
      document: { imported: 3, known: 0 },
      agent: { imported: 2, known: 0 },
      member: { imported: 1, known: 0 },
      attachment: { imported: 2, known: 0 },
      session: { imported: 3, known: 0 },
      chat: { imported: 4, known: 0 },
    });
    expect(progress).toContain('documents 3/3');
    expect(text).toContain('attachment paper/gone.json of workspace 7: its document was not imported');
    expect(text).toContain('model gpt-nowhere of agent Harbour Rules: is not available on this server');
    expect(text).toContain('1 API keys: secrets are not imported; create new ones (ci)');
    expect(text).toContain('1 chats: were reset or rejected in the source');
    expect(text).toContain('1 chats: their workspace or thread no longer exists');
    expect(text).toContain('1 chat widgets:');
    expect(text).toContain('1 vector caches:');
    expect(text).toContain('agent skills: have no equivalent here');
    expect(text).toContain('user mara: was a manager and now has the role BASIC');
    expect(text).toContain('passwords are not imported: reset those of root.admin, bob, mara');
    for (const secret of ['AAAAAAA', 'secret-code', '$2b$']) expect(text).not.toContain(secret);
  });

  it('its workspaces become agents', async () => {
    const agent = await kit.prisma.agent.findUniqueOrThrow({
      where: { slug: 'harbour-rules' },
      include: {
        documents: true,
        pinnedDocuments: true,
        actions: true,
        shares: { include: { user: true } },
        owner: true,
      },
    });
    expect(agent).toMatchObject({
      name: 'Harbour Rules',
      systemPrompt: 'You know the harbour.',
      temperature: 0.4,
      historyLimit: 11,
      similarityThreshold: 0.5,
      passageLimit: 6,
      chatMode: 'QUERY',
      refusalText: 'Nothing about that.',
      knowledge: 'ATTACHED',
      isPublic: false,
      model: null,
      createdAt: new Date(asked - 86_400_000),
      ownerId: foundation.operator.userId,
    });
    expect(agent.documents.map(({ title }) => title).sort()).toEqual(['Fees', 'Tides']);
    expect(agent.pinnedDocuments.map(({ title }) => title)).toEqual(['Tides']);
    expect(agent.actions.map(({ builtinKey }) => builtinKey)).toEqual(['SearchTool']);
    expect(agent.shares.map(({ user, permission }) => [user.username, permission])).toEqual([['bob', 'VIEWER']]);
    const second = await kit.prisma.agent.findUniqueOrThrow({ where: { slug: 'second' } });
    expect(second).toMatchObject({
      systemPrompt: 'Answer shortly.',
      historyLimit: 20,
      passageLimit: 4,
      isPublic: false,
    });
    const { data, errors } = await kit.gql('{ agents(first: 100) { nodes { name viewerPermission } } }');
    expect(errors).toEqual([]);
    expect(data.agents.nodes).toContainEqual({ name: 'Harbour Rules', viewerPermission: 'OWNER' });
  });

  it('its documents keep their locations and are found by a search', async () => {
    const fees = await kit.prisma.document.findUniqueOrThrow({
      where: { fileName: 'fees.json' },
      include: { folder: true },
    });
    expect(fees).toMatchObject({
      title: 'Fees',
      link: 'https://harbour.example/fees',
      isPublic: true,
      folder: { name: 'paper' },
      tokenCount: 12,
      metadata: { docAuthor: 'Ada', docSource: 'a file', published: '11/14/2023, 10:13:20 PM' },
    });
    expect(await kit.prisma.document.findUnique({ where: { fileName: 'tides.json' } })).toMatchObject({
      folderId: null,
    });
    const { data, errors } = await kit.gql('{ search(query: "twelve crowns", first: 3) { title link } }');
    expect(errors).toEqual([]);
    expect(data.search[0]).toEqual({ title: 'Fees', link: 'https://harbour.example/fees' });
  });

  it('its users are imported without passwords, with the role BASIC unless they are administrators', async () => {
    const people = await kit.prisma.user.findMany({
      where: { accountType: 'STANDARD' },
      orderBy: { databaseId: 'asc' },
    });
    expect(people).toMatchObject([
      { username: 'root.admin', role: 'ADMIN', active: true, passwordHash: null },
      { username: 'bob', role: 'BASIC', active: true, dailyMessageLimit: 30, bio: 'Reads a lot.', passwordHash: null },
      { username: 'mara', role: 'BASIC', active: false, passwordHash: null },
    ]);
    const login = 'mutation ($input: LoginInput!) { login(input: $input) { token } }';
    const refused = await kit.gql(login, { input: { login: 'root.admin', password: '$2b$10$not-for-us' } }, null);
    expect(returned(refused.data)).toEqual([]);
    expect(refused.errors).toHaveLength(1);
    const reset = await kit.gql(
      'mutation ($id: ID!) { resetUserPassword(input: { user: { id: $id } }) { newPassword } }',
      {
        id: people[1]?.id,
      },
    );
    expect(reset.errors).toEqual([]);
    const password = reset.data.resetUserPassword.newPassword;
    const entered = await kit.gql(login, { input: { login: 'bob', password } }, null);
    expect(entered.errors).toEqual([]);
    // Bob can read his own chats, in GraphQL and REST; no other user can.
    const mine = await kit.gql(
      '{ chatSessions(first: 10) { nodes { name databaseId } } }',
      {},
      entered.data.login.token,
    );
    expect(mine.data.chatSessions.nodes.map(({ name }: { name: string }) => name).sort()).toEqual(['About fees', null]);
    const thread = mine.data.chatSessions.nodes.find(({ name }: { name: string | null }) => name === 'About fees');
    const path = `/api/chat/get-chat-session/${thread.databaseId}`;
    const read = await kit.rest('GET', path, { key: entered.data.login.token });
    expect(read.body.messages.map(({ message }: { message: string }) => message)).toEqual([
      '',
      'What is the fee?',
      'Twelve crowns.',
      'Since when?',
      'Since May.',
    ]);
    expect((await kit.rest('GET', path, { key: kit.keys.BASIC })).status).toBe(404);
    expect(
      (await kit.gql('{ chatSessions(first: 10) { nodes { databaseId } } }', {}, kit.keys.BASIC)).data.chatSessions
        .nodes,
    ).toEqual([]);
    await kit.gql('mutation { logout { loggedOut } }', {}, entered.data.login.token);
  });

  it('its chats keep their order, times, sources and feedback', async () => {
    const session = await kit.prisma.chatSession.findUniqueOrThrow({
      where: { slug: 'fees-thread' },
      include: { messages: { orderBy: { id: 'asc' }, include: { feedback: true } }, user: true },
    });
    expect(session).toMatchObject({ clientKey: null, user: { username: 'bob' }, createdAt: new Date(asked) });
    expect(session.updatedAt).toEqual(new Date(asked + 60_000));
    const [root, question, answer, again, last] = session.messages;
    expect(root).toMatchObject({ role: 'SYSTEM', latestChildId: question?.id });
    expect(question).toMatchObject({ role: 'USER', createdAt: new Date(asked), latestChildId: answer?.id });
    expect(answer).toMatchObject({
      role: 'ASSISTANT',
      status: 'COMPLETE',
      model: 'llama',
      durationMs: 1500,
      latestChildId: again?.id,
      feedback: [{ positive: true, userId: session.userId }],
    });
    const fees = await kit.prisma.document.findUniqueOrThrow({ where: { fileName: 'fees.json' } });
    expect(answer?.passages).toMatchObject([
      { documentId: fees.externalId, title: 'Fees', text: 'The fee is twelve crowns.', number: 1, score: 0.7 },
    ]);
    expect(last).toMatchObject({ parentId: again?.id, latestChildId: null, createdAt: new Date(asked + 60_000) });
    const others = await kit.prisma.chatSession.findMany({
      where: { agent: { slug: 'harbour-rules' }, slug: null },
      include: { user: true, messages: { where: { role: 'ASSISTANT' } } },
      orderBy: { clientKey: 'asc' },
    });
    expect(others).toMatchObject([
      { clientKey: '', user: { username: 'bob' }, messages: [{ text: 'Good day.', reasoning: 'He greets.' }] },
      { clientKey: 'session:bot-9', userId: foundation.operator.userId, messages: [{ text: 'Pong' }] },
    ]);
  });

  it('its import is recorded in the audit trail', async () => {
    const { data } = await kit.gql(
      '{ auditEvents(first: 1, filter: { actions: [IMPORT_RUN] }) { nodes { targetId detail } } }',
    );
    expect(data.auditEvents.nodes).toMatchObject([
      { targetId: 'anythingllm:f3f1b1c4-0000-4000-8000-0000000000aa', detail: { from: 'AnythingLLM', chats: 4 } },
    ]);
  });

  it('changes no data when it is imported again', async () => {
    const before = await kit.fingerprint();
    const report = await run();
    expect(Object.values(report.totals()).every(({ imported }) => imported === 0)).toBe(true);
    expect(report.totals()).toMatchObject({ document: { known: 3 }, chat: { known: 4 }, user: { known: 3 } });
    expect(report.failed).toBe(false);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('adds only new entries when it is imported again, and keeps changes made on this server', async () => {
    await kit.prisma.agent.update({ where: { slug: 'harbour-rules' }, data: { name: 'Renamed here' } });
    const chats = installation.workspace_chats ?? [];
    const next = {
      id: 107,
      workspaceId: 7,
      thread_id: 21,
      user_id: 2,
      prompt: 'And now?',
      response: response('Still twelve.'),
      createdAt: asked + 120_000,
    };
    await folder.database({ ...installation, workspace_chats: [...chats, next] });
    folder.write('documents/paper/new.json', JSON.stringify(document('New', 'A new text.')));
    const report = await run();
    expect(report.totals()).toMatchObject({ document: { imported: 1, known: 3 }, chat: { imported: 1, known: 4 } });
    const session = await kit.prisma.chatSession.findUniqueOrThrow({
      where: { slug: 'fees-thread' },
      include: { messages: { orderBy: { id: 'asc' } } },
    });
    expect(session.messages.slice(-3)).toMatchObject([
      { text: 'Since May.', latestChildId: session.messages.at(-2)?.id },
      { text: 'And now?', parentId: session.messages.at(-3)?.id },
      { text: 'Still twelve.', createdAt: new Date(asked + 120_000) },
    ]);
    expect(await kit.prisma.agent.findUnique({ where: { slug: 'harbour-rules' } })).toMatchObject({
      name: 'Renamed here',
    });
  });

  it('does not restore data that was deleted on this server', async () => {
    await kit.prisma.chatSession.update({
      where: { slug: 'fees-thread' },
      data: { deletedAt: new Date(), slug: null },
    });
    const chats = installation.workspace_chats ?? [];
    const next = {
      id: 108,
      workspaceId: 7,
      thread_id: 21,
      user_id: 2,
      prompt: 'Too late',
      response: response('Yes'),
      createdAt: asked + 180_000,
    };
    await folder.database({ ...installation, workspace_chats: [...chats, next] });
    const before = await kit.fingerprint();
    const report = await run();
    expect(report.lines().join('\n')).toContain('chat 108: its chat was deleted here');
    expect(report.failed).toBe(false);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is imported in addition to another installation, under free names', async () => {
    const other = storageFolder();
    await other.database({
      workspaces: [{ id: 7, name: 'Second', slug: 'second' }],
      workspace_chats: [
        { id: 101, workspaceId: 7, prompt: 'One', response: response('Two'), createdAt: '2024-05-06 07:08:09' },
      ],
    });
    other.write('documents/custom-documents/tides.json', JSON.stringify(document('Other tides', 'Low water.')));
    const report = await run({}, other.path);
    const text = report.lines().join('\n');
    expect(text).toContain('agent Second: was renamed to Second (2) because');
    expect(text).toMatch(/agent Second: received the slug second-\d{8} because second is already in use/);
    expect(text).toContain(
      'document custom-documents/tides.json: was renamed because another document has this file name',
    );
    const agent = await kit.prisma.agent.findFirstOrThrow({
      where: { name: 'Second (2)' },
      include: { chatSessions: { include: { messages: { where: { role: 'USER' } } } } },
    });
    expect(agent.isPublic).toBe(true);
    expect(agent.chatSessions).toMatchObject([
      {
        clientKey: '',
        userId: foundation.operator.userId,
        messages: [{ createdAt: new Date('2024-05-06T07:08:09Z') }],
      },
    ]);
    other.remove();
  });
});

describe('a user who cannot be imported', () => {
  it('leaves no chats or threads to other users, and is reported with the number of them', async () => {
    const other = storageFolder();
    const chat = (id: number, user_id: number | null, thread_id: number | null = null) => ({
      id,
      workspaceId: 1,
      user_id,
      thread_id,
      prompt: `Private ${id}`,
      response: response('Yes'),
      createdAt: asked + id,
    });
    await other.database({
      system_settings: [{ label: 'telemetry_id', value: 'strangers' }],
      users: [
        { id: 1, username: 'Alice', password: 'x' },
        { id: 2, username: '007', password: 'x' },
        { id: 3, username: 'root.admin', password: 'x' },
        { id: 4, username: 'carol', password: 'x' },
      ],
      workspaces: [{ id: 1, name: 'Strangers', slug: 'strangers' }],
      workspace_threads: [{ id: 1, name: 'Diary', slug: 'diary', workspace_id: 1, user_id: 1 }],
      workspace_chats: [
        chat(1, 1, 1),
        chat(2, 1),
        chat(3, 2),
        chat(4, 3),
        chat(5, 4),
        chat(6, null),
        // A chat of a deleted person.
        chat(7, 9),
      ],
    });
    const reason = 'have no other owner, and that user was not imported';
    const planned = await run({ dryRun: true }, other.path);
    expect(planned.lines().join('\n')).toContain(`2 chats and 1 threads of user Alice: ${reason}`);
    const report = await run({}, other.path);
    const text = report.lines().join('\n');
    expect(text).toContain(`2 chats and 1 threads of user Alice: ${reason}`);
    expect(text).toContain(`1 chats and 0 threads of user 007: ${reason}`);
    expect(text).toContain(`1 chats and 0 threads of user root.admin: ${reason}`);
    expect(text).toContain(`1 chats and 0 threads of user 9: ${reason}`);
    const sessions = await kit.prisma.chatSession.findMany({
      where: { agent: { slug: 'strangers' } },
      include: { user: true, messages: { where: { role: 'USER' } } },
      orderBy: { databaseId: 'asc' },
    });
    expect(sessions.map(({ user, messages }) => [user.username, messages.map(({ text }) => text)])).toEqual([
      ['carol', ['Private 5']],
      [null, ['Private 6']],
    ]);
    expect(sessions[1]?.userId).toBe(foundation.operator.userId);
    other.remove();
  });
});

describe('users whose usernames yield the same address', () => {
  const chat = (id: number, user_id: number, workspaceId: number) => ({
    id,
    workspaceId,
    user_id,
    prompt: `Of ${user_id}`,
    response: response('Yes'),
    createdAt: asked + id,
  });

  it('remain two accounts, each with separate chats and workspaces', async () => {
    const other = storageFolder();
    await other.database({
      system_settings: [
        { label: 'telemetry_id', value: 'alike' },
        { label: 'multi_user_mode', value: 'true' },
      ],
      users: [
        { id: 1, username: 'x.y', password: 'x' },
        { id: 2, username: 'x@y', password: 'x' },
      ],
      workspaces: [
        { id: 1, name: 'Alike 1', slug: 'alike-1' },
        { id: 2, name: 'Alike 2', slug: 'alike-2' },
      ],
      workspace_users: [
        { user_id: 1, workspace_id: 1 },
        { user_id: 2, workspace_id: 2 },
      ],
      workspace_chats: [chat(1, 1, 1), chat(2, 2, 2)],
    });
    const report = await run({}, other.path);
    expect(report.totals()).toMatchObject({ user: { imported: 2 }, chat: { imported: 2 }, member: { imported: 2 } });
    const people = await kit.prisma.user.findMany({
      where: { username: { in: ['x.y', 'x@y'] } },
      include: { chatSessions: { include: { messages: { where: { role: 'USER' } } } } },
      orderBy: { databaseId: 'asc' },
    });
    expect(people).toMatchObject([
      { username: 'x.y', email: 'x.y@anythingllm.invalid', chatSessions: [{ messages: [{ text: 'Of 1' }] }] },
      { username: 'x@y', email: 'x.y.2@anythingllm.invalid', chatSessions: [{ messages: [{ text: 'Of 2' }] }] },
    ]);
    const shares = await kit.prisma.agentShare.findMany({
      where: { agent: { slug: { startsWith: 'alike-' } } },
      include: { agent: true, user: true },
      orderBy: { agentId: 'asc' },
    });
    expect(shares.map(({ agent, user }) => [agent.slug, user.username])).toEqual([
      ['alike-1', 'x.y'],
      ['alike-2', 'x@y'],
    ]);
    other.remove();
  });

  it('are matched by address when the username is one, and never share an existing account', async () => {
    await kit.prisma.user.create({ data: { email: 'dora@sea.example', username: 'dora', name: 'Dora' } });
    const other = storageFolder();
    await other.database({
      system_settings: [{ label: 'telemetry_id', value: 'addresses' }],
      users: [
        { id: 1, username: 'dora@sea.example', password: 'x' },
        { id: 2, username: 'dora', password: 'x' },
      ],
      workspaces: [{ id: 1, name: 'Addresses', slug: 'addresses' }],
      workspace_chats: [chat(1, 1, 1), chat(2, 2, 1)],
    });
    const text = (await run({}, other.path)).lines().join('\n');
    expect(text).toContain('user dora@sea.example: already existed');
    expect(text).toContain('user dora: matches an account that already belongs to another imported person');
    expect(text).toContain('1 chats and 0 threads of user dora: have no other owner');
    const said = await kit.prisma.chatMessage.findMany({
      where: { role: 'USER', session: { user: { email: 'dora@sea.example' } } },
    });
    expect(said.map(({ text }) => text)).toEqual(['Of 1']);
    other.remove();
  });
});

describe('folders whose names look the same in another normalization form', () => {
  it('are the folder of this server, and the default folder for its name', async () => {
    const other = storageFolder();
    await other.database({ system_settings: [{ label: 'telemetry_id', value: 'lookalike-folders' }] });
    for (const name of ['Me\u0301moires', 'ｃustom-documents'])
      other.write(`documents/${name}/one.json`, JSON.stringify(document(`Form of ${name}`, `The text of ${name}.`)));
    const { id } = await kit.prisma.documentFolder.create({ data: { name: 'M\u00e9moires' } });
    const report = await run({}, other.path);
    expect(report.lines().join('\n')).not.toContain('Failed');
    expect(report.totals()).toMatchObject({ folder: { imported: 1 }, document: { imported: 2 } });
    const imported = await kit.prisma.document.findMany({
      where: { title: { startsWith: 'Form of ' } },
      orderBy: { title: 'asc' },
      select: { folderId: true },
    });
    expect(imported).toEqual([{ folderId: id }, { folderId: null }]);
    other.remove();
  });
});

describe('folders beyond the maximum of the server', () => {
  it('are not imported, and their documents go to the default folder', async () => {
    const other = storageFolder();
    await other.database({ system_settings: [{ label: 'telemetry_id', value: 'many-folders' }] });
    for (const name of ['beyond-a', 'beyond-b'])
      other.write(`documents/${name}/one.json`, JSON.stringify(document(`In ${name}`, `The text of ${name}.`)));
    const room = maxFolders - 1 - (await kit.prisma.documentFolder.count());
    const names = Array.from({ length: room }, (_, index) => `filler-${index}`);
    await kit.prisma.documentFolder.createMany({ data: names.map((name) => ({ name })) });
    const report = await run({}, other.path);
    expect(report.totals()).toMatchObject({ folder: { imported: 1 }, document: { imported: 2 } });
    expect(report.lines().join('\n')).toContain(`folder beyond-b: Too many folders (limit: ${maxFolders}).`);
    expect(await kit.prisma.documentFolder.count()).toBe(maxFolders);
    const imported = await kit.prisma.document.findMany({
      where: { title: { startsWith: 'In beyond-' } },
      orderBy: { title: 'asc' },
      select: { folder: { select: { name: true } } },
    });
    expect(imported).toEqual([{ folder: { name: 'beyond-a' } }, { folder: null }]);
    await kit.prisma.documentFolder.deleteMany({ where: { name: { startsWith: 'filler-' } } });
    other.remove();
  });
});

describe('a document that was moved between folders in AnythingLLM', () => {
  const uuid = '5f6c9d1e-8f0a-4b7b-9c3d-2a1b0c9d8e7f';
  it.each([
    ['its id', 'moved-one.json', { id: uuid }],
    ['the id in its file name', `moved-two-${uuid}.json`, { id: null }],
  ])('is recognized by %s, and stays attached to its workspace', async (_how, file, rest) => {
    const other = storageFolder();
    const slug = file.slice(0, 9);
    const at = async (parent: string, name = file) => {
      const docpath = `${parent}/${name}`;
      await other.database({
        system_settings: [{ label: 'telemetry_id', value: slug }],
        workspaces: [{ id: 1, name: slug, slug }],
        workspace_documents: [{ docId: 'a', filename: name, docpath, workspaceId: 1 }],
      });
      other.write(`documents/${docpath}`, JSON.stringify(document(slug, 'It moves.', rest)));
    };
    await at('custom-documents');
    await run({}, other.path);
    rmSync(join(other.path, 'documents/custom-documents', file));
    await at('archive');
    const report = await run({}, other.path);
    expect(report.totals()).toMatchObject({
      document: { imported: 0, known: 1 },
      attachment: { imported: 0, known: 1 },
    });
    const before = await kit.fingerprint();
    await run({}, other.path);
    expect(await kit.fingerprint()).toBe(before);
    const agent = await kit.prisma.agent.findUniqueOrThrow({ where: { slug }, include: { documents: true } });
    expect(agent.documents.map(({ title }) => title)).toEqual([slug]);
    expect(await kit.prisma.document.count({ where: { title: slug } })).toBe(1);
    other.remove();
  });

  it('a copy with the same ID is treated as the same document and is reported', async () => {
    const other = storageFolder();
    for (const name of ['a.json', 'b.json'])
      other.write(`documents/custom-documents/${name}`, JSON.stringify(document('Twin', 'Said twice.')));
    const report = await run({}, other.path);
    expect(report.totals()).toEqual({ document: { imported: 1, known: 0 } });
    expect(report.lines().join('\n')).toContain(
      'document custom-documents/b.json: has the same ID as custom-documents/a.json and is treated as the same document',
    );
    other.remove();
  });
});

describe('suggested messages and chats of widgets', () => {
  it('become starter messages, and truncated or omitted ones are reported', async () => {
    const other = storageFolder();
    const suggested = (workspaceId: number, heading: string, message: string) => ({ workspaceId, heading, message });
    await other.database({
      system_settings: [{ label: 'telemetry_id', value: 'suggestions' }],
      workspaces: [
        { id: 1, name: 'Few', slug: 'few' },
        { id: 2, name: 'Many', slug: 'many' },
      ],
      workspace_suggested_messages: [
        suggested(1, 'Tides', 'When is high water?'),
        suggested(1, 'h'.repeat(201), 'm'.repeat(2001)),
        suggested(1, 'Nothing', ' '),
        ...Array.from({ length: 51 }, (_, index) => suggested(2, `${index}`, `Question ${index}`)),
      ],
      embed_configs: [{ id: 1, uuid: 'e1', workspace_id: 1 }],
      embed_chats: [1, 2].map((id) => ({ id, prompt: 'Hi', response: 'Ho', session_id: 's', embed_id: 1 })),
    });
    const text = (await run({}, other.path)).lines().join('\n');
    expect(text).toContain('agent Few: was imported without 1 empty suggested messages');
    expect(text).toContain('agent Few: was imported with 1 truncated suggested messages');
    expect(text).toContain('agent Many: was imported with only the first 50 of 51 suggested messages');
    expect(text).toContain('1 chat widgets:');
    expect(text).toContain('2 chats of widgets: belong to visitors and are not imported');
    const startersOf = (slug: string) =>
      kit.prisma.starterMessage.findMany({ where: { agent: { slug } }, orderBy: { position: 'asc' } });
    expect(await startersOf('few')).toMatchObject([
      { position: 0, name: 'Tides', message: 'When is high water?' },
      { position: 1, name: 'h'.repeat(200), message: 'm'.repeat(2000) },
    ]);
    const many = await startersOf('many');
    expect(many).toHaveLength(50);
    expect(many.at(-1)).toMatchObject({ name: '49', message: 'Question 49' });
    other.remove();
  });
});

describe('malformed entries', () => {
  it('are reported by name and skipped, and the other entries are imported', async () => {
    const hostile = storageFolder();
    await hostile.database({
      system_settings: [{ label: 'telemetry_id', value: 'hostile' }],
      users: [
        { id: 1, username: 'No Such Name\u001b[31m', password: 'x' },
        { id: 2, username: 'eve@x.onyxapikey.ai', password: 'x', role: 'admin' },
      ],
      workspaces: [
        {
          id: 1,
          name: 'Hostile',
          slug: '../../etc',
          openAiTemp: 'hot',
          topN: -5,
          openAiHistory: -1,
          similarityThreshold: 9,
          chatMode: 'evil',
        },
        { id: 2, name: '', slug: '' },
      ],
      workspace_documents: [{ docId: 'x', filename: 'passwd', docpath: '../../../etc/passwd', workspaceId: 1 }],
      workspace_threads: [{ id: 5, name: 'T', slug: 's', workspace_id: 77 }],
      workspace_chats: [
        { id: 1, workspaceId: 1, prompt: 'broken', response: '{"text":' },
        { id: 2, workspaceId: 1, prompt: 'x'.repeat(200_001), response: response('y') },
        { id: 3, workspaceId: 1, prompt: 'nul\0 and \ud800', response: response('fine\0') },
        { id: 4, workspaceId: 1, prompt: 'no text', response: '{"sources":[]}' },
      ],
    });
    hostile.write('secret.json', JSON.stringify(document('Inside', 'Within the folder, and no document.')));
    hostile.write('documents/custom-documents/good.json', JSON.stringify(document('Good', 'Good text.')));
    hostile.write('documents/custom-documents/broken.json', '{"title": ');
    hostile.write('documents/custom-documents/list.json', '[]');
    hostile.write('documents/custom-documents/empty.json', JSON.stringify(document('Empty', ' ')));
    hostile.write('documents/custom-documents/nul.json', JSON.stringify(document('N\0UL', 'With\0out.')));
    hostile.write('documents/custom-documents/huge.json', JSON.stringify(document('Huge', 'x'.repeat(5_000_001))));
    hostile.write('documents/custom-documents/note.txt', 'no document');
    hostile.write('documents/stray.json', '{}');
    const outside = storageFolder();
    outside.write('outside.json', JSON.stringify(document('Outside', 'Stolen text.')));
    symlinkSync(join(outside.path, 'outside.json'), join(hostile.path, 'documents/custom-documents/leak.json'));
    symlinkSync(outside.path, join(hostile.path, 'documents/leak'));
    symlinkSync('/nowhere', join(hostile.path, 'documents/custom-documents/dangling.json'));
    symlinkSync('/dev/zero', join(hostile.path, 'documents/custom-documents/zero.json'));

    const report = await run({}, hostile.path);
    const text = report.lines().join('\n');
    expect(report.failed, text).toBe(false);
    expect(text).not.toContain('\u001b');
    for (const line of [
      'document custom-documents/broken.json: is not JSON',
      'document custom-documents/list.json: is not a document of AnythingLLM',
      'document custom-documents/empty.json: has no text',
      'document custom-documents/huge.json: has more than 5000000 characters',
      'documents/custom-documents/note.txt: is not the file of a document',
      'documents/stray.json: is not a folder',
      'document custom-documents/leak.json: is a link to a target outside the folder',
      'document custom-documents/zero.json: is a link to a target outside the folder',
      'document custom-documents/dangling.json: is a broken link',
      'documents/leak: is not a folder',
      'document custom-documents/nul.json: was imported without its NUL characters',
      'user No Such Name [31m: has a user name that is not allowed here',
      'user eve@x.onyxapikey.ai: has a user name that is not allowed here',
      'attachment ../../../etc/passwd of workspace 1: its document was not imported',
      'thread T: its workspace was not imported',
      'agent 2: has no slug',
      'because ../../etc is not valid in a URL',
      'chat 1: has an answer that is not JSON',
      'chat 2: has more than 200000 characters',
      'chat 4: has an answer that is not JSON',
    ])
      expect(text).toContain(line);
    const source = { source: 'anythingllm:hostile' };
    const documents = await kit.prisma.importRecord.findMany({ where: { ...source, kind: 'document' } });
    expect(documents.map(({ sourceId }) => sourceId).sort()).toEqual(['Good-id', 'NUL-id']);
    expect(await kit.prisma.document.count({ where: { title: { in: ['Outside', 'Inside'] } } })).toBe(0);
    expect(await kit.prisma.agent.findFirst({ where: { name: 'Hostile' } })).toMatchObject({
      passageLimit: 1,
      historyLimit: 0,
      similarityThreshold: 1,
      temperature: null,
      chatMode: 'AUTOMATIC',
      slug: 'hostile',
    });
    const chat = await kit.prisma.importRecord.findMany({ where: { ...source, kind: 'chat' } });
    expect(chat.map(({ sourceId }) => sourceId)).toEqual(['3']);
    expect(await kit.prisma.chatMessage.findUnique({ where: { id: Number(chat[0]?.targetId) } })).toMatchObject({
      text: 'fine',
    });
    hostile.remove();
    outside.remove();
  });

  it.each([
    ['is no SQLite database', 'This is no database at all.', 'is not an SQLite database'],
    ['is broken behind its first bytes', `SQLite format 3\0${'garbage '.repeat(100)}`, 'cannot be read'],
  ])('a database that %s is rejected before data is written', async (_name, content, reason) => {
    const broken = storageFolder();
    broken.write('anythingllm.db', content);
    broken.write('documents/custom-documents/only.json', JSON.stringify(document('Only', 'One text.')));
    const before = await kit.fingerprint();
    const refused = run({}, broken.path);
    await expect(refused).rejects.toThrow(ImportError);
    await expect(refused).rejects.toThrow(`anythingllm.db: ${reason}`);
    expect(await kit.fingerprint()).toBe(before);
    broken.remove();
  });

  it('a broken link to a database is an error, unlike a missing database', async () => {
    const linked = storageFolder();
    symlinkSync('/nowhere', join(linked.path, 'anythingllm.db'));
    linked.write('documents/custom-documents/linked.json', JSON.stringify(document('Linked', 'One text.')));
    await expect(run({}, linked.path)).rejects.toThrow('anythingllm.db: is a broken link');
    linked.remove();
  });

  it.each(['-wal', '-journal'])(
    'an import is rejected while AnythingLLM writes its %s, and imports the documents once afterwards',
    async (suffix) => {
      const busy = storageFolder();
      await busy.database({ system_settings: [{ label: 'telemetry_id', value: `busy${suffix}` }] });
      busy.write(`anythingllm.db${suffix}`, 'what is not in the database yet');
      busy.write('documents/custom-documents/busy.json', JSON.stringify(document(`Busy${suffix}`, 'One text.')));
      const before = await kit.fingerprint();
      const refused = run({}, busy.path);
      await expect(refused).rejects.toThrow(ImportError);
      await expect(refused).rejects.toThrow('anythingllm.db: is being written to: stop AnythingLLM first');
      expect(await kit.fingerprint()).toBe(before);
      busy.write(`anythingllm.db${suffix}`, '');
      expect((await run({}, busy.path)).totals()).toMatchObject({ document: { imported: 1 } });
      expect(await kit.prisma.document.count({ where: { title: `Busy${suffix}` } })).toBe(1);
      busy.remove();
    },
  );

  it('only documents are imported when there is no database', async () => {
    const alone = storageFolder();
    alone.write('documents/custom-documents/alone.json', JSON.stringify(document('Alone', 'One text.')));
    const report = await run({}, alone.path);
    expect(report.lines().join('\n')).toContain('anythingllm.db: does not exist');
    expect(report.totals()).toEqual({ document: { imported: 1, known: 0 } });
    alone.remove();
  });

  it('a folder that is not a storage folder of AnythingLLM is rejected', async () => {
    const other = storageFolder();
    await expect(run({}, other.path)).rejects.toThrow('is not a storage folder of AnythingLLM');
    other.remove();
  });
});

describe('a chat export of AnythingLLM', () => {
  const chat = (id: number, rest: object = {}) => ({
    id,
    prompt: `Question ${id}`,
    response: `Answer ${id}`,
    sent_at: new Date(asked + id * 1000).toISOString(),
    attachments: [],
    workspace: 'Exported',
    username: 'API',
    rating: '--',
    ...rest,
  });
  const write = (content: unknown): string => {
    const path = join(folder.path, 'export.json');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('is imported by workspace and user name, and each chat only once', async () => {
    const path = write([
      chat(3),
      chat(2, { rating: 'BAD' }),
      chat(1, { username: 'bob', rating: 'GOOD', attachments: [{ type: 'image', image: 'data:' }] }),
      chat(4, { username: 'stranger' }),
      'nothing',
      chat(5, { sent_at: 'never' }),
      chat(6, { response: 'x'.repeat(200_001) }),
    ]);
    const report = await importExport(foundation, path);
    const text = report.lines().join('\n');
    expect(report.totals()).toMatchObject({ agent: { imported: 1 }, session: { imported: 2 }, chat: { imported: 3 } });
    expect(text).toContain('entry 5: is not an exported chat');
    expect(text).toContain('chat 5: has no date');
    expect(text).toContain('chat 6: has more than 200000 characters');
    expect(text).toContain('1 images of chats');
    expect(text).toContain(
      '1 chats of stranger in Exported: have no other owner, and no person here has that user name',
    );
    const sessions = await kit.prisma.chatSession.findMany({
      where: { agent: { name: 'Exported', slug: 'exported', isPublic: true } },
      include: {
        user: true,
        messages: { where: { role: { not: 'SYSTEM' } }, orderBy: { id: 'asc' }, include: { feedback: true } },
      },
      orderBy: { databaseId: 'asc' },
    });
    expect(sessions.map(({ name, user, messages }) => [name, user.username, messages.map(({ text }) => text)])).toEqual(
      [
        ['API', null, ['Question 2', 'Answer 2', 'Question 3', 'Answer 3']],
        [null, 'bob', ['Question 1', 'Answer 1']],
      ],
    );
    expect(sessions[0]?.messages[1]?.feedback).toMatchObject([{ positive: false }]);
    expect(sessions[1]?.messages[1]?.feedback).toMatchObject([{ positive: true }]);

    const before = await kit.fingerprint();
    await importExport(foundation, path);
    expect(await kit.fingerprint()).toBe(before);
    const more = await importExport(foundation, write([chat(3), chat(7)]));
    expect(more.totals()).toMatchObject({ chat: { imported: 1, known: 1 } });
  });

  it('adds no chat again when its workspace or user was renamed in AnythingLLM', async () => {
    const named = (id: number, username: string, workspace: string) => chat(id, { username, workspace });
    await importExport(foundation, write([named(21, 'bob', 'Before'), named(22, 'bob', 'Before')]));
    // Another person has the name now.
    const entries = [named(21, 'robert', 'After'), named(22, 'robert', 'After'), named(23, 'robert', 'After')];
    const report = await importExport(foundation, write([...entries, named(24, 'bob', 'Before')]));
    expect(report.totals()).toMatchObject({ chat: { imported: 2, known: 2 }, session: { imported: 1, known: 1 } });
    const sessions = await kit.prisma.chatSession.findMany({
      where: { agent: { name: { in: ['Before', 'After'] } } },
      include: { agent: true, messages: { where: { role: 'USER' }, orderBy: { id: 'asc' } } },
      orderBy: { databaseId: 'asc' },
    });
    expect(sessions.map(({ agent, messages }) => [agent.name, messages.map(({ text }) => text)])).toEqual([
      ['Before', ['Question 21', 'Question 22', 'Question 23']],
      ['Before', ['Question 24']],
    ]);
  });

  it('does not add chats of an unknown user to the chats of a user deleted in AnythingLLM', async () => {
    const named = (id: number, username: string) => chat(id, { username, workspace: 'Orphaned' });
    await importExport(foundation, write([named(31, 'bob')]));
    const path = write([named(31, 'unknown user'), named(32, 'unknown user')]);
    expect((await importExport(foundation, path)).totals()).toMatchObject({ chat: { imported: 1, known: 1 } });
    const sessions = await kit.prisma.chatSession.findMany({
      where: { agent: { name: 'Orphaned' } },
      include: { user: true, messages: { where: { role: 'USER' } } },
      orderBy: { databaseId: 'asc' },
    });
    expect(sessions.map(({ user, messages }) => [user.username, messages.map(({ text }) => text)])).toEqual([
      ['bob', ['Question 31']],
      [null, ['Question 32']],
    ]);
    const before = await kit.fingerprint();
    await importExport(foundation, path);
    expect(await kit.fingerprint()).toBe(before);
  });

  it.each([
    ['{"chats": []}', 'does not contain a list'],
    ['{', 'is not JSON'],
  ])('is rejected when it is malformed: %s', async (content, reason) => {
    const before = await kit.fingerprint();
    await expect(importExport(foundation, write(content))).rejects.toThrow(reason);
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('the operator of an import', () => {
  it('is the bootstrap key or the named administrator, and no other account', async () => {
    const { db, settings } = kit.booted.foundation;
    const key = await kit.prisma.user.findUniqueOrThrow({ where: { id: foundation.operator.userId } });
    expect(key.role).toBe('ADMIN');
    for (const address of ['ROOT.ADMIN@anythingllm.invalid', 'ｒoot.admin@anything\u00adllm.invalid'])
      expect(await operatorOf(db, settings, address)).toMatchObject({ name: 'root.admin' });
    for (const address of ['bob@anythingllm.invalid', 'nobody@x.example'])
      await expect(operatorOf(db, settings, address)).rejects.toThrow('no administrator has this address');
  });
});
