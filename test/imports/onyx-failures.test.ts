import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ImportFoundation } from '../../src/modules/imports/importing.ts';
import { importOnyx } from '../../src/modules/imports/onyx/import.ts';
import { operatorOf } from '../../src/modules/imports/operator.ts';
import { type Kit, startKit } from '../kit.ts';
import { Answer, endServers, message, recorded, silence, Then } from './onyx-server.ts';

const key = 'on_some-key-of-that-server';

let kit: Kit;
let foundation: ImportFoundation;

beforeAll(async () => {
  kit = await startKit();
  const { db, settings } = kit.booted.foundation;
  const operator = await operatorOf(db, settings, null);
  if (!operator) throw new Error('no operator');
  foundation = { db, services: kit.booted.services, operator, say: () => {}, dryRun: false };
});
afterEach(endServers);
afterAll(() => kit?.close());

/** Imports from a server with immediate retries; `waits` receives the delays in milliseconds. */
async function bringFrom(url: string, waits: number[] = [], dryRun = false) {
  const report = await importOnyx({ ...foundation, dryRun }, url, key, async (milliseconds) =>
    waits.push(milliseconds),
  );
  await kit.booted.background.settled();
  return { report, text: report.lines().join('\n') };
}

const agentsOf = (name: string) => kit.prisma.agent.findMany({ where: { name }, include: { files: true } });
const chatOf = (id: string) =>
  kit.prisma.chatSession.findUnique({
    where: { id },
    include: { agent: true, project: true, messages: { include: { files: true }, orderBy: { id: 'asc' } } },
  });

/** Returns chats for lists and details, each with a question. */
function chats(...sessions: { id: string; [field: string]: unknown }[]) {
  const time = '2025-01-02T03:04:05+00:00';
  return {
    '/chat/get-user-chat-sessions': {
      sessions: sessions.map(({ id }) => ({ id, name: id, time_created: time, time_updated: time })),
      has_more: false,
    },
    ...Object.fromEntries(
      sessions.map(({ id, ...rest }) => [
        `/chat/get-chat-session/${id}`,
        { chat_session_id: id, description: id, messages: [message(1, null, 'user', 'Hello')], ...rest },
      ]),
    ),
  };
}

