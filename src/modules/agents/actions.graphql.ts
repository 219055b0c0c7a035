import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { actionOrder } from './actions.service.ts';

export const Action = builder.prismaObject('Action', {
  description: 'Something that an agent can do in a turn. The Onyx paths call it a tool.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    name: t.exposeString('name', { description: 'The name by which the model knows it.' }),
    displayName: t.exposeString('displayName', { description: 'The name to show.' }),
    description: t.exposeString('description', { description: 'What it does.' }),
    builtinKey: t.exposeString('builtinKey', {
      nullable: true,
      description: 'Set for what comes with the server, such as `SearchTool`.',
    }),
  }),
});

const ActionConnection = builder.connectionObject(
  { type: Action, name: 'ActionConnection', description: 'A page of actions.' },
  { name: 'ActionEdge', description: 'An action and its place in the list.' },
);

builder.queryField('actions', (t) =>
  t.field({
    type: ActionConnection,
    authScopes: { permission: 'read:actions' },
    description: 'All actions, by id.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { actions } = context.services;
      const page = await actions.list(args, context.pageLimit, nodeQuery(context, info));
      return connection(actionOrder, page, args, actions.count);
    },
  }),
);
