import { signedIn } from '../../authz/principal.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { File } from '../files/file-type.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import { isWhole } from './attachments.ts';
import { Citation } from './events.graphql.ts';
import type { NumberedHit } from './events.ts';
import { ChatMessage } from './messages.graphql.ts';

/** Returns stored passages. They are JSON, in which a date is text. */
const storedHits = (passages: unknown): NumberedHit[] =>
  (passages as (Omit<NumberedHit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

builder.prismaObjectFields(ChatMessage, (t) => ({
  citations: t.field({
    type: [Citation],
    listSize: 10,
    description: 'The citations in the text, in the order of their first use.',
    resolve: async (message, _args, { principal, services }) => {
      const { citations } = await services.chat.references(signedIn(principal), message);
      return citations as unknown as { number: number; documentId: string }[];
    },
  }),
  documents: t.field({
    type: [SearchHit],
    listSize: 10,
    description: 'The passages that the model received for the answer, best first.',
    resolve: async (message, _args, { principal, services }) =>
      storedHits((await services.chat.references(signedIn(principal), message)).passages),
  }),
  searchQuery: t.exposeString('searchQuery', {
    nullable: true,
    description: 'The query of the document search; null when the turn did not search.',
  }),
}));

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
