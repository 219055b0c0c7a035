import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, returned, startKit } from '../../../test/kit.ts';

/** The GraphQL fields of the gateway, on a server with the built-in model only. */
let kit: Kit;
let slug: string;

const create = `mutation ($input: CreateChatCompletionInput!) {
  createChatCompletion(input: $input) { id model text refusal finishReason toolCalls { id } usage { model inputTokens } }
}`;
const stream = `subscription ($input: CreateChatCompletionInput!) {
  chatCompletion(input: $input) { id text refusal finishReason toolCalls { index } usage { outputTokens } }
}`;
const embed = 'mutation ($input: CreateEmbeddingsInput!) { createEmbeddings(input: $input) { model } }';
const draw = 'mutation ($input: CreateImageInput!) { createImage(input: $input) { base64 } }';
const models = `query ($first: Int, $after: String) {
  completionModels(first: $first, after: $after) {
    totalCount pageInfo { endCursor hasNextPage } nodes { slug name provider documentCount agent { slug labels { name } } }
  }
}`;
const question = (text: string) => [{ role: 'USER', content: [{ text }] }];

beforeAll(async () => {
  kit = await startKit();
  await kit.ingest('Vacation', 'Everybody has thirty days of vacation each year.', { id: 'vacation' });
  const search = await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } });
  const { data } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
    {
      input: {
        name: 'Handbook',
        isPublic: true,
        knowledge: 'ATTACHED',
        documentIds: ['vacation'],
        actionIds: [search.id],
      },
    },
  );
  const agent = await kit.prisma.agent.findUniqueOrThrow({ where: { id: data.createAgent.agent.databaseId } });
  slug = agent.slug;
});
afterAll(() => kit?.close());

