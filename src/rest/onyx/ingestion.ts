import { z } from '@hono/zod-openapi';
import { notFound } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { ignoring } from '../parameters.ts';
import { everything, nothing } from '../shapes.ts';
import { instant, timestamp } from './chat-shapes.ts';
import { coded } from './errors.ts';
import { DocumentSource } from './sources.ts';

const tag = 'Ingestion';

const Section = z
  .object({
    text: z
      .string()
      .nullish()
      .openapi({ description: 'The text of the section. Required, because only text is indexed.' }),
    link: z.string().nullish(),
    image_file_id: z
      .null('image sections are not supported: send what the image shows as the `text` of a section')
      .optional()
      .openapi({ description: 'Not supported. Only null is accepted.' }),
  })
  .refine(({ text }) => text != null, { path: ['text'], message: 'is required' })
  .openapi('TextSection');

const Expert = z
  .object({
    display_name: z.string().nullish(),
    first_name: z.string().nullish(),
    middle_initial: z.string().nullish(),
    last_name: z.string().nullish(),
    email: z.string().nullish(),
  })
  .openapi('BasicExpertInfo');

const owner = (expert: z.infer<typeof Expert>) => ({
  displayName: expert.display_name,
  firstName: expert.first_name,
  middleInitial: expert.middle_initial,
  lastName: expert.last_name,
  email: expert.email,
});

/** Converts a metadata value to text as the reference does. */
const metadataValue = z.unknown().transform((value) => {
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
  return typeof value === 'string' ? value : JSON.stringify(value);
});

const onlyPublic = 'Not supported. Only an empty list, or any list with `is_public`.';

const ExternalAccess = z
  .object({
    external_user_emails: z.array(z.string()).default([]).openapi({ description: onlyPublic }),
    external_user_group_ids: z.array(z.string()).default([]).openapi({ description: onlyPublic }),
    is_public: z.boolean(),
  })
  .refine(
    (access) => access.is_public || access.external_user_emails.length + access.external_user_group_ids.length === 0,
    'documents cannot be shared with single people or groups: only with everybody (`is_public`), or with nobody else',
  )
  .openapi('ExternalAccess');

const DocumentBase = z
  .object({
    id: z.string().nullish(),
    sections: z.array(Section).min(1),
    source: DocumentSource.nullish(),
    semantic_identifier: z.string().openapi({ description: 'The title that answers and citations show.' }),
    metadata: z.record(z.string(), metadataValue),
    title: z.string().nullish().openapi({
      description:
        'The title that search indexes. Defaults to `semantic_identifier`; when empty, only the text is indexed.',
    }),
    doc_updated_at: timestamp.nullish(),
    chunk_count: ignoring(z.int().nullish(), 'The server counts the passages.'),
    primary_owners: z.array(Expert).nullish(),
    secondary_owners: z.array(Expert).nullish(),
    from_ingestion_api: ignoring(z.boolean().optional(), 'Every document of this path is ingested.'),
    additional_info: ignoring(z.unknown().optional(), 'Use `metadata` instead.'),
    external_access: ExternalAccess.nullish().openapi({
      description:
        'The readers of the document: either all users, or only the owner of the document and administrators. Null leaves an existing document unchanged and makes a new document readable for all users.',
    }),
    doc_metadata: ignoring(z.record(z.string(), z.unknown()).nullish(), 'Use `metadata` instead.'),
  })
  .openapi('DocumentBase');

const ListDocuments = graphql(
  `query ListDocuments($first: Int!, $origins: [DocumentOrigin!]) {
    documents(first: $first, filter: { origins: $origins }) { nodes { documentId title link } }
  }`,
);

/**
 * Documents that clients added for all users by any path: no uploaded files, no documents of projects, not the server's
 * own pages.
 */
const ingested: ('INGESTION' | 'UPLOAD' | 'IMPORT')[] = ['INGESTION', 'UPLOAD', 'IMPORT'];

/** The connector-credential pair of ingested documents, the only one on this server. */
const defaultPair = 1;

const IngestionDocument = z
  .object({
    document: DocumentBase,
    cc_pair_id: z
      .int()
      .nullish()
      .openapi({ description: 'The ID of the connector-credential pair. Defaults to 1, the only pair that exists.' }),
  })
  .openapi('IngestionDocument');

/** Throws NOT_FOUND for a pair other than that of ingested documents. */
function ingestInput({ document, cc_pair_id }: z.infer<typeof IngestionDocument>) {
  if (cc_pair_id != null && cc_pair_id !== defaultPair) throw notFound('CONNECTOR_NOT_FOUND');
  return {
    documentId: document.id,
    title: document.semantic_identifier,
    searchTitle: document.title,
    sections: document.sections.map(({ text, link }) => ({ text: text ?? '', link })),
    source: document.source,
    metadata: document.metadata,
    documentUpdatedAt: document.doc_updated_at ? instant(document.doc_updated_at) : null,
    primaryOwners: document.primary_owners?.map(owner),
    secondaryOwners: document.secondary_owners?.map(owner),
    isPublic: document.external_access?.is_public,
  };
}

const DocMinimalInfo = z
  .object({ document_id: z.string(), semantic_id: z.string(), link: z.string().nullable() })
  .openapi('DocMinimalInfo');

export const ingestionEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/onyx-api/ingestion',
    tag,
    summary: 'List the ingested documents',
    reply: z.array(DocMinimalInfo),
    document: ListDocuments,
    variables: () => ({ first: everything, origins: ingested }),
    output: ({ documents }) =>
      documents.nodes.map(({ documentId, title, link }) => ({ document_id: documentId, semantic_id: title, link })),
  }),
  endpoint({
    method: 'post',
    path: '/onyx-api/ingestion',
    tag,
    summary: 'Create or replace a document and make it searchable immediately',
    body: IngestionDocument,
    reply: z.object({ document_id: z.string(), already_existed: z.boolean() }).openapi('IngestionResult'),
    document: graphql(
      `mutation IngestDocument($input: IngestDocumentInput!) {
        ingestDocument(input: $input) { alreadyExisted document { documentId } }
      }`,
    ),
    variables: ({ body }) => ({ input: ingestInput(body) }),
    output: ({ ingestDocument: { alreadyExisted, document } }) => ({
      document_id: document.documentId,
      already_existed: alreadyExisted,
    }),
    failure: (error, input) => {
      if (error.code === 'NOT_FOUND')
        return coded(404, 'CONNECTOR_NOT_FOUND', `Connector-credential pair ${input?.body.cc_pair_id} does not exist`);
      return error.code === 'BAD_USER_INPUT' || error.code === 'CONFLICT'
        ? coded(400, 'VALIDATION_ERROR', error.message)
        : null;
    },
  }),
  endpoint({
    method: 'delete',
    path: '/onyx-api/ingestion/{document_id}',
    tag,
    summary: 'Delete an ingested document',
    params: z.object({ document_id: z.string() }),
    reply: nothing,
    document: graphql(
      `mutation DeleteDocument($input: DeleteDocumentInput!) { deleteDocument(input: $input) { deletedDocumentId } }`,
    ),
    variables: ({ params }) => ({ input: { documentId: params.document_id, onlyOrigins: ingested } }),
    output: () => null,
    failure: (error) => {
      if (error.code === 'CONFLICT')
        return coded(400, 'VALIDATION_ERROR', 'Document was not created via the ingestion API');
      return error.code === 'NOT_FOUND' ? coded(404, 'DOCUMENT_NOT_FOUND', 'Document not found') : null;
    },
  }),
];
