import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { permissionUnless } from '../../graphql/plugins/permissions.ts';
import { fileLink } from '../knowledge/file-documents.ts';
import { User } from '../users/users.graphql.ts';

const FileKind = builder.enumType('FileKind', {
  description: 'How a chat uses a file.',
  values: {
    IMAGE: { description: 'An image that the model sees: PNG, JPEG, GIF or WebP.' },
    DOCUMENT: {
      description:
        'A document whose text is read: PDF, DOCX, PPTX, OpenDocument text or presentation, EPUB, RTF, an e-mail message or HTML.',
    },
    PLAIN_TEXT: { description: 'A text file: plain text, Markdown or JSON.' },
    TABULAR: { description: 'A table: CSV, TSV, XLSX or an OpenDocument spreadsheet.' },
  },
});

const FileStatus = builder.enumType('FileStatus', {
  description: 'The state of the text extraction of a file.',
  values: {
    PROCESSING: { description: 'The text is being extracted.' },
    COMPLETED: { description: 'The text was extracted, or the file is an image without text.' },
    FAILED: { description: 'The text cannot be extracted; `error` contains the reason.' },
  },
});

export const File = builder.prismaNode('File', {
  id: { field: 'id', description: 'The global ID of the file.' },
  nullable: true,
  description: 'An uploaded file and its extracted text.',
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The UUID that the REST paths use.' }),
    name: t.exposeString('name', { description: 'The file name, without folders.' }),
    mediaType: t.exposeString('mediaType', { description: 'The media type, detected from the content of the file.' }),
    kind: t.expose('kind', { type: FileKind, description: 'How a chat uses the file.' }),
    size: t.exposeInt('size', { description: 'The size of the file, in bytes.' }),
    status: t.expose('status', { type: FileStatus, description: 'The state of the text extraction.' }),
    error: t.exposeString('error', {
      nullable: true,
      description:
        'The reason why the text could not be extracted; it completes the sentence “The file …”. Set when `status` is `FAILED`, such as for a scanned PDF without text.',
    }),
    tokenCount: t.exposeInt('tokenCount', {
      nullable: true,
      description: 'The estimated size of the file in the context of a model, in tokens; null until it is read.',
    }),
    chunkCount: t.int({
      nullable: true,
      description: 'The number of passages that are indexed for search; null if the file has no text.',
      select: { document: { select: { _count: { select: { chunks: true } } } } },
      resolve: ({ document }) => document?._count.chunks ?? null,
    }),
    ownerId: t.expose('ownerId', { type: 'UUID', description: 'The UUID of the user who uploaded the file.' }),
    owner: t.relation('owner', {
      type: User,
      nullable: true,
      authScopes: permissionUnless(
        'read:users',
        (file: { ownerId: string }, viewer) => file.ownerId === viewer?.userId,
        'except for files of the caller',
      ),
      description: 'The user who uploaded the file.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time of the upload.' }),
    usedAt: t.expose('usedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the file was last attached to a message.',
    }),
    downloadPath: t.string({
      description: 'The path of the download, for callers with `read:chat`.',
      resolve: ({ id }) => fileLink(id),
    }),
  }),
});

nodeRule('File', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.file.findMany({
      where: { AND: [visible.files(principal), { id: { in: uuidIds(ids) } }] },
      select: { id: true },
    }),
});

export const FileEdge = builder.edgeObject({
  type: File,
  name: 'FileEdge',
  description: 'A file and its cursor in a list.',
});
export const FileConnection = builder.connectionObject(
  { type: File, name: 'FileConnection', description: 'A page of a list of files.' },
  FileEdge,
);
