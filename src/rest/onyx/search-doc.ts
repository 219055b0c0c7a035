import { z } from '@hono/zod-openapi';
import { cutText } from '../../unicode.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDateOrNull } from '../shapes.ts';
import { DocumentSource, fromSource } from './sources.ts';

export const Passage = graphql(`
  fragment Passage on SearchHit @_unmask {
    number documentId position title link text source metadata score updatedAt highlights
    primaryOwners secondaryOwners
  }
`);
type Hit = ResultOf<typeof Passage>;

export const SearchDoc = z
  .object({
    document_id: z.string(),
    chunk_ind: z.int(),
    semantic_identifier: z.string(),
    link: z.string().nullable(),
    blurb: z.string(),
    source_type: DocumentSource,
    boost: z.int(),
    hidden: z.boolean(),
    metadata: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    score: z.number().nullable(),
    is_relevant: z.boolean().nullable(),
    relevance_explanation: z.string().nullable(),
    match_highlights: z.array(z.string()),
    updated_at: isoDateOrNull,
    primary_owners: z.array(z.string()).nullable(),
    secondary_owners: z.array(z.string()).nullable(),
    is_internet: z.boolean(),
    file_id: z.string().nullable(),
  })
  .openapi('SearchDoc');

export const SavedSearchDoc = SearchDoc.extend({ db_doc_id: z.int() }).openapi('SavedSearchDoc');

/** The contract has null for a document without owners. */
const namesOrNull = (names: string[]): string[] | null => (names.length > 0 ? names : null);

/** Length of a passage in a blurb, in UTF-16 units. */
const blurbLength = 400;

export const searchDoc = (hit: Hit): z.input<typeof SearchDoc> => ({
  document_id: hit.documentId,
  chunk_ind: hit.position,
  semantic_identifier: hit.title,
  link: hit.link,
  blurb: hit.text.length > blurbLength ? `${cutText(hit.text, blurbLength)}…` : hit.text,
  source_type: fromSource(hit.source),
  boost: 0,
  hidden: false,
  metadata: hit.metadata as Record<string, string | string[]>,
  score: hit.score,
  is_relevant: null,
  relevance_explanation: null,
  match_highlights: hit.highlights,
  updated_at: hit.updatedAt,
  primary_owners: namesOrNull(hit.primaryOwners),
  secondary_owners: namesOrNull(hit.secondaryOwners),
  is_internet: false,
  file_id: null,
});

export const savedSearchDoc = (hit: Hit): z.input<typeof SavedSearchDoc> => ({
  ...searchDoc(hit),
  db_doc_id: hit.number ?? 0,
});

/** Returns one passage per document, the best first, as in `final_documents` and `top_documents`. */
export const byNumber = (hits: readonly Hit[]): Hit[] =>
  hits.filter((hit, index) => hits.findIndex((other) => other.documentId === hit.documentId) === index);
