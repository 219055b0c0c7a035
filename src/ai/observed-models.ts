import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import type { Metrics, ModelMetrics } from '../metrics.ts';
import { secondsSince } from '../telemetry/series.ts';
import { failureType, type Span, startSpan } from '../telemetry/tracing.ts';
import type { EmbeddingModel } from './embeddings.ts';
import type { ImageModel } from './images.ts';
import { providerFailure } from './provider-failure.ts';
import type { ChatModel, ChatModels } from './providers.ts';

/** A call to a model, from its start to its end. */
class Call {
  readonly span: Span | null;
  private readonly startedAt = performance.now();
  private isOver = false;
  private hasText = false;

  constructor(
    private readonly metrics: ModelMetrics,
    operation: string,
    { provider, modelId }: Pick<ChatModel, 'provider' | 'modelId'>,
  ) {
    this.span = startSpan(`${operation} ${modelId}`, {
      kind: 'client',
      attributes: {
        'gen_ai.operation.name': operation,
        'gen_ai.provider.name': provider,
        'gen_ai.request.model': modelId,
      },
    });
  }

  /** Runs a part of the call within its span. */
  run<T>(work: () => T): T {
    return this.span ? this.span.run(work) : work();
  }

  /** Records a part of the answer. */
  received(part: LanguageModelV3StreamPart): void {
    if (!this.hasText && (part.type === 'text-delta' || part.type === 'reasoning-delta')) {
      this.hasText = true;
      this.metrics.firstToken.observe(secondsSince(this.startedAt));
    } else if (part.type === 'finish') this.used(part.usage.inputTokens.total, part.usage.outputTokens.total);
    else if (part.type === 'error') this.fail(providerFailure(part.error).code);
  }

  used(inputTokens: number | undefined, outputTokens: number | undefined): void {
    if (inputTokens !== undefined && inputTokens > 0) {
      this.metrics.inputTokens.add(inputTokens);
      this.span?.set({ 'gen_ai.usage.input_tokens': inputTokens });
    }
    if (outputTokens !== undefined && outputTokens > 0) {
      this.metrics.outputTokens.add(outputTokens);
      this.span?.set({ 'gen_ai.usage.output_tokens': outputTokens });
    }
  }

  /** Ends the call. Further calls have no effect. */
  end(failure?: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.metrics.duration.observe(secondsSince(this.startedAt));
    this.span?.end(failure);
  }

  fail(reason: string): void {
    if (this.isOver) return;
    this.metrics.failed(reason);
    this.end(reason);
  }
}

/** Passes the parts of a stream on and records them. The call ends with the stream, or when its reader leaves. */
function observedStream(
  stream: ReadableStream<LanguageModelV3StreamPart>,
  call: Call,
): ReadableStream<LanguageModelV3StreamPart> {
  const reader = stream.getReader();
  return new ReadableStream<LanguageModelV3StreamPart>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            call.end();
            controller.close();
          } else {
            call.received(value);
            controller.enqueue(value);
          }
        } catch (error) {
          call.fail(providerFailure(error).code);
          controller.error(error);
        }
      },
      cancel(reason) {
        call.end();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Returns a chat model that records each attempt of a call: its duration, its tokens and its failure, and a span. A
 * call that its caller aborts has not failed.
 */
function observedModel(chat: ChatModel, metrics: Metrics): ChatModel {
  const { model } = chat;
  const recorded = metrics.model('chat', chat.provider, chat.modelId);
  const failed = (call: Call, error: unknown, signal: AbortSignal | undefined) => {
    if (signal?.aborted) call.end();
    else call.fail(providerFailure(error).code);
  };
  const observed: LanguageModelV3 = {
    specificationVersion: model.specificationVersion,
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: model.supportedUrls,
    async doGenerate(options: LanguageModelV3CallOptions) {
      const call = new Call(recorded, 'chat', chat);
      try {
        const result = await call.run(() => model.doGenerate(options));
        call.used(result.usage.inputTokens.total, result.usage.outputTokens.total);
        call.end();
        return result;
      } catch (error) {
        failed(call, error, options.abortSignal);
        throw error;
      }
    },
    async doStream(options: LanguageModelV3CallOptions) {
      const call = new Call(recorded, 'chat', chat);
      // The stream of an aborted call does not always end.
      options.abortSignal?.addEventListener('abort', () => call.end(), { once: true });
      try {
        const { stream, ...rest } = await call.run(() => model.doStream(options));
        return { ...rest, stream: observedStream(stream, call) };
      } catch (error) {
        failed(call, error, options.abortSignal);
        throw error;
      }
    },
  };
  return { ...chat, model: observed };
}

/** Returns chat models that record their calls. */
export function observedChatModels(models: ChatModels, metrics: Metrics): ChatModels {
  const byName = new Map(
    models.names.map((name) => [name, observedModel(models.find(name) as ChatModel, metrics)] as const),
  );
  const [first = models.default.modelId] = models.names;
  return {
    default: byName.get(first) as ChatModel,
    names: models.names,
    find: (name) => byName.get(name) ?? null,
  };
}

/** The provider of embedding and image models. */
const provider = 'openai-compatible';

/** Runs a call whose result arrives at once. */
async function recorded<T>(call: Call, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    const result = await call.run(work);
    call.end();
    return result;
  } catch (error) {
    if (signal?.aborted) call.end();
    else call.fail(failureType(error));
    throw error;
  }
}

/** Returns an embedding model that records its calls. */
export function observedEmbeddings(model: EmbeddingModel | null, metrics: Metrics): EmbeddingModel | null {
  if (!model) return null;
  const { modelId } = model;
  const kept = metrics.model('embedding', provider, modelId);
  return {
    modelId,
    async embed(texts, signal, dimensions) {
      const call = new Call(kept, 'embeddings', { provider, modelId });
      const work = async () => {
        const result = await model.embed(texts, signal, dimensions);
        call.used(result.tokens - result.estimatedTokens, undefined);
        return result;
      };
      return recorded(call, work, signal);
    },
  };
}

/** Returns an image model that records its calls. */
export function observedImages(model: ImageModel | null, metrics: Metrics): ImageModel | null {
  if (!model) return null;
  const { modelId } = model;
  const kept = metrics.model('image', provider, modelId);
  return {
    modelId,
    draw: (drawing, signal) =>
      recorded(new Call(kept, 'generate_content', { provider, modelId }), () => model.draw(drawing, signal), signal),
  };
}
