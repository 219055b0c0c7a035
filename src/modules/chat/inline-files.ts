import { z } from 'zod';
import { badInput } from '../../errors.ts';
import { plainText } from '../../zod-types.ts';
import { acceptedTypes } from '../files/extract/kinds.ts';
import type { Upload } from '../files/upload-file.ts';

/** A file that is sent within a message. */
export const Attachment = z.object({
  name: plainText(255),
  mediaType: plainText(255).regex(/^[\w.+-]+\/[\w.+-]+$/, 'is not a media type'),
  base64: z.base64('is not Base64'),
});

/** Clients that do not know the media type send `application/octet-stream`. */
const mediaTypeOf = (text: string): string => {
  const type = text.toLowerCase();
  return type === 'image/jpg' ? 'image/jpeg' : type;
};

/** Returns a name with the extension of its media type if it has none. */
const namedAs = (name: string, mediaType: string): string =>
  /\.[^./\\]+$/.test(name) ? name : `${name || 'file'}${acceptedTypes[mediaType]?.[0] ?? ''}`;

/**
 * Returns the attachment at this position of the input as an upload. `refusal` returns why a file is rejected. Throws
 * BAD_USER_INPUT.
 */
export function decoded(
  { name, mediaType, base64 }: z.output<typeof Attachment>,
  index: number,
  refusal: (name: string, bytes: Uint8Array) => string | null,
): Upload {
  const type = mediaTypeOf(mediaType);
  const at = ['input', 'attachments', index];
  if (type.startsWith('image/') && !(type in acceptedTypes))
    throw badInput([...at, 'mediaType'], 'must be a supported image type');
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  const named = namedAs(name, type);
  const reason = refusal(named, bytes);
  if (reason !== null) throw badInput(at, `the file ${JSON.stringify(named)} ${reason}`);
  return { name: named, bytes: async () => bytes };
}
