import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document as DocumentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, textId } from '../../graphql/id-input.ts';
import { cut } from '../../paging.ts';
import { Project, projectIdDescription } from '../projects/projects.graphql.ts';
import type { AddToProjectInput } from './document-input.ts';
import { documentOrder } from './document-lists.ts';
import { Document, DocumentConnection, DocumentEdge, SectionInput } from './knowledge.graphql.ts';

builder.prismaObjectField(Project, 'documents', (t) =>
  t.field({
    type: DocumentConnection,
    authScopes: { permission: 'write:projects' },
    description: 'The documents of the project that the caller can read, newest first.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const readable = visible.documents(signedIn(principal));
      const { where, ...page } = documentOrder.page(args, pageLimit);
      return {
        documents: nestedNodes(nested, 'Document', documentOrder, { ...page, where: { AND: [readable, where] } }),
        _count: { select: { documents: { where: readable } } },
      };
    },
    resolve: (project, args, { pageLimit }) =>
      connection(
        documentOrder,
        cut(project.documents, documentOrder.page(args, pageLimit)),
        args,
        async () => project._count.documents,
      ),
  }),
);

const AddProjectDocumentInput = builder.inputType('AddProjectDocumentInput', {
  description: 'Input for the mutation `addProjectDocument`.',
  fields: (t) => ({
    projectId: t.id({ description: `${projectIdDescription} Defaults to the project of a project token.` }),
    documentId: t.id({
      description: 'The document to replace, by its global ID or its `documentId`. Defaults to a new document.',
    }),
    title: t.string({ required: true, description: 'The title of the document; 1 to 500 characters.' }),
    sections: t.field({
      type: [SectionInput],
      required: true,
      description: 'The parts of the text; together at most 5,000,000 characters.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Properties of the document: at most 100 strings or lists of strings by name.',
    }),
  }),
});

const RemoveProjectDocumentInput = builder.inputType('RemoveProjectDocumentInput', {
  description: 'Input for the mutation `removeProjectDocument`.',
  fields: (t) => ({
    documentId: t.id({ required: true, description: 'The document, by its global ID or its `documentId`.' }),
  }),
});

const AddProjectDocumentPayload = builder.objectRef<DocumentRow>('AddProjectDocumentPayload').implement({
  description: 'Result of the mutation `addProjectDocument`.',
  fields: (t) => ({
    document: t.field({
      type: Document,
      description: 'The document that was stored.',
      resolve: (document) => document,
    }),
    documentEdge: t.field({
      type: DocumentEdge,
      description: 'The stored document with its cursor, for clients that add it to a list.',
      resolve: (document) => edge(documentOrder, document),
    }),
  }),
});

const RemoveProjectDocumentPayload = builder.objectRef<DocumentRow>('RemoveProjectDocumentPayload').implement({
  description: 'Result of the mutation `removeProjectDocument`.',
  fields: (t) => ({
    deletedDocumentId: t.id({
      description: 'The global ID of the deleted document.',
      resolve: ({ id }) => globalId('Document', id),
    }),
  }),
});

const documentRef = (id: string | number) => textId(id, 'Document', ['input', 'documentId']);

builder.mutationFields((t) => ({
  addProjectDocument: t.withAuth({ permission: 'write:projects' }).field({
    type: AddProjectDocumentPayload,
    ownTimeLimit: true,
    description:
      'Adds a private document to a project of the caller, or replaces a private document of that project. Search finds it as soon as the mutation returns.',
    args: { input: t.arg({ type: AddProjectDocumentInput, required: true, description: 'The document to store.' }) },
    resolve: async (_root, { input }, { principal, services: { knowledge } }) => {
      const { projectId, documentId, metadata, ...content } = input;
      return knowledge.addToProject(principal, {
        ...content,
        metadata: metadata as AddToProjectInput['metadata'],
        projectId: projectId == null ? null : integerId(projectId, 'Project', ['input', 'projectId']),
        documentId: documentId == null ? null : await knowledge.externalIdOf(principal, documentRef(documentId)),
      });
    },
  }),
  removeProjectDocument: t.withAuth({ permission: 'write:projects' }).field({
    type: RemoveProjectDocumentPayload,
    description: 'Deletes a private document of a project of the caller, with its passages.',
    args: {
      input: t.arg({ type: RemoveProjectDocumentInput, required: true, description: 'The document to delete.' }),
    },
    resolve: async (_root, { input: { documentId } }, { principal, services: { knowledge } }) => {
      return knowledge.removeFromProject(principal, await knowledge.externalIdOf(principal, documentRef(documentId)));
    },
  }),
}));
