import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rolePermissions } from '../../src/authz/permissions.ts';
import { readSettings } from '../../src/settings.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';
import { deleteKey, updateKey } from './keys.ts';

/** Attacks on the rules that once succeeded. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit.close());

const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const works = async (key: string, on = kit) => (await on.gql('{ viewer { role } }', {}, key)).data?.viewer != null;
const origins = { 'a foreign': 'https://evil.example', 'a sandbox’s': 'null' };

/** Expects that a call neither stores nor changes data. */
async function unchanged<T>(call: () => Promise<T>, on = kit): Promise<T> {
  const before = await on.fingerprint();
  const answer = await call();
  expect(await on.fingerprint()).toBe(before);
  return answer;
}

/** Expects that a call is denied with this code and changes no data. */
async function refused(call: () => Promise<GraphQLAnswer>, expected: string, on = kit): Promise<GraphQLAnswer> {
  const answer = await unchanged(call, on);
  expect(code(answer)).toBe(expected);
  return answer;
}

const logIn = (login: string, password: string, on = kit) =>
  on.gql('mutation ($input: LoginInput!) { login(input: $input) { token } }', { input: { login, password } }, null);
const createUser = async (on: Kit, input: { email: string; username?: string; role?: string }) => {
  const password = `password ${input.email}`;
  const { data } = await on.gql(
    'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id: databaseId } } }',
    { input: { role: 'BASIC', password, ...input } },
  );
  return { ...input, password, userId: data.createUser.user.id as string };
};

/** Creates a project of the user and a token for it. */
async function project(key: string, on = kit): Promise<{ id: number; token: string; tokenUserId: string }> {
  const made = await on.gql(
    'mutation { createProject(input: { name: "attacked" }) { project { databaseId } } }',
    {},
    key,
  );
  const id: number = made.data.createProject.project.databaseId;
  const { data } = await on.gql(
    `mutation ($id: ID!) {
      createProjectToken(input: { projectId: $id, role: BASIC }) { secret projectToken { user { databaseId } } }
    }`,
    { id },
    key,
  );
  const { secret, projectToken } = data.createProjectToken;
  return { id, token: secret, tokenUserId: projectToken.user.databaseId };
}
const chatIn = async (projectId: number, key: string): Promise<string> =>
  (
    await kit.gql(
      'mutation ($id: ID!) { sendChatMessage(input: { message: "secret plans", newSession: { projectId: $id } }) { sessionId } }',
      { id: projectId },
      key,
    )
  ).data.sendChatMessage.sessionId;

