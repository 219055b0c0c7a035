import { z } from 'zod';
import { databaseId, documentText, plainText } from '../../zod-types.ts';
import { storableDate } from './retrieval.ts';

/** Maximum length of a document, all sections together, in characters. */
const maxDocumentLength = 5_000_000;

/** Only a web address or a path can become a link that readers follow. An empty text counts as absent. */
const link = plainText(2000)
  .refine((address) => isWebLink(address), 'must be an HTTP or HTTPS URL, or a path')
  .nullish()
  .transform((address) => address || null);

const isWebLink = (address: string, base = 'http://server.invalid/') =>
  URL.canParse(address, base) && ['http:', 'https:'].includes(new URL(address, base).protocol);

const tagValue = plainText(2000);

const Content = z.object({
  title: plainText(500).trim().min(1),
  sections: z
    .array(z.object({ text: documentText, link }))
    .min(1)
    .max(1000)
    .refine(
      (sections) => sections.reduce((length, { text }) => length + text.length, 0) <= maxDocumentLength,
      `must contain at most ${maxDocumentLength} characters in total`,
    ),
  metadata: z
    .record(plainText(200), z.union([tagValue, z.array(tagValue).max(100)]))
    .refine((metadata) => Object.keys(metadata).length <= 100, 'must be at most 100 keys')
    .nullish(),
});
/** A person responsible for a document. A blank text counts as absent. */
const ownerText = plainText(500)
  .trim()
  .nullish()
  .transform((text) => text || null);
const Owner = z.object({
  displayName: ownerText,
  firstName: ownerText,
  middleInitial: ownerText,
  lastName: ownerText,
  email: ownerText,
});
const owners = z.array(Owner).max(100).nullish();

export const Ingest = Content.extend({
  id: plainText(500).min(1).nullish(),
  searchTitle: plainText(500).trim().nullish(),
  primaryOwners: owners,
  secondaryOwners: owners,
  source: plainText(50).trim().min(1).nullish(),
  documentUpdatedAt: storableDate.nullish(),
  isPublic: z.boolean().nullish(),
  agentIds: z.array(databaseId).max(100).nullish(),
  projectId: databaseId.nullish(),
});
export const AddToProject = Content.extend({ projectId: databaseId.nullish(), documentId: z.string().nullish() });

export type DocumentContent = z.output<typeof Content>;
export type IngestInput = z.input<typeof Ingest>;
export type AddToProjectInput = z.input<typeof AddToProject>;
