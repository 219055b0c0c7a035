import { visible } from '../../authz/visible.ts';
import type { Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, integerIdList, textId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { documentOrder, documentOrders } from './document-lists.ts';
import { locationOf } from './location.ts';
import { type DocumentOwner as Owner, ownerName } from './owners.ts';
import type { Hit } from './retrieval.ts';

const DocumentOrigin = builder.enumType('DocumentOrigin', {
  description: 'How a document entered the server.',
  values: {
    INGESTION: { description: 'Through `ingestDocument` or `POST /onyx-api/ingestion`.' },
    UPLOAD: { description: 'Through the document paths of AnythingLLM: an upload, a raw text or a link.' },
    FILE: { description: 'As the text of an uploaded file, such as a chat attachment.' },
    PROJECT: { description: 'Added with the mutation `addProjectDocument`.' },
    IMPORT: { description: 'With an import from another server.' },
    BUILTIN: { description: 'The documentation of the server, which it adds when it starts.' },
  },
});

const DocumentOwner = builder.objectRef<Owner>('DocumentOwner').implement({
  description: 'A person who is responsible for a document, as the source of the document describes them.',
  fields: (t) => ({
    name: t.string({
      nullable: true,
      description:
        'The name to show: first and last name, else the display name, the e-mail address or the first name.',
      resolve: ownerName,
    }),
    displayName: t.exposeString('displayName', { nullable: true, description: 'The full name as one text.' }),
    firstName: t.exposeString('firstName', { nullable: true, description: 'The given name of the person.' }),
    middleInitial: t.exposeString('middleInitial', { nullable: true, description: 'The initial of the middle name.' }),
    lastName: t.exposeString('lastName', { nullable: true, description: 'The family name of the person.' }),
    email: t.exposeString('email', { nullable: true, description: 'The e-mail address of the person.' }),
  }),
});

export const Document = builder.prismaNode('Document', {
  id: { field: 'id', description: 'The global ID of the document.' },
  nullable: true,
  description: 'A text that agents can search and cite.',
  fields: (t) => ({
    documentId: t.exposeString('externalId', {
      description: 'The ID that the client chose, or a generated UUID. Citations and the REST paths use it.',
    }),
    title: t.exposeString('title', { description: 'The title that lists, answers and citations show.' }),
    searchTitle: t.string({
      description: 'The title that search indexes: `title` unless another was given; empty when no title is indexed.',
      select: { title: true, searchTitle: true },
      resolve: ({ title, searchTitle }) => searchTitle ?? title,
    }),
    origin: t.expose('origin', { type: DocumentOrigin, description: 'How the document entered the server.' }),
    primaryOwners: t.field({
      type: [DocumentOwner],
      listSize: 2,
      description: 'The people responsible for the document, such as its authors.',
      select: { primaryOwners: true },
      resolve: ({ primaryOwners }) => primaryOwners as unknown as Owner[],
    }),
    secondaryOwners: t.field({
      type: [DocumentOwner],
      listSize: 2,
      description: 'Other people responsible for the document, such as its assignees.',
      select: { secondaryOwners: true },
      resolve: ({ secondaryOwners }) => secondaryOwners as unknown as Owner[],
    }),
    link: t.exposeString('link', { nullable: true, description: 'The address of the original document.' }),
    source: t.exposeString('source', {
      description: 'The source of the document, such as `ingestion_api` or `upload`.',
    }),
    metadata: t.expose('metadata', {
      type: 'JSONObject',
      description: 'The properties of the document: strings or lists of strings by name.',
    }),
    databaseId: t.exposeInt('id', { description: 'The integer ID of the document.' }),
    fileName: t.exposeString('fileName', { description: 'The file name in the folders of the AnythingLLM paths.' }),
    location: t.string({
      description: 'The folder and the file name, as in the AnythingLLM paths: `custom-documents/notes.json`.',
      select: { fileName: true, folder: { select: { name: true } } },
      resolve: ({ fileName, folder }) => locationOf({ fileName, folder }),
    }),
    wordCount: t.exposeInt('wordCount', { description: 'The number of words in the text.' }),
    tokenCount: t.exposeInt('tokenCount', { description: 'The estimated number of tokens in the text.' }),
    isPublic: t.exposeBoolean('isPublic', { description: 'Whether every user of the server can find the document.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the document was added.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'The time of the last change of the document.' }),
  }),
});

nodeRule('Document', {
  permission: 'read:search',
  readable: ({ prisma }, principal, ids) =>
    prisma.document.findMany({
      where: { AND: [visible.documents(principal), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

export const SearchHit = builder
  .objectRef<Hit & { number?: number; document?: () => Promise<DocumentRow | null> }>('SearchHit')
  .implement({
    description: 'A passage of a document that the caller may read.',
    fields: (t) => ({
      number: t.int({
        nullable: true,
        description: 'In a turn, the number by which the answer cites its document.',
        resolve: ({ number }) => number ?? null,
      }),
      documentId: t.exposeString('documentId', {
        description: 'The `documentId` of the document that contains the passage.',
      }),
      position: t.exposeInt('position', { description: 'The position of the passage in the document, starting at 0.' }),
      title: t.exposeString('title', { description: 'The title of the document, for display.' }),
      heading: t.exposeString('heading', {
        description: 'The indexed title of the document, followed by the headings above the passage.',
      }),
      link: t.exposeString('link', { nullable: true, description: 'The address of the original document.' }),
      text: t.exposeString('text', { description: 'The text of the passage, as in the document.' }),
      source: t.exposeString('source', { description: 'The source of the document, such as `ingestion_api`.' }),
      metadata: t.expose('metadata', {
        type: 'JSONObject',
        description: 'The properties of the document: strings or lists of strings by name.',
      }),
      primaryOwners: t.stringList({
        description: 'The names of the people responsible for the document.',
        resolve: ({ primaryOwners }) => primaryOwners ?? [],
      }),
      secondaryOwners: t.stringList({
        description: 'The names of other people responsible for the document.',
        resolve: ({ secondaryOwners }) => secondaryOwners ?? [],
      }),
      score: t.exposeFloat('score', {
        description:
          'How well the passage fits the question, 0 to 1: the cosine similarity if an embedding model is configured, or else a measure of the share of the question’s words that the passage contains. Comparable across queries; the hits are ordered by several rankings together.',
      }),
      updatedAt: t.expose('updatedAt', {
        type: 'DateTime',
        nullable: true,
        description: 'The time at which the document last changed at its source.',
      }),
      highlights: t.exposeStringList('highlights', {
        description: 'Excerpts with the matching words in `<hi>…</hi>`; the text is not escaped.',
      }),
      document: t.field({
        type: Document,
        nullable: true,
        authScopes: { permission: 'read:search' },
        description: 'The document that contains the passage. Set in the result of `search` only.',
        resolve: ({ document }) => document?.() ?? null,
      }),
    }),
  });

export const DocumentEdge = builder.edgeObject({
  type: Document,
  name: 'DocumentEdge',
  description: 'A document and its cursor in a list.',
});
export const DocumentConnection = builder.connectionObject(
  { type: Document, name: 'DocumentConnection', description: 'A page of a list of documents.' },
  DocumentEdge,
);

export const SectionInput = builder.inputType('DocumentSectionInput', {
  description: 'A part of the text of a document.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'Text or Markdown; at most 2,000,000 characters.' }),
    link: t.string({ description: 'The address of this part of the original document.' }),
  }),
});

const DocumentOwnerInput = builder.inputType('DocumentOwnerInput', {
  description: 'A person who is responsible for a document. Each text has at most 500 characters.',
  fields: (t) => ({
    displayName: t.string({ description: 'The full name as one text.' }),
    firstName: t.string({ description: 'The given name of the person.' }),
    middleInitial: t.string({ description: 'The initial of the middle name.' }),
    lastName: t.string({ description: 'The family name of the person.' }),
    email: t.string({ description: 'The e-mail address of the person.' }),
  }),
});

const IngestDocumentInput = builder.inputType('IngestDocumentInput', {
  description:
    'Input for `ingestDocument`. Replaces the document with the same ID; of that one, a field that is null or absent stays unchanged.',
  fields: (t) => ({
    documentId: t.string({
      description:
        'The ID of the document, chosen by the client; at most 500 characters. Defaults to a generated UUID.',
    }),
    title: t.string({
      required: true,
      description: 'The title that lists, answers and citations show, 1 to 500 characters.',
    }),
    searchTitle: t.string({
      description:
        'The title that search indexes, at most 500 characters. Defaults to `title`; when empty, only the text is indexed.',
    }),
    sections: t.field({
      type: [SectionInput],
      required: true,
      description: 'The parts of the text; together at most 5,000,000 characters.',
    }),
    source: t.string({
      description:
        'Where the document came from, at most 50 characters. Defaults to `ingestion_api`, and to the present value for a known ID.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description:
        'Properties of the document: at most 100 strings or lists of strings by name. For a known ID, the present ones stay when absent.',
    }),
    documentUpdatedAt: t.field({
      type: 'DateTime',
      description: 'When the document last changed at its source. For a known ID, the present time stays when absent.',
    }),
    primaryOwners: t.field({
      type: [DocumentOwnerInput],
      description:
        'The people responsible for the document, at most 100. For a known ID, the present ones stay when absent.',
    }),
    secondaryOwners: t.field({
      type: [DocumentOwnerInput],
      description:
        'Other people responsible for the document, at most 100. For a known ID, the present ones stay when absent.',
    }),
    isPublic: t.boolean({
      description:
        'Whether every user of the server can find the document. Defaults to true for a new document outside of a project; a known document stays as it is.',
    }),
    agentIds: t.idList({
      description: 'The agents that the document is added to, by global or integer ID; at most 100.',
    }),
    projectId: t.id({
      description:
        'A project of the caller that the document is added to, by its global or integer ID. A new document is private then.',
    }),
  }),
});

const DeleteDocumentInput = builder.inputType('DeleteDocumentInput', {
  description: 'Input for the mutation `deleteDocument`.',
  fields: (t) => ({
    documentId: t.id({ required: true, description: 'The document, by its global ID or its `documentId`.' }),
    onlyOrigins: t.field({
      type: [DocumentOrigin],
      description: 'Fails with CONFLICT unless the document has one of these origins. Defaults to all origins.',
    }),
  }),
});

const IngestDocumentPayload = builder
  .objectRef<{ document: DocumentRow; alreadyExisted: boolean }>('IngestDocumentPayload')
  .implement({
    description: 'Result of the mutation `ingestDocument`.',
    fields: (t) => ({
      document: t.field({
        type: Document,
        description: 'The document that was stored.',
        resolve: ({ document }) => document,
      }),
      documentEdge: t.field({
        type: DocumentEdge,
        description: 'The stored document with its cursor, for clients that add it to a list.',
        resolve: ({ document }) => edge(documentOrder, document),
      }),
      alreadyExisted: t.exposeBoolean('alreadyExisted', {
        description: 'Whether the document replaced one with the same ID.',
      }),
    }),
  });

const DeleteDocumentPayload = builder.objectRef<DocumentRow>('DeleteDocumentPayload').implement({
  description: 'Result of the mutation `deleteDocument`.',
  fields: (t) => ({
    deletedDocumentId: t.id({
      description: 'The global ID of the deleted document.',
      resolve: ({ id }) => globalId('Document', id),
    }),
  }),
});

const DocumentFilter = builder.inputType('DocumentFilter', {
  description: 'Conditions on a list of documents; all that are set must be met.',
  fields: (t) => ({
    search: t.string({ description: 'Text that the title contains, ignoring case; at most 200 characters.' }),
    folder: t.string({ description: 'Returns only the documents of this folder. NOT_FOUND for an unknown folder.' }),
    filesIncluded: t.boolean({
      description:
        'Whether the list includes documents that hold the text of an uploaded file, which are in no folder. Defaults to true.',
    }),
    origins: t.field({ type: [DocumentOrigin], description: 'Returns only documents of one of these origins.' }),
  }),
});

const DocumentOrder = orderInput('Document', documentOrders, {
  CREATED_AT: 'The time at which the document was added.',
  UPDATED_AT: 'The time of the last change of the document.',
  TITLE: 'The title of the document.',
});

builder.queryFields((t) => ({
  documents: t.withAuth({ permission: 'manage:documents' }).field({
    type: DocumentConnection,
    description: 'All documents that the caller can read, newest first.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: DocumentFilter, description: 'Conditions on the documents.' }),
      orderBy: t.arg({ type: DocumentOrder, description: 'Order of the documents. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { knowledge, folders } = context.services;
      const principal = context.principal;
      const order = documentOrders.of(orderBy);
      const only = await folders.selected(filter ?? {});
      const query = { ...nodeQuery(context, info), ...order.page(args, context.pageLimit) };
      return connection(order, await knowledge.list(principal, only, query), args, () =>
        knowledge.count(principal, only),
      );
    },
  }),
  document: t.withAuth({ permission: 'read:search' }).prismaField({
    type: Document,
    description: 'Returns a document. NOT_FOUND for a document that the caller cannot read.',
    args: {
      id: t.arg.id({ required: true, description: 'The document, by its global ID or its `documentId`.' }),
    },
    resolve: async (query, _root, { id }, { principal, services: { knowledge } }) => {
      const externalId = await knowledge.externalIdOf(principal, textId(id, 'Document', ['id']));
      return knowledge.find(principal, { externalId }, query);
    },
  }),
}));

builder.mutationFields((t) => ({
  ingestDocument: t.withAuth({ permission: 'manage:documents' }).field({
    type: IngestDocumentPayload,
    ownTimeLimit: true,
    description: 'Adds or replaces a document. Search finds it as soon as the mutation returns.',
    args: { input: t.arg({ type: IngestDocumentInput, required: true, description: 'The document to store.' }) },
    resolve: (_root, { input: { documentId, agentIds, projectId, ...document } }, { principal, services }) =>
      services.knowledge.ingest(principal, {
        ...Object.fromEntries(Object.entries(document).filter(([, value]) => value != null)),
        title: document.title,
        sections: document.sections,
        ...(documentId != null && { id: documentId }),
        ...(agentIds && { agentIds: integerIdList(agentIds, 'Agent', ['input', 'agentIds']) }),
        ...(projectId != null && { projectId: integerId(projectId, 'Project', ['input', 'projectId']) }),
      }),
  }),
  deleteDocument: t.withAuth({ permission: 'manage:documents' }).field({
    type: DeleteDocumentPayload,
    description: 'Deletes a document and its passages.',
    args: { input: t.arg({ type: DeleteDocumentInput, required: true, description: 'The document to delete.' }) },
    resolve: async (_root, { input: { documentId, onlyOrigins } }, { principal, services: { knowledge } }) => {
      const id = textId(documentId, 'Document', ['input', 'documentId']);
      return knowledge.remove(principal, await knowledge.externalIdOf(principal, id), onlyOrigins);
    },
  }),
}));
