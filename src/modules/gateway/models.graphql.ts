import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { completionModelOrder } from './models.service.ts';

const CompletionModel = builder.prismaObject('Agent', {
  variant: 'CompletionModel',
  description: 'An agent as OpenAI’s clients know it: a model that knows documents.',
  fields: (t) => ({
    id: t.exposeString('slug', { description: 'The agent’s slug, for `model` of a request.' }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    provider: t.string({
      description: 'Who runs the language model behind it: `embedded` or `openai-compatible`.',
      resolve: (_agent, _args, { services }) => services.models.default.provider,
    }),
    documentCount: t.int({
      nullable: true,
      authScopes: { permission: 'read:search' },
      description: 'How many of its own documents the caller may read.',
      select: (_args, { principal }) => ({
        _count: { select: { documents: { where: visible.documents(signedIn(principal)) } } },
      }),
      resolve: ({ _count }) => _count.documents,
    }),
  }),
});

const CompletionModelConnection = builder.connectionObject(
  { type: CompletionModel, name: 'CompletionModelConnection', description: 'A page of models.' },
  { name: 'CompletionModelEdge', description: 'A model and its place in the list.' },
);

builder.queryFields((t) => ({
  completionModels: t.field({
    type: CompletionModelConnection,
    authScopes: { permission: 'use:llm_gateway' },
    description: 'The agents that answer `createChatCompletion` for the caller, oldest first.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { completionModels } = context.services;
      const principal = signedIn(context.principal);
      const page = await completionModels.list(principal, args, context.pageLimit, nodeQuery(context, info));
      return connection(completionModelOrder, page, args, () => completionModels.count(principal));
    },
  }),
  completionModel: t.prismaField({
    type: CompletionModel,
    authScopes: { permission: 'use:llm_gateway' },
    description: 'One of them. NOT_FOUND for what the caller may not use.',
    args: { id: t.arg.string({ required: true, description: 'The agent’s slug.' }) },
    resolve: (query, _root, { id }, { principal, services }) =>
      services.completionModels.find(signedIn(principal), id, query),
  }),
}));