describe('the gateway', () => {
  test('returns quoted passages when no language model is configured, and calls no tools', async () => {
    const { data } = await kit.gql(
      create,
      {
        input: {
          model: slug,
          messages: question('How many days of vacation does everybody have?'),
          tools: [{ name: 'count_days' }],
          toolChoice: 'AUTO',
        },
      },
      kit.keys.BASIC,
    );
    const { id, text, ...rest } = data.createChatCompletion;
    expect(id).toMatch(/^chatcmpl-/);
    expect(text).toContain('thirty days of vacation each year. [[1]](https://docs.example/Vacation)');
    expect(rest).toEqual({
      model: slug,
      refusal: null,
      finishReason: 'STOP',
      toolCalls: [],
      usage: { model: 'embedded-quotes', inputTokens: expect.any(Number) },
    });
    expect(await kit.prisma.usageRecord.count({ where: { model: 'embedded-quotes', turns: 1 } })).toBe(1);
    expect(await kit.prisma.chatSession.count()).toBe(0);
  });

  test('streams the same quoted passages to a subscription', async () => {
    const chunks = [];
    const input = { model: slug, messages: question('vacation'), includeUsage: true };
    for await (const { data } of kit.subscribe(stream, { input }, kit.keys.BASIC)) chunks.push(data.chatCompletion);
    expect(chunks.map(({ text }) => text ?? '').join('')).toContain('thirty days of vacation');
    expect(chunks.slice(-2)).toMatchObject([
      { text: null, finishReason: 'STOP', usage: { outputTokens: expect.any(Number) } },
      { text: null, finishReason: null, usage: { outputTokens: expect.any(Number) } },
    ]);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test('paginates the list of agents, and resolves an agent by slug and by global ID', async () => {
    const first = await kit.gql(models, { first: 1 }, kit.keys.BASIC);
    const { totalCount, pageInfo, nodes } = first.data.completionModels;
    expect(nodes).toHaveLength(1);
    expect([totalCount, pageInfo.hasNextPage]).toEqual([2, true]);
    const second = await kit.gql(models, { after: pageInfo.endCursor }, kit.keys.BASIC);
    expect(second.data.completionModels.nodes).toEqual([
      { slug, name: 'Handbook', provider: 'EMBEDDED', documentCount: 1, agent: { slug, labels: [] } },
    ]);
    const { secret } = await kit.createKey('BASIC', { scopes: ['use:llm_gateway'] });
    const withoutAgents = await kit.gql('{ completionModels(last: 1) { nodes { slug agent { slug } } } }', {}, secret);
    expect(withoutAgents.data.completionModels.nodes).toEqual([{ slug, agent: null }]);
    expect(withoutAgents.errors).toMatchObject([
      { extensions: { code: 'FORBIDDEN', requiredPermissions: ['read:agents'] } },
    ]);
    const one = await kit.gql(
      'query ($slug: String!) { completionModel(agent: { slug: $slug }) { slug documentCount } }',
      { slug },
      kit.keys.BASIC,
    );
    expect(one.data.completionModel).toEqual({ slug, documentCount: 1 });
    const { id } = (await kit.gql('{ completionModels(last: 1) { nodes { id } } }', {}, kit.keys.BASIC)).data
      .completionModels.nodes[0];
    const node = 'query ($id: ID!) { node(id: $id) { __typename ... on CompletionModel { slug } } }';
    expect((await kit.gql(node, { id }, kit.keys.BASIC)).data.node).toEqual({ __typename: 'CompletionModel', slug });
    const denied = await kit.gql(node, { id }, kit.keys.LIMITED);
    expect([denied.data.node, denied.errors[0]?.extensions.requiredPermissions]).toEqual([null, ['use:llm_gateway']]);
  });

  test('returns the agent of a model only to callers with read:agents', async () => {
    const query = 'query ($slug: String!) { completionModel(agent: { slug: $slug }) { slug agent { name } } }';
    const allowed = await kit.gql(query, { slug }, kit.keys.BASIC);
    expect(allowed.data.completionModel).toEqual({ slug, agent: { name: 'Handbook' } });
    const { secret } = await kit.createKey('BASIC', { scopes: ['use:llm_gateway'] });
    const { data, errors } = await kit.gql(query, { slug }, secret);
    expect(data.completionModel).toEqual({ slug, agent: null });
    expect(errors[0]?.extensions.requiredPermissions).toEqual(['read:agents']);
  });

  test('returns the document count of an agent only to callers with read:search', async () => {
    const { secret } = await kit.createKey('BASIC', { scopes: ['use:llm_gateway'] });
    const { data, errors } = await kit.gql(models, {}, secret);
    expect(data.completionModels.nodes.map((node: { documentCount: number | null }) => node.documentCount)).toEqual([
      null,
      null,
    ]);
    expect(errors[0]?.extensions).toEqual({
      code: 'FORBIDDEN',
      reason: 'MISSING_PERMISSION',
      requiredPermissions: ['read:search'],
    });
  });

  test('rejects input that needs an unconfigured model, and names the setting only to administrators', async () => {
    const before = await kit.fingerprint();
    const missing: [string, object, string, object, string, string][] = [
      [embed, { texts: ['a'] }, 'embeddings', { input: 'a' }, 'EMBEDDING_MODEL', 'This server has no embedding model.'],
      [
        draw,
        { prompt: 'a' },
        'images/generations',
        { prompt: 'a' },
        'IMAGE_MODEL',
        'No valid image generation provider was set.',
      ],
    ];
    for (const [operation, input, path, body, setting, message] of missing) {
      const administrator = await kit.gql(operation, { input }, kit.keys.ADMIN);
      expect(administrator.errors[0]?.message).toContain(setting);
      const { errors } = await kit.gql(operation, { input }, kit.keys.BASIC);
      expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
      expect(errors[0]?.message).not.toContain(setting);
      const answer = await kit.rest('POST', `/api/v1/openai/${path}`, { key: kit.keys.BASIC, body });
      expect(answer.status).toBe(400);
      expect(answer.body.error).toEqual({
        message,
        type: 'invalid_request_error',
        param: 'model',
        code: 'model_not_found',
      });
    }
    const wrong: [string, object][] = [
      ['input.responseFormat', { responseFormat: { type: 'JSON_OBJECT' } }],
      [
        'input.messages.0.content.0.imageUrl',
        { messages: [{ role: 'USER', content: [{ imageUrl: 'data:image/png;base64,AAAA' }] }] },
      ],
      ['input.messages.0.content.0', { messages: [{ role: 'USER', content: [{}] }] }],
      ['input.toolName', { toolName: 'nothing' }],
      ['input.toolName', { tools: [{ name: 'count_days' }], toolName: 'count_days' }],
      ['input.toolChoice', { tools: [{ name: 'count_days' }], toolChoice: 'REQUIRED' }],
      ['input.toolChoice', { toolChoice: 'REQUIRED' }],
      ['input.maxTokens', { maxTokens: 0 }],
    ];
    for (const [path, more] of wrong) {
      const input = { model: slug, messages: question('Hello'), ...more };
      const { errors } = await kit.gql(create, { input }, kit.keys.BASIC);
      expect(errors[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        fields: [{ path: path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part)) }],
      });
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  test('requires use:llm_gateway from every caller, including administrators', async () => {
    const { secret } = await kit.createKey('ADMIN', { scopes: ['write:chat', 'read:agents', 'manage:documents'] });
    const before = await kit.fingerprint();
    const completion = { input: { model: slug, messages: question('Hello') } };
    const calls: [string, object][] = [
      [create, completion],
      [embed, { input: { texts: ['a'] } }],
      [draw, { input: { prompt: 'a' } }],
      [models, {}],
      ['query { completionModel(agent: { slug: "x" }) { id } }', {}],
    ];
    const refused = { code: 'FORBIDDEN', reason: 'MISSING_PERMISSION', requiredPermissions: ['use:llm_gateway'] };
    for (const key of [kit.keys.LIMITED, secret]) {
      for (const [operation, variables] of calls) {
        const { data, errors } = await kit.gql(operation, variables, key);
        expect([...returned(data), errors[0]?.extensions]).toEqual([refused]);
      }
      const parts = [];
      for await (const part of kit.subscribe(stream, completion, key)) parts.push(part);
      expect(parts).toMatchObject([{ errors: [{ extensions: refused }] }]);
    }
    expect(await kit.fingerprint()).toBe(before);
  });
});
