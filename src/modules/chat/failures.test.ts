import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather, jsonLines } from '../../../test/lines.ts';
import { makeGate, type Reply } from '../../../test/model-server.ts';

/** Each test expects only the scripted failure: an unhandled rejection fails the test run. */
let kit: Kit;
let session: string;

const post = (body: object, on = kit) =>
  fetch(`${on.url}/api/chat/send-chat-message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${on.keys.BASIC}` },
    body: JSON.stringify({ message: 'Hello', allowed_tool_ids: [], ...body }),
  });
const stream = async (body: object, on = kit) => gather(jsonLines(await post(body, on)));
const whole = async (body: object, on = kit) => {
  const response = await post({ stream: false, ...body }, on);
  return { status: response.status, body: (await response.json()) as any };
};

const createSession = async (on: Kit): Promise<string> =>
  (await on.rest('POST', '/api/chat/create-chat-session', { body: {}, key: on.keys.BASIC })).body.chat_session_id;

const lastMessage = (sessionId: string, on = kit) =>
  on.prisma.chatMessage.findFirstOrThrow({ where: { sessionId }, orderBy: { id: 'desc' }, include: { run: true } });

const stop = {
  placement: { turn_index: 0, tab_index: 0, sub_turn_index: null, model_index: null },
  obj: { type: 'stop', stop_reason: null },
};
const failedLine = (error_code: string, error: string, is_retryable = true, details: object | null = null) => ({
  error,
  stack_trace: null,
  error_code,
  is_retryable,
  details,
});

