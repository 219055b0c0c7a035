import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { ChatModeType } from '../agents/chat-mode.graphql.ts';
import type { InputFields } from '../chat/sessions.graphql.ts';
import { User } from '../users/users.graphql.ts';
import { embedOrder, exchangeOrder } from './embeds.service.ts';
import type { Exchange } from './exchanges.ts';

const describe = {
  chatMode: 'When it answers, whatever the agent does: AUTOMATIC and CHAT always, QUERY from documents alone.',
  allowedOrigins:
    'The pages that may show it, by their origins, such as `https://example.com`, or `example.com`, which is the same; at most 100. Without any, the server’s setting WIDGET_ORIGINS decides: every page (`allow`), or none but the server’s own (`deny`, the default in production).',
  allowModel: 'Whether a visitor’s page may choose the model.',
  allowTemperature: 'Whether a visitor’s page may choose the temperature.',
  allowPrompt: 'Whether a visitor’s page may set the agent’s instructions.',
  maxChatsPerDay: 'Maximum number of questions that all visitors together may ask in any 24 hours.',
  maxChatsPerSession: 'Maximum number of questions in the chat of one visitor in any 24 hours.',
  messageLimit: 'Maximum number of earlier messages that the model receives, 1 to 1000.',
};

export const Embed = builder.prismaObject('Embed', {
  description: 'A chat widget: what opens one agent to the visitors of somebody’s page, who need no credential.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id.' }),
    uuid: t.expose('uuid', { type: 'UUID', description: 'The id that the widget’s page names.' }),
    enabled: t.exposeBoolean('enabled', { description: 'Whether it answers anybody.' }),
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
      description: `${describe.messageLimit} Null if the agent’s own limit applies.`,
    }),
    agentId: t.exposeInt('agentId', { description: 'The integer id of its agent.' }),
    agentName: t.string({
      description: 'The name of its agent.',
      select: { agent: { select: { name: true } } },
      resolve: ({ agent }) => agent.name,
    }),
    agent: t.relation('agent', {
      type: Agent,
      authScopes: { permission: 'read:agents' },
      description: 'Its agent. The widget of a deleted one answers nobody.',
    }),
    createdBy: t.relation('createdBy', {
      type: User,
      nullable: true,
      description: 'Who made it; null when they are gone.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    chatCount: t.int({
      description: 'How many questions its visitors asked, in chats that are still there.',
      select: { id: true },
      resolve: ({ id }, _args, { principal, services }) => services.embeds.chatCount(signedIn(principal), id),
    }),
  }),
});

const EmbedConnection = builder.connectionObject(
  { type: Embed, name: 'EmbedConnection', description: 'A page of widgets.' },
  { name: 'EmbedEdge', description: 'A widget and its place in the list.' },
);

export const EmbedExchange = builder.objectRef<Exchange>('EmbedExchange').implement({
  description: 'A question of a visitor’s, and the answer.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id of the answer.' }),
    embedId: t.exposeInt('embedId', { description: 'The integer id of the widget.' }),
    sessionId: t.exposeString('sessionId', { description: 'The UUID by which the visitor calls the chat.' }),
    question: t.exposeString('question', { description: 'What was asked.' }),
    answer: t.exposeString('answer', { description: 'What was answered, as far as that has come; Markdown.' }),
    askedAt: t.expose('askedAt', { type: 'DateTime', description: 'When it was asked.' }),
    answeredAt: t.expose('answeredAt', { type: 'DateTime', description: 'When the answer began.' }),
    included: t.exposeBoolean('included', {
      description: 'Whether the chat goes on from it; not so for a question that was refused.',
    }),
  }),
});

const EmbedExchangeConnection = builder.connectionObject(
  { type: EmbedExchange, name: 'EmbedExchangeConnection', description: 'A page of what visitors asked.' },
  { name: 'EmbedExchangeEdge', description: 'A question with its answer, and its place in the list.' },
);

const settings = (t: InputFields) => ({
  chatMode: t.field({ type: ChatModeType, description: `${describe.chatMode} QUERY for a new one unless given.` }),
  allowedOrigins: t.stringList({ description: describe.allowedOrigins }),
  allowModel: t.boolean({ description: describe.allowModel }),
  allowTemperature: t.boolean({ description: describe.allowTemperature }),
  allowPrompt: t.boolean({ description: describe.allowPrompt }),
  maxChatsPerDay: t.int({ description: describe.maxChatsPerDay }),
  maxChatsPerSession: t.int({ description: describe.maxChatsPerSession }),
  messageLimit: t.int({ description: describe.messageLimit }),
});

const CreateEmbedInput = builder.inputType('CreateEmbedInput', {
  description: 'What a new widget is to be.',
  fields: (t) => ({
    agentSlug: t.string({ required: true, description: 'The slug of the agent that it opens.' }),
    ...settings(t),
  }),
});

