import { z } from '@hono/zod-openapi';
import { type AppError, notFound } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { anythingllm, failed } from './dialect.ts';
import {
  AddedFields,
  Details,
  DocResults,
  DocumentFile,
  docResult,
  documentFile,
  FileEntryFields,
  folderName,
  UploadForm,
  Workspaces,
} from './document-shapes.ts';

const tag = 'AnythingLLM documents';
const common = { tag, dialect: anythingllm } as const;

const unread = (status: number, error: string): Failure => ({
  status,
  body: { success: false, error, documents: [] },
});

const first = ({ details }: AppError) => details.fields?.[0] ?? { path: [], message: '' };

/** Returns the first reason why a document was rejected. */
const notTaken = (error: AppError): Failure | null => {
  if (error.code !== 'BAD_USER_INPUT') return null;
  const { path, message } = first(error);
  return unread(path[1] === 'folderName' ? 400 : 422, message);
};

/** An invalid list of workspaces has its own response. */
const wrongWorkspaces = (error: AppError): Failure | null => {
  const { path, message } = first(error);
  return path[1] === 'addToWorkspaces' ? { status: 422, body: { success: false, error: message } } : null;
};

const UploadDocuments = graphql(
  `mutation UploadDocuments($input: UploadDocumentsInput!) {
    uploadDocuments(input: $input) { added { ...AnythingLLMAdded } }
  }`,
  [AddedFields],
);

const upload = (path: string, summary: string, params: z.ZodType<{ folderName?: string | undefined }>): AnyEndpoint =>
  endpoint({
    ...common,
    method: 'post',
    path,
    summary,
    params,
    form: 'files',
    body: UploadForm,
    reply: DocResults,
    document: UploadDocuments,
    variables: ({ params: { folderName: folder }, body }) => ({
      input: {
        files: body.file,
        folder: folder ?? null,
        agentSlugs: body.addToWorkspaces,
        metadata: body.metadata,
      },
    }),
    output: ({ uploadDocuments: { added } }, { params: { folderName: folder } }) => ({
      success: true as const,
      error: null,
      documents: added.map((document) => docResult(document, { named: folder !== undefined })),
    }),
    invalid: (error) => {
      const { path, message } = first(error);
      if (path[0] === 'path') return null;
      const problem = path[1] === 'file' ? 'Unexpected field' : message;
      return (
        wrongWorkspaces(error) ?? { status: 400, body: { success: false, error: `Invalid file upload. ${problem}` } }
      );
    },
    failure: notTaken,
  });

const LinkBody = z
  .object({
    link: z.string().catch('').openapi({ type: 'string', description: 'The http or https URL of the web page.' }),
    addToWorkspaces: Workspaces,
    scraperHeaders: z
      .record(z.string(), z.unknown())
      .catch({})
      .transform((headers) =>
        Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [{ name, value }] : [])),
      )
      .openapi({
        type: 'object',
        description: 'Headers to send with the request, only to the origin of the link. At most 50.',
      }),
    metadata: Details,
  })
  .openapi('AnythingLLMLink');

const TextBody = z
  .object({
    textContent: z.string().catch('').openapi({ type: 'string' }),
    addToWorkspaces: Workspaces,
    metadata: Details,
  })
  .openapi('AnythingLLMRawText');

const noTitle =
  "You are missing required metadata key:value pairs in your request. Required metadata key:values are 'title'";
const noText = "The 'textContent' key cannot have an empty value.";

const metadataSchema = {
  url: 'string | nullable',
  title: 'string',
  docAuthor: 'string | nullable',
  description: 'string | nullable',
  docSource: 'string | nullable',
  chunkSource: 'string | nullable',
  published: 'epoch timestamp in ms | nullable',
} as const;

const Viewer = graphql(`query AnythingLLMDocumentViewer { viewer { role } }`);

