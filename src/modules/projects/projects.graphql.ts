import type { GraphQLResolveInfo } from 'graphql';
import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { loadRelated } from '../../graphql/related.ts';
import { User } from '../users/users.graphql.ts';
import { projectOrders } from './project-lists.ts';

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

export const ProjectEdge = builder.edgeObject({
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

export const projectIdDescription = 'The project, by its global ID or its integer `databaseId`.';

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