describe('TOK 5 a credential that changes between the headers and the last byte of the body', () => {
  /** Sends a request except its last byte, runs an operation, and sends the last byte. */
  async function held(path: string, key: string, body: object, between: () => Promise<void>) {
    const bytes = JSON.stringify(body);
    const { host, port } = new URL(kit.url);
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    const closed = new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject));
    const head = [
      `POST ${path} HTTP/1.1`,
      `Host: ${host}`,
      'Connection: close',
      'Content-Type: application/json',
      `Authorization: Bearer ${key}`,
      `Content-Length: ${Buffer.byteLength(bytes)}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${bytes.slice(0, -1)}`);
    await between();
    socket.write(bytes.slice(-1));
    await closed;
    return { status: Number(text.split(' ')[1]), text };
  }

  const recipients = {
    'REST creates a key': { path: '/api/admin/api-key', body: { name: 'evil', role: 'admin' } },
    'REST creates a personal token': { path: '/api/user/pats', body: { name: 'evil', expiration_days: null } },
    'REST creates a chat': { path: '/api/chat/create-chat-session', body: { persona_id: 0 } },
    'REST streams a turn': { path: '/api/chat/send-chat-message', body: { message: 'evil' } },
    'GraphQL creates a key': {
      path: '/graphql',
      body: { query: 'mutation { createApiKey(input: { name: "evil", role: ADMIN }) { secret } }' },
    },
    'GraphQL creates a project': {
      path: '/graphql',
      body: { query: 'mutation { createProject(input: { name: "evil" }) { project { databaseId } } }' },
    },
  };

  const ends: Record<string, () => Promise<{ secret: string; tokenId: number; end: () => Promise<unknown> }>> = {
    'is disabled': async () => {
      const { id, secret } = await kit.createKey('ADMIN');
      return { secret, tokenId: id, end: () => updateKey(kit, { id, disabled: true }) };
    },
    'is demoted': async () => {
      const { id, secret } = await kit.createKey('ADMIN');
      return { secret, tokenId: id, end: () => updateKey(kit, { id, role: 'LIMITED' }) };
    },
    'is deleted': async () => {
      const { id, secret } = await kit.createKey('ADMIN');
      return { secret, tokenId: id, end: () => deleteKey(kit, id) };
    },
    'belongs to a person whose password is reset': async () => {
      const { email, password, userId } = await kit.person({ role: 'ADMIN' });
      const secret = (await logIn(email, password)).data.login.token;
      const { id } = await kit.prisma.token.findFirstOrThrow({ where: { userId }, orderBy: { id: 'desc' } });
      const end = () => kit.rest('POST', '/api/password/reset_password', { body: { user_email: email } });
      return { secret, tokenId: id, end };
    },
  };

  describe.each(Object.keys(ends))('when it %s', (what) => {
    test.each(Object.entries(recipients))('%s: is rejected and changes no data', async (_name, { path, body }) => {
      const { secret, tokenId, end } = (await ends[what]?.()) ?? expect.unreachable();
      const requests = kit.model.requests.length;
      let before = '';
      const answer = await held(path, secret, body, async () => {
        // The headers were read and the credential was accepted.
        await until(async () => (await kit.prisma.token.findUnique({ where: { id: tokenId } }))?.lastUsedAt);
        await end();
        before = await kit.fingerprint();
      });
      if (path === '/graphql') expect(answer.text).toContain('"code":"UNAUTHENTICATED"');
      else expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('"detail":')]);
      expect(answer.text).not.toMatch(/on_\w{36}|onyx_pat_\w{36}/);
      expect(await kit.fingerprint()).toBe(before);
      expect(kit.model.requests).toHaveLength(requests);
    });
  });

  test.each(Object.entries(recipients))(
    '%s: succeeds when only another credential is deleted',
    async (_name, { path, body }) => {
      const { id, secret } = await kit.createKey('ADMIN');
      const other = await kit.createKey('ADMIN');
      const answer = await held(path, secret, body, async () => {
        await until(async () => (await kit.prisma.token.findUnique({ where: { id } }))?.lastUsedAt);
        await deleteKey(kit, other.id);
      });
      expect(answer.status).toBe(200);
      expect(answer.text).not.toContain('UNAUTHENTICATED');
    },
  );
});

describe('TOK 7 a key with manage:users but without the other ADMIN permissions', () => {
  const remove = (on: Kit, email: string, key: string) =>
    on.gql(
      'mutation ($email: String!) { deleteUser(input: { user: { email: $email } }) { deletedUserId } }',
      { email },
      key,
    );
  const deactivate = (on: Kit, email: string, key: string) =>
    on.gql(
      'mutation ($email: String!) { deactivateUser(input: { user: { email: $email } }) { user { id: databaseId } } }',
      { email },
      key,
    );
  const invite = (on: Kit, key: string) =>
    on.gql('mutation { inviteUsers(input: { emails: ["eve@evil.example"] }) { invitedCount } }', {}, key);

  test.each(['open', 'invite'])('cannot make a user the first admin with REGISTRATION=%s', async (registration) => {
    const own = await startKit({ environment: { REGISTRATION: registration } });
    try {
      const scopes = ['manage:users', ...rolePermissions('BASIC')];
      const { secret } = await own.createKey('ADMIN', { scopes });
      const inviting = { key: secret, body: { emails: ['eve@evil.example'] } };
      await refused(() => invite(own, secret), 'FORBIDDEN', own);
      expect((await unchanged(() => own.rest('PUT', '/api/manage/admin/users', inviting), own)).status).toBe(403);

      const [anna, bob] = [
        await createUser(own, { email: 'anna@people.example' }),
        await createUser(own, { email: 'bob@people.example' }),
      ];
      for (const { email } of [anna, bob]) expect((await deactivate(own, email, secret)).errors).toEqual([]);
      expect((await remove(own, anna.email, secret)).errors).toEqual([]);
      await refused(() => remove(own, bob.email, secret), 'FORBIDDEN', own);
      const viaRest = await unchanged(
        () => own.rest('DELETE', '/api/manage/admin/delete-user', { key: secret, body: { user_email: bob.email } }),
        own,
      );
      expect(viaRest.status).toBe(403);

      // A caller with all permissions of ADMIN can, and afterwards callers without them cannot invite.
      expect((await remove(own, bob.email, own.keys.ADMIN)).errors).toEqual([]);
      await refused(() => invite(own, secret), 'FORBIDDEN', own);
      expect((await invite(own, own.keys.ADMIN)).data.inviteUsers.invitedCount).toBe(1);
    } finally {
      await own.close();
    }
  });
});

