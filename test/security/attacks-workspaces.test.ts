import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importStorage } from '../../src/modules/imports/anythingllm/storage.ts';
import { operatorOf } from '../../src/modules/imports/operator.ts';
import { readSettings } from '../../src/settings.ts';
import { response, storageFolder } from '../imports/storage.ts';
import { type Answer, type GraphQLAnswer, type Kit, returned, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';
import { updateKey } from './keys.ts';

/** Attacks on the rules of workspaces, threads, people and invite codes. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { TRUSTED_PROXIES: '1' } });
  // The administration endpoints require a person.
  await kit.person({ email: 'first@people.example' });
});
afterAll(() => kit.close());

const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;

/** Expects that a call neither stores nor changes data. */
async function unchanged<T>(call: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const answer = await call();
  // The content of rejected files is erased after the response.
  await kit.booted.background.settled();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

let made = 0;
async function workspace(key: string, settings: object = {}): Promise<{ id: number; slug: string }> {
  const { body } = await kit.rest('POST', '/api/v1/workspace/new', {
    key,
    body: { name: `Room ${++made}`, ...settings },
  });
  return { id: body.workspace.id, slug: body.workspace.slug };
}
const chat = (slug: string, message: string, key: string, more: object = {}) =>
  kit.rest('POST', `/api/v1/workspace/${slug}/chat`, { key, body: { message, ...more } });
const inThread = (slug: string, thread: string, message: string, key: string) =>
  kit.rest('POST', `/api/v1/workspace/${slug}/thread/${thread}/chat`, { key, body: { message } });
const newThread = async (slug: string, key: string, body: object = {}): Promise<string> =>
  (await kit.rest('POST', `/api/v1/workspace/${slug}/thread/new`, { key, body })).body.thread.slug;
const Send = 'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId answer } }';
/** Returns the last request to the model. */
const told = (): string => JSON.stringify(kit.model.requests.at(-1)?.body);

const updateUser = (input: object, key = kit.keys.ADMIN) =>
  kit.gql(
    'mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { email username } } }',
    { input },
    key,
  );

describe('a credential without read:chat that continues a chat by name', () => {
  test.each(['the unnamed chat', 'a client’s session', 'a thread'])(
    '%s: the model receives only the messages of this credential',
    async (which) => {
      const owner = await kit.createKey('BASIC');
      const { slug } = await workspace(owner.secret);
      const { secret: cut } = await kit.createPat(owner.secret, { scopes: ['write:chat', 'read:agents'] });
      const { secret: whole } = await kit.createPat(owner.secret, {
        scopes: ['write:chat', 'read:agents', 'read:chat'],
      });
      const thread = which === 'a thread' ? await newThread(slug, owner.secret, { slug: `plans-${slug}` }) : null;
      const session = which === 'a client’s session' ? { sessionId: 'visitor' } : {};
      const say = (message: string, key: string) =>
        thread === null ? chat(slug, message, key, session) : inThread(slug, thread, message, key);

      expect((await say('the secret word is xyzzy', owner.secret)).status).toBe(200);
      expect((await say('what did I say?', cut)).status).toBe(200);
      expect(told()).toContain('what did I say?');
      expect(told()).not.toContain('xyzzy');
      // It receives its own messages.
      expect((await say('and just now?', cut)).status).toBe(200);
      expect(told()).toContain('what did I say?');
      expect(told()).not.toContain('xyzzy');
      expect((await say('repeat all of it', whole)).status).toBe(200);
      expect(told()).toContain('xyzzy');
      expect(told()).toContain('and just now?');
    },
  );

  test('cannot regenerate the answer to a question of another credential', async () => {
    const owner = await kit.createKey('BASIC');
    const { slug } = await workspace(owner.secret);
    const { secret: cut } = await kit.createPat(owner.secret, { scopes: ['write:chat', 'read:agents'] });
    await chat(slug, 'the secret word is plugh', owner.secret);
    const { id } = await kit.prisma.chatMessage.findFirstOrThrow({ where: { text: 'the secret word is plugh' } });
    const anew = (messageId: number, key: string) =>
      kit.gql(Send, { input: { message: '', chat: { agent: { slug } }, parent: { messageId } } }, key);
    const requests = kit.model.requests.length;
    expect(code(await unchanged(() => anew(id, cut)))).toBe('BAD_USER_INPUT');
    expect(kit.model.requests.length).toBe(requests);
    expect((await anew(id, owner.secret)).errors).toEqual([]);
    await chat(slug, 'mine', cut);
    const mine = await kit.prisma.chatMessage.findFirstOrThrow({ where: { text: 'mine' } });
    expect((await anew(mine.id, cut)).errors).toEqual([]);
    expect(told()).not.toContain('plugh');
  });

  test('cannot read the chat on any path', async () => {
    const owner = await kit.createKey('BASIC');
    const { slug, id } = await workspace(owner.secret);
    await chat(slug, 'nobody reads this', owner.secret);
    const thread = await newThread(slug, owner.secret, { name: 'hush', slug: `hush-${slug}` });
    const { secret: cut } = await kit.createPat(owner.secret, { scopes: ['write:chat', 'read:agents'] });
    const paths = [`/api/v1/workspace/${slug}/chats`, `/api/v1/workspace/${slug}/thread/${thread}/chats`];
    for (const path of paths) {
      expect((await unchanged(() => kit.rest('GET', path, { key: cut }))).status).toBe(403);
      expect((await kit.rest('GET', path, { key: owner.secret })).status).toBe(200);
    }
    for (const path of ['/api/v1/workspaces', `/api/v1/workspace/${slug}`]) {
      const { status, text } = await kit.rest('GET', path, { key: cut });
      expect([status, text.includes('hush')]).toEqual([200, false]);
      expect((await kit.rest('GET', path, { key: owner.secret })).text).toContain('hush');
    }
    const { data } = await kit.gql(
      `query ($id: ID!) { agent(id: $id) { chatSessions(first: 5) { totalCount nodes { name } } } }`,
      { id },
      cut,
    );
    expect(data.agent.chatSessions).toBeNull();
  });
});

describe('chats of another user', () => {
  test('are not found by slug, ID, another agent or client key, and no data is changed', async () => {
    const owner = await kit.createKey('BASIC');
    const stranger = await kit.createKey('BASIC');
    const { slug } = await workspace(owner.secret);
    const other = await workspace(owner.secret);
    const thread = await newThread(slug, owner.secret, { slug: `Mine-${slug}` });
    const unnamed = await newThread(slug, owner.secret);
    await chat(slug, 'kept apart', owner.secret, { sessionId: 'a' });
    for (const name of [thread, unnamed, '00000000-0000-4000-8000-000000000000', 'none'])
      for (const at of [slug, other.slug]) {
        expect((await unchanged(() => inThread(at, name, 'evil', stranger.secret))).status).toBe(404);
        const read = await kit.rest('GET', `/api/v1/workspace/${at}/thread/${name}/chats`, { key: stranger.secret });
        expect([read.status, read.body]).toEqual([404, { message: 'Thread not found' }]);
      }
    // An own thread is not found through the slug of another agent.
    expect((await unchanged(() => inThread(other.slug, thread, 'x', owner.secret))).status).toBe(404);
    // A client key belongs to its caller, whatever its form.
    for (const sessionId of ['a', 'session:a', 'embed:a', ' a']) {
      const read = await kit.rest(
        'GET',
        `/api/v1/workspace/${slug}/chats?apiSessionId=${encodeURIComponent(sessionId)}`,
        {
          key: stranger.secret,
        },
      );
      expect(read.body).toEqual({ history: [] });
    }
    await chat(slug, 'as an embed', stranger.secret, { sessionId: 'embed:a' });
    expect(
      await kit.prisma.chatSession.findMany({ where: { userId: stranger.userId }, select: { clientKey: true } }),
    ).toEqual([{ clientKey: 'session:embed:a' }]);
  });

  test('a member can no longer continue chats with an agent after the membership ends', async () => {
    const owner = await kit.createKey('BASIC');
    const member = await kit.createKey('BASIC');
    const { slug, id } = await workspace(owner.secret);
    const databaseId = (await kit.prisma.user.findUniqueOrThrow({ where: { id: member.userId } })).databaseId;
    const share = (userIds: number[]) =>
      kit.rest('POST', `/api/v1/admin/workspaces/${id}/update-users`, { body: { userIds } });
    expect((await share([databaseId])).body).toEqual({ success: true, error: null });
    const thread = await newThread(slug, member.secret);
    expect((await inThread(slug, thread, 'hello', member.secret)).status).toBe(200);
    await share([]);
    expect((await unchanged(() => inThread(slug, thread, 'hello', member.secret))).status).toBe(404);
    expect((await unchanged(() => chat(slug, 'hello', member.secret))).status).toBe(400);
    const [{ id: sessionId } = { id: '' }] = await kit.prisma.chatSession.findMany({
      where: { userId: member.userId },
    });
    const byId = () => kit.gql(Send, { input: { message: 'hello', sessionId } }, member.secret);
    expect(code(await unchanged(byId))).toBe('NOT_FOUND');
  });
});

describe('names that are unknown or that PostgreSQL cannot store', () => {
  const odd = ['%00', '%ED%A0%80', 'x'.repeat(5000), '..%2F..', '%F0%9F%90%88'];
  test.each(odd)('%s as a workspace or thread causes no server error and changes no data', async (name) => {
    const { slug } = await workspace(kit.keys.BASIC);
    const answers: Answer[] = await unchanged(() =>
      Promise.all([
        kit.rest('GET', `/api/v1/workspace/${name}`, { key: kit.keys.BASIC }),
        chat(name, 'x', kit.keys.BASIC),
        inThread(slug, name, 'x', kit.keys.BASIC),
        kit.rest('GET', `/api/v1/workspace/${slug}/thread/${name}/chats`, { key: kit.keys.BASIC }),
        kit.rest('DELETE', `/api/v1/workspace/${slug}/thread/${name}`, { key: kit.keys.BASIC }),
      ]),
    );
    for (const { status } of answers) expect(status).toBeLessThan(500);
  });
  test.each(['\0', '\ud800', 'x'.repeat(256)])('%j is rejected as a client’s session ID', async (sessionId) => {
    const { slug } = await workspace(kit.keys.BASIC);
    expect((await unchanged(() => chat(slug, 'x', kit.keys.BASIC, { sessionId }))).status).toBe(400);
  });
  test('a thread’s slug in GraphQL returns NOT_FOUND or BAD_USER_INPUT', async () => {
    const { slug } = await workspace(kit.keys.BASIC);
    for (const threadSlug of ['\0', '\ud800', 'x'.repeat(100_000)]) {
      const call = () =>
        kit.gql(Send, { input: { message: 'x', chat: { agent: { slug }, threadSlug } } }, kit.keys.BASIC);
      expect(code(await unchanged(call))).toMatch(/^(NOT_FOUND|BAD_USER_INPUT)$/);
    }
  });
});

describe('documents of an agent', () => {
  const Update = 'mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { agent { databaseId } } }';
  test('are no longer pinned when they are removed from the agent', async () => {
    await kit.ingest('pinned-away', 'The launch code is frobozz.');
    const { location } = (
      await kit.gql('{ documents(first: 50) { nodes { documentId location } } }')
    ).data.documents.nodes.find((node: { documentId: string }) => node.documentId === 'pinned-away');
    const { slug, id } = await workspace(kit.keys.ADMIN);
    const pin = { docPath: location, pinStatus: true };
    await kit.rest('POST', `/api/v1/workspace/${slug}/update-embeddings`, { body: { adds: [location] } });
    expect((await kit.rest('POST', `/api/v1/workspace/${slug}/update-pin`, { body: pin })).status).toBe(200);
    await chat(slug, 'Hello', kit.keys.ADMIN);
    expect(told()).toContain('frobozz');
    expect((await kit.gql(Update, { input: { agent: { id }, documentIds: [] } })).errors).toEqual([]);
    await chat(slug, 'Hello', kit.keys.ADMIN, { reset: true });
    expect(told()).not.toContain('frobozz');
    const { data } = await kit.gql('query ($id: ID!) { agent(id: $id) { pinnedDocuments { totalCount } } }', {
      id,
    });
    expect(data.agent.pinnedDocuments).toEqual({ totalCount: 0 });
  });

  test('are not quoted to a caller without read access, even when they are pinned', async () => {
    const owner = await kit.createKey('ADMIN');
    const reader = await kit.createKey('BASIC');
    await kit.ingest('own-notes', 'The vault opens at dawn.');
    await kit.prisma.document.update({
      where: { externalId: 'own-notes' },
      data: { isPublic: false, ownerId: owner.userId },
    });
    const { slug, id } = await workspace(owner.secret);
    await kit.prisma.agent.update({
      where: { id },
      data: {
        documents: { connect: { externalId: 'own-notes' } },
        pinnedDocuments: { connect: { externalId: 'own-notes' } },
      },
    });
    await chat(slug, 'When does the vault open?', owner.secret);
    expect(told()).toContain('at dawn');
    const answer = await chat(slug, 'When does the vault open?', reader.secret);
    expect([told().includes('at dawn'), answer.text.includes('own-notes')]).toEqual([false, false]);
    const shown = await kit.rest('GET', `/api/v1/workspace/${slug}`, { key: reader.secret });
    expect(shown.body.workspace[0].documents).toEqual([]);
  });
});

describe('a daily message limit', () => {
  const messages = (answers: Answer[]) => answers.map(({ status }) => status).sort();
  const limitedPerson = async (dailyMessageLimit: number) => {
    const person = await kit.person();
    expect((await updateUser({ user: { id: person.userId }, dailyMessageLimit })).errors).toEqual([]);
    return person;
  };
  const complete = (slug: string, key: string) =>
    kit.rest('POST', '/api/v1/openai/chat/completions', {
      key,
      body: { model: slug, messages: [{ role: 'user', content: 'Hi' }] },
    });

  test('counts messages of personal tokens and concurrent completions', async () => {
    const { session } = await limitedPerson(2);
    const { slug } = await workspace(session);
    const { secret } = await kit.createPat(session);
    const gates = [makeGate(), makeGate(), makeGate(), makeGate()];
    kit.model.script(...gates.map((gate) => ({ text: 'held', gate })));
    const requests = kit.model.requests.length;
    const statuses: number[] = [];
    const asked = gates.map(async () => {
      const { status } = await complete(slug, secret);
      statuses.push(status);
    });
    await until(() => kit.model.requests.length - requests + statuses.length === gates.length);
    for (const gate of gates) gate.open();
    await Promise.all(asked);
    // Unused replies remain in the script.
    const left = gates.length - (kit.model.requests.length - requests);
    for (let index = 0; index < left; index++)
      await chat(slug, 'of another', kit.keys.BASIC, { sessionId: `${index}` });
    expect(statuses.sort()).toEqual([200, 200, 429, 429]);
    expect((await unchanged(() => chat(slug, 'hi', session))).status).toBe(429);
    expect((await unchanged(() => complete(slug, session))).status).toBe(429);
  });

  test('counts messages of the tokens of the user’s projects', async () => {
    const { session, userId } = await limitedPerson(2);
    const { slug } = await workspace(session);
    const project = await kit.gql(
      'mutation { createProject(input: { name: "p" }) { project { databaseId } } }',
      {},
      session,
    );
    const id = project.data.createProject.project.databaseId;
    const token = async () =>
      (
        await kit.gql(
          'mutation ($id: ID!) { createProjectToken(input: { projectId: $id, role: BASIC }) { secret projectToken { databaseId } } }',
          { id },
          session,
        )
      ).data.createProjectToken;
    const [one, two] = [await token(), await token()];
    expect((await chat(slug, 'hi', one.secret)).status).toBe(200);
    expect((await chat(slug, 'hi', two.secret)).status).toBe(200);
    for (const key of [one.secret, two.secret, session])
      expect((await unchanged(() => chat(slug, 'hi', key))).status).toBe(429);
    await updateUser({ user: { id: userId }, dailyMessageLimit: 3 });
    expect((await chat(slug, 'hi', one.secret)).status).toBe(200);
    expect((await unchanged(() => chat(slug, 'hi', session))).status).toBe(429);
    // Replacing a deleted token by another one allows no further message.
    await kit.booted.background.settled();
    for (const { projectToken } of [one, two]) {
      const { errors } = await kit.gql(
        'mutation ($id: ID!) { deleteProjectToken(input: { id: $id }) { deletedProjectTokenId } }',
        { id: projectToken.databaseId },
        session,
      );
      expect(errors).toEqual([]);
    }
    const third = (await token()).secret;
    for (const key of [third, session]) expect((await unchanged(() => chat(slug, 'hi', key))).status).toBe(429);
  });

  test('holds when messages arrive concurrently', async () => {
    const { session } = await limitedPerson(3);
    const { slug } = await workspace(session);
    const answers = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((number) => chat(slug, 'hi', session, { sessionId: String(number) })),
    );
    expect(messages(answers)).toEqual([200, 200, 200, 429, 429, 429]);
  });
});

describe('keys with a single administrator permission', () => {
  const cut = async (...scopes: string[]) => (await kit.createKey('ADMIN', { scopes })).secret;

  test('need both manage:users and manage:agents to list or change members', async () => {
    const { slug, id } = await workspace(kit.keys.BASIC);
    const person = await kit.person();
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const manage = (key: string) =>
      kit.rest('POST', `/api/v1/admin/workspaces/${slug}/manage-users`, { key, body: { userIds: [databaseId] } });
    const list = (key: string) => kit.rest('GET', `/api/v1/admin/workspaces/${id}/users`, { key });
    const twin = (key: string) =>
      kit.gql(
        'mutation ($input: ChangeAgentMembersInput!) { changeAgentMembers(input: $input) { foundCount } }',
        { input: { agent: { slug }, userIds: [databaseId], replace: true } },
        key,
      );
    // Denied for its owner too.
    for (const key of [await cut('manage:users'), await cut('manage:agents', 'write:agents'), kit.keys.BASIC]) {
      expect((await unchanged(() => manage(key))).status).toBe(403);
      expect((await unchanged(() => list(key))).status).toBe(403);
      expect(code(await unchanged(() => twin(key)))).toBe('FORBIDDEN');
    }
    expect((await manage(await cut('manage:users', 'manage:agents'))).status).toBe(200);
  });

  test('manage:users alone cannot create or change an account with more permissions', async () => {
    const key = await cut('manage:users');
    const person = await kit.person();
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const changes = [{ role: 'admin' }, { password: 'taken over now' }, { suspended: 1 }, { username: 'renamed' }];
    for (const body of changes) {
      const { status } = await unchanged(() => kit.rest('POST', `/api/v1/admin/users/${databaseId}`, { key, body }));
      expect(status).toBe(403);
    }
    const fresh = { username: 'made.up', password: 'password 123', role: 'admin' };
    for (const role of ['admin', 'default'])
      expect(
        (await unchanged(() => kit.rest('POST', '/api/v1/admin/users/new', { key, body: { ...fresh, role } }))).status,
      ).toBe(403);
    expect((await unchanged(() => kit.rest('DELETE', `/api/v1/admin/users/${databaseId}`, { key }))).status).toBe(403);
    expect((await unchanged(() => kit.rest('POST', '/api/v1/admin/invite/new', { key, body: {} }))).status).toBe(403);
  });

  test('read:query_history alone does not reveal the prompt of an agent that is hidden from the key', async () => {
    const owner = await kit.createKey('BASIC');
    const { slug, id } = await workspace(owner.secret, { openAiPrompt: 'Never speak of quux.' });
    await kit.prisma.agent.update({ where: { id }, data: { isPublic: false } });
    await chat(slug, 'a question of mine', owner.secret);
    const exported = (type: string, key: string) =>
      kit.rest('GET', `/api/v1/system/export-chats?type=${type}`, { key });
    const key = await cut('read:query_history');
    const whole = await cut('read:query_history', 'manage:agents');
    for (const type of ['jsonl', 'jsonAlpaca']) {
      const { text } = await exported(type, key);
      expect([text.includes('a question of mine'), text.includes('quux')]).toEqual([true, false]);
      expect((await exported(type, whole)).text).toContain('quux');
    }
  });

  test.each(['manage:users', 'manage:agents', 'manage:documents', 'read:agents', 'write:agents', 'write:chat'])(
    '%s alone reads no chats of other users and no settings',
    async (permission) => {
      const key = await cut(permission);
      const paths: [string, string][] = [
        ['POST', '/api/v1/admin/workspace-chats'],
        ['GET', '/api/v1/system/export-chats?type=json'],
        ['GET', '/api/v1/system'],
        ['GET', '/api/v1/system/env-dump'],
        ['POST', '/api/v1/system/update-env'],
        ['POST', '/api/v1/admin/preferences'],
      ];
      for (const [method, path] of paths) {
        const body = method === 'POST' ? { body: { LLMProvider: 'openai', custom_app_name: 'evil' } } : {};
        expect((await unchanged(() => kit.rest(method, path, { key, ...body }))).status).toBe(403);
      }
    },
  );
});

describe('user accounts', () => {
  test('cannot take an address that is reserved for keys', async () => {
    const made = await kit.rest('POST', '/api/v1/admin/users/new', {
      body: { username: 'plain.name', password: 'password 123' },
    });
    const { id } = made.body.user;
    const before = await kit.prisma.user.findUniqueOrThrow({ where: { databaseId: id } });
    for (const username of ['root@onyxapikey.ai', 'a@keys.onyxapikey.ai']) {
      const answer = await unchanged(() => kit.rest('POST', `/api/v1/admin/users/${id}`, { body: { username } }));
      expect(answer.body).toMatchObject({ success: false });
      expect(code(await unchanged(() => updateUser({ user: { id }, username })))).toBe('BAD_USER_INPUT');
    }
    expect(before.email).toBe('plain.name@anythingllm.invalid');
    expect((await updateUser({ user: { id }, username: 'a.person@corp.example' })).data.updateUser.user).toEqual({
      username: 'a.person@corp.example',
      email: 'a.person@corp.example',
    });
  });

  test('with an invalid ID cause no server error and change no data', async () => {
    for (const id of ['2147483648', '99999999999999999999', '-1', '1.5', '1e3', 'x', '0']) {
      for (const method of ['POST', 'DELETE']) {
        const options = method === 'POST' ? { body: { suspended: 1 } } : {};
        const { status } = await unchanged(() => kit.rest(method, `/api/v1/admin/users/${id}`, options));
        expect(status).toBeLessThan(500);
      }
      expect((await unchanged(() => kit.rest('DELETE', `/api/v1/admin/invite/${id}`))).status).toBeLessThan(500);
      expect((await kit.rest('GET', `/api/v1/admin/workspaces/${id}/users`)).status).toBeLessThan(500);
    }
    for (const workspaceIds of [[2 ** 40], [1.5], [null], ['x'], [-1], 7]) {
      const { status } = await unchanged(() =>
        kit.rest('POST', '/api/v1/admin/invite/new', { body: { workspaceIds } }),
      );
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
    for (const offset of [1e12, -1, 'x', 1.5, null, 2 ** 31])
      expect((await kit.rest('POST', '/api/v1/admin/workspace-chats', { body: { offset } })).status).toBeLessThan(500);
  });

  test('lose access immediately when they are suspended, with all of their tokens', async () => {
    const person = await kit.person();
    const { secret } = await kit.createPat(person.session);
    const { databaseId } = await kit.prisma.user.findUniqueOrThrow({ where: { id: person.userId } });
    const works = async (key: string) => (await kit.gql('{ viewer { role } }', {}, key)).data?.viewer != null;
    expect([await works(person.session), await works(secret)]).toEqual([true, true]);
    await kit.rest('POST', `/api/v1/admin/users/${databaseId}`, { body: { suspended: 1 } });
    expect([await works(person.session), await works(secret)]).toEqual([false, false]);
    const login = 'mutation ($input: LoginInput!) { login(input: $input) { token } }';
    const again = await kit.gql(login, { input: { login: person.email, password: person.password } }, null);
    expect(returned(again.data)).toEqual([]);
  });

  test('do not count as the remaining administrator when they have no way to log in', async () => {
    const on = await startKit();
    try {
      const last = await on.createKey('ADMIN');
      const others = { kind: 'API_KEY', id: { not: last.id } } as const;
      await on.prisma.token.updateMany({ where: others, data: { disabledAt: new Date() } });
      // In the state of an import.
      await on.prisma.user.create({ data: { email: 'came@over.example', name: 'came', role: 'ADMIN' } });
      const switchOff = () => updateKey(on, { id: last.id, disabled: true }, last.secret);
      const before = await on.fingerprint();
      const refused = await switchOff();
      expect(refused.errors).toMatchObject([
        { message: 'The last admin cannot be removed, demoted or disabled.', extensions: { code: 'CONFLICT' } },
      ]);
      expect(await on.fingerprint()).toBe(before);
      const reset = await on.gql(
        'mutation { resetUserPassword(input: { user: { email: "came@over.example" } }) { __typename } }',
        {},
        last.secret,
      );
      expect(reset.errors).toEqual([]);
      expect((await switchOff()).errors).toEqual([]);
    } finally {
      await on.close();
    }
  });
});

describe('invite codes', () => {
  const newCode = async (key = kit.keys.ADMIN, workspaceIds: number[] = []): Promise<string> =>
    (await kit.rest('POST', '/api/v1/admin/invite/new', { key, body: { workspaceIds } })).body.invite.code;
  let address = 0;
  const claim = (invite: string, username: string) =>
    kit.rest('POST', `/api/invite/${invite}`, {
      key: null,
      body: { username, password: 'password 123' },
      headers: { 'x-forwarded-for': `198.51.100.${(++address % 250) + 1}` },
    });

  test('create one account when several claims arrive concurrently', async () => {
    const invite = await newCode();
    const answers = await Promise.all([1, 2, 3, 4, 5].map((number) => claim(invite, `at.once${number}`)));
    expect(answers.filter(({ body }) => body.success)).toHaveLength(1);
    expect(await kit.prisma.user.count({ where: { username: { startsWith: 'at.once' } } })).toBe(1);
    expect((await unchanged(() => claim(invite, 'too.late'))).body.success).toBe(false);
  });

  test('never appear in the log or the audit trail, however the path is written', async () => {
    const invite = await newCode();
    for (const written of [invite, invite.replace('_', '%5F'), encodeURIComponent(invite).replace('inv', '%69nv')]) {
      await kit.rest('GET', `/api/invite/${written}`, { key: null });
      await claim(written, 'Not Allowed');
    }
    await kit.booted.background.settled();
    const random = invite.slice(4);
    expect(kit.log.filter((line) => line.includes(random))).toEqual([]);
    const audit = await kit.prisma.auditEvent.findMany({ select: { action: true, targetId: true, detail: true } });
    expect(JSON.stringify(audit)).not.toContain(random);
  });

  test('are invalid while their creator lacks the required permissions', async () => {
    const maker = await kit.createKey('ADMIN');
    const invite = await newCode(maker.secret);
    const look = async () => (await kit.rest('GET', `/api/invite/${invite}`, { key: null })).body.invite?.status;
    expect(await look()).toBe('pending');
    await updateKey(kit, { id: maker.id, scopes: ['read:agents'] });
    expect(await look()).toBeUndefined();
    expect((await unchanged(() => claim(invite, 'of.the.cut'))).body.success).toBe(false);
    await updateKey(kit, { id: maker.id, scopes: ['manage:users'] });
    expect(await look()).toBeUndefined();
    await updateKey(kit, { id: maker.id, role: 'ADMIN', allScopes: true });
    expect(await look()).toBe('pending');
  });

  test('cannot create an account with the name or address of an existing account', async () => {
    const victim = await kit.person({ email: 'victim@people.example' });
    await updateUser({ user: { id: victim.userId }, username: 'victim' });
    const invite = await newCode();
    const key = await kit.createKey('BASIC');
    const { email: ofKey } = await kit.prisma.user.findUniqueOrThrow({ where: { id: key.userId } });
    for (const username of [
      ofKey,
      'victim',
      'victim@people.example',
      'x@onyxapikey.ai',
      'Victim',
      'victim@anythingllm.invalid',
    ])
      expect((await unchanged(() => claim(invite, username))).body.success).toBe(false);
    expect((await claim(invite, 'somebody.else')).body).toEqual({ success: true, error: null });
  });
});

describe('an import of users', () => {
  const people = async (usernames: string[]) => {
    const storage = storageFolder();
    await storage.database({
      system_settings: [{ label: 'telemetry_id', value: usernames.join() }],
      users: usernames.map((username, index) => ({ id: index + 1, username, password: 'x', role: 'admin' })),
      workspaces: [{ id: 1, name: `Brought ${usernames}`, slug: `brought-${usernames[0]}` }],
      workspace_users: usernames.map((_, index) => ({ user_id: index + 1, workspace_id: 1 })),
      workspace_chats: usernames.map((_, index) => ({
        workspaceId: 1,
        user_id: index + 1,
        prompt: 'For me alone',
        response: response('Yes.'),
        createdAt: 1_700_000_000_000,
      })),
    });
    const { db } = kit.booted.foundation;
    const operator = await operatorOf(db, readSettings({ BOOTSTRAP_ADMIN_KEY: kit.keys.ADMIN }), null);
    if (!operator) throw new Error('the server has no administrator');
    const report = await importStorage(
      { db, services: kit.booted.services, operator, say: () => {}, dryRun: false },
      storage.path,
    );
    storage.remove();
    return report.lines().join('\n');
  };

  test('assigns no chats to an administrator of the same name, and promotes no account', async () => {
    const admin = await kit.person({ role: 'ADMIN' });
    const basic = await kit.person();
    await updateUser({ user: { id: admin.userId }, username: 'chief' });
    await updateUser({ user: { id: basic.userId }, username: 'clerk' });
    const before = await kit.prisma.user.findMany({ where: { username: { in: ['chief', 'clerk'] } } });
    expect(await people(['chief', 'clerk'])).toContain('user chief: has the name of an administrator here');
    const chats = (userId: string) => kit.prisma.chatSession.count({ where: { userId } });
    expect([await chats(admin.userId), await chats(basic.userId)]).toEqual([0, 1]);
    expect(await kit.prisma.agentShare.count({ where: { userId: admin.userId } })).toBe(0);
    expect(await kit.prisma.user.findMany({ where: { username: { in: ['chief', 'clerk'] } } })).toEqual(before);
  });
});

describe('slugs', () => {
  test('are unique for workspaces created concurrently, and free again after a deletion', async () => {
    const name = `Race ${Math.random().toString(36).slice(2)}`;
    const made = await Promise.all(
      Array.from({ length: 8 }, () =>
        kit.rest('POST', '/api/v1/workspace/new', { key: kit.keys.BASIC, body: { name } }),
      ),
    );
    expect(made.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const slugs = made.map(({ body }) => body.workspace.slug as string);
    expect(new Set(slugs).size).toBe(8);
    const [first] = made.filter(({ body }) => body.workspace.slug === slugs.toSorted((a, b) => a.length - b.length)[0]);
    const { id, slug } = first?.body.workspace ?? {};
    const squatter = await workspace(kit.keys.BASIC, { name: `${slug}-deleted-${id}` });
    expect(squatter.slug).toBe(`${slug}-deleted-${id}`);
    expect((await kit.rest('DELETE', `/api/v1/workspace/${slug}`, { key: kit.keys.BASIC })).status).toBe(200);
    expect((await kit.rest('GET', `/api/v1/workspace/${squatter.slug}`)).body.workspace[0].id).toBe(squatter.id);
    const again = await workspace(kit.keys.BASIC, { name: slug });
    expect(again.slug).toBe(slug);
    // A deleted agent does not return under a name that is in use now.
    await kit.prisma.agent.update({ where: { id }, data: { name: `${name} of old` } });
    const back = await kit.gql(
      'mutation ($id: ID!) { undeleteAgent(input: { agent: { id: $id } }) { agent { slug } } }',
      { id },
    );
    expect(back.errors).toEqual([]);
    expect([slug, squatter.slug]).not.toContain(back.data.undeleteAgent.agent.slug);
  });

  test('concurrent first messages in an unnamed chat create one session', async () => {
    const owner = await kit.createKey('BASIC');
    const { slug } = await workspace(owner.secret);
    const answers = await Promise.all([1, 2, 3, 4].map(() => chat(slug, 'hi', owner.secret)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await kit.prisma.chatSession.count({ where: { userId: owner.userId } })).toBe(1);
  });
});

describe('files attached to a message', () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  ).toString('base64');
  const attachment = { name: 'a.png', mime: 'image/png', contentString: `data:image/png;base64,${png}` };

  test('require write:projects, and are not stored when the turn does not start', async () => {
    const owner = await kit.createKey('BASIC');
    const { slug } = await workspace(owner.secret);
    const { secret: cut } = await kit.createPat(owner.secret, { scopes: ['write:chat', 'read:agents', 'read:chat'] });
    const send = (key: string, body: object, at = slug) =>
      chat(at, 'look', key, { attachments: [attachment], ...body });
    expect((await unchanged(() => send(cut, {}))).status).toBe(403);
    expect((await unchanged(() => send(owner.secret, {}, 'nowhere'))).status).toBe(400);
    expect((await unchanged(() => send(owner.secret, { attachments: Array(21).fill(attachment) }))).status).toBe(400);
    const lies = {
      ...attachment,
      mime: 'application/x-msdownload',
      name: 'a.exe',
      contentString: 'data:;base64,TVqQAAMAAAAEAAAA',
    };
    expect((await unchanged(() => send(owner.secret, { attachments: [attachment, lies] }))).status).toBe(400);
    const gate = makeGate();
    const requests = kit.model.requests.length;
    kit.model.script({ text: 'slow', gate });
    const slow = chat(slug, 'hold on', owner.secret);
    await until(() => kit.model.requests.length > requests);
    const stored = () =>
      Promise.all([kit.prisma.file.count(), kit.prisma.chatMessage.count(), kit.prisma.document.count()]);
    const before = await stored();
    const waiting = send(owner.secret, {});
    await kit.rest('GET', '/api/ping', { key: null });
    expect(await stored()).toEqual(before);
    gate.open();
    expect((await slow).status).toBe(200);
    expect((await waiting).status).toBe(200);
  });
});
