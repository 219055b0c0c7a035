import { describe, expect, it, vi } from 'vitest';
import {
  asked,
  createSession,
  deltas,
  detail,
  events,
  isDelta,
  kit,
  place,
  runDocument,
  send,
  stored,
  stream,
  turn,
  useChatKit,
} from '../../../test/chat-kit.ts';
import { until } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';
import { makeGate } from '../../../test/model-server.ts';

useChatKit();

describe('stopping an answer', () => {
  const stop = (id: string, key = kit.keys.BASIC) => kit.rest('POST', `/api/chat/stop-chat-session/${id}`, { key });

  it('keeps the generated text, marks it as stopped and ends the stream and the model call', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two ', 'three'], gate });
    const session = await createSession();
    const reading = stream({ chat_session_id: session, allowed_tool_ids: [] });
    const [{ reserved_assistant_message_id: id }] = await gather(reading, ({ obj }) => !obj);
    gate.release();
    gate.release();
    const said = [...(await gather(reading, isDelta)), ...(await gather(reading, isDelta))];
    expect(deltas(said)).toBe('One two ');
    expect((await detail(session)).body.current_run).toEqual({ run_id: id });
    const aborted = kit.model.nextAbort();
    expect(await stop(session)).toMatchObject({ status: 200, body: { message: 'Chat session stopped' } });
    await aborted;
    expect(await gather(reading)).toEqual([
      { placement: place(0, null), obj: { type: 'stop', stop_reason: 'user_cancelled' } },
    ]);
    expect(await stored(id)).toMatchObject({
      text: 'One two ',
      status: 'STOPPED',
      error: null,
      run: { status: 'STOPPED' },
    });
    const { body } = await detail(session);
    const text = 'One two  ... \n\nGeneration was stopped by the user.';
    expect(body.messages.at(-1)).toMatchObject({ message: text, error: null });
    expect(body.packets[0].map(({ obj }: any) => obj)).toContainEqual({ type: 'message_delta', content: text });
    expect(body.current_run).toBeNull();
    await send({ chat_session_id: session, allowed_tool_ids: [], message: 'On' });
    expect(
      asked()
        .slice(1)
        .map(({ content }) => content),
    ).toEqual(['Hello', 'One two ', 'On']);
  });

  it('stores only a stop notice before any text was generated', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['Never'], gate });
    const session = await createSession();
    const before = kit.model.requests.length;
    const whole = send({ chat_session_id: session });
    // A run that is stopped before it calls the model leaves its scripted answer to the next test.
    await until(() => kit.model.requests.length > before);
    expect((await detail(session)).body.current_run).not.toBeNull();
    const { data } = await kit.gql(
      'mutation ($id: ID!) { stopChatRun(input: { sessionId: $id }) { stopped } }',
      { id: session },
      kit.keys.BASIC,
    );
    expect(data.stopChatRun.stopped).toBe(true);
    expect((await whole).body).toMatchObject({ answer: '', error_msg: null });
    expect((await detail(session)).body.messages.at(-1).message).toBe('The generation was stopped by the user.');
  });

  it('has no effect without a running answer and is NOT_FOUND for another user’s session', async () => {
    const session = await createSession();
    expect((await stop(session)).status).toBe(200);
    const gate = makeGate();
    kit.model.script({ text: ['Mine'], gate });
    const whole = send({ chat_session_id: session });
    const run = await until(() => kit.prisma.run.findFirst({ where: { sessionId: session } }));
    for (const key of [kit.keys.ADMIN, kit.keys.LIMITED])
      expect(await stop(session, key)).toMatchObject({
        status: 404,
        body: { error_code: 'SESSION_NOT_FOUND', detail: 'Chat session not found' },
      });
    gate.open();
    expect((await whole).body.answer).toBe('Mine');
    expect((await stored(run.messageId)).status).toBe('COMPLETE');
  });

  it('happens when the session is soft-deleted or hard-deleted', async () => {
    for (const hard of [false, true]) {
      const gate = makeGate();
      kit.model.script({ text: ['Never'], gate });
      const session = await createSession();
      const before = kit.model.requests.length;
      const reading = stream({ chat_session_id: session });
      await gather(reading, ({ obj }) => !obj);
      await until(() => kit.model.requests.length > before);
      const aborted = kit.model.nextAbort();
      const answer = await kit.rest('DELETE', `/api/chat/delete-chat-session/${session}?hard_delete=${hard}`, {
        key: kit.keys.BASIC,
      });
      expect(answer.status).toBe(200);
      expect((await gather(reading)).at(-1)).toMatchObject({ obj: { type: 'stop', stop_reason: 'user_cancelled' } });
      await aborted;
      expect(await kit.prisma.chatSession.count({ where: { id: session } })).toBe(hard ? 0 : 1);
    }
  });

  it('happens when the token is revoked, and the stream ends with an authentication error', async () => {
    const { id, secret } = await kit.createPat(kit.keys.BASIC);
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const session = await createSession();
    gate.release();
    const reading = stream({ chat_session_id: session, allowed_tool_ids: [] }, { key: secret });
    await gather(reading, isDelta);
    const aborted = kit.model.nextAbort();
    const { errors } = await kit.gql(
      'mutation ($id: ID!) { revokePersonalAccessToken(input: { id: $id }) { __typename } }',
      { id },
      kit.keys.BASIC,
    );
    expect(errors).toEqual([]);
    await aborted;
    expect(await gather(reading)).toEqual([
      {
        error: 'A valid credential is required.',
        stack_trace: null,
        error_code: 'AUTH_ERROR',
        is_retryable: false,
        details: null,
      },
    ]);
    const message = await until(() =>
      kit.prisma.chatMessage.findFirst({ where: { sessionId: session, status: 'STOPPED' } }),
    );
    expect(message.text).toBe('One ');
  });
});

