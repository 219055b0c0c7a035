import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { makeGate } from '../../../test/model-server.ts';
import {
  client,
  clientOf,
  kit,
  path,
  refusal,
  slug,
  thrown,
  unchanged,
  useOpenAIKit,
  user,
  weather,
} from './openai-fixtures.ts';

useOpenAIKit();

describe('chat completions', () => {
  test('stop the model when the client disconnects', async () => {
    const gate = makeGate();
    kit.model.script({ text: 'one two three four', gate });
    const aborted = kit.model.nextAbort();
    gate.release();
    const stream = await client().chat.completions.create({ model: slug, messages: [user('Count')], stream: true });
    for await (const chunk of stream) {
      expect(chunk.choices[0]?.delta.content).toContain('one');
      break;
    }
    await aborted;

    const silent = makeGate();
    kit.model.script({ text: 'one two', gate: silent });
    const gone = kit.model.nextAbort();
    const controller = new AbortController();
    const waiting = client()
      .chat.completions.create({ model: slug, messages: [user('Count')] }, { signal: controller.signal })
      .catch((error: unknown) => error);
    silent.release();
    await silent.reached(1);
    controller.abort();
    await gone;
    expect(await waiting).toBeInstanceOf(OpenAI.APIUserAbortError);
  });

  test('end when their credential is revoked', async () => {
    const { secret, id } = await kit.createKey('BASIC');
    const gate = makeGate();
    kit.model.script({ text: 'one two three', gate });
    const aborted = kit.model.nextAbort();
    gate.release();
    const stream = await clientOf(secret).chat.completions.create({
      model: slug,
      messages: [user('Count')],
      stream: true,
    });
    const parts = stream[Symbol.asyncIterator]();
    expect((await parts.next()).value?.choices[0]?.delta.content).toContain('one');
    await kit.gql(`mutation { deleteApiKey(input: { id: ${id} }) { deletedApiKeyId } }`);
    await aborted;
    const error: any = await (async () => {
      for (;;) if ((await parts.next()).done) return null;
    })().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error.code).toBe('invalid_api_key');
  });

  test('report a failing provider with a status before the first text, and in the stream after it', async () => {
    const fail = {
      status: 500,
      headers: { 'retry-after-ms': '1' },
      body: { error: { message: 'secret sk-upstream' } },
    };
    const request = { model: slug, messages: [user('Hello')] };
    for (const stream of [true, false]) {
      kit.model.script(fail, fail, fail);
      const error = await refusal(() => client().chat.completions.create({ ...request, stream }));
      expect(error).toBeInstanceOf(OpenAI.InternalServerError);
      expect(error).toMatchObject({ status: 502, type: 'server_error', code: 'upstream_error' });
      expect(error.message).not.toContain('secret');
    }
    const busy = { ...fail, status: 429 };
    kit.model.script(busy, busy, busy);
    expect(await refusal(() => client().chat.completions.create(request))).toBeInstanceOf(OpenAI.RateLimitError);

    kit.model.script({ text: 'one two three', breakAfter: 2 });
    const stream = await client().chat.completions.create({ ...request, stream: true });
    let text = '';
    const error: any = await (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    })().catch((error: unknown) => error);
    expect(text).toContain('one');
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ type: 'server_error', code: 'upstream_error' });

    kit.model.script({ text: 'one two three', breakAfter: 2 });
    const raw = await kit.rest('POST', `${path}/chat/completions`, {
      key: kit.keys.BASIC,
      body: { ...request, stream: true },
    });
    const last = raw.text.split('\n\n').filter(Boolean).at(-1) ?? '';
    expect(JSON.parse(last.slice('data: '.length))).toMatchObject({ error: { code: 'upstream_error' } });
  });

  const callsOfModel = () => kit.model.requests.filter((request) => request.path === '/chat/completions').length;

  /** Creates an OpenAI client with the default settings, which retry temporary errors twice. */
  const retrying = () => new OpenAI({ apiKey: kit.keys.BASIC, baseURL: `${kit.url}${path}` });

  describe.each([true, false])('whose provider rejects the request, streamed: %s,', (stream) => {
    const request = () => ({ model: slug, messages: [user('Hello')], stream });

    test.each([
      ['context_length_exceeded', 400, { message: 'Too long.', code: 'context_length_exceeded', param: 'messages' }],
      ['content_filter', 400, { message: 'Filtered.', code: 'content_filter' }],
      ['unsupported_value', 400, { message: 'No such value.', code: 'unsupported_value', param: 'temperature' }],
      [null, 422, { message: 'No.' }],
    ])('return 400 with the code %s, and are not sent again', async (code, status, written) => {
      const asked = callsOfModel();
      kit.model.script({ status, body: { error: written } });
      const error = await refusal(() => retrying().chat.completions.create(request()));
      expect(error).toBeInstanceOf(OpenAI.BadRequestError);
      const param = 'param' in written ? written.param : null;
      expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', code, param });
      expect(error.message).toContain(written.message);
      expect(callsOfModel() - asked).toBe(1);
    });

    test.each([
      [401, 'upstream_error', { message: 'Incorrect API key.', code: 'invalid_api_key' }],
      [403, 'upstream_error', { message: 'No access.' }],
      [404, 'upstream_error', { message: 'No such model.', code: 'model_not_found' }],
      [402, 'insufficient_quota', { message: 'Pay.' }],
      [429, 'insufficient_quota', { message: 'Quota exceeded.', code: 'insufficient_quota' }],
    ])(
      'return 502 for HTTP %s of the provider, which the caller did not cause, and are not sent again',
      async (status, code, written) => {
        const asked = callsOfModel();
        kit.model.script({ status, body: { error: written } });
        const error = await refusal(() => retrying().chat.completions.create(request()));
        expect(error).toBeInstanceOf(OpenAI.InternalServerError);
        expect(error).toMatchObject({ status: 502, type: 'server_error', code });
        expect(error.message).not.toContain(written.message);
        expect(callsOfModel() - asked).toBe(1);
      },
    );

    test('return 429 with the Retry-After of the provider', async () => {
      const asked = callsOfModel();
      kit.model.script({ status: 429, headers: { 'retry-after': '20' }, body: { error: { message: 'Slow down.' } } });
      const error = await refusal(() => client().chat.completions.create(request()));
      expect(error).toBeInstanceOf(OpenAI.RateLimitError);
      expect([error.code, error.headers.get('retry-after')]).toEqual(['rate_limit_exceeded', '20']);
      expect(callsOfModel() - asked).toBe(1);
    });
  });

  test('end with an error of the same code when the provider rejects the request after the first text', async () => {
    const error = { message: 'Filtered.', code: 'content_filter' };
    kit.model.script({ text: ['one ', 'two '], error: { error } });
    const stream = await client().chat.completions.create({ model: slug, messages: [user('Hello')], stream: true });
    let text = '';
    const end = await thrown(async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    });
    expect(text).toBe('one two ');
    expect(end).toBeInstanceOf(OpenAI.APIError);
    expect(end).toMatchObject({ type: 'invalid_request_error', code: 'content_filter' });
  });

  test('name the invalid field in the error', () =>
    unchanged(async () => {
      const messages = [user('Hello')];
      const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
      const cases: [string | null, object][] = [
        ['model', { messages }],
        ['messages', { model: slug }],
        ['messages', { model: slug, messages: [] }],
        ['messages', { model: slug, messages: 'Hello' }],
        ['messages', { model: slug, messages: [...messages, { role: 'assistant', content: 'Hi' }] }],
        ['messages', { model: slug, messages: [{ role: 'system', content: 'Hi' }] }],
        [
          'messages',
          {
            model: slug,
            messages: [
              { role: 'assistant', tool_calls: [call] },
              { role: 'tool', tool_call_id: 'call_1', content: '' },
            ],
          },
        ],
        ['messages[0].role', { model: slug, messages: [{ role: 'king', content: 'Hi' }] }],
        ['messages[0].content', { model: slug, messages: [{ role: 'user', content: 7 }] }],
        ['messages[0].content', { model: slug, messages: [user('a\0b')] }],
        [
          'messages[0].content[0].text',
          { model: slug, messages: [{ role: 'user', content: [{ type: 'text', text: 'a\0b' }] }] },
        ],
        [
          'messages[1].tool_calls[0].id',
          {
            model: slug,
            messages: [
              ...messages,
              { role: 'assistant', tool_calls: [{ ...call, id: 'x'.repeat(1001) }] },
              ...messages,
            ],
          },
        ],
        [
          'messages[1].tool_call_id',
          { model: slug, messages: [...messages, { role: 'tool', tool_call_id: 'x', content: '' }] },
        ],
        ['messages[1].tool_call_id', { model: slug, messages: [...messages, { role: 'tool', content: '' }] }],
        ['messages[0].tool_calls', { model: slug, messages: [{ ...user('Hello'), tool_calls: [call] }] }],
        ['n', { model: slug, messages, n: 2 }],
        ['temperature', { model: slug, messages, temperature: 3 }],
        ['top_p', { model: slug, messages, top_p: -1 }],
        ['max_tokens', { model: slug, messages, max_tokens: 0 }],
        ['max_tokens', { model: slug, messages, max_tokens: 1.5 }],
        ['seed', { model: slug, messages, seed: 'x' }],
        ['stop', { model: slug, messages, stop: '' }],
        ['stop[1]', { model: slug, messages, stop: ['END', ''] }],
        ['reasoning_effort', { model: slug, messages, reasoning_effort: 'total' }],
        ['tools[0].function.name', { model: slug, messages, tools: [{ type: 'function', function: { name: 'a b' } }] }],
        ['tools[0].type', { model: slug, messages, tools: [{ type: 'custom' }] }],
        [
          'tool_choice.function.name',
          { model: slug, messages, tools: [weather], tool_choice: { type: 'function', function: { name: 'x' } } },
        ],
        ['tool_choice', { model: slug, messages, tool_choice: 'sometimes' }],
        ['response_format.type', { model: slug, messages, response_format: { type: 'xml' } }],
        [null, ['x']],
      ];
      for (const [param, body] of cases) {
        const error = await thrown(() => client().post('/chat/completions', { body }));
        expect(error, JSON.stringify(body)).toBeInstanceOf(OpenAI.BadRequestError);
        expect([error.param, error.type], JSON.stringify(body)).toEqual([param, 'invalid_request_error']);
      }
      const image = (url: string) => [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }];
      for (const url of ['ftp://images.example/a.png', 'data:text/html;base64,AAAA', 'data:image/png;base64,%']) {
        const error = await thrown(() =>
          client().post('/chat/completions', { body: { model: slug, messages: image(url) } }),
        );
        expect(error).toBeInstanceOf(OpenAI.BadRequestError);
        expect(error.param).toBe('messages[0].content[0].image_url.url');
      }
      const unread = await kit.rest('POST', `${path}/chat/completions`, { key: kit.keys.BASIC, body: '{' });
      expect(unread).toMatchObject({ status: 400, body: { error: { type: 'invalid_request_error', param: null } } });
      const unknown = await thrown(() => client().chat.completions.create({ model: 'gpt-4o', messages: messages }));
      expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
      expect(unknown.code).toBe('model_not_found');
    }));
});