describe('a provider that fails', () => {
  beforeAll(async () => {
    kit = await startKit({ scripted: true });
  });
  afterAll(() => kit?.close());
  beforeEach(async () => {
    session = await createSession(kit);
  });

  const failing = (status: number): Reply => ({
    status,
    headers: { 'retry-after-ms': '1' },
    body: { error: { message: 'secret detail sk-upstream', type: 'x' } },
  });
  interface Case {
    name: string;
    replies: Reply[];
    /** Number of calls to the model. */
    calls: number;
    code: string;
    error_code: string;
    message: string;
    retryable?: boolean;
    text?: string;
    /** Number of seconds that the provider asks this server to wait. */
    retryAfter?: number;
  }
  const cases: Case[] = [
    {
      name: 'with 500, until the retries are used up',
      replies: [failing(500), failing(503), failing(500)],
      calls: 3,
      code: 'UPSTREAM_FAILED',
      error_code: 'MODEL_ERROR',
      message: 'The model’s provider failed (HTTP 500).',
      retryAfter: 1,
    },
    {
      name: 'with 429, until the retries are used up',
      replies: [failing(429), failing(429), failing(429)],
      calls: 3,
      code: 'RATE_LIMITED',
      error_code: 'RATE_LIMIT',
      message: 'The model’s provider is limiting requests. Try again later.',
      retryAfter: 1,
    },
    {
      name: 'with 401, at once',
      replies: [failing(401)],
      calls: 1,
      code: 'PROVIDER_MISCONFIGURED',
      error_code: 'MODEL_ERROR',
      message: 'The model’s provider rejected the configuration of this server (HTTP 401).',
      retryable: false,
    },
    {
      name: 'by breaking off',
      replies: [{ text: ['One ', 'two ', 'three'], breakAfter: 2 }],
      calls: 1,
      code: 'UPSTREAM_FAILED',
      error_code: 'MODEL_ERROR',
      message: 'The connection to the model’s provider was lost.',
      text: 'One two ',
    },
    {
      name: 'by saying nothing',
      replies: [{ text: [] }],
      calls: 1,
      code: 'UPSTREAM_FAILED',
      error_code: 'MODEL_ERROR',
      message: 'The model returned an empty answer.',
    },
    {
      name: 'by thinking and then saying nothing',
      replies: [{ reasoning: 'Hm', text: [] }],
      calls: 1,
      code: 'UPSTREAM_FAILED',
      error_code: 'MODEL_ERROR',
      message: 'The model returned an empty answer.',
    },
    {
      name: 'by never stopping',
      replies: [{ text: Array<string>(30).fill('blah '.repeat(2000)) }],
      calls: 1,
      code: 'UPSTREAM_FAILED',
      error_code: 'MODEL_ERROR',
      message: 'The answer exceeded the maximum length.',
      text: 'blah '.repeat(42_000),
    },
  ];

  it.each(cases)('$name fails the turn exactly once with an error message, and the session continues', async (one) => {
    const { replies, calls, code, error_code, message, retryable = true, text = '', retryAfter } = one;
    const details = retryAfter
      ? { retry_after_seconds: retryAfter, provider_code: null, provider_message: null }
      : null;
    const ended = {
      text,
      status: 'FAILED',
      error: message,
      run: { status: 'FAILED', error: message, endedAt: expect.any(Date) },
    };

    const asked = kit.model.requests.length;
    kit.model.script(...replies);
    const lines = await stream({ chat_session_id: session });
    expect(kit.model.requests.length - asked).toBe(calls);
    const last = { ...stop, placement: { ...stop.placement, turn_index: expect.any(Number) } };
    expect(lines.slice(-2)).toEqual([failedLine(error_code, message, retryable, details), last]);
    expect(lines.filter((line) => 'error' in line)).toHaveLength(1);
    const said = lines.map(({ obj }) => (obj?.type === 'message_delta' ? obj.content : '')).join('');
    expect(said).toBe(text);
    expect(await lastMessage(session)).toMatchObject(ended);

    kit.model.script(...replies);
    const answer = await whole({ chat_session_id: session });
    expect(answer).toMatchObject({
      status: 200,
      body: { answer: text, error_msg: message, message_id: expect.any(Number) },
    });
    expect(await lastMessage(session)).toMatchObject({ ...ended, id: answer.body.message_id });

    kit.model.script(...replies);
    const events = await gather(
      kit.subscribe(
        `subscription ($input: SendChatMessageInput!) { chatTurn(input: $input) {
          __typename ... on ChatTurnFailed { code message retryable } } }`,
        { input: { message: 'Hello', sessionId: session, actionIds: [] } },
        kit.keys.BASIC,
      ),
    );
    expect(events.at(-1).data.chatTurn).toEqual({ __typename: 'ChatTurnFailed', code, message, retryable });
    expect(events.filter(({ data }) => /Stopped|Failed/.test(data.chatTurn.__typename))).toHaveLength(1);

    kit.model.script(...replies);
    const { data, errors } = await kit.gql(
      `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { answer stopped failure { code message retryable } } }`,
      { input: { message: 'Hello', sessionId: session, actionIds: [] } },
      kit.keys.BASIC,
    );
    expect({ data, errors }).toEqual({
      data: { sendChatMessage: { answer: text, stopped: false, failure: { code, message, retryable } } },
      errors: [],
    });

    // The session continues and shows the failure.
    expect(await whole({ chat_session_id: session, message: 'Go on' })).toMatchObject({
      body: { answer: 'You said: Go on', error_msg: null },
    });
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key: kit.keys.BASIC });
    expect(body.messages.map((stored: any) => stored.error)).toEqual([
      ...[null, null, message, null, message, null, message, null, message],
      ...[null, null],
    ]);
    // Neither the reply of the provider nor its key is logged.
    expect(kit.log.join('\n')).not.toContain('sk-upstream');
  });

  it('causes no error when it recovers within the retries', async () => {
    kit.model.script(failing(500), failing(429), { text: 'There.' });
    expect(await whole({ chat_session_id: session })).toMatchObject({ body: { answer: 'There.', error_msg: null } });
  });

  it('may return characters that cannot be stored, which are removed from the answer', async () => {
    kit.model.script({ reasoning: 'a\0b', text: ['c\0', '\0d', '\ud83e', '\uded6'] });
    const lines = await stream({ chat_session_id: session });
    expect(lines.at(-1).obj).toEqual({ type: 'stop', stop_reason: null });
    expect(await lastMessage(session)).toMatchObject({ status: 'COMPLETE', text: 'cd🫖', reasoning: 'ab' });
  });

  it('fails the turn but not the session when the database rejects the answer', async () => {
    // One text with more words than a text index can hold.
    kit.model.script({ text: [Array.from({ length: 200_000 }, (_, index) => `w${index}`).join(' ')] });
    const lines = await stream({ chat_session_id: session });
    expect(lines.slice(-2)).toMatchObject([
      { error_code: 'INTERNAL_ERROR', is_retryable: true },
      { obj: { type: 'stop' } },
    ]);
    expect(await lastMessage(session)).toMatchObject({ status: 'FAILED', run: { status: 'FAILED' } });
    expect(await whole({ chat_session_id: session })).toMatchObject({ body: { answer: 'You said: Hello' } });
  });

  it('fails only one of two concurrent turns', async () => {
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two'], gate });
    const under = stream({ chat_session_id: session });
    await gate.reached(0);
    kit.model.script(failing(400));
    gate.open();
    const [lines, other] = await Promise.all([under, whole({})]);
    const failed = [lines.some((line) => 'error' in line), other.body.error_msg !== null];
    expect(failed.filter(Boolean)).toHaveLength(1);
  });
});

