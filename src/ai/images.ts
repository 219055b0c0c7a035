import { generateImage } from 'ai';
import { type AppError, badInput } from '../errors.ts';
import type { Settings } from '../settings.ts';
import { failureMessage, providerFailure, upstreamError } from './provider-failure.ts';
import { openAICompatibleAt } from './providers.ts';

/** A request for an image. */
interface Drawing {
  prompt: string;
  /** `1024x1024`; null: the model's default. */
  size: string | null;
  /** Reference images, which the model edits. */
  images: readonly Uint8Array[];
}

/** A generated image. */
export interface Drawn {
  base64: string;
  mediaType: string;
}

/** The model that generates images. */
export interface ImageModel {
  modelId: string;
  /**
   * Generates or edits images. Throws UPSTREAM_REJECTED, RATE_LIMITED and UPSTREAM_FAILED as `upstreamError` does, and
   * BAD_USER_INPUT when the provider does not support editing images.
   */
  draw(drawing: Drawing, signal?: AbortSignal): Promise<Drawn>;
}

/** Returns the media type of an image from its first bytes, or null for a type that models do not accept. */
export function imageTypeOf(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'image/webp' : null;
}

/** Creates the image model in the settings, or returns null when there is none. Throws SettingsError. */
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
    return badInput(['input', 'references'], 'is not supported: the image model’s provider does not edit images');
  return upstreamError(code, failureMessage(code, status, 'image model'), rest);
}
