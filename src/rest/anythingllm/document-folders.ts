import { z } from '@hono/zod-openapi';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything } from '../shapes.ts';
import { anythingllm } from './dialect.ts';
import { FileEntry, FileEntryFields, fileEntry, folderName, folderOf } from './document-shapes.ts';

const common = { tag: 'AnythingLLM documents', dialect: anythingllm } as const;

const page = {
  offset: z
    .string()
    .optional()
    .catch(undefined)
    .openapi({ type: 'integer', description: 'Number of documents to skip. Defaults to 0.' }),
  limit: z.string().optional().catch(undefined).openapi({
    type: 'string',
    description: 'Maximum number of documents, at most 1000, or `all` to return every document.',
  }),
};

/** A value that is not a number counts as absent. */
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

export const documentFolderEndpoints: AnyEndpoint[] = [
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/documents',
    summary: 'List the documents by folder, or the documents of one folder',
    query: z.object({
      folder: folderName
        .optional()
        .catch(undefined)
        .openapi({ type: 'string', description: 'The folder to return. Defaults to all folders.' }),
      ...page,
    }),
    reply: z
      .union([
        z.object({ localFiles: Folder }).openapi('AnythingLLMFolders'),
        InFolder.extend({ code: z.int() }).openapi('AnythingLLMFolderWithCode'),
      ])
      .openapi({
        description:
          'All folders with their documents. With `folder`, only that folder, with 100 of its documents by default; `limit` changes that number.',
      }),
    document: graphql(
      `query ListDocumentFolders($folder: String, $all: Boolean!, $first: Int!, $offset: Int!) {
        documentFolders @include(if: $all) { name }
        documents(filter: { folder: $folder, filesIncluded: false }, first: $first, offset: $offset) {
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
  endpoint({
    ...common,
    method: 'get',
    path: '/v1/documents/folder/{folderName}',
    summary: 'List the documents of a folder',
    params: z.object({ folderName }),
    query: z.object(page),
    reply: InFolder,
    document: graphql(
      `query ListFolderDocuments($folder: String!, $first: Int!, $offset: Int!) {
        documents(filter: { folder: $folder }, first: $first, offset: $offset) {
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
  endpoint({
    ...common,
    method: 'post',
    path: '/v1/document/create-folder',
    summary: 'Create a folder for documents',
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
  endpoint({
    ...common,
    method: 'delete',
    path: '/v1/document/remove-folder',
    summary: 'Delete a folder and its documents; unknown and built-in folders are not an error',
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
  endpoint({
    ...common,
    method: 'post',
    path: '/v1/document/move-files',
    summary: 'Move documents, except those that belong to workspaces',
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
  endpoint({
    ...common,
    tag: 'AnythingLLM system',
    method: 'delete',
    path: '/v1/system/remove-documents',
    summary: 'Delete documents; unknown locations are ignored',
    body: z
      .object({
        names: z
          .array(z.unknown())
          .transform((names) => names.filter((name) => typeof name === 'string'))
          .openapi({
            type: 'array',
            items: { type: 'string' },
            description: 'Locations of the documents to delete. At most 10,000.',
          }),
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
    failure: ({ code, details }) => {
      if (code !== 'BAD_USER_INPUT') return null;
      // The path ends with an index when one name is invalid.
      const ofOne = typeof details.fields?.[0]?.path.at(-1) === 'number';
      return undone(400, ofOne ? 'names must have at most 600 characters each.' : 'names must be at most 10,000.');
    },
  }),
];
