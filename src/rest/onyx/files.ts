import { z } from '@hono/zod-openapi';
import { badInput, notFound } from '../../errors.ts';
import { type IncomingFile, isFile } from '../../http/multipart.ts';
import { acceptedTypes } from '../../modules/files/extract/kinds.ts';
import { type AnyEndpoint, binary, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, flag, id, nothing } from '../shapes.ts';
import { coded, detail } from './errors.ts';
import { FileSnapshot, fileSnapshot, UserFileSnapshot } from './file-shapes.ts';
import { ProjectSnapshot, snapshot, UserProjectSnapshot } from './project-shapes.ts';

const tag = 'Projects';

const file = z.custom<IncomingFile>(isFile, 'must be a file').openapi({ type: 'string', format: 'binary' });
const one = <T extends z.ZodType>(type: T) => z.tuple([type]).transform(([value]) => value as z.output<T>);

const UploadBody = z
  .object({
    files: z.array(file).min(1).openapi({ description: 'The files to upload: 1 to 20.' }),
    project_id: one(z.union([id, z.literal('').transform(() => null)]))
      .optional()
      .openapi({
        type: 'integer',
        description:
          'The ID of the project that the files are added to. Defaults to no project; for a token that is restricted to a project, to that project.',
      }),
    temp_id_map: one(z.string().max(100_000)).optional().openapi({
      type: 'string',
      description:
        'A JSON object that maps `<size>|<first 50 characters of its name>` of a file to the client’s temporary ID of the file. At most 100,000 characters.',
    }),
    incognito_session_id: z
      .array(z.unknown())
      .max(0, 'is not supported: files of incognito chats would be kept')
      .optional()
      .openapi({ type: 'string', description: 'Not supported: the server would store the files of incognito chats.' }),
  })
  .openapi('Body_upload_user_files_user_projects_file_upload_post');

const TempIds = z.record(z.string(), z.string());

/** Throws BAD_USER_INPUT for anything but such a map. */
function readTempIds(text: string | undefined): z.infer<typeof TempIds> {
  if (!text) return {};
  try {
    return TempIds.parse(JSON.parse(text));
  } catch {
    throw badInput(['body', 'temp_id_map'], 'must be a JSON object of texts');
  }
}

/** Returns the client's ID of a file: names are stored in NFC, while clients use the name that they sent. */
function tempIdOf(
  { name, size }: { name: string; size: number },
  sent: readonly IncomingFile[],
  tempIds: z.infer<typeof TempIds>,
): string | null {
  const names = [name, ...sent.map((file) => file.name).filter((each) => each.normalize('NFC').endsWith(name))];
  return names.map((each) => tempIds[`${size}|${each.slice(0, 50)}`]).find((id) => id !== undefined) ?? null;
}

const params = z.object({ project_id: id });
const linkParams = z.object({ project_id: id, file_id: z.uuid() });
const fileParams = z.object({ file_id: z.uuid() });

const missing: AnyEndpoint['failure'] = (error) => (error.code === 'NOT_FOUND' ? detail(404, error.message) : null);
/** An invalid ID is handled like an unknown one. */
const missingFile: AnyEndpoint['failure'] = (error) =>
  error.code === 'NOT_FOUND' || error.code === 'BAD_USER_INPUT' ? coded(404, 'NOT_FOUND', 'File not found') : null;