describe('AZR 3 a project token and the chats of its project', () => {
  const missing = '00000000-0000-4000-8000-00000000dead';
  const ways: Record<string, (id: string, key: string) => Promise<GraphQLAnswer>> = {
    share: (id, key) =>
      kit.gql(
        'mutation ($id: ID!) { updateChatSession(input: { session: { id: $id }, sharing: PUBLIC }) { sessionId } }',
        { id },
        key,
      ),
    rename: (id, key) =>
      kit.gql(
        'mutation ($id: ID!) { updateChatSession(input: { session: { id: $id }, name: "renamed" }) { name } }',
        { id },
        key,
      ),
    hide: (id, key) =>
      kit.gql(
        'mutation ($id: ID!) { deleteChatSession(input: { session: { id: $id } }) { deletedChatSessionId } }',
        { id },
        key,
      ),
    erase: (id, key) =>
      kit.gql(
        'mutation ($id: ID!) { deleteChatSession(input: { session: { id: $id }, hard: true }) { deletedChatSessionId } }',
        { id },
        key,
      ),
  };
  const rows: Record<string, (id: string, key: string) => Promise<Answer>> = {
    share: (id, key) => kit.rest('PATCH', `/api/chat/chat-session/${id}`, { key, body: { sharing_status: 'public' } }),
    rename: (id, key) =>
      kit.rest('PUT', '/api/chat/rename-chat-session', { key, body: { chat_session_id: id, name: 'renamed' } }),
    hide: (id, key) => kit.rest('DELETE', `/api/chat/delete-chat-session/${id}`, { key }),
    erase: (id, key) => kit.rest('DELETE', `/api/chat/delete-chat-session/${id}?hard_delete=true`, { key }),
  };

  test.each(Object.keys(ways))(
    'the token cannot %s a chat of the owner, but the owner and the token can do so with the token’s chats',
    async (what) => {
      const [way, row] = [ways[what] ?? expect.unreachable(), rows[what] ?? expect.unreachable()];
      const owner = await kit.person();
      const { id, token } = await project(owner.session);
      const [theirs, own, another] = [
        await chatIn(id, owner.session),
        await chatIn(id, token),
        await chatIn(id, token),
      ];
      const read = await kit.gql('query ($id: ID!) { chatSession(id: $id) { id } }', { id: theirs }, token);
      expect(read.errors).toEqual([]);

      const answer = await refused(() => way(theirs, token), 'NOT_FOUND');
      expect(answer.errors).toEqual((await way(missing, token)).errors);
      const viaRest = await unchanged(() => row(theirs, token));
      const unknown = await row(missing, token);
      expect([viaRest.status, viaRest.text]).toEqual([unknown.status, unknown.text]);
      expect(viaRest.status).toBeGreaterThanOrEqual(400);

      expect((await way(own, owner.session)).errors).toEqual([]);
      expect((await way(another, token)).errors).toEqual([]);
    },
  );

  test('the token’s stream of a run ends when the chat leaves the project', async () => {
    const owner = await kit.person();
    const { id, token } = await project(owner.session);
    const made = await kit.gql(
      'mutation ($id: ID!) { createChatSession(input: { projectId: $id }) { sessionId } }',
      { id },
      owner.session,
    );
    const sessionId: string = made.data.createChatSession.sessionId;
    const gate = makeGate();
    kit.model.script({ text: ['one ', 'whispered ', 'three'], gate });
    const sent = kit.gql(
      'mutation ($id: ID!) { sendChatMessage(input: { sessionId: $id, message: "Hello" }) { answer } }',
      { id: sessionId },
      owner.session,
    );
    const runId = await until(async () => (await kit.prisma.run.findFirst({ where: { sessionId } }))?.id);
    const events = kit.subscribe(
      'subscription ($id: ID!) { chatRun(run: { id: $id }) { __typename ... on ChatAnswerDelta { text } } }',
      { id: runId },
      token,
    );
    gate.release();
    for (let said = ''; said === ''; ) {
      const { value, done } = await events.next();
      if (done) throw new Error('the stream ended before the model spoke');
      said = value.data.chatRun.text ?? '';
    }
    const moved = await kit.gql(
      'mutation ($id: ID!) { moveChatSession(input: { sessionId: $id, clear: [PROJECT_ID] }) { sessionId } }',
      { id: sessionId },
      owner.session,
    );
    expect(moved.errors).toEqual([]);
    gate.open();
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(rest).toHaveLength(1);
    expect(rest[0].errors[0].extensions.code).toBe('NOT_FOUND');
    expect(JSON.stringify(rest)).not.toContain('whispered');
    expect((await sent).data.sendChatMessage.answer).toBe('one whispered three');
  });

  test('an agent cannot be shared with the token’s user', async () => {
    const owner = await kit.person();
    const { tokenUserId } = await project(owner.session);
    const made = await kit.gql(
      'mutation { createAgent(input: { name: "shared", isPublic: false }) { agent { databaseId } } }',
      {},
      owner.session,
    );
    const { databaseId } = made.data.createAgent.agent;
    const share = (userId: string) =>
      kit.gql(
        'mutation ($input: ShareAgentInput!) { shareAgent(input: $input) { agent { databaseId } } }',
        { input: { agent: { id: databaseId }, shares: [{ userId }] } },
        owner.session,
      );
    await refused(() => share(tokenUserId), 'BAD_USER_INPUT');
    expect((await share((await kit.person()).userId)).errors).toEqual([]);
  });
});

