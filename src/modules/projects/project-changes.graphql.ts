import type { Project as ProjectRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { edge } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { projectOrders } from './project-lists.ts';
import { Project, ProjectEdge, projectIdDescription } from './projects.graphql.ts';

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
