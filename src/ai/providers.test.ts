import { type AddressInfo, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { APICallError } from '@ai-sdk/provider';
import { generateText, jsonSchema, streamText, tool } from 'ai';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ModelServer, makeGate, startModelServer } from '../../test/model-server.ts';
import { embeddingModel } from './embeddings.ts';
import { imageModel } from './images.ts';
import { renderPassages } from './passages.ts';
import { chatModel, type ModelSettings } from './providers.ts';

const apiKey = 'upstream-key-4711';
let server: ModelServer;
let settings: ModelSettings;

beforeEach(async () => {
  server = await startModelServer();
  settings = { provider: 'openai-compatible', baseUrl: server.baseUrl, apiKey, model: 'small' };
});
afterEach(() => server.close());

/** Starts a stream whose errors are collected instead of written to the console. */
function start(prompt: string, options: { abortSignal?: AbortSignal } = {}) {
  const errors: unknown[] = [];
  const { model } = chatModel(settings);
  const result = streamText({
    model,
    prompt,
    maxRetries: 0,
    onError: ({ error }) => void errors.push(error),
    ...options,
  });
  return { result, errors };
}

async function failure(run: PromiseLike<unknown>): Promise<unknown> {
  try {
    await run;
  } catch (error) {
    return error;
  }
  throw new Error('expected a failure');
}

