import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { withoutPassages } from '../src/ai/passages.ts';
import { estimateTokens } from '../src/ai/tokens.ts';

/** Tokens in OpenAI's format. */
interface ModelUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface TextReply {
  /** The deltas; a single string is split into words. */
  text: string | string[];
  /** Sent before the text, as `reasoning_content`; a list contains the deltas. */
  reasoning?: string | string[];
  /** Also sent before the text, in OpenAI's field for refusals; split into words unless it is a list. */
  refusal?: string | string[];
  /** Estimated when absent. */
  usage?: Partial<ModelUsage>;
  /** The model name in the response; defaults to the requested one. */
  model?: string;
  /** Closes the socket after this number of deltas; with a gate, the close waits like a delta. */
  breakAfter?: number;
  /** Holds each delta until it is released. */
  gate?: Gate;
  /** An event that is sent after the text instead of the end of the stream. */
  error?: object;
  /** Defaults to `stop`. */
  finishReason?: string;
}

export interface ToolCallsReply {
  /** Text before the calls, in one delta. */
  before?: string;
  /** Holds the end of a stream, after the calls, until it is released. */
  gate?: Gate;
  /** Arguments given as a string are sent unchanged. */
  toolCalls: { id?: string; name: string; arguments: Record<string, unknown> | string }[];
  usage?: Partial<ModelUsage>;
}

/** An HTTP error. */
interface ErrorReply {
  status: number;
  body?: unknown;
  /** `retry-after-ms` makes a client retry immediately. */
  headers?: Record<string, string>;
}

/** Accepts the request and sends no bytes, not even headers. */
interface HangReply {
  hang: true;
}

export type Reply = TextReply | ToolCallsReply | ErrorReply | HangReply;

interface RequestMessage {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
  [field: string]: unknown;
}

interface ModelRequest {
  /** Without the base URL: `/chat/completions`. */
  path: string;
  headers: IncomingHttpHeaders;
  body: {
    model?: string;
    stream?: boolean;
    stream_options?: { include_usage?: boolean };
    messages?: RequestMessage[];
    tools?: { type: string; function: { name: string; description?: string; parameters?: unknown } }[];
    input?: string | string[];
    [field: string]: unknown;
  };
}

export interface ModelServer {
  /** `http://127.0.0.1:<port>/v1` */
  baseUrl: string;
  /** All requests so far, oldest first. */
  requests: ModelRequest[];
  /**
   * Queues replies to chat completions. The default reply is "You said: <last user text>". Image requests use errors
   * from the same queue.
   */
  script(...replies: Reply[]): void;
  /** Synonyms: a text is embedded with the first word of each group. */
  readonly synonyms: Map<string, string>;
  /** Makes every embedding fail with this status; null lets embeddings succeed. */
  embeddingFailure: number | null;
  /** Number of connections that the client closed before the end of the reply. */
  readonly aborted: number;
  /** Resolves on the next abort after this call. */
  nextAbort(): Promise<void>;
  /** Also closes open connections, which do not count as aborted. */
  close(): Promise<void>;
}

/** Holds a reply between its deltas. Use one gate per reply. */
export interface Gate {
  /** Releases one more delta. */
  release(): void;
  /** Releases all deltas. */
  open(): void;
  /** Resolves when this number of deltas has been written. */
  reached(deltas: number): Promise<void>;
  /** For the server: resolves when the next delta can be sent. */
  pass(): Promise<void>;
  /** For the server: a delta was written. */
  wrote(): void;
}

export function makeGate(): Gate {
  let allowed = 0;
  let passed = 0;
  let written = 0;
  let waiting: { when: () => boolean; resolve: () => void }[] = [];
  const until = (when: () => boolean) =>
    new Promise<void>((resolve) => {
      waiting.push({ when, resolve });
      wake();
    });
  const wake = () => {
    const ready = waiting.filter(({ when }) => when());
    waiting = waiting.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  };
  return {
    release() {
      allowed += 1;
      wake();
    },
    open() {
      allowed = Infinity;
      wake();
    },
    reached: (deltas) => until(() => written >= deltas),
    async pass() {
      await until(() => allowed > passed);
      passed += 1;
    },
    wrote() {
      written += 1;
      wake();
    },
  };
}

