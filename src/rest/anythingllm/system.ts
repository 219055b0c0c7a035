import { z } from '@hono/zod-openapi';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type Present, type ResultOf } from '../graphql.ts';
import { anythingllm } from './dialect.ts';

const tag = 'AnythingLLM system';

const SystemSettings = graphql(`
  query SystemSettings {
    authentication { multiUserMode registration passwordMinLength passwordMaxLength }
    preferences { supportEmail appName pageTitle pageFavicon logoFileName }
    serverSettings {
      ownPassword hasPassages
      languageModel { provider model otherModels baseUrl apiKeyConfigured contextTokens vision }
      embeddingModel { model baseUrl apiKeyConfigured }
      imageModel { model baseUrl apiKeyConfigured }
    }
  }
`);

/** Selects one field, to require its permission. */
const Administered = graphql(`query AdministeredSettings { serverSettings { ownPassword } }`);

const text = z.string().nullable();
const Settings = z
  .object({
    RequiresAuth: z.boolean(),
    AuthToken: z.boolean(),
    JWTSecret: z.boolean(),
    MultiUserMode: z.boolean(),
    DisableTelemetry: z.literal('true'),
    VectorDB: z.string(),
    PineConeKey: z.literal(false),
    PineConeIndex: z.null(),
    HasExistingEmbeddings: z.boolean(),
    HasCachedEmbeddings: z.boolean(),
    EmbeddingEngine: text.openapi({
      description: 'The embedding engine; null when the server has no embedding model and searches by words only.',
    }),
    EmbeddingModelPref: text,
    EmbeddingBasePath: text,
    GenericOpenAiEmbeddingApiKey: z.boolean(),
    LLMProvider: z
      .string()
      .openapi({ description: 'The provider of the language model: `embedded` or `generic-openai`.' }),
    LLMModel: text,
    GenericOpenAiBasePath: text,
    GenericOpenAiModelPref: text,
    GenericOpenAiTokenLimit: z.int(),
    GenericOpenAiKey: z.boolean(),
    ImageGenerationProvider: text,
    ImageGenerationModelPref: text,
    PasswordMinChar: z.int(),
    PasswordMaxChar: z.int(),
    SimpleSSOEnabled: z.literal(false),
    support_email: text,
    custom_app_name: text,
    meta_page_title: text,
    meta_page_favicon: text,
    logo_filename: text,
  })
  .openapi('AnythingLLMSettings', {
    description:
      'The settings of this server under the names that AnythingLLM uses. A secret is only reported as configured or not configured.',
  });

/** The name of these clients for a server with OpenAI's protocol. */
const generic = 'generic-openai';

function settingsOf({ authentication, preferences, serverSettings }: Present<ResultOf<typeof SystemSettings>>) {
  const { languageModel, embeddingModel, imageModel, hasPassages, ownPassword } = serverSettings;
  return {
    // A server without people requires its password if it has one; with people it always requires a login.
    RequiresAuth: ownPassword || authentication.multiUserMode,
    AuthToken: ownPassword,
    JWTSecret: false,
    MultiUserMode: authentication.multiUserMode,
    DisableTelemetry: 'true' as const,
    VectorDB: 'pgvector',
    PineConeKey: false as const,
    PineConeIndex: null,
    HasExistingEmbeddings: hasPassages,
    HasCachedEmbeddings: hasPassages,
    EmbeddingEngine: embeddingModel && generic,
    EmbeddingModelPref: embeddingModel?.model ?? null,
    EmbeddingBasePath: embeddingModel?.baseUrl ?? null,
    GenericOpenAiEmbeddingApiKey: embeddingModel?.apiKeyConfigured ?? false,
    LLMProvider: languageModel.provider === 'EMBEDDED' ? 'embedded' : generic,
    LLMModel: languageModel.model,
    GenericOpenAiBasePath: languageModel.baseUrl,
    GenericOpenAiModelPref: languageModel.model,
    GenericOpenAiTokenLimit: languageModel.contextTokens,
    GenericOpenAiKey: languageModel.apiKeyConfigured,
    ImageGenerationProvider: imageModel && generic,
    ImageGenerationModelPref: imageModel?.model ?? null,
    PasswordMinChar: authentication.passwordMinLength,
    PasswordMaxChar: authentication.passwordMaxLength,
    SimpleSSOEnabled: false as const,
    support_email: preferences.supportEmail,
    custom_app_name: preferences.appName,
    meta_page_title: preferences.pageTitle,
    meta_page_favicon: preferences.pageFavicon,
    logo_filename: preferences.logoFileName,
  };
}

