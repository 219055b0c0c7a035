import { z } from '@hono/zod-openapi';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, id, nothing } from '../shapes.ts';
import { detail } from './errors.ts';
import { ProjectSnapshot, snapshot, UserProjectSnapshot } from './project-shapes.ts';

const tag = 'Projects';

const params = z.object({ project_id: id });
const sessionBody = z.object({ chat_session_id: z.uuid() }).openapi('ChatSessionRequest');

const ProjectInstructionsResponse = z
  .object({ instructions: z.string().nullable() })
  .openapi('ProjectInstructionsResponse');

const missing: AnyEndpoint['failure'] = (error) => (error.code === 'NOT_FOUND' ? detail(404, error.message) : null);

export const projectEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/user/projects',
    tag,
    summary: 'List the caller’s projects',
    reply: z.array(UserProjectSnapshot),
    document: graphql(
      `query ListProjects($first: Int!, $sessions: Int!) {
        projects(first: $first) { nodes { ...ProjectSnapshot } }
      }`,
      [ProjectSnapshot],
    ),
    variables: () => ({ first: everything, sessions: everything }),
    output: ({ projects }) => projects.nodes.map(snapshot),
    partial: true,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/create',
    tag,
    summary: 'Create a project for the caller',
    query: z.object({ name: z.string() }),
    reply: UserProjectSnapshot,
    document: graphql(
      `mutation CreateProject($input: CreateProjectInput!, $sessions: Int!) {
        createProject(input: $input) { project { ...ProjectSnapshot } }
      }`,
      [ProjectSnapshot],
    ),
    variables: ({ query }) => ({ input: { name: query.name }, sessions: everything }),
    output: ({ createProject }) => snapshot(createProject.project),
    partial: true,
    failure: (error, input) =>
      error.code === 'BAD_USER_INPUT' && input?.query.name.trim() === ''
        ? detail(400, 'Project name cannot be empty')
        : null,
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/{project_id}',
    tag,
    summary: 'Get a project of the caller',
    params,
    reply: UserProjectSnapshot,
    document: graphql(`query GetProject($id: ID!, $sessions: Int!) { project(id: $id) { ...ProjectSnapshot } }`, [
      ProjectSnapshot,
    ]),
    variables: ({ params }) => ({ id: String(params.project_id), sessions: everything }),
    output: ({ project }) => snapshot(project),
    partial: true,
    failure: missing,
  }),
  endpoint({
    method: 'patch',
    path: '/user/projects/{project_id}',
    tag,
    summary: 'Update the name or the description of a project',
    params,
    body: z.object({ name: z.string().nullish(), description: z.string().nullish() }).openapi('UpdateProjectRequest'),
    reply: UserProjectSnapshot,
    document: graphql(
      `mutation UpdateProject($input: UpdateProjectInput!, $sessions: Int!) {
        updateProject(input: $input) { project { ...ProjectSnapshot } }
      }`,
      [ProjectSnapshot],
    ),
    variables: ({ params, body }) => ({
      input: {
        id: String(params.project_id),
        name: body.name,
        description: body.description,
      },
      sessions: everything,
    }),
    output: ({ updateProject }) => snapshot(updateProject.project),
    partial: true,
    failure: missing,
  }),
  endpoint({
    method: 'delete',
    path: '/user/projects/{project_id}',
    tag,
    summary: 'Delete a project and keep its chats and documents',
    params,
    status: 204,
    reply: nothing,
    document: graphql(`mutation DeleteProject($id: ID!) { deleteProject(input: { id: $id }) { deletedProjectId } }`),
    variables: ({ params }) => ({ id: String(params.project_id) }),
    output: () => null,
    failure: missing,
  }),
  endpoint({
    method: 'get',
    path: '/user/projects/{project_id}/instructions',
    tag,
    summary: 'Get the instructions of a project',
    params,
    reply: ProjectInstructionsResponse,
    document: graphql(`query GetProjectInstructions($id: ID!) { project(id: $id) { instructions } }`),
    variables: ({ params }) => ({ id: String(params.project_id) }),
    output: ({ project }) => ({ instructions: project.instructions }),
    failure: missing,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/{project_id}/instructions',
    tag,
    summary: 'Set the instructions of a project',
    params,
    body: z.object({ instructions: z.string() }).openapi('UpsertProjectInstructionsRequest'),
    reply: ProjectInstructionsResponse,
    document: graphql(
      `mutation SetProjectInstructions($id: ID!, $instructions: String!) {
        updateProject(input: { id: $id, instructions: $instructions }) { project { instructions } }
      }`,
    ),
    variables: ({ params, body }) => ({ id: String(params.project_id), instructions: body.instructions }),
    output: ({ updateProject }) => ({ instructions: updateProject.project.instructions }),
    failure: missing,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/{project_id}/move_chat_session',
    tag,
    summary: 'Move a session into a project',
    params,
    body: sessionBody,
    status: 204,
    reply: nothing,
    document: graphql(
      `mutation MoveChatSession($id: ID!, $projectId: ID!) {
        moveChatSession(input: { sessionId: $id, projectId: $projectId }) { sessionId }
      }`,
    ),
    variables: ({ params, body }) => ({ id: body.chat_session_id, projectId: String(params.project_id) }),
    output: () => null,
    failure: missing,
  }),
  endpoint({
    method: 'post',
    path: '/user/projects/remove_chat_session',
    tag,
    summary: 'Remove a session from its project',
    body: sessionBody,
    status: 204,
    reply: nothing,
    document: graphql(
      `mutation RemoveChatSession($id: ID!) {
        moveChatSession(input: { sessionId: $id, clear: [PROJECT_ID] }) { sessionId }
      }`,
    ),
    variables: ({ body }) => ({ id: body.chat_session_id }),
    output: () => null,
    failure: missing,
  }),
];
