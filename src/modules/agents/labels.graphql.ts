import type { Label as LabelRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { labelOrder } from './labels.ts';

export const Label = builder.prismaNode('Label', {
  id: { field: 'id', description: 'The global ID of the label.' },
  nullable: true,
  description: 'A label that groups agents.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    name: t.exposeString('name', { description: 'The name of the label, unique on this server.' }),
  }),
});

nodeRule('Label', {
  permission: 'write:agents',
  readable: ({ prisma }, _principal, ids) =>
    prisma.label.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const LabelEdge = builder.edgeObject({
  type: Label,
  name: 'LabelEdge',
  description: 'A label and its cursor in a list.',
});
const LabelConnection = builder.connectionObject(
  { type: Label, name: 'LabelConnection', description: 'A page of a list of labels.' },
  LabelEdge,
);

const CreateLabelInput = builder.inputType('CreateLabelInput', {
  description: 'Input for the mutation `createLabel`.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'The name of the label: 1 to 100 characters; unique on this server.',
    }),
  }),
});

const LabelPayload = builder.objectRef<LabelRow>('CreateLabelPayload').implement({
  description: 'Result of the mutation `createLabel`.',
  fields: (t) => ({
    label: t.field({ type: Label, description: 'The label that was created.', resolve: (label) => label }),
    labelEdge: t.field({
      type: LabelEdge,
      description: 'The created label as an edge, for clients that add it to a list.',
      resolve: (label) => edge(labelOrder, label),
    }),
  }),
});

builder.queryFields((t) => ({
  labels: t.field({
    type: LabelConnection,
    authScopes: { permission: 'write:agents' },
    description: 'All labels of the server, ordered by ID.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { agents } = context.services;
      const page = await agents.listLabels(args, context.pageLimit, nodeQuery(context, info));
      return connection(labelOrder, page, args, agents.countLabels);
    },
  }),
}));

builder.mutationFields((t) => ({
  createLabel: t.field({
    type: LabelPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Creates a label for agents.',
    args: { input: t.arg({ type: CreateLabelInput, required: true, description: 'The label to create.' }) },
    resolve: (_root, { input }, { services }) => services.agents.createLabel(input),
  }),
}));
