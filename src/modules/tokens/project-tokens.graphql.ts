import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { cut } from '../../paging.ts';
import { Project } from '../projects/projects.graphql.ts';
import type { ApiKeyRow } from './api-keys.ts';
import type { RegeneratedKey } from './regenerate-key.ts';
import {
  type KeyWithSecret,
  newKey,
  newKeyFields,
  readableProject,
  readFilter,
  regenerateKeyFields,
  revokedCredentialCount,
  ServiceAccountKey,
  tokenFilterFields,
  unchanged,
  updateKeyFields,
} from './service-account-keys.graphql.ts';
import { idField, idOf, orderFields, secretDescription } from './token-fields.graphql.ts';
import { projectTokenOrders } from './token-lists.ts';

const ProjectToken = builder.prismaNode('Token', {
  variant: 'ProjectToken',
  interfaces: [ServiceAccountKey],
  id: { field: 'id', description: 'The global ID of the token.' },
  description: 'A key that is confined to a project, for the owner of the project.',
  nullable: true,
  fields: (t) => ({
    project: t.field({
      type: Project,
      nullable: true,
      authScopes: { permission: 'write:projects' },
      description: 'The project that the token is confined to.',
      select: (_args, _context, nested) => ({ project: nested() }),
      resolve: ({ project }, _args, { principal }) => readableProject(principal, project),
    }),
    projectDatabaseId: t.int({
      description: 'The integer ID of the project that the token is confined to.',
      resolve: ({ projectId }) => projectId ?? 0,
    }),
  }),
});

nodeRule('ProjectToken', {
  permission: 'write:tokens',
  readable: ({ prisma }, principal, ids) =>
    prisma.token.findMany({
      where: { ...visible.projectTokens(principal), id: { in: integerIds(ids) } },
      select: { id: true },
    }),
});

const CreateProjectTokenInput = builder.inputType('CreateProjectTokenInput', {
  description: 'Input for the mutation `createProjectToken`.',
  fields: (t) => ({
    ...newKeyFields(t),
    projectId: t.id({
      required: true,
      description: 'A project of the caller, by its global ID or its integer `databaseId`.',
    }),
  }),
});

const UpdateProjectTokenInput = builder.inputType('UpdateProjectTokenInput', {
  description: `Input for \`updateProjectToken\`. ${unchanged}`,
  fields: updateKeyFields,
});

const RegenerateProjectTokenInput = builder.inputType('RegenerateProjectTokenInput', {
  description: 'Input for the mutation `regenerateProjectToken`.',
  fields: regenerateKeyFields,
});

const DeleteProjectTokenInput = builder.inputType('DeleteProjectTokenInput', {
  description: 'Input for the mutation `deleteProjectToken`.',
  fields: idField,
});

const ProjectTokenEdge = builder.edgeObject({
  name: 'ProjectTokenEdge',
  type: ProjectToken,
  description: 'A project token in a list of project tokens.',
});

const ProjectTokenConnection = builder.connectionObject(
  { type: ProjectToken, name: 'ProjectTokenConnection', description: 'A page of a list of project tokens.' },
  ProjectTokenEdge,
);

const CreateProjectTokenPayload = builder.objectRef<KeyWithSecret>('CreateProjectTokenPayload').implement({
  description: 'Result of the mutation `createProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token that was created.',
      resolve: ({ apiKey }) => apiKey,
    }),
    projectTokenEdge: t.field({
      type: ProjectTokenEdge,
      description: 'The new token as an edge of `projectTokens` in its default order.',
      resolve: ({ apiKey }) => edge(projectTokenOrders.default, apiKey),
    }),
    secret: t.exposeString('secret', { description: secretDescription }),
  }),
});

const RegenerateProjectTokenPayload = builder.objectRef<RegeneratedKey>('RegenerateProjectTokenPayload').implement({
  description: 'Result of the mutation `regenerateProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token with the new secret.',
      resolve: ({ apiKey }) => apiKey,
    }),
    secret: t.exposeString('secret', { description: secretDescription }),
    revokedCredentialCount: t.int(revokedCredentialCount),
  }),
});

const UpdateProjectTokenPayload = builder.objectRef<{ apiKey: ApiKeyRow }>('UpdateProjectTokenPayload').implement({
  description: 'Result of the mutation `updateProjectToken`.',
  fields: (t) => ({
    projectToken: t.field({
      type: ProjectToken,
      description: 'The token after the change.',
      resolve: ({ apiKey }) => apiKey,
    }),
  }),
});

