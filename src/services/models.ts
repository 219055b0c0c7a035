import { embeddingModel } from '../ai/embeddings.ts';
import { imageModel } from '../ai/images.ts';
import { observedChatModels, observedEmbeddings, observedImages } from '../ai/observed-models.ts';
import { chatModels } from '../ai/providers.ts';
import { byAnyName } from '../modules/chat/overrides.ts';
import type { Foundation } from './foundation.ts';

/** Creates the clients of the model providers that the settings name. */
export const createModels = ({ settings, metrics }: Foundation) => ({
  chat: byAnyName(observedChatModels(chatModels(settings.model), metrics)),
  embedding: observedEmbeddings(embeddingModel(settings.embeddings), metrics),
  image: observedImages(imageModel(settings.images), metrics),
});
export type Models = ReturnType<typeof createModels>;
