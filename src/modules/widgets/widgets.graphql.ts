import { signedIn } from '../../authz/principal.ts';
import type { Embed as EmbedRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { Agent, AgentLocatorInput, agentKey } from '../agents/agents.graphql.ts';
import { ChatModeType } from '../agents/chat-mode.graphql.ts';
import type { InputFields } from '../chat/sessions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import { uuidOf, type WidgetKey } from './widget-key.ts';
import { widgetOrders } from './widget-lists.ts';

const describe = {
  chatMode:
    'The mode of the widget, which replaces that of its agent: AUTOMATIC and CHAT answer every question, QUERY only from documents.',
  allowedOrigins:
    'The origins of the pages that may show the widget, such as `https://example.com` or `example.com`, which are equal; at most 100. If the list is empty, the server setting WIDGET_ORIGINS decides: every page (`allow`), or only pages of this server (`deny`, the default in production).',
  allowModel: 'Whether a page can choose the model that answers.',
  allowTemperature: 'Whether a page can choose the sampling temperature.',
  allowPrompt: 'Whether a page can replace the instructions of the agent.',
  maxChatsPerDay: 'Maximum number of questions that all visitors together may ask in any 24 hours.',
  maxChatsPerSession: 'Maximum number of questions in the chat of one visitor in any 24 hours.',
  messageLimit: 'Maximum number of earlier messages that the model receives, 1 to 1000.',
};

export const Embed = builder.prismaNode('Embed', {
  id: { field: 'id', description: 'The global ID of the widget.' },
  nullable: true,
  description: 'A chat widget, which opens one agent to the visitors of web pages without a credential.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    uuid: t.expose('uuid', { type: 'UUID', description: 'The UUID by which a web page names the widget.' }),
    enabled: t.exposeBoolean('enabled', { description: 'Whether the widget answers visitors.' }),
    chatMode: t.expose('chatMode', { type: ChatModeType, description: describe.chatMode }),
    allowedOrigins: t.exposeStringList('allowedOrigins', { description: describe.allowedOrigins }),
    allowModel: t.exposeBoolean('allowModel', { description: describe.allowModel }),
    allowTemperature: t.exposeBoolean('allowTemperature', { description: describe.allowTemperature }),
    allowPrompt: t.exposeBoolean('allowPrompt', { description: describe.allowPrompt }),
    maxChatsPerDay: t.exposeInt('maxChatsPerDay', {
      nullable: true,
      description: `${describe.maxChatsPerDay} Null if unlimited.`,
    }),
    maxChatsPerSession: t.exposeInt('maxChatsPerSession', {
      nullable: true,
      description: `${describe.maxChatsPerSession} Null if unlimited.`,
    }),
    messageLimit: t.exposeInt('messageLimit', {
      nullable: true,
      description: `${describe.messageLimit} Null if the limit of the agent applies.`,
    }),
    agentDatabaseId: t.exposeInt('agentId', {
      description: 'The integer ID of the agent, for callers that cannot read agents.',
    }),
    agentName: t.string({
      description: 'The name of the agent, for callers that cannot read agents.',
      select: { agent: { select: { name: true } } },
      resolve: ({ agent }) => agent.name,
    }),
    agent: t.relation('agent', {
      type: Agent,
      nullable: true,
      authScopes: { permission: 'read:agents' },
      description: 'The agent that answers. While it is deleted, the widget answers no visitor.',
    }),
    createdBy: t.relation('createdBy', {
      type: User,
      nullable: true,
      description: 'The user who created the widget; null if that user was deleted.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the widget was created.' }),
    chatCount: t.int({
      description: 'The number of questions in the existing chats of the visitors.',
      select: { id: true },
      resolve: ({ id }, _args, { principal, services }) => services.widgets.chatCount(signedIn(principal), id),
    }),
  }),
});

