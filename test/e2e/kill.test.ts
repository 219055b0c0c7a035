import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../kit.ts';
import { gather, jsonLines } from '../lines.ts';
import { type ModelServer, makeGate, startModelServer } from '../model-server.ts';
import { type Chance, seeded } from '../seeded.ts';
import { api, build, keyIn, kill, killAll, start, storage } from './latchkey.ts';

/** A server that is killed repeatedly in the middle of an answer, on the same data. */
let store: Awaited<ReturnType<typeof storage>>;
let model: ModelServer;

beforeAll(async () => {
  [store, model] = await Promise.all([storage(), startModelServer(), build()]);
});
afterAll(async () => {
  await killAll();
  await Promise.all([store?.drop(), model?.close()]);
});

/** The state of a turn when its server is killed. */
const moments = ['its ids', 'its search', 'its first words', 'what was saved', 'its middle', 'its end'] as const;
type Moment = (typeof moments)[number];

interface Message {
  databaseId: number;
  parentId: number | null;
  latestChildId: number | null;
  role: 'SYSTEM' | 'USER' | 'ASSISTANT';
  status: string;
  text: string;
}

type Server = Awaited<ReturnType<typeof start>> & ReturnType<typeof api>;

/** Printed by the first start. */
let key: string | undefined;

async function startServer(): Promise<Server> {
  const latchkey = await start({
    ...store.environment,
    LLM_PROVIDER: 'openai-compatible',
    LLM_BASE_URL: model.baseUrl,
    LLM_MODEL: 'scripted',
  });
  key ??= keyIn(latchkey);
  return { ...latchkey, ...api(latchkey.url, key) };
}

/** Returns all messages of a session without a running turn. */
async function messagesOf(server: Server, id: string): Promise<Message[]> {
  const { data, errors } = await server.graphql(`{ chatSession(id: "${id}") { currentRun { id } messages(first: 100) {
    pageInfo { hasNextPage } nodes { databaseId parentId latestChildId role status text } } } }`);
  expect(errors).toBeUndefined();
  expect(data.chatSession).toMatchObject({ currentRun: null, messages: { pageInfo: { hasNextPage: false } } });
  return data.chatSession.messages.nodes;
}

/** Returns the current branch of a valid tree: one root, no orphans, ending at a leaf. */
function branchOf(messages: Message[]): Message[] {
  const known = new Map(messages.map((message) => [message.databaseId, message]));
  expect(messages.filter(({ parentId }) => parentId === null)).toMatchObject([{ role: 'SYSTEM', text: '' }]);
  for (const { databaseId, parentId, latestChildId, role, status } of messages) {
    expect(['COMPLETE', 'INTERRUPTED']).toContain(status);
    const children = messages.filter((message) => message.parentId === databaseId);
    if (latestChildId === null) expect(children).toEqual([]);
    else expect(children.map((child) => child.databaseId)).toContain(latestChildId);
    if (parentId === null) continue;
    // Questions and answers alternate, and a message is created after its parent.
    expect(parentId).toBeLessThan(databaseId);
    const above = known.get(parentId)?.role;
    expect(role === 'USER' ? ['SYSTEM', 'ASSISTANT'] : ['USER']).toContain(above);
  }
  const branch = messages.filter(({ parentId }) => parentId === null);
  for (let last = branch[0]; last?.latestChildId != null; last = branch.at(-1)) {
    const next = known.get(last.latestChildId) as Message;
    expect(branch).not.toContain(next);
    branch.push(next);
  }
  return branch;
}

interface Killed {
  sessionId: string;
  question: string;
  /** Null when an old question was to be regenerated. */
  userMessageId: number | null;
  assistantMessageId: number;
  /** The text that the model had sent, and the minimum that must be stored. */
  said: string;
  saved: string;
}

