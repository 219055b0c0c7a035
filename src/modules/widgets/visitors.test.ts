import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit, until } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { withoutPassages } from '../../ai/passages.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit.close());

interface Embed {
  uuid: string;
  id: number;
}
const made = async (body: object = {}): Promise<Embed> => {
  const answer = await kit.rest('POST', '/api/v1/embed/new', {
    body: { workspace_slug: 'default', chat_mode: 'chat', ...body },
  });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.embed;
};
const change = (uuid: string, body: object) => kit.rest('POST', `/api/v1/embed/${uuid}`, { body });

/** Sends a request as a widget does: JSON as text, without a credential. */
const send = (uuid: string, body: unknown, headers: Record<string, string> = {}) =>
  kit.rest('POST', `/api/embed/${uuid}/stream-chat`, {
    key: null,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'text/plain;charset=UTF-8', ...headers },
  });
const ask = (uuid: string, sessionId: string, message = 'Hello') => send(uuid, { sessionId, message });
const history = (uuid: string, sessionId: string, headers: Record<string, string> = {}) =>
  kit.rest('GET', `/api/embed/${uuid}/${sessionId}`, { key: null, headers });
const forget = (uuid: string, sessionId: string) =>
  kit.rest('DELETE', `/api/embed/${uuid}/${sessionId}`, { key: null });

const frames = ({ text }: Answer): Answer['body'][] =>
  text
    .split('\n\n')
    .filter(Boolean)
    .map((frame) => JSON.parse(frame.replace(/^data: /, '')));
const words = (answer: Answer): string =>
  frames(answer)
    .map(({ textResponse }) => textResponse ?? '')
    .join('');

const abort = (error: string, errorMsg = error) => ({
  id: expect.stringMatching(/^[\da-f-]{36}$/),
  type: 'abort',
  textResponse: null,
  sources: [],
  close: true,
  error,
  errorMsg,
});
const disabled = 'This chat has been disabled by the administrator - try again later.';

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const subscription = `subscription ($input: EmbedTurnInput!) {
  embedTurn(input: $input) {
    __typename
    ... on EmbedAnswerDelta { text }
    ... on EmbedAnswerEnded { whole }
  }
}`;