describe('a provider that rejects a request', () => {
  beforeAll(async () => {
    kit = await startKit({ scripted: true });
  });
  afterAll(() => kit?.close());

  const openAI = (message: string, rest: object = {}) => ({
    error: { message, type: 'invalid_request_error', ...rest },
  });
  const tooLong = 'The request is longer than the context window of the model.';
  const policy = 'The model’s provider rejected the request because of its content policy.';
  const configuration = (status: number) =>
    `The model’s provider rejected the configuration of this server (HTTP ${status}).`;
  const quota = 'The quota of this server at the model’s provider is used up.';
  const limit = "This model's maximum context length is 4096 tokens.";

  interface Rejection {
    reply: Reply;
    code: string;
    message: string;
    providerCode?: string | null;
    providerMessage?: string | null;
  }
  const rejections: [string, Rejection][] = [
    [
      'a prompt that is too long, by its code',
      {
        reply: { status: 400, body: openAI(limit, { code: 'context_length_exceeded', param: 'messages' }) },
        code: 'CONTEXT_TOO_LONG',
        message: tooLong,
        providerCode: 'context_length_exceeded',
        providerMessage: limit,
      },
    ],
    [
      'a prompt that is too long, in words without a code',
      {
        reply: { status: 400, body: { object: 'error', message: limit, type: 'BadRequestError', code: 400 } },
        code: 'CONTEXT_TOO_LONG',
        message: tooLong,
        providerMessage: limit,
      },
    ],
    [
      'a prompt that is too long, with 500',
      {
        reply: { status: 500, body: { error: 'the prompt exceeds the context window' } },
        code: 'CONTEXT_TOO_LONG',
        message: tooLong,
        providerMessage: 'the prompt exceeds the context window',
      },
    ],
    ['a body that is too large', { reply: { status: 413, body: {} }, code: 'CONTEXT_TOO_LONG', message: tooLong }],
    [
      'a prompt that violates its policy, with 400',
      {
        reply: { status: 400, body: openAI('The response was filtered.', { code: 'content_filter' }) },
        code: 'CONTENT_POLICY',
        message: policy,
        providerCode: 'content_filter',
        providerMessage: 'The response was filtered.',
      },
    ],
    [
      'a prompt that violates its policy, with 403',
      {
        reply: { status: 403, body: openAI('Your input was flagged.') },
        code: 'CONTENT_POLICY',
        message: policy,
        providerMessage: 'Your input was flagged.',
      },
    ],
    [
      'a parameter',
      {
        reply: {
          status: 400,
          body: openAI("Unsupported value: 'temperature'.\nSee https://llm.internal/docs.", {
            code: 'unsupported_value',
          }),
        },
        code: 'REQUEST_REJECTED',
        message: 'The model’s provider rejected the request (HTTP 400).',
        providerCode: 'unsupported_value',
        providerMessage: "Unsupported value: 'temperature'. See [address]",
      },
    ],
    [
      'a body that it cannot read',
      {
        reply: { status: 422, body: { detail: 'messages: field required' } },
        code: 'REQUEST_REJECTED',
        message: 'The model’s provider rejected the request (HTTP 422).',
        providerMessage: 'messages: field required',
      },
    ],
    [
      'what is no JSON',
      {
        reply: { status: 400, body: 'Bad Request' },
        code: 'REQUEST_REJECTED',
        message: 'The model’s provider rejected the request (HTTP 400).',
      },
    ],
    ...[401, 403, 404, 501].map((status): [string, Rejection] => [
      `the server's configuration, with ${status}`,
      {
        reply: { status, body: openAI('No access for org-4711.', { code: 'invalid_api_key' }) },
        code: 'PROVIDER_MISCONFIGURED',
        message: configuration(status),
      },
    ]),
    ['for want of money', { reply: { status: 402, body: openAI('Pay.') }, code: 'QUOTA_EXHAUSTED', message: quota }],
    [
      'because its quota is used up',
      {
        reply: { status: 429, body: openAI('You exceeded your current quota.', { code: 'insufficient_quota' }) },
        code: 'QUOTA_EXHAUSTED',
        message: quota,
      },
    ],
    [
      'a prompt, in an event of the stream before the first word',
      {
        reply: { text: [], error: openAI(limit, { code: 'context_length_exceeded' }) },
        code: 'CONTEXT_TOO_LONG',
        message: tooLong,
        providerCode: 'context_length_exceeded',
        providerMessage: limit,
      },
    ],
    [
      'a prompt, in an event of the stream that has no shape of its own',
      {
        reply: { text: [], error: { object: 'error', message: limit, code: 400 } },
        code: 'CONTEXT_TOO_LONG',
        message: tooLong,
        providerMessage: limit,
      },
    ],
    [
      'an answer before its first word',
      { reply: { text: [], finishReason: 'content_filter' }, code: 'CONTENT_POLICY', message: policy },
    ],
  ];

  const failureFields = 'code message retryable retryAfter providerCode providerMessage';
  const send = `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) {
    sessionId answer stopped failure { ${failureFields} } } }`;

  it.each(rejections)('%s: fails the turn with the reason and is not called again', async (_name, one) => {
    const { reply, code, message, providerCode = null, providerMessage = null } = one;
    const failure = { code, message, retryable: false, retryAfter: null, providerCode, providerMessage };
    const asked = kit.model.requests.length;
    kit.model.script(reply);
    const { data } = await kit.gql(send, { input: { message: 'Hello', actionIds: [] } }, kit.keys.BASIC);
    expect(data.sendChatMessage).toEqual({ sessionId: expect.any(String), answer: '', stopped: false, failure });
    expect(kit.model.requests.length - asked).toBe(1);
    // The provider's message may quote documents of other users, so it is neither stored nor shown to other readers.
    expect(await lastMessage(data.sendChatMessage.sessionId)).toMatchObject({ status: 'FAILED', error: message });

    kit.model.script(reply);
    const { body } = await whole({});
    expect(body.error_msg).toBe([message, providerMessage].filter(Boolean).join(' '));
    expect(kit.model.requests.length - asked).toBe(2);
  });

  it('is reported in the stream with an error code known to REST clients', async () => {
    kit.model.script({ status: 400, body: openAI(limit, { code: 'context_length_exceeded' }) });
    const details = { retry_after_seconds: null, provider_code: 'context_length_exceeded', provider_message: limit };
    expect((await stream({})).at(-2)).toEqual(failedLine('CONTEXT_TOO_LONG', tooLong, false, details));
    kit.model.script({ status: 400, body: openAI('No.', { code: 'content_policy_violation' }) });
    expect((await stream({})).at(-2)).toMatchObject({ error_code: 'CONTENT_POLICY', is_retryable: false });
    kit.model.script({ status: 400, body: openAI('No.') });
    expect((await stream({})).at(-2)).toMatchObject({ error_code: 'BAD_REQUEST', is_retryable: false });
    kit.model.script({ status: 402 });
    expect((await stream({})).at(-2)).toMatchObject({ error_code: 'BUDGET_EXCEEDED', is_retryable: false });
  });

  it('fails the turn after some text, which is kept, and reports the reason', async () => {
    kit.model.script({ text: ['One ', 'two '], error: openAI('Flagged.', { code: 'content_filter' }) });
    const { data } = await kit.gql(send, { input: { message: 'Hello', actionIds: [] } }, kit.keys.BASIC);
    expect(data.sendChatMessage).toMatchObject({
      answer: 'One two ',
      failure: { code: 'CONTENT_POLICY', message: policy },
    });
  });

  it.each([
    ['seconds', '20', 20],
    ['a date', new Date(Date.now() + 3600_000).toUTCString(), expect.toSatisfy((s: number) => s > 3500 && s <= 3600)],
  ])(
    'is not called again after a rate limit, and the client receives the Retry-After in %s',
    async (_name, header, retryAfter) => {
      const asked = kit.model.requests.length;
      kit.model.script({ status: 429, headers: { 'retry-after': header }, body: openAI('Slow down, org-4711.') });
      const { data } = await kit.gql(send, { input: { message: 'Hello', actionIds: [] } }, kit.keys.BASIC);
      expect(data.sendChatMessage.failure).toEqual({
        code: 'RATE_LIMITED',
        message: 'The model’s provider is limiting requests. Try again later.',
        retryable: true,
        retryAfter,
        providerCode: null,
        providerMessage: null,
      });
      expect(kit.model.requests.length - asked).toBe(1);
    },
  );

  it('has its message shown to the author of the question but not to another reader of the run', async () => {
    const owner = kit.keys.BASIC;
    const project = await kit.gql(
      'mutation { createProject(input: { name: "p" }) { project { databaseId } } }',
      {},
      owner,
    );
    const { databaseId: projectId } = project.data.createProject.project;
    const token = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId, name: 't', role: 'BASIC' } },
      owner,
    );
    const { secret } = token.data.createProjectToken;
    kit.model.script({ status: 400, body: openAI('Flagged: a quotation.', { code: 'content_filter' }) });
    const { data } = await kit.gql(send, { input: { message: 'Hello', actionIds: [] } }, secret);
    const { sessionId, failure } = data.sendChatMessage;
    expect(failure).toMatchObject({ providerCode: 'content_filter', providerMessage: 'Flagged: a quotation.' });
    const run = `subscription { chatRun(run: { sessionId: "${sessionId}" }) { ... on TurnFailureDetails { ${failureFields} } } }`;
    const last = async (key: string) => (await gather(kit.subscribe(run, {}, key))).at(-1).data.chatRun;
    expect(await last(secret)).toEqual(failure);
    expect(await last(owner)).toEqual({ ...failure, providerCode: null, providerMessage: null });
  });
});

