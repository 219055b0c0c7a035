import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, uuidId, uuidIdList } from '../../graphql/id-input.ts';
import { orderInput } from '../../graphql/order.ts';
import { projectIdDescription } from '../projects/projects.graphql.ts';
import { fileOrders } from './file-lists.ts';
import './file-relations.graphql.ts';
import { File, FileConnection, FileEdge } from './file-type.graphql.ts';
import type { Uploaded } from './upload-file.ts';

const fileOrder = fileOrders.default;

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