describe('a turn in a widget’s chat', () => {
  test('streams the frames that the widget reads, and stores the exchange in the visitor’s chat', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    kit.model.script({ text: ['one ', 'two'], reasoning: 'Let me think.' });
    const answer = await ask(uuid, sessionId, 'Count to two');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const [first] = frames(answer);
    const chunk = (textResponse: string, close = false) => ({
      uuid: first.uuid,
      sources: [],
      type: 'textResponseChunk',
      textResponse,
      close,
      error: false,
    });
    expect(frames(answer)).toEqual([chunk('one'), chunk(' two'), chunk('', true)]);

    const seconds = expect.any(Number);
    const told = (await history(uuid, sessionId)).body.history;
    expect(told).toEqual([
      { role: 'user', content: 'Count to two', sentAt: seconds, attachments: [], chatId: told[0].chatId },
      {
        type: 'chat',
        role: 'assistant',
        content: 'one two',
        sources: [],
        chatId: told[0].chatId,
        sentAt: seconds,
        feedbackScore: null,
        metrics: {},
      },
    ]);
    expect((await kit.rest('GET', `/api/v1/embed/${uuid}/chats/${sessionId.toUpperCase()}`)).body.chats).toEqual([
      {
        id: told[0].chatId,
        prompt: 'Count to two',
        response: '{"text":"one two","type":"chat","sources":[],"metrics":{}}',
        session_id: sessionId,
        include: true,
        connection_information: '{}',
        embed_id: expect.any(Number),
        usersId: null,
        createdAt: expect.stringMatching(/Z$/),
      },
    ]);
  });

  test('sends the model the previous messages up to the widget’s message limit', async () => {
    const { uuid } = await made({ message_limit: 2 });
    const sessionId = randomUUID();
    for (const message of ['first', 'second', 'third']) await ask(uuid, sessionId, message);
    const messages = kit.model.requests.at(-1)?.body.messages?.filter(({ role }) => role !== 'system') ?? [];
    expect(messages.map(({ content }) => withoutPassages(String(content)))).toEqual([
      'second',
      'You said: second',
      'third',
    ]);
  });

  test('names no document when the answer is based on documents', async () => {
    await kit.ingest('Opening hours', 'The museum opens at nine in the morning.', {
      link: 'https://intern.example/hours',
    });
    const { uuid } = await made();
    const sessionId = randomUUID();
    kit.model.script({ text: ['It opens at nine [1].'] });
    const answer = await ask(uuid, sessionId, 'When does the museum open?');
    expect(JSON.stringify(kit.model.requests.at(-1)?.body.messages)).toContain('nine in the morning');
    for (const text of [answer.text, (await history(uuid, sessionId)).text]) {
      expect(text).toContain('It opens at nine');
      expect(text).not.toMatch(/intern\.example|Opening hours|nine in the morning/);
    }
  });

  test('a widget in query mode sends its refusal in one frame and keeps it out of the history', async () => {
    const { uuid } = await made({ chat_mode: 'query' });
    const sessionId = randomUUID();
    const asked = kit.model.requests.length;
    const answer = await ask(uuid, sessionId, 'zxqv wvut');
    expect(frames(answer)).toEqual([
      {
        id: expect.any(String),
        type: 'textResponse',
        textResponse: 'There is no relevant information in this workspace to answer your query.',
        sources: [],
        close: true,
        error: null,
      },
    ]);
    expect(kit.model.requests.length).toBe(asked);
    await kit.booted.background.settled();
    expect((await history(uuid, sessionId)).body).toEqual({ history: [] });
    const { chats } = (await kit.rest('GET', `/api/v1/embed/${uuid}/chats`)).body;
    expect(chats.map(({ prompt, include }: Record<string, unknown>) => [prompt, include])).toEqual([
      ['zxqv wvut', false],
    ]);
  });

  test('a model that disconnects ends the stream with an abort, and the partial answer is stored', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    kit.model.script({ text: ['half ', 'whole'], breakAfter: 1 });
    const all = frames(await ask(uuid, sessionId));
    expect(all.at(-1)).toEqual({ ...abort('The connection to the model’s provider was lost.'), id: all[0].uuid });
    await kit.booted.background.settled();
    expect((await history(uuid, sessionId)).body.history[1].content).toBe('half ');
  });

  test('a second message to the same chat waits for the first', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    const gate = makeGate();
    kit.model.script({ text: ['one ', 'two'], gate });
    const first = ask(uuid, sessionId);
    await until(async () => (await kit.prisma.run.count({ where: { status: 'RUNNING' } })) > 0);
    const second = ask(uuid, sessionId, 'And then?');
    await kit.rest('GET', '/api/ping', { key: null });
    const { userId } = await kit.prisma.embed.findUniqueOrThrow({ where: { uuid } });
    expect(await kit.prisma.chatMessage.count({ where: { role: 'USER', session: { userId } } })).toBe(1);
    gate.open();
    expect(words(await first)).toBe('one two');
    expect(words(await second)).toBe('You said: And then?');
  });

  test('streams, reads and deletes the chat through GraphQL', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    kit.model.script({ text: ['one ', 'two'] });
    const events = [];
    for await (const { data } of kit.subscribe(
      subscription,
      { input: { uuid, clientSessionId: sessionId, message: 'Hello' } },
      null,
    ))
      events.push(data.embedTurn);
    expect(events).toEqual([
      { __typename: 'EmbedAnswerDelta', text: 'one' },
      { __typename: 'EmbedAnswerDelta', text: ' two' },
      { __typename: 'EmbedAnswerEnded', whole: true },
    ]);
    const query = `{ embedChat(uuid: "${uuid}", clientSessionId: "${sessionId}") { question answer included } }`;
    const exchange = { question: 'Hello', answer: 'one two', included: true };
    expect((await kit.gql(query, {}, null)).data.embedChat).toEqual([exchange]);
    const denied = await kit.gql(query.replace('{ question', '{ embed { databaseId } question'), {}, null);
    expect(denied.data.embedChat).toEqual([{ embed: null, ...exchange }]);
    expect(denied.errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    const gone = `mutation { deleteEmbedChat(input: { uuid: "${uuid}", clientSessionId: "${sessionId}" }) { deleted } }`;
    expect((await kit.gql(gone, {}, null)).data.deleteEmbedChat).toEqual({ deleted: true });
    expect((await kit.gql(gone, {}, null)).data.deleteEmbedChat).toEqual({ deleted: false });
    expect((await kit.gql(query, {}, null)).data.embedChat).toEqual([]);
  });
});