describe('a provider that stops responding', () => {
  beforeAll(async () => {
    kit = await startKit({ scripted: true, environment: { LLM_SILENCE_SECONDS: '1.5' } });
  });
  afterAll(() => kit?.close());
  beforeEach(async () => {
    session = await createSession(kit);
  });
  const message = 'The model stopped answering.';

  it('fails the turn before any text, and its call is aborted', async () => {
    kit.model.script({ hang: true });
    const aborted = kit.model.nextAbort();
    expect((await stream({ chat_session_id: session })).slice(-2)).toEqual([failedLine('MODEL_ERROR', message), stop]);
    await aborted;
    expect(await lastMessage(session)).toMatchObject({
      text: '',
      status: 'FAILED',
      error: message,
      run: { status: 'FAILED' },
    });
  });

  it('fails the turn in the middle of an answer, whose text is kept', async () => {
    const gate = makeGate();
    gate.release();
    kit.model.script({ text: ['One ', 'two'], gate });
    const aborted = kit.model.nextAbort();
    expect(await whole({ chat_session_id: session })).toMatchObject({
      status: 200,
      body: { answer: expect.stringMatching(/^(One )?$/), error_msg: message },
    });
    await aborted;
    const { body } = await kit.rest('GET', `/api/chat/get-chat-session/${session}`, { key: kit.keys.BASIC });
    expect(body).toMatchObject({ current_run: null });
    expect(body.messages.at(-1).error).toBe(message);
  });
});

describe('a provider that exceeds the time limit', () => {
  beforeAll(async () => {
    kit = await startKit({ scripted: true, environment: { TURN_SECONDS: '1.5' } });
  });
  afterAll(() => kit?.close());

  it('fails the turn, and its call is aborted', async () => {
    session = await createSession(kit);
    kit.model.script({ text: ['Never'], gate: makeGate() });
    const aborted = kit.model.nextAbort();
    const lines = await stream({ chat_session_id: session });
    expect(lines.slice(-2)).toEqual([failedLine('MODEL_ERROR', 'The answer took too long.'), stop]);
    await aborted;
    expect(await lastMessage(session)).toMatchObject({ status: 'FAILED', error: 'The answer took too long.' });
  });
});
