import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, uuidId, uuidIdList } from '../../graphql/id-input.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { permissionUnless } from '../../graphql/plugins/permissions.ts';
import { cut } from '../../paging.ts';
import { agentsById } from '../agents/agent-lists.ts';
import { Agent, AgentConnection } from '../agents/agents.graphql.ts';
import { fileLink } from '../knowledge/knowledge.service.ts';
import { Project, ProjectConnection, projectIdDescription } from '../projects/projects.graphql.ts';
import { projectOrders } from '../projects/projects.service.ts';
import { User } from '../users/users.graphql.ts';
import { agentFileOrder, fileOrders, type Uploaded } from './files.service.ts';

const fileOrder = fileOrders.default;

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
    projects: t.field({
      type: ProjectConnection,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description: 'The projects of the caller that contain the file, newest first.',
      args: pageArgs(t.arg),
      select: (args, { principal, pageLimit }, nested) => {
        const listed = visible.projects(signedIn(principal));
        const { where, ...page } = projectOrders.default.page(args, pageLimit);
        return {
          projects: nestedNodes(nested, 'Project', projectOrders.default, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { projects: { where: listed } } },
        };
      },
      resolve: (file, args, { pageLimit }) => {
        const page = cut(file.projects, projectOrders.default.page(args, pageLimit));
        return connection(projectOrders.default, page, args, async () => file._count.projects);
      },
    }),
    agents: t.field({
      type: AgentConnection,
      nullable: true,
      authScopes: { permission: 'read:agents' },
      description: 'The agents that use the file and that the caller can use, by `databaseId`.',
      args: pageArgs(t.arg),
      select: (args, { principal, pageLimit }, nested) => {
        const listed = visible.usableAgents(signedIn(principal));
        const { where, ...page } = agentsById.page(args, pageLimit);
        return {
          agents: nestedNodes(nested, 'Agent', agentsById, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { agents: { where: listed } } },
        };
      },
      resolve: (file, args, { pageLimit }) => {
        const page = cut(file.agents, agentsById.page(args, pageLimit));
        return connection(agentsById, page, args, async () => file._count.agents);
      },
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

const FileEdge = builder.edgeObject({ type: File, name: 'FileEdge', description: 'A file and its cursor in a list.' });
const FileConnection = builder.connectionObject(
  { type: File, name: 'FileConnection', description: 'A page of a list of files.' },
  FileEdge,
);

builder.prismaObjectField(Project, 'files', (t) =>
  t.field({
    type: FileConnection,
    authScopes: { permission: 'write:projects' },
    description: 'The files of the project, newest first. Every chat of the project can use them.',
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
    description: 'The estimated size of all files of the project in the context of a model, in tokens.',
    select: { files: { select: { tokenCount: true } } },
    resolve: ({ files }) => files.reduce((sum, { tokenCount }) => sum + (tokenCount ?? 0), 0),
  }),
);

builder.prismaObjectField(Agent, 'files', (t) =>
  t.field({
    type: FileConnection,
    nullable: true,
    authScopes: { permission: 'read:search' },
    description:
      'The files of the agent that the caller can see, oldest first. Every chat with the agent can use them.',
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

const fileId = 'The file, by its global ID or its UUID.';

const FileFilter = builder.inputType('FileFilter', {
  description: 'Conditions on a list of files; all that are set must be met.',
  fields: (t) => ({
    projectId: t.id({ description: 'Returns only the files of this project, given by its global or integer ID.' }),
    sessionId: t.id({
      description:
        'Returns only the files of this chat and of its project. The chat is given by its global ID or UUID. Requires `read:chat`.',
    }),
    ids: t.idList({ description: 'Returns only the files with these global IDs or UUIDs; at most 1,000.' }),
    search: t.string({ description: 'Text that the file name contains, ignoring case; at most 200 characters.' }),
  }),
});

const FileOrder = orderInput('File', fileOrders, {
  CREATED_AT: 'The time of the upload.',
  NAME: 'The name of the file.',
  SIZE: 'The size of the file.',
});

const UploadFilesInput = builder.inputType('UploadFilesInput', {
  description: 'Input for the mutation `uploadFiles`.',
  fields: (t) => ({
    files: t.field({
      type: ['Upload'],
      required: true,
      description: '1 to 20 files, in a multipart request.',
    }),
    projectId: t.id({
      description: `${projectIdDescription} The files are added to it. Defaults to the project of a project token.`,
    }),
  }),
});

const LinkFileToProjectInput = builder.inputType('LinkFileToProjectInput', {
  description: 'Input for the mutation `linkFileToProject`.',
  fields: (t) => ({
    fileId: t.id({ required: true, description: fileId }),
    projectId: t.id({ required: true, description: projectIdDescription }),
  }),
});

const UnlinkFileFromProjectInput = builder.inputType('UnlinkFileFromProjectInput', {
  description: 'Input for the mutation `unlinkFileFromProject`.',
  fields: (t) => ({
    fileId: t.id({ required: true, description: fileId }),
    projectId: t.id({ required: true, description: projectIdDescription }),
  }),
});

const DeleteFileInput = builder.inputType('DeleteFileInput', {
  description: 'Input for the mutation `deleteFile`.',
  fields: (t) => ({ fileId: t.id({ required: true, description: fileId }) }),
});

const RejectedFile = builder.objectRef<Uploaded['rejected'][number]>('RejectedFile').implement({
  description: 'A file that was not stored.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The file name as the client sent it.' }),
    reason: t.exposeString('reason', {
      description: 'The reason, which completes the sentence “The file …”.',
    }),
  }),
});

const UploadFilesPayload = builder.objectRef<Uploaded>('UploadFilesPayload').implement({
  description: 'Result of the mutation `uploadFiles`.',
  fields: (t) => ({
    files: t.field({
      type: [File],
      listSize: 20,
      description: 'The stored files, in the order of the input: at most 20.',
      resolve: ({ files }) => files,
    }),
    fileEdges: t.field({
      type: [FileEdge],
      listSize: 20,
      description: 'The stored files with their cursors, for clients that add them to a list: at most 20.',
      resolve: ({ files }) => files.map((file) => edge(fileOrder, file)),
    }),
    rejected: t.field({
      type: [RejectedFile],
      listSize: 20,
      description: 'The files that were not stored: at most 20.',
      resolve: ({ rejected }) => rejected,
    }),
  }),
});

const LinkFileToProjectPayload = builder.objectRef<Uploaded['files'][number]>('LinkFileToProjectPayload').implement({
  description: 'Result of the mutation `linkFileToProject`.',
  fields: (t) => ({
    file: t.field({ type: File, description: 'The file that was added.', resolve: (file) => file }),
    fileEdge: t.field({
      type: FileEdge,
      description: 'The added file with its cursor, for clients that add it to a list.',
      resolve: (file) => edge(fileOrder, file),
    }),
  }),
});

const UnlinkFileFromProjectPayload = builder
  .objectRef<Uploaded['files'][number]>('UnlinkFileFromProjectPayload')
  .implement({
    description: 'Result of the mutation `unlinkFileFromProject`.',
    fields: (t) => ({
      file: t.field({ type: File, description: 'The file that was removed.', resolve: (file) => file }),
    }),
  });

const DeleteFilePayload = builder
  .objectRef<{ id: string; deleted: boolean; projects: string[]; agents: string[] }>('DeleteFilePayload')
  .implement({
    description: 'Result of the mutation `deleteFile`.',
    fields: (t) => ({
      deletedFileId: t.id({
        nullable: true,
        description: 'The global ID of the deleted file; null if the file is in use and was not deleted.',
        resolve: ({ id, deleted }) => (deleted ? globalId('File', id) : null),
      }),
      projectNames: t.exposeStringList('projects', { description: 'The names of the projects that use the file.' }),
      agentNames: t.exposeStringList('agents', { description: 'The names of the agents that use the file.' }),
    }),
  });

type Id = string | number;
type Filter = { projectId?: Id | null; sessionId?: Id | null; ids?: readonly Id[] | null; search?: string | null };

/** Replaces the IDs of a filter with database IDs. Throws BAD_USER_INPUT for an ID of another type. */
const withDatabaseIds = ({ projectId, sessionId, ids, search }: Filter) => ({
  search,
  projectId: projectId == null ? null : integerId(projectId, 'Project', ['filter', 'projectId']),
  sessionId: sessionId == null ? null : uuidId(sessionId, 'ChatSession', ['filter', 'sessionId']),
  ids: ids && uuidIdList(ids, 'File', ['filter', 'ids']),
});

builder.queryFields((t) => ({
  file: t.withAuth({ permission: 'read:chat' }).prismaField({
    type: File,
    description:
      'Returns a file of the caller, or of a project, an agent or a chat that the caller can read. NOT_FOUND for any other file.',
    args: { id: t.arg.id({ required: true, description: fileId }) },
    resolve: (query, _root, { id }, { principal, services }) =>
      services.files.find(principal, uuidId(id, 'File', ['id']), query),
  }),
  files: t.withAuth({ permission: 'write:projects' }).field({
    type: FileConnection,
    description:
      'The files of the caller, newest first; for a project token, the files of its project. With a project, a chat or IDs in the filter, all files that these select and the caller can read.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: FileFilter, description: 'Conditions on the files.' }),
      orderBy: t.arg({ type: FileOrder, description: 'Order of the files. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { files } = context.services;
      const principal = context.principal;
      const order = fileOrders.of(orderBy);
      const selected = withDatabaseIds(filter ?? {});
      const query = { ...nodeQuery(context, info), ...order.page(args, context.pageLimit) };
      return connection(order, await files.list(principal, selected, query), args, () =>
        files.count(principal, selected),
      );
    },
  }),
}));

/** Reads the IDs of a file and a project from an input. Throws BAD_USER_INPUT for an ID of another type. */
const fileAndProject = ({ fileId, projectId }: { fileId: Id; projectId: Id }): [string, number] => [
  uuidId(fileId, 'File', ['input', 'fileId']),
  integerId(projectId, 'Project', ['input', 'projectId']),
];

builder.mutationFields((t) => ({
  uploadFiles: t.withAuth({ permission: 'write:projects' }).field({
    type: UploadFilesPayload,
    ownTimeLimit: true,
    description:
      'Stores files and extracts their text afterwards. In a project, a file replaces earlier files of the caller with the same name once its text is extracted. A file that cannot be stored is returned with the reason, without an error. At most 1,000 files and 2 GB per user.',
    args: { input: t.arg({ type: UploadFilesInput, required: true, description: 'The files to store.' }) },
    resolve: (_root, { input: { files, projectId } }, { principal, services }) => {
      const uploads = files.map((file) => ({
        name: file.name,
        bytes: async () => new Uint8Array(await file.arrayBuffer()),
      }));
      const project = projectId == null ? null : integerId(projectId, 'Project', ['input', 'projectId']);
      return services.files.upload(principal, uploads, project);
    },
  }),
  linkFileToProject: t.withAuth({ permission: 'write:projects' }).field({
    type: LinkFileToProjectPayload,
    description: 'Adds a file of the caller to a project of the caller.',
    args: { input: t.arg({ type: LinkFileToProjectInput, required: true, description: 'The file and the project.' }) },
    resolve: (_root, { input }, { principal, services }) => services.files.link(principal, ...fileAndProject(input)),
  }),
  unlinkFileFromProject: t.withAuth({ permission: 'write:projects' }).field({
    type: UnlinkFileFromProjectPayload,
    description: 'Removes a file from a project of the caller. The file itself is not deleted.',
    args: {
      input: t.arg({ type: UnlinkFileFromProjectInput, required: true, description: 'The file and the project.' }),
    },
    resolve: (_root, { input }, { principal, services }) => services.files.unlink(principal, ...fileAndProject(input)),
  }),
  deleteFile: t.withAuth({ permission: 'write:projects' }).field({
    type: DeleteFilePayload,
    description:
      'Deletes a file of the caller and its text. A file that projects or agents use is not deleted; their names are returned.',
    args: { input: t.arg({ type: DeleteFileInput, required: true, description: 'The file to delete.' }) },
    resolve: async (_root, { input }, { principal, services }) => {
      const id = uuidId(input.fileId, 'File', ['input', 'fileId']);
      return { id, ...(await services.files.delete(principal, id)) };
    },
  }),
}));