describe('overrides that a page sends', () => {
  const overrides = { prompt: 'You are a pirate.', model: 'no-such-model', temperature: '1.5' };
  const lastAsked = () => kit.model.requests.at(-1)?.body;

  test('are ignored unless the widget allows them', async () => {
    const { uuid } = await made();
    for (const wrong of [overrides, { prompt: 'p'.repeat(30_000), model: 5, temperature: 99 }])
      expect((await send(uuid, { sessionId: randomUUID(), message: 'Hello', ...wrong })).status).toBe(200);
    expect(JSON.stringify(lastAsked()?.messages)).not.toMatch(/pirate|ppp/);
    expect(lastAsked()).toMatchObject({ model: 'scripted' });
    expect(lastAsked()?.temperature).toBeUndefined();
  });

  test('set the prompt and temperature of one message when the widget allows them', async () => {
    const { uuid } = await made({ allow_prompt_override: true, allow_temperature_override: true });
    const sessionId = randomUUID();
    expect((await send(uuid, { sessionId, message: 'Hello', ...overrides })).status).toBe(200);
    expect(JSON.stringify(lastAsked()?.messages)).toContain('You are a pirate.');
    expect(lastAsked()?.temperature).toBe(1.5);
    expect((await send(uuid, { sessionId, message: 'Hello' })).status).toBe(200);
    expect(JSON.stringify(lastAsked()?.messages)).not.toContain('pirate');
    expect(lastAsked()?.temperature).toBeUndefined();
  });

  test('are rejected for an unknown model, without listing the available models', async () => {
    const { uuid } = await made({ allow_model_override: true });
    expect((await send(uuid, { sessionId: randomUUID(), message: 'Hello', model: 'scripted' })).status).toBe(200);
    await unchanged(async () => {
      const answer = await send(uuid, { sessionId: randomUUID(), message: 'Hello', ...overrides });
      expect([answer.status, answer.body]).toEqual([400, abort('This model is not available.')]);
    });
  });
});

