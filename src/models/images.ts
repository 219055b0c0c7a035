import { generateImage } from 'ai';
import { type AppError, badInput } from '../errors.ts';
import type { Settings } from '../settings.ts';
import { failureMessage, providerFailure, upstreamError } from './provider-failure.ts';
import { openAICompatibleAt } from './providers.ts';

/** What is to be drawn. */
export interface Drawing {
  prompt: string;
  /** `1024x1024`; null: as the model likes. */
  size: string | null;
  /** Images to draw from: with some, the model edits them. */
  images: readonly Uint8Array[];
}

/** An image that was drawn. */
export interface Drawn {
  base64: string;
  mediaType: string;
}

/** The model that draws. */
export interface ImageModel {
  modelId: string;
  /**
   * Throws UPSTREAM_REJECTED, RATE_LIMITED and UPSTREAM_FAILED as `upstreamError` does, and BAD_USER_INPUT where the
   * provider does not edit images.
   */
  draw(drawing: Drawing, signal?: AbortSignal): Promise<Drawn>;
}

/** The type of an image by its first bytes; null for what is none that models take. */
export function imageTypeOf(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'image/webp' : null;
}

/** The image model that the settings name; null where they name none. Throws SettingsError. */
export function imageModel(settings: Settings['images']): ImageModel | null {
  if (settings === null) return null;
  const model = openAICompatibleAt(settings, 'IMAGE').imageModel(settings.model);
  return {
    modelId: settings.model,
    async draw({ prompt, size, images }, signal) {
      const { image } = await generateImage({
        model,
        prompt: images.length > 0 ? { text: prompt, images: [...images] } : prompt,
        ...(size !== null && { size: size as `${number}x${number}` }),
        ...(signal && { abortSignal: signal }),
      }).catch((error: unknown) => {
        throw failure(error, images.length > 0);
      });
      return { base64: image.base64, mediaType: image.mediaType };
    },
  };
}

function failure(error: unknown, edits: boolean): AppError {
  const { code, status, ...rest } = providerFailure(error);
  if (edits && (status === 404 || status === 405))
    return badInput(['input', 'references'], 'cannot be used: the image model’s provider does not edit images');
  return upstreamError(code, failureMessage(code, status, 'image model'), rest);
}
