import { z } from 'zod';
import { type Drawn, type ImageModel, imageTypeOf } from '../../ai/images.ts';
import { estimateTokens, imageTokens } from '../../ai/tokens.ts';
import { type Principal, withSetting } from '../../authz/principal.ts';
import { AppError, badInput, parse } from '../../errors.ts';
import type { IncomingFile } from '../../http/multipart.ts';
import { blank, plainText } from '../../zod-types.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { UsageService } from '../limits/usage.service.ts';

/** The message for a request without a prompt. */

/** Maximum size of a reference image in bytes. */
const maxReferenceBytes = 25 * 1024 * 1024;

const CreateImage = z.object({
  prompt: plainText(32_000).refine((prompt) => prompt.trim() !== '', blank),
  size: z
    .string()
    .regex(/^[1-9]\d{0,4}x[1-9]\d{0,4}$/, 'must be width and height: 1024x1024')
    .nullish(),
  references: z.array(z.custom<IncomingFile>()).max(10).nullish(),
});

export interface CreateImageInput {
  prompt: string;
  size?: string | null | undefined;
  references?: readonly IncomingFile[] | null | undefined;
}

/** Throws BAD_USER_INPUT for a file that is not an image. */
async function read(file: IncomingFile, index: number): Promise<Uint8Array> {
  const path = ['input', 'references', index];
  if (file.size > maxReferenceBytes) throw badInput(path, `must have at most ${maxReferenceBytes} bytes`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (imageTypeOf(bytes) === null) throw badInput(path, 'must be a PNG, JPEG or WebP image');
  return bytes;
}

/** Creates the service that generates images with the server's image model. */
export function createImagesService(model: ImageModel | null, limits: LimitsService, usage: UsageService) {
  return {
    /**
     * Generates an image, optionally from reference images. The prompt has at most 32,000 characters; usage is
     * estimated. Throws NOT_FOUND (no model), BAD_USER_INPUT, RATE_LIMITED, UPSTREAM_FAILED.
     */
    async create(principal: Principal, raw: CreateImageInput, signal: AbortSignal): Promise<Drawn> {
      const { prompt, size, references } = parse(CreateImage, raw);
      if (!model)
        throw new AppError(
          'NOT_FOUND',
          'IMAGES_NOT_CONFIGURED',
          withSetting(principal, 'This server has no image model.', 'IMAGE_MODEL'),
        );
      const images = await Promise.all((references ?? []).map(read));
      await limits.admitTurn(principal);
      const drawn = await model.draw({ prompt, size: size ?? null, images }, signal);
      const tokens = estimateTokens(prompt) + images.length * imageTokens;
      await usage.record(principal, {
        model: model.modelId,
        inputTokens: tokens,
        outputTokens: 0,
        estimatedTokens: tokens,
      });
      return drawn;
    },
  };
}