describe('rejected requests', () => {
  test('are checked in this order: the widget, the page, the session ID, the message', async () => {
    const { uuid } = await made({ allowlist_domains: 'a.example' });
    const page = { origin: 'https://a.example' };
    const elsewhere = { origin: 'https://b.example' };
    const empty = { sessionId: 'none', message: ' ' };
    const sessionId = randomUUID();
    await unchanged(async () => {
      const all = [
        await send(randomUUID(), empty, elsewhere),
        await send(uuid, empty, elsewhere),
        await send(uuid, empty),
        await send(uuid, { ...empty, sessionId: 5 }, page),
        await send(uuid, empty, page),
        await send(uuid, { ...empty, sessionId }, page),
        await send(uuid, { sessionId, message: 7 }, page),
        await send(uuid, { sessionId, message: 'x'.repeat(20_001) }, page),
        await send(uuid, { sessionId, message: 'a\0b' }, page),
        await send(uuid, '', page),
      ];
      expect(all.map(({ status, body }) => [status, body])).toEqual([
        [404, abort(disabled)],
        [401, abort('Invalid request.')],
        [401, abort('Invalid request.')],
        [404, abort('Invalid session ID.')],
        [404, abort('Invalid session ID.')],
        [400, abort('Message is empty.')],
        [400, abort('Message is empty.')],
        [400, abort('must be at most 20000 characters')],
        [400, abort('must not contain NUL characters')],
        [404, abort('Invalid session ID.')],
      ]);
    });
    expect((await send(uuid, { sessionId, message: 'Hello' }, page)).status).toBe(200);
  });

  test.each(['{', '[]', '"text"', '5', 'null'])('return 400 for a body that is %s', async (body) => {
    const { uuid } = await made();
    for (const type of ['text/plain', 'application/json']) {
      const answer = await send(uuid, body, { 'content-type': type });
      expect([answer.status, answer.body.type]).toEqual([400, 'abort']);
    }
  });

  test('include reading and deleting from a page that is not allowed to embed the widget', async () => {
    const { uuid } = await made({ allowlist_domains: 'https://a.example' });
    const page = { origin: 'https://a.example' };
    const sessionId = randomUUID();
    await send(uuid, { sessionId, message: 'Hello' }, page);
    await kit.booted.background.settled();
    await unchanged(async () => {
      for (const origin of [undefined, 'https://b.example', 'http://a.example', 'null']) {
        const headers: Record<string, string> = origin === undefined ? {} : { origin };
        // A page of the server's own origin sends no `Origin` for a GET.
        for (const method of origin === undefined ? ['DELETE'] : ['GET', 'DELETE']) {
          const answer = await kit.rest(method, `/api/embed/${uuid}/${sessionId}`, { key: null, headers });
          expect([answer.status, answer.text]).toEqual([401, '{"error":"Invalid request."}']);
        }
        const chat = `uuid: "${uuid}", clientSessionId: "${sessionId}"`;
        const remove = `mutation { deleteEmbedChat(input: { ${chat} }) { __typename } }`;
        for (const query of origin === undefined ? [remove] : [remove, `{ embedChat(${chat}) { answer } }`]) {
          const { body } = await kit.rest('POST', '/graphql', { key: null, headers, body: { query } });
          expect(body.errors[0]).toMatchObject({ message: 'Invalid request.', extensions: { code: 'FORBIDDEN' } });
        }
      }
    });
    for (const headers of [page, {}]) expect((await history(uuid, sessionId, headers)).body.history).toHaveLength(2);
  });

  test('get the same 404 for a disabled or deleted widget, a deleted agent and an unknown widget', async () => {
    const agent = await kit.rest('POST', '/api/persona', {
      body: {
        name: 'Soon gone',
        description: '',
        system_prompt: '',
        task_prompt: '',
        document_set_ids: [],
        tool_ids: [],
        is_public: true,
        include_citations: true,
        datetime_aware: false,
        starter_messages: [],
        num_chunks: 1,
        llm_relevance_filter: false,
        llm_filter_extraction: false,
        recency_bias: 'no_decay',
      },
    });
    expect(agent.status, agent.text).toBe(200);
    const { slug } = await kit.prisma.agent.findUniqueOrThrow({ where: { id: agent.body.id } });
    const [off, deleted, orphan] = [await made(), await made(), await made({ workspace_slug: slug })];
    await change(off.uuid, { enabled: false });
    await kit.rest('DELETE', `/api/v1/embed/${deleted.uuid}`);
    expect((await ask(orphan.uuid, randomUUID())).status).toBe(200);
    await kit.booted.background.settled();
    await kit.rest('DELETE', `/api/persona/${agent.body.id}`);
    const sessionId = randomUUID();
    await unchanged(async () => {
      for (const uuid of [off.uuid, deleted.uuid, orphan.uuid, randomUUID(), 'none', '%00']) {
        const answer = await ask(uuid, sessionId);
        expect([answer.status, answer.body]).toEqual([404, abort(disabled)]);
        for (const call of [history, forget]) {
          const { status, body } = await call(uuid, sessionId);
          expect([status, body]).toEqual([404, { error: disabled }]);
        }
      }
    });
    await change(off.uuid, { enabled: true });
    expect((await ask(off.uuid, sessionId)).status).toBe(200);
  });

  test('return 429 for more than 60 requests from one address within a minute', async () => {
    const { uuid } = await made();
    const statuses = new Map<number, number>();
    for (let sent = 0; sent < 62; sent++) {
      const { status } = await history(uuid, randomUUID());
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses]).toEqual([
      [200, 60],
      [429, 2],
    ]);
    await unchanged(async () => {
      const { status, body, headers } = await ask(uuid, randomUUID());
      expect([status, body]).toEqual([429, abort('Too many requests. Try again later.')]);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    });
    expect((await history((await made()).uuid, randomUUID())).status).toBe(200);
  });

  test('return 429 when a rate limit of the widget’s account is reached', async () => {
    const { uuid, id } = await made();
    const { userId } = await kit.prisma.embed.findUniqueOrThrow({ where: { id } });
    const { data } = await kit.gql(
      `mutation { createRateLimit(input: { subject: { userId: "${userId}" }, requestsPerMinute: 1 }) { rateLimit { databaseId } } }`,
    );
    expect((await ask(uuid, randomUUID())).status).toBe(200);
    expect((await ask(uuid, randomUUID())).status).toBe(429);
    await kit.gql(
      `mutation { deleteRateLimit(input: { id: ${data.createRateLimit.rateLimit.databaseId} }) { deletedRateLimitId } }`,
    );
  });
});

