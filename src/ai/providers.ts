import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { EmbeddingModelV3, ImageModelV3, LanguageModelV3 } from '@ai-sdk/provider';
import { wrapEmbeddingModel, wrapImageModel, wrapLanguageModel } from 'ai';
import { SettingsError } from '../settings.ts';
import { embeddedModel } from './builtin-model.ts';
import { withRetryRules } from './provider-failure.ts';
import { providerFetch } from './provider-fetch.ts';
import { separateReasoning } from './reasoning.ts';
import { redactError, redactErrors, redactionOf } from './redaction.ts';
import { withWholeCharacters } from './whole-characters.ts';

export type ModelProvider = 'embedded' | 'openai-compatible';

/** The settings of the language model: `LLM_*`. */
export interface ModelSettings {
  provider: ModelProvider;
  /** The URL of an OpenAI-compatible server with its version: `http://127.0.0.1:11434/v1`. */
  baseUrl?: string | undefined;
  /** Not needed by most local servers. */
  apiKey?: string | undefined;
  model?: string | undefined;
  /** Further models of the same server that a chat can select. */
  others?: readonly string[] | undefined;
  /** Whether the models accept images. */
  sees?: boolean | undefined;
  /** Maximum tokens of prompt and answer together. */
  contextTokens?: number | undefined;
}

export interface ChatModel {
  model: LanguageModelV3;
  /** As in {@link ModelSettings}. */
  provider: ModelProvider;
  modelId: string;
  /** Maximum tokens of prompt and answer together. */
  contextWindow: number;
  /** Whether it accepts images. */
  sees: boolean;
}

/** Tokens. OpenAI-compatible servers do not report theirs; current models have at least this. */
const CONTEXT_WINDOW = 32_768;

/** The models that chats can use. */
export interface ChatModels {
  /** The model of a chat without a selection. */
  default: ChatModel;
  /** The names that can be selected, the default first. */
  names: readonly string[];
  /** Returns the model with this name, or null. */
  find(name: string): ChatModel | null;
}

/** Creates the models in the settings. Throws SettingsError. */
export function chatModels(settings: ModelSettings): ChatModels {
  const first = chatModel(settings);
  const others = settings.provider === 'embedded' ? [] : (settings.others ?? []);
  const byName = new Map([
    [first.modelId, first],
    ...others.map((modelId) => [modelId, chatModel(settings, { modelId })] as const),
  ]);
  return { default: first, names: [...byName.keys()], find: (name) => byName.get(name) ?? null };
}

/**
 * Creates the model in the settings, or another one of the same provider. The built-in provider has one model and
 * ignores the override. Throws SettingsError; neither that nor an error of a call contains the API key.
 */
export function chatModel(settings: ModelSettings, override: { modelId?: string | undefined } = {}): ChatModel {
  const model = withWholeCharacters(
    settings.provider === 'embedded' ? embeddedModel() : openAICompatible(settings, override.modelId),
  );
  return {
    model,
    provider: settings.provider,
    modelId: model.modelId,
    contextWindow: settings.contextTokens ?? CONTEXT_WINDOW,
    sees: settings.provider !== 'embedded' && (settings.sees ?? false),
  };
}

function openAICompatible({ baseUrl, apiKey, model }: ModelSettings, override: string | undefined): LanguageModelV3 {
  const modelId = override ?? model;
  if (!modelId) throw new SettingsError('LLM_MODEL is required with LLM_PROVIDER=openai-compatible');
  if (!baseUrl) throw new SettingsError('LLM_BASE_URL is required with LLM_PROVIDER=openai-compatible');
  const chatModel = openAICompatibleAt({ baseUrl, apiKey }, 'LLM').chatModel(modelId);
  const redact = redactionOf(apiKey);
  return wrapLanguageModel({
    model: chatModel,
    middleware: [separateReasoning(), ...(redact ? [redactErrors(redact)] : [])],
  });
}

/**
 * Returns the models of an OpenAI-compatible server. Errors of its embedding and image models do not include the API
 * key; those of its chat models can. `prefix` is the common prefix of the settings that define the server. Throws
 * SettingsError.
 */
export function openAICompatibleAt(
  { baseUrl, apiKey }: { baseUrl: string; apiKey?: string | undefined },
  prefix: 'LLM' | 'EMBEDDING' | 'IMAGE',
) {
  // `fetch` would reject these with a message that repeats them.
  if (hasCredentials(baseUrl)) throw new SettingsError(`${prefix}_BASE_URL must not contain a user name or password`);
  if (apiKey && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new SettingsError(`${prefix}_API_KEY must consist of printable ASCII characters without spaces`);
  const provider = createOpenAICompatible({
    name: 'openai-compatible',
    baseURL: baseUrl,
    includeUsage: true,
    fetch: providerFetch,
    ...(apiKey && { apiKey }),
  });
  const redact = redactionOf(apiKey);
  const call = <T>(work: () => PromiseLike<T>): Promise<T> =>
    withRetryRules(work).catch((error: unknown) => {
      throw redact ? redactError(error, redact) : error;
    });
  return {
    chatModel: (modelId: string): LanguageModelV3 =>
      wrapLanguageModel({
        model: provider.chatModel(modelId),
        middleware: {
          specificationVersion: 'v3',
          wrapGenerate: ({ doGenerate }) => withRetryRules(doGenerate),
          wrapStream: ({ doStream }) => withRetryRules(doStream),
        },
      }),
    embeddingModel: (modelId: string): EmbeddingModelV3 =>
      wrapEmbeddingModel({
        model: provider.embeddingModel(modelId),
        middleware: { specificationVersion: 'v3', wrapEmbed: ({ doEmbed }) => call(doEmbed) },
      }),
    imageModel: (modelId: string): ImageModelV3 =>
      wrapImageModel({
        model: provider.imageModel(modelId),
        middleware: { specificationVersion: 'v3', wrapGenerate: ({ doGenerate }) => call(doGenerate) },
      }),
  };
}

function hasCredentials(url: string): boolean {
  if (!URL.canParse(url)) throw new SettingsError('LLM_BASE_URL must be an http or https URL');
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}
