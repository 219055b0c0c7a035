import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Agent as AgentRow, Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { cut } from '../../paging.ts';
import { AgentConnection } from '../agents/agents.graphql.ts';
import { agentsById } from '../agents/agents.service.ts';
import type { FolderSummary } from './folders.service.ts';
import { Document } from './knowledge.graphql.ts';

for (const [name, description] of [
  ['agents', 'The agents that the document belongs to and that the caller may use, by `databaseId`.'],
  [
    'pinnedBy',
    'The agents whose every turn receives the document in full and that the caller may use, by `databaseId`.',
  ],
] as const)
  builder.prismaObjectField(Document, name, (t) =>
    t.field({
      type: AgentConnection,
      nullable: true,
      authScopes: { permission: 'read:agents' },
      description,
      args: pageArgs(t.arg),
      select: (args, { principal, pageLimit }, nested) => {
        const listed = visible.usableAgents(signedIn(principal));
        const { where, ...page } = agentsById.page(args, pageLimit);
        return {
          [name]: nestedNodes(nested, 'Agent', agentsById, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { [name]: { where: listed } } },
        };
      },
      resolve: (document, args, { pageLimit }) => {
        const { [name]: agents, _count: counts } = document as unknown as WithAgents;
        const page = cut(agents, agentsById.page(args, pageLimit));
        return connection(agentsById, page, args, async () => counts[name]);
      },
    }),
  );

/** The relations that the fields above select. */
type WithAgents = Record<'agents' | 'pinnedBy', AgentRow[]> & { _count: Record<'agents' | 'pinnedBy', number> };

const DocumentFolder = builder.objectRef<FolderSummary>('DocumentFolder').implement({
  description: 'A folder of documents, as the AnythingLLM paths show them.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'Its name. The documents that were put into none are in `custom-documents`.',
    }),
    documentCount: t.exposeInt('documentCount', { description: 'How many documents in it the caller may read.' }),
  }),
});

const nameOfFolder = (description: string) => (t: InputFields) => ({ name: t.string({ required: true, description }) });
type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const CreateDocumentFolderInput = builder.inputType('CreateDocumentFolderInput', {
  description: 'A folder to make.',
  fields: nameOfFolder('1 to 255 characters, without slashes.'),
});

const DeleteDocumentFolderInput = builder.inputType('DeleteDocumentFolderInput', {
  description: 'Which folder goes.',
  fields: nameOfFolder('Its name.'),
});

const DocumentMoveInput = builder.inputType('DocumentMoveInput', {
  description: 'Where a document goes.',
  fields: (t) => ({
    from: t.string({ required: true, description: 'Its location: `custom-documents/notes.json`.' }),
    to: t.string({ required: true, description: 'A folder that is there, and a file name that ends with `.json`.' }),
  }),
});

const MoveDocumentsInput = builder.inputType('MoveDocumentsInput', {
  description: 'Which documents go where.',
  fields: (t) => ({
    moves: t.field({ type: [DocumentMoveInput], required: true, description: 'At most 10,000 moves.' }),
  }),
});

const DeleteDocumentsInput = builder.inputType('DeleteDocumentsInput', {
  description: 'Which documents go.',
  fields: (t) => ({
    locations: t.stringList({ required: true, description: 'Their locations; at most 10,000.' }),
  }),
});

const DocumentFolderPayload = builder.objectRef<FolderSummary>('DocumentFolderPayload').implement({
  description: 'The folder that a mutation made.',
  fields: (t) => ({
    folder: t.field({ type: DocumentFolder, description: 'The folder.', resolve: (folder) => folder }),
  }),
});

const DeleteDocumentFolderPayload = builder
  .objectRef<{ name: string; documentIds: string[] }>('DeleteDocumentFolderPayload')
  .implement({
    description: 'What `deleteDocumentFolder` deleted.',
    fields: (t) => ({
      deletedName: t.exposeString('name', { description: 'The name that it had.' }),
      deletedDocumentIds: t.exposeStringList('documentIds', { description: 'The ids of the documents in it.' }),
    }),
  });

const MoveDocumentsPayload = builder
  .objectRef<{ moved: DocumentRow[]; skipped: string[] }>('MoveDocumentsPayload')
  .implement({
    description: 'What `moveDocuments` did.',
    fields: (t) => ({
      documents: t.field({
        type: [Document],
        description: 'The documents that were moved.',
        resolve: ({ moved }) => moved,
      }),
      skipped: t.exposeStringList('skipped', {
        description: 'The locations of those that agents have as their own: they stay.',
      }),
    }),
  });

const DeleteDocumentsPayload = builder.objectRef<DocumentRow[]>('DeleteDocumentsPayload').implement({
  description: 'What `deleteDocuments` deleted.',
  fields: (t) => ({
    deletedDocumentIds: t.stringList({
      description: 'The ids that they had.',
      resolve: (documents) => documents.map(({ externalId }) => externalId),
    }),
  }),
});

builder.queryFields((t) => ({
  documentFolders: t.field({
    type: [DocumentFolder],
    listSize: 1000,
    authScopes: { permission: 'manage:documents' },
    description: 'All folders of documents by name, `custom-documents` first. `documents` lists what is in one.',
    resolve: (_root, _args, { principal, services }) => services.folders.list(signedIn(principal)),
  }),
  document: t.field({
    type: Document,
    authScopes: { permission: 'manage:documents' },
    description: 'One document. NOT_FOUND for what the caller may not read, and for the text of a file.',
    args: {
      location: t.arg.string({ required: true, description: 'Its file name, with its folder or without.' }),
    },
    resolve: (_root, { location }, { principal, services }) => services.folders.find(signedIn(principal), location),
  }),
}));

builder.mutationFields((t) => ({
  createDocumentFolder: t.field({
    type: DocumentFolderPayload,
    authScopes: { permission: 'manage:documents' },
    description: 'Makes a folder of documents. CONFLICT where there is one of that name.',
    args: { input: t.arg({ type: CreateDocumentFolderInput, required: true, description: 'The folder.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.create(signedIn(principal), input),
  }),
  deleteDocumentFolder: t.field({
    type: DeleteDocumentFolderPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description:
      'Deletes a folder with its documents. Those that the caller may not read go back to `custom-documents`, which stays.',
    args: { input: t.arg({ type: DeleteDocumentFolderInput, required: true, description: 'The folder.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.delete(signedIn(principal), input),
  }),
  moveDocuments: t.field({
    type: MoveDocumentsPayload,
    sizedFields: { documents: ({ input }) => input.moves.length },
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description:
      'Moves documents to other folders, or gives them other file names: all or none, except those that agents have as their own, which stay.',
    args: { input: t.arg({ type: MoveDocumentsInput, required: true, description: 'The moves.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.move(signedIn(principal), input),
  }),
  deleteDocuments: t.field({
    type: DeleteDocumentsPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description:
      'Deletes documents with their passages. Locations at which the caller may read nothing are passed over.',
    args: { input: t.arg({ type: DeleteDocumentsInput, required: true, description: 'The documents.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.folders.deleteDocuments(signedIn(principal), input),
  }),
}));
