import type { GraphQLResolveInfo } from 'graphql';
import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { Project as ProjectRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { loadRelated } from '../../graphql/related.ts';
import { User } from '../users/users.graphql.ts';
import { projectOrders } from './projects.service.ts';

export const Project = builder.prismaNode('Project', {
  id: { field: 'id', description: 'The global ID of the project.' },
  nullable: true,
  description: 'A group of chats, documents and files of one user, with instructions for all of its chats.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.exposeString('name', { description: 'The name of the project.' }),
    description: t.exposeString('description', { nullable: true, description: 'The subject of the project.' }),
    instructions: t.exposeString('instructions', {
      nullable: true,
      description: 'Instructions that the model receives in every chat of the project, after those of the agent.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the project was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'The time of the last change of the project.' }),
    owner: t.relation('owner', { type: User, description: 'The user who owns the project.' }),
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

/** Returns the project with an integer ID; null for a project that was deleted or that the caller cannot read. */
export const projectOf = (id: number | null, context: Context, info: GraphQLResolveInfo) =>
  loadRelated(context, info, id, (ids, query) =>
    context.services.related.projects(signedIn(context.principal), ids, query),
  );

const ProjectEdge = builder.edgeObject({
  type: Project,
  name: 'ProjectEdge',
  description: 'A project and its cursor in a list.',
});
export const ProjectConnection = builder.connectionObject(
  { type: Project, name: 'ProjectConnection', description: 'A page of a list of projects.' },
  ProjectEdge,
);

const ProjectFilter = builder.inputType('ProjectFilter', {
  description: 'Conditions on a list of projects; all that are set must be met.',
  fields: (t) => ({
    search: t.string({
      description: 'Text that the name or the description contains, ignoring case; at most 200 characters.',
    }),
  }),
});

const ProjectOrder = orderInput('Project', projectOrders, {
  CREATED_AT: 'The time at which the project was created.',
  UPDATED_AT: 'The time of the last change of the project.',
  NAME: 'The name of the project.',
});

const description = 'The subject of the project; at most 2,000 characters.';
const instructions = 'Instructions that the model receives in every chat of the project; at most 20,000 characters.';

const CreateProjectInput = builder.inputType('CreateProjectInput', {
  description: 'Input for the mutation `createProject`.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The name of the project; 1 to 100 characters.' }),
    description: t.string({ description }),
    instructions: t.string({ description: instructions }),
  }),
});

const clearProject = clearField('ClearableProjectField', {
  description: 'Leaves the project without a description.',
  instructions: 'Leaves the project without instructions.',
});

export const projectIdDescription = 'The project, by its global ID or its integer `databaseId`.';

const UpdateProjectInput = builder.inputType('UpdateProjectInput', {
  description: 'Input for `updateProject`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    id: t.id({ required: true, description: projectIdDescription }),
    name: t.string({ description: 'The new name; 1 to 100 characters.' }),
    description: t.string({ description }),
    instructions: t.string({ description: instructions }),
    clear: clearProject(t),
  }),
});

const DeleteProjectInput = builder.inputType('DeleteProjectInput', {
  description: 'Input for the mutation `deleteProject`.',
  fields: (t) => ({ id: t.id({ required: true, description: projectIdDescription }) }),
});

const CreateProjectPayload = builder.objectRef<ProjectRow>('CreateProjectPayload').implement({
  description: 'Result of the mutation `createProject`.',
  fields: (t) => ({
    project: t.field({ type: Project, description: 'The project that was created.', resolve: (project) => project }),
    projectEdge: t.field({
      type: ProjectEdge,
      description: 'The created project with its cursor, for clients that add it to a list.',
      resolve: (project) => edge(projectOrders.default, project),
    }),
  }),
});

const UpdateProjectPayload = builder.objectRef<ProjectRow>('UpdateProjectPayload').implement({
  description: 'Result of the mutation `updateProject`.',
  fields: (t) => ({
    project: t.field({ type: Project, description: 'The project after the change.', resolve: (project) => project }),
  }),
});

const DeleteProjectPayload = builder.objectRef<{ id: number }>('DeleteProjectPayload').implement({
  description: 'Result of the mutation `deleteProject`.',
  fields: (t) => ({
    deletedProjectId: t.id({
      description: 'The global ID of the deleted project.',
      resolve: ({ id }) => globalId('Project', id),
    }),
  }),
});

builder.queryFields((t) => ({
  projects: t.withAuth({ permission: 'write:projects' }).field({
    type: ProjectConnection,
    description: 'The projects of the caller, newest first. A project token gets its own project.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ProjectFilter, description: 'Conditions on the projects.' }),
      orderBy: t.arg({ type: ProjectOrder, description: 'Order of the projects. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { projects } = context.services;
      const principal = context.principal;
      const order = projectOrders.of(orderBy);
      const query = { ...nodeQuery(context, info), ...order.page(args, context.pageLimit) };
      const page = await projects.list(principal, filter ?? {}, query);
      return connection(order, page, args, () => projects.count(principal, filter ?? {}));
    },
  }),
  project: t.withAuth({ permission: 'write:projects' }).prismaField({
    type: Project,
    description: 'Returns a project. NOT_FOUND for an unknown project and for a project of another user.',
    args: { id: t.arg.id({ required: true, description: projectIdDescription }) },
    resolve: (query, _root, { id }, { principal, services }) =>
      services.projects.find(principal, integerId(id, 'Project', ['id']), query),
  }),
}));

builder.mutationFields((t) => ({
  createProject: t.withAuth({ permission: 'write:projects' }).field({
    type: CreateProjectPayload,
    description: 'Creates a project; at most 1,000 per user. FORBIDDEN for a project token.',
    args: { input: t.arg({ type: CreateProjectInput, required: true, description: 'The properties of the project.' }) },
    resolve: (_root, { input }, { principal, services }) => services.projects.create(principal, input),
  }),
  updateProject: t.withAuth({ permission: 'write:projects' }).field({
    type: UpdateProjectPayload,
    description: 'Changes a project of the caller. A project token can change its own project.',
    args: { input: t.arg({ type: UpdateProjectInput, required: true, description: 'The project and its changes.' }) },
    resolve: (_root, { input: { id, ...change } }, { principal, services }) =>
      services.projects.update(principal, integerId(id, 'Project', ['input', 'id']), change),
  }),
  deleteProject: t.withAuth({ permission: 'write:projects' }).field({
    type: DeleteProjectPayload,
    description:
      'Deletes a project and its tokens. Its chats, documents and files stay with its owner. FORBIDDEN for a project token.',
    args: { input: t.arg({ type: DeleteProjectInput, required: true, description: 'The project to delete.' }) },
    resolve: async (_root, { input }, { principal, services }) => {
      const id = integerId(input.id, 'Project', ['input', 'id']);
      await services.projects.delete(principal, id);
      return { id };
    },
  }),
}));
