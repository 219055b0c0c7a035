import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingAsked } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';

let kit: Kit;
let owner: { id: number; secret: string; userId: string };
let stranger: { id: number; secret: string; userId: string };
let limited: { id: number; secret: string; userId: string };
let searchId: number;

beforeAll(async () => {
  kit = await startKit({ scripted: true, environment: { LLM_VISION: 'true' } });
  await kit.prisma.document.deleteMany();
  owner = await kit.createKey('BASIC', { name: 'owner' });
  stranger = await kit.createKey('BASIC', { name: 'stranger' });
  limited = await kit.createKey('LIMITED', { name: 'limited' });
  searchId = (await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } })).id;
});
afterAll(() => kit?.close());

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let made = 0;
/** Creates a public workspace with these texts as documents, by ID. */
async function workspace(settings: object = {}, texts: Record<string, string> = {}): Promise<string> {
  for (const [id, text] of Object.entries(texts)) await kit.ingest(id, text, { id });
  const documents = await kit.prisma.document.findMany({
    where: { externalId: { in: Object.keys(texts) } },
    select: { id: true },
  });
  const slug = `workspace-${++made}`;
  await kit.prisma.agent.create({
    data: {
      name: slug,
      slug,
      isPublic: true,
      knowledge: 'ATTACHED',
      actions: { connect: { id: searchId } },
      documents: { connect: documents },
      ...settings,
    },
  });
  return slug;
}

const call = (method: string, path: string, body?: unknown, key: string | null = owner.secret) =>
  kit.rest(method, `/api/v1/workspace/${path}`, { key, body });
const chat = (slug: string, body: unknown = { message: 'Hello' }, key?: string | null) =>
  call('POST', `${slug}/chat`, body, key);

async function thread(slug: string, body: object = {}, key = owner.secret): Promise<string> {
  const answer = await call('POST', `${slug}/thread/new`, body, key);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.thread.slug;
}

/** Returns the frames of a stream. */
function framesOf({ status, headers, text }: Answer): any[] {
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/event-stream/)]);
  const events = text.split('\n\n');
  expect(events.pop()).toBe('');
  return events.filter((event) => !event.startsWith(':')).map((event) => JSON.parse(event.replace(/^data: /, '')));
}
const stream = async (slug: string, body: unknown = { message: 'Hello' }, key?: string | null) =>
  framesOf(await call('POST', `${slug}/stream-chat`, body, key));

const told = ({ status, text, headers }: Answer) => [status, text, headers.get('content-type')?.split(';')[0]];
const badRequest = [400, 'Bad Request', 'text/plain'];
const noKey = [403, '{"error":"No valid api key found."}', 'application/json'];
const lacking = (permission: string) => [
  403,
  `{"error":"This credential lacks \`${permission}\`."}`,
  'application/json',
];

const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
const abort = (error: unknown) => ({ id: uuid, type: 'abort', textResponse: null, sources: [], close: true, error });
const reset = {
  id: uuid,
  type: 'textResponse',
  textResponse: 'Chat history was reset!',
  sources: [],
  close: true,
  error: null,
  metrics: {},
};
const metrics = {
  prompt_tokens: expect.any(Number),
  completion_tokens: expect.any(Number),
  total_tokens: expect.any(Number),
  outputTps: expect.any(Number),
  duration: expect.any(Number),
  model: 'scripted',
  provider: 'openai-compatible',
  timestamp: expect.stringMatching(/^\d{4}-/),
};

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingAsked(kit, work);

const history = async (path: string, key?: string) => {
  const { status, body, text } = await call('GET', path, undefined, key);
  expect(status, text).toBe(200);
  return body.history;
};
const contents = (items: { content: string }[]) => items.map(({ content }) => content);
const asked = (): string => JSON.stringify(kit.model.requests.at(-1)?.body.messages);