function textOf(message: RequestMessage): string {
  if (typeof message.content === 'string') return message.content;
  return (message.content ?? []).map((part) => part.text ?? '').join('\n\n');
}

/** The content of every generated image: one white pixel, a PNG in base64. */
export const drawnImage =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=';

/** Dimensions of an embedding. */
const DIMENSIONS = 2048;

/** Returns a unit vector from the hashes of a text's words: texts with common words are similar. */
function embed(text: string, synonyms: ReadonlyMap<string, string>): number[] {
  const vector = new Array<number>(DIMENSIONS).fill(0);
  for (const written of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['']) {
    const word = synonyms.get(written) ?? written;
    const dimension = createHash('sha256').update(word).digest().readUInt16BE() % DIMENSIONS;
    vector[dimension] = (vector[dimension] ?? 0) + 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

const isText = (reply: Reply): reply is TextReply => 'text' in reply;

const deltasOf = ({ text }: TextReply) => (typeof text === 'string' ? (text.match(/\s*\S+\s*?/g) ?? []) : text);

/** Returns tool calls in OpenAI's format. */
const toolCallsOf = ({ toolCalls }: ToolCallsReply) =>
  toolCalls.map(({ id, name, arguments: input }, index) => ({
    id: id ?? `call_${index + 1}`,
    type: 'function',
    function: { name, arguments: typeof input === 'string' ? input : JSON.stringify(input) },
  }));

function usageOf(reply: TextReply | ToolCallsReply, messages: RequestMessage[]): ModelUsage {
  const answer = isText(reply) ? deltasOf(reply).join('') : JSON.stringify(reply.toolCalls);
  const prompt_tokens = reply.usage?.prompt_tokens ?? estimateTokens(messages.map(textOf).join('\n'));
  const completion_tokens = reply.usage?.completion_tokens ?? estimateTokens(answer);
  return { total_tokens: prompt_tokens + completion_tokens, ...reply.usage, prompt_tokens, completion_tokens };
}

/** Responses that the script closed, not the client. */
const brokenOff = new WeakSet<ServerResponse>();

/** Waits until the next delta can be sent. Returns false when the connection was closed by the client or the script. */
async function pace(
  response: ServerResponse,
  reply: TextReply,
  write: (delta: string) => Promise<void>,
): Promise<boolean> {
  const closed = new Promise<void>((resolve) => response.once('close', resolve));
  const passed = () => Promise.race([reply.gate?.pass(), closed]);
  let sent = Promise.resolve();
  for (const delta of deltasOf(reply).slice(0, reply.breakAfter)) {
    await passed();
    if (response.destroyed) return false;
    sent = write(delta);
    reply.gate?.wrote();
  }
  if (reply.breakAfter === undefined) return true;
  await passed();
  // Node 24 buffers headers and deltas until the next tick; the socket would be closed without them.
  await Promise.race([sent, closed]);
  if (!response.destroyed) brokenOff.add(response);
  // Written data is still delivered.
  response.socket?.destroySoon();
  return false;
}

const sendJson = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

async function complete(response: ServerResponse, body: ModelRequest['body'], reply: TextReply | ToolCallsReply) {
  const model = (isText(reply) ? reply.model : undefined) ?? body.model ?? 'test-model';
  const common = { id: 'chatcmpl-1', created: 1_700_000_000, model };
  const usage = usageOf(reply, body.messages ?? []);
  const finish_reason = isText(reply) ? (reply.finishReason ?? 'stop') : 'tool_calls';

  if (!body.stream) {
    const message = isText(reply)
      ? { content: deltasOf(reply).join(''), reasoning_content: reply.reasoning && [reply.reasoning].flat().join('') }
      : { content: null, tool_calls: toolCallsOf(reply) };
    if (isText(reply) && !(await pace(response, reply, async () => {}))) return;
    const choices = [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }];
    sendJson(response, 200, { ...common, object: 'chat.completion', choices, usage });
    return;
  }

  const send = (frame: object) =>
    new Promise<void>((resolve) => {
      const event = `data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', ...frame })}\n\n`;
      response.write(event, () => resolve());
    });
  const sendDelta = (delta: object, reason: string | null = null) =>
    send({ choices: [{ index: 0, delta, finish_reason: reason }] });
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  void sendDelta({ role: 'assistant', content: '' });
  if (isText(reply)) {
    for (const reasoning_content of [reply.reasoning ?? []].flat()) void sendDelta({ reasoning_content });
    for (const refusal of typeof reply.refusal === 'string'
      ? (reply.refusal.match(/\s*\S+/g) ?? [])
      : (reply.refusal ?? []))
      void sendDelta({ refusal });
    if (!(await pace(response, reply, (content) => sendDelta({ content })))) return;
    if (reply.error) {
      response.end(`data: ${JSON.stringify(reply.error)}\n\n`);
      return;
    }
  } else {
    if (reply.before) void sendDelta({ content: reply.before });
    for (const [index, call] of toolCallsOf(reply).entries()) {
      const { name, arguments: input } = call.function;
      void sendDelta({ tool_calls: [{ index, ...call, function: { name, arguments: '' } }] });
      void sendDelta({ tool_calls: [{ index, function: { arguments: input } }] });
    }
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    await Promise.race([reply.gate?.pass(), closed]);
    if (response.destroyed) return;
  }
  void sendDelta({}, finish_reason);
  if (body.stream_options?.include_usage) void send({ choices: [], usage });
  response.end('data: [DONE]\n\n');
}

async function readBody(request: IncomingMessage): Promise<ModelRequest['body']> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  if (request.headers['content-type']?.startsWith('multipart/')) return { form: text };
  return text === '' ? {} : JSON.parse(text);
}