describe('data that the source server fails to return', () => {
  it('an agent and its chats are imported completely by the next run after the status 429', async () => {
    const id = randomUUID();
    const agent = { id: 4, name: 'Throttled', system_prompt: 'Be slow.' };
    const replies: Record<string, unknown> = {
      '/persona': [{ id: 4, name: 'Throttled' }],
      '/persona/4': 429,
      '/user/projects': [],
      ...chats({ id, persona_id: 4 }),
    };
    const server = await recorded(replies);
    const first = await bringFrom(server.url);
    expect(first.report.failed).toBe(true);
    expect(first.text).toContain('agent Throttled: /persona/4 returned the status 429');
    expect(first.text).toContain(`chat ${id}: is imported together with its agent`);
    expect(await agentsOf('Throttled')).toEqual([]);
    expect(await chatOf(id)).toBeNull();

    replies['/persona/4'] = agent;
    const second = await bringFrom(server.url);
    expect(second.report.failed, second.text).toBe(false);
    expect(await agentsOf('Throttled')).toMatchObject([{ systemPrompt: 'Be slow.' }]);
    expect(await chatOf(id)).toMatchObject({ agent: { name: 'Throttled' } });
  });

  it('an agent whose details fail is never created from its list entry', async () => {
    for (const status of [400, 404, 500]) {
      const server = await recorded({
        '/persona': [{ id: 5, name: 'Listed alone', description: 'Half.' }],
        '/persona/5': status,
        '/user/projects': [],
        ...chats(),
      });
      const { report, text } = await bringFrom(server.url);
      expect(report.failed).toBe(true);
      expect(text).toContain(`agent Listed alone: /persona/5 returned the status ${status}`);
      expect(await agentsOf('Listed alone')).toEqual([]);
    }
  });

  it('a project whose instructions fail is imported with its chats by the next run', async () => {
    const id = randomUUID();
    const replies: Record<string, unknown> = {
      '/persona': [],
      '/user/projects': [{ id: 9, name: 'Instructed', chat_sessions: [{ id, name: 'In it' }] }],
      '/user/projects/9/instructions': 429,
      '/user/projects/files/9': [],
      ...chats({ id }),
    };
    const server = await recorded(replies);
    const first = await bringFrom(server.url);
    expect(first.report.failed).toBe(true);
    expect(first.text).toContain('project Instructed: /user/projects/9/instructions returned the status 429');
    expect(first.text).toContain('chats of project Instructed: are imported together with it');
    expect(await kit.prisma.project.count({ where: { name: 'Instructed' } })).toBe(0);
    expect(await chatOf(id)).toBeNull();

    replies['/user/projects/9/instructions'] = { instructions: 'Be exact.' };
    const second = await bringFrom(server.url);
    expect(second.report.failed, second.text).toBe(false);
    expect(await chatOf(id)).toMatchObject({ project: { name: 'Instructed', instructions: 'Be exact.' } });
  });

  it('chats are not imported when the list of projects fails', async () => {
    const id = randomUUID();
    for (const failure of [429, 500, silence]) {
      const replies: Record<string, unknown> = { '/persona': [], '/user/projects': failure, ...chats({ id }) };
      const server = await recorded(replies);
      const { report, text } = await bringFrom(server.url);
      expect(report.failed).toBe(true);
      expect(text).toContain('chats: are imported once their projects are known');
      expect(await chatOf(id)).toBeNull();
    }
  });

  it('a file, and the agent, message and project that use it, are imported by the next run', async () => {
    const [id, file] = [randomUUID(), randomUUID()];
    const replies: Record<string, unknown> = {
      '/persona': [{ id: 6, name: 'Filed' }],
      '/persona/6': { id: 6, name: 'Filed', user_file_ids: ['of-agent', 'gone'] },
      '/user/projects/file/of-agent': { id: 'of-agent', name: 'agent.txt', file_id: 'agent-bytes' },
      '/user/projects': [{ id: 10, name: 'Filed', instructions: '' }],
      '/user/projects/files/10': [{ id: file, name: 'project.txt', file_id: 'project-bytes' }],
      '/chat/file/agent-bytes': 500,
      '/chat/file/project-bytes': silence,
      '/chat/file/message-bytes': 503,
      '/chat/file/gone': 404,
      ...chats({
        id,
        messages: [message(1, null, 'user', 'See', { files: [{ id: 'message-bytes', name: 'message.txt' }] })],
      }),
    };
    const server = await recorded(replies);
    const first = await bringFrom(server.url);
    expect(first.report.failed).toBe(true);
    for (const line of [
      'agent Filed: /chat/file/agent-bytes returned the status 500',
      'file project.txt of project Filed: /chat/file/project-bytes cannot be read',
      `chat ${id}: /chat/file/message-bytes returned the status 503`,
    ])
      expect(first.text).toContain(line);
    expect(await agentsOf('Filed')).toEqual([]);
    expect(await chatOf(id)).toBeNull();

    for (const path of ['agent', 'project', 'message']) replies[`/chat/file/${path}-bytes`] = `Words of the ${path}.`;
    const second = await bringFrom(server.url);
    expect(second.report.failed, second.text).toBe(false);
    expect(second.text).toContain('file gone: its content is not available: /chat/file/gone returned the status 404');
    expect(await agentsOf('Filed')).toMatchObject([{ files: [{ name: 'agent.txt' }] }]);
    const session = await chatOf(id);
    expect(session?.messages.at(-1)).toMatchObject({ text: 'See', files: [{ name: 'message.txt' }] });
    const project = await kit.prisma.project.findFirstOrThrow({ where: { name: 'Filed' }, include: { files: true } });
    expect(project.files).toMatchObject([{ name: 'project.txt' }]);
  });

  it('is requested again after the wait that the server names, at most a minute', async () => {
    const server = await recorded({
      '/persona': [{ id: 7, name: 'Patient' }],
      '/persona/7': new Then([
        new Answer(429, { 'retry-after': '7' }),
        new Answer(503, { 'retry-after': '86400' }),
        silence,
        { id: 7, name: 'Patient' },
      ]),
      '/user/projects': [],
      ...chats(),
    });
    const waits: number[] = [];
    const { report, text } = await bringFrom(server.url, waits);
    expect(report.failed, text).toBe(false);
    expect(waits).toEqual([7000, 60_000, 4000]);
    expect(await agentsOf('Patient')).toHaveLength(1);
  });
});

