import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kit, startKit, until } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';
import { type Gate, makeGate } from '../../../test/model-server.ts';
import { type Chance, seeded } from '../../../test/seeded.ts';

/**
 * Many readers of many runs at the same time: each receives every event exactly once and in order, however often it
 * disconnects and resumes.
 */
let kit: Kit;

beforeAll(async () => {
  // No run times out, even on a slow machine.
  kit = await startKit({ scripted: true, environment: { LLM_SILENCE_SECONDS: '600', TURN_SECONDS: '600' } });
});
afterAll(() => kit?.close());

const readersOfRun = 10;
/** The maximum number of concurrent runs of a user. */
const runsAtOnce = 20;

interface Run {
  sessionId: string;
  runId: string;
  messageId: number;
  gate: Gate;
  /** The deltas of its model. */
  pieces: string[];
}

/** Starts a turn whose model waits before each delta, and does not read it. */
async function startRun(name: string, chance: Chance): Promise<Run> {
  const gate = makeGate();
  const pieces = Array.from({ length: 12 + chance.below(12) }, (_, piece) => `${name}.${piece}\n`);
  const asked = kit.model.requests.length;
  kit.model.script({ text: pieces, gate });
  const lines = jsonLines(
    await fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.BASIC}` },
      body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [] }),
    }),
  );
  const [{ chat_session_id: sessionId }, ids] = await gather(lines, (line) => line.user_message_id !== undefined);
  await lines.return();
  // The model server returns scripted answers in the order of the requests.
  await until(() => kit.model.requests.length > asked);
  const { id: runId } = await kit.prisma.run.findFirstOrThrow({ where: { sessionId } });
  return { sessionId, runId, messageId: ids.reserved_assistant_message_id, gate, pieces };
}

/** An event, or a line of a stream. */
interface Item {
  index?: number;
  text?: string;
  obj?: { type: string; content?: string };
}

/**
 * A way to read a run from an index, with the number of items that the reader already has. Leaving early closes the
 * connection.
 */
interface Road {
  open(run: Run, from: number): AsyncGenerator<Item>;
  text(item: Item): string;
}

const document = `subscription ($run: ChatRunLocatorInput!, $from: Int) {
  chatRun(run: $run, from: $from) {
    __typename
    ... on ChatSessionCreated { index }
    ... on ChatMessageIds { index }
    ... on ChatAnswerStarted { index afterSeconds }
    ... on ChatAnswerDelta { index text }
    ... on ChatTurnStopped { index reason }
    ... on ChatTurnFailed { index message }
  }
}`;
const roads: Record<'graphql' | 'rest', Road> = {
  graphql: {
    async *open({ runId, sessionId }, from) {
      const run = from % 2 === 0 ? { id: runId } : { sessionId };
      for await (const { data } of kit.subscribe(document, { run, from }, kit.keys.BASIC)) yield data.chatRun;
    },
    text: ({ text }) => text ?? '',
  },
  rest: {
    async *open({ sessionId }, from) {
      const response = await fetch(`${kit.url}/api/chat/chat-session/${sessionId}/resume-stream?cursor=${from}`, {
        headers: { authorization: `Bearer ${kit.keys.BASIC}` },
      });
      expect(response.status).toBe(200);
      yield* jsonLines(response);
    },
    text: ({ obj }) => (obj?.type === 'message_delta' ? (obj.content ?? '') : ''),
  },
};

interface Reader {
  run: Run;
  road: keyof typeof roads;
  /** The items read over all of its connections. */
  items: unknown[];
  /** The number of deltas of the answer among them. */
  pieces: number;
  drops: number;
  done: Promise<void>;
}

/** Reads a run to its end, and disconnects after these numbers of items. */
function startReader(run: Run, road: keyof typeof roads, dropAt: number[]): Reader {
  const { open, text } = roads[road];
  const reader: Reader = { run, road, items: [], pieces: 0, drops: 0, done: Promise.resolve() };
  /** Returns whether the run ended; false after a disconnect. */
  async function connect(): Promise<boolean> {
    for await (const item of open(run, reader.items.length)) {
      reader.items.push(item);
      if (text(item) !== '') reader.pieces += 1;
      if (!dropAt.includes(reader.items.length)) continue;
      reader.drops += 1;
      return false;
    }
    return true;
  }
  reader.done = (async () => {
    while (!(await connect()));
  })();
  return reader;
}

it('200 readers of 20 runs receive every event of their run exactly once', { timeout: 120_000 }, async () => {
  const chance = seeded();
  const runs: Run[] = [];
  for (let run = 0; run < runsAtOnce; run++) runs.push(await startRun(`run ${run}`, chance));
  const readers = runs.flatMap((run) =>
    Array.from({ length: readersOfRun }, (_, reader) => {
      // Half of the readers disconnect up to four times, at random positions before the end.
      const dropAt =
        reader < readersOfRun / 2 ? [] : chance.several(1 + chance.below(4), run.pieces.length + 3).map((at) => at + 1);
      return startReader(run, reader % 2 === 0 ? 'graphql' : 'rest', dropAt);
    }),
  );
  const all = Promise.all(readers.map(({ done }) => done));

  const said = new Map(runs.map((run) => [run, 0]));
  for (let speaking = [...runs]; speaking.length > 0; ) {
    const run = chance.pick(speaking);
    const pieces = (said.get(run) ?? 0) + 1;
    said.set(run, pieces);
    run.gate.release();
    if (pieces === run.pieces.length) speaking = speaking.filter((each) => each !== run);
    // Sometimes all readers catch up, so that a reader disconnects at the current end of the run and not only behind
    // it.
    if (chance.below(4) > 0) continue;
    await Promise.race([all, until(() => readers.every((reader) => reader.pieces >= (said.get(reader.run) ?? 0)))]);
  }
  await all;

  expect(readers).toHaveLength(200);
  expect(readers.filter(({ drops }) => drops > 0)).toHaveLength(100);
  expect(readers.filter(({ drops }) => drops > 1).length).toBeGreaterThan(0);
  await kit.booted.background.settled();
  for (const run of runs) {
    const message = await kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: run.messageId } });
    expect(message).toMatchObject({ status: 'COMPLETE', text: run.pieces.join('') });
    for (const [road, { open, text }] of Object.entries(roads)) {
      const whole = await gather(open(run, 0));
      expect(whole.map(text).join('')).toBe(message.text);
      if (road === 'graphql') expect(whole.map(({ index }) => index)).toEqual(whole.map((_, index) => index));
      const own = readers.filter((reader) => reader.run === run && reader.road === road);
      expect(own).toHaveLength(readersOfRun / 2);
      for (const { items } of own) expect(items).toEqual(whole);
    }
  }
});