describe('POST /v1/workspace/{slug}/chat', () => {
  it('returns the text, its sources and the metrics of the model', async () => {
    const slug = await workspace({}, { kiln: 'The kiln is fired at 1260 degrees.' });
    await kit.prisma.document.update({
      where: { externalId: 'kiln' },
      data: { metadata: { docAuthor: 'Ada', url: 'file://kiln.txt', published: '11/14/2023, 10:13:20 PM' } },
    });
    kit.model.script({
      text: 'At 1260 [1].',
      reasoning: 'Hm.',
      usage: { prompt_tokens: 10, completion_tokens: 5 },
    });
    const { status, body } = await chat(slug, { message: 'How hot is the kiln fired?' });
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(['id', 'type', 'close', 'error', 'chatId', 'textResponse', 'sources', 'metrics']);
    const document = await kit.prisma.document.findUniqueOrThrow({ where: { externalId: 'kiln' } });
    expect(body).toEqual({
      id: uuid,
      type: 'textResponse',
      close: true,
      error: null,
      chatId: expect.any(Number),
      textResponse: '<think>Hm.</think>At 1260.',
      sources: [
        {
          id: 'kiln-0',
          url: 'file://kiln.txt',
          title: 'kiln',
          docAuthor: 'Ada',
          description: 'no description found',
          docSource: 'no source set',
          chunkSource: 'https://docs.example/kiln',
          published: '11/14/2023, 10:13:20 PM',
          wordCount: document.wordCount,
          token_count_estimate: document.tokenCount,
          text: '<document_metadata>\nsourceDocument: kiln\npublished: 11/14/2023, 10:13:20 PM\n</document_metadata>\n\nThe kiln is fired at 1260 degrees.',
          score: expect.any(Number),
          _distance: expect.any(Number),
        },
      ],
      metrics: { ...metrics, prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    });
    expect(body.sources[0].score + body.sources[0]._distance).toBeCloseTo(1);
    const answer = await kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: body.chatId } });
    expect(answer).toMatchObject({ role: 'ASSISTANT', status: 'COMPLETE' });
  });

  it('returns the beginning of a pinned document as a source without a score', async () => {
    const long = Array.from({ length: 60 }, (_, n) => `Rule ${n} is that item ${n} comes before the next.`).join(' ');
    const slug = await workspace({ actions: {} }, { whole: long });
    await kit.prisma.agent.update({ where: { slug }, data: { pinnedDocuments: { connect: { externalId: 'whole' } } } });
    const { body } = await chat(slug);
    expect(body.sources).toEqual([
      expect.objectContaining({ id: 'whole', text: `${long.slice(0, 1000)}...continued on in source document...` }),
    ]);
    expect(Object.keys(body.sources[0])).not.toContain('score');
    expect(asked()).toContain('Rule 59');
  });

  it('returns the refusal when a query finds no documents, and keeps it out of the history', async () => {
    const slug = await workspace({ chatMode: 'QUERY', refusalText: 'Nothing here.' });
    const before = kit.model.requests.length;
    const { status, body } = await chat(slug);
    expect([status, body]).toEqual([
      200,
      {
        id: uuid,
        type: 'textResponse',
        sources: [],
        close: true,
        error: null,
        textResponse: 'Nothing here.',
        metrics: {},
      },
    ]);
    expect(kit.model.requests).toHaveLength(before);
    expect(await history(`${slug}/chats`)).toEqual([]);
    expect((await chat(slug, { message: 'Hello', mode: 'chat' })).body.textResponse).toBe('You said: Hello');
    expect(contents(await history(`${slug}/chats`))).toEqual(['Hello', 'You said: Hello']);
  });

  it('separates chats by session ID and by key, and uses the unnamed chat without a session ID', async () => {
    const slug = await workspace({ actions: {} });
    await chat(slug, { message: 'unnamed' });
    await chat(slug, { message: 'first', sessionId: 7 });
    await chat(slug, { message: 'second', sessionId: '7' });
    expect(asked()).toContain('You said: first');
    expect(asked()).not.toContain('unnamed');
    expect(contents(await history(`${slug}/chats`))).toEqual(['unnamed', 'You said: unnamed']);
    expect(contents(await history(`${slug}/chats?apiSessionId=7`))).toHaveLength(4);
    expect(await history(`${slug}/chats?apiSessionId=8`)).toEqual([]);
    expect(await history(`${slug}/chats`, stranger.secret)).toEqual([]);
  });

  it('resets the chat, with or without a message', async () => {
    const slug = await workspace({ actions: {} });
    const other = await thread(slug);
    await call('POST', `${slug}/thread/${other}/chat`, { message: 'in a thread' });
    for (const sessionId of [undefined, 'abc']) {
      const at = sessionId ? `${slug}/chats?apiSessionId=${sessionId}` : `${slug}/chats`;
      expect((await chat(slug, { reset: true, mode: 'nonsense', sessionId })).body).toEqual(reset);
      await chat(slug, { message: 'one', sessionId });
      expect((await chat(slug, { reset: true, sessionId })).body).toEqual(reset);
      await chat(slug, { message: 'two', sessionId });
      expect(asked()).not.toContain('one');
      await chat(slug, { message: 'three', reset: true, mode: 'nonsense', sessionId });
      expect(asked()).not.toContain('two');
      const kept = ['three', 'You said: three'];
      const all = ['one', 'You said: one', 'two', 'You said: two', ...kept];
      expect(contents(await history(at))).toEqual(sessionId ? all : kept);
    }
    expect(contents(await history(`${slug}/thread/${other}/chats`))).toEqual(['in a thread', 'You said: in a thread']);
  });

  it('accepts JSON under text/plain and ignores unknown fields', async () => {
    const slug = await workspace({ actions: {} });
    const body = JSON.stringify({ message: 'Hello', mode: null, sessionId: null, attachments: null, more: [1] });
    const headers = { 'content-type': 'text/plain' };
    const answer = await kit.rest('POST', `/api/v1/workspace/${slug}/chat`, { key: owner.secret, body, headers });
    expect(answer.body).toMatchObject({ type: 'textResponse', textResponse: 'You said: Hello' });
    expect((await chat(slug, { message: 42 })).body.textResponse).toBe('You said: 42');
  });

  it('accepts images and documents, and returns the images in the history', async () => {
    const slug = await workspace({ actions: {} });
    const attachments = [
      { name: 'dot.png', mime: 'image/png', contentString: `data:image/png;base64,${png}` },
      {
        name: 'notes.txt',
        mime: 'application/anythingllm-document',
        contentString: `data:text/plain;charset=utf-8;base64,${Buffer.from('The day is Tuesday.').toString('base64')}`,
      },
    ];
    const { body } = await chat(slug, { message: 'Which day?', attachments });
    expect(asked()).toContain('The day is Tuesday.');
    expect(asked()).toContain(`data:image/png;base64,${png}`);
    expect(body.sources).toMatchObject([
      { title: 'notes.txt', text: 'The day is Tuesday....continued on in source document...' },
    ]);
    const [question] = await history(`${slug}/chats`);
    expect(question.attachments).toEqual([
      { name: 'dot.png', mime: 'image/png', contentString: `data:image/png;base64,${png}` },
    ]);
  });

  it.each([
    ['no message', {}, 'Message is empty'],
    ['an empty message', { message: '' }, 'Message is empty'],
    ['a message that is no text', { message: { a: 1 } }, 'Message is empty'],
    ['an unknown mode', { message: 'Hello', mode: 'agent' }, 'agent is not a valid mode.'],
    ['a mode that is no text', { message: 'Hello', mode: 5 }, '5 is not a valid mode.'],
    ['a NUL', { message: 'a\0b' }, 'message: must not contain NUL characters'],
    ['a long name', { message: 'a', sessionId: 'b'.repeat(256) }, expect.stringContaining('at most 255')],
    ['attachments that are no list', { message: 'a', attachments: 'x' }, expect.stringContaining('attachments: ')],
    ['too many', { message: 'a', attachments: Array(21).fill({ contentString: '' }) }, expect.stringContaining('20')],
    [
      'an attachment that is not Base64',
      { message: 'a', attachments: [{ name: 'a.png', mime: 'image/png', contentString: 'data:image/png;base64,*' }] },
      'attachments.0.contentString: is not Base64',
    ],
    [
      'an attachment of no type',
      { message: 'a', attachments: [{ name: 'a.png', mime: 'png', contentString: `data:image/png;base64,${png}` }] },
      'attachments.0.mime: is not a media type',
    ],
    ['no JSON', '{"message":', expect.any(String)],
    ['JSON that is no object', '5', expect.any(String)],
  ])('returns 400 for %s, whole and streamed, and changes no data', async (_name, body, error) => {
    const slug = await workspace({ actions: {} });
    const at = await thread(slug);
    for (const path of ['chat', 'stream-chat', `thread/${at}/chat`, `thread/${at}/stream-chat`]) {
      if (path.startsWith('thread') && typeof body === 'object' && 'sessionId' in body) continue;
      const answer = await unchanged(() => call('POST', `${slug}/${path}`, body));
      expect([answer.status, answer.body]).toEqual([400, abort(error)]);
    }
  });

  it('returns the same error for another user’s workspace as for an unknown workspace', async () => {
    const slug = await workspace({ isPublic: false, ownerId: owner.userId });
    for (const [path, key] of [
      ['no-such', owner.secret],
      [slug, stranger.secret],
      ['%00', owner.secret],
    ] as const)
      for (const road of ['chat', 'stream-chat']) {
        const answer = await unchanged(() => call('POST', `${path}/${road}`, { message: 'Hello' }, key));
        const name = decodeURIComponent(path);
        expect([answer.status, answer.body]).toEqual([400, abort(`Workspace ${name} is not a valid workspace.`)]);
      }
  });

  it('returns 502 for a model that fails and 400 for one that rejects the request', async () => {
    const slug = await workspace({ actions: {} });
    kit.model.script({ status: 401 });
    const failed = await chat(slug);
    const misconfigured = 'The model’s provider rejected the configuration of this server (HTTP 401).';
    expect([failed.status, failed.body]).toEqual([502, abort(misconfigured)]);
    const tooLong = { error: { message: 'At most 4096 tokens.', code: 'context_length_exceeded' } };
    const rejection = 'The request is longer than the context window of the model. At most 4096 tokens.';
    kit.model.script({ status: 400, body: tooLong }, { status: 400, body: tooLong });
    const rejected = await chat(slug);
    expect([rejected.status, rejected.body]).toEqual([400, abort(rejection)]);
    expect((await call('POST', `${slug}/stream-chat`, { message: 'Hello' })).text).toContain(`"error":"${rejection}"`);
    kit.model.script({ status: 429, headers: { 'retry-after': '20' } });
    const limited = await chat(slug);
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '20']);
    // A turn that failed before any text is not an exchange.
    expect(await history(`${slug}/chats`)).toEqual([]);
  });

  it('returns 429 with a Retry-After header when the token budget is used up', async () => {
    const slug = await workspace({ actions: {} });
    const poor = await kit.createKey('BASIC', { name: 'poor' });
    const made = await kit.gql(
      'mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { databaseId } } }',
      { input: { subject: { tokenId: poor.id }, tokenBudget: 1, periodHours: 1 } },
    );
    expect(made.errors).toEqual([]);
    await chat(slug, { message: 'Hello' }, poor.secret);
    for (const road of ['chat', 'stream-chat']) {
      const answer = await call('POST', `${slug}/${road}`, { message: 'Hello' }, poor.secret);
      expect([answer.status, answer.body]).toEqual([429, abort(expect.any(String))]);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  });
});