describe('an OpenAI-compatible model', () => {
  it('streams text deltas, reasoning and token usage', async () => {
    server.script({
      text: ['Hel', 'lo'],
      reasoning: 'A greeting.',
      usage: { prompt_tokens: 7, completion_tokens: 2 },
    });
    const { result } = start('Hi');
    expect(await Readable.from(result.textStream).toArray()).toEqual(['Hel', 'lo']);
    expect(await result.reasoningText).toBe('A greeting.');
    expect(await result.usage).toMatchObject({ inputTokens: 7, outputTokens: 2, totalTokens: 9 });
    expect(server.requests[0]).toMatchObject({
      path: '/chat/completions',
      headers: { authorization: `Bearer ${apiKey}` },
      body: { model: 'small', stream: true, stream_options: { include_usage: true } },
    });
  });

  it('generates a whole answer with another model of the same provider and without an API key', async () => {
    const { model, ...rest } = chatModel({ ...settings, apiKey: undefined }, { modelId: 'large' });
    expect(rest).toEqual({ provider: 'openai-compatible', modelId: 'large', contextWindow: 32_768, sees: false });
    const prompt = `${renderPassages([{ number: 1, title: 't', link: null, text: 'x' }])}\n\nHi there`;
    expect((await generateText({ model, prompt })).text).toBe('You said: Hi there');
    expect(server.requests[0]?.body.model).toBe('large');
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('passes on tool calls', async () => {
    server.script({ toolCalls: [{ name: 'weather', arguments: { city: 'Oslo' } }] }, { text: 'Rain.' });
    const weather = tool({ inputSchema: jsonSchema<{ city: string }>({ type: 'object' }) });
    const streamed = streamText({ model: chatModel(settings).model, prompt: 'Weather?', tools: { weather } });
    expect(await streamed.toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Oslo' } }]);
    expect(await streamed.finishReason).toBe('tool-calls');
  });

  it('fails with the status and message of an HTTP error', async () => {
    server.script({ status: 500, body: { error: { message: 'out of memory' } } });
    const { result, errors } = start('Hi');
    await result.consumeStream();
    const [error] = errors;
    expect(APICallError.isInstance(error) && [error.statusCode, error.message]).toEqual([500, 'out of memory']);
  });

  it('fails after the received text when the server closes the connection in the middle', async () => {
    const gate = makeGate();
    server.script({ text: ['one ', 'two ', 'three'], breakAfter: 2, gate });
    const { result } = start('Count');
    const texts: string[] = [];
    const reading = (async () => {
      for await (const text of result.textStream) {
        texts.push(text);
        gate.release();
      }
    })();
    gate.release();
    expect(await failure(reading)).toSatisfy((error) => APICallError.isInstance(error) && !error.isRetryable);
    expect(texts).toEqual(['one ', 'two ']);
    expect(server.aborted).toBe(0);
  });

  it('aborts the upstream request when the call is aborted in the middle of the stream', async () => {
    const gate = makeGate();
    server.script({ text: ['one', 'two'], gate });
    const abort = new AbortController();
    const { result } = start('Count', { abortSignal: abort.signal });
    const ended = server.nextAbort();
    gate.release();
    const parts: string[] = [];
    for await (const part of result.fullStream) {
      parts.push(part.type);
      if (part.type === 'text-delta') abort.abort();
    }
    await ended;
    expect(server.aborted).toBe(1);
    expect(parts.at(-1)).toBe('abort');
  });

  it('aborts the upstream request when the call is aborted before the first byte', async () => {
    server.script({ hang: true });
    const abort = new AbortController();
    const ended = server.nextAbort();
    const { result } = start('Hi', { abortSignal: abort.signal });
    const reading = result.consumeStream();
    await expect.poll(() => server.requests.length).toBe(1);
    abort.abort();
    await ended;
    await reading;
    expect(server.aborted).toBe(1);
  });
});

describe('a provider that closes the connection early', () => {
  /** Answers every request with the same bytes and closes the connection. */
  async function breaking(reply: string, prove: (baseUrl: string) => Promise<void>): Promise<number> {
    let requests = 0;
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          requests += 1;
          socket.end(reply);
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await prove(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    server.close();
    return requests;
  }
  const event = (content: string) => {
    const data = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
    return `${data.length.toString(16)}\r\n${data}\r\n`;
  };
  const cut = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"data":[';

  it('is not called again when headers, text and end of the connection arrive together', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    const texts: string[] = [];
    const requests = await breaking(`${head}${event('one ')}${event('two ')}`, async (baseUrl) => {
      const { model } = chatModel({ ...settings, baseUrl });
      const { textStream } = streamText({ model, prompt: 'Count', maxRetries: 2, onError: () => {} });
      const reading = (async () => {
        for await (const text of textStream) texts.push(text);
      })();
      expect(await failure(reading)).toSatisfy(APICallError.isInstance);
    });
    expect([texts, requests]).toEqual([['one ', 'two '], 1]);
  });

  it('is not called again after a truncated JSON reply', async () => {
    const embedding = (baseUrl: string) => embeddingModel({ baseUrl, apiKey, model: 'small' })?.embed(['text']);
    const image = (baseUrl: string) =>
      imageModel({ baseUrl, apiKey: undefined, model: 'small' })?.draw({ prompt: 'A cat', size: null, images: [] });
    for (const call of [embedding, image]) {
      const requests = await breaking(cut, async (baseUrl) => {
        expect(await failure(Promise.resolve(call(baseUrl)))).toMatchObject({
          code: 'UPSTREAM_FAILED',
          message: expect.stringContaining('connection'),
        });
      });
      expect(requests).toBe(1);
    }
  });
});

describe('the API key of a model', () => {
  const message = `Incorrect API key provided: ${apiKey}`;

  it('appears in no error, even if the server repeats it', async () => {
    server.script({ status: 401, body: { error: { message } } }, { status: 418, body: message });
    const { model } = chatModel(settings);
    for (const status of [401, 418]) {
      const error = await failure(generateText({ model, prompt: 'Hi', maxRetries: 0 }));
      expect(error).toMatchObject({ statusCode: status, responseBody: expect.stringContaining('[redacted]') });
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain(apiKey);
    }
  });

  it('is redacted in stream errors after a successful start and in errors about an unreadable reply', async () => {
    const frames = [
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'a' } }] })}\n\n`,
      `data: ${JSON.stringify({ error: { message } })}\n\n`,
      `data: {"broken ${apiKey}\n\n`,
    ];
    const fetching = vi
      .spyOn(globalThis, 'fetch')
      .mockImplementation(
        async () => new Response(frames.join(''), { headers: { 'content-type': 'text/event-stream' } }),
      );
    const { result, errors } = start('Hi');
    await result.consumeStream();
    fetching.mockImplementation(async () => Response.json({ unreadable: message }));
    errors.push(await failure(generateText({ model: chatModel(settings).model, prompt: 'Hi', maxRetries: 0 })));
    fetching.mockRestore();
    expect(errors).toHaveLength(3);
    for (const error of errors) {
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain(apiKey);
      expect(inspect(error, { depth: null, showHidden: true })).toContain('[redacted]');
    }
  });

  it('is not redacted in answers', async () => {
    server.script({ text: ['a', `b ${apiKey} c ${apiKey.slice(0, 4)}`, 'd'] });
    expect(await start('Hi').result.text).toBe(`ab ${apiKey} c ${apiKey.slice(0, 4)}d`);
  });

  it.each(['1', 'ollama', '{', '"', 'null', 'choices'])(
    'is not redacted from answers and errors when it is the placeholder %j',
    async (key) => {
      settings = { ...settings, apiKey: key };
      const text = `Run ollama with 1 or 11 choices: {"key": "${key}", "none": null}.`;
      server.script({ text: [...text] }, { text }, { status: 404, body: { error: { message: `${key} is unknown` } } });
      expect(await start('Hi').result.text).toBe(text);
      const { model } = chatModel(settings);
      expect((await generateText({ model, prompt: 'Hi' })).text).toBe(text);
      expect(server.requests.at(-1)?.headers.authorization).toBe(`Bearer ${key}`);
      const error = await failure(generateText({ model, prompt: 'Hi', maxRetries: 0 }));
      expect(error).toMatchObject({ statusCode: 404, message: `${key} is unknown` });
    },
  );

  it('is rejected without being repeated in the error when it cannot be sent in a header', () => {
    for (const key of ['line\nbreak-4711', 'ключ-4711', 'two words-4711'])
      expect(() => chatModel({ ...settings, apiKey: key })).toThrow(/^LLM_API_KEY (?!.*4711)/);
  });
});

describe('the settings of a model', () => {
  it('are validated before the first call', () => {
    expect(() => chatModel({ ...settings, model: undefined })).toThrow('LLM_MODEL');
    expect(() => chatModel({ ...settings, baseUrl: undefined })).toThrow('LLM_BASE_URL');
    expect(() => chatModel({ ...settings, baseUrl: 'nonsense' })).toThrow('LLM_BASE_URL');
    expect(() => chatModel({ ...settings, baseUrl: 'http://me:s3cret@127.0.0.1/v1' })).toThrow(
      /LLM_BASE_URL (?!.*s3cret)/,
    );
  });

  it('select the built-in model, which ignores a requested model ID', () => {
    expect(chatModel({ provider: 'embedded' }, { modelId: 'gpt' })).toMatchObject({
      provider: 'embedded',
      modelId: 'embedded-quotes',
      contextWindow: 32_768,
    });
  });
});