/** Starts a turn in an existing or a new session, and kills its server at the given point. */
async function killDuring(server: Server, moment: Moment, session: Session | null, chance: Chance): Promise<Killed> {
  const gate = makeGate();
  const name = `answer ${model.requests.length}`;
  const pieces = Array.from({ length: 6 + chance.below(20) }, (_, piece) => `${name}.${piece} `);
  const question = `Question ${model.requests.length}: what does Latchkey do?`;
  model.script({ text: pieces, gate });
  const place = session && chance.pick([-1, null, session.lastQuestion]);
  const lines = jsonLines(
    await server.send({
      message: question,
      ...(session && { chat_session_id: session.id, parent_message_id: place }),
      ...(moment === 'its search' && { allowed_tool_ids: null }),
    }),
  );
  const begun = await gather(lines, (line) => line.reserved_assistant_message_id !== undefined);
  const { user_message_id: userMessageId, reserved_assistant_message_id: assistantMessageId } = begun.at(-1);
  const sessionId: string = session?.id ?? begun[0].chat_session_id;
  let said = 0;
  const say = async (count: number) => {
    for (let piece = 0; piece < count; piece++) gate.release();
    for (let piece = 0; piece < count; piece++) await gather(lines, ({ obj }) => obj?.type === 'message_delta');
    said += count;
  };
  let saved = '';
  if (moment === 'its search') await gather(lines, ({ obj }) => obj?.type === 'search_tool_start');
  if (moment === 'its first words') await say(1);
  if (moment === 'what was saved') {
    await say(1 + chance.below(pieces.length - 2));
    const isStored = async () => (await server.session(sessionId)).messages.at(-1).message as string;
    saved = await until(isStored);
    await say(1);
  }
  if (moment === 'its middle') {
    await say(chance.below(pieces.length - 1));
    // Another delta is on its way.
    gate.release();
    said += 1;
  }
  if (moment === 'its end') {
    await say(pieces.length);
    await gather(lines, ({ obj }) => obj?.type === 'stop');
    saved = pieces.join('');
  }
  await kill(server);
  // A model that was called and not read, or is called next, sends the rest.
  gate.open();
  return {
    sessionId,
    question,
    userMessageId,
    assistantMessageId,
    said: pieces.slice(0, said).join(''),
    saved,
  };
}

interface Session {
  id: string;
  lastQuestion: number;
}

it('the server keeps every acknowledged message through ten kills, and continues its chats', {
  timeout: 240_000,
}, async () => {
  const chance = seeded();
  const plan = [...moments, ...Array.from({ length: 10 - moments.length }, () => chance.pick(moments))];
  /** All messages of each session at the time of the last kill. */
  const known = new Map<string, Message[]>();
  let session: Session | null = null;
  let server = await startServer();
  for (const moment of plan) {
    const before = session && chance.below(3) > 0 ? session : null;
    const killed = await killDuring(server, moment, before, chance);
    server = await startServer();
    const { sessionId, question, userMessageId, assistantMessageId, said, saved } = killed;

    const stored = await messagesOf(server, sessionId);
    const branch = branchOf(stored);
    const answer = branch.at(-1) as Message;
    expect(answer).toMatchObject({ databaseId: assistantMessageId, role: 'ASSISTANT' });
    expect([moment, answer.status]).toEqual([moment, moment === 'its end' ? 'COMPLETE' : 'INTERRUPTED']);
    expect(said.startsWith(answer.text), `${moment}: ${said} begins with ${answer.text}`).toBe(true);
    expect(answer.text.startsWith(saved), `${moment}: ${answer.text} begins with ${saved}`).toBe(true);
    const asked = branch.at(-2) as Message;
    if (userMessageId === null) expect(asked.databaseId).toBe(before?.lastQuestion);
    else expect(asked).toMatchObject({ databaseId: userMessageId, role: 'USER', text: question });

    // Earlier messages are unchanged, and only this turn was added, possibly on a new branch.
    for (const [id, messages] of known) {
      const now = id === sessionId ? stored : await messagesOf(server, id);
      const shown = ({ latestChildId, ...rest }: Message) => (id === sessionId ? rest : { ...rest, latestChildId });
      const old = now.filter(({ databaseId }) => ![userMessageId, assistantMessageId].includes(databaseId));
      expect(old.map(shown)).toEqual(messages.map(shown));
    }
    const resumed = await server.call('GET', `/api/chat/chat-session/${sessionId}/resume-stream`);
    expect(resumed.status).toBe(404);

    const next = await (await server.send({ chat_session_id: sessionId, message: 'Go on', stream: false })).json();
    expect(next).toMatchObject({ answer: expect.stringMatching(/./), error_msg: null });
    const after = await messagesOf(server, sessionId);
    expect(branchOf(after).slice(-3)).toMatchObject([
      { databaseId: assistantMessageId },
      { role: 'USER', text: 'Go on' },
      { role: 'ASSISTANT', status: 'COMPLETE', text: next.answer },
    ]);
    known.set(sessionId, after);
    session = { id: sessionId, lastQuestion: branchOf(after).at(-2)?.databaseId ?? 0 };
  }
  expect(server.output.stderr).toBe('');
});
