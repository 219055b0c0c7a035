import { embeddingModel } from '../ai/embeddings.ts';
import { imageModel } from '../ai/images.ts';
import { chatModels } from '../ai/providers.ts';
import { byAnyName } from '../modules/chat/overrides.ts';
import type { Foundation } from './foundation.ts';

/** Creates the clients of the model providers that the settings name. */
export const createModels = ({ settings }: Foundation) => ({
  chat: byAnyName(chatModels(settings.model)),
  embedding: embeddingModel(settings.embeddings),
  image: imageModel(settings.images),
});
export type Models = ReturnType<typeof createModels>;