test('TOK 5 an export of the audit trail stops when its key is deleted', async () => {
  const key = await kit.createKey('ADMIN');
  const event = { action: 'project.create', detail: { pad: 'x'.repeat(2000) } };
  for (let i = 0; i < 12; i++) await kit.prisma.auditEvent.createMany({ data: Array(1000).fill(event) });
  const response = await fetch(`${kit.url}/api/admin/audit-events/export`, {
    headers: { authorization: `Bearer ${key.secret}` },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader() ?? expect.unreachable();
  let text = (await reader.read()).value ?? '';
  expect(text).not.toBe('');
  await deleteKey(kit, key.id);
  await kit.prisma.auditEvent.create({ data: { ...event, detail: { marker: 'written after the end' } } });
  const whole = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
    }
  })();
  const end = await whole.then(
    () => 'as if it were whole',
    () => 'broken off',
  );
  expect(text).not.toContain('written after the end');
  expect(end).toBe('broken off');
});

describe('turns', () => {
  const send = 'mutation ($id: ID) { sendChatMessage(input: { message: "Hello", sessionId: $id }) { answer } }';

  test('at most 20 of 60 concurrent requests of a key run, and their slots are released afterwards', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    // A failing turn releases its slot.
    const missing = { id: '00000000-0000-4000-8000-00000000dead' };
    const failed = await Promise.all(Array.from({ length: 15 }, () => kit.gql(send, missing, secret)));
    expect(new Set(failed.map(code))).toEqual(new Set(['NOT_FOUND']));
    for (const _round of [1, 2]) {
      const gates = Array.from({ length: 20 }, makeGate);
      kit.model.script(...gates.map((gate) => ({ text: ['done'], gate })));
      const answers: GraphQLAnswer[] = [];
      const all = Array.from({ length: 60 }, async () => answers.push(await kit.gql(send, {}, secret)));
      const running = () => kit.prisma.run.count({ where: { status: 'RUNNING', session: { userId } } });
      await until(async () => answers.length + (await running()) >= 60);
      expect(await running()).toBe(20);
      expect(answers.map(code)).toEqual(Array(40).fill('RATE_LIMITED'));
      for (const gate of gates) gate.open();
      await Promise.all(all);
      expect(answers.filter(({ data }) => data?.sendChatMessage?.answer === 'done')).toHaveLength(20);
    }
  });

  test.each([
    [
      'aliases',
      `mutation { a: sendChatMessage(input: { message: "a" }) { sessionId } b: sendChatMessage(input: { message: "b" }) { sessionId } }`,
    ],
    [
      'a fragment',
      `mutation { a: sendChatMessage(input: { message: "a" }) { sessionId } ...More } fragment More on Mutation { b: sendChatMessage(input: { message: "b" }) { sessionId } }`,
    ],
    [
      'an inline fragment',
      `mutation { a: sendChatMessage(input: { message: "a" }) { sessionId } ... on Mutation { b: sendChatMessage(input: { message: "b" }) { sessionId } } }`,
    ],
  ])('are rejected before execution when one document contains two through %s', async (_way, document) => {
    const { secret } = await kit.createKey('BASIC');
    const requests = kit.model.requests.length;
    const answer = await unchanged(() => kit.gql(document, {}, secret));
    expect([answer.status, answer.data]).toEqual([400, null]);
    expect(kit.model.requests).toHaveLength(requests);
  });
});

