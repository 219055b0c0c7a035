import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { cut } from '../../paging.ts';
import { agentsById } from '../agents/agent-lists.ts';
import { Agent, AgentConnection } from '../agents/agents.graphql.ts';
import { projectOrders } from '../projects/project-lists.ts';
import { Project, ProjectConnection } from '../projects/projects.graphql.ts';
import { agentFileOrder, fileOrders } from './file-lists.ts';
import { File, FileConnection } from './file-type.graphql.ts';

const fileOrder = fileOrders.default;

builder.prismaObjectFields(File, (t) => ({
  projects: t.field({
    type: ProjectConnection,
    nullable: true,
    authScopes: { permission: 'write:projects' },
    description: 'The projects of the caller that contain the file, newest first.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const listed = visible.projects(signedIn(principal));
      const { where, ...page } = projectOrders.default.page(args, pageLimit);
      return {
        projects: nestedNodes(nested, 'Project', projectOrders.default, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { projects: { where: listed } } },
      };
    },
    resolve: (file, args, { pageLimit }) => {
      const page = cut(file.projects, projectOrders.default.page(args, pageLimit));
      return connection(projectOrders.default, page, args, async () => file._count.projects);
    },
  }),
  agents: t.field({
    type: AgentConnection,
    nullable: true,
    authScopes: { permission: 'read:agents' },
    description: 'The agents that use the file and that the caller can use, by `databaseId`.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const listed = visible.usableAgents(signedIn(principal));
      const { where, ...page } = agentsById.page(args, pageLimit);
      return {
        agents: nestedNodes(nested, 'Agent', agentsById, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { agents: { where: listed } } },
      };
    },
    resolve: (file, args, { pageLimit }) => {
      const page = cut(file.agents, agentsById.page(args, pageLimit));
      return connection(agentsById, page, args, async () => file._count.agents);
    },
  }),
}));

builder.prismaObjectField(Project, 'files', (t) =>
  t.field({
    type: FileConnection,
    authScopes: { permission: 'write:projects' },
    description: 'The files of the project, newest first. Every chat of the project can use them.',
    args: pageArgs(t.arg),
    select: (args, { pageLimit }, nested) => ({
      // Callers that can see a project can see its files.
      files: nestedNodes(nested, 'File', fileOrder, fileOrder.page(args, pageLimit)),
      _count: { select: { files: true } },
    }),
    resolve: (project, args, { pageLimit }) =>
      connection(
        fileOrder,
        cut(project.files, fileOrder.page(args, pageLimit)),
        args,
        async () => project._count.files,
      ),
  }),
);

builder.prismaObjectField(Project, 'fileTokens', (t) =>
  t.int({
    authScopes: { permission: 'write:projects' },
    description: 'The estimated size of all files of the project in the context of a model, in tokens.',
    select: { files: { select: { tokenCount: true } } },
    resolve: ({ files }) => files.reduce((sum, { tokenCount }) => sum + (tokenCount ?? 0), 0),
  }),
);

builder.prismaObjectField(Agent, 'files', (t) =>
  t.field({
    type: FileConnection,
    nullable: true,
    authScopes: { permission: 'read:search' },
    description:
      'The files of the agent that the caller can see, oldest first. Every chat with the agent can use them.',
    args: pageArgs(t.arg),
    select: (args, { principal, pageLimit }, nested) => {
      const listed = visible.agentFiles(signedIn(principal));
      const { where, ...page } = agentFileOrder.page(args, pageLimit);
      return {
        files: nestedNodes(nested, 'File', agentFileOrder, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { files: { where: listed } } },
      };
    },
    resolve: (agent, args, { pageLimit }) => {
      const page = cut(agent.files, agentFileOrder.page(args, pageLimit));
      return connection(agentFileOrder, page, args, async () => agent._count.files);
    },
  }),
);