describe('a client that reads a run', () => {
  /** Counts the readers that were released. */
  function watchReaders() {
    const { readers: source } = kit.booted.services;
    const read = source.read.bind(source);
    const readers = { open: 0, ended: 0 };
    vi.spyOn(source, 'read').mockImplementation(async function* (...args) {
      readers.open += 1;
      try {
        yield* read(...args);
      } finally {
        readers.ended += 1;
      }
    });
    return readers;
  }

  it('can disconnect from a stream without stopping the run, and its answer is stored', async () => {
    const readers = watchReaders();
    const aborts = kit.model.aborted;
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two ', 'three'], gate });
    const gone = new AbortController();
    gate.release();
    const reading = stream({ allowed_tool_ids: [] }, { signal: gone.signal });
    const [{ chat_session_id }] = await gather(reading, isDelta);
    gone.abort();
    await expect(reading.next()).rejects.toThrow('aborted');
    await until(() => readers.ended === 1);
    gate.open();
    const message = await until(() =>
      kit.prisma.chatMessage.findFirst({
        where: { sessionId: chat_session_id, status: 'COMPLETE', role: 'ASSISTANT' },
      }),
    );
    expect(message.text).toBe('One two three');
    expect(kit.model.aborted).toBe(aborts);
  });

  it('can disconnect while waiting for a whole answer without stopping the run', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['Whole'], gate });
    const session = await createSession();
    const gone = new AbortController();
    const whole = fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.BASIC}` },
      body: JSON.stringify({ message: 'Hello', stream: false, chat_session_id: session }),
      signal: gone.signal,
    });
    const { messageId } = await until(() => kit.prisma.run.findFirst({ where: { sessionId: session } }));
    gone.abort();
    await expect(whole).rejects.toThrow('aborted');
    gate.open();
    await until(async () => (await stored(messageId)).status === 'COMPLETE');
    expect((await stored(messageId)).text).toBe('Whole');
  });

  /** In process, without a socket that would continue reading. */
  const inProcess = async (body: object): Promise<Response> =>
    kit.booted.fetch(
      new Request(`${kit.url}/api/chat/send-chat-message`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${kit.keys.BASIC}` },
        body: JSON.stringify({ message: 'Hello', ...body }),
      }),
    );

  it('receives a heartbeat every 15 seconds', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const lines = jsonLines(await inProcess({ allowed_tool_ids: [] }));
    await gather(lines, ({ user_message_id }) => user_message_id !== undefined);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      gate.release();
      await gather(lines, isDelta);
      for (let beat = 0; beat < 2; beat++) {
        const next = lines.next();
        await vi.advanceTimersByTimeAsync(15_000);
        expect((await next).value).toEqual({ placement: place(0, null), obj: { type: 'chat_heartbeat' } });
      }
    } finally {
      vi.useRealTimers();
    }
    gate.open();
    const rest = await gather(lines);
    expect(deltas(rest)).toBe('two');
    expect(rest.at(-1).obj).toEqual({ type: 'stop', stop_reason: null });
  });

  it('is released when it cancels the response body while the run continues', async () => {
    const readers = watchReaders();
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two ', 'three ', 'four'], gate });
    const session = await createSession();
    const response = await inProcess({ chat_session_id: session, allowed_tool_ids: [] });
    for (let delta = 0; delta < 3; delta++) gate.release();
    await gate.reached(3);
    expect(readers).toEqual({ open: 1, ended: 0 });
    await response.body?.cancel();
    await until(() => readers.ended === 1);
    gate.open();
    const where = { sessionId: session, status: 'COMPLETE', role: 'ASSISTANT' } as const;
    const message = await until(() => kit.prisma.chatMessage.findFirst({ where }));
    expect(message.text).toBe('One two three four');
  });

  it('is released when it disconnects from GraphQL while the run continues', async () => {
    const readers = watchReaders();
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const gone = new AbortController();
    gate.release();
    const reading = turn({ actionIds: [] }, undefined, gone.signal);
    const [, { assistantMessageId }] = await gather(reading, ({ __typename }) => __typename === 'ChatAnswerDelta');
    gone.abort();
    await expect(reading.next()).rejects.toThrow('aborted');
    await until(() => readers.ended === 1);
    gate.open();
    await until(async () => (await stored(assistantMessageId)).status === 'COMPLETE');
    expect((await stored(assistantMessageId)).text).toBe('One two');
  });

  it('can resume a run from an event index, both during the run and afterwards', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two ', 'three'], gate });
    const gone = new AbortController();
    gate.release();
    const reading = turn({ message: 'Zanzibar' }, undefined, gone.signal);
    const first = await gather(reading, ({ __typename }) => __typename === 'ChatAnswerDelta');
    gone.abort();
    await expect(reading.next()).rejects.toThrow('aborted');
    const { runId } = first[1];
    const resumed = events(runDocument, { runId, from: first.length });
    const again = events(runDocument, { runId });
    gate.release();
    const second = await gather(resumed, ({ __typename }) => __typename === 'ChatAnswerDelta');
    gate.open();
    const rest = [...second, ...(await gather(resumed))];
    const all = await gather(again);
    expect(all).toEqual([...first, ...rest]);
    expect(all.map(({ index }) => index)).toEqual(all.map((_, index) => index));
    expect(all.at(-1)).toMatchObject({ __typename: 'ChatTurnStopped', reason: 'FINISHED' });
    expect(await gather(events(runDocument, { runId, from: 3 }))).toEqual(all.slice(3));
    expect(await gather(events(runDocument, { runId, from: -5 }))).toEqual(all);
    expect(await gather(events(runDocument, { runId, from: all.length }))).toEqual([]);
  });

  it('receives NOT_FOUND for an unknown run or another user’s run', async () => {
    const seen = await gather(turn({ actionIds: [] }));
    const { runId } = seen[1];
    await expect(gather(events(runDocument, { runId }, kit.keys.ADMIN))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(gather(events(runDocument, { runId: '00000000-0000-4000-8000-000000000000' }))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('concurrent answers', () => {
  const sendDocument = 'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer } }';

  it('are limited to one per session: the second message returns CONFLICT and stores no data', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['First'], gate });
    const session = await createSession();
    const asked = kit.model.requests.length;
    const both = ['a', 'b'].map((message) =>
      kit.gql(sendDocument, { input: { message, sessionId: session } }, kit.keys.BASIC),
    );
    expect((await Promise.race(both)).errors).toMatchObject([{ extensions: { code: 'CONFLICT' } }]);
    // The other run records its search results before it calls the model, and writes again only when the model
    // responds.
    await until(() => kit.model.requests.length > asked);
    const before = await kit.fingerprint();
    expect(await send({ chat_session_id: session })).toMatchObject({ status: 409, body: { error_code: 'CONFLICT' } });
    expect(await gather(stream({ chat_session_id: session }))).toMatchObject([{ error_code: 'CONFLICT' }]);
    expect(await kit.fingerprint()).toBe(before);
    gate.open();
    const answers = (await Promise.all(both)).map(({ data }) => data?.sendChatMessage?.answer).filter(Boolean);
    expect(answers).toEqual(['First']);
    expect(await kit.prisma.chatMessage.count({ where: { sessionId: session } })).toBe(3);
    expect((await send({ chat_session_id: session })).status).toBe(200);
  });

  it('are limited to 20 per user: a further message returns 429 and stores no data', async () => {
    const { secret: key } = await kit.createKey('BASIC');
    kit.model.script(...Array.from({ length: 20 }, () => ({ hang: true as const })));
    const asked = kit.model.requests.length;
    const under = Array.from({ length: 20 }, () => stream({ allowed_tool_ids: [] }, { key }));
    await Promise.all(under.map((one) => gather(one, ({ reserved_assistant_message_id: id }) => id !== undefined)));
    // A run that is stopped before it calls the model would leave its reply to the next test.
    await until(() => kit.model.requests.length === asked + 20);
    const before = await kit.fingerprint();
    for (const stream of [true, false]) {
      const answer = await send({ stream }, { key });
      expect(answer).toMatchObject({ status: 429, body: { error_code: 'RATE_LIMITED' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    const { errors } = await kit.gql(sendDocument, { input: { message: 'x' } }, key);
    expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } }]);
    expect(await kit.fingerprint()).toBe(before);
    await kit.rest('DELETE', '/api/chat/delete-all-chat-sessions', { key });
    const ends = await Promise.all(under.map((one) => gather(one)));
    expect(ends.map((lines) => lines.at(-1).obj.stop_reason)).toEqual(under.map(() => 'user_cancelled'));
    expect((await send({}, { key })).status).toBe(200);
  });
});