/** The environment variable that corresponds to a key of these clients. The first match applies. */
const environment: readonly [key: RegExp, setting: string][] = [
  [/^LLMProvider$/, 'LLM_PROVIDER'],
  [/^EmbeddingEngine$|^EmbeddingModelPref$|EmbeddingModelPref$/, 'EMBEDDING_MODEL'],
  [/^EmbeddingBasePath$|EmbeddingBasePath$/, 'EMBEDDING_BASE_URL'],
  [/Embedding(Api)?Key$/i, 'EMBEDDING_API_KEY'],
  [/^ImageGeneration(Provider|Model|ModelPref)$/, 'IMAGE_MODEL'],
  [/^ImageGeneration\w*BasePath$/, 'IMAGE_BASE_URL'],
  [/^ImageGeneration\w*Key$/, 'IMAGE_API_KEY'],
  [/^LLMModel$|ModelPref$/, 'LLM_MODEL'],
  [/TokenLimit$/, 'LLM_CONTEXT_TOKENS'],
  [/^VectorDB$|^(PineCone|Chroma|Weaviate|Qdrant|Milvus|Zilliz|AstraDB|PGVector)\w+$/, 'DATABASE_URL'],
  [/BasePath$|^(AzureOpenAi|LocalAi|HuggingFaceLLM)Endpoint$/, 'LLM_BASE_URL'],
  [
    /^(OpenAi|AzureOpenAi|GenericOpenAi|Mistral|Groq|Ollama\w*|DeepSeek|xAI)\w*Key$|(LLM|Ai|AI|LM)Api(Key|KEY)$/,
    'LLM_API_KEY',
  ],
  [
    /^(Anthropic|Gemini|OpenRouter|Perplexity|Cohere|TogetherAi|FireworksAi|LocalAi|LiteLLM)\w*(Key|KEY)$/,
    'LLM_API_KEY',
  ],
  [/^AuthToken$/, 'AUTH_TOKEN'],
  [/^JWTSecret$/, 'SECRET_KEY'],
];

/**
 * Returns why the first key that would change a setting is rejected, or false when all keys are accepted. A value of
 * asterisks counts as absent.
 */
function refusal(body: Record<string, unknown>): string | false {
  for (const [key, value] of Object.entries(body)) {
    if (typeof value === 'string' && /^\*+$/.test(value)) continue;
    const setting = environment.find(([shape]) => shape.test(key))?.[1];
    if (setting) return `${key} is set by the environment of this server: ${setting}`;
  }
  return false;
}

export const systemEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/system/env-dump',
    tag,
    summary: 'Return OK without a dump, because the settings come from the environment',
    dialect: anythingllm,
    reply: z.literal('OK'),
    format: 'text',
    document: Administered,
    variables: () => ({}),
    output: () => 'OK' as const,
  }),
  endpoint({
    method: 'get',
    path: '/v1/system',
    tag,
    summary: 'Get the settings of the server',
    dialect: anythingllm,
    reply: z.object({ settings: Settings }).openapi('AnythingLLMSystem'),
    document: SystemSettings,
    variables: () => ({}),
    output: (data) => ({ settings: settingsOf(data) }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/system/update-env',
    tag,
    summary: 'Reject changes to settings, which come from the environment and are fixed until a restart',
    dialect: anythingllm,
    // A record, which keeps the order of the keys.
    body: z.record(z.string(), z.unknown()).openapi('AnythingLLMUpdateEnv', {
      type: 'object',
      properties: {
        VectorDB: { type: 'string', description: 'Example of a known key, which is rejected.' },
        AnotherKey: { type: 'string', description: 'Example of an unknown key, which is ignored.' },
      },
      description:
        'Settings by name. A key that would change a provider, a model, an address or a secret is rejected with the name of the environment variable that controls it, so that a client with an API key cannot redirect the server’s chats. Other keys are ignored.',
    }),
    reply: z
      .object({
        newValues: z.object({}).openapi({ description: 'The changed settings, which are always an empty object.' }),
        error: z
          .union([z.string(), z.literal(false)])
          .openapi({ description: 'The reason why the first known key was rejected; false if no key was rejected.' }),
      })
      .openapi('AnythingLLMUpdateEnvResponse'),
    document: Administered,
    variables: () => ({}),
    output: (_data, { body }) => ({ newValues: {}, error: refusal(body) }),
  }),
];
