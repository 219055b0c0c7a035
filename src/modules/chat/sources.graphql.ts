import { signedIn } from '../../authz/principal.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { File } from '../files/file-type.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { isWhole } from './attachments.ts';

builder.objectFields(SearchHit, (t) => ({
  isWhole: t.boolean({
    description:
      'True when the model received the complete document or its beginning without a search. Of such a document, a message keeps the first 1,000 characters.',
    resolve: isWhole,
  }),
  documentWordCount: t.int({
    nullable: true,
    description: 'The number of words of the complete document; null when it was deleted.',
    resolve: async ({ documentId }, _args, { principal, services }) =>
      (await services.chat.documentSize(signedIn(principal), documentId))?.words ?? null,
  }),
  documentTokenCount: t.int({
    nullable: true,
    description: 'The estimated number of tokens of the complete document; null when it was deleted.',
    resolve: async ({ documentId }, _args, { principal, services }) =>
      (await services.chat.documentSize(signedIn(principal), documentId))?.tokens ?? null,
  }),
}));

/** Maximum size of one image, and of all images, that a response contains. Bytes. */
const most = { image: 1024 * 1024, reply: 32 * 1024 * 1024 };
/** The remaining bytes of a request. */
const rooms = new WeakMap<Context, number>();

builder.prismaObjectField(File, 'dataUrl', (t) =>
  t.string({
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description:
      'The content of an image as a `data:` URL; null for other files, for images larger than 1 MiB, and after 32 MiB of images in one response.',
    select: { id: true, kind: true, size: true, mediaType: true },
    resolve: async ({ id, kind, size, mediaType }, _args, context) => {
      const room = rooms.get(context) ?? most.reply;
      if (kind !== 'IMAGE' || size > most.image || size > room) return null;
      rooms.set(context, room - size);
      const bytes = await context.services.files.bytesIfThere(id);
      return bytes && `data:${mediaType};base64,${Buffer.from(bytes).toString('base64')}`;
    },
  }),
);
