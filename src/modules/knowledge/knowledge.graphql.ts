import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { maxPage } from '../../paging.ts';
import { documentOrder } from './knowledge.service.ts';
import { locationOf } from './location.ts';
import { type DocumentOwner as Owner, ownerName } from './owners.ts';
import type { Hit } from './retrieval.ts';

const DocumentOrigin = builder.enumType('DocumentOrigin', {
  description: 'How a document entered the server.',
  values: {
    INGESTION: { description: 'Through `ingestDocument` or `POST /onyx-api/ingestion`.' },
    UPLOAD: { description: 'Through the document paths of AnythingLLM: an upload, a raw text or a link.' },
    FILE: { description: 'As the text of an uploaded file, such as a chat attachment.' },
    PROJECT: { description: 'Through `addProjectDocument`.' },
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
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'A text that agents can search and cite.',
  fields: (t) => ({
    documentId: t.exposeString('externalId', { description: 'The id by which citations and the REST paths know it.' }),
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
    link: t.exposeString('link', { nullable: true, description: 'Where to read it.' }),
    source: t.exposeString('source', { description: 'Where it came from.' }),
    metadata: t.expose('metadata', { type: 'JSONObject', description: 'Texts and lists of texts by name.' }),
    databaseId: t.exposeInt('id', { description: 'The integer id.' }),
    fileName: t.exposeString('fileName', { description: 'Its file name in the folders of the AnythingLLM paths.' }),
    location: t.string({
      description: 'Its folder and file name, as the AnythingLLM paths write them: `custom-documents/notes.json`.',
      select: { fileName: true, folder: { select: { name: true } } },
      resolve: ({ fileName, folder }) => locationOf({ fileName, folder }),
    }),
    wordCount: t.exposeInt('wordCount', { description: 'How many words it has.' }),
    tokenCount: t.exposeInt('tokenCount', { description: 'About how many tokens it has.' }),
    isPublic: t.exposeBoolean('isPublic', { description: 'Whether everybody with a credential may find it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it came.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last replaced.' }),
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
      documentId: t.exposeString('documentId', { description: 'The id of its document.' }),
      position: t.exposeInt('position', { description: 'Its place in the document, from 0.' }),
      title: t.exposeString('title', { description: 'The title of the document, for display.' }),
      heading: t.exposeString('heading', {
        description: 'The headings above the passage, behind the title that search indexes.',
      }),
      link: t.exposeString('link', { nullable: true, description: 'Where to read it in full.' }),
      text: t.exposeString('text', { description: 'The passage, as in the document.' }),
      source: t.exposeString('source', { description: 'Where the document came from, such as `ingestion_api`.' }),
      metadata: t.expose('metadata', {
        type: 'JSONObject',
        description: 'What is said about the document: texts and lists of texts by name.',
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
        description: 'When the document says that it last changed.',
      }),
      highlights: t.exposeStringList('highlights', {
        description: 'Fragments, with the words that matched in `<hi>…</hi>`; not escaped.',
      }),
      document: t.field({
        type: Document,
        nullable: true,
        authScopes: { permission: 'read:search' },
        description: 'Its document, in the result of `search`; null elsewhere.',
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
  description: 'A part of a document.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'Text or Markdown; at most 2,000,000 characters.' }),
    link: t.string({ description: 'Where to read this part.' }),
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
    documentId: t.string({ description: 'Its id, at most 500 characters; generated unless given.' }),
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
      description: 'Its text, in parts; together at most 5,000,000 characters.',
    }),
    source: t.string({
      description:
        'Where the document came from, at most 50 characters. Defaults to `ingestion_api`, and to the present value for a known id.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Texts and lists of texts by name. For a known id, the present ones stay when absent.',
    }),
    documentUpdatedAt: t.field({
      type: 'DateTime',
      description: 'When the document last changed at its source. For a known id, the present time stays when absent.',
    }),
    primaryOwners: t.field({
      type: [DocumentOwnerInput],
      description:
        'The people responsible for the document, at most 100. For a known id, the present ones stay when absent.',
    }),
    secondaryOwners: t.field({
      type: [DocumentOwnerInput],
      description:
        'Other people responsible for the document, at most 100. For a known id, the present ones stay when absent.',
    }),
    isPublic: t.boolean({
      description:
        'Whether everybody with a credential may find it; unless given, true for a new document outside of a project and unchanged for a known one.',
    }),
    agentIds: t.intList({ description: 'The agents whose own document it becomes.' }),
    projectId: t.int({
      description: 'The integer id of a project of one’s own that it becomes part of; a new document is private then.',
    }),
  }),
});

const DeleteDocumentInput = builder.inputType('DeleteDocumentInput', {
  description: 'Which document goes.',
  fields: (t) => ({
    documentId: t.string({ required: true, description: 'Its id.' }),
    onlyOrigins: t.field({
      type: [DocumentOrigin],
      description: 'Fails with CONFLICT unless the document has one of these origins. Defaults to all origins.',
    }),
  }),
});

const IngestDocumentPayload = builder
  .objectRef<{ document: DocumentRow; alreadyExisted: boolean }>('IngestDocumentPayload')
  .implement({
    description: 'What `ingestDocument` stored.',
    fields: (t) => ({
      document: t.field({ type: Document, description: 'The document.', resolve: ({ document }) => document }),
      alreadyExisted: t.exposeBoolean('alreadyExisted', { description: 'Whether it replaced one.' }),
    }),
  });

const DeleteDocumentPayload = builder.objectRef<DocumentRow>('DeleteDocumentPayload').implement({
  description: 'What `deleteDocument` deleted.',
  fields: (t) => ({ deletedDocumentId: t.exposeString('externalId', { description: 'The id that it had.' }) }),
});

builder.queryFields((t) => ({
  documents: t.field({
    type: DocumentConnection,
    authScopes: { permission: 'manage:documents' },
    description: 'All documents, newest first.',
    args: {
      ...pageArgs(t.arg),
      folder: t.arg.string({ description: 'Only those in this folder; NOT_FOUND where there is none of that name.' }),
      filesIncluded: t.arg.boolean({
        description:
          'Whether those that are the text of a file are among them: true unless given. They are in no folder.',
      }),
      origins: t.arg({
        type: [DocumentOrigin],
        description: 'Only documents of one of these origins. Defaults to all origins.',
      }),
    },
    resolve: async (_root, { folder, filesIncluded, origins, ...args }, context, info) => {
      const { knowledge, folders } = context.services;
      const principal = signedIn(context.principal);
      const inFolder = folder == null ? (filesIncluded === false ? { fileId: null } : {}) : await folders.only(folder);
      const only = { AND: [inFolder, origins ? { origin: { in: origins } } : {}] };
      const page = await knowledge.list(args, context.pageLimit, nodeQuery(context, info), principal, only);
      return connection(documentOrder, page, args, () => knowledge.count(principal, only));
    },
  }),
  search: t.field({
    type: [SearchHit],
    listSize: ({ first, agentSlug }) => Math.min(first ?? (agentSlug == null ? 10 : maxPage), maxPage),
    authScopes: { permission: 'read:search' },
    description: 'Passages of the documents that the caller may read, best first.',
    args: {
      query: t.arg.string({
        required: true,
        description: 'A question or words; a "phrase" ranks higher, a -word lower. The first 4,000 characters count.',
      }),
      first: t.arg.int({
        description:
          'How many to return, at most 100. Unless given 10, or with `agentSlug` as many as the agent’s turns find.',
      }),
      agentId: t.arg.int({ description: 'Only what this agent would search.' }),
      agentSlug: t.arg.string({
        description:
          'Only what this agent would search, and only what its own limits let pass. Not together with `agentId`.',
      }),
      minScore: t.arg.float({
        description:
          'Minimum score of a passage, 0 to 1. Defaults to the `similarityThreshold` of the agent in `agentSlug`, or to 0.',
      }),
    },
    resolve: async (_root, args, { principal, services, pageLimit }) => {
      const caller = signedIn(principal);
      if (args.agentId != null) await services.agents.find(caller, args.agentId);
      const hits = await services.knowledge.search(caller, args, pageLimit);
      const documents = services.knowledge.documentsOf(caller, hits);
      return hits.map((hit) => ({ ...hit, document: async () => (await documents()).get(hit.documentId) ?? null }));
    },
  }),
  passagesOfAgent: t.int({
    authScopes: { permission: 'read:search' },
    description: 'How many passages an agent would search for the caller.',
    args: { slug: t.arg.string({ required: true, description: 'Its name in URLs.' }) },
    resolve: (_root, { slug }, { principal, services }) =>
      services.knowledge.passagesOfAgent(signedIn(principal), slug),
  }),
  passageCount: t.int({
    authScopes: { permission: 'manage:documents' },
    description: 'How many passages the documents have that the caller may read.',
    resolve: (_root, _args, { principal, services }) => services.knowledge.passageCount(signedIn(principal)),
  }),
}));

builder.mutationFields((t) => ({
  ingestDocument: t.field({
    type: IngestDocumentPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'manage:documents' },
    description: 'Adds or replaces a document. It can be found as soon as this returns.',
    args: { input: t.arg({ type: IngestDocumentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input: { documentId, ...document } }, { principal, services }) =>
      services.knowledge.ingest(signedIn(principal), {
        ...Object.fromEntries(Object.entries(document).filter(([, value]) => value != null)),
        title: document.title,
        sections: document.sections,
        ...(documentId != null && { id: documentId }),
      }),
  }),
  deleteDocument: t.field({
    type: DeleteDocumentPayload,
    authScopes: { permission: 'manage:documents' },
    description: 'Deletes a document with its passages.',
    args: { input: t.arg({ type: DeleteDocumentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.knowledge.remove(signedIn(principal), input.documentId, input.onlyOrigins),
  }),
}));
