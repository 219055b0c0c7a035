import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { globalId } from '../../src/graphql/id-input.ts';
import { uploadPermissions } from '../../src/graphql/upload-permissions.ts';
import { type GraphQLAnswer, type Kit, startKit, until, withScopes } from '../kit.ts';
import { blobsOf, boundary, postOperation, sweep, uploadFiles, uploadPath, uploadRest } from '../multipart.ts';

/** Attacks on files, chats and the memory of other users, and on the rules of who can send messages. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;

/** Returns the passages that a turn streams. */
async function streamed(question: string, key: string, input: object): Promise<string> {
  const events = [];
  for await (const event of kit.subscribe(
    `subscription ($input: SendChatMessageInput!) {
      chatTurn(input: $input) { __typename ... on ChatAnswerStarted { documents { title text } } }
    }`,
    { input: { message: question, ...input } },
    key,
  ))
    events.push(event);
  expect(events.at(-1).data.chatTurn.__typename).toBe('ChatTurnStopped');
  return JSON.stringify(events);
}

/** Expects that a call neither stores nor changes data. */
async function unchanged<T>(call: () => Promise<T>): Promise<T> {
  const before = await kit.fingerprint();
  const answer = await call();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

const ask = (question: string, key: string, input: object = {}) =>
  kit.gql(
    `mutation ($input: SendChatMessageInput!) {
      sendChatMessage(input: $input) { sessionId userMessageId assistantMessageId answer failure { message } }
    }`,
    { input: { message: question, ...input } },
    key,
  );

async function makeProject(key: string): Promise<number> {
  const { data } = await kit.gql(
    'mutation { createProject(input: { name: "attacked" }) { project { databaseId } } }',
    {},
    key,
  );
  return data.createProject.project.databaseId;
}

async function projectToken(projectId: number, key: string, scopes: string[]) {
  const { data } = await kit.gql(
    `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { user { databaseId } } } }`,
    { input: withScopes({ projectId, name: 'attacker', scopes }) },
    key,
  );
  const { secret, projectToken } = data.createProjectToken;
  return { secret: secret as string, userId: projectToken.user.databaseId };
}

describe('the body of a request that is denied', () => {
  /** Sends the start of a request and returns the response that arrives before the rest is sent. */
  const answerToHalf = (path: string, lines: string[], half: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const { host, port } = new URL(kit.url);
      const socket = connect(Number(port), '127.0.0.1').setEncoding('latin1');
      socket.once('data', (text: string) => {
        socket.destroy();
        resolve(text);
      });
      socket.once('error', reject);
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('\r\n')}\r\n\r\n${half}`, 'latin1');
    });
  const form = `Content-Type: multipart/form-data; boundary=${boundary}`;
  const chunk = '5\r\n--lat\r\n';
  const bearer = (key: string) => `Authorization: Bearer ${key}`;

  test.each([
    ['/graphql', form],
    ['/graphql', 'Content-Type: application/json'],
    [uploadPath, form],
    ['/api/chat/send-chat-message', 'Content-Type: application/json'],
    ['/nowhere', form],
  ])('is not awaited from an anonymous client at %s when its length is unknown (%s)', async (path, type) => {
    const open = path === '/graphql' && !type.includes('multipart');
    // GraphQL also answers anonymous requests, so it must read them.
    const half = open ? '2\r\n{}\r\n0\r\n\r\n' : chunk;
    const text = await unchanged(() => answerToHalf(path, ['Transfer-Encoding: chunked', type], half));
    expect(text).toMatch(open ? /^HTTP\/1\.1 200 [\s\S]*Must provide query/ : /^HTTP\/1\.1 (401|403|404) /);
  });

  test.each(['Content-Length: 1000', 'Transfer-Encoding: chunked'])(
    'is not awaited when a key without the permission sends files to GraphQL (%s)',
    async (length) => {
      const text = await unchanged(() =>
        answerToHalf('/graphql', [length, form, bearer(kit.keys.LIMITED)], length.startsWith('T') ? chunk : '--lat'),
      );
      expect(text).toMatch(/^HTTP\/1\.1 403 /);
      expect(text).toContain(
        `"code":"FORBIDDEN","reason":"MISSING_PERMISSION","requiredPermissions":${JSON.stringify(uploadPermissions)}`,
      );
      await kit.booted.background.settled();
      expect(
        await kit.prisma.auditEvent.count({
          where: { action: 'permission.refused', detail: { path: ['operation'], equals: 'files in /graphql' } },
        }),
      ).toBeGreaterThan(0);
    },
  );
});

describe('answers that a WebSocket client does not read', () => {
  /** Sends pings without reading the answers, then reads them and returns how the socket ends. */
  async function pinged(count: number, first: object[] = []): Promise<{ pongs: number; code: number }> {
    const socket = new WebSocket(`${kit.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    let pongs = 0;
    socket.on('message', (data) => {
      if ((data as Buffer).includes('"pong"') && ++pongs === count) socket.close(1000);
    });
    const closed = once(socket, 'close');
    socket.pause();
    for (const message of first) socket.send(JSON.stringify(message));
    const ping = JSON.stringify({ type: 'ping', payload: { fill: 'x'.repeat(250_000) } });
    const sent = Array.from(
      { length: count },
      () => new Promise<void>((resolve) => socket.send(ping, () => resolve())),
    );
    await Promise.race([Promise.all(sent), closed]);
    expect((await kit.rest('GET', '/health')).status).toBe(200);
    socket.resume();
    const [code] = await closed;
    return { pongs, code };
  }

  test('close the socket above a limit until the client has authenticated', async () => {
    const { pongs, code } = await pinged(150);
    expect(code).not.toBe(1000);
    expect(pongs).toBeLessThan(150);
    const known = { type: 'connection_init', payload: { Authorization: `Bearer ${kit.keys.LIMITED}` } };
    expect(await pinged(3)).toEqual({ pongs: 3, code: 1000 });
    expect(await pinged(150, [known])).toEqual({ pongs: 150, code: 1000 });
  });
});

describe('one uploaded file for many variables', () => {
  test('is counted once per variable before any bytes are copied', async () => {
    const arrayBuffer = Blob.prototype.arrayBuffer;
    let copies = 0;
    Blob.prototype.arrayBuffer = function (this: Blob) {
      copies++;
      return arrayBuffer.call(this);
    };
    const places = (count: number) =>
      postOperation(
        kit,
        { query: uploadFiles, variables: { input: { files: Array(count).fill(null) } } },
        {
          0: Array.from({ length: Math.min(20, count) }, (_, at) => `variables.input.files.${at}`),
          1: Array.from({ length: Math.max(0, count - 20) }, (_, at) => `variables.input.files.${at + 20}`),
        },
        [0, 1].map((name) => ({ name: String(name), fileName: 'twice.txt', content: 'once and again' })),
        { key: kit.keys.BASIC },
      );
    try {
      const answer = await unchanged(() => places(40));
      expect(code(answer)).toBe('BAD_USER_INPUT');
      expect(copies).toBe(0);
      expect((await places(2)).data.uploadFiles.files).toHaveLength(2);
      expect(copies).toBe(2);
    } finally {
      Blob.prototype.arrayBuffer = arrayBuffer;
    }
  });
});

describe('many files of one user', () => {
  test('do not delay the file of another user', async () => {
    const [many, one] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
    const long = 'A word, and one more. '.repeat(10_000);
    const files = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`${at}.txt`, long]));
    expect((await uploadRest(kit, files, { key: many.secret })).body.user_files).toHaveLength(12);
    const id = await kit.upload('short.txt', 'A word.', { key: one.secret });
    // Processes all of them again, as if they were new, and the one behind the many.
    await kit.prisma.document.deleteMany({ where: { source: 'user_file' } });
    const whose = { ownerId: { in: [many.userId, one.userId] } };
    await kit.prisma.file.updateMany({ where: whose, data: { status: 'PROCESSING', text: null } });
    const unread = { ownerId: many.userId, status: 'PROCESSING' } as const;
    const ids = (await kit.prisma.file.findMany({ where: unread })).map((file) => file.id);
    const { signal } = new AbortController();
    const { ready } = kit.booted.services.files;
    const all = ready(ids, signal);
    await ready([id], signal);
    expect(await kit.prisma.file.findUniqueOrThrow({ where: { id } })).toMatchObject({ status: 'COMPLETED' });
    expect(await kit.prisma.file.count({ where: unread })).toBeGreaterThan(3);
    await all;
    expect(await kit.prisma.file.count({ where: { ...unread, status: 'COMPLETED' } })).toBe(12);
  });
});