test('TOK 13 the idempotency record of a password change cannot be used to verify a guessed password', async () => {
  const password = 'Summer2024!';
  const person = await kit.person({ password });
  const body = JSON.stringify({ old_password: password, new_password: 'Winter2025!' });
  const change = () =>
    kit.rest('POST', '/api/password/change-password', {
      key: person.session,
      body,
      headers: { 'Idempotency-Key': 'change' },
    });
  expect((await change()).status).toBe(200);
  const records = await kit.prisma.idempotencyRecord.findMany();
  expect(records).toHaveLength(1);
  const [{ requestHash } = expect.unreachable()] = records;
  const digest = createHash('sha256');
  for (const part of ['/password/change-password', '', Buffer.from(body)])
    digest.update(`${part.length}:`).update(part);
  const guesses = [
    digest.digest(),
    ...[body, password, 'Winter2025!'].map((text) => createHash('sha256').update(text).digest()),
  ];
  for (const guess of guesses) expect(Buffer.from(requestHash).equals(guess)).toBe(false);
  const row = JSON.stringify(records, (_key, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  );
  for (const secret of [password, 'Winter2025!', person.session]) expect(row).not.toContain(secret);
  // Requests are still distinguished.
  expect((await change()).headers.get('idempotency-replayed')).toBe('true');
  const other = await kit.rest('POST', '/api/password/change-password', {
    key: person.session,
    body: JSON.stringify({ old_password: password, new_password: 'Autumn2025!' }),
    headers: { 'Idempotency-Key': 'change' },
  });
  expect(other.status).toBe(422);
});

test('manage:chat without read:chat cannot generate a name from messages, and does not receive the name', async () => {
  const person = await kit.person();
  const sent = await kit.gql(
    'mutation { sendChatMessage(input: { message: "my secret plan" }) { sessionId } }',
    {},
    person.session,
  );
  const id: string = sent.data.sendChatMessage.sessionId;
  const { secret } = await kit.createPat(person.session, { scopes: ['manage:chat'] });
  const update = (change: object) =>
    kit.gql(
      'mutation ($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { sessionId name } }',
      { input: { session: { id }, ...change } },
      secret,
    );
  const rename = (name: string | null) =>
    kit.rest('PUT', '/api/chat/rename-chat-session', { key: secret, body: { chat_session_id: id, name } });
  const answer = await refused(() => update({ generateName: true }), 'FORBIDDEN');
  expect(answer.errors[0]?.extensions.requiredPermissions).toEqual(['read:chat']);
  expect((await unchanged(() => rename(null))).status).toBe(403);
  for (const sharing of ['PUBLIC', 'PRIVATE'])
    expect((await update({ sharing })).data.updateChatSession).toEqual({ sessionId: id, name: null });
  expect((await update({ name: 'plain' })).data.updateChatSession).toEqual({ sessionId: id, name: 'plain' });
  expect((await rename('plainer')).body).toEqual({ new_name: 'plainer' });
});

describe('pages of other origins', () => {
  const form = (fields: Record<string, string>, headers: Record<string, string> = {}) => ({
    key: null,
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });

  test.each(Object.entries(origins))(
    'cannot log in, log out or refresh a session: %s origin',
    async (_name, origin) => {
      const { email, password, session } = await kit.person();
      const fields = { username: email, password };
      const login = await unchanged(() => kit.rest('POST', '/api/auth/login', form(fields, { origin })));
      expect([login.status, login.headers.get('set-cookie')]).toEqual([403, null]);
      for (const path of ['/api/auth/refresh', '/api/auth/logout'])
        for (const sent of [
          { key: session, headers: { origin } as Record<string, string> },
          { key: null, headers: { origin, cookie: `fastapiusersauth=${session}` } },
        ]) {
          const answer = await unchanged(() => kit.rest('POST', path, sent));
          // These clients know one error for these paths.
          expect([answer.status, answer.body]).toEqual([401, { detail: 'Unauthorized' }]);
          expect(answer.headers.get('set-cookie')).toBeNull();
        }
      expect(await works(session)).toBe(true);
    },
  );

  test.each(['its own', 'no'])(
    'the server’s own pages and other clients can log in, refresh and log out: %s origin',
    async (whose) => {
      const headers: Record<string, string> = whose === 'no' ? {} : { origin: kit.url };
      const { email, password } = await kit.person();
      const secretOf = (answer: Answer) =>
        /^fastapiusersauth=(ses_\w+);/.exec(answer.headers.get('set-cookie') ?? '')?.[1] ?? '';
      const login = await kit.rest('POST', '/api/auth/login', form({ username: email, password }, headers));
      expect([login.status, await works(secretOf(login))]).toEqual([204, true]);
      const cookie = { cookie: `fastapiusersauth=${secretOf(login)}` };
      const refresh = await kit.rest('POST', '/api/auth/refresh', { key: null, headers: { ...headers, ...cookie } });
      expect([refresh.status, await works(secretOf(refresh))]).toEqual([204, true]);
      const logout = await kit.rest('POST', '/api/auth/logout', { key: secretOf(refresh), headers });
      expect([logout.status, await works(secretOf(refresh))]).toEqual([204, false]);
    },
  );

  test.each(Object.entries(origins))(
    'cannot authenticate with the session cookie: %s origin',
    async (_name, origin) => {
      const { session, email } = await kit.person();
      const cookie = `fastapiusersauth=${session}`;
      const calls: [method: string, path: string, body?: object][] = [
        ['GET', '/me'],
        ['GET', '/api/me'],
        ['GET', '/api/chat/get-user-chat-sessions'],
        ['POST', '/api/chat/create-chat-session', { persona_id: 0 }],
        ['POST', '/api/chat/send-chat-message', { message: 'Hello' }],
        ['POST', '/api/user/pats', { name: 'evil' }],
        ['POST', '/api/user/projects/create?name=evil'],
      ];
      for (const [method, path, body] of calls) {
        const call = (origin: string) => kit.rest(method, path, { key: null, body, headers: { origin, cookie } });
        expect([path, (await unchanged(() => call(origin))).status]).toEqual([path, 403]);
        expect([path, (await call(kit.url)).status]).toEqual([path, 200]);
      }
      const query = (origin: string, query: string) =>
        kit.rest('POST', '/graphql', { key: null, body: { query }, headers: { origin, cookie } });
      const mutation = 'mutation { createProject(input: { name: "evil" }) { project { databaseId } } }';
      const answer = await unchanged(() => query(origin, mutation));
      expect([answer.status, answer.body.errors[0].extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
      expect((await query(kit.url, '{ viewer { user { email } } }')).body.data.viewer.user.email).toBe(email);
      expect((await query(kit.url, mutation)).body.errors).toBeUndefined();
    },
  );
});

test('OWG 11 an account has 10 login attempts in total, by address and by username', async () => {
  const person = await createUser(kit, { email: 'carol@people.example', username: 'carol' });
  const names = [person.email, 'carol'];
  const guess = (turn: number) => logIn(names[turn % 2] ?? '', 'a wrong one');
  for (let i = 0; i < 10; i++) expect(code(await guess(i))).toBe('BAD_USER_INPUT');
  for (let i = 0; i < 4; i++) expect(code(await unchanged(() => guess(i)))).toBe('RATE_LIMITED');
  for (const name of names) expect(code(await unchanged(() => logIn(name, person.password)))).toBe('RATE_LIMITED');
});

test('TOK 16 the secret from before a refresh cannot be refreshed again', async () => {
  const { session } = await kit.person();
  const refresh = (key: string) => kit.gql('mutation { refreshSession { token } }', {}, key);
  const current: string = (await refresh(session)).data.refreshSession.token;
  await refused(() => refresh(session), 'CONFLICT');
  const viaRest = await unchanged(() => kit.rest('POST', '/api/auth/refresh', { key: session }));
  expect([viaRest.status, viaRest.headers.get('set-cookie')]).toEqual([409, null]);
  expect([await works(session), await works(current)]).toEqual([true, true]);
  const next: string = (await refresh(current)).data.refreshSession.token;
  expect([await works(session), await works(current), await works(next)]).toEqual([false, true, true]);
});

test('TOK 7 a personal token with an expiry cannot create a token that outlives it', async () => {
  const { session } = await kit.person();
  const [short, endless] = [await kit.createPat(session, { expiresInDays: 2 }), await kit.createPat(session)];
  const endOf = async (id: number) => (await kit.prisma.token.findUniqueOrThrow({ where: { id } })).expiresAt;
  const end = await endOf(short.id);
  expect(end).not.toBeNull();
  const make = async (key: string, expiresInDays?: number) =>
    endOf((await kit.createPat(key, expiresInDays ? { expiresInDays } : {})).id);
  expect(await make(short.secret)).toEqual(end);
  await expect(unchanged(() => make(short.secret, 30))).rejects.toThrow('must not be later than');
  expect(Number(await make(short.secret, 1))).toBe(Number(end) - 24 * 3_600_000);
  const { body } = await kit.rest('POST', '/api/user/pats', {
    key: short.secret,
    body: { name: 'endless', expiration_days: null },
  });
  expect(await endOf(body.id)).toEqual(end);
  expect(await make(endless.secret)).toBeNull();
});

describe('a server with a password (AUTH_TOKEN)', () => {
  const AUTH_TOKEN = 'the password of the server';
  const owner = async (on: Kit): Promise<string> =>
    (
      await on.gql(
        'mutation ($input: RequestTokenInput!) { requestToken(input: $input) { token } }',
        { input: { password: AUTH_TOKEN } },
        null,
      )
    ).data.requestToken.token;
  const register =
    'mutation { register(input: { email: "eve@people.example", password: "password eve" }) { user { role } } }';

  test('denies registration unless REGISTRATION allows it', async () => {
    expect(readSettings({}).registration).toBe('open');
    expect(readSettings({ AUTH_TOKEN }).registration).toBe('closed');
    for (const REGISTRATION of ['open', 'invite', 'closed'])
      expect(readSettings({ AUTH_TOKEN, REGISTRATION }).registration).toBe(REGISTRATION);
    const own = await startKit({ environment: { AUTH_TOKEN } });
    try {
      const session = await owner(own);
      await refused(() => own.gql(register, {}, null), 'FORBIDDEN', own);
      const body = { email: 'eve@people.example', password: 'password eve' };
      expect((await unchanged(() => own.rest('POST', '/auth/register', { key: null, body }), own)).status).toBe(403);
      expect(await works(session, own)).toBe(true);
    } finally {
      await own.close();
    }
  });

  test.each([
    ['registers', register, null],
    [
      'enables multi-user mode',
      'mutation { enableMultiUser(input: { username: "anna", password: "a long password" }) { user { id: databaseId } } }',
      undefined,
    ],
  ])(
    'TOK 9 the first user who %s ends the tokens of the owner’s projects, and no tokens of other projects',
    async (_way, mutation, key) => {
      const own = await startKit({ environment: { AUTH_TOKEN, REGISTRATION: 'open' } });
      try {
        const session = await owner(own);
        const [owners, others] = [await project(session, own), await project(own.keys.ADMIN, own)];
        expect([await works(owners.token, own), await works(others.token, own)]).toEqual([true, true]);
        expect((await own.gql(mutation, {}, key)).errors).toEqual([]);
        expect([await works(session, own), await works(owners.token, own)]).toEqual([false, false]);
        expect(await works(others.token, own)).toBe(true);
      } finally {
        await own.close();
      }
    },
  );
});

test('returns usage with `until` in the year 1 or the year 9999', async () => {
  for (const until of ['0001-01-05T00:00:00Z', '0001-01-31T00:00:00Z', '9999-12-31T23:59:59Z']) {
    const { data, errors } = await kit.gql(
      'query ($filter: UsageFilter) { usage(filter: $filter) { totals { turns } records { turns } } }',
      { filter: { until } },
    );
    expect(errors).toEqual([]);
    expect(data.usage).toEqual({ totals: { turns: 0 }, records: [] });
  }
});
