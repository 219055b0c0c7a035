import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document as DocumentRow, Project as ProjectRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { referenceDescription, referencedId } from '../../graphql/reference.ts';
import { cut } from '../../paging.ts';
import { Document, DocumentConnection, SectionInput } from '../knowledge/knowledge.graphql.ts';
import { type AddToProjectInput, documentOrder } from '../knowledge/knowledge.service.ts';
import { User } from '../users/users.graphql.ts';
import { projectOrder } from './projects.service.ts';

export const Project = builder.prismaNode('Project', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'Chats and documents on one matter, with instructions for every chat in it.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    name: t.exposeString('name', { description: 'Its name.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is about.' }),
    instructions: t.exposeString('instructions', {
      nullable: true,
      description: 'What the model is told in every chat of it, behind the agent’s own instructions.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
    owner: t.relation('owner', { type: User, description: 'Whose it is.' }),
    documents: t.field({
      type: DocumentConnection,
      authScopes: { permission: 'write:projects' },
      description: 'Its documents, newest first.',
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
  }),
});

nodeRule('Project', {
  permission: 'write:projects',
  readable: ({ prisma }, principal, ids) =>
    prisma.project.findMany({
      where: { AND: [visible.projects(principal), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

const ProjectConnection = builder.connectionObject(
  { type: Project, name: 'ProjectConnection', description: 'A page of projects.' },
  { name: 'ProjectEdge', description: 'A project and its place in the list.' },
);

const CreateProjectInput = builder.inputType('CreateProjectInput', {
  description: 'What a new project is to be.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 100 characters.' }),
    description: t.string({ description: 'What it is about; at most 2,000 characters.' }),
    instructions: t.string({
      description: 'What the model is told in every chat of it; at most 20,000 characters.',
    }),
  }),
});

const clearProject = clearField('ClearableProjectField', {
  description: 'Leaves the project without a description.',
  instructions: 'Leaves the project without instructions.',
});

const UpdateProjectInput = builder.inputType('UpdateProjectInput', {
  description: 'Input for `updateProject`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    id: t.globalID({ description: referenceDescription.id }),
    databaseId: t.int({ description: referenceDescription.databaseId }),
    name: t.string({ description: 'The new name; 1 to 100 characters.' }),
    description: t.string({ description: 'The new description; at most 2,000 characters.' }),
    instructions: t.string({
      description:
        'The new instructions, which the model receives in every chat of the project; at most 20,000 characters.',
    }),
    clear: clearProject(t),
  }),
});

const DeleteProjectInput = builder.inputType('DeleteProjectInput', {
  description: 'Which project goes.',
  fields: (t) => ({
    id: t.globalID({ description: referenceDescription.id }),
    databaseId: t.int({ description: referenceDescription.databaseId }),
  }),
});

const AddProjectDocumentInput = builder.inputType('AddProjectDocumentInput', {
  description: 'A text for a project.',
  fields: (t) => ({
    projectId: t.int({
      description: 'The integer id of the project. A token that is confined to one may leave it out.',
    }),
    documentId: t.string({ description: 'The document of the project to replace; a new one unless given.' }),
    title: t.string({ required: true, description: '1 to 500 characters.' }),
    sections: t.field({
      type: [SectionInput],
      required: true,
      description: 'Its text, in parts; together at most 5,000,000 characters.',
    }),
    metadata: t.field({ type: 'JSONObject', description: 'Texts and lists of texts by name.' }),
  }),
});

const RemoveProjectDocumentInput = builder.inputType('RemoveProjectDocumentInput', {
  description: 'Which document goes.',
  fields: (t) => ({ documentId: t.string({ required: true, description: 'Its id.' }) }),
});

const AddProjectDocumentPayload = builder.objectRef<DocumentRow>('AddProjectDocumentPayload').implement({
  description: 'What `addProjectDocument` stored.',
  fields: (t) => ({
    document: t.field({ type: Document, description: 'The document.', resolve: (document) => document }),
  }),
});

const RemoveProjectDocumentPayload = builder.objectRef<DocumentRow>('RemoveProjectDocumentPayload').implement({
  description: 'What `removeProjectDocument` deleted.',
  fields: (t) => ({ deletedDocumentId: t.exposeString('externalId', { description: 'The id that it had.' }) }),
});

const ProjectPayload = builder.objectRef<ProjectRow>('ProjectPayload').implement({
  description: 'The project that a mutation made or changed.',
  fields: (t) => ({
    project: t.field({ type: Project, description: 'The project as it is now.', resolve: (project) => project }),
  }),
});

const DeleteProjectPayload = builder.objectRef<{ id: number }>('DeleteProjectPayload').implement({
  description: 'What `deleteProject` deleted.',
  fields: (t) => ({ deletedDatabaseId: t.exposeInt('id', { description: 'The integer id that it had.' }) }),
});

builder.queryFields((t) => ({
  projects: t.field({
    type: ProjectConnection,
    authScopes: { permission: 'write:projects' },
    description: 'One’s own projects, newest first; for a token that is confined to one, that one.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { projects } = context.services;
      const principal = signedIn(context.principal);
      const page = await projects.list(principal, args, context.pageLimit, nodeQuery(context, info));
      return connection(projectOrder, page, args, () => projects.count(principal));
    },
  }),
  project: t.prismaField({
    type: Project,
    authScopes: { permission: 'write:projects' },
    description: 'One project. NOT_FOUND for what is not the caller’s.',
    args: { databaseId: t.arg.int({ required: true, description: 'The integer id.' }) },
    resolve: (query, _root, { databaseId }, { principal, services }) =>
      services.projects.find(signedIn(principal), databaseId, query),
  }),
}));

