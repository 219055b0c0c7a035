import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Kit, startKit, until } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';
import { makeGate, type TextReply } from '../../../test/model-server.ts';
import { FinishedRuns } from '../../store/shared/runs.ts';
import { ActiveRun } from './runs.ts';

/** Readers that leave a run and resume it, by GraphQL and REST, and clients that stop it. */
let kit: Kit;

beforeAll(async () => {
  kit = await startKit({ scripted: true });
  // The pages of the server would be found too.
  await kit.prisma.document.deleteMany();
  await kit.ingest('Teapots', 'A teapot holds a litre of tea.', {
    id: 'teapots',
    link: 'https://docs.example/teapots',
  });
});
afterAll(() => kit?.close());
afterEach(() => void vi.useRealTimers());

const nowhere = '00000000-0000-4000-8000-000000000000';

interface Options {
  key?: string | null;
  signal?: AbortSignal;
}

const headers = (key: string | null = kit.keys.BASIC): Record<string, string> =>
  key === null ? {} : { authorization: `Bearer ${key}` };

const resume = (session: string, cursor: number | string | null, { key, signal }: Options = {}): Promise<Response> =>
  fetch(`${kit.url}/api/chat/chat-session/${session}/resume-stream${cursor === null ? '' : `?cursor=${cursor}`}`, {
    headers: headers(key),
    ...(signal && { signal }),
  });

