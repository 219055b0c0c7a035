import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Kit, startKit } from '../kit.ts';

/** Attacks through links, widgets, embeddings and the gateway that once succeeded. */
let kit: Kit;
/** A raw web server with a response for each path. */
const said: Record<string, string> = {
  '/upgrade': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n',
  '/bare-upgrade': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  '/page': 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>A page as pages are.</p>',
};
let web: Server;
let webAt: string;
/** An embedding provider with a response for each number of texts. */
let provider: HttpServer;
let embeddings: (texts: number) => number[][];
const usual = (texts: number) => Array.from({ length: texts }, () => [0.6, 0.8]);

const listening = (server: Server | HttpServer): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );

beforeAll(async () => {
  web = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (request) => {
      const path = request.toString('latin1').split(' ')[1] ?? '';
      const answer = said[path] ?? '';
      if (path === '/page') socket.end(answer);
      else socket.write(answer);
    });
  });
  provider = createHttpServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const texts = [JSON.parse(text).input].flat().length;
      const data = embeddings(texts).map((embedding, index) => ({ object: 'embedding', index, embedding }));
      const usage = { prompt_tokens: 1, total_tokens: 1 };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ object: 'list', data, usage }));
    });
  });
  embeddings = usual;
  webAt = await listening(web);
  kit = await startKit({
    scripted: true,
    environment: {
      LINK_ALLOWED_HOSTS: webAt,
      EMBEDDING_MODEL: 'numbers',
      EMBEDDING_BASE_URL: `http://${await listening(provider)}/v1`,
      IMAGE_MODEL: 'painter',
    },
  });
});
afterAll(async () => {
  await kit?.close();
  web.close();
  provider.closeAllConnections();
  provider.close();
});

async function unchanged<T>(call: () => Promise<T>): Promise<T> {
  // Waits until earlier documents are embedded.
  await kit.booted.background.settled();
  const before = await kit.fingerprint();
  const answer = await call();
  expect(await kit.fingerprint()).toBe(before);
  return answer;
}

describe('links to web pages', () => {
  const add = (link: string) => kit.rest('POST', '/api/v1/document/upload-link', { body: { link } });

  test('a page that switches protocols is rejected and stores no document', async () => {
    for (const path of ['/upgrade', '/bare-upgrade']) {
      const { status, body } = await unchanged(() => add(`http://${webAt}${path}`));
      expect([status, body.error]).toEqual([
        422,
        `No URL content found at http://${webAt}${path}. The page responds with HTTP 101.`,
      ]);
    }
    expect((await add(`http://${webAt}/page`)).body.documents[0].pageContent).toBe('A page as pages are.');
  });

  test.each([
    ...['168.63.129.16', '169.254.169.254', '100.100.100.200', '[fd00:ec2::254]', '[64:ff9b::a9fe:a9fe]'],
    ...['0', 'localhost', '[::1]', '[::ffff:7f00:1]', '①⑥⑨.254.169.254', '0xa9fea9fe', '2852039166'],
  ])('http://%s/ is rejected because its address is not public', async (host) => {
    const { status, body } = await unchanged(() => add(`http://${host}/`));
    expect(status).toBe(422);
    expect(body.error).toMatch(/The page has an address that is not public\.$/);
  });
});

describe('bodies from anonymous clients', () => {
  const megabyte = 1024 * 1024;
  const form = (size: number): FormData => {
    const made = new FormData();
    made.append('message', 'x'.repeat(size));
    return made;
  };
  const told = { error: `The body is larger than ${megabyte} bytes.` };
  const text = { 'content-type': 'text/plain' };

  test('are limited to 1 MiB, in any format and for any spelling of the path', async () => {
    const stream = `/api/embed/${randomUUID()}/stream-chat`;
    for (const path of [stream, stream.toUpperCase(), `${stream}/`, '/api/request-token']) {
      for (const body of [form(megabyte), 'x'.repeat(megabyte + 1)]) {
        const headers = typeof body === 'string' ? text : {};
        const answer = await unchanged(() => kit.rest('POST', path, { key: null, body, headers }));
        expect([answer.status, answer.body]).toEqual([413, told]);
      }
    }
    const login = JSON.stringify({ username: 'x'.repeat(megabyte) });
    expect((await unchanged(() => kit.rest('POST', '/api/auth/login', { key: null, body: login }))).status).toBe(413);
    const body = JSON.stringify({ message: 'x'.repeat(megabyte - 100) });
    expect((await unchanged(() => kit.rest('POST', stream, { key: null, body, headers: text }))).status).toBe(404);
  });

  test('are counted when their length is not announced', async () => {
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)),
    });
    const init = { method: 'POST', body: endless, duplex: 'half', headers: text };
    const answer = await unchanged(() =>
      fetch(`${kit.url}/api/embed/${randomUUID()}/stream-chat`, init as RequestInit),
    );
    expect([answer.status, await answer.json()]).toEqual([413, told]);
  });

  test('have a lower limit than bodies from callers with a key', async () => {
    const files = new FormData();
    files.append('file', new Blob(['word '.repeat(megabyte / 4)]), 'long.txt');
    const answer = await kit.rest('POST', '/api/v1/document/upload', { body: files });
    expect([answer.status, answer.body.documents[0].wordCount]).toEqual([200, megabyte / 4]);
  });
});

