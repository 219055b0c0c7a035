import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { cut } from '../../paging.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { ChatMessage } from '../chat/messages.graphql.ts';
import { fileLink } from '../knowledge/knowledge.service.ts';
import { Project } from '../projects/projects.graphql.ts';
import { agentFileOrder, fileOrder, type Uploaded } from './files.service.ts';

const FileKind = builder.enumType('FileKind', {
  description: 'What a file is to a chat.',
  values: {
    IMAGE: { description: 'Something to look at: PNG, JPEG, GIF or WebP.' },
    DOCUMENT: {
      description:
        'A document whose text is read: PDF, DOCX, PPTX, OpenDocument text or presentation, EPUB, RTF, an e-mail message or HTML.',
    },
    PLAIN_TEXT: { description: 'Text, Markdown, JSON.' },
    TABULAR: { description: 'A table: CSV, TSV, XLSX or an OpenDocument spreadsheet.' },
  },
});

const FileStatus = builder.enumType('FileStatus', {
  description: 'Whether the text of a file has been read.',
  values: {
    PROCESSING: { description: 'It is being read.' },
    COMPLETED: { description: 'It has been, or there is none to read.' },
    FAILED: { description: 'It cannot be; `error` says why.' },
  },
});

export const File = builder.prismaNode('File', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'An uploaded file.',
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The id that the REST paths use.' }),
    name: t.exposeString('name', { description: 'Its name, without folders.' }),
    mediaType: t.exposeString('mediaType', { description: 'Its media type, as its bytes show it.' }),
    kind: t.expose('kind', { type: FileKind, description: 'What it is to a chat.' }),
    size: t.exposeInt('size', { description: 'Its size, in bytes.' }),
    status: t.expose('status', { type: FileStatus, description: 'Whether its text has been read.' }),
    error: t.exposeString('error', {
      nullable: true,
      description:
        'Why its text could not be read, in words that continue “the file …”. Set when `status` is `FAILED`, such as for a scanned PDF without text.',
    }),
    tokenCount: t.exposeInt('tokenCount', {
      nullable: true,
      description: 'How many tokens of a model’s window it takes, about; null until it is read.',
    }),
    chunkCount: t.int({
      nullable: true,
      description: 'How many passages searches find it by; null where it has none.',
      select: { document: { select: { _count: { select: { chunks: true } } } } },
      resolve: ({ document }) => document?._count.chunks ?? null,
    }),
    ownerId: t.expose('ownerId', { type: 'UUID', description: 'Who uploaded it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was uploaded.' }),
    usedAt: t.expose('usedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last given to a message.',
    }),
    downloadPath: t.string({
      description: 'Where its bytes are, for who may read chats.',
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

const FileConnection = builder.connectionObject(
  { type: File, name: 'FileConnection', description: 'A page of files.' },
  { name: 'FileEdge', description: 'A file and its place in the list.' },
);

builder.prismaObjectField(Project, 'files', (t) =>
  t.field({
    type: FileConnection,
    authScopes: { permission: 'write:projects' },
    description: 'Its files, newest first. Each chat of the project knows them.',
    args: pageArgs(t.arg),
    select: (args, { pageLimit }, nested) => ({
      // Callers that can see a project can see its files.
      files: nestedNodes(nested, 'File', fileOrder, fileOrder.page(args, pageLimit)),
      _count: { select: { files: true } },
    }),
    resolve: (project, args, { pageLimit }) =>
      connection(
        fileOrder,
        cut(project.files, fileOrder.page(args, pageLimit)),
        args,
        async () => project._count.files,
      ),
  }),
);

builder.prismaObjectField(Project, 'fileTokens', (t) =>
  t.int({
    authScopes: { permission: 'write:projects' },
    description: 'How many tokens of a model’s window its files would take together, about.',
    select: { files: { select: { tokenCount: true } } },
    resolve: ({ files }) => files.reduce((sum, { tokenCount }) => sum + (tokenCount ?? 0), 0),
  }),
);

const oldestFirst = [{ createdAt: 'asc' }, { id: 'asc' }] as const;

builder.prismaObjectField(Agent, 'files', (t) =>
  t.field({
    type: FileConnection,
    nullable: true,
    authScopes: { permission: 'read:search' },
    description: 'The files of the agent that the caller may know of, oldest first. Each of its chats can use them.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const listed = visible.agentFiles(signedIn(principal));
      const { where, ...page } = agentFileOrder.page(args, pageLimit);
      return {
        files: nestedNodes(nested, 'File', agentFileOrder, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { files: { where: listed } } },
      };
    },
    resolve: (agent, args, { pageLimit }) => {
      const page = cut(agent.files, agentFileOrder.page(args, pageLimit));
      return connection(agentFileOrder, page, args, async () => agent._count.files);
    },
  }),
);

builder.prismaObjectField(ChatMessage, 'files', (t) =>
  t.field({
    type: [File],
    listSize: 5,
    description: 'The files that were given with it, in the order of their upload.',
    select: (_args, _context, nested) => ({ files: { ...(nested() as object), orderBy: [...oldestFirst] } }),
    resolve: ({ files }) => files,
  }),
);

const UploadFilesInput = builder.inputType('UploadFilesInput', {
  description: 'Files to keep.',
  fields: (t) => ({
    files: t.field({
      type: ['Upload'],
      required: true,
      description: '1 to 20 files, in a multipart request.',
    }),
    projectId: t.int({
      description:
        'The integer id of a project to put them into. Those of a token that is confined to one always go into that.',
    }),
  }),
});

const LinkFileInput = builder.inputType('LinkFileInput', {
  description: 'Which file belongs to which project.',
  fields: (t) => ({
    fileId: t.field({ type: 'UUID', required: true, description: 'The file.' }),
    projectId: t.int({ required: true, description: 'The integer id of the project.' }),
  }),
});

const DeleteFileInput = builder.inputType('DeleteFileInput', {
  description: 'Which file goes.',
  fields: (t) => ({ fileId: t.field({ type: 'UUID', required: true, description: 'The file.' }) }),
});

const RejectedFile = builder.objectRef<Uploaded['rejected'][number]>('RejectedFile').implement({
  description: 'A file that was not taken.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name it came with.' }),
    reason: t.exposeString('reason', { description: 'Why, in words.' }),
  }),
});

