import { z } from 'zod';
import type { EmbeddingModel } from '../../ai/embeddings.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import { type Principal, withSetting } from '../../authz/principal.ts';
import { AppError, badInput, parse } from '../../errors.ts';
import { plainText } from '../../zod-types.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { UsageService } from '../limits/usage.service.ts';

/** Maximum estimated tokens of one text. */
const maxTokens = 8192;

const CreateEmbeddings = z.object({
  texts: z
    .array(
      plainText(Number.POSITIVE_INFINITY)
        .min(1, 'must not be empty')
        .refine((text) => estimateTokens(text) <= maxTokens, `must have at most ${maxTokens} tokens`),
    )
    .min(1, 'must not be empty')
    .max(2048),
  dimensions: z.number().int().min(1).max(100_000).nullish(),
});

export type CreateEmbeddingsInput = z.input<typeof CreateEmbeddings>;

export interface TextEmbeddings {
  model: string;
  /** In the order of the texts. */
  vectors: number[][];
  promptTokens: number;
}

/** Creates the service that embeds texts with the server's embedding model, for clients that maintain an index. */
export function createEmbeddingsService(model: EmbeddingModel | null, limits: LimitsService, usage: UsageService) {
  return {
    /**
     * Embeds 1 to 2048 texts of at most 8192 tokens each. Throws NOT_FOUND (no model), BAD_USER_INPUT, RATE_LIMITED,
     * UPSTREAM_FAILED.
     */
    async create(principal: Principal, raw: CreateEmbeddingsInput, signal: AbortSignal): Promise<TextEmbeddings> {
      const { texts, dimensions } = parse(CreateEmbeddings, raw);
      if (!model)
        throw new AppError(
          'NOT_FOUND',
          'EMBEDDINGS_NOT_CONFIGURED',
          withSetting(principal, 'This server has no embedding model.', 'EMBEDDING_MODEL'),
        );
      await limits.admitTurn(principal);
      const { vectors, tokens, estimatedTokens } = await model.embed(texts, signal, dimensions ?? undefined);
      await usage.record(principal, {
        model: model.modelId,
        inputTokens: tokens,
        outputTokens: 0,
        estimatedTokens,
      });
      if (dimensions != null && vectors.some((vector) => vector.length !== dimensions))
        throw badInput(
          ['input', 'dimensions'],
          `is not supported: the model’s vectors have ${vectors[0]?.length} dimensions`,
        );
      return { model: model.modelId, vectors, promptTokens: tokens };
    },
  };
}
