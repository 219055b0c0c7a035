import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { type ModelServer, startModelServer } from '../../../test/model-server.ts';
import { rolePermissions } from '../../authz/permissions.ts';

let kit: Kit;
let embeddings: ModelServer;
beforeAll(async () => {
  embeddings = await startModelServer();
  kit = await startKit({
    environment: {
      LLM_PROVIDER: 'openai-compatible',
      LLM_BASE_URL: 'http://models.example/v1',
      LLM_MODEL: 'large',
      LLM_API_KEY: 'the-key-of-the-model',
      EMBEDDING_MODEL: 'vectors',
      EMBEDDING_BASE_URL: embeddings.baseUrl,
      AUTH_TOKEN: 'the password of the server',
    },
  });
  await kit.person();
});
afterAll(async () => {
  await kit?.close();
  await embeddings?.close();
});

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;
const fields = `supportEmail appName pageTitle pageFavicon logoFileName footerLinks { icon url } defaultSystemPrompt
  maxTokenLifetimeDays defaultTokenLifetimeDays`;
const read = (key?: string | null) => kit.gql(`{ preferences { ${fields} } }`, {}, key);
const update = (input: object, key?: string | null) =>
  kit.gql(
    `mutation ($input: UpdatePreferencesInput!) { updatePreferences(input: $input) { preferences { ${fields} } } }`,
    { input },
    key,
  );
const prefer = (body: unknown) => kit.rest('POST', '/api/v1/admin/preferences', { body });
const done = { success: true, error: null };
const unset = {
  supportEmail: null,
  appName: null,
  pageTitle: null,
  pageFavicon: null,
  logoFileName: null,
  footerLinks: [],
  defaultSystemPrompt: null,
  maxTokenLifetimeDays: null,
  defaultTokenLifetimeDays: null,
};

describe('preferences', () => {
  test('can be read and changed only with manage:settings', async () => {
    const scopes = [...rolePermissions('ADMIN')].filter((name) => name !== 'manage:settings');
    const scoped = await kit.createKey('ADMIN', { scopes });
    for (const key of [kit.keys.BASIC, kit.keys.LIMITED, scoped.secret])
      for (const attempt of [
        () => read(key),
        () => update({ appName: 'x' }, key),
        () => kit.gql('{ serverSettings { ownPassword } }', {}, key),
      ])
        expect((await unchanged(attempt)).errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'MISSING_PERMISSION',
          requiredPermissions: ['manage:settings'],
        });
    for (const attempt of [() => read(null), () => update({ appName: 'x' }, null)])
      expect(code(await unchanged(attempt))).toBe('UNAUTHENTICATED');
  });

  test('persist until they are cleared, in GraphQL and REST', async () => {
    expect((await read()).data.preferences).toEqual(unset);
    const links = [{ icon: 'globe', url: 'https://example.com/a' }];
    const body = { support_email: 'help@example.com', custom_app_name: 7, footer_data: JSON.stringify(links) };
    expect((await prefer({ ...body, telemetry_id: 'ignored' })).body).toEqual(done);
    const after = { ...unset, supportEmail: 'help@example.com', appName: '7', footerLinks: links };
    expect((await read()).data.preferences).toEqual(after);
    const prompt = { defaultSystemPrompt: 'Be brief.' };
    const named = { ...after, ...prompt, appName: null };
    expect((await update({ ...prompt, clear: ['APP_NAME'] })).data.updatePreferences.preferences).toEqual(named);
    expect(await kit.booted.services.serverSettings.preferences()).toEqual(named);
    // Null leaves a field unchanged, both in REST and in GraphQL.
    const nulls = { support_email: null, footer_data: null, default_system_prompt: null };
    expect((await prefer({ ...nulls, custom_app_name: '' })).body).toEqual(done);
    expect((await update({ supportEmail: null, footerLinks: null, pageTitle: '' })).errors).toEqual([]);
    expect((await read()).data.preferences).toEqual(named);
    expect((await prefer({ support_email: '', footer_data: [], default_system_prompt: '' })).body).toEqual(done);
    expect((await read()).data.preferences).toEqual(unset);
    const four = Array.from({ length: 4 }, () => links[0]);
    expect((await prefer({ footer_data: four })).body).toEqual(done);
    expect((await read()).data.preferences.footerLinks).toHaveLength(3);
    const events = await kit.prisma.auditEvent.findMany({ where: { action: 'preferences.update' } });
    expect(events.map(({ detail }) => detail)).toContainEqual({ changed: ['appName', 'defaultSystemPrompt'] });
  });

  test('keep concurrent changes of different fields', async () => {
    await Promise.all([
      update({ appName: 'Latchkey' }),
      update({ pageTitle: 'Chat' }),
      update({ logoFileName: 'a.png' }),
    ]);
    expect((await read()).data.preferences).toMatchObject({
      appName: 'Latchkey',
      pageTitle: 'Chat',
      logoFileName: 'a.png',
    });
  });

  test.each([
    ['supportEmail', 'support_email', 'nobody'],
    ['appName', 'custom_app_name', 'x'.repeat(101)],
    ['appName', 'custom_app_name', 'a\0b'],
    ['pageFavicon', 'meta_page_favicon', 'javascript:alert(1)'],
    ['logoFileName', 'logo_filename', '../secret.png'],
    ['defaultSystemPrompt', 'default_system_prompt', 'x'.repeat(100_001)],
    ['footerLinks', 'footer_data', [{ icon: 'x', url: 'javascript:alert(1)' }]],
  ])('reject an invalid %s', async (field, key, wrong) => {
    const { errors } = await unchanged(() => update({ [field]: wrong }));
    expect([errors[0]?.extensions.code, errors[0]?.extensions.fields[0].path.slice(0, 2)]).toEqual([
      'BAD_USER_INPUT',
      ['input', field],
    ]);
    const { status, body } = await unchanged(() => prefer({ [key]: wrong }));
    expect([status, body]).toEqual([200, { success: false, error: expect.stringMatching(new RegExp(`^${key} `)) }]);
  });

  test('are not changed by input without known fields or with malformed links', async () => {
    expect(code(await unchanged(() => update({})))).toBe('BAD_USER_INPUT');
    for (const body of [{}, undefined, { memory_enabled: true, hub_api_key: 'x' }])
      expect((await unchanged(() => prefer(body))).body).toEqual(done);
    for (const footer_data of ['not json', '{}', 7, [1]])
      expect((await unchanged(() => prefer({ footer_data }))).body).toEqual({
        success: false,
        error: expect.stringMatching(/^footer_data /),
      });
  });
});