describe('POST /v1/workspace/{slug}/stream-chat', () => {
  const chunk = (id: string, textResponse: string, close = false) => ({
    uuid: id,
    sources: [],
    type: 'textResponseChunk',
    textResponse,
    close,
    error: false,
  });

  it('streams the text, an empty last chunk, and the sources at the end', async () => {
    const slug = await workspace({}, { loom: 'The loom has forty heddles.' });
    kit.model.script({ text: ['Forty', ' [1].'], reasoning: 'Count.' });
    const frames = await stream(slug, { message: 'How many heddles has the loom?' });
    const { uuid: id } = frames[0];
    const texts = ['<think>Count.', '</think>', 'Forty', '.'];
    expect(
      frames
        .slice(0, -2)
        .map(({ textResponse }) => textResponse)
        .join(''),
    ).toBe(texts.join(''));
    expect(frames.slice(0, -2)).toEqual(frames.slice(0, -2).map(({ textResponse }) => chunk(id, textResponse)));
    expect(frames.at(-2)).toEqual(chunk(id, '', true));
    expect(frames.at(-1)).toEqual({
      uuid: id,
      type: 'finalizeResponseStream',
      close: true,
      error: false,
      chatId: expect.any(Number),
      metrics,
      sources: [expect.objectContaining({ title: 'loom', score: expect.any(Number) })],
    });
    const [, answer] = await history(`${slug}/chats`);
    expect(answer).toMatchObject({ chatId: frames.at(-1).chatId, sources: frames.at(-1).sources });
  });

  it('sends a single frame for a refusal and for a reset', async () => {
    const slug = await workspace({ chatMode: 'QUERY' });
    expect(await stream(slug)).toEqual([
      {
        id: uuid,
        type: 'textResponse',
        textResponse: 'There is no relevant information in this workspace to answer your query.',
        sources: [],
        attachments: [],
        close: true,
        error: null,
        metrics: {},
      },
    ]);
    expect(await stream(slug, { reset: true })).toEqual([reset]);
    const at = await thread(slug);
    expect(framesOf(await call('POST', `${slug}/thread/${at}/stream-chat`, { reset: true }))).toEqual([reset]);
  });

  it('ends with an abort when the model disconnects, and stores the partial answer', async () => {
    const slug = await workspace({ actions: {} });
    kit.model.script({ text: ['Half', ' an', ' answer'], breakAfter: 1 });
    const frames = await stream(slug);
    expect(
      frames
        .slice(0, -1)
        .map(({ textResponse }) => textResponse)
        .join(''),
    ).toContain('Half');
    expect(frames.at(-1)).toEqual(abort(expect.any(String)));
    expect(contents(await history(`${slug}/chats`))).toEqual(['Hello', 'Half']);
  });

  it('finishes the answer when the client disconnects', async () => {
    const slug = await workspace({ actions: {} });
    const gate = makeGate();
    kit.model.script({ text: ['one', ' two'], gate });
    const leaving = new AbortController();
    const response = await fetch(`${kit.url}/api/v1/workspace/${slug}/stream-chat`, {
      method: 'POST',
      headers: { authorization: `Bearer ${owner.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'Hello' }),
      signal: leaving.signal,
    });
    gate.release();
    await response.body?.getReader().read();
    leaving.abort();
    gate.open();
    await kit.booted.background.settled();
    expect(contents(await history(`${slug}/chats`))).toEqual(['Hello', 'one two']);
  });
});

describe('GET /v1/workspace/{slug}/chats', () => {
  it('returns questions and answers with the caller’s rating and the metrics', async () => {
    const slug = await workspace({ actions: {} });
    const { body } = await chat(slug, { message: 'one' });
    await kit.gql(
      'mutation ($id: ID!) { rateChatMessage(input: { messageId: $id, rating: LIKE }) { messageId } }',
      { id: body.chatId },
      owner.secret,
    );
    const { createdAt } = await kit.prisma.chatMessage.findUniqueOrThrow({ where: { id: body.chatId } });
    const sentAt = Math.floor(createdAt.getTime() / 1000);
    expect(await history(`${slug}/chats`)).toEqual([
      { role: 'user', content: 'one', sentAt, attachments: [], chatId: body.chatId },
      {
        type: 'chat',
        role: 'assistant',
        content: 'You said: one',
        sources: [],
        chatId: body.chatId,
        sentAt,
        feedbackScore: true,
        metrics,
      },
    ]);
  });

  it('applies the requested limit and order', async () => {
    const slug = await workspace({ actions: {} });
    for (const message of ['a', 'b', 'c']) await chat(slug, { message });
    const questions = async (query: string) =>
      (await history(`${slug}/chats?${query}`))
        .filter(({ role }: any) => role === 'user')
        .map(({ content }: any) => content);
    expect(await questions('')).toEqual(['a', 'b', 'c']);
    expect(await questions('orderBy=desc')).toEqual(['c', 'b', 'a']);
    expect(await questions('orderBy=desc&limit=1')).toEqual(['c']);
    expect(await questions('limit=2&orderBy=sideways')).toEqual(['a', 'b']);
    expect(await questions('limit=-5')).toEqual(['a']);
    expect(await questions('limit=many')).toEqual([]);
    const counted = async () => {
      kit.statements.length = 0;
      await questions('');
      return kit.statements.length;
    };
    const few = await counted();
    for (const message of ['d', 'e', 'f']) await chat(slug, { message });
    expect(await counted()).toBe(few);
  });

  it('returns 400 for an unknown workspace, and 403 without read:chat', async () => {
    const slug = await workspace({ actions: {} });
    await chat(slug, { message: 'mine' }, limited.secret);
    expect(told(await call('GET', 'no-such/chats'))).toEqual(badRequest);
    expect(told(await call('GET', `${slug}/chats`, undefined, limited.secret))).toEqual(lacking('read:chat'));
    expect(told(await call('GET', `${slug}/chats`, undefined, null))).toEqual(noKey);
  });
});

describe('threads', () => {
  it('can be created, renamed, chatted in, read and deleted', async () => {
    const slug = await workspace({ actions: {} });
    const { id } = await kit.prisma.agent.findUniqueOrThrow({ where: { slug } });
    const answer = await call('POST', `${slug}/thread/new`, { userId: 99, name: 'Plans', slug: 'My Plans' });
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        thread: {
          id: expect.any(Number),
          name: 'Plans',
          slug: 'My-Plans',
          workspace_id: id,
          user_id: null,
          createdAt: expect.any(String),
          lastUpdatedAt: expect.any(String),
        },
        message: null,
      },
    ]);
    const at = `${slug}/thread/My-Plans`;
    const renamed = await call('POST', `${at}/update`, { name: 'Better plans' });
    expect(renamed.body).toMatchObject({
      thread: { ...answer.body.thread, name: 'Better plans', lastUpdatedAt: expect.any(String) },
      message: null,
    });
    const same = await call('POST', `${at}/update`, {});
    expect(same.body).toMatchObject({ thread: { name: 'Better plans' }, message: 'No valid fields to update!' });

    const spoken = await call('POST', `${at}/chat`, { message: 'one', userId: 1 });
    expect(spoken.body).toMatchObject({
      type: 'textResponse',
      textResponse: 'You said: one',
      chatId: expect.any(Number),
    });
    const frames = framesOf(await call('POST', `${at}/stream-chat`, { message: 'two' }));
    expect(frames.at(-1)).toMatchObject({ type: 'finalizeResponseStream' });
    expect(contents(await history(`${at}/chats`))).toEqual(['one', 'You said: one', 'two', 'You said: two']);
    expect(await history(`${slug}/chats`)).toEqual([]);

    expect(told(await call('DELETE', at))).toEqual([200, 'OK', 'text/plain']);
    expect(told(await unchanged(() => call('DELETE', at)))).toEqual([200, 'OK', 'text/plain']);
    expect((await call('GET', `${at}/chats`)).status).toBe(404);
  });

  it('get a default name and slug, and reject a slug that is already taken', async () => {
    const slug = await workspace({ actions: {} });
    const { body } = await call('POST', `${slug}/thread/new`);
    expect(body.thread).toMatchObject({ name: 'Thread', slug: uuid });
    await thread(slug, { slug: 'taken' });
    const taken = await unchanged(() => call('POST', `${slug}/thread/new`, { slug: 'taken' }, stranger.secret));
    expect([taken.status, taken.body]).toEqual([200, { thread: null, message: expect.any(String) }]);
    const wrong = await unchanged(() => call('POST', `${slug}/thread/new`, { name: 'a\0b' }));
    expect([wrong.status, wrong.body]).toMatchObject([400, { thread: null, message: expect.any(String) }]);
  });

  it('are the same chat sessions as on the Onyx paths and in GraphQL', async () => {
    const slug = await workspace({ actions: {} });
    const { id: persona_id } = await kit.prisma.agent.findUniqueOrThrow({ where: { slug } });
    const onyx = (method: string, path: string, body?: unknown) =>
      kit.rest(method, `/api/chat/${path}`, { key: owner.secret, body });

    const at = await thread(slug, { name: 'From here', slug: 'from-here' });
    await call('POST', `${slug}/thread/${at}/chat`, { message: 'one' });
    const { sessions } = (await onyx('GET', 'get-user-chat-sessions')).body;
    const here = sessions.find(({ name }: { name: string }) => name === 'From here');
    expect(here).toMatchObject({ persona_id });
    const sent = { message: 'two', chat_session_id: here.id, stream: false };
    expect((await onyx('POST', 'send-chat-message', sent)).status).toBe(200);
    expect(contents(await history(`${slug}/thread/${at}/chats`))).toHaveLength(4);

    const made = (await onyx('POST', 'create-chat-session', { persona_id, description: 'From there' })).body;
    const there = made.chat_session_id;
    await onyx('POST', 'send-chat-message', { message: 'three', chat_session_id: there, stream: false });
    expect(contents(await history(`${slug}/thread/${there}/chats`))).toEqual(['three', 'You said: three']);
    await call('POST', `${slug}/thread/${there}/chat`, { message: 'four' });
    const { messages } = (await onyx('GET', `get-chat-session/${there}`)).body;
    expect(messages.map(({ message }: { message: string }) => message)).toContain('four');

    await call('POST', `${slug}/thread/${there}/update`, { name: 'Renamed here' });
    const { data } = await kit.gql(
      'query ($id: ID!) { chatSession(id: $id) { name slug } }',
      { id: there },
      owner.secret,
    );
    expect(data.chatSession).toEqual({ name: 'Renamed here', slug: there });
    await onyx('DELETE', `delete-chat-session/${here.id}`);
    expect((await call('GET', `${slug}/thread/${at}/chats`)).status).toBe(404);
  });

  it('of other users and of other workspaces return the same errors as unknown threads', async () => {
    const slug = await workspace({ actions: {} });
    const other = await workspace({ actions: {} });
    const at = await thread(slug, { slug: `private-${made}` });
    for (const [path, key] of [
      [`${slug}/thread/${at}`, stranger.secret],
      [`${slug}/thread/${at}`, limited.secret],
      [`${other}/thread/${at}`, owner.secret],
      [`${slug}/thread/no-such`, owner.secret],
      ['no-such/thread/x', owner.secret],
    ] as const) {
      const [, workspaceName, name] = /^(.*)\/thread\/(.*)$/.exec(path) ?? [];
      const unknown = workspaceName === 'no-such';
      const body = { message: 'Hello' };
      const whole = await unchanged(() => call('POST', `${path}/chat`, body, key));
      const missing = unknown ? 'Workspace no-such not found.' : `Thread ${name} not found.`;
      expect([whole.status, whole.body]).toEqual([404, abort(missing)]);
      const streamed = await unchanged(() => call('POST', `${path}/stream-chat`, body, key));
      const invalid = `Workspace ${workspaceName} or thread ${name} is not valid.`;
      expect([streamed.status, streamed.body]).toEqual([400, abort(invalid)]);
      if (key === limited.secret) continue;
      const notFound = { message: unknown ? 'Workspace not found' : 'Thread not found' };
      const read = await call('GET', `${path}/chats`, undefined, key);
      expect([read.status, read.body]).toEqual([404, notFound]);
      const renamed = await unchanged(() => call('POST', `${path}/update`, { name: 'x' }, key));
      expect([renamed.status, renamed.body]).toEqual([404, notFound]);
      const deleted = await unchanged(() => call('DELETE', path, undefined, key));
      expect(told(deleted)).toEqual(unknown ? badRequest : [200, 'OK', 'text/plain']);
    }
    expect(told(await unchanged(() => call('POST', 'no-such/thread/new', {})))).toEqual(badRequest);
    expect(contents(await history(`${slug}/thread/${at}/chats`))).toEqual([]);
  });
});

describe('a limited key', () => {
  it('chats in its chats and threads, but cannot read, rename or delete them', async () => {
    const slug = await workspace({}, { plum: 'The plum ripens in August.' });
    const key = limited.secret;
    const whole = await chat(slug, { message: 'When does the plum ripen?' }, key);
    expect(whole.body).toMatchObject({ type: 'textResponse', sources: [{ title: 'plum' }] });
    expect((await stream(slug, { message: 'And the plum?' }, key)).at(-1)).toMatchObject({
      type: 'finalizeResponseStream',
    });
    const made = await call('POST', `${slug}/thread/new`, { slug: 'limited-own' }, key);
    expect(made.body).toMatchObject({ thread: { slug: 'limited-own', user_id: null }, message: null });
    const at = `${slug}/thread/limited-own`;
    expect((await call('POST', `${at}/chat`, { message: 'Hello' }, key)).status).toBe(200);
    for (const [method, path, permission] of [
      ['GET', `${slug}/chats`, 'read:chat'],
      ['GET', `${slug}/chats?apiSessionId=x`, 'read:chat'],
      ['GET', `${at}/chats`, 'read:chat'],
      ['POST', `${at}/update`, 'manage:chat'],
      ['DELETE', at, 'manage:chat'],
    ] as const)
      expect(
        told(await unchanged(() => call(method, path, method === 'POST' ? { name: 'x' } : undefined, key))),
      ).toEqual(lacking(permission));
    const attachments = [{ name: 'dot.png', mime: 'image/png', contentString: `data:image/png;base64,${png}` }];
    for (const road of ['chat', 'stream-chat'])
      expect(
        told(await unchanged(() => call('POST', `${slug}/${road}`, { message: 'Hello', attachments }, key))),
      ).toEqual(lacking('write:projects'));
  });
});

describe('a caller that may not chat', () => {
  it('gets the same error on every path and changes no data', async () => {
    const slug = await workspace({ actions: {} });
    const at = await thread(slug);
    const reader = await kit.createKey('BASIC', { scopes: ['read:chat', 'read:agents'] });
    for (const path of ['chat', 'stream-chat', 'thread/new', `thread/${at}/chat`, `thread/${at}/stream-chat`]) {
      const call = (key: string | null) =>
        kit.rest('POST', `/api/v1/workspace/${slug}/${path}`, { key, body: { message: 'Hello' } });
      expect(told(await unchanged(() => call(reader.secret)))).toEqual(lacking('write:chat'));
      expect(told(await unchanged(() => call(null)))).toEqual(noKey);
      expect(told(await unchanged(() => call('on_nonsense')))).toEqual(noKey);
    }
  });

  it('includes a project’s token in a chat outside its project', async () => {
    const slug = await workspace({ actions: {} });
    await chat(slug, { message: 'outside' });
    const at = await thread(slug);
    const project = await kit.gql(
      'mutation { createProject(input: { name: "P" }) { project { databaseId } } }',
      {},
      owner.secret,
    );
    const projectId = project.data.createProject.project.databaseId;
    const { data } = await kit.gql(
      'mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret } }',
      { input: { projectId, name: 'p' } },
      owner.secret,
    );
    const { secret } = data.createProjectToken;
    const refused = await unchanged(() => call('POST', `${slug}/thread/${at}/chat`, { message: 'x' }, secret));
    expect(refused.status).toBe(404);
    await chat(slug, { message: 'inside' }, secret);
    expect(asked()).not.toContain('outside');
    expect(contents(await history(`${slug}/chats`, secret))).toEqual(['inside', 'You said: inside']);
    expect(contents(await history(`${slug}/chats`))).toEqual(['outside', 'You said: outside']);
    expect(await kit.prisma.chatSession.count({ where: { projectId, clientKey: '' } })).toBe(1);
  });
});