builder.mutationFields((t) => ({
  createProject: t.field({
    type: ProjectPayload,
    authScopes: { permission: 'write:projects' },
    description: 'Creates a project; at most 1000 for one user. Not for a token that is confined to one.',
    args: { input: t.arg({ type: CreateProjectInput, required: true, description: 'The project to make.' }) },
    resolve: (_root, { input }, { principal, services }) => services.projects.create(signedIn(principal), input),
  }),
  updateProject: t.field({
    type: ProjectPayload,
    authScopes: { permission: 'write:projects' },
    description: 'Changes a project of one’s own; a token that is confined to one changes that one.',
    args: { input: t.arg({ type: UpdateProjectInput, required: true, description: 'The change.' }) },
    resolve: (_root, { input: { id, databaseId, ...change } }, { principal, services }) =>
      services.projects.update(signedIn(principal), referencedId({ id, databaseId }, 'Project'), change),
  }),
  deleteProject: t.field({
    type: DeleteProjectPayload,
    authScopes: { permission: 'write:projects' },
    description:
      'Deletes a project with its tokens. Its chats and documents stay with its owner. Not for a token that is confined to one.',
    args: { input: t.arg({ type: DeleteProjectInput, required: true, description: 'The project.' }) },
    resolve: async (_root, { input }, { principal, services }) => {
      const id = referencedId(input, 'Project');
      await services.projects.delete(signedIn(principal), id);
      return { id };
    },
  }),
  addProjectDocument: t.field({
    type: AddProjectDocumentPayload,
    ownTimeLimit: true,
    authScopes: { permission: 'write:projects' },
    description:
      'Adds a private document to a project of one’s own, or replaces one of it. It can be found as soon as this returns.',
    args: { input: t.arg({ type: AddProjectDocumentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input: { metadata, ...input } }, { principal, services }) =>
      services.knowledge.addToProject(signedIn(principal), {
        ...input,
        metadata: metadata as AddToProjectInput['metadata'],
      }),
  }),
  removeProjectDocument: t.field({
    type: RemoveProjectDocumentPayload,
    authScopes: { permission: 'write:projects' },
    description: 'Deletes a private document of a project of one’s own, with its passages.',
    args: { input: t.arg({ type: RemoveProjectDocumentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.knowledge.removeFromProject(signedIn(principal), input.documentId),
  }),
}));