describe('the files of a chat that a token continues', () => {
  test('are passed to the turns of a project token only when the token may read chats', async () => {
    const owner = await kit.createKey('BASIC');
    const projectId = await makeProject(owner.secret);
    const chats = await projectToken(projectId, owner.secret, ['write:chat']);
    const reads = await projectToken(projectId, owner.secret, ['write:chat', 'read:chat']);
    const file = await kit.upload('diary.txt', 'The combination of the safe is zebra-4711.', { key: owner.secret });
    for (const { secret, told } of [
      { secret: chats.secret, told: false },
      { secret: reads.secret, told: true },
    ]) {
      const begun = await ask('hello', secret);
      const { sessionId } = begun.data.sendChatMessage;
      const mine = await ask('what is in it?', owner.secret, { sessionId, fileIds: [file] });
      expect(mine.data.sendChatMessage.failure).toBeNull();
      expect(JSON.stringify(kit.model.requests.at(-1)?.body)).toContain('zebra-4711');
      const events = await streamed('and now?', secret, { sessionId });
      expect(events.includes('zebra-4711')).toBe(told);
      expect(JSON.stringify(kit.model.requests.at(-1)?.body).includes('zebra-4711')).toBe(told);
      const again = await ask('', secret, {
        sessionId,
        parent: { messageId: mine.data.sendChatMessage.userMessageId },
      });
      expect(again.data.sendChatMessage.failure).toBeNull();
      expect(JSON.stringify(kit.model.requests.at(-1)?.body).includes('zebra-4711')).toBe(told);
    }
  });

  test('are visible to a personal token with read:chat; without it, only files that the token adds are visible', async () => {
    const owner = await kit.createKey('BASIC');
    const writes = await kit.createPat(owner.secret, { scopes: ['write:chat'] });
    const reads = await kit.createPat(owner.secret, { scopes: ['write:chat', 'read:chat'] });
    const file = await kit.upload('diary.txt', 'The combination of the safe is zebra-4711.', { key: owner.secret });
    const { sessionId } = (await ask('hello', writes.secret)).data.sendChatMessage;
    for (const [secret, told] of [
      [writes.secret, false],
      [reads.secret, true],
    ] as const) {
      const given = await ask('what is in it?', owner.secret, { sessionId, fileIds: [file] });
      const anew = { sessionId, parent: { messageId: given.data.sendChatMessage.userMessageId } };
      expect((await streamed('', secret, anew)).includes('zebra-4711')).toBe(told);
      expect((await streamed('and now?', secret, { sessionId })).includes('zebra-4711')).toBe(told);
      const body = { message: 'and again?', chat_session_id: sessionId };
      const { status, text } = await kit.rest('POST', '/api/chat/send-chat-message', { key: secret, body });
      expect(status).toBe(200);
      expect(text.includes('zebra-4711')).toBe(told);
      expect(await streamed('and this?', secret, { sessionId, fileIds: [file] })).toContain('zebra-4711');
    }
  });
});