export const fileEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/user/projects/file/upload',
    tag,
    summary: 'Upload files, optionally into a project',
    form: 'files',
    body: UploadBody,
    reply: z
      .object({
        user_files: z.array(UserFileSnapshot),
        rejected_files: z.array(z.object({ file_name: z.string(), reason: z.string() }).openapi('RejectedFile')),
      })
      .openapi('CategorizedFilesSnapshot'),
    document: graphql(
      `mutation UploadFiles($input: UploadFilesInput!) {
        uploadFiles(input: $input) { files { ...FileSnapshot size } rejected { name reason } }
      }`,
      [FileSnapshot],
    ),
    variables: ({ body }) => {
      readTempIds(body.temp_id_map);
      return { input: { files: body.files, projectId: body.project_id == null ? null : String(body.project_id) } };
    },
    output: ({ uploadFiles: { files, rejected } }, { body }) => {
      const tempIds = readTempIds(body.temp_id_map);
      return {
        user_files: files.map((file) => fileSnapshot(file, tempIdOf(file, body.files, tempIds))),
        rejected_files: rejected.map(({ name, reason }) => ({ file_name: name, reason })),
      };
    },
    failure: missing,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/file/statuses',
    tag,
    summary: 'Get the processing status of several files',
    body: z.object({ file_ids: z.array(z.uuid()).max(1000) }).openapi('UserFileIdsRequest'),
    reply: z.array(UserFileSnapshot),
    document: graphql(
      `query GetFileStatuses($ids: [ID!], $first: Int!) {
        files(filter: { ids: $ids }, first: $first) { nodes { ...FileSnapshot } }
      }`,
      [FileSnapshot],
    ),
    variables: ({ body }) => ({ ids: body.file_ids, first: everything }),
    output: ({ files }) => files.nodes.map((file) => fileSnapshot(file)),
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/file/{file_id}',
    tag,
    summary: 'Get the name, type and status of a file',
    params: fileParams,
    reply: UserFileSnapshot.nullable(),
    document: graphql(
      `query GetUserFile($ids: [ID!]) { files(filter: { ids: $ids }, first: 1) { nodes { ...FileSnapshot } } }`,
      [FileSnapshot],
    ),
    variables: ({ params }) => ({ ids: [params.file_id] }),
    output: ({ files }) => {
      const [found] = files.nodes;
      if (!found) throw notFound('FILE_NOT_FOUND');
      return fileSnapshot(found);
    },
    failure: missingFile,
  }),
  endpoint({
    method: 'delete',
    path: '/user/projects/file/{file_id}',
    tag,
    summary: 'Delete a file that no project or agent uses',
    params: fileParams,
    reply: z
      .object({
        has_associations: z.boolean(),
        project_names: z.array(z.string()),
        assistant_names: z.array(z.string()),
      })
      .openapi('UserFileDeleteResult'),
    document: graphql(
      `mutation DeleteFile($id: ID!) {
        deleteFile(input: { fileId: $id }) { deletedFileId projectNames agentNames }
      }`,
    ),
    variables: ({ params }) => ({ id: params.file_id }),
    output: ({ deleteFile }) => ({
      has_associations: deleteFile.deletedFileId === null,
      project_names: deleteFile.projectNames,
      assistant_names: deleteFile.agentNames,
    }),
    failure: missingFile,
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/files/{project_id}',
    tag,
    summary: 'List the files of a project',
    params,
    reply: z.array(UserFileSnapshot),
    document: graphql(
      `query ListProjectFiles($id: ID!, $first: Int!) {
        project(id: $id) { files(first: $first) { nodes { ...FileSnapshot } } }
      }`,
      [FileSnapshot],
    ),
    variables: ({ params }) => ({ id: String(params.project_id), first: everything }),
    output: ({ project }) => project.files.nodes.map((file) => fileSnapshot(file)),
    failure: missing,
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/session/{chat_session_id}/files',
    tag,
    summary: 'List the files of a chat and of its project',
    params: z.object({ chat_session_id: z.uuid() }),
    reply: z.array(UserFileSnapshot),
    document: graphql(
      `query ListSessionFiles($id: ID!, $first: Int!) {
        chatSession(id: $id) { databaseId }
        files(filter: { sessionId: $id }, first: $first) { nodes { ...FileSnapshot } }
      }`,
      [FileSnapshot],
    ),
    variables: ({ params }) => ({ id: params.chat_session_id, first: everything }),
    output: ({ files }) => files.nodes.map((file) => fileSnapshot(file)),
    failure: missing,
  }),
  endpoint({
    method: 'get',
    path: '/user/files/recent',
    tag,
    summary: 'List the caller’s files, newest first',
    reply: z.array(UserFileSnapshot),
    document: graphql(`query ListRecentFiles($first: Int!) { files(first: $first) { nodes { ...FileSnapshot } } }`, [
      FileSnapshot,
    ]),
    variables: () => ({ first: everything }),
    output: ({ files }) => files.nodes.map((file) => fileSnapshot(file)),
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/{project_id}/details',
    tag,
    summary: 'Get a project with its files',
    params,
    reply: z
      .object({
        project: UserProjectSnapshot,
        files: z.array(UserFileSnapshot).nullable(),
        persona_id_to_is_default: z.record(z.string(), z.boolean()).nullable(),
        persona_id_to_is_featured: z.record(z.string(), z.boolean()).nullable(),
      })
      .openapi('ProjectPayload'),
    document: graphql(
      `query GetProjectDetails($id: ID!, $sessions: Int!) {
        project(id: $id) {
          ...ProjectSnapshot
          files(first: $sessions) { nodes { ...FileSnapshot } }
          agents: chatSessions(first: $sessions) { nodes { agentId agentIsFeatured } }
        }
      }`,
      [ProjectSnapshot, FileSnapshot],
    ),
    variables: ({ params }) => ({ id: String(params.project_id), sessions: everything }),
    output: ({ project }) => {
      const featured = Object.fromEntries(
        (project.agents?.nodes ?? []).map(({ agentId, agentIsFeatured }) => [agentId, agentIsFeatured]),
      );
      return {
        project: snapshot(project),
        files: project.files.nodes.map((file) => fileSnapshot(file)),
        persona_id_to_is_default: featured,
        persona_id_to_is_featured: featured,
      };
    },
    partial: true,
    failure: missing,
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/{project_id}/token-count',
    tag,
    summary: 'Estimate the number of tokens in the files of a project',
    params,
    reply: z.object({ total_tokens: z.int() }).openapi('TokenCountResponse'),
    document: graphql(`query GetProjectTokens($id: ID!) { project(id: $id) { fileTokens } }`),
    variables: ({ params }) => ({ id: String(params.project_id) }),
    output: ({ project }) => ({ total_tokens: project.fileTokens }),
    failure: missing,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/{project_id}/files/{file_id}',
    tag,
    summary: 'Add a file to a project',
    params: linkParams,
    reply: UserFileSnapshot,
    document: graphql(
      `mutation LinkFile($fileId: ID!, $projectId: ID!) {
        linkFileToProject(input: { fileId: $fileId, projectId: $projectId }) { file { ...FileSnapshot } }
      }`,
      [FileSnapshot],
    ),
    variables: ({ params }) => ({ fileId: params.file_id, projectId: String(params.project_id) }),
    output: ({ linkFileToProject }) => fileSnapshot(linkFileToProject.file),
    failure: missingFile,
  }),
  endpoint({
    method: 'delete',
    path: '/user/projects/{project_id}/files/{file_id}',
    tag,
    summary: 'Remove a file from a project without deleting it',
    params: linkParams,
    status: 204,
    reply: nothing,
    document: graphql(
      `mutation UnlinkFile($fileId: ID!, $projectId: ID!) {
        unlinkFileFromProject(input: { fileId: $fileId, projectId: $projectId }) { file { databaseId } }
      }`,
    ),
    variables: ({ params }) => ({ fileId: params.file_id, projectId: String(params.project_id) }),
    output: () => null,
    failure: missingFile,
  }),
  endpoint({
    method: 'get',
    path: '/chat/file/{file_id}',
    tag: 'Chat',
    summary: 'Download the content of a file',
    params: z.object({ file_id: z.string() }),
    query: z.object({
      parsed: flag
        .optional()
        .refine((parsed) => !parsed, 'is not supported: only the file itself can be downloaded')
        .openapi({
          type: 'boolean',
          description: 'Not supported. Only false is accepted, because this server has no table previews.',
        }),
    }),
    reply: z.object({ id: z.string(), name: z.string(), mediaType: z.string() }),
    format: 'file',
    content: Object.fromEntries(Object.keys(acceptedTypes).map((type) => [type, binary])),
    document: graphql(`query GetFile($id: ID!) { file(id: $id) { databaseId name mediaType } }`),
    variables: ({ params }) => ({ id: params.file_id }),
    output: ({ file: { databaseId, name, mediaType } }) => ({ id: databaseId, name, mediaType }),
    download: async ({ id, name, mediaType }, { services }) => ({
      bytes: await services.files.bytes(id),
      fileName: name,
      mediaType,
      etag: id,
    }),
    failure: missingFile,
  }),
];