const uuid = (t: InputFields) => t.string({ required: true, description: 'Its uuid.' });

const clearEmbed = clearField('ClearableEmbedField', {
  maxChatsPerDay: 'Lifts the daily quota.',
  maxChatsPerSession: 'Lifts the quota of a visitor’s chat.',
  messageLimit: 'Gives the model as much history as the agent allows.',
});

const UpdateEmbedInput = builder.inputType('UpdateEmbedInput', {
  description:
    'Input for `updateEmbed`. A field that is null or absent stays unchanged. An empty `allowedOrigins` allows every origin.',
  fields: (t) => ({
    uuid: uuid(t),
    enabled: t.boolean({ description: 'Switches it off, which ends what visitors have open, or on again.' }),
    agentSlug: t.string({ description: 'Another agent, by its slug. Visitors begin anew with it.' }),
    agentDatabaseId: t.int({ description: 'The same by its integer id. Not beside `agentSlug`.' }),
    ...settings(t),
    clear: clearEmbed(t),
  }),
});

const DeleteEmbedInput = builder.inputType('DeleteEmbedInput', {
  description: 'Which widget is deleted, with the chats of its visitors.',
  fields: (t) => ({ uuid: uuid(t) }),
});

interface EmbedPayload {
  embed: typeof Embed.$inferType;
}

const CreateEmbedPayload = builder.objectRef<EmbedPayload>('CreateEmbedPayload').implement({
  description: 'What `createEmbed` made.',
  fields: (t) => ({ embed: t.field({ type: Embed, description: 'The widget.', resolve: ({ embed }) => embed }) }),
});

const UpdateEmbedPayload = builder.objectRef<EmbedPayload>('UpdateEmbedPayload').implement({
  description: 'What `updateEmbed` changed.',
  fields: (t) => ({
    embed: t.field({ type: Embed, description: 'The widget as it is now.', resolve: ({ embed }) => embed }),
  }),
});

const DeleteEmbedPayload = builder.objectRef<{ uuid: string }>('DeleteEmbedPayload').implement({
  description: 'What `deleteEmbed` deleted.',
  fields: (t) => ({ deletedUuid: t.expose('uuid', { type: 'UUID', description: 'The uuid that the widget had.' }) }),
});

builder.queryFields((t) => ({
  embeds: t.field({
    type: EmbedConnection,
    authScopes: { permission: 'manage:agents' },
    description: 'All chat widgets, oldest first.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { embeds } = context.services;
      const page = await embeds.list(args, context.pageLimit, nodeQuery(context, info));
      return connection(embedOrder, page, args, () => embeds.count());
    },
  }),
  embed: t.prismaField({
    type: Embed,
    authScopes: { permission: 'manage:agents' },
    description: 'One chat widget. NOT_FOUND for one that is not there.',
    args: { uuid: t.arg.string({ required: true, description: 'Its uuid.' }) },
    resolve: (query, _root, args, { services }) => services.embeds.find(args.uuid, query),
  }),
  embedChats: t.field({
    type: EmbedExchangeConnection,
    authScopes: { permissions: ['read:query_history', 'manage:agents'] },
    description:
      'The questions of visitors of a widget and the answers to them, oldest first. Empty for an unknown widget.',
    args: {
      ...pageArgs(t.arg),
      uuid: t.arg.string({ required: true, description: 'The widget’s uuid.' }),
      sessionId: t.arg.string({ description: 'Only the chat that a visitor calls by this UUID.' }),
    },
    resolve: async (_root, { uuid, sessionId, ...args }, { services: { embeds }, pageLimit }) => {
      const filter = { uuid, sessionId };
      const page = await embeds.chats(filter, args, pageLimit);
      return connection(exchangeOrder, page, args, () => embeds.countChats(filter));
    },
  }),
}));

builder.mutationFields((t) => ({
  createEmbed: t.field({
    type: CreateEmbedPayload,
    changesCredentials: true,
    authScopes: { permission: 'manage:agents' },
    description: 'Makes a chat widget, which opens an agent, and the documents it answers from, to strangers.',
    args: { input: t.arg({ type: CreateEmbedInput, required: true, description: 'The widget.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      embed: await services.embeds.create(signedIn(principal), input),
    }),
  }),
  updateEmbed: t.field({
    type: UpdateEmbedPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Changes a chat widget, or switches it off or on.',
    args: { input: t.arg({ type: UpdateEmbedInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { uuid, ...change } }, { principal, services }) => ({
      embed: await services.embeds.update(signedIn(principal), uuid, change),
    }),
  }),
  deleteEmbed: t.field({
    type: DeleteEmbedPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Deletes a chat widget with the chats of its visitors.',
    args: { input: t.arg({ type: DeleteEmbedInput, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { principal, services }) => services.embeds.delete(signedIn(principal), input.uuid),
  }),
}));