describe('quotas', () => {
  const day = 'The quota for this chat has been reached. Try again later or contact the site owner.';
  const session = 'Your quota for this chat has been reached. Try again later or contact the site owner.';

  test('per day apply to all visitors together, and deleting a chat does not free any', async () => {
    const { uuid } = await made({ max_chats_per_day: 2 });
    const [one, two] = [randomUUID(), randomUUID()];
    expect([(await ask(uuid, one)).status, (await ask(uuid, two)).status]).toEqual([200, 200]);
    await kit.booted.background.settled();
    expect((await forget(uuid, one)).text).toBe('OK');
    await unchanged(async () => {
      const refused = await ask(uuid, randomUUID());
      expect([refused.status, refused.body]).toEqual([429, abort('Rate limit exceeded', day)]);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(23 * 3600);
    });
    await kit.prisma.chatMessage.updateMany({
      where: { session: { clientKey: `embed:${two}` } },
      data: { createdAt: new Date(Date.now() - 24 * 3600 * 1000 - 1) },
    });
    expect((await ask(uuid, two)).status).toBe(200);
    expect((await ask(uuid, two)).status).toBe(429);
  });

  test('per chat apply to that chat only', async () => {
    const { uuid } = await made({ max_chats_per_session: 1 });
    const sessionId = randomUUID();
    expect((await ask(uuid, sessionId)).status).toBe(200);
    await kit.booted.background.settled();
    await unchanged(async () => {
      const refused = await ask(uuid, sessionId.toUpperCase());
      expect([refused.status, refused.body]).toEqual([429, abort(session)]);
    });
    expect((await ask(uuid, randomUUID())).status).toBe(200);
  });

  test.each(['max_chats_per_day', 'max_chats_per_session'])(
    'a failed turn does not count against %s',
    async (quota) => {
      const { uuid } = await made({ [quota]: 1 });
      const sessionId = randomUUID();
      const failing = { status: 400, body: { error: { message: 'no' } } };
      kit.model.script(failing, { text: ['half', ' an answer'], breakAfter: 1 }, { text: ['whole'] });
      expect(frames(await ask(uuid, sessionId)).at(-1)).toMatchObject({ type: 'abort' });
      expect(frames(await ask(uuid, sessionId)).at(-1)).toMatchObject({ type: 'abort' });
      expect(words(await ask(uuid, sessionId))).toBe('whole');
      await kit.booted.background.settled();
      await unchanged(async () => expect((await ask(uuid, sessionId)).status).toBe(429));
    },
  );

  test('are not exceeded by concurrent requests', async () => {
    const { uuid } = await made({ max_chats_per_day: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(uuid, randomUUID())));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(3).fill(200), ...Array(9).fill(429)]);
    const { userId } = await kit.prisma.embed.findUniqueOrThrow({ where: { uuid } });
    expect(await kit.prisma.chatSession.count({ where: { userId } })).toBe(3);
    expect(await kit.prisma.chatMessage.count({ where: { role: 'USER', session: { userId } } })).toBe(3);
  });

  test('concurrent first messages to one chat create one chat', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    const answers = await Promise.all([1, 2, 3].map(() => ask(uuid, sessionId)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await kit.prisma.chatSession.count({ where: { clientKey: `embed:${sessionId}` } })).toBe(1);
  });
});