nodeRule('Embed', {
  permission: 'manage:agents',
  readable: ({ prisma }, _principal, ids) =>
    prisma.embed.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const EmbedEdge = builder.edgeObject({
  type: Embed,
  name: 'EmbedEdge',
  description: 'A chat widget and its cursor in a list.',
});
const EmbedConnection = builder.connectionObject(
  { type: Embed, name: 'EmbedConnection', description: 'A page of a list of chat widgets.' },
  EmbedEdge,
);

/** Reads the ID of a widget: the global ID, the integer `databaseId` or the UUID. Throws BAD_USER_INPUT. */
export function widgetKey(value: string | number, path: string[]): WidgetKey {
  const uuid = uuidOf(String(value));
  return uuid === null ? { id: integerId(value, 'Embed', path) } : { uuid };
}

export const byAnyId = 'by its global ID, its integer `databaseId` or its UUID';

const EmbedFilterInput = builder.inputType('EmbedFilter', {
  description: 'Conditions on a list of chat widgets; all that are set must be met.',
  fields: (t) => ({
    agentId: t.id({ description: 'Returns only the widgets of this agent, by its global ID or integer `databaseId`.' }),
    enabled: t.boolean({ description: 'Returns only enabled widgets if true, only disabled ones if false.' }),
  }),
});
const EmbedOrder = orderInput('Embed', widgetOrders, { CREATED_AT: 'The time at which the widget was created.' });

const settings = (t: InputFields) => ({
  chatMode: t.field({ type: ChatModeType, description: `${describe.chatMode} Defaults to QUERY for a new widget.` }),
  allowedOrigins: t.stringList({ description: describe.allowedOrigins }),
  allowModel: t.boolean({ description: describe.allowModel }),
  allowTemperature: t.boolean({ description: describe.allowTemperature }),
  allowPrompt: t.boolean({ description: describe.allowPrompt }),
  maxChatsPerDay: t.int({ description: describe.maxChatsPerDay }),
  maxChatsPerSession: t.int({ description: describe.maxChatsPerSession }),
  messageLimit: t.int({ description: describe.messageLimit }),
});

const CreateEmbedInput = builder.inputType('CreateEmbedInput', {
  description: 'Input for the mutation `createEmbed`.',
  fields: (t) => ({
    agent: t.field({
      type: AgentLocatorInput,
      required: true,
      description: 'The agent that the widget opens, by its ID or by its slug.',
    }),
    ...settings(t),
  }),
});

const widgetId = (t: InputFields) => t.id({ required: true, description: `The widget, ${byAnyId}.` });

const clearEmbed = clearField('ClearableEmbedField', {
  maxChatsPerDay: 'Removes the daily quota.',
  maxChatsPerSession: 'Removes the quota of a visitor’s chat.',
  messageLimit: 'Gives the model as many earlier messages as the agent allows.',
});

const UpdateEmbedInput = builder.inputType('UpdateEmbedInput', {
  description:
    'Input for `updateEmbed`. A field that is null or absent stays unchanged. An empty `allowedOrigins` allows every origin.',
  fields: (t) => ({
    id: widgetId(t),
    enabled: t.boolean({
      description: 'Enables or disables the widget. Disabling it ends the open streams of visitors.',
    }),
    agent: t.field({
      type: AgentLocatorInput,
      description: 'Moves the widget to this agent, by its ID or by its slug. Visitors then begin new chats.',
    }),
    ...settings(t),
    clear: clearEmbed(t),
  }),
});

const DeleteEmbedInput = builder.inputType('DeleteEmbedInput', {
  description: 'Input for the mutation `deleteEmbed`.',
  fields: (t) => ({ id: widgetId(t) }),
});

const CreateEmbedPayload = builder.objectRef<EmbedRow>('CreateEmbedPayload').implement({
  description: 'Result of the mutation `createEmbed`.',
  fields: (t) => ({
    embed: t.field({ type: Embed, description: 'The new chat widget.', resolve: (embed) => embed }),
    embedEdge: t.field({
      type: EmbedEdge,
      description: 'The new chat widget as an edge of `embeds` in its default order.',
      resolve: (embed) => edge(widgetOrders.default, embed),
    }),
  }),
});

const UpdateEmbedPayload = builder.objectRef<EmbedRow>('UpdateEmbedPayload').implement({
  description: 'Result of the mutation `updateEmbed`.',
  fields: (t) => ({
    embed: t.field({ type: Embed, description: 'The chat widget after the change.', resolve: (embed) => embed }),
  }),
});

const DeleteEmbedPayload = builder.objectRef<{ id: number }>('DeleteEmbedPayload').implement({
  description: 'Result of the mutation `deleteEmbed`.',
  fields: (t) => ({
    deletedEmbedId: t.id({
      description: 'The global ID of the deleted widget.',
      resolve: ({ id }) => globalId('Embed', id),
    }),
  }),
});

builder.queryFields((t) => ({
  embeds: t.field({
    type: EmbedConnection,
    authScopes: { permission: 'manage:agents' },
    description: 'All chat widgets of the server.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: EmbedFilterInput, description: 'Conditions on the widgets.' }),
      orderBy: t.arg({ type: EmbedOrder, description: 'Order of the widgets. Defaults to the oldest first.' }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { widgets } = context.services;
      const agentId = filter?.agentId;
      const conditions = {
        enabled: filter?.enabled,
        agentId: agentId == null ? null : integerId(agentId, 'Agent', ['filter', 'agentId']),
      };
      const order = widgetOrders.of(orderBy);
      const query = nodeQuery(context, info);
      const page = await widgets.list(conditions, { order, args, limit: context.pageLimit, query });
      return connection(order, page, args, () => widgets.count(conditions));
    },
  }),
  embed: t.prismaField({
    type: Embed,
    authScopes: { permission: 'manage:agents' },
    description: 'A chat widget. NOT_FOUND if it does not exist.',
    args: { id: t.arg.id({ required: true, description: `The widget, ${byAnyId}.` }) },
    resolve: (query, _root, { id }, { services }) => services.widgets.find(widgetKey(id, ['id']), query),
  }),
}));

builder.mutationFields((t) => ({
  createEmbed: t.withAuth({ permission: 'manage:agents' }).field({
    type: CreateEmbedPayload,
    changesCredentials: true,
    description:
      'Creates a chat widget, which opens an agent and the documents that it answers from to anonymous visitors.',
    args: { input: t.arg({ type: CreateEmbedInput, required: true, description: 'The agent and the settings.' }) },
    resolve: (_root, { input: { agent, ...settings } }, { principal, services }) =>
      services.widgets.create(principal, { ...settings, agent: agentKey(agent) }),
  }),
  updateEmbed: t.withAuth({ permission: 'manage:agents' }).field({
    type: UpdateEmbedPayload,
    description: 'Changes a chat widget, or enables or disables it.',
    args: { input: t.arg({ type: UpdateEmbedInput, required: true, description: 'The widget and the changes.' }) },
    resolve: (_root, { input: { id, agent, ...change } }, { principal, services }) =>
      services.widgets.update(principal, widgetKey(id, ['input', 'id']), {
        ...change,
        agent: agent == null ? null : agentKey(agent),
      }),
  }),
  deleteEmbed: t.withAuth({ permission: 'manage:agents' }).field({
    type: DeleteEmbedPayload,
    description: 'Deletes a chat widget with the chats of its visitors, and ends their open streams.',
    args: { input: t.arg({ type: DeleteEmbedInput, required: true, description: 'The widget to delete.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.widgets.delete(principal, widgetKey(input.id, ['input', 'id'])),
  }),
}));
