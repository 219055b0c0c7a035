import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Agent as AgentRow, Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { globalId } from '../../graphql/id-input.ts';
import { cut } from '../../paging.ts';
import { agentsById } from '../agents/agent-lists.ts';
import { AgentConnection } from '../agents/agents.graphql.ts';
import type { FolderSummary } from './folder-rules.ts';
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
  description: 'A folder of documents, as in the AnythingLLM paths.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'The name of the folder. Documents without another folder are in `custom-documents`.',
    }),
    documentCount: t.exposeInt('documentCount', {
      description: 'The number of documents in the folder that the caller can read.',
    }),
  }),
});

const nameOfFolder = (description: string) => (t: InputFields) => ({ name: t.string({ required: true, description }) });
type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

const CreateDocumentFolderInput = builder.inputType('CreateDocumentFolderInput', {
  description: 'Input for the mutation `createDocumentFolder`.',
  fields: nameOfFolder('The name of the folder; 1 to 255 characters, without slashes.'),
});

const DeleteDocumentFolderInput = builder.inputType('DeleteDocumentFolderInput', {
  description: 'Input for the mutation `deleteDocumentFolder`.',
  fields: nameOfFolder('The name of the folder to delete.'),
});

const DocumentMoveInput = builder.inputType('DocumentMoveInput', {
  description: 'A move of a document to another location.',
  fields: (t) => ({
    from: t.string({ required: true, description: 'The present location, such as `custom-documents/notes.json`.' }),
    to: t.string({
      required: true,
      description: 'The new location: an existing folder and a file name that ends with `.json`.',
    }),
  }),
});

const MoveDocumentsInput = builder.inputType('MoveDocumentsInput', {
  description: 'Input for the mutation `moveDocuments`.',
  fields: (t) => ({
    moves: t.field({ type: [DocumentMoveInput], required: true, description: 'The moves, in order; at most 10,000.' }),
  }),
});

const DeleteDocumentsInput = builder.inputType('DeleteDocumentsInput', {
  description: 'Input for the mutation `deleteDocuments`.',
  fields: (t) => ({
    locations: t.stringList({ required: true, description: 'The locations of the documents; at most 10,000.' }),
  }),
});

const CreateDocumentFolderPayload = builder.objectRef<FolderSummary>('CreateDocumentFolderPayload').implement({
  description: 'Result of the mutation `createDocumentFolder`.',
  fields: (t) => ({
    folder: t.field({ type: DocumentFolder, description: 'The folder that was created.', resolve: (folder) => folder }),
  }),
});

const DeleteDocumentFolderPayload = builder
  .objectRef<{ name: string; documentIds: number[] }>('DeleteDocumentFolderPayload')
  .implement({
    description: 'Result of the mutation `deleteDocumentFolder`.',
    fields: (t) => ({
      deletedName: t.exposeString('name', { description: 'The name of the deleted folder.' }),
      deletedDocumentIds: t.idList({
        description: 'The global IDs of the deleted documents.',
        resolve: ({ documentIds }) => documentIds.map((id) => globalId('Document', id)),
      }),
    }),
  });

const MoveDocumentsPayload = builder
  .objectRef<{ moved: DocumentRow[]; skipped: string[] }>('MoveDocumentsPayload')
  .implement({
    description: 'Result of the mutation `moveDocuments`.',
    fields: (t) => ({
      documents: t.field({
        type: [Document],
        description: 'The moved documents, in the order of the input.',
        resolve: ({ moved }) => moved,
      }),
      skipped: t.exposeStringList('skipped', {
        description: 'The locations of documents that belong to agents and were not moved.',
      }),
    }),
  });

const DeleteDocumentsPayload = builder.objectRef<DocumentRow[]>('DeleteDocumentsPayload').implement({
  description: 'Result of the mutation `deleteDocuments`.',
  fields: (t) => ({
    deletedDocumentIds: t.idList({
      description: 'The global IDs of the deleted documents.',
      resolve: (documents) => documents.map(({ id }) => globalId('Document', id)),
    }),
  }),
});

builder.queryFields((t) => ({
  documentFolders: t.withAuth({ permission: 'manage:documents' }).field({
    type: [DocumentFolder],
    listSize: 1000,
    description:
      'All folders of documents by name, `custom-documents` first: at most 5,001. `documents` lists the content of a folder.',
    resolve: (_root, _args, { principal, services }) => services.folders.list(principal),
  }),
  documentByLocation: t.withAuth({ permission: 'manage:documents' }).field({
    type: Document,
    description:
      'Returns the document at a location. NOT_FOUND for a document that the caller cannot read, and for the text of a file.',
    args: {
      location: t.arg.string({
        required: true,
        description: 'The file name of the document, with or without its folder.',
      }),
    },
    resolve: (_root, { location }, { principal, services }) => services.folders.find(principal, location),
  }),
}));

builder.mutationFields((t) => ({
  createDocumentFolder: t.withAuth({ permission: 'manage:documents' }).field({
    type: CreateDocumentFolderPayload,
    description: 'Creates a folder of documents. CONFLICT when a folder of that name exists.',
    args: { input: t.arg({ type: CreateDocumentFolderInput, required: true, description: 'The folder to create.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.create(principal, input),
  }),
  deleteDocumentFolder: t.withAuth({ permission: 'manage:documents' }).field({
    type: DeleteDocumentFolderPayload,
    ownTimeLimit: true,
    description:
      'Deletes a folder with its documents. Documents that the caller cannot read move to `custom-documents`, which cannot be deleted.',
    args: { input: t.arg({ type: DeleteDocumentFolderInput, required: true, description: 'The folder to delete.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.delete(principal, input),
  }),
  moveDocuments: t.withAuth({ permission: 'manage:documents' }).field({
    type: MoveDocumentsPayload,
    sizedFields: { documents: ({ input }) => input.moves.length },
    ownTimeLimit: true,
    description:
      'Moves documents to other folders or renames them, all or none. Documents that belong to agents are not moved.',
    args: {
      input: t.arg({ type: MoveDocumentsInput, required: true, description: 'The documents and their new locations.' }),
    },
    resolve: (_root, { input }, { principal, services }) => services.folders.move(principal, input),
  }),
  deleteDocuments: t.withAuth({ permission: 'manage:documents' }).field({
    type: DeleteDocumentsPayload,
    ownTimeLimit: true,
    description:
      'Deletes documents and their passages. Locations without a document that the caller can read are ignored.',
    args: { input: t.arg({ type: DeleteDocumentsInput, required: true, description: 'The documents to delete.' }) },
    resolve: (_root, { input }, { principal, services }) => services.folders.deleteDocuments(principal, input),
  }),
}));