const DeleteProjectTokenPayload = builder.objectRef<{ id: number }>('DeleteProjectTokenPayload').implement({
  description: 'Result of the mutation `deleteProjectToken`.',
  fields: (t) => ({
    deletedProjectTokenId: t.id({
      description: 'The global ID of the deleted token.',
      resolve: ({ id }) => globalId('ProjectToken', id),
    }),
  }),
});

const ProjectTokenFilter = builder.inputType('ProjectTokenFilter', {
  description: 'Conditions on a list of project tokens; all that are set must be met.',
  fields: tokenFilterFields,
});

const ProjectTokenOrder = orderInput('ProjectToken', projectTokenOrders, orderFields);

builder.prismaObjectField(Project, 'tokens', (t) =>
  t.field({
    type: ProjectTokenConnection,
    nullable: true,
    authScopes: { permission: 'write:tokens' },
    description: 'The tokens of the project, as `projectTokens` lists them.',
    args: {
      ...pageArgs(t.arg),
      orderBy: t.arg({ type: ProjectTokenOrder, description: 'Order of the tokens. Defaults to the oldest first.' }),
    },
    // Loaded with the projects, in one statement for all of them.
    select: ({ orderBy, ...args }, { principal, pageLimit }, nested) => {
      const order = projectTokenOrders.of(orderBy);
      const listed = visible.projectTokens(signedIn(principal));
      const { where, ...page } = order.page(args, pageLimit);
      return {
        tokens: nestedNodes(nested, 'ProjectToken', order, { ...page, where: { AND: [listed, where] } }),
        _count: { select: { tokens: { where: listed } } },
      };
    },
    resolve: (project, { orderBy, ...args }, { pageLimit }) => {
      const order = projectTokenOrders.of(orderBy);
      const page = cut(project.tokens, order.page(args, pageLimit));
      return connection(order, page, args, async () => project._count.tokens);
    },
  }),
);

builder.queryFields((t) => ({
  projectTokens: t.withAuth({ permission: 'write:tokens' }).field({
    type: ProjectTokenConnection,
    description: 'The tokens of the projects that the caller owns.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: ProjectTokenFilter, description: 'Conditions on the tokens.' }),
      orderBy: t.arg({ type: ProjectTokenOrder, description: 'Order of the tokens. Defaults to the oldest first.' }),
    },
    resolve: async (_root, { filter: given, orderBy, ...args }, context, info) => {
      const { tokens } = context.services;
      const principal = context.principal;
      const [filter, order, query] = [readFilter(given), projectTokenOrders.of(orderBy), nodeQuery(context, info)];
      const page = await tokens.listProjectTokens(principal, filter, { order, args, limit: context.pageLimit, query });
      return connection(order, page, args, () => tokens.countProjectTokens(principal, filter));
    },
  }),
}));

builder.mutationFields((t) => ({
  createProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: CreateProjectTokenPayload,
    description: 'Creates a key that is confined to a project of the caller. A project has at most 100 tokens.',
    args: { input: t.arg({ type: CreateProjectTokenInput, required: true, description: 'The token to create.' }) },
    resolve: (_root, { input: { projectId, ...input } }, { principal, services }) =>
      services.tokens.createProjectToken(principal, {
        ...newKey(input),
        projectId: integerId(projectId, 'Project', ['input', 'projectId']),
      }),
  }),
  updateProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: UpdateProjectTokenPayload,
    description:
      'Changes the name, role, scopes or expiry of a token of a project of the caller, or disables or enables it.',
    args: {
      input: t.arg({ type: UpdateProjectTokenInput, required: true, description: 'The token and its changes.' }),
    },
    resolve: async (_root, { input: { id, ...change } }, { principal, services }) => ({
      apiKey: await services.tokens.updateProjectToken(principal, idOf({ id }, 'ProjectToken'), change),
    }),
  }),
  regenerateProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: RegenerateProjectTokenPayload,
    description: 'Gives a token of a project of the caller a new secret. The token keeps its ID and its history.',
    args: {
      input: t.arg({ type: RegenerateProjectTokenInput, required: true, description: 'The token to regenerate.' }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.regenerateProjectToken(principal, idOf(input, 'ProjectToken'), input),
  }),
  deleteProjectToken: t.withAuth({ permission: 'write:tokens' }).field({
    type: DeleteProjectTokenPayload,
    description:
      'Deletes a token of a project of the caller at once, with its service account and the chats of that account.',
    args: { input: t.arg({ type: DeleteProjectTokenInput, required: true, description: 'The token to delete.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.tokens.deleteProjectToken(principal, idOf(input, 'ProjectToken')),
  }),
}));
