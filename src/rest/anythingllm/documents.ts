import { z } from '@hono/zod-openapi';
import { type AppError, badInput, notFound } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { graphql } from '../graphql.ts';
import { everything } from '../onyx/shapes.ts';
import { type AnyRow, row } from '../row.ts';
import { anythingllm, failed } from './dialect.ts';
import {
  AddedFields,
  Details,
  DocResults,
  DocumentFields,
  DocumentFile,
  detailsOf,
  docResult,
  documentFile,
  FileEntry,
  FileEntryFields,
  fileEntry,
  folderName,
  folderOf,
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

/** Of a document that is not taken: what its graph says of the first thing that is wrong. */
const notTaken = (error: AppError): Failure | null => {
  if (error.code !== 'BAD_USER_INPUT') return null;
  const { path, message } = first(error);
  return unread(path[1] === 'folder' ? 400 : 422, message);
};

/** A list of workspaces that is none has an answer of its own. */
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

const upload = (path: string, summary: string, params: z.ZodType<{ folderName?: string | undefined }>): AnyRow =>
  row({
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
    link: z.string().catch('').openapi({ type: 'string', description: 'An http or https address.' }),
    addToWorkspaces: Workspaces,
    scraperHeaders: z
      .record(z.string(), z.unknown())
      .catch({})
      .transform((headers) =>
        Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [{ name, value }] : [])),
      )
      .openapi({ type: 'object', description: 'Headers to send along, to the origin of the link alone.' }),
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

const page = {
  offset: z.string().optional().catch(undefined).openapi({ type: 'integer', description: 'How many to pass over.' }),
  limit: z
    .string()
    .optional()
    .catch(undefined)
    .openapi({ type: 'string', description: 'How many to return, at most 1000; or `all`.' }),
};

/** What is no number counts as not given. */
function window({ offset, limit }: { offset?: string | undefined; limit?: string | undefined }, unless: number) {
  const number = (text: string | undefined) => (/^\d{1,9}$/.test(text ?? '') ? Number(text) : null);
  const most = number(limit);
  return {
    offset: number(offset) ?? 0,
    first: limit === 'all' ? everything : most === null || most === 0 ? unless : Math.min(most, 1000),
  };
}

const InFolder = z
  .object({
    folder: z.string(),
    documents: z.array(FileEntry),
    totalCount: z.int(),
    hasMore: z.boolean(),
    error: z.string().nullable(),
  })
  .openapi('AnythingLLMFolder');

const noFolder = (folder: string, more: object = {}): Failure => ({
  status: 404,
  body: {
    ...{ folder, documents: [], totalCount: 0, hasMore: false, ...more },
    error: `Folder "${folder}" does not exist.`,
  },
});

const Folder = z.object({
  name: z.string(),
  type: z.literal('folder'),
  items: z.array(z.object({ name: z.string(), type: z.literal('folder'), items: z.array(FileEntry) })),
});

const Done = z.object({ success: z.literal(true), message: z.string().nullable() });
const undone = (status: number, message: string): Failure => ({ status, body: { success: false, message } });

const metadataSchema = {
  url: 'string | nullable',
  title: 'string',
  docAuthor: 'string | nullable',
  description: 'string | nullable',
  docSource: 'string | nullable',
  chunkSource: 'string | nullable',
  published: 'epoch timestamp in ms | nullable',
} as const;

const Viewer = graphql(`query AnythingLLMDocumentViewer { viewer { id } }`);

const SearchBody = z
  .object({
    query: z.string().catch('').openapi({ type: 'string' }),
    topN: z.number().min(1).nullish().catch(null).openapi({ type: 'integer', description: 'At most 100.' }),
    scoreThreshold: z.number().min(0).max(1).nullish().catch(null).openapi({ type: 'number', minimum: 0, maximum: 1 }),
  })
  .openapi('AnythingLLMVectorSearch');

const FoundPassage = z
  .object({
    id: z.string(),
    text: z.string(),
    metadata: z.object({
      url: z.string(),
      title: z.string(),
      author: z.string(),
      description: z.string(),
      docSource: z.string(),
      chunkSource: z.string(),
      published: z.string(),
      wordCount: z.int(),
      tokenCount: z.int(),
    }),
    distance: z.number(),
    score: z.number(),
  })
  .openapi('AnythingLLMFoundPassage');

export const documentRows: AnyRow[] = [
  upload('/v1/document/upload', 'Add the text of a file', z.object({})),
  upload(
    '/v1/document/upload/{folderName}',
    'Add the text of a file to a folder, which is made where it is not there',
    z.object({ folderName }),
  ),
  row({
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
        path[1] === 'url' && link !== '' ? `No URL content found at ${link}. ${message}` : error.message,
      );
    },
  }),
  row({
    ...common,
    method: 'post',
    path: '/v1/document/raw-text',
    summary: 'Add a text',
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
  row({
    ...common,
    method: 'get',
    path: '/v1/documents',
    summary: 'List the documents by folder, or those of one folder',
    query: z.object({
      folder: folderName.optional().catch(undefined).openapi({ type: 'string', description: 'Only this folder.' }),
      ...page,
    }),
    reply: z
      .union([
        z.object({ localFiles: Folder }).openapi('AnythingLLMFolders'),
        InFolder.extend({ code: z.int() }).openapi('AnythingLLMFolderWithCode'),
      ])
      .openapi({ description: 'With `folder` that folder, 100 of its documents unless `limit` is given.' }),
    document: graphql(
      `query ListDocumentFolders($folder: String, $all: Boolean!, $first: Int!, $offset: Int!) {
        documentFolders @include(if: $all) { name }
        documents(folder: $folder, filesIncluded: false, first: $first, offset: $offset) {
          totalCount
          pageInfo { hasNextPage }
          nodes { ...AnythingLLMFileEntry }
        }
      }`,
      [FileEntryFields],
    ),
    variables: ({ query }) =>
      query.folder
        ? { folder: query.folder, all: false, ...window(query, 100) }
        : { folder: null, all: true, first: everything, offset: 0 },
    partial: true,
    output: ({ documentFolders, documents: { nodes, totalCount, pageInfo } }, { query: { folder } }) => {
      if (folder)
        return {
          ...{ folder, documents: nodes.map(fileEntry), totalCount, hasMore: pageInfo.hasNextPage },
          ...{ code: 200, error: null },
        };
      const inside = new Map((documentFolders ?? []).map(({ name }) => [name, [] as z.input<typeof FileEntry>[]]));
      for (const document of nodes) inside.get(folderOf(document))?.push(fileEntry(document));
      const items = [...inside].map(([name, items]) => ({ name, type: 'folder' as const, items }));
      return { localFiles: { name: 'documents', type: 'folder' as const, items } };
    },
    failure: ({ code }, input) => {
      const { folder } = (input?.query ?? {}) as { folder?: string };
      return code === 'NOT_FOUND' ? noFolder(folder ?? '', { code: 404 }) : null;
    },
  }),
  row({
    ...common,
    method: 'get',
    path: '/v1/documents/folder/{folderName}',
    summary: 'List the documents of a folder',
    params: z.object({ folderName }),
    query: z.object(page),
    reply: InFolder,
    document: graphql(
      `query ListFolderDocuments($folder: String!, $first: Int!, $offset: Int!) {
        documents(folder: $folder, first: $first, offset: $offset) {
          totalCount
          pageInfo { hasNextPage }
          nodes { ...AnythingLLMFileEntry }
        }
      }`,
      [FileEntryFields],
    ),
    variables: ({ params, query }) => ({ folder: params.folderName, ...window(query, everything) }),
    partial: true,
    output: ({ documents: { nodes, totalCount, pageInfo } }, { params }) => ({
      folder: params.folderName,
      documents: nodes.map(fileEntry),
      totalCount,
      hasMore: pageInfo.hasNextPage,
      error: null,
    }),
    failure: ({ code }, input) => {
      const { folderName: folder } = (input?.params ?? {}) as { folderName?: string };
      return code === 'NOT_FOUND' ? noFolder(folder ?? '') : null;
    },
  }),
  row({
    ...common,
    method: 'get',
    path: '/v1/document/accepted-file-types',
    summary: 'What types of files can be read',
    reply: z.object({ types: z.record(z.string(), z.array(z.string())) }),
    document: graphql(`query ReadableTypes { acceptedDocumentTypes { mediaType extensions } }`),
    variables: () => ({}),
    output: ({ acceptedDocumentTypes }) => ({
      types: Object.fromEntries(acceptedDocumentTypes.map(({ mediaType, extensions }) => [mediaType, extensions])),
    }),
  }),
  row({
    ...common,
    method: 'get',
    path: '/v1/document/metadata-schema',
    summary: 'What can be said about a text that is added',
    reply: z.object({ schema: z.record(z.string(), z.string()) }),
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => ({ schema: metadataSchema }),
  }),
  row({
    ...common,
    method: 'get',
    path: '/v1/document/generated-files/{filename}',
    summary: 'Download a file that an agent made: none are made here',
    params: z.object({ filename: z.string().regex(/^[a-z]+-[0-9a-f-]{36}\.\w+$/i) }),
    reply: z.string(),
    format: 'text',
    document: Viewer,
    signedIn: true,
    variables: () => ({}),
    output: () => {
      throw notFound('File');
    },
    invalid: () => failed(400, 'Invalid filename format'),
  }),
  row({
    ...common,
    method: 'get',
    path: '/v1/document/{docName}',
    summary: 'Read what is known of a document',
    params: z.object({ docName: z.string() }),
    reply: z.object({
      document: DocumentFile,
      localFiles: z
        .object({ name: z.string(), type: z.literal('folder'), items: z.array(DocumentFile) })
        .openapi({ description: 'The same, for clients that go by the published document.' }),
    }),
    document: graphql(
      `query ReadDocument($location: String!) { document(location: $location) { ...AnythingLLMFileEntry } }`,
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
  row({
    ...common,
    method: 'post',
    path: '/v1/document/create-folder',
    summary: 'Make a folder',
    body: z.object({ name: folderName }).openapi('AnythingLLMNewFolder'),
    reply: Done,
    document: graphql(
      `mutation CreateDocumentFolder($name: String!) { createDocumentFolder(input: { name: $name }) { folder { name } } }`,
    ),
    variables: ({ body }) => ({ name: body.name }),
    output: () => ({ success: true as const, message: null }),
    failure: ({ code, message }) => {
      if (code === 'CONFLICT') return undone(409, message);
      return code === 'BAD_USER_INPUT' ? undone(400, 'Failed to create folder: Invalid path.') : null;
    },
  }),
  row({
    ...common,
    method: 'delete',
    path: '/v1/document/remove-folder',
    summary: 'Delete a folder with its documents; one that is not there, or always there, is no error',
    body: z.object({ name: folderName }).openapi('AnythingLLMFolderToRemove'),
    reply: Done,
    document: graphql(
      `mutation DeleteDocumentFolder($name: String!) { deleteDocumentFolder(input: { name: $name }) { deletedName } }`,
    ),
    variables: ({ body }) => ({ name: body.name }),
    output: () => ({ success: true as const, message: 'Folder removed successfully' }),
    failure: ({ code, message }) => {
      if (code === 'CONFLICT') return undone(409, `Failed to remove folder: ${message}`);
      return code === 'NOT_FOUND' || code === 'BAD_USER_INPUT'
        ? { status: 200, body: { success: true, message: 'Folder removed successfully' } }
        : null;
    },
  }),
  row({
    ...common,
    method: 'post',
    path: '/v1/document/move-files',
    summary: 'Move documents; those that workspaces have as their own stay',
    body: z
      .object({ files: z.array(z.object({ from: z.string(), to: z.string() })) })
      .openapi('AnythingLLMFilesToMove'),
    reply: Done,
    document: graphql(
      `mutation MoveDocuments($moves: [DocumentMoveInput!]!) { moveDocuments(input: { moves: $moves }) { skipped } }`,
    ),
    variables: ({ body }) => ({ moves: body.files }),
    output: ({ moveDocuments: { skipped } }, { body: { files } }) => ({
      success: true as const,
      message:
        skipped.length === 0
          ? null
          : `${skipped.length}/${files.length} files not moved. Unembed them from all workspaces.`,
    }),
    invalid: () => undone(400, 'Failed to move files.'),
    failure: ({ code }) => {
      if (code === 'CONFLICT') return undone(409, 'Failed to move some files.');
      return code === 'BAD_USER_INPUT' ? undone(400, 'Failed to move some files.') : null;
    },
  }),
  row({
    ...common,
    tag: 'AnythingLLM system',
    method: 'get',
    path: '/v1/system/vector-count',
    summary: 'How many passages there are',
    reply: z.object({ vectorCount: z.int() }),
    document: graphql(`query CountPassages { passageCount }`),
    variables: () => ({}),
    output: ({ passageCount }) => ({ vectorCount: passageCount }),
  }),
  row({
    ...common,
    tag: 'AnythingLLM system',
    method: 'delete',
    path: '/v1/system/remove-documents',
    summary: 'Delete documents; what is not there is no error',
    body: z
      .object({
        names: z
          .array(z.unknown())
          .transform((names) => names.filter((name) => typeof name === 'string'))
          .openapi({ type: 'array', items: { type: 'string' }, description: 'Locations, at most 1000.' }),
      })
      .openapi('AnythingLLMDocumentsToRemove'),
    reply: Done,
    document: graphql(
      `mutation DeleteDocuments($locations: [String!]!) {
        deleteDocuments(input: { locations: $locations }) { deletedDocumentIds }
      }`,
    ),
    variables: ({ body }) => ({ locations: body.names }),
    output: () => ({ success: true as const, message: 'Documents removed successfully' }),
    invalid: () => undone(400, 'names must be a list of document names.'),
  }),
  row({
    ...common,
    tag: 'AnythingLLM workspaces',
    method: 'post',
    path: '/v1/workspace/{slug}/vector-search',
    summary: 'Search what a workspace searches',
    params: z.object({ slug: z.string() }),
    body: SearchBody,
    reply: z
      .object({ results: z.array(FoundPassage), message: z.string().optional() })
      .openapi('AnythingLLMVectorSearchResult'),
    document: graphql(
      `query SearchAgent($query: String!, $slug: String!, $first: Int, $minScore: Float) {
        passagesOfAgent(slug: $slug)
        search(query: $query, agentSlug: $slug, first: $first, minScore: $minScore) {
          documentId position text score
          document { ...AnythingLLMDocument }
        }
      }`,
      [DocumentFields],
    ),
    variables: ({ params: { slug }, body: { query, topN, scoreThreshold } }) => {
      if (query.trim() === '') throw badInput(['body', 'query'], 'Query parameter cannot be empty.');
      return {
        ...{ query, slug, minScore: scoreThreshold ?? null },
        first: topN == null ? null : Math.min(Math.floor(topN), 1000),
      };
    },
    output: ({ passagesOfAgent, search }) => ({
      results: search.flatMap(({ documentId, position, text, score, document }) => {
        if (!document) return [];
        const { id: _, docAuthor: author, token_count_estimate: tokenCount, ...known } = detailsOf(document);
        const { url, title, ...others } = known;
        const metadata = { url, title, author, ...others, tokenCount };
        return [{ id: `${documentId}-${position}`, text, metadata, distance: 1 - score, score }];
      }),
      ...(passagesOfAgent === 0 && { message: 'No embeddings found for this workspace.' }),
    }),
    failure: (error, input) => {
      const { slug = '' } = (input?.params ?? {}) as { slug?: string };
      if (error.code === 'NOT_FOUND')
        return { status: 400, body: { message: `Workspace ${slug} is not a valid workspace.` } };
      return error.code === 'BAD_USER_INPUT' ? { status: 400, body: { message: first(error).message } } : null;
    },
  }),
];