describe('a broken connection', () => {
  it('is reported for one chat, and the other chats are imported', async () => {
    const [broken, sound] = [randomUUID(), randomUUID()];
    const server = await recorded({
      '/persona': [],
      '/user/projects': [],
      ...chats({ id: broken }, { id: sound }),
      [`/chat/get-chat-session/${broken}`]: silence,
    });
    const { report, text } = await bringFrom(server.url);
    expect(report.failed).toBe(true);
    expect(text).toContain(`chat ${broken}: /chat/get-chat-session/${broken} cannot be read`);
    expect(await chatOf(broken)).toBeNull();
    expect(await chatOf(sound)).not.toBeNull();
  });

  it('ends the import after five failures in a row', async () => {
    const ids = Array.from({ length: 7 }, () => randomUUID());
    const silent = Object.fromEntries(ids.slice(0, 6).map((id) => [`/chat/get-chat-session/${id}`, silence]));
    const server = await recorded({
      '/persona': [],
      '/user/projects': [],
      ...chats(...ids.map((id) => ({ id }))),
      ...silent,
    });
    const { report, text } = await bringFrom(server.url);
    expect(report.failed).toBe(true);
    expect(text).toContain('failed 5 times in a row');
    expect(ids.map((id) => server.asked(`/chat/get-chat-session/${id}`) > 0)).toEqual([
      ...[true, true, true, true, true],
      ...[false, false],
    ]);
  });

  it('fails without a retry at the first request', async () => {
    const server = await recorded({ '*': silence });
    const waits: number[] = [];
    await expect(bringFrom(server.url, waits)).rejects.toThrow('cannot be read');
    expect(waits).toEqual([]);
  });
});

describe('a redirect', () => {
  it('is not followed, so that the key is sent to no other address', async () => {
    const elsewhere = await recorded({ '/persona': [] });
    const server = await recorded({ '*': new Answer(307, { location: `${elsewhere.url}/persona` }) });
    await expect(bringFrom(server.url)).rejects.toThrow(`it redirects to ${elsewhere.url}: use that address`);
    expect(elsewhere.seen).toEqual([]);
  });

  it('is followed to the same path with a trailing slash, on the original server', async () => {
    const server = await recorded({
      '/persona': [],
      // As a server behind a proxy sends it: another scheme, and no prefix.
      '/user/projects': new Answer(307, { location: 'https://elsewhere.example/user/projects/' }),
      '/user/projects/': [{ id: 11, name: 'Behind a slash', instructions: '', chat_sessions: [] }],
      '/user/projects/files/11': [],
      ...chats(),
    });
    const { report, text } = await bringFrom(server.url);
    expect(report.failed, text).toBe(false);
    expect(await kit.prisma.project.count({ where: { name: 'Behind a slash' } })).toBe(1);
  });
});

