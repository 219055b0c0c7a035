import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, type RoleName, startKit } from '../../../test/kit.ts';
import { drawnImage, makeGate } from '../../../test/model-server.ts';

/** Tests with OpenAI's own client against the paths that it calls. */
let kit: Kit;
/** The slug and the integer ID of an agent with one document. */
let slug: string;
let agentId: number;

const clientOf = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${kit.url}/api/v1/openai`, maxRetries: 0, logLevel: 'off' });
const client = (role: RoleName = 'BASIC') => clientOf(kit.keys[role]);

const path = '/api/v1/openai';
const user = (content: string) => ({ role: 'user' as const, content });

async function createAgent(input: object): Promise<{ slug: string; id: number }> {
  const { data, errors } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
    { input: { isPublic: true, ...input } },
  );
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  const id = data.createAgent.agent.databaseId;
  return { id, slug: (await kit.prisma.agent.findUniqueOrThrow({ where: { id } })).slug };
}

/** Returns the error that a call throws. */
const thrown = (attempt: () => PromiseLike<unknown>): Promise<any> =>
  Promise.resolve(attempt()).then(
    (reply) => expect.fail(`was not refused: ${JSON.stringify(reply)}`),
    (error: unknown) => error,
  );

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

/** Returns the error that a call throws, and expects that no data changed. */
const refusal = (attempt: () => PromiseLike<unknown>): Promise<any> => unchanged(() => thrown(attempt));

const usedBy = async (model: string) => {
  const records = await kit.prisma.usageRecord.findMany({ where: { model } });
  return records.reduce(
    (sum, { turns, inputTokens }) => ({ turns: sum.turns + turns, input: sum.input + inputTokens }),
    {
      turns: 0,
      input: 0n,
    },
  );
};

/** Returns the chunks of an answer as a client receives them. */
async function chunksOf(
  request: Omit<OpenAI.ChatCompletionCreateParamsStreaming, 'model' | 'stream'>,
): Promise<OpenAI.ChatCompletionChunk[]> {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  const stream = await client().chat.completions.create({ ...request, model: slug, stream: true });
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Returns the last completion request to the model server. */
const asked = () => kit.model.requests.findLast((request) => request.path === '/chat/completions')?.body as any;

const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};

beforeAll(async () => {
  kit = await startKit({
    scripted: true,
    environment: { EMBEDDING_MODEL: 'embedder', IMAGE_MODEL: 'painter', LLM_VISION: 'true' },
  });
  await kit.ingest('Vacation', 'Everybody has thirty days of vacation each year.', { id: 'vacation' });
  const search = await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } });
  ({ slug, id: agentId } = await createAgent({
    name: 'Handbook',
    systemPrompt: 'You are the handbook.',
    knowledge: 'ATTACHED',
    documentIds: ['vacation'],
    actionIds: [search.id],
  }));
});
afterAll(() => kit?.close());

describe('models', () => {
  test('are the agents that the caller may use, and another agent returns model_not_found', async () => {
    const hidden = await createAgent({ name: 'Hidden', isPublic: false });
    const found = [];
    for await (const model of client().models.list()) found.push(model);
    expect(found.find(({ id }) => id === slug)).toEqual({
      id: slug,
      object: 'model',
      created: expect.any(Number),
      owned_by: 'openai-compatible',
    });
    expect(found.map(({ id }) => id)).not.toContain(hidden.slug);
    const ofAdmin = (await client('ADMIN').models.list()).data;
    expect(ofAdmin.map(({ id }) => id)).toContain(hidden.slug);
    expect(await client().models.retrieve(slug)).toEqual(found.find(({ id }) => id === slug));
    await unchanged(async () => {
      for (const id of [hidden.slug, 'nothing', '0', "x' OR 1=1"]) {
        const error = await thrown(() => client().models.retrieve(id));
        expect(error).toBeInstanceOf(OpenAI.NotFoundError);
        expect(error).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
      }
    });
  });

  test('are listed with the same number of SQL statements, regardless of their number', async () => {
    const count = async () => {
      kit.statements.length = 0;
      await client().models.list();
      return kit.statements.length;
    };
    const before = await count();
    for (const name of ['One', 'Two', 'Three']) await createAgent({ name });
    expect(await count()).toBe(before);
  });

  test('as vector stores contain the number of their documents for callers that may read them', async () => {
    const { data } = await client().vectorStores.list();
    expect(data.find(({ id }) => id === slug)).toEqual({
      id: slug,
      object: 'vector_store',
      created_at: expect.any(Number),
      name: 'Handbook',
      file_counts: { total: 1 },
      provider: 'PostgreSQL',
    });
    const { secret } = await kit.createKey('BASIC', { scopes: ['use:llm_gateway'] });
    const page = await clientOf(secret).vectorStores.list();
    expect(page.data.find(({ id }) => id === slug)?.file_counts.total).toBe(0);
    const all = [];
    for await (const store of client().vectorStores.list()) all.push(store.id);
    expect(all).toEqual(data.map(({ id }) => id));
    const raw = await kit.rest('GET', `${path}/vector_stores`, { key: kit.keys.BASIC });
    expect(raw.body).toMatchObject({ object: 'list', first_id: all[0], last_id: all.at(-1), has_more: false });
    for (const query of ['?after=x', '?limit=1', '?anything'])
      expect((await kit.rest('GET', `${path}/vector_stores${query}`, { key: kit.keys.BASIC })).body).toEqual({
        object: 'list',
        data: [],
        has_more: false,
      });
  });
});

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

describe('embeddings', () => {
  test('have the same values as numbers and in base64', async () => {
    const before = await usedBy('embedder');
    const input = ['the first text', 'the second'];
    const plain = await client().embeddings.create({ model: 'whatever', input });
    const asNumbers = await client().embeddings.create({ model: 'whatever', input, encoding_format: 'float' });
    expect(asNumbers.data[0]?.embedding).toHaveLength(2048);
    expect(plain.data.map(({ embedding }) => embedding)).toEqual(
      asNumbers.data.map(({ embedding }) => [...Float32Array.from(embedding)]),
    );
    expect({ ...asNumbers, data: asNumbers.data.map(({ object, index }) => ({ object, index })) }).toEqual({
      object: 'list',
      model: 'embedder',
      data: [
        { object: 'embedding', index: 0 },
        { object: 'embedding', index: 1 },
      ],
      usage: { prompt_tokens: 1, total_tokens: 1 },
    });
    const legacy = await kit.rest('POST', `${path}/embeddings`, {
      key: kit.keys.BASIC,
      body: { inputs: 'the second', model: null },
    });
    expect(legacy.body.data[0].embedding).toEqual(asNumbers.data[1]?.embedding);
    expect(await usedBy('embedder')).toEqual({ turns: before.turns + 3, input: before.input + 3n });
  });

  test('reject tokens as input, and the error says how to send texts', () =>
    unchanged(async () => {
      for (const input of [
        [1, 2, 3],
        [[1, 2], [3]],
      ]) {
        const error = await thrown(() => client().embeddings.create({ model: '', input }));
        expect(error).toBeInstanceOf(OpenAI.BadRequestError);
        expect(error.error).toMatchObject({ type: 'invalid_request_error', param: 'input' });
        expect(error.message).toContain('send the texts themselves');
        expect(error.message).toContain('check_embedding_ctx_length=False');
      }
    }));

  test('reject dimensions that the model does not support', async () => {
    const wanted = await client().embeddings.create({ model: '', input: 'x', dimensions: 2048 });
    expect(wanted.data[0]?.embedding).toHaveLength(2048);
    expect(kit.model.requests.at(-1)?.body.dimensions).toBe(2048);
    const error: any = await client()
      .embeddings.create({ model: '', input: 'x', dimensions: 3 })
      .catch((error: unknown) => error);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error.param).toBe('dimensions');
  });

  test('name the invalid field in the error', () =>
    unchanged(async () => {
      const cases: [string, object][] = [
        ['input', {}],
        ['input', { input: [] }],
        ['input', { input: '' }],
        ['input[1]', { input: ['a', ''] }],
        ['input', { input: 'a\0' }],
        ['input', { input: 'x'.repeat(8192 * 4 + 1) }],
        ['input', { input: Array.from({ length: 2049 }, () => 'a') }],
        ['input', { input: [1, 2, 3] }],
        ['input', { input: [[1, 2]] }],
        ['input', { input: { a: 1 } }],
        ['encoding_format', { input: 'a', encoding_format: 'hex' }],
        ['dimensions', { input: 'a', dimensions: 0 }],
      ];
      for (const [param, body] of cases) {
        const error = await thrown(() => client().post('/embeddings', { body }));
        expect(error, JSON.stringify(body).slice(0, 100)).toBeInstanceOf(OpenAI.BadRequestError);
        expect(error.param).toBe(param);
      }
      kit.model.embeddingFailure = 400;
      const upstream = await thrown(() => client().embeddings.create({ model: '', input: 'x' }));
      expect(upstream).toMatchObject({ status: 400, type: 'invalid_request_error' });
      const resized = await thrown(() => client().embeddings.create({ model: '', input: 'x', dimensions: 5 }));
      expect(resized).toMatchObject({ status: 400, param: 'dimensions' });
      kit.model.embeddingFailure = 401;
      const misconfigured = await thrown(() => client().embeddings.create({ model: '', input: 'x' }));
      expect(misconfigured).toMatchObject({ status: 502, code: 'upstream_error' });
      expect(misconfigured.headers.get('x-should-retry')).toBe('false');
      kit.model.embeddingFailure = null;
    }));
});

describe('images', () => {
  const png = Buffer.from(drawnImage, 'base64');

  test('are generated, as JSON or as bytes', async () => {
    const before = await usedBy('painter');
    const { data, ...rest } = await client().images.generate({ prompt: 'a white pixel', size: '1024x1024', n: 1 });
    expect(data).toEqual([{ b64_json: drawnImage }]);
    expect(rest).toEqual({ created: expect.any(Number), output_format: 'png' });
    expect(kit.model.requests.at(-1)).toMatchObject({
      path: '/images/generations',
      body: { model: 'painter', prompt: 'a white pixel', size: '1024x1024', n: 1 },
    });
    await client().images.generate({ prompt: 'a white pixel', size: 'auto' });
    expect(kit.model.requests.at(-1)?.body).not.toHaveProperty('size');
    const form = new FormData();
    form.append('prompt', 'a white pixel');
    form.append('n', '1');
    form.append('response_format', 'blob');
    const response = await fetch(`${kit.url}${path}/images/generations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${kit.keys.BASIC}`, 'if-none-match': '*' },
      body: form,
    });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(response.headers.get('etag')).toBe(null);
    expect(Buffer.from(await response.arrayBuffer()).equals(png)).toBe(true);
    expect(await usedBy('painter')).toEqual({ turns: before.turns + 3, input: before.input + 12n });
  });

  test('are generated from reference images', async () => {
    const form = new FormData();
    form.append('prompt', 'the same, in black');
    for (const name of ['a.png', 'b.png']) form.append('image_references', await toFile(png, name));
    const edited = await kit.rest('POST', `${path}/images/generations`, { key: kit.keys.BASIC, body: form });
    expect(edited).toMatchObject({ status: 200, body: { data: [{ b64_json: drawnImage }] } });
    const { path: called, body } = kit.model.requests.at(-1) as any;
    expect(called).toBe('/images/edits');
    expect(body.form).toContain('the same, in black');
    expect(body.form.match(/name="image\[?\]?"/g)).toHaveLength(2);

    form.append('image_references', await toFile(Buffer.from('<svg/>'), 'c.png'));
    const before = await kit.fingerprint();
    const wrong = await kit.rest('POST', `${path}/images/generations`, { key: kit.keys.BASIC, body: form });
    expect(wrong).toMatchObject({ status: 400, body: { error: { param: 'image_references[2]' } } });
    const one = new FormData();
    one.append('prompt', 'x');
    one.append('image_references', await toFile(png, 'a.png'));
    kit.model.script({ status: 404 });
    const unable = await kit.rest('POST', `${path}/images/generations`, { key: kit.keys.BASIC, body: one });
    expect(unable).toMatchObject({ status: 400, body: { error: { param: 'image_references' } } });
    expect(await kit.fingerprint()).toBe(before);
  });

  test('require a prompt, and name the invalid field in the error', () =>
    unchanged(async () => {
      for (const body of [{}, { prompt: '' }, { prompt: ' ' }, { prompt: 7 }]) {
        const error = await thrown(() => client().post('/images/generations', { body }));
        expect(error).toBeInstanceOf(OpenAI.BadRequestError);
        expect(error.error).toMatchObject({ message: 'A prompt is required.', param: 'prompt' });
      }
      const cases: [string, object][] = [
        ['size', { prompt: 'x', size: 'large' }],
        ['n', { prompt: 'x', n: 2 }],
        ['response_format', { prompt: 'x', response_format: 'url' }],
        ['image_references', { prompt: 'x', image_references: ['https://images.example/a.png'] }],
        ['prompt', { prompt: 'x'.repeat(32_001) }],
      ];
      for (const [param, body] of cases) {
        const error = await thrown(() => client().post('/images/generations', { body }));
        expect(error, JSON.stringify(body).slice(0, 100)).toBeInstanceOf(OpenAI.BadRequestError);
        expect(error.param).toBe(param);
      }
      kit.model.script({ status: 400 });
      const refused = await thrown(() => client().images.generate({ prompt: 'something bad' }));
      expect(refused).toMatchObject({ status: 400, type: 'invalid_request_error' });
      const fail = { status: 500, headers: { 'retry-after-ms': '1' } };
      kit.model.script(fail, fail, fail);
      expect(await thrown(() => client().images.generate({ prompt: 'x' }))).toMatchObject({ status: 502 });
    }));
});

describe('permissions and limits', () => {
  const calls: Record<string, (client: OpenAI) => PromiseLike<unknown>> = {
    'models.list': (client) => client.models.list(),
    'models.retrieve': (client) => client.models.retrieve(slug),
    'chat.completions.create': (client) => client.chat.completions.create({ model: slug, messages: [user('Hello')] }),
    'chat.completions.create, as a stream': (client) =>
      client.chat.completions.create({ model: slug, messages: [user('Hello')], stream: true }),
    'embeddings.create': (client) => client.embeddings.create({ model: '', input: 'x' }),
    'vectorStores.list': (client) => client.vectorStores.list(),
    'images.generate': (client) => client.images.generate({ prompt: 'x' }),
  };

  test.each(Object.entries(calls))('%s requires use:llm_gateway', async (_name, call) => {
    const requests = kit.model.requests.length;
    const { secret } = await kit.createKey('ADMIN', { scopes: ['write:chat', 'read:agents', 'manage:documents'] });
    await unchanged(async () => {
      for (const key of [kit.keys.LIMITED, secret]) {
        const error = await thrown(() => call(clientOf(key)));
        expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
        expect(error).toMatchObject({ type: 'permission_error', code: 'insufficient_permissions' });
      }
      for (const key of ['sk-unknown', 'nothing']) {
        const error = await thrown(() => call(clientOf(key)));
        expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
        expect(error.error).toEqual({
          message: 'No valid api key found.',
          type: 'invalid_request_error',
          param: null,
          code: 'invalid_api_key',
        });
      }
    });
    expect(kit.model.requests).toHaveLength(requests);
  });

  test('an agent of another user returns the same error as an unknown agent', async () => {
    const hidden = await createAgent({ name: 'Not yours', isPublic: false });
    await unchanged(async () => {
      for (const model of [hidden.slug, 'nothing'])
        for (const stream of [true, false]) {
          const error = await thrown(() =>
            client().chat.completions.create({ model, messages: [user('Hello')], stream }),
          );
          expect(error).toBeInstanceOf(OpenAI.NotFoundError);
          expect(error.message).toBe('404 The model does not exist, or this key may not use it.');
        }
    });
  });

  test('the prompt contains no documents of other users', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    await kit.ingest('Secret plan', 'The secret plan is to dig a tunnel.', { id: 'plan' });
    await kit.prisma.document.update({ where: { externalId: 'plan' }, data: { isPublic: false, ownerId: userId } });
    const search = await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } });
    const all = await createAgent({ name: 'All', knowledge: 'ALL', actionIds: [search.id] });
    const prompt = async (key: string) => {
      await clientOf(key).chat.completions.create({ model: all.slug, messages: [user('What is the secret plan?')] });
      return asked().messages[1].content;
    };
    expect(await prompt(secret)).toContain('dig a tunnel');
    expect(await prompt(kit.keys.BASIC)).not.toContain('dig a tunnel');
  });

  test('a used up budget returns 429 with a Retry-After header', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    await clientOf(secret).chat.completions.create({ model: slug, messages: [user('Hello')] });
    await kit.gql(
      `mutation ($input: CreateRateLimitInput!) { createRateLimit(input: $input) { rateLimit { databaseId } } }`,
      { input: { subject: { userId }, tokenBudget: 1, periodHours: 1 } },
    );
    await unchanged(async () => {
      for (const call of [calls['chat.completions.create'], calls['embeddings.create'], calls['images.generate']]) {
        const error = await thrown(() => call?.(clientOf(secret)) as PromiseLike<unknown>);
        expect(error).toBeInstanceOf(OpenAI.RateLimitError);
        expect(error.code).toBe('rate_limit_exceeded');
        expect(Number(error.headers.get('retry-after'))).toBeGreaterThan(0);
      }
    });
  });

  test('unsupported methods and media types return errors in the format of OpenAI', async () => {
    const method = await kit.rest('PUT', `${path}/models`);
    expect(method).toMatchObject({ status: 405, body: { error: { message: 'Method Not Allowed', code: null } } });
    const type = await kit.rest('POST', `${path}/embeddings`, {
      body: '<x/>',
      headers: { 'content-type': 'text/xml' },
    });
    expect(type).toMatchObject({ status: 415, body: { error: { type: 'invalid_request_error' } } });
  });
});
