import { z } from 'zod';
import { documentText, plainText } from '../../zod-types.ts';
import { FolderName } from './location.ts';
import { storableDate } from './retrieval.ts';

/** A property of a document; an empty text counts as absent. */
const detail = (max: number) =>
  plainText(max)
    .trim()
    .nullish()
    .transform((text) => text || null);
const details = {
  url: detail(2000),
  docAuthor: detail(500),
  description: detail(2000),
  docSource: detail(500),
  chunkSource: detail(2000),
  published: storableDate.nullish(),
};
const noDetails = { title: null, url: null, docAuthor: null, description: null, docSource: null, chunkSource: null };
const Details = z
  .object({ title: detail(500), ...details })
  .nullish()
  .transform((metadata) => metadata ?? { ...noDetails, published: null });

/** Where the documents are placed; blank slugs are ignored. */
const placement = {
  folder: FolderName.nullish().transform((name) => name ?? null),
  agentSlugs: z
    .array(plainText(300))
    .max(100)
    .nullish()
    .transform((slugs) => (slugs ?? []).map((slug) => slug.trim().toLowerCase()).filter(Boolean)),
};

export const UploadDocuments = z.object({ ...placement, metadata: Details });
export const AddText = z.object({
  ...placement,
  text: documentText.refine((text) => text.trim() !== '', 'must not be empty'),
  metadata: z.object({
    title: detail(500)
      .transform((title) => title ?? '')
      .pipe(z.string().min(1, 'must not be empty')),
    ...details,
  }),
});
const Header = z.object({
  name: z.string().regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'is not a valid header name'),
  value: z
    .string()
    .max(4000)
    .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'contains characters that are not allowed in a header'),
});
export const AddLink = z.object({
  ...placement,
  url: plainText(2000).trim().min(1, 'must not be empty'),
  headers: z.array(Header).max(50).nullish(),
  metadata: Details,
});

export type UploadDocumentsInput = z.input<typeof UploadDocuments>;
export type AddTextInput = z.input<typeof AddText>;
export type AddLinkInput = z.input<typeof AddLink>;