/** Starts an OpenAI-compatible model server with scripted replies on a free port. */
export async function startModelServer(): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  const queue: Reply[] = [];
  let aborted = 0;
  let abortWaiters: (() => void)[] = [];
  let closing = false;

  function countAbort() {
    aborted += 1;
    for (const resolve of abortWaiters) resolve();
    abortWaiters = [];
  }

  function nextReply(messages: RequestMessage[]): Reply {
    const asked = messages.findLast(({ role }) => role === 'user');
    return queue.shift() ?? { text: `You said: ${asked ? withoutPassages(textOf(asked)) : ''}` };
  }

  async function chat(response: ServerResponse, body: ModelRequest['body']) {
    const reply = nextReply(body.messages ?? []);
    response.once('close', () => {
      if (!response.writableFinished && !brokenOff.has(response) && !closing) countAbort();
    });
    if ('hang' in reply) return;
    if ('status' in reply)
      sendJson(response, reply.status, reply.body ?? { error: { message: 'scripted failure' } }, reply.headers);
    else await complete(response, body, reply);
  }

  const synonyms = new Map<string, string>();

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const body = await readBody(request);
    const path = (request.url ?? '').replace(/^\/v1/, '');
    requests.push({ path, headers: request.headers, body });
    if (path === '/chat/completions') await chat(response, body);
    else if (path === '/models')
      sendJson(response, 200, { object: 'list', data: [{ id: 'test-model', object: 'model' }] });
    else if (path === '/embeddings' && model.embeddingFailure !== null)
      sendJson(response, model.embeddingFailure, { error: { message: 'scripted failure' } });
    else if (path === '/embeddings') {
      const data = [body.input ?? []]
        .flat()
        .map((text, index) => ({ object: 'embedding', index, embedding: embed(text, synonyms) }));
      sendJson(response, 200, {
        object: 'list',
        model: body.model,
        data,
        usage: { prompt_tokens: 1, total_tokens: 1 },
      });
    } else if (path.startsWith('/images/')) {
      const reply = queue.shift();
      if (reply && 'status' in reply) sendJson(response, reply.status, reply.body ?? {}, reply.headers);
      else sendJson(response, 200, { created: 1_700_000_000, data: [{ b64_json: drawnImage }] });
    } else sendJson(response, 404, { error: { message: `no such path: ${path}` } });
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const model: ModelServer = {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    synonyms,
    embeddingFailure: null,
    script: (...replies) => void queue.push(...replies),
    get aborted() {
      return aborted;
    },
    nextAbort: () => new Promise<void>((resolve) => abortWaiters.push(resolve)),
    close() {
      closing = true;
      return new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      });
    },
  };
  return model;
}