describe('a visitor’s chat', () => {
  test('is read and deleted only by its session ID together with its widget', async () => {
    const [one, other] = [await made(), await made()];
    const sessionId = randomUUID();
    await ask(one.uuid, sessionId, 'a secret');
    await kit.booted.background.settled();
    await unchanged(async () => {
      expect((await history(other.uuid, sessionId)).body).toEqual({ history: [] });
      expect((await history(one.uuid, randomUUID())).body).toEqual({ history: [] });
      expect((await history(one.uuid, 'none')).body).toEqual({ history: [] });
      expect((await forget(other.uuid, sessionId)).text).toBe('OK');
      expect((await forget(one.uuid, 'none')).text).toBe('OK');
    });
    expect((await history(one.uuid, sessionId)).body.history).toHaveLength(2);
    await ask(other.uuid, sessionId, 'another');
    expect((await history(one.uuid, sessionId)).text).not.toContain('another');
    expect((await forget(one.uuid, sessionId)).text).toBe('OK');
    expect((await history(one.uuid, sessionId)).body).toEqual({ history: [] });
    expect((await history(other.uuid, sessionId)).body.history).toHaveLength(2);
    expect((await kit.rest('GET', `/api/v1/embed/${one.uuid}/chats`)).body).toEqual({ chats: [] });
  });

  test('appears in no list, and returns NOT_FOUND for its ID', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    await ask(uuid, sessionId, 'a visitor was here');
    await kit.booted.background.settled();
    const { id } = await kit.prisma.chatSession.findFirstOrThrow({ where: { clientKey: `embed:${sessionId}` } });
    for (const key of [kit.keys.ADMIN, kit.keys.BASIC]) {
      const lists = await kit.gql(
        '{ chatSessions(first: 100) { nodes { databaseId } } found: chatSessions(filter: { search: "visitor" }) { nodes { databaseId } } }',
        {},
        key,
      );
      expect(JSON.stringify(lists.data)).not.toContain(id);
      expect((await kit.gql(`{ chatSession(id: "${id}") { name } }`, {}, key)).errors[0]?.extensions.code).toBe(
        'NOT_FOUND',
      );
    }
  });

  test('does not store the name, address or browser of the visitor', async () => {
    const { uuid, id } = await made();
    const sessionId = randomUUID();
    await send(
      uuid,
      { sessionId, message: 'Zanzibar', username: 'Ann Visitor' },
      { 'user-agent': 'A browser of its own' },
    );
    await kit.booted.background.settled();
    const { userId } = await kit.prisma.embed.findUniqueOrThrow({ where: { id } });
    const token = await kit.prisma.token.findFirstOrThrow({ where: { userId } });
    expect(token.lastUsedAt).not.toBeNull();
    expect(token.lastUsedAddress).toBeNull();
    const kept = JSON.stringify([
      await kit.prisma.chatSession.findMany({ where: { userId }, include: { messages: true } }),
      await kit.prisma.auditEvent.findMany({ where: { tokenId: token.id } }),
    ]);
    expect(kept).toContain('Zanzibar');
    expect(kept).not.toMatch(/Ann Visitor|127\.0\.0\.1|browser/);
  });
});

describe('an open stream', () => {
  const ends: [string, (embed: Embed) => Promise<unknown>][] = [
    ['the widget is switched off', ({ uuid }) => change(uuid, { enabled: false })],
    ['the widget is deleted', ({ uuid }) => kit.rest('DELETE', `/api/v1/embed/${uuid}`)],
    ['the page may no longer show it', ({ uuid }) => change(uuid, { allowlist_domains: 'b.example' })],
  ];
  test.each(ends)('ends when %s', async (_name, end) => {
    const embed = await made();
    const gate = makeGate();
    kit.model.script({ text: ['one ', 'two ', 'three'], gate });
    const upstream = kit.model.nextAbort();
    const answer = ask(embed.uuid, randomUUID());
    gate.release();
    await gate.reached(1);
    expect(await end(embed)).toMatchObject({ status: 200 });
    const said = await answer;
    expect(said.status).toBe(200);
    expect(said.text).not.toContain('three');
    expect(frames(said).at(-1)).toEqual(abort(disabled));
    await upstream;
    gate.open();
  });

  test('finishes its answer when the visitor disconnects', async () => {
    const { uuid } = await made();
    const sessionId = randomUUID();
    const gate = makeGate();
    kit.model.script({ text: ['one ', 'two'], gate });
    const gone = new AbortController();
    const response = await fetch(`${kit.url}/api/embed/${uuid}/stream-chat`, {
      method: 'POST',
      body: JSON.stringify({ sessionId, message: 'Hello' }),
      signal: gone.signal,
    });
    expect(response.status).toBe(200);
    gone.abort();
    gate.open();
    await kit.booted.background.settled();
    expect((await history(uuid, sessionId)).body.history[1].content).toBe('one two');
  });
});