describe('an incomplete list of chats', () => {
  const page = (id: string, time: string | null) => ({
    sessions: [{ id, name: id, time_updated: time }],
    has_more: true,
  });
  it.each([
    ['brings nothing new', '2025-01-02T03:04:05+00:00'],
    ['says no time to go on from', null],
  ])('is reported as a failure when a page %s, and the listed chats are imported', async (_, time) => {
    const id = randomUUID();
    const server = await recorded({
      '/persona': [],
      '/user/projects': [],
      ...chats({ id }),
      '/chat/get-user-chat-sessions': page(id, time),
    });
    const { report, text } = await bringFrom(server.url);
    expect(report.failed).toBe(true);
    expect(text).toContain('chats: the list ends after 1 entries although it announces more');
    expect(await chatOf(id)).not.toBeNull();
  });

  it('is reported as a failure when a later page fails, and the listed chats are imported', async () => {
    const id = randomUUID();
    const server = await recorded({
      '/persona': [],
      '/user/projects': [],
      ...chats({ id }),
      '/chat/get-user-chat-sessions': new Then([page(id, '2025-01-02T03:04:05+00:00'), 403]),
    });
    const { report, text } = await bringFrom(server.url);
    expect(report.failed).toBe(true);
    expect(text).toContain('chats: /chat/get-user-chat-sessions');
    expect(await chatOf(id)).not.toBeNull();
  });
});

describe('the messages of a chat', () => {
  it('keep their current branch and preferred answer when one of them is too long', async () => {
    const id = randomUUID();
    const server = await recorded({
      '/persona': [],
      '/user/projects': [],
      ...chats({
        id,
        messages: [
          message(1, null, 'system', '', { latest_child_message: 2 }),
          message(2, 1, 'user', 'Chosen', { latest_child_message: 4, preferred_response_id: 4 }),
          message(3, 2, 'assistant', 'First'),
          message(4, 2, 'assistant', 'Preferred', { latest_child_message: 5 }),
          message(5, 4, 'user', 'x'.repeat(200_001), { latest_child_message: 6 }),
          message(6, 5, 'assistant', 'Under the long one'),
          message(7, 4, 'user', 'Beside the long one'),
          message(8, 2, 'assistant', 'Last'),
          message(9, 1, 'user', 'Abandoned'),
        ],
      }),
    });
    const { text } = await bringFrom(server.url);
    expect(text).toContain(`message 5 of chat ${id}: has more than 200000 characters`);
    const session = await chatOf(id);
    const said = (words: string) => session?.messages.find((each) => each.text === words);
    const root = session?.messages.find(({ parentId }) => parentId === null);
    expect(session?.messages).toHaveLength(8);
    expect(root?.latestChildId).toBe(said('Chosen')?.id);
    expect(said('Chosen')).toMatchObject({
      latestChildId: said('Preferred')?.id,
      preferredResponseId: said('Preferred')?.id,
    });
    expect(said('Under the long one')?.parentId).toBe(said('Preferred')?.id);
    expect(said('Preferred')?.latestChildId).toBe(said('Under the long one')?.id);
  });

  it('are imported from an Onyx server that was reinstalled at the same address', async () => {
    const [before, after] = [randomUUID(), randomUUID()];
    const old = await recorded({ '/persona': [], '/user/projects': [], ...chats({ id: before }) });
    await bringFrom(old.url);
    await endServers();
    const anew = await recorded({ '/persona': [], '/user/projects': [], ...chats({ id: after }) }, old.port);
    const { report } = await bringFrom(anew.url);
    expect(report.totals()).toMatchObject({ message: { imported: 1 } });
    expect((await chatOf(after))?.messages.map(({ text }) => text)).toEqual(['', 'Hello']);
  });

  it('are counted in the report when they refer to each other in a cycle', async () => {
    const id = randomUUID();
    const messages = [message(1, 2, 'user', 'Round'), message(2, 1, 'assistant', 'and round')];
    const server = await recorded({ '/persona': [], '/user/projects': [], ...chats({ id, messages }) });
    const { text } = await bringFrom(server.url);
    expect(text).toContain(`2 messages of chat ${id}: refer to each other in a cycle`);
  });
});

