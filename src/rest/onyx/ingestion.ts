import { z } from '@hono/zod-openapi';
import { graphql } from '../graphql.ts';
import { type AnyRow, row } from '../row.ts';
import { coded } from './errors.ts';
import { everything, nothing } from './shapes.ts';

const tag = 'Ingestion';

const Section = z
  .object({
    text: z.string().nullish(),
    link: z.string().nullish(),
    image_file_id: z.null().optional().openapi({ description: 'Images are not indexed: only null.' }),
  })
  .openapi('TextSection');

const Expert = z
  .looseObject({ display_name: z.string().nullish(), email: z.string().nullish() })
  .openapi('BasicExpertInfo');

/** Metadata values that are no text are made into one, as the reference does. */
const metadataValue = z.unknown().transform((value) => {
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
  return typeof value === 'string' ? value : JSON.stringify(value);
});

const DocumentBase = z
  .object({
    id: z.string().nullish(),
    sections: z.array(Section).min(1),
    source: z.string().nullish(),
    semantic_identifier: z.string(),
    metadata: z.record(z.string(), metadataValue),
    title: z.string().nullish(),
    doc_updated_at: z.iso.datetime({ offset: true, local: true }).nullish(),
    chunk_count: z.int().nullish(),
    primary_owners: z.array(Expert).nullish(),
    secondary_owners: z.array(Expert).nullish(),
    from_ingestion_api: z.boolean().optional(),
    additional_info: z.unknown().optional(),
    external_access: z.unknown().optional(),
    doc_metadata: z.record(z.string(), z.unknown()).nullish(),
  })
  .openapi('DocumentBase');

const DocMinimalInfo = z
  .object({ document_id: z.string(), semantic_id: z.string(), link: z.string().nullable() })
  .openapi('DocMinimalInfo');

export const ingestionRows: AnyRow[] = [
  row({
    method: 'get',
    path: '/onyx-api/ingestion',
    tag,
    summary: 'List documents',
    reply: z.array(DocMinimalInfo),
    document: graphql(
      `query ListDocuments($first: Int!) { documents(first: $first) { nodes { documentId title link } } }`,
    ),
    variables: () => ({ first: everything }),
    output: ({ documents }) =>
      documents.nodes.map(({ documentId, title, link }) => ({ document_id: documentId, semantic_id: title, link })),
  }),
  row({
    method: 'post',
    path: '/onyx-api/ingestion',
    tag,
    summary: 'Add or replace a document; it can be found as soon as this answers',
    body: z.object({ document: DocumentBase, cc_pair_id: z.int().nullish() }).openapi('IngestionDocument'),
    reply: z.object({ document_id: z.string(), already_existed: z.boolean() }).openapi('IngestionResult'),
    document: graphql(
      `mutation IngestDocument($input: IngestDocumentInput!) {
        ingestDocument(input: $input) { alreadyExisted document { documentId } }
      }`,
    ),
    variables: ({ body: { document } }) => ({
      input: {
        documentId: document.id,
        title: document.title ?? document.semantic_identifier,
        sections: document.sections.map(({ text, link }) => ({ text: text ?? '', link })),
        source: document.source,
        metadata: document.metadata,
        documentUpdatedAt: document.doc_updated_at ? new Date(document.doc_updated_at) : null,
      },
    }),
    output: ({ ingestDocument: { alreadyExisted, document } }) => ({
      document_id: document.documentId,
      already_existed: alreadyExisted,
    }),
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? coded(400, 'VALIDATION_ERROR', error.message) : null),
  }),
  row({
    method: 'delete',
    path: '/onyx-api/ingestion/{document_id}',
    tag,
    summary: 'Delete a document',
    params: z.object({ document_id: z.string() }),
    reply: nothing,
    document: graphql(
      `mutation DeleteDocument($id: String!) { deleteDocument(input: { documentId: $id }) { deletedDocumentId } }`,
    ),
    variables: ({ params }) => ({ id: params.document_id }),
    output: () => null,
    failure: (error) => (error.code === 'NOT_FOUND' ? coded(404, 'DOCUMENT_NOT_FOUND', 'Document not found') : null),
  }),
];
