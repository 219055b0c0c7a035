import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { documentOrder } from './knowledge.service.ts';
import { locationOf } from './location.ts';
import type { Hit } from './retrieval.ts';

export const Document = builder.prismaNode('Document', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'A text that agents can search and cite.',
  fields: (t) => ({
    documentId: t.exposeString('externalId', { description: 'The id by which citations and the REST paths know it.' }),
    title: t.exposeString('title', { description: 'Its title.' }),
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
      title: t.exposeString('title', { description: 'The title of the document.' }),
      heading: t.exposeString('heading', { description: 'The headings that it stands under.' }),
      link: t.exposeString('link', { nullable: true, description: 'Where to read it in full.' }),
      text: t.exposeString('text', { description: 'The passage, as in the document.' }),
      source: t.exposeString('source', { description: 'Where the document came from, such as `ingestion_api`.' }),
      metadata: t.expose('metadata', {
        type: 'JSONObject',
        description: 'What is said about the document: texts and lists of texts by name.',
      }),
      score: t.exposeFloat('score', {
        description: '0 to 1; ranks the hits of one query, and compares with no other.',
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

export const DocumentConnection = builder.connectionObject(
  { type: Document, name: 'DocumentConnection', description: 'A page of documents.' },
  { name: 'DocumentEdge', description: 'A document and its place in the list.' },
);

export const SectionInput = builder.inputType('DocumentSectionInput', {
  description: 'A part of a document.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'Text or Markdown; at most 2,000,000 characters.' }),
    link: t.string({ description: 'Where to read this part.' }),
  }),
});

const IngestDocumentInput = builder.inputType('IngestDocumentInput', {
  description: 'A document to add, or to replace when its id is known.',
  fields: (t) => ({
    documentId: t.string({ description: 'Its id, at most 500 characters; generated unless given.' }),
    title: t.string({ required: true, description: '1 to 500 characters.' }),
    sections: t.field({
      type: [SectionInput],
      required: true,
      description: 'Its text, in parts; together at most 5,000,000 characters.',
    }),
    source: t.string({ description: 'Where it came from; `ingestion_api` unless given.' }),
    metadata: t.field({ type: 'JSONObject', description: 'Texts and lists of texts by name.' }),
    documentUpdatedAt: t.field({ type: 'DateTime', description: 'When it last changed where it came from.' }),
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
  fields: (t) => ({ documentId: t.string({ required: true, description: 'Its id.' }) }),
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
    },
    resolve: async (_root, { folder, filesIncluded, ...args }, context, info) => {
      const { knowledge, folders } = context.services;
      const principal = signedIn(context.principal);
      const only = folder == null ? (filesIncluded === false ? { fileId: null } : {}) : await folders.only(folder);
      const page = await knowledge.list(args, context.pageLimit, nodeQuery(context, info), principal, only);
      return connection(documentOrder, page, args, () => knowledge.count(principal, only));
    },
  }),
  search: t.field({
    type: [SearchHit],
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
        description: 'The least score, 0 to 1. Unless given 0, or with `agentSlug` what that agent asks for.',
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
      services.knowledge.remove(signedIn(principal), input.documentId),
  }),
}));