const UploadFilesPayload = builder.objectRef<Uploaded>('UploadFilesPayload').implement({
  description: 'What became of the files that were sent.',
  fields: (t) => ({
    files: t.field({
      type: [File],
      listSize: 20,
      description: 'Those that are kept, in their order.',
      resolve: ({ files }) => files,
    }),
    rejected: t.field({
      type: [RejectedFile],
      listSize: 20,
      description: 'Those that are not.',
      resolve: ({ rejected }) => rejected,
    }),
  }),
});

const FilePayload = builder.objectRef<Uploaded['files'][number]>('FilePayload').implement({
  description: 'The file that a mutation changed.',
  fields: (t) => ({ file: t.field({ type: File, description: 'The file.', resolve: (file) => file }) }),
});

const DeleteFilePayload = builder
  .objectRef<{ id: string; deleted: boolean; projects: string[]; agents: string[] }>('DeleteFilePayload')
  .implement({
    description: 'What `deleteFile` did.',
    fields: (t) => ({
      deletedFileId: t.field({
        type: 'UUID',
        nullable: true,
        description: 'The id that it had; null when it is still in use, and so still there.',
        resolve: ({ id, deleted }) => (deleted ? id : null),
      }),
      projectNames: t.exposeStringList('projects', { description: 'The projects that it belongs to.' }),
      agentNames: t.exposeStringList('agents', { description: 'The agents that it was given to.' }),
    }),
  });

builder.queryFields((t) => ({
  file: t.prismaField({
    type: File,
    authScopes: { permission: 'read:chat' },
    description:
      'One file: of one’s own, of a project, an agent or a chat that one may see. NOT_FOUND for what the caller may not read.',
    args: { id: t.arg({ type: 'UUID', required: true, description: 'Its id.' }) },
    resolve: (query, _root, { id }, { principal, services }) => services.files.find(signedIn(principal), id, query),
  }),
  files: t.field({
    type: FileConnection,
    authScopes: { permission: 'write:projects' },
    description:
      'One’s own files, newest first; for a token that is confined to a project, those of that. With a filter, those that it names and the caller may read. The files of a chat need `read:chat` too.',
    args: {
      ...pageArgs(t.arg),
      projectId: t.arg.int({ description: 'Only those of this project.' }),
      ids: t.arg({ type: ['UUID'], description: 'Only these; at most 1,000.' }),
      sessionId: t.arg({ type: 'UUID', description: 'Only those that this chat knows: its own, and its project’s.' }),
    },
    resolve: async (_root, { first, after, offset, ...filter }, context, info) => {
      const { files } = context.services;
      const principal = signedIn(context.principal);
      const args = { first, after, offset };
      const page = await files.list(principal, filter, args, context.pageLimit, nodeQuery(context, info));
      return connection(fileOrder, page, args, () => files.count(principal, filter));
    },
  }),
}));

builder.mutationFields((t) => ({
  uploadFiles: t.field({
    type: UploadFilesPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'write:projects' },
    description:
      'Keeps files, and reads their text afterwards. What is not taken is told with the reason, and is no error. At most 1,000 files and 2 GB for one user.',
    args: { input: t.arg({ type: UploadFilesInput, required: true, description: 'The files.' }) },
    resolve: (_root, { input: { files, projectId } }, { principal, services }) => {
      const uploads = files.map((file) => ({
        name: file.name,
        bytes: async () => new Uint8Array(await file.arrayBuffer()),
      }));
      return services.files.upload(signedIn(principal), uploads, projectId ?? null);
    },
  }),
  linkFileToProject: t.field({
    type: FilePayload,
    authScopes: { permission: 'write:projects' },
    description: 'Puts a file of one’s own into a project of one’s own.',
    args: { input: t.arg({ type: LinkFileInput, required: true, description: 'The file and the project.' }) },
    resolve: (_root, { input: { fileId, projectId } }, { principal, services }) =>
      services.files.link(signedIn(principal), fileId, projectId),
  }),
  unlinkFileFromProject: t.field({
    type: FilePayload,
    authScopes: { permission: 'write:projects' },
    description: 'Takes a file out of a project of one’s own. The file stays with who uploaded it.',
    args: { input: t.arg({ type: LinkFileInput, required: true, description: 'The file and the project.' }) },
    resolve: (_root, { input: { fileId, projectId } }, { principal, services }) =>
      services.files.unlink(signedIn(principal), fileId, projectId),
  }),
  deleteFile: t.field({
    type: DeleteFilePayload,
    authScopes: { permission: 'write:projects' },
    description:
      'Deletes a file of one’s own with its text, unless it belongs to projects or agents: then it stays, and they are named.',
    args: { input: t.arg({ type: DeleteFileInput, required: true, description: 'The file.' }) },
    resolve: async (_root, { input: { fileId } }, { principal, services }) => ({
      id: fileId,
      ...(await services.files.delete(signedIn(principal), fileId)),
    }),
  }),
}));