describe('a widget that moves to another agent', () => {
  const contents = ({ body }: Answer): string[] => body.history.map(({ content }: { content: string }) => content);

  test('shows its visitor only the chat with the new agent, and deletes all chats of the visitor', async () => {
    const workspace = await kit.rest('POST', '/api/v1/workspace/new', { body: { name: 'The next one' } });
    const made = await kit.rest('POST', '/api/v1/embed/new', {
      body: { workspace_slug: 'default', chat_mode: 'chat' },
    });
    const { uuid, id } = made.body.embed;
    const chat = `/api/embed/${uuid}/${randomUUID()}`;
    const sessionId = chat.split('/').at(-1);
    const say = (message: string) =>
      kit.rest('POST', `/api/embed/${uuid}/stream-chat`, { key: null, body: { sessionId, message } });
    const history = async () => contents(await kit.rest('GET', chat, { key: null }));

    await say('first');
    await kit.rest('POST', `/api/v1/embed/${uuid}`, { body: { workspace_id: workspace.body.workspace.id } });
    expect(await history()).toEqual([]);
    await say('second');
    expect(await history()).toEqual(['second', 'You said: second']);

    expect((await kit.rest('DELETE', chat, { key: null })).text).toBe('OK');
    const left = { user: { embed: { id } }, deletedAt: null };
    expect(await kit.prisma.chatSession.count({ where: left })).toBe(0);
  });
});

describe('embeddings', () => {
  const search = (query: string) => kit.gql('query ($query: String!) { search(query: $query) { text } }', { query });

  test('break neither a search nor a document when their numbers are too small for the database', async () => {
    await kit.booted.background.settled();
    embeddings = (texts) => Array.from({ length: texts }, () => [1e-60, 1]);
    await kit.ingest('Small numbers', 'Atoms are rather small.', { id: 'small' });
    await kit.booted.background.settled();
    const { data, errors } = await search('minuscule');
    embeddings = usual;
    expect(errors).toEqual([]);
    expect(data.search).toContainEqual({ text: 'Atoms are rather small.' });
  });

  test('are rejected with 502 when the provider returns fewer than requested', async () => {
    embeddings = (texts) => usual(texts).slice(1);
    const body = { input: ['one', 'two'] };
    const short = await unchanged(() => kit.rest('POST', '/api/v1/openai/embeddings', { body }));
    embeddings = usual;
    expect([short.status, short.body.error.code]).toEqual([502, 'upstream_error']);
    expect((await kit.rest('POST', '/api/v1/openai/embeddings', { body })).body.data).toHaveLength(2);
  });
});

describe('the model gateway', () => {
  const completion =
    'createChatCompletion(input: { model: "default", messages: [{ role: USER, content: [{ text: "x" }] }] }) { model }';
  const embedding = 'createEmbeddings(input: { texts: ["x"] }) { model }';
  const image = 'createImage(input: { prompt: "x" }) { mediaType }';

  test.each([completion, embedding, image])('allows one operation in a GraphQL document: %s', async (field) => {
    const asked = kit.model.requests.length;
    for (const other of [field, completion, embedding, image]) {
      const { status, errors } = await unchanged(() => kit.gql(`mutation { a: ${field} b: ${other} }`));
      expect([status, errors[0]?.extensions]).toEqual([
        400,
        { code: 'BAD_USER_INPUT', reason: 'OPERATION_LIMIT', limit: 'repeats' },
      ]);
    }
    expect(kit.model.requests.length).toBe(asked);
    expect((await kit.gql(`mutation { ${field} }`)).errors).toEqual([]);
  });

  const ask = (tools: object[], more: object = {}) =>
    kit.rest('POST', '/api/v1/openai/chat/completions', {
      body: { model: 'default', messages: [{ role: 'user', content: 'Hello' }], tools, ...more },
    });
  const tool = (name: string, length: number) => ({
    type: 'function',
    function: { name, description: 'd'.repeat(length) },
  });

  test('rejects tools and response formats that exceed the model’s context window', async () => {
    const asked = kit.model.requests.length;
    const many = Array.from({ length: 128 }, (_, index) => tool(`tool_${index}`, 10_000));
    const schema = { type: 'object', description: 'd'.repeat(200_000) };
    const format = { response_format: { type: 'json_schema', json_schema: { name: 'long', schema } } };
    for (const refused of [() => ask(many), () => ask([], format)]) {
      const answer = await unchanged(refused);
      expect([answer.status, answer.body.error.param]).toEqual([400, 'messages']);
    }
    expect(kit.model.requests.length).toBe(asked);
    expect((await ask([tool('short', 10)])).status).toBe(200);
  });

  test('counts the tokens of tools when the provider reports no usage', async () => {
    const uncounted = { text: 'Fine.', usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } };
    kit.model.script(uncounted, uncounted);
    const tokens = async (tools: object[]): Promise<number> => (await ask(tools)).body.usage.prompt_tokens;
    const without = await tokens([]);
    expect(without).toBeGreaterThan(0);
    expect((await tokens([tool('long', 20_000)])) - without).toBeGreaterThanOrEqual(5000);
  });
});
