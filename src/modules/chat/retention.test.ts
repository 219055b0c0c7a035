import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type Kit, ownDatabase, startKit, until } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { testUrl } from '../../../test/test-url.ts';
import { boot } from '../../boot.ts';
import { createLog } from '../../log.ts';
import { readSettings } from '../../settings.ts';
import { openDatabase } from '../../store/database.ts';

let kit: Kit;
let userId: string;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  await kit.prisma.document.deleteMany();
  userId = (await kit.gql('{ viewer { user { databaseId } } }')).data.viewer.user.databaseId;
});
afterAll(() => kit?.close());
afterEach(() => {
  vi.useRealTimers();
});

const day = 24 * 3600 * 1000;
const daysAgo = (days: number) => new Date(Date.now() - days * day);
const forget = (days: number) => kit.booted.services.chatRetention.forget(days);

async function session(updatedAt: Date, more: { deletedAt?: Date } = {}): Promise<string> {
  const { id } = await kit.prisma.chatSession.create({
    data: { userId, agentId: 0, updatedAt, ...more, messages: { create: { role: 'SYSTEM' } } },
  });
  return id;
}
const left = async (ids: string[]) => {
  const rows = await kit.prisma.chatSession.findMany({ where: { id: { in: ids } }, select: { id: true } });
  const found = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => found.has(id));
};

it('deletes sessions unused for longer than the retention period, soft-deleted ones included, with their messages', async () => {
  const [old, hidden, kept, hiddenLately] = [
    await session(daysAgo(31)),
    await session(daysAgo(400), { deletedAt: daysAgo(399) }),
    await session(daysAgo(29)),
    await session(daysAgo(1), { deletedAt: daysAgo(1) }),
  ];
  const all = [old, hidden, kept, hiddenLately];
  expect(await forget(500)).toBe(0);
  expect(await left(all)).toEqual(all);
  expect(await forget(30)).toBe(2);
  expect(await left(all)).toEqual([kept, hiddenLately]);
  expect(await kit.prisma.chatMessage.count({ where: { sessionId: { in: [old, hidden] } } })).toBe(0);
  expect(await kit.prisma.chatMessage.count({ where: { sessionId: { in: [kept, hiddenLately] } } })).toBe(2);
  expect(await forget(30)).toBe(0);
});

it('keeps a session with a running answer, and deletes it after the answer has ended', async () => {
  const gate = makeGate();
  kit.model.script({ text: ['Slow'], gate });
  const sent = kit.rest('POST', '/api/chat/send-chat-message', { body: { message: 'Hello', stream: false } });
  const run = await until(() => kit.prisma.run.findFirst({ where: { status: 'RUNNING' } }));
  const backDate = () =>
    kit.prisma.chatSession.update({ where: { id: run.sessionId }, data: { updatedAt: daysAgo(100) } });
  await backDate();
  expect(await forget(30)).toBe(0);
  gate.open();
  expect((await sent).body).toMatchObject({ answer: 'Slow', error_msg: null });
  expect(await forget(30)).toBe(0);
  await backDate();
  expect(await forget(30)).toBe(1);
  expect(await left([run.sessionId])).toEqual([]);
  expect(await kit.prisma.run.count({ where: { id: run.id } })).toBe(0);
});

it('deletes any number of expired sessions in batches', async () => {
  const ids = Array.from({ length: 450 }, () => randomUUID());
  await kit.prisma.chatSession.createMany({
    data: ids.map((id) => ({ id, userId, agentId: 0, updatedAt: daysAgo(60) })),
  });
  kit.statements.length = 0;
  expect(await forget(30)).toBe(450);
  expect(kit.statements.filter((text) => text.includes('DELETE FROM "ChatSession"'))).toHaveLength(3);
  expect(await left(ids)).toEqual([]);
});

it('a turn that starts during the deletion either keeps its session or fails with NOT_FOUND or CONFLICT', async () => {
  const ids = [];
  for (let i = 0; i < 8; i++) ids.push(await session(daysAgo(60)));
  const send = 'mutation ($id: ID) { sendChatMessage(input: { message: "Hello", sessionId: $id }) { answer } }';
  const turns = ids.map((id) => kit.gql(send, { id }));
  const [answers] = await Promise.all([Promise.all(turns), forget(30)]);
  const answered = ids.filter((_id, index) => answers[index]?.data?.sendChatMessage?.answer === 'You said: Hello');
  expect(await left(ids)).toEqual(answered);
  const codes = answers.filter(({ errors }) => errors.length > 0).map(({ errors }) => errors[0]?.extensions.code);
  expect(codes).toHaveLength(ids.length - answered.length);
  for (const code of codes) expect(['NOT_FOUND', 'CONFLICT']).toContain(code);
});

/** Creates the database of an earlier start in which these chats were last used this number of days ago. */
async function leftBehind(chats: Record<string, number>) {
  const own = await ownDatabase();
  const db = await openDatabase(own.options);
  const owner = await db.prisma.user.create({ data: { name: 'owner', email: 'owner@example.com' } });
  for (const [name, days] of Object.entries(chats))
    await db.prisma.chatSession.create({ data: { userId: owner.id, agentId: 0, name, updatedAt: daysAgo(days) } });
  await db.close();
  return own;
}

it('deletes expired sessions at startup and daily, and deletes no sessions without CHAT_RETENTION_DAYS', async () => {
  const { options: database, drop } = await leftBehind({ new: 9, old: 11 });
  const start = (environment: Record<string, string>) =>
    boot({
      settings: readSettings({
        PUBLIC_URL: testUrl,
        DATA_DIR: join(tmpdir(), `latchkey-test-${randomUUID()}`),
        ...environment,
      }),
      log: createLog('silent'),
      database,
    });
  const names = async ({ foundation, background }: Awaited<ReturnType<typeof start>>) => {
    await background.settled();
    const rows = await foundation.db.prisma.chatSession.findMany({ orderBy: { name: 'asc' } });
    return rows.map(({ name }) => name);
  };
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const without = await start({});
  expect(await names(without)).toEqual(['new', 'old']);
  vi.advanceTimersByTime(day);
  expect(await names(without)).toEqual(['new', 'old']);
  await without.close();

  const within = await start({ CHAT_RETENTION_DAYS: '10' });
  expect(await names(within)).toEqual(['new']);
  await within.foundation.db.prisma.chatSession.updateMany({ data: { updatedAt: daysAgo(12) } });
  vi.advanceTimersByTime(day);
  expect(await names(within)).toEqual([]);
  await within.close();
  await drop();
}, 60_000);
