import type { Kit } from './kit.ts';

/** A file, a word that only it contains, and the objects that it belongs to. */
export interface Target {
  file: string;
  word: string;
  document: number;
  projectId: number;
  sessionId: string;
}

/** `ok` when a response contains the file, `none` when it does not, or the code of its error. */
export type Outcome = 'ok' | 'none' | string | number;
const node = (type: string, id: string | number) => Buffer.from(`${type}:${id}`).toString('base64');

export const graphOperations: Record<string, (target: Target) => [query: string, variables: object]> = {
  list: () => ['{ files(first: 100) { nodes { databaseId } } }', {}],
  named: ({ file }) => [
    'query ($ids: [ID!]) { files(filter: { ids: $ids }) { totalCount nodes { databaseId } } }',
    { ids: [file] },
  ],
  ofProject: ({ projectId }) => [
    'query ($id: ID) { files(filter: { projectId: $id }) { nodes { databaseId } } }',
    { id: projectId },
  ],
  ofSession: ({ sessionId }) => [
    'query ($id: ID) { files(filter: { sessionId: $id }) { nodes { databaseId } } }',
    { id: sessionId },
  ],
  project: ({ projectId }) => [
    'query ($id: ID!) { project(id: $id) { files { nodes { databaseId } } } }',
    { id: projectId },
  ],
  file: ({ file }) => ['query ($id: ID!) { file(id: $id) { databaseId } }', { id: file }],
  fileNode: ({ file }) => [
    'query ($id: ID!) { node(id: $id) { ... on File { databaseId } } }',
    { id: node('File', file) },
  ],
  documentNode: ({ document }) => [
    'query ($id: ID!) { node(id: $id) { ... on Document { documentId } } }',
    { id: node('Document', document) },
  ],
  search: ({ word }) => ['query ($word: String!) { search(query: $word) { documentId } }', { word }],
  attach: ({ file }) => [
    `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { documents { documentId } } }`,
    { input: { message: 'Well?', fileIds: [file] } },
  ],
  link: ({ file, projectId }) => [
    `mutation ($input: LinkFileToProjectInput!) { linkFileToProject(input: $input) { file { databaseId } } }`,
    { input: { fileId: file, projectId } },
  ],
  unlink: ({ file, projectId }) => [
    `mutation ($input: UnlinkFileFromProjectInput!) { unlinkFileFromProject(input: $input) { file { databaseId } } }`,
    { input: { fileId: file, projectId } },
  ],
  delete: ({ file }) => ['mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }', { id: file }],
};

export const restOperations: Record<string, (target: Target) => [method: string, path: string, body?: unknown]> = {
  recent: () => ['GET', '/user/files/recent'],
  statuses: ({ file }) => ['POST', '/user/projects/file/statuses', { file_ids: [file] }],
  status: ({ file }) => ['GET', `/user/projects/file/${file}`],
  ofProject: ({ projectId }) => ['GET', `/user/projects/files/${projectId}`],
  ofSession: ({ sessionId }) => ['GET', `/user/projects/session/${sessionId}/files`],
  details: ({ projectId }) => ['GET', `/user/projects/${projectId}/details`],
  download: ({ file }) => ['GET', `/chat/file/${file}`],
  attach: ({ file }) => [
    'POST',
    '/chat/send-chat-message',
    { message: 'Well?', stream: false, file_descriptors: [{ id: file, type: 'document' }] },
  ],
  link: ({ file, projectId }) => ['POST', `/user/projects/${projectId}/files/${file}`],
  unlink: ({ file, projectId }) => ['DELETE', `/user/projects/${projectId}/files/${file}`],
  delete: ({ file }) => ['DELETE', `/user/projects/file/${file}`],
};

async function byGraph(kit: Kit, name: string, target: Target, key: string): Promise<Outcome> {
  const [query, variables] = graphOperations[name]?.(target) ?? [];
  const { data, errors } = await kit.gql(query as string, variables, key);
  if (errors[0]) return errors[0].extensions.code;
  const text = JSON.stringify(data);
  return text.includes(target.file) || text.includes(node('File', target.file)) ? 'ok' : 'none';
}

export async function byRest(kit: Kit, name: string, target: Target, key: string): Promise<Outcome> {
  const [method, path, body] = restOperations[name]?.(target) ?? [];
  const { status, text } = await kit.rest(method as string, `/api${path}`, {
    key,
    ...(body !== undefined && { body }),
  });
  if (status >= 400) return status;
  return text.includes(target.file) || text.includes(target.word) || name === 'unlink' || name === 'delete'
    ? 'ok'
    : 'none';
}

export const graphNames = Object.keys(graphOperations);
export const restNames = Object.keys(restOperations);

/** Returns the outcomes of all or the named operations in both APIs. */
export async function outcomes(kit: Kit, target: Target, key: string, { graph = graphNames, rest = restNames } = {}) {
  const found: { graph: Record<string, Outcome>; rest: Record<string, Outcome> } = { graph: {}, rest: {} };
  for (const name of graph) found.graph[name] = await byGraph(kit, name, target, key);
  for (const name of rest) found.rest[name] = await byRest(kit, name, target, key);
  return found;
}