describe('the settings of the server', () => {
  test('are returned under AnythingLLM’s names, without any secret', async () => {
    const { status, body, text } = await kit.rest('GET', '/api/v1/system');
    expect(status).toBe(200);
    expect(body.settings).toMatchObject({
      LLMProvider: 'generic-openai',
      LLMModel: 'large',
      GenericOpenAiBasePath: 'http://models.example/v1',
      GenericOpenAiKey: true,
      EmbeddingEngine: 'generic-openai',
      EmbeddingModelPref: 'vectors',
      GenericOpenAiEmbeddingApiKey: false,
      VectorDB: 'pgvector',
      PineConeKey: false,
      MultiUserMode: true,
      RequiresAuth: true,
      AuthToken: true,
      HasExistingEmbeddings: true,
      PasswordMinChar: 8,
    });
    const { data } = await kit.gql(
      '{ serverSettings { languageModel { provider model baseUrl apiKeyConfigured } imageModel { model } } }',
    );
    expect(data.serverSettings).toEqual({
      languageModel: {
        provider: 'OPENAI_COMPATIBLE',
        model: 'large',
        baseUrl: 'http://models.example/v1',
        apiKeyConfigured: true,
      },
      imageModel: null,
    });
    for (const secret of ['the-key-of-the-model', 'the password of the server'])
      expect(text + JSON.stringify(data)).not.toContain(secret);
  });

  test('cannot be dumped or changed, and a known key is rejected with the name of its environment variable', async () => {
    const dump = await unchanged(() => kit.rest('GET', '/api/v1/system/env-dump'));
    expect([dump.status, dump.text, dump.headers.get('content-type')]).toEqual([
      200,
      'OK',
      'text/plain; charset=UTF-8',
    ]);
    const by = (key: string, setting: string) => `${key} is set by the environment of this server: ${setting}`;
    const cases: [object | undefined, string | false][] = [
      [undefined, false],
      [{ Nonsense: 'x', AnotherKey: 'y' }, false],
      [{ OpenAiKey: '******' }, false],
      [{ AnotherKey: 'y', LLMProvider: 'openai', VectorDB: 'lancedb' }, by('LLMProvider', 'LLM_PROVIDER')],
      [{ OpenAiKey: 'sk-x' }, by('OpenAiKey', 'LLM_API_KEY')],
      [{ AnthropicApiKey: 'x' }, by('AnthropicApiKey', 'LLM_API_KEY')],
      [{ GenericOpenAiBasePath: 'http://x' }, by('GenericOpenAiBasePath', 'LLM_BASE_URL')],
      [{ OllamaLLMModelPref: 'x' }, by('OllamaLLMModelPref', 'LLM_MODEL')],
      [{ EmbeddingEngine: 'x' }, by('EmbeddingEngine', 'EMBEDDING_MODEL')],
      [{ GenericOpenAiEmbeddingApiKey: 'x' }, by('GenericOpenAiEmbeddingApiKey', 'EMBEDDING_API_KEY')],
      [{ VectorDB: 'lancedb' }, by('VectorDB', 'DATABASE_URL')],
      [{ PineConeKey: 'x' }, by('PineConeKey', 'DATABASE_URL')],
      [{ AuthToken: 'x' }, by('AuthToken', 'AUTH_TOKEN')],
    ];
    for (const [body, error] of cases) {
      const answer = await unchanged(() => kit.rest('POST', '/api/v1/system/update-env', { body }));
      expect([answer.status, answer.body], JSON.stringify(body)).toEqual([200, { newValues: {}, error }]);
    }
  });
});
