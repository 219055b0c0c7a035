import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Kit, startKit, until } from '../../../test/kit.ts';
import { type Gate, makeGate } from '../../../test/model-server.ts';

/** AnythingLLM clients send several messages to one chat concurrently and expect an answer to each of them. */
let kit: Kit;
let slug: string;
let count = 0;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
  slug = (await kit.rest('POST', '/api/v1/workspace/new', { body: { name: 'Queue' } })).body.workspace.slug;
});
afterAll(() => kit?.close());

interface Chat {
  path: string;
  body: Record<string, unknown>;
}
const newChat = (): Chat => {
  count += 1;
  return { path: `/api/v1/workspace/${slug}/chat`, body: { mode: 'chat', sessionId: `session-${count}` } };
};
const say = (chat: Chat, message: string, key: string = kit.keys.BASIC): Promise<Answer> =>
  kit.rest('POST', chat.path, { key, body: { ...chat.body, message } });

const asked = () => kit.model.requests.length;
const textOf = ({ content }: { content: unknown }): string =>
  typeof content === 'string' ? content : JSON.stringify(content);
/** Returns the answer text of a response, which is a JSON object or server-sent events. */
const answerIn = ({ text }: Answer): string =>
  (text.startsWith('data: ') ? text.split('\n\n').filter(Boolean) : [`data: ${text}`])
    .map((frame) => JSON.parse(frame.slice('data: '.length)).textResponse ?? '')
    .join('');
/** Asserts that `work` changes no stored data while an answer is held. */
async function unchanged(work: () => Promise<void>): Promise<void> {
  const before = await kit.fingerprint();
  await work();
  expect(await kit.fingerprint()).toBe(before);
}
/** Starts an answer that is held until the gate opens. */
async function busy(chat: Chat): Promise<{ gate: Gate; answer: Promise<Answer> }> {
  const gate = makeGate();
  kit.model.script({ text: ['first'], gate });
  const before = asked();
  const answer = say(chat, 'hold');
  await until(() => asked() > before);
  return { gate, answer };
}
const questions = async (chat: Chat): Promise<string[]> => {
  const messages = await kit.prisma.chatMessage.findMany({
    where: { role: 'USER', session: { clientKey: `session:${chat.body.sessionId}` } },
    orderBy: { id: 'asc' },
  });
  return messages.map(({ text }) => text);
};

