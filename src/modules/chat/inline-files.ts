import { z } from 'zod';
import { badInput } from '../../errors.ts';
import { acceptedTypes } from '../files/extract/kinds.ts';
import type { Upload } from '../files/files.service.ts';
import { plainText } from '../input.ts';

/** A file that comes with a message, in it. */
export const Attachment = z.object({
  name: plainText(255),
  mediaType: plainText(255).regex(/^[\w.+-]+\/[\w.+-]+$/, 'is not a media type'),
  base64: z.base64('is not Base64'),
});

/** As clients call it that do not know better. */
const mediaTypeOf = (text: string): string => {
  const type = text.toLowerCase();
  return type === 'image/jpg' ? 'image/jpeg' : type;
};

/** A name with the extension that its media type has, where it has none of its own. */
const namedAs = (name: string, mediaType: string): string =>
  /\.[^./\\]+$/.test(name) ? name : `${name || 'file'}${acceptedTypes[mediaType]?.[0] ?? ''}`;

/**
 * The attachment at that place of the input as something to upload. `refusal` says why a file is not taken. Throws
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
    throw badInput([...at, 'mediaType'], 'is not a type of image that is taken');
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  const named = namedAs(name, type);
  const reason = refusal(named, bytes);
  if (reason !== null) throw badInput(at, `the file ${JSON.stringify(named)} ${reason}`);
  return { name: named, bytes: async () => bytes };
}