export const documentEndpoints: AnyEndpoint[] = [
  upload('/v1/document/upload', 'Add the text of a file', z.object({})),
  upload(
    '/v1/document/upload/{folderName}',
    'Add the text of a file to a folder; creates the folder if it does not exist',
    z.object({ folderName }),
  ),
  endpoint({
    ...common,
    method: 'post',
    path: '/v1/document/upload-link',
    summary: 'Add the text of a web page',
    body: LinkBody,
    reply: DocResults,
    document: graphql(
      `mutation AddLinkDocument($input: AddLinkDocumentInput!) {
        addLinkDocument(input: $input) { added { ...AnythingLLMAdded } }
      }`,
      [AddedFields],
    ),
    variables: ({ body: { link, addToWorkspaces, scraperHeaders, metadata } }) => ({
      input: { url: link, headers: scraperHeaders, agentSlugs: addToWorkspaces, metadata },
    }),
    output: ({ addLinkDocument: { added } }) => ({
      success: true as const,
      error: null,
      documents: added.map((document) => docResult(document)),
    }),
    invalid: wrongWorkspaces,
    failure: (error, input) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      const { path, message } = first(error);
      const { link = '' } = (input?.body ?? {}) as { link?: string };
      return unread(
        422,
        path[1] === 'link' && link !== '' ? `No URL content found at ${link}. ${message}` : error.message,
      );
    },
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/v1/document/raw-text',
    summary: 'Add a text as a document',
    body: TextBody,
    reply: DocResults,
    document: graphql(
      `mutation AddTextDocument($input: AddTextDocumentInput!) {
        addTextDocument(input: $input) { added { ...AnythingLLMAdded } }
      }`,
      [AddedFields],
    ),
    variables: ({ body: { textContent, addToWorkspaces, metadata } }) => ({
      input: { text: textContent, agentSlugs: addToWorkspaces, metadata },
    }),
    output: ({ addTextDocument: { added } }) => ({
      success: true as const,
      error: null,
      documents: added.map((document) => docResult(document)),
    }),
    invalid: wrongWorkspaces,
    failure: (error, input) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      const { textContent, metadata } = (input?.body ?? {}) as Partial<z.output<typeof TextBody>>;
      const told = !metadata?.title?.trim() ? noTitle : !textContent?.trim() ? noText : null;
      return told === null ? unread(422, error.message) : { status: 422, body: { success: false, error: told } };
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/document/accepted-file-types',
    summary: 'List the accepted file types',
    reply: z.object({ types: z.record(z.string(), z.array(z.string())) }),
    document: graphql(`query ReadableTypes { acceptedDocumentTypes { mediaType extensions } }`),
    variables: () => ({}),
    output: ({ acceptedDocumentTypes }) => ({
      types: Object.fromEntries(acceptedDocumentTypes.map(({ mediaType, extensions }) => [mediaType, extensions])),
    }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/document/metadata-schema',
    summary: 'Get the metadata schema for texts',
    reply: z.object({ schema: z.record(z.string(), z.string()) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => ({ schema: metadataSchema }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/document/generated-files/{filename}',
    summary: 'Download a file generated by an agent (not supported: agents of this server generate no files)',
    params: z.object({ filename: z.string().regex(/^[a-z]+-[0-9a-f-]{36}\.\w+$/i) }),
    reply: z.string(),
    format: 'text',
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => {
      throw notFound('FILE_NOT_FOUND');
    },
    invalid: () => failed(400, 'Invalid filename format'),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/document/{docName}',
    summary: 'Get the properties of a document',
    params: z.object({ docName: z.string() }),
    reply: z.object({
      document: DocumentFile,
      localFiles: z.object({ name: z.string(), type: z.literal('folder'), items: z.array(DocumentFile) }).openapi({
        description:
          'The same document in a folder, for clients that follow the published API documentation of AnythingLLM.',
      }),
    }),
    document: graphql(
      `query ReadDocument($location: String!) { document: documentByLocation(location: $location) { ...AnythingLLMFileEntry } }`,
      [FileEntryFields],
    ),
    variables: ({ params }) => ({ location: params.docName }),
    partial: true,
    output: ({ document }) => {
      const file = documentFile(document);
      return { document: file, localFiles: { name: 'documents', type: 'folder' as const, items: [file] } };
    },
    failure: ({ code }) => (code === 'NOT_FOUND' ? { status: 404, body: 'Not Found' } : null),
  }),
];