describe('messages to a chat that is answering', () => {
  test.each(['chat', 'stream-chat'])(
    'five concurrent messages to /%s are all answered, one after the other',
    async (kind) => {
      const chat = { ...newChat(), path: `/api/v1/workspace/${slug}/${kind}` };
      const messages = ['one', 'two', 'three', 'four', 'five'];
      const answers = await Promise.all(messages.map((message) => say(chat, message)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      expect(answers.map(answerIn)).toEqual(messages.map((message) => `You said: ${message}`));
      expect((await questions(chat)).toSorted()).toEqual(messages.toSorted());
      // Each prompt contains the messages before it.
      const prompts = kit.model.requests.slice(-5).map(({ body }) => body.messages?.length ?? 0);
      expect(prompts).toEqual([...prompts].sort((one, other) => one - other));
      expect(new Set(prompts).size).toBe(5);
    },
  );

  test('are answered in the order in which they arrived', async () => {
    const chat = newChat();
    const { gate, answer } = await busy(chat);
    const waiting: Promise<Answer>[] = [];
    for (const [index, message] of ['b', 'c', 'd'].entries()) {
      waiting.push(say(chat, message));
      await until(() => kit.booted.services.turnQueue.waiting === index + 1);
    }
    expect((await kit.rest('GET', '/metrics')).text).toContain('chat_messages_waiting 3');
    gate.open();
    await Promise.all([answer, ...waiting]);
    expect(await questions(chat)).toEqual(['hold', 'b', 'c', 'd']);
    const last = kit.model.requests.at(-1)?.body.messages ?? [];
    expect(last.map((message) => textOf(message as { content: unknown })).join('\n')).toContain('You said: c');
  });

  test('wait in threads and in a workspace’s unnamed chat as well', async () => {
    const { body } = await kit.rest('POST', `/api/v1/workspace/${slug}/thread/new`, { key: kit.keys.BASIC, body: {} });
    for (const path of [
      `/api/v1/workspace/${slug}/thread/${body.thread.slug}/chat`,
      `/api/v1/workspace/${slug}/chat`,
    ]) {
      const answers = await Promise.all([1, 2, 3].map((n) => say({ path, body: { mode: 'chat' } }, `message ${n}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
  });

  test('wait in the chat of a widget’s visitor as well', async () => {
    const made = await kit.rest('POST', '/api/v1/embed/new', { body: { workspace_slug: slug, chat_mode: 'chat' } });
    const sessionId = randomUUID();
    const path = `/api/embed/${made.body.embed.uuid}/stream-chat`;
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((message) => kit.rest('POST', path, { key: null, body: { sessionId, message } })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers.map(answerIn)).toEqual(['You said: a', 'You said: b', 'You said: c']);
  });

  test('store no data when their client disconnects while they wait', async () => {
    const chat = newChat();
    const { gate, answer } = await busy(chat);
    const gone = new AbortController();
    const lines = kit.log.length;
    await unchanged(async () => {
      const waiting = fetch(`${kit.url}${chat.path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${kit.keys.BASIC}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...chat.body, message: 'never' }),
        signal: gone.signal,
      });
      await kit.rest('GET', '/api/ping', { key: null });
      gone.abort();
      await expect(waiting).rejects.toThrow();
      // The request ends although the chat is still answering an earlier message.
      await until(() =>
        kit.log.slice(lines).some((line) => line.includes(chat.path) && /"status":(409|499)/.test(line)),
      );
    });
    gate.open();
    await answer;
    expect((await say(chat, 'after')).status).toBe(200);
    expect(await questions(chat)).toEqual(['hold', 'after']);
  });

  test('are rejected when their key is revoked while they wait', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const chat = newChat();
    const { gate, answer } = await busy(chat);
    const own = { ...chat, body: { ...chat.body, sessionId: `own-${count}` } };
    const gateOfOwn = makeGate();
    kit.model.script({ text: ['own'], gate: gateOfOwn });
    const before = asked();
    const first = say(own, 'hold', secret);
    await until(() => asked() > before);
    const waiting = say(own, 'never', secret);
    await kit.rest('GET', '/api/ping', { key: null });
    await kit.gql(`mutation { deleteApiKey(input: { id: ${id} }) { deletedApiKeyId } }`);
    expect((await waiting).status).toBe(403);
    gate.open();
    gateOfOwn.open();
    await Promise.all([answer, first]);
  });

  test('return 429 when 20 messages are already waiting', async () => {
    const chat = newChat();
    const { gate, answer } = await busy(chat);
    const waiting = Array.from({ length: 22 }, (_, index) => say(chat, `message ${index}`));
    const settled: Answer[] = [];
    for (const each of waiting) void each.then((answer) => settled.push(answer));
    await until(() => settled.length === 2);
    for (const { status, headers, body } of settled) {
      expect(status).toBe(429);
      expect(headers.get('retry-after')).toBe('5');
      expect(body.error).toBe('Too many waiting messages (limit: 20).');
    }
    gate.open();
    await answer;
    expect((await Promise.all(waiting)).filter(({ status }) => status === 200)).toHaveLength(20);
  });
});

test('GraphQL and the Onyx paths return a conflict unless the client asks to wait', async () => {
  const { body } = await kit.rest('POST', '/api/chat/create-chat-session', { body: {} });
  const sessionId = body.chat_session_id;
  const send = (input: object) =>
    kit.gql('mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }', {
      input: { sessionId, ...input },
    });
  const gate = makeGate();
  kit.model.script({ text: ['first'], gate });
  const before = asked();
  const first = send({ message: 'hold' });
  await until(() => asked() > before);
  await unchanged(async () => {
    expect((await send({ message: 'now' })).errors[0]?.extensions.code).toBe('CONFLICT');
    const onyx = { chat_session_id: sessionId, message: 'now', stream: false };
    expect((await kit.rest('POST', '/api/chat/send-chat-message', { body: onyx })).status).toBe(409);
  });
  const second = send({ message: 'later', queue: true });
  gate.open();
  expect((await first).data.sendChatMessage.answer).toBe('first');
  expect((await second).data.sendChatMessage.answer).toBe('You said: later');
});
