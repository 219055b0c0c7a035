import { createCompletionsService } from '../modules/gateway/completions.service.ts';
import { createEmbeddingsService } from '../modules/gateway/embeddings.service.ts';
import { createImagesService } from '../modules/gateway/images.service.ts';
import { createCompletionModelsService } from '../modules/gateway/models.service.ts';
import type { ChatServices } from './chat.ts';
import type { Foundation } from './foundation.ts';
import type { KnowledgeServices } from './knowledge.ts';
import type { LimitServices } from './limits.ts';
import type { Models } from './models.ts';

/** Creates the services behind the OpenAI-compatible paths. */
export const createGatewayServices = (
  { settings, db, log, metrics, shared }: Foundation,
  models: Models,
  { knowledge, files, runs }: KnowledgeServices & ChatServices,
  { limits, usage }: LimitServices,
) => ({
  completionModels: createCompletionModelsService(db),
  completions: createCompletionsService({
    db,
    knowledge,
    files,
    runs,
    limits,
    usage,
    settings,
    log,
    metrics,
    shared,
    models: models.chat,
  }),
  textEmbeddings: createEmbeddingsService(models.embedding, limits, usage),
  images: createImagesService(models.image, limits, usage),
});
