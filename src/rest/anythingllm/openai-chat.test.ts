import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { drawnImage } from '../../../test/model-server.ts';
import {
  agentId,
  asked,
  chunksOf,
  client,
  createAgent,
  kit,
  path,
  refusal,
  slug,
  usedBy,
  useOpenAIKit,
  user,
  weather,
} from './openai-fixtures.ts';

useOpenAIKit();

describe('chat completions', () => {
  test('answer from the agent’s documents, and store only the usage', async () => {
    const before = await usedBy('scripted');
    const stored = [await kit.prisma.chatSession.count(), await kit.prisma.chatMessage.count()];
    kit.model.script({ text: 'Thirty days [1].', usage: { prompt_tokens: 100, completion_tokens: 5 } });
    const completion = await client().chat.completions.create({
      model: slug,
      messages: [
        { role: 'system', content: 'Speak like a pirate.' },
        user('Hello'),
        { role: 'assistant', content: 'Ahoy' },
        user('How many days of vacation are there?'),
      ],
      temperature: 0.5,
      top_p: 0.9,
      max_tokens: 50,
      stop: 'END',
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      seed: 7,
      reasoning_effort: 'low',
      user: 'somebody',
    });
    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-[\w-]{36}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: slug,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Thirty days [[1]](https://docs.example/Vacation).', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 100,
        completion_tokens: 5,
        total_tokens: 105,
        duration: expect.any(Number),
        outputTps: expect.any(Number),
        model: 'scripted',
        provider: 'openai-compatible',
        timestamp: expect.any(String),
      },
    });
    const { messages, ...settings } = asked();
    expect(settings).toMatchObject({
      temperature: 0.5,
      top_p: 0.9,
      max_tokens: 50,
      stop: ['END'],
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      seed: 7,
      reasoning_effort: 'low',
    });
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(messages[0].content).toContain('Speak like a pirate.');
    expect(messages[0].content).not.toContain('You are the handbook.');
    expect(messages.slice(1, 3)).toEqual([user('Hello'), { role: 'assistant', content: 'Ahoy' }]);
    expect(messages[3].content).toContain('thirty days of vacation');
    expect(messages[3].content).toContain('How many days of vacation are there?');
    expect([await kit.prisma.chatSession.count(), await kit.prisma.chatMessage.count()]).toEqual(stored);
    expect(await usedBy('scripted')).toEqual({ turns: before.turns + 1, input: before.input + 100n });
  });

  test('default to the agent’s instructions and temperature, and cap the maximum number of tokens', async () => {
    await kit.prisma.agent.update({ where: { id: agentId }, data: { temperature: 0.25 } });
    await client().chat.completions.create({
      model: slug,
      messages: [user('Hello')],
      max_completion_tokens: 1_000_000,
    });
    await kit.prisma.agent.update({ where: { id: agentId }, data: { temperature: null } });
    expect(asked()).toMatchObject({ temperature: 0.25, max_tokens: 8192 });
    expect(asked().messages[0].content).toContain('You are the handbook.');
    expect(asked()).not.toHaveProperty('tools');
    for (const max_tokens of [2 ** 31, Number.MAX_SAFE_INTEGER, 2 ** 63]) {
      await client().chat.completions.create({ model: slug, messages: [user('Hello')], max_tokens });
      expect(asked().max_tokens).toBe(8192);
    }
  });

  test('stream chunks with one id, the finish reason and the usage', async () => {
    kit.model.script({ text: ['Thirty', ' days', ' [1]', '.'], usage: { prompt_tokens: 10, completion_tokens: 4 } });
    const chunks = await chunksOf({ messages: [user('How many days of vacation?')] });
    expect(new Set(chunks.map(({ id, object, model }) => `${object} ${model} ${id === chunks[0]?.id}`))).toEqual(
      new Set([`chat.completion.chunk ${slug} true`]),
    );
    expect(chunks.map(({ choices }) => choices[0]?.delta.content).join('')).toBe(
      'Thirty days [[1]](https://docs.example/Vacation).',
    );
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean)).toEqual(['stop']);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test('contain the role in the first chunk only, because clients concatenate the chunks', async () => {
    kit.model.script({ text: 'One two three' }, { toolCalls: [{ name: 'get_weather', arguments: {} }] });
    for (const tools of [[], [weather]]) {
      const chunks = await chunksOf({ messages: [user('Count')], tools, stream_options: { include_usage: true } });
      expect(chunks.length).toBeGreaterThan(2);
      const roles = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.role));
      expect(roles).toEqual(['assistant', ...roles.slice(1).map(() => undefined)]);
    }
  });

  test('send the usage once: after the last choice if the client asks for it, otherwise with the last choice', async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 4 };
    kit.model.script({ text: 'One two', usage }, { text: 'One two', usage });
    for (const include_usage of [true, false]) {
      const chunks = await chunksOf({ messages: [user('Count')], stream_options: { include_usage } });
      expect(chunks.map(({ usage }) => usage?.total_tokens ?? null)).toEqual([...chunks.slice(1).map(() => null), 14]);
      expect(chunks.at(-1)?.choices.length).toBe(include_usage ? 0 : 1);
    }
  });

  test('report the usage in whole numbers, because clients add the values', async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 7 };
    kit.model.script({ text: 'One two', usage }, { text: 'One two', usage });
    const whole = await client().chat.completions.create({ model: slug, messages: [user('Count')] });
    const streamed = await chunksOf({ messages: [user('Count')] });
    for (const counted of [whole.usage, streamed.at(-1)?.usage]) {
      const numbers = Object.entries(counted ?? {}).filter(([, value]) => typeof value === 'number');
      expect(numbers.map(([name]) => name)).toEqual([
        'prompt_tokens',
        'completion_tokens',
        'total_tokens',
        'duration',
        'outputTps',
      ]);
      expect(numbers.filter(([, value]) => !Number.isInteger(value))).toEqual([]);
      expect(Object.fromEntries(numbers).duration).toBeGreaterThanOrEqual(1);
    }
  });

  test('return the text of a model’s refusal as the refusal and not as the content', async () => {
    const refusing = { text: '', refusal: 'I cannot help with that.' };
    kit.model.script(refusing, refusing, refusing);
    const messages = [user('Something bad')];
    const { choices } = await client().chat.completions.create({ model: slug, messages });
    expect(choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: null, refusal: 'I cannot help with that.' },
    });
    const deltas = (await chunksOf({ messages })).map((chunk) => chunk.choices[0]?.delta);
    expect(deltas.map((delta) => delta?.refusal ?? '').join('')).toBe('I cannot help with that.');
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe('');
    const stream = client().chat.completions.stream({ model: slug, messages });
    expect((await stream.finalMessage()).refusal).toBe('I cannot help with that.');
  });

  test('work with the SDK’s streaming helper, with the usage in a separate chunk', async () => {
    const texts: string[] = [];
    kit.model.script({ text: 'One two three', reasoning: 'Hm.', usage: { prompt_tokens: 10, completion_tokens: 4 } });
    const stream = client().chat.completions.stream({
      model: slug,
      messages: [user('Count')],
      stream_options: { include_usage: true },
    });
    stream.on('content', (text) => texts.push(text));
    const completion = await stream.finalChatCompletion();
    expect(texts.join('')).toBe('One two three');
    expect(completion.choices[0]?.message.content).toBe('One two three');
    expect(completion.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 4 });

    kit.model.script({ text: 'One' });
    const raw = await kit.rest('POST', `${path}/chat/completions`, {
      key: kit.keys.BASIC,
      body: { model: slug, messages: [user('Count')], stream: true, stream_options: { include_usage: true } },
    });
    expect(raw.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const frames = raw.text.split('\n\n').filter(Boolean);
    expect(frames.at(-1)).toBe('data: [DONE]');
    expect(JSON.parse(frames.at(-2)?.slice('data: '.length) ?? '')).toMatchObject({
      choices: [],
      usage: { total_tokens: expect.any(Number) },
    });
  });

  test('pass the client’s tools to the model, and return its tool calls to the client', async () => {
    kit.model.script({ toolCalls: [{ name: 'get_weather', arguments: '{"place": "Oslo"}' }] });
    const question = user('How is the weather in Oslo?');
    const first = await client().chat.completions.create({
      model: slug,
      messages: [question],
      tools: [weather],
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      parallel_tool_calls: false,
    });
    expect(asked()).toMatchObject({
      tools: [weather],
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      parallel_tool_calls: false,
    });
    expect(first.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    expect(first.choices[0]?.message.tool_calls).toEqual([
      { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"place": "Oslo"}' } },
    ]);
    expect(first.usage?.completion_tokens).toBeGreaterThan(0);

    kit.model.script({ text: 'It rains.' });
    const message = first.choices[0]?.message as OpenAI.ChatCompletionMessage;
    const second = await client().chat.completions.create({
      model: slug,
      messages: [question, message, { role: 'tool', tool_call_id: 'call_1', content: 'rain' }],
      tools: [weather],
    });
    expect(second.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'It rains.' } });
    const { messages } = asked();
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'user', 'assistant', 'tool']);
    expect(messages[1].content).toContain('How is the weather in Oslo?');
    expect(messages[2].tool_calls).toEqual([
      { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"place": "Oslo"}' } },
    ]);
    expect(messages[3]).toMatchObject({ tool_call_id: 'call_1', content: 'rain' });
  });

  test('stream tool calls and the text before them', async () => {
    kit.model.script({
      before: 'Let me look.',
      toolCalls: [
        { name: 'get_weather', arguments: { place: 'Oslo' } },
        { name: 'get_weather', arguments: { place: 'Rome' } },
      ],
    });
    const stream = client().chat.completions.stream({ model: slug, messages: [user('Weather?')], tools: [weather] });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]?.finish_reason).toBe('tool_calls');
    expect(choices[0]?.message.content).toBe('Let me look.');
    expect(choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_1', function: { name: 'get_weather', arguments: '{"place":"Oslo"}' } },
      { id: 'call_2', function: { name: 'get_weather', arguments: '{"place":"Rome"}' } },
    ]);
  });

  test('stream at most one part of a tool call in a chunk, because clients read two parts as two calls', async () => {
    kit.model.script({
      toolCalls: [
        { name: 'get_weather', arguments: { place: 'Oslo' } },
        { name: 'get_weather', arguments: { place: 'Rome' } },
      ],
    });
    const chunks = await chunksOf({ messages: [user('Weather?')], tools: [weather] });
    const calls = chunks.map(({ choices }) => choices[0]?.delta.tool_calls?.map(({ index }) => index) ?? []);
    expect(calls.flat()).toContain(1);
    for (const indices of calls) expect(indices).toEqual([...new Set(indices)]);
  });

  test('pass the arguments of earlier tool calls unchanged, and empty arguments as an empty object', async () => {
    const written = ['{"id": 12345678901234567890, "part": 1.0}', '', ' ', '{"place":'];
    const calls = written.map((text, index) => ({
      id: index === 0 ? 'x'.repeat(1000) : `call_${index}`,
      type: 'function' as const,
      function: { name: 'get_weather', arguments: text },
    }));
    await client().chat.completions.create({
      model: slug,
      messages: [
        user('How is the weather?'),
        { role: 'assistant', tool_calls: calls },
        ...calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: 'rain' })),
      ],
      tools: [weather],
    });
    const sent = asked().messages[2].tool_calls.map((call: (typeof calls)[number]) => call.function.arguments);
    expect(sent).toEqual([written[0], '{}', '{}', JSON.stringify(written[3])]);
    expect(asked().messages[2].tool_calls[0]).toEqual(calls[0]);
    expect(asked().messages[3].tool_call_id).toBe('x'.repeat(1000));
  });

  test('work with the SDK’s helper that runs tools', async () => {
    kit.model.script(
      { toolCalls: [{ name: 'get_weather', arguments: { place: 'Oslo' } }] },
      { text: 'It snows in Oslo.' },
    );
    const places: unknown[] = [];
    const runner = client().chat.completions.runTools({
      model: slug,
      messages: [user('How is the weather in Oslo?')],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather',
            parameters: weather.function.parameters,
            parse: JSON.parse,
            function: ({ place }: { place: string }) => {
              places.push(place);
              return 'snow';
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe('It snows in Oslo.');
    expect(places).toEqual(['Oslo']);
  });

  test('return 502 when the model calls a tool that the request does not contain', async () => {
    kit.model.script({ toolCalls: [{ name: 'rm', arguments: {} }] });
    const error: any = await client()
      .chat.completions.create({ model: slug, messages: [user('Hello')] })
      .catch((error: unknown) => error);
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error.status).toBe(502);
    expect(error.message).toContain('"rm"');
  });

  test('request JSON from the model, and do not read brackets in it as citations', async () => {
    const schema = { type: 'object', properties: { days: { type: 'array' } } };
    kit.model.script({ text: '{"days":[1]}' });
    const { choices } = await client().chat.completions.create({
      model: slug,
      messages: [user('How many days of vacation?')],
      response_format: { type: 'json_schema', json_schema: { name: 'days', schema, strict: true } },
    });
    expect(choices[0]?.message.content).toBe('{"days":[1]}');
    expect(asked().response_format).toEqual({
      type: 'json_schema',
      json_schema: { name: 'days', schema, strict: true },
    });
    await client().chat.completions.create({
      model: slug,
      messages: [user('Hello')],
      response_format: { type: 'json_object' },
    });
    expect(asked().response_format).toEqual({ type: 'json_object' });
  });

  test('refuse without calling the model when an agent in query mode finds no documents', async () => {
    const silent = await createAgent({ name: 'Silent', knowledge: 'ATTACHED' });
    await kit.prisma.agent.update({
      where: { id: silent.id },
      data: { chatMode: 'QUERY', refusalText: 'Nothing in here.' },
    });
    const requests = kit.model.requests.length;
    const { choices, usage } = await client().chat.completions.create({
      model: silent.slug,
      messages: [user('vacation')],
    });
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Nothing in here.' } });
    expect(usage).toMatchObject({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
    expect(kit.model.requests.slice(requests).filter((request) => request.path === '/chat/completions')).toEqual([]);
    const stream = client().chat.completions.stream({ model: silent.slug, messages: [user('vacation')] });
    expect(await stream.finalContent()).toBe('Nothing in here.');
  });

  test('leave out passages below the similarity threshold', async () => {
    const search = await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } });
    const strict = await createAgent({
      name: 'Strict',
      knowledge: 'ATTACHED',
      documentIds: ['vacation'],
      actionIds: [search.id],
    });
    const messages = [user('vacation')];
    await client().chat.completions.create({ model: strict.slug, messages });
    expect(asked().messages[1].content).toContain('thirty days');
    await kit.prisma.agent.update({ where: { id: strict.id }, data: { similarityThreshold: 1.1 } });
    await client().chat.completions.create({ model: strict.slug, messages });
    expect(asked().messages[1].content).not.toContain('thirty days');
  });

  test('send the model the images of the question and of earlier messages', async () => {
    const shown = (text: string): OpenAI.ChatCompletionUserMessageParam => ({
      role: 'user',
      content: [
        { type: 'text', text },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${drawnImage}` } },
      ],
    });
    await client().chat.completions.create({
      model: slug,
      messages: [shown('What is this?'), { role: 'assistant', content: 'A pixel.' }, shown('And this?')],
    });
    const { messages } = asked();
    expect(messages[1]).toEqual(shown('What is this?'));
    expect(messages[3].content[0].text).toContain('And this?');
    expect(messages[3].content[1].image_url.url).toBe(`data:image/png;base64,${drawnImage}`);
  });

  test('drop the oldest messages when the prompt is too long, and tool results together with their calls', async () => {
    const long = 'word '.repeat(10_000);
    const call = { id: 'call_1', type: 'function' as const, function: { name: 'get_weather', arguments: '{}' } };
    await client().chat.completions.create({
      model: slug,
      messages: [
        user(long),
        { role: 'assistant', tool_calls: [call], content: long.repeat(3) },
        { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
        { role: 'assistant', content: 'It rains.' },
        user('And now?'),
      ],
    });
    const { messages } = asked();
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'assistant', 'user']);
    expect(messages[1].content).toBe('It rains.');
    const error = await refusal(() =>
      client().chat.completions.create({ model: slug, messages: [user(long.repeat(4))] }),
    );
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param: 'messages' });
    expect(error.message).toContain('exceed, together with the tools, the model’s context window');
  });
});