// The embedded database has one connection, so operations are never concurrent.
describe.runIf(process.env.DATABASE_URL)('concurrent operations (skipped without DATABASE_URL)', () => {
  let other: pg.Client;
  beforeAll(async () => {
    const url = new URL(process.env.DATABASE_URL as string);
    const [row] = await kit.prisma.$queryRaw<{ name: string }[]>`SELECT current_database() AS name`;
    url.pathname = `/${row?.name}`;
    other = new pg.Client({ connectionString: url.href });
    await other.connect();
  });
  afterAll(() => other?.end());

  const waiting = async (): Promise<number> =>
    (
      await other.query(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
    ).rows[0].waiting;

  /**
   * Locks a row, starts operations one after another, each once the previous one waits for the lock, and releases the
   * lock.
   */
  async function heldUp<T extends unknown[]>(
    [table, id]: [table: string, id: string],
    ...things: { [K in keyof T]: () => Promise<T[K]> }
  ): Promise<T> {
    await other.query('BEGIN');
    await other.query(`SELECT 1 FROM "${table}" WHERE "id" = $1 FOR UPDATE`, [id]);
    const begun: Promise<unknown>[] = [];
    for (const thing of things) {
      let over = false;
      begun.push(
        thing().finally(() => {
          over = true;
        }),
      );
      await until(async () => over || (await waiting()) === begun.length);
    }
    await other.query('COMMIT');
    return (await Promise.all(begun)) as T;
  }

  /** Makes the text of a file be extracted again. */
  async function unread(id: string): Promise<void> {
    await kit.prisma.document.delete({ where: { externalId: id } });
    await kit.prisma.file.update({ where: { id }, data: { status: 'PROCESSING', text: null } });
  }
  const readAgain = async () => {
    await kit.booted.services.files.resume();
    await kit.booted.background.settled();
  };

  test('deleting a project while the text of its token’s file is read leaves file and text to the owner', async () => {
    const owner = await kit.createKey('BASIC');
    const projectId = await makeProject(owner.secret);
    const token = await projectToken(projectId, owner.secret, ['write:projects']);
    const id = await kit.upload('plan.txt', 'The plan is to dig.', { key: token.secret });
    await unread(id);
    const [, gone] = await heldUp<[unknown, GraphQLAnswer]>(['File', id], readAgain, () =>
      kit.gql(
        'mutation ($id: ID!) { deleteProject(input: { id: $id }) { __typename } }',
        { id: projectId },
        owner.secret,
      ),
    );
    expect(gone.errors).toEqual([]);
    expect(await kit.prisma.file.findUnique({ where: { id }, include: { document: true } })).toMatchObject({
      ownerId: owner.userId,
      status: 'COMPLETED',
      document: { ownerId: owner.userId, isPublic: false },
    });
  });

  test('deleting a user while the text of the user’s file is read deletes the file and its text', async () => {
    const { session, userId } = await kit.person();
    const id = await kit.upload('plan.txt', 'The plan is to dig.', { key: session });
    const { data } = await ask('hello', session);
    await unread(id);
    await kit.gql('mutation ($id: ID!) { deactivateUser(input: { user: { id: $id } }) { __typename } }', {
      id: userId,
    });
    const [gone] = await heldUp<[GraphQLAnswer, unknown]>(
      ['ChatSession', data.sendChatMessage.sessionId],
      () => kit.gql('mutation ($id: ID!) { deleteUser(input: { user: { id: $id } }) { __typename } }', { id: userId }),
      readAgain,
    );
    expect(gone.errors).toEqual([]);
    expect(await kit.prisma.file.count({ where: { id } })).toBe(0);
    expect(await kit.prisma.document.count({ where: { externalId: id } })).toBe(0);
    expect(kit.log.filter((line) => line.includes('a file could not be read') && line.includes(id))).toEqual([]);
  });

  const erase = (id: string, key: string) =>
    kit.gql('mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }', { id }, key);

  test('deleting a file while a message attaches it succeeds in either order', async () => {
    const id = await kit.upload('plan.txt', 'The plan is to dig.', { key: kit.keys.BASIC });
    const [gone, asked] = await heldUp<[GraphQLAnswer, GraphQLAnswer]>(
      ['File', id],
      () => erase(id, kit.keys.BASIC),
      () => ask('what is it?', kit.keys.BASIC, { fileIds: [id] }),
    );
    expect(gone.data.deleteFile.deletedFileId).toBe(globalId('File', id));
    expect(['CONFLICT', 'BAD_USER_INPUT']).toContain(code(asked));
    const next = await kit.upload('plan.txt', 'The plan is to dig.', { key: kit.keys.BASIC });
    const [later, soon] = await heldUp<[GraphQLAnswer, GraphQLAnswer]>(
      ['File', next],
      () => ask('what is it?', kit.keys.BASIC, { fileIds: [next] }),
      () => erase(next, kit.keys.BASIC),
    );
    expect(later.data.sendChatMessage.answer).not.toBe('');
    expect(soon.data.deleteFile.deletedFileId).toBe(globalId('File', next));
  });

  test('linking a file to a project that is being deleted leaves the file with the project’s owner', async () => {
    const owner = await kit.createKey('BASIC');
    const projectId = await makeProject(owner.secret);
    const token = await projectToken(projectId, owner.secret, ['write:projects']);
    const id = await kit.upload('plan.txt', 'The plan is to dig.', { key: token.secret });
    const [linked, gone] = await heldUp<[GraphQLAnswer, GraphQLAnswer]>(
      ['File', id],
      () =>
        kit.gql(
          'mutation ($input: LinkFileToProjectInput!) { linkFileToProject(input: $input) { __typename } }',
          { input: { fileId: id, projectId } },
          token.secret,
        ),
      () =>
        kit.gql(
          'mutation ($id: ID!) { deleteProject(input: { id: $id }) { __typename } }',
          { id: projectId },
          owner.secret,
        ),
    );
    expect(gone.errors).toEqual([]);
    expect([undefined, 'NOT_FOUND']).toContain(code(linked));
    expect(await kit.prisma.file.findUnique({ where: { id } })).toMatchObject({ ownerId: owner.userId });
  });

  test('bytes that are reclaimed while they are about to be erased are kept', async () => {
    const id = await kit.upload('plan.txt', 'The plan is to dig.', { key: kit.keys.BASIC });
    await kit.prisma.orphanedBlob.create({ data: { id, dueAt: new Date(0) } });
    const [taken] = await heldUp<[number, unknown]>(
      ['OrphanedBlob', id],
      async () => (await kit.prisma.orphanedBlob.deleteMany({ where: { id } })).count,
      () => sweep(kit),
    );
    expect(taken).toBe(1);
    expect(blobsOf(kit)).toContain(id);
    await erase(id, kit.keys.BASIC);
    await sweep(kit);
    expect(blobsOf(kit)).not.toContain(id);
  });
});