const live = (body: object, { key, signal }: Options = {}): Promise<Response> =>
  fetch(`${kit.url}/api/chat/send-chat-message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers(key) },
    body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [], ...body }),
    ...(signal && { signal }),
  });

/** Returns the lines of a text with their line breaks. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n/g) ?? [];
const isDelta = ({ obj }: { obj?: { type: string } }) => obj?.type === 'message_delta';

const eventFields = `__typename
  ... on ChatSessionCreated { index }
  ... on ChatMessageIds { index runId }
  ... on ChatSearchStarted { index }
  ... on ChatSearchQueries { index }
  ... on ChatSearchDocuments { index documents { documentId } }
  ... on ChatReasoningStarted { index }
  ... on ChatReasoningDelta { index text }
  ... on ChatReasoningEnded { index }
  ... on ChatAnswerStarted { index afterSeconds documents { documentId } }
  ... on ChatAnswerDelta { index text }
  ... on ChatCitation { index citation { documentId } }
  ... on ChatTurnStopped { index reason }
  ... on ChatTurnFailed { index code message }`;
const runDocument = `subscription ($run: ChatRunLocatorInput!, $from: Int) {
  chatRun(run: $run, from: $from) { ${eventFields} } }`;

interface Which {
  id?: string | null;
  sessionId?: string | null;
  from?: number | null;
}

/** Yields the events of a run. Throws the first error, with its code. */
async function* chatRun({ from, ...run }: Which, key = kit.keys.BASIC, signal?: AbortSignal) {
  for await (const { data, errors } of kit.subscribe(runDocument, { run, from }, key, signal)) {
    if (errors) throw Object.assign(new Error(errors[0].message), errors[0].extensions);
    yield data.chatRun;
  }
}

async function createSession(key = kit.keys.BASIC, body: object = {}): Promise<string> {
  const answer = await kit.rest('POST', '/api/chat/create-chat-session', { body, key });
  expect(answer.status).toBe(200);
  return answer.body.chat_session_id;
}

/**
 * Returns a session whose model has sent `said` deltas of its answer and waits, together with the events that a reader
 * of the live stream received. With zero deltas, the answer is not saved meanwhile.
 */
async function underWay(reply: TextReply, said: number, key = kit.keys.BASIC) {
  const session = await createSession(key);
  const gate = makeGate();
  const asked = kit.model.requests.length;
  kit.model.script({ ...reply, gate });
  const reading = jsonLines(await live({ chat_session_id: session }, { key }));
  for (let piece = 0; piece < said; piece++) gate.release();
  const lines = await gather(reading, ({ reserved_assistant_message_id: id }) => id !== undefined);
  for (let piece = 0; piece < said; piece++) lines.push(...(await gather(reading, isDelta)));
  // From here on, the server writes only when the model responds.
  await until(() => kit.model.requests.length > asked);
  const { id: runId, messageId } = await kit.prisma.run.findFirstOrThrow({ where: { sessionId: session } });
  return { session, gate, reading, lines, runId, messageId };
}

/** Returns a session with a completed answer and the text of its live stream. */
async function over(reply: TextReply | { status: number }, body: object = {}, key = kit.keys.BASIC) {
  kit.model.script(reply);
  const text = await (await live(body, { key })).text();
  const { id: runId, sessionId } = await kit.prisma.run.findFirstOrThrow({ orderBy: { startedAt: 'desc' } });
  return { session: sessionId, runId, text };
}

/** Returns the responses to a denied resumption, by REST and by GraphQL. */
async function refusals(session: string, key: string) {
  const response = await resume(session, 0, { key });
  const { code } = await gather(chatRun({ sessionId: session }, key)).catch((error) => error);
  return { status: response.status, body: await response.json(), code };
}

describe('resuming the lines of a run at any cursor', () => {
  const cases: [string, TextReply | { status: number }, object][] = [
    [
      'with a search, thoughts and citations',
      { reasoning: 'Hm', text: ['A litre ', '[', '1', '].', ' Yes [1].'] },
      { message: 'What holds a teapot?', allowed_tool_ids: undefined },
    ],
    ['that failed', { status: 400 }, {}],
    ['that made its session', { text: ['One ', 'two'] }, {}],
  ];

  it.each(cases)('returns the same bytes as the live stream: %s', async (_what, reply, body) => {
    const { session, text } = await over(reply, body);
    const lines = linesOf(text);
    expect(lines.join('')).toBe(text);
    expect(lines.length).toBeGreaterThan(3);
    for (let cursor = 0; cursor <= lines.length; cursor++) {
      const response = await resume(session, cursor);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      expect(lines.slice(0, cursor).join('') + (await response.text()), `cut at ${cursor}`).toBe(text);
    }
    expect(await (await resume(session, null)).text()).toBe(text);
    const past = await resume(session, lines.length + 1);
    expect(past.status).toBe(400);
    expect(await past.json()).toEqual({
      error_code: 'INVALID_INPUT',
      detail: `cursor: there are ${lines.length} lines`,
    });
  });

  it('returns the live lines while the answer grows, and sends the response headers before the next line exists', async () => {
    const { session, gate, reading, lines } = await underWay({ text: ['One ', 'two ', 'three ', 'four'] }, 2);
    const gone = new AbortController();
    const first = jsonLines(await resume(session, 0, { signal: gone.signal }));
    const read = await gather(first, ({ obj }) => obj?.content === 'two ');
    expect(read).toEqual(lines);
    gone.abort();
    await expect(first.next()).rejects.toThrow('abort');

    // All events have been sent: this reader waits, and so does one whose cursor is beyond the end.
    const second = await resume(session, read.length);
    expect(second.status).toBe(200);
    const ahead = resume(session, read.length + 1);
    gate.open();
    const rest = await gather(jsonLines(second));
    expect(rest.map(({ obj }) => obj.content ?? obj.type)).toEqual(['three ', 'four', 'stop']);
    expect([...lines, ...(await gather(reading))]).toEqual([...read, ...rest]);
    expect((await ahead).status).toBe(200);
    expect(await gather(jsonLines(await ahead))).toEqual(rest.slice(1));
    const whole = await (await resume(session, 0)).text();
    expect(whole).toBe([...read, ...rest].map((line) => `${JSON.stringify(line)}\n`).join(''));
  });

  it('returns the lines of the last turn of a session with several turns', async () => {
    const { session, text } = await over({ text: ['First'] });
    const next = await over({ text: ['Second'] }, { chat_session_id: session });
    expect(text).toContain('First');
    expect(next.text).toContain('Second');
    expect(await (await resume(session, 0)).text()).toBe(next.text);
    expect(await (await resume(session.toUpperCase(), 0)).text()).toBe(next.text);
  });
});

describe('a run looked up by its session', () => {
  it('is the active run, or otherwise the last run', async () => {
    const { session: sessionId, gate, runId } = await underWay({ text: ['One ', 'two'] }, 1);
    const reading = chatRun({ sessionId, from: 1 });
    const first = await gather(reading, ({ text }) => text === 'One ');
    gate.open();
    const all = [...first, ...(await gather(reading))];
    expect(all.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
    const replayed = await gather(chatRun({ sessionId }));
    expect(replayed[0]).toEqual({ __typename: 'ChatMessageIds', index: 0, runId });
    expect(replayed.slice(1)).toEqual(all);
    expect(await gather(chatRun({ id: runId }))).toEqual(replayed);
    expect(await gather(chatRun({ id: runId.toUpperCase(), from: 2 }))).toEqual(replayed.slice(2));
    expect(all[0]).toEqual({
      __typename: 'ChatAnswerStarted',
      index: 1,
      afterSeconds: expect.any(Number),
      documents: [],
    });
    await over({ text: ['Next'] }, { chat_session_id: sessionId });
    const next = await gather(chatRun({ sessionId }));
    expect(next.map(({ text }) => text ?? '').join('')).toBe('Next');
    // The previous run is still available by its own ID.
    expect(await gather(chatRun({ id: runId }))).toEqual(replayed);
  });

  it('requires exactly one of run ID and session ID', async () => {
    const { session: sessionId, runId } = await over({ text: ['One'] });
    for (const which of [{}, { id: runId, sessionId }, { id: null, sessionId: null }])
      await expect(gather(chatRun(which))).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await gather(chatRun({ sessionId, from: null }))).toHaveLength(5);
    for (const id of [Buffer.from(`ChatRun:${runId}`).toString('base64'), runId])
      expect(await gather(chatRun({ id }))).toHaveLength(5);
  });
});

describe('an invalid index or cursor', () => {
  it('is rejected with the number of events so far, while the next index waits for an event or for the end', async () => {
    const { session: sessionId, gate, runId } = await underWay({ text: ['One ', 'two'] }, 1);
    const wrong = async (from: number) => {
      const error = await gather(chatRun({ sessionId, from })).catch((error) => error);
      expect(error).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['from'] }] });
      return error.message;
    };
    expect(await wrong(4)).toBe('from: must be at most 3, the number of events so far');
    expect(await wrong(2 ** 31 - 1)).toBe('from: must be at most 3, the number of events so far');
    const waiting = chatRun({ id: runId, from: 3 }).next();
    gate.open();
    expect((await waiting).value).toEqual({ __typename: 'ChatAnswerDelta', index: 3, text: 'two' });
    expect(await gather(chatRun({ id: runId, from: 4 }))).toMatchObject([{ index: 4, reason: 'FINISHED' }]);
    expect(await gather(chatRun({ id: runId, from: 5 }))).toEqual([]);
    expect(await wrong(6)).toBe('from: must be at most 5, the number of events so far');
  });

  it.each(['-1', 'x', '1.5', '1e400', '2147483648', 'NaN', '0&cursor=1'])(
    'is rejected with 422 when it is malformed: %s',
    async (cursor) => {
      const { session } = await over({ text: ['One'] });
      const response = await resume(session, cursor);
      expect(response.status).toBe(422);
      expect(await response.json()).toEqual({
        status_code: 422,
        message: expect.stringContaining('cursor: '),
        data: null,
      });
    },
  );
});

describe('permission to read a run', () => {
  const missing = {
    status: 404,
    body: { error_code: 'NOT_FOUND', detail: 'No resumable run for this chat session' },
    code: 'NOT_FOUND',
  };
  const refused = {
    status: 403,
    body: {
      error_code: 'INSUFFICIENT_PERMISSIONS',
      detail: 'You do not have the required permissions for this action.',
    },
    code: 'FORBIDDEN',
  };
  const post = async (path: string, body: object, key: string) => (await kit.rest('POST', path, { body, key })).body;

  /** Creates a project of the key and a token that is restricted to it. */
  async function projectToken(key: string) {
    const { id } = await post('/api/user/projects/create?name=readers', {}, key);
    const { data } = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId: id, name: 'reader', role: 'BASIC' } },
      key,
    );
    return { id: id as number, secret: data.createProjectToken.secret as string };
  }

  it('returns the same NOT_FOUND for another user’s run, a deleted session and a session without a run', async () => {
    const { session, gate, reading } = await underWay({ text: ['Mine ', 'alone'] }, 0);
    const silent = await createSession();
    const { session: deleted } = await over({ text: ['Gone'] });
    await kit.rest('DELETE', `/api/chat/delete-chat-session/${deleted}`, { key: kit.keys.BASIC });
    const token = await projectToken(kit.keys.BASIC);
    const before = await kit.fingerprint();
    for (const [id, key] of [
      [session, kit.keys.ADMIN],
      [session, token.secret],
      [nowhere, kit.keys.BASIC],
      [silent, kit.keys.BASIC],
      [deleted, kit.keys.BASIC],
    ] as const)
      expect(await refusals(id, key)).toEqual(missing);
    // An invalid cursor does not reveal whether the session exists either.
    expect((await resume(session, 999, { key: kit.keys.ADMIN })).status).toBe(404);
    await expect(gather(chatRun({ sessionId: session, from: 999 }, kit.keys.ADMIN))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await kit.fingerprint()).toBe(before);
    gate.open();
    expect((await gather(reading)).at(-1).obj.stop_reason).toBeNull();
    expect(await refusals(session, kit.keys.ADMIN)).toEqual(missing);
  });

  it('denies callers without `read:chat`, even for runs that they started', async () => {
    const scoped = await kit.createPat(kit.keys.BASIC, { scopes: ['write:chat', 'manage:chat'] });
    for (const key of [kit.keys.LIMITED, scoped.secret]) {
      const { session, gate, reading } = await underWay({ text: ['Said ', 'once'] }, 0, key);
      const before = await kit.fingerprint();
      expect(await refusals(session, key)).toEqual(refused);
      // Denied before anything is looked up.
      expect(await refusals(nowhere, key)).toEqual(refused);
      expect((await resume(session, 'x', { key })).status).toBe(403);
      expect(await kit.fingerprint()).toBe(before);
      gate.open();
      await gather(reading);
      expect(await refusals(session, key)).toEqual(refused);
    }
  });

  it('rejects anonymous clients and revoked tokens', async () => {
    const { session } = await over({ text: ['One'] });
    const pat = await kit.createPat(kit.keys.BASIC);
    await revoke(pat.id);
    const before = await kit.fingerprint();
    for (const key of [null, pat.secret]) {
      const response = await resume(session, 0, { key });
      expect(response.status).toBe(403);
      expect(await response.json()).toEqual({ detail: 'Access denied. User is not authenticated.' });
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  it('omits documents that the caller cannot read, and the filtered lines can be resumed at any cursor', async () => {
    const token = await projectToken(kit.keys.BASIC);
    const session = await createSession(kit.keys.BASIC, { project_id: token.id });
    const body = { chat_session_id: session, message: 'What holds a teapot?', allowed_tool_ids: undefined };
    const { text } = await over({ text: ['A litre ', '[1]', '.'] }, body);
    expect(text).toContain('"document_id":"teapots"');
    const seen = await (await resume(session, 0, { key: token.secret })).text();
    expect(seen).not.toContain('"document_id"');
    const withoutDocuments = linesOf(text)
      .filter((line) => !line.includes('"citation_info"'))
      .map((line) => {
        const packet = JSON.parse(line);
        if (packet.obj?.documents) packet.obj.documents = [];
        if (packet.obj?.final_documents) packet.obj.final_documents = null;
        return `${JSON.stringify(packet)}\n`;
      });
    expect(linesOf(seen)).toEqual(withoutDocuments);
    for (let cursor = 0; cursor <= withoutDocuments.length; cursor++)
      expect(await (await resume(session, cursor, { key: token.secret })).text()).toBe(
        withoutDocuments.slice(cursor).join(''),
      );
  });
});

const revoke = (id: number) =>
  kit.gql(
    'mutation ($id: ID!) { revokePersonalAccessToken(input: { id: $id }) { __typename } }',
    { id },
    kit.keys.BASIC,
  );

describe('revoking a token', () => {
  it('ends the streams that it resumed, and the run of the other credential continues', async () => {
    const { session, gate, reading, lines } = await underWay({ text: ['One ', 'two'] }, 1);
    const pat = await kit.createPat(kit.keys.BASIC);
    const resumed = jsonLines(await resume(session, lines.length, { key: pat.secret }));
    const subscribed = chatRun({ sessionId: session, from: 2 }, pat.secret);
    expect((await subscribed.next()).value).toMatchObject({ text: 'One ' });
    await revoke(pat.id);
    expect(await gather(resumed)).toMatchObject([{ error_code: 'AUTH_ERROR' }]);
    await expect(gather(subscribed)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    gate.open();
    expect((await gather(reading)).map(({ obj }) => obj.content ?? obj.stop_reason)).toEqual(['two', null]);
  });
});

describe('stopping a run', () => {
  const stop = async (sessionId: string, key = kit.keys.BASIC) => {
    const { data, errors } = await kit.gql(
      'mutation ($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }',
      { id: sessionId },
      key,
    );
    expect(errors).toEqual([]);
    return data.stopChatRun.stopped as boolean;
  };
  const lastLine = {
    placement: { turn_index: 0, tab_index: 0, sub_turn_index: null, model_index: null },
    obj: { type: 'stop', stop_reason: 'user_cancelled' },
  };

  it('sends the same last event to every reader and keeps the text so far', async () => {
    const { session, reading, lines, runId, messageId } = await underWay({ text: ['One ', 'two ', 'three'] }, 2);
    const resumed = jsonLines(await resume(session, 0));
    expect(await gather(resumed, ({ obj }) => obj?.content === 'two ')).toEqual(lines);
    const waiting = jsonLines(await resume(session, lines.length));
    const subscribed = [chatRun({ id: runId }), chatRun({ sessionId: session })];
    for (const each of subscribed) await gather(each, ({ text }) => text === 'two ');
    const hungUp = kit.model.nextAbort();
    // With another credential of the same user, in the spelling of some clients.
    const pat = await kit.createPat(kit.keys.BASIC, { scopes: ['write:chat', 'read:chat'] });
    expect(await stop(session.toUpperCase(), pat.secret)).toBe(true);
    await hungUp;
    for (const each of [reading, resumed, waiting]) expect(await gather(each)).toEqual([lastLine]);
    const index = lines.length;
    for (const each of subscribed)
      expect(await gather(each)).toEqual([{ __typename: 'ChatTurnStopped', index: 4, reason: 'USER_CANCELLED' }]);
    expect(await kit.prisma.chatMessage.findUnique({ where: { id: messageId }, include: { run: true } })).toMatchObject(
      {
        text: 'One two ',
        status: 'STOPPED',
        error: null,
        run: { status: 'STOPPED', error: null, endedAt: expect.any(Date) },
      },
    );

    // A completed run cannot be stopped or changed, and a reader that returns sees the same end.
    const before = await kit.fingerprint();
    expect(await stop(session)).toBe(false);
    const again = await kit.rest('POST', `/api/chat/stop-chat-session/${session}`, { key: kit.keys.BASIC });
    expect(again).toMatchObject({ status: 200, body: { message: 'Chat session stopped' } });
    expect(await kit.fingerprint()).toBe(before);
    expect(await gather(jsonLines(await resume(session, index)))).toEqual([lastLine]);
    expect(await gather(chatRun({ sessionId: session, from: 4 }))).toMatchObject([{ reason: 'USER_CANCELLED' }]);
  });

  it('stops the run once when two requests arrive at the same time', async () => {
    const { session, reading, messageId } = await underWay({ text: ['One ', 'two'] }, 1);
    const both = await Promise.all([stop(session), stop(session)]);
    expect(both).toContain(true);
    expect(await gather(reading)).toEqual([lastLine]);
    expect(await kit.prisma.chatMessage.findUnique({ where: { id: messageId } })).toMatchObject({
      text: 'One ',
      status: 'STOPPED',
    });
    expect(await gather(chatRun({ sessionId: session }))).toMatchObject([{}, {}, {}, { reason: 'USER_CANCELLED' }]);
  });

  it('returns NOT_FOUND for another user’s run and does not stop it', async () => {
    const { session, gate, reading } = await underWay({ text: ['One ', 'two'] }, 0);
    const before = await kit.fingerprint();
    for (const [id, key] of [
      [session, kit.keys.ADMIN],
      [session, kit.keys.LIMITED],
      [nowhere, kit.keys.BASIC],
    ] as const) {
      const { errors } = await kit.gql(
        'mutation ($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }',
        { id },
        key,
      );
      expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      expect(await kit.rest('POST', `/api/chat/stop-chat-session/${id}`, { key })).toMatchObject({
        status: 404,
        body: { error_code: 'SESSION_NOT_FOUND' },
      });
    }
    expect(await kit.fingerprint()).toBe(before);
    gate.open();
    expect((await gather(reading)).at(-1).obj.stop_reason).toBeNull();
  });
});

describe('a stream without events', () => {
  /** In process, without a socket, which would need the timers that are frozen. */
  const inProcess = async (path: string, init: RequestInit = {}): Promise<Response> =>
    kit.booted.fetch(
      new Request(`${kit.url}${path}`, { ...init, headers: { ...headers(), ...(init.headers as object) } }),
    );

  it('sends a heartbeat every 15 seconds to clients that resume, and heartbeats do not count as lines', async () => {
    const { session, gate, reading, lines } = await underWay({ text: ['One ', 'two'] }, 1);
    const path = `/api/chat/chat-session/${session}/resume-stream`;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const resumed = jsonLines(await inProcess(`${path}?cursor=${lines.length}`));
    for (let beat = 0; beat < 2; beat++) {
      const next = resumed.next();
      await vi.advanceTimersByTimeAsync(15_000);
      expect((await next).value.obj).toEqual({ type: 'chat_heartbeat' });
    }
    vi.useRealTimers();
    gate.open();
    const rest = await gather(resumed);
    expect(rest).toEqual(await gather(reading));
    expect(await gather(jsonLines(await resume(session, lines.length)))).toEqual(rest);
  });

  it('sends a ping every 12 seconds to GraphQL subscribers', async () => {
    const { session, gate, reading } = await underWay({ text: ['One ', 'two'] }, 1);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    // Yoga sends pings more often when NODE_ENV is `test`.
    vi.stubEnv('NODE_ENV', 'production');
    const response = await inProcess('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({
        query: `subscription { chatRun(run: { sessionId: "${session}" }, from: 2) { __typename } }`,
      }),
    });
    vi.unstubAllEnvs();
    const chunks = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const heard = async (end: string) => {
      let text = '';
      while (!text.endsWith(end)) text += (await chunks?.read())?.value;
      return text;
    };
    expect(await heard('}\n\n')).toBe(
      ':\n\nevent: next\ndata: {"data":{"chatRun":{"__typename":"ChatAnswerDelta"}},"extensions":{"cost":{"requested":1,"limit":5000}}}\n\n',
    );
    for (let beat = 0; beat < 2; beat++) {
      const next = chunks?.read();
      vi.advanceTimersByTime(12_000);
      expect(await next).toEqual({ done: false, value: ':\n\n' });
    }
    vi.useRealTimers();
    gate.open();
    expect(await heard('event: complete\ndata:\n\n')).toContain('ChatTurnStopped');
    await gather(reading);
  });
});

describe('the memory of finished runs', () => {
  /** Returns a completed run with this number of characters. */
  function finished(id: string, characters: number): ActiveRun {
    const run = new ActiveRun(id, `session of ${id}`, 'user', 1);
    const end = { type: 'stopped', reason: 'FINISHED' } as const;
    run.emit({ type: 'answerDelta', text: 'x'.repeat(characters - JSON.stringify(end).length) });
    run.emit(end);
    expect(run.characters).toBe(characters);
    return run;
  }
  function keeper() {
    const dropped: string[] = [];
    return { dropped, kept: new FinishedRuns<ActiveRun>((run) => dropped.push(run.id)) };
  }

  it('keeps a run for five minutes', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { dropped, kept } = keeper();
    kept.add(finished('a', 100));
    vi.advanceTimersByTime(60_000);
    kept.add(finished('b', 100));
    vi.advanceTimersByTime(4 * 60_000 - 1);
    expect(dropped).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(dropped).toEqual(['a']);
    vi.advanceTimersByTime(60_000);
    expect(dropped).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps the newest 1,000 runs at most', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { dropped, kept } = keeper();
    for (let run = 0; run < 1000; run++) kept.add(finished(String(run), 100));
    expect(dropped).toEqual([]);
    for (let run = 1000; run < 1003; run++) kept.add(finished(String(run), 100));
    expect(dropped).toEqual(['0', '1', '2']);
    expect(vi.getTimerCount()).toBe(1000);
    vi.advanceTimersByTime(5 * 60_000);
    expect(new Set(dropped).size).toBe(1003);
    expect(dropped).toHaveLength(1003);
  });

  it('keeps the newest 64 Mi characters at most', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const mi = 2 ** 20;
    const { dropped, kept } = keeper();
    for (const [id, size] of Object.entries({ a: 16 * mi, b: 16 * mi, c: 32 * mi })) kept.add(finished(id, size));
    expect(dropped).toEqual([]);
    kept.add(finished('d', 100));
    expect(dropped).toEqual(['a']);
    kept.add(finished('e', 16 * mi));
    expect(dropped).toEqual(['a', 'b']);
    kept.add(finished('f', 64 * mi));
    expect(dropped).toEqual(['a', 'b', 'c', 'd', 'e']);
    kept.add(finished('g', 64 * mi + 1));
    expect(dropped).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('no longer finds a dropped run, but open readers can read it to its end', async () => {
    const { runs } = kit.booted.services;
    const first = await over({ text: ['One ', 'two'] });
    const run = await until(async () => (await runs.lastOf(first.session)) ?? undefined);
    const reading = run.read(0);
    await reading.next();
    // As many runs as are kept, from a user who fills the memory.
    for (let other = 0; other < 1000; other++) await runs.start(finished(`other ${other}`, 100), async () => {});
    await until(async () => (await runs.find(run.id)) === null);
    expect(await runs.lastOf(first.session)).toBeNull();
    expect((await gather(reading)).map(({ type }) => type)).toEqual([
      'messageIds',
      'answerStarted',
      'answerDelta',
      'answerDelta',
      'stopped',
    ]);
    expect((await resume(first.session, 0)).status).toBe(404);
    await expect(gather(chatRun({ id: first.runId }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    // The newest runs are kept.
    expect((await runs.find('other 999'))?.ended).toBe(true);
  });
});