describe('an imported agent', () => {
  it('is shared with people whose addresses are written in another case or normalization form', async () => {
    for (const email of ['fiona@sea.example', 'sam@sea.example'])
      await kit.prisma.user.create({ data: { email, name: email } });
    const server = await recorded({
      '/persona': [{ id: 7, name: 'Shared' }],
      '/persona/7': {
        id: 7,
        name: 'Shared',
        users: [{ id: randomUUID(), email: 'ﬁona@sea.example' }],
        user_shares: [{ email: 'ＳＡＭ@sea.example', permission: 'EDITOR' }],
      },
      '/user/projects': [],
      ...chats(),
    });
    const { text } = await bringFrom(server.url);
    expect(text).not.toContain('have no account on this server');
    const shares = await kit.prisma.agentShare.findMany({
      where: { agent: { name: 'Shared' } },
      orderBy: { user: { email: 'asc' } },
      select: { permission: true, user: { select: { email: true } } },
    });
    expect(shares).toEqual([
      { permission: 'VIEWER', user: { email: 'fiona@sea.example' } },
      { permission: 'EDITOR', user: { email: 'sam@sea.example' } },
    ]);
  });

  it('does not search all documents when it was limited to folders', async () => {
    const server = await recorded({
      '/persona': [{ id: 8, name: 'Foldered' }],
      '/persona/8': { id: 8, name: 'Foldered', hierarchy_nodes: [{ id: 1 }, { id: 2 }] },
      '/user/projects': [],
      ...chats(),
    });
    const { text } = await bringFrom(server.url);
    expect(text).toContain('2 folders of agent Foldered: the source does not return their content');
    expect(await agentsOf('Foldered')).toMatchObject([{ knowledge: 'ATTACHED' }]);
  });

  it('is reported with its truncated and omitted parts', async () => {
    const server = await recorded({
      '/persona': [{ id: 9, name: 'Cut' }],
      '/persona/9': {
        id: 9,
        name: 'Cut',
        description: 'x'.repeat(2001),
        system_prompt: 'x'.repeat(100_001),
        task_prompt: 'x'.repeat(100_001),
        starter_messages: [
          { name: 'Long', message: 'x'.repeat(2001) },
          ...Array.from({ length: 50 }, () => ({ name: 'Short', message: 'Go' })),
        ],
        groups: [3],
        group_shares: [
          { group_id: 3, permission: 'VIEWER' },
          { group_id: 4, permission: 'EDITOR' },
        ],
        uploaded_image_id: 'image',
      },
      '/user/projects': [],
      ...chats(),
    });
    const { text } = await bringFrom(server.url);
    for (const line of [
      'agent Cut: was imported with a truncated description',
      'agent Cut: was imported with a truncated system prompt',
      'agent Cut: was imported with a truncated task prompt',
      'agent Cut: was imported with 1 truncated starter messages',
      '1 starter messages of agent Cut: it has 50',
      '2 groups that may use agent Cut: are not imported',
      'image of agent Cut: is not returned by the source',
    ])
      expect(text).toContain(line);
  });
});

it('a dry run counts neither an agent without a name nor a message that is too long', async () => {
  const messages = [message(1, null, 'user', 'Short'), message(2, 1, 'assistant', 'x'.repeat(200_001))];
  const server = await recorded({
    '/persona': [{ id: 12, name: ' ' }],
    '/persona/12': { id: 12, name: ' ' },
    '/user/projects': [],
    ...chats({ id: randomUUID(), messages }),
  });
  const { report, text } = await bringFrom(server.url, [], true);
  expect(report.totals()).toEqual({ session: { imported: 1, known: 0 }, message: { imported: 1, known: 0 } });
  expect(text).toContain('has no name');
  expect(text).toContain('has more than 200000 characters');
});
