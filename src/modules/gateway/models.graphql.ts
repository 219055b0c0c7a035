import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { Agent, AgentLocatorInput, agentKey } from '../agents/agents.graphql.ts';
import { ModelProviderType } from '../chat/provider.graphql.ts';
import { completionModelOrder } from './models.service.ts';

const CompletionModel = builder.prismaNode('Agent', {
  variant: 'CompletionModel',
  id: { field: 'id', description: 'The global ID of the model.' },
  nullable: true,
  description: 'An agent as a model for OpenAI clients.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID of the agent.' }),
    slug: t.exposeString('slug', { description: 'The slug of the agent, for `model` of a request.' }),
    name: t.exposeString('name', { description: 'The display name of the agent.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the agent was created.' }),
    agent: t.variant(Agent, {
      // Nullable for callers without `read:agents`.
      isNull: () => false,
      authScopes: { permission: 'read:agents' },
      description: 'The agent that answers under this model name.',
    }),
    provider: t.field({
      type: ModelProviderType,
      description: 'The provider of the language model that answers.',
      resolve: (_agent, _args, { services }) => services.models.default.provider,
    }),
    documentCount: t.int({
      nullable: true,
      authScopes: { permission: 'read:search' },
      description: 'The number of documents of the agent that the caller can read.',
      select: (_args, { principal }) => ({
        _count: { select: { documents: { where: visible.documents(signedIn(principal)) } } },
      }),
      resolve: ({ _count }) => _count.documents,
    }),
  }),
});

nodeRule('CompletionModel', {
  permission: 'use:llm_gateway',
  readable: ({ prisma }, principal, ids) =>
    prisma.agent.findMany({
      where: { AND: [visible.usableAgents(principal), { id: { in: integerIds(ids) } }] },
      select: { id: true },
    }),
});

const CompletionModelConnection = builder.connectionObject(
  { type: CompletionModel, name: 'CompletionModelConnection', description: 'A page of a list of models.' },
  { name: 'CompletionModelEdge', description: 'A model and its cursor in a list.' },
);

builder.queryFields((t) => ({
  completionModels: t.withAuth({ permission: 'use:llm_gateway' }).field({
    type: CompletionModelConnection,
    description: 'The agents that answer `createChatCompletion` for the caller, oldest first.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { completionModels } = context.services;
      const principal = context.principal;
      const page = await completionModels.list(principal, args, context.pageLimit, nodeQuery(context, info));
      return connection(completionModelOrder, page, args, () => completionModels.count(principal));
    },
  }),
  completionModel: t.withAuth({ permission: 'use:llm_gateway' }).prismaField({
    type: CompletionModel,
    description: 'An agent that answers `createChatCompletion`. NOT_FOUND if the caller cannot use it.',
    args: {
      agent: t.arg({ type: AgentLocatorInput, required: true, description: 'The agent, by its ID or by its slug.' }),
    },
    resolve: (query, _root, { agent }, { principal, services }) =>
      services.completionModels.find(principal, agentKey(agent, ['agent']), query),
  }),
}));
