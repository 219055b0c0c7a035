import OpenAI, { toFile } from 'openai';
import { describe, expect, test } from 'vitest';
import { drawnImage } from '../../../test/model-server.ts';
import {
  asked,
  client,
  clientOf,
  createAgent,
  kit,
  path,
  slug,
  thrown,
  unchanged,
  usedBy,
  useOpenAIKit,
  user,
} from './openai-fixtures.ts';

useOpenAIKit();

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
