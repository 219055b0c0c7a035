import { embedMany } from 'ai';
import { AppError, badInput } from '../errors.ts';
import type { Settings } from '../settings.ts';
import { failureMessage, providerFailure, upstreamError } from './provider-failure.ts';
import { openAICompatibleAt } from './providers.ts';
import { estimateTokens } from './tokens.ts';

interface Embeddings {
  /** One vector per text, as the model returned it. */
  vectors: number[][];
  /** Token usage, estimated when the provider does not report it. */
  tokens: number;
  /** The estimated part of these tokens. */
  estimatedTokens: number;
}

/** The model that embeds texts. */
export interface EmbeddingModel {
  modelId: string;
  /**
   * Creates embeddings. `dimensions` requests vectors of that length; a provider may ignore it. Throws
   * UPSTREAM_REJECTED, RATE_LIMITED and UPSTREAM_FAILED as `upstreamError` does, and BAD_USER_INPUT when the provider
   * rejects the dimensions.
   */
  embed(texts: readonly string[], signal?: AbortSignal, dimensions?: number): Promise<Embeddings>;
}

/** Number of texts per call to the provider. */
const batchSize = 96;

/** Creates the embedding model in the settings, or returns null when there is none. Throws SettingsError. */
export function embeddingModel(settings: Settings['embeddings']): EmbeddingModel | null {
  if (settings === null) return null;
  const model = openAICompatibleAt(settings, 'EMBEDDING').embeddingModel(settings.model);
  return {
    modelId: settings.model,
    async embed(texts, signal, dimensions) {
      const options = {
        ...(signal && { abortSignal: signal }),
        ...(dimensions !== undefined && { providerOptions: { openaiCompatible: { dimensions } } }),
      };
      const vectors: number[][] = [];
      let tokens = 0;
      let estimatedTokens = 0;
      for (let start = 0; start < texts.length; start += batchSize) {
        const values = texts.slice(start, start + batchSize);
        const { embeddings, usage } = await embedMany({ model, values, ...options }).catch((error: unknown) => {
          throw failure(error, dimensions !== undefined);
        });
        // With a missing vector, the others would belong to the wrong texts.
        if (embeddings.length !== values.length)
          throw new AppError(
            'UPSTREAM_FAILED',
            'UPSTREAM_FAILED',
            'The embedding model’s provider did not return a vector for every text.',
          );
        vectors.push(...embeddings);
        const reported = Number.isFinite(usage.tokens)
          ? Math.min(Math.max(0, Math.round(usage.tokens)), 0x7fff_ffff)
          : 0;
        const estimate = reported > 0 ? 0 : values.reduce((sum, text) => sum + estimateTokens(text), 0);
        tokens += reported + estimate;
        estimatedTokens += estimate;
      }
      return { vectors, tokens, estimatedTokens };
    },
  };
}

function failure(error: unknown, resized: boolean): AppError {
  const { code, status, ...rest } = providerFailure(error);
  if (resized && code === 'REQUEST_REJECTED')
    return badInput(['input', 'dimensions'], 'was rejected by the embedding model’s provider');
  return upstreamError(code, failureMessage(code, status, 'embedding model'), rest);
}
