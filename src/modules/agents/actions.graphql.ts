import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { actionOrder } from './actions.service.ts';

export const Action = builder.prismaNode('Action', {
  id: { field: 'id', description: 'The global ID of the action.' },
  nullable: true,
  description: 'An action that an agent can perform in a turn, such as a document search.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.exposeString('name', { description: 'The name by which the model calls the action.' }),
    displayName: t.exposeString('displayName', { description: 'The name of the action for display.' }),
    description: t.exposeString('description', { description: 'A description of what the action does.' }),
    builtinKey: t.exposeString('builtinKey', {
      nullable: true,
      description: 'The key of a built-in action, such as `SearchTool`; null for other actions.',
    }),
  }),
});

nodeRule('Action', {
  permission: 'read:actions',
  readable: ({ prisma }, _principal, ids) =>
    prisma.action.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const ActionConnection = builder.connectionObject(
  { type: Action, name: 'ActionConnection', description: 'A page of a list of actions.' },
  { name: 'ActionEdge', description: 'An action and its cursor in a list.' },
);

builder.queryField('actions', (t) =>
  t.field({
    type: ActionConnection,
    authScopes: { permission: 'read:actions' },
    description: 'Returns all actions, in the order of their IDs.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { actions } = context.services;
      const page = await actions.list(args, context.pageLimit, nodeQuery(context, info));
      return connection(actionOrder, page, args, actions.count);
    },
  }),
);
