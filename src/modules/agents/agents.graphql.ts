import type { GraphQLResolveInfo } from 'graphql';
import { can, signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { Agent as AgentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, integerIdList, textIdList, uuidId, uuidIdList } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import type { PageArgs } from '../../paging.ts';
import { modelOf } from '../chat/overrides.ts';
import { type AgentFilter, agentOrder } from './agent-lists.ts';
import type { AgentKey } from './by-slug.ts';
import { ChatModeType } from './chat-mode.graphql.ts';

const KnowledgeScope = builder.enumType('KnowledgeScope', {
  description: 'The documents that an agent searches.',
  values: {
    ALL: { description: 'All documents that the asking user can read.' },
    ATTACHED: { description: 'The documents of the agent that the asking user can read.' },
  },
});

export const SharePermission = builder.enumType('SharePermission', {
  description: 'The permission of a person for an agent that is shared with them.',
  values: {
    VIEWER: { description: 'The person can use the agent.' },
    EDITOR: { description: 'The person can use and change the agent.' },
  },
});

export const Agent = builder.prismaNode('Agent', {
  id: { field: 'id', description: 'The global ID of the agent.' },
  nullable: true,
  description: 'A configured partner for chats, with instructions, knowledge and actions.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', {
      description: 'The integer ID that the REST paths use. The built-in agent has the ID 0.',
    }),
    slug: t.exposeString('slug', {
      description:
        'The name of the agent in URLs, derived from its first name. Does not change until the agent is deleted.',
    }),
    name: t.exposeString('name', { description: 'The display name of the agent.' }),
    description: t.exposeString('description', { description: 'The purpose of the agent.' }),
    systemPrompt: t.exposeString('systemPrompt', { description: 'The instructions that precede each conversation.' }),
    taskPrompt: t.exposeString('taskPrompt', { description: 'The text that follows each question to the model.' }),
    replaceBaseSystemPrompt: t.exposeBoolean('replaceBaseSystemPrompt', {
      description: 'Whether the system prompt replaces that of the server; otherwise it follows it.',
    }),
    datetimeAware: t.exposeBoolean('datetimeAware', { description: 'Whether the model receives the current time.' }),
    isPublic: t.exposeBoolean('isPublic', { description: 'Whether all users can use the agent.' }),
    isListed: t.exposeBoolean('isListed', { description: 'Whether lists show the agent to users who cannot edit it.' }),
    isFeatured: t.exposeBoolean('isFeatured', { description: 'Whether clients show the agent prominently.' }),
    isBuiltin: t.exposeBoolean('isBuiltin', { description: 'Whether the agent is part of the server.' }),
    displayPriority: t.exposeInt('displayPriority', {
      nullable: true,
      description: 'The position of the agent in lists, lowest first; null for the end.',
    }),
    iconName: t.exposeString('iconName', { nullable: true, description: 'The name of the icon of the agent.' }),
    knowledge: t.expose('knowledge', { type: KnowledgeScope, description: 'The documents that the agent searches.' }),
    searchStartDate: t.expose('searchStartDate', {
      type: 'DateTime',
      nullable: true,
      description: 'The agent finds no documents older than this time.',
    }),
    passageLimit: t.exposeInt('passageLimit', { description: 'Maximum number of passages that a turn finds.' }),
    similarityThreshold: t.exposeFloat('similarityThreshold', {
      description: 'Minimum score of a passage that the model receives, 0 to 1.',
    }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The model that answers if the chat names no other; null for the default model of the server.',
    }),
    contextTokens: t.int({
      description: 'The context window of the model: the maximum number of tokens of the prompt and the answer.',
      select: { model: true },
      resolve: (agent, _args, { services }) => modelOf(services.models, agent).contextWindow,
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: 'The sampling temperature, 0 to 2; null for the default of the model.',
    }),
    historyLimit: t.exposeInt('historyLimit', {
      nullable: true,
      description: 'Maximum number of earlier messages that the model receives; null for as many as fit.',
    }),
    chatMode: t.expose('chatMode', {
      type: ChatModeType,
      description: 'The mode in which the agent answers if the message sets no other.',
    }),
    refusalText: t.exposeString('refusalText', {
      nullable: true,
      description: 'The answer in the mode QUERY if no document matches; null for the default sentence of the server.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the agent was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'The time of the last change of the agent.' }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the agent was deleted; null if it was not deleted.',
    }),
  }),
});

nodeRule('Agent', {
  permission: 'read:agents',
  readable: ({ prisma }, principal, ids) =>
    prisma.agent.findMany({
      where: {
        AND: [
          visible.agents(principal),
          { id: { in: integerIds(ids) } },
          can(principal, 'manage:agents') ? {} : { deletedAt: null },
        ],
      },
      select: { id: true },
    }),
});

const AgentEdge = builder.edgeObject({
  type: Agent,
  name: 'AgentEdge',
  description: 'An agent and its cursor in a list.',
});
export const AgentConnection = builder.connectionObject(
  { type: Agent, name: 'AgentConnection', description: 'A page of a list of agents.' },
  AgentEdge,
);

const AgentFilterInput = builder.inputType('AgentFilter', {
  description: 'Conditions on a list of agents; all that are set must be met.',
  fields: (t) => ({
    includeDeleted: t.boolean({
      description:
        'Includes deleted agents of the caller; with `manage:agents`, all deleted agents. Defaults to false.',
    }),
    editable: t.boolean({ description: 'Returns only agents that the caller can change if true.' }),
    includeBuiltin: t.boolean({ description: 'Whether the list includes the built-in agent. Defaults to true.' }),
    ids: t.idList({ description: 'Selects the agents with these global or integer IDs.' }),
  }),
});

const StarterMessageInput = builder.inputType('StarterMessageInput', {
  description: 'Input for a question that an agent suggests.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The short form to display; at most 200 characters.' }),
    message: t.string({ required: true, description: 'The message that a client sends; at most 2,000 characters.' }),
  }),
});

const AgentShareInput = builder.inputType('AgentShareInput', {
  description: 'A person to share an agent with.',
  fields: (t) => ({
    userId: t.id({ required: true, description: 'The person, by global ID or UUID.' }),
    permission: t.field({
      type: SharePermission,
      description: 'The permission of the person. Defaults to the current permission, or VIEWER for a new person.',
    }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

export const AgentLocatorInput = builder.inputType('AgentLocatorInput', {
  isOneOf: true,
  description: 'An agent, by its ID or by its slug.',
  fields: (t) => ({
    id: t.id({ description: 'The agent, by its global ID or its integer `databaseId`.' }),
    slug: t.string({ description: 'The slug of the agent.' }),
  }),
});

/** Returns the input field that identifies an agent. */
export const agentLocator = (t: InputFields) => ({
  agent: t.field({ type: AgentLocatorInput, required: true, description: 'The agent, by its ID or by its slug.' }),
});

type Locator = { id?: string | number | null | undefined; slug?: string | null | undefined };

/** Returns the key of the agent that a locator identifies. Throws BAD_USER_INPUT for an ID of another type. */
export const agentKey = ({ id, slug }: Locator, path: string[] = ['input', 'agent']): AgentKey =>
  id == null ? (slug ?? '') : integerId(id, 'Agent', [...path, 'id']);

const agentFields = (t: InputFields) => ({
  description: t.string({ description: 'The purpose of the agent; at most 2,000 characters.' }),
  systemPrompt: t.string({
    description:
      'The instructions that precede each conversation; at most 100,000 characters. A new agent defaults to those in the preferences of the server.',
  }),
  taskPrompt: t.string({
    description: 'The text that follows each question to the model; at most 100,000 characters.',
  }),
  replaceBaseSystemPrompt: t.boolean({ description: 'Whether the system prompt replaces that of the server.' }),
  datetimeAware: t.boolean({ description: 'Whether the model receives the current time.' }),
  isPublic: t.boolean({ description: 'Whether all users can use the agent. Only the owner can change it.' }),
  isFeatured: t.boolean({ description: 'Whether clients show the agent prominently. Requires `manage:agents`.' }),
  displayPriority: t.int({
    description: 'The position of the agent in lists, lowest first. Requires `manage:agents`.',
  }),
  iconName: t.string({ description: 'The name of the icon of the agent; at most 100 characters.' }),
  knowledge: t.field({ type: KnowledgeScope, description: 'The documents that the agent searches. Defaults to ALL.' }),
  searchStartDate: t.field({ type: 'DateTime', description: 'The agent finds no documents older than this time.' }),
  passageLimit: t.int({ description: 'Maximum number of passages that a turn finds, 1 to 100. Defaults to 8.' }),
  similarityThreshold: t.float({
    description: 'Minimum score of a passage that the model receives, 0 to 1. Defaults to 0.',
  }),
  model: t.string({
    description: 'The model that answers: one of `models`. Defaults to the default model of the server.',
  }),
  modelIfAvailable: t.string({
    deprecationReason: 'For the REST paths of AnythingLLM only; use `model`.',
    description:
      'The model that answers. A model that the server does not have selects the default model. Ignored when `model` is set.',
  }),
  temperature: t.float({ description: 'The sampling temperature, 0 to 2. Defaults to that of the model.' }),
  historyLimit: t.int({
    description: 'Maximum number of earlier messages that the model receives, 0 to 1,000. Defaults to as many as fit.',
  }),
  chatMode: t.field({ type: ChatModeType, description: 'The mode in which the agent answers. Defaults to AUTOMATIC.' }),
  refusalText: t.string({
    description:
      'The answer in the mode QUERY when no document matches; at most 2,000 characters. Defaults to a sentence of the server.',
  }),
  starterMessages: t.field({
    type: [StarterMessageInput],
    description: 'The questions that the agent suggests, in order; at most 50.',
  }),
  labelIds: t.idList({ description: 'The labels of the agent, by global or integer ID; at most 100.' }),
  actionIds: t.idList({
    description:
      'The actions of the agent, by global or integer ID; at most 100. Without the search action, the agent does not search documents.',
  }),
  builtinActions: t.stringList({
    description: 'The keys of actions that come with the server, such as `SearchTool`, in addition to `actionIds`.',
  }),
  documentIds: t.idList({
    description: 'The documents of the agent, by global ID or by the ID that the client chose; at most 1,000.',
  }),
  fileIds: t.idList({
    description:
      'The files of the agent, by global ID or UUID; at most 100. Only own files can be added. Everyone who can use the agent can read them.',
  }),
  userIds: t.idList({
    description:
      'The people that the agent is shared with, by global ID or UUID; at most 1,000. New people become viewers. Only the owner can change them.',
  }),
  allowSameName: t.boolean({
    deprecationReason: 'For the REST paths of AnythingLLM only; give each agent its own `name`.',
    description:
      'If true, the owner can have several agents with this name, each with its own slug. Defaults to false.',
  }),
});

const CreateAgentInput = builder.inputType('CreateAgentInput', {
  description: 'Input for the mutation `createAgent`.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description:
        'The display name: 1 to 255 characters; unique among the agents of the caller unless `allowSameName` is set.',
    }),
    ...agentFields(t),
    usualPrompt: t.string({
      deprecationReason: 'For the REST paths of AnythingLLM only; use `systemPrompt`.',
      description:
        'The instructions of the agent when neither `systemPrompt` nor the preferences of the server contain any; at most 100,000 characters.',
    }),
  }),
});

const clearAgent = clearField('ClearableAgentField', {
  displayPriority: 'Moves the agent to the end of lists.',
  iconName: 'Leaves the agent without an icon.',
  searchStartDate: 'Lets the agent find documents of any age.',
  model: 'Restores the default model of the server.',
  temperature: 'Restores the default temperature of the model.',
  historyLimit: 'Gives the model as many earlier messages as fit.',
  refusalText: 'Restores the default sentence of the server.',
});

const UpdateAgentInput = builder.inputType('UpdateAgentInput', {
  description:
    'Input for `updateAgent`. A field that is null or absent stays unchanged. A list replaces the entries that the caller can read; entries that the caller cannot read are kept.',
  fields: (t) => ({
    ...agentLocator(t),
    name: t.string({
      description:
        'The display name: 1 to 255 characters; unique among the agents of the owner unless `allowSameName` is set.',
    }),
    ...agentFields(t),
    clear: clearAgent(t),
  }),
});

const ShareAgentInput = builder.inputType('ShareAgentInput', {
  description:
    'Input for `shareAgent`. A field that is null or absent stays unchanged; an empty list empties its field.',
  fields: (t) => ({
    ...agentLocator(t),
    shares: t.field({
      type: [AgentShareInput],
      description: 'The complete list of people with whom the agent is shared.',
    }),
    isPublic: t.boolean({ description: 'Whether all users can use the agent.' }),
    labelIds: t.idList({ description: 'The labels of the agent, by global or integer ID; at most 100.' }),
  }),
});

const clearCuration = clearField('ClearableCurationField', {
  displayPriority: 'Moves the agent to the end of lists.',
});

const CurateAgentInput = builder.inputType('CurateAgentInput', {
  description: 'Input for `curateAgent`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...agentLocator(t),
    isListed: t.boolean({ description: 'Whether lists show the agent to users who cannot edit it.' }),
    isFeatured: t.boolean({ description: 'Whether clients show the agent prominently.' }),
    displayPriority: t.int({ description: 'The position of the agent in lists, lowest first.' }),
    clear: clearCuration(t),
  }),
});

const DeleteAgentInput = builder.inputType('DeleteAgentInput', {
  description: 'Input for the mutation `deleteAgent`.',
  fields: agentLocator,
});
const UndeleteAgentInput = builder.inputType('UndeleteAgentInput', {
  description: 'Input for the mutation `undeleteAgent`.',
  fields: agentLocator,
});

/** Returns the payload type of a mutation that changes an agent. */
export const agentPayload = (mutation: string) =>
  builder.objectRef<AgentRow>(`${mutation[0]?.toUpperCase()}${mutation.slice(1)}Payload`).implement({
    description: `Result of the mutation \`${mutation}\`.`,
    fields: (t) => ({
      agent: t.field({ type: Agent, description: 'The agent after the change.', resolve: (agent) => agent }),
    }),
  });

const CreateAgentPayload = builder.objectRef<AgentRow>('CreateAgentPayload').implement({
  description: 'Result of the mutation `createAgent`.',
  fields: (t) => ({
    agent: t.field({ type: Agent, description: 'The agent that was created.', resolve: (agent) => agent }),
    agentEdge: t.field({
      type: AgentEdge,
      description: 'The created agent as an edge, for clients that add it to a list.',
      resolve: (agent) => edge(agentOrder, agent),
    }),
  }),
});
const UpdateAgentPayload = agentPayload('updateAgent');
const ShareAgentPayload = agentPayload('shareAgent');
const CurateAgentPayload = agentPayload('curateAgent');
const UndeleteAgentPayload = agentPayload('undeleteAgent');

const DeleteAgentPayload = builder.objectRef<AgentRow>('DeleteAgentPayload').implement({
  description: 'Result of the mutation `deleteAgent`.',
  fields: (t) => ({
    agent: t.field({ type: Agent, description: 'The agent that was deleted.', resolve: (agent) => agent }),
    deletedAgentId: t.id({
      description: 'The global ID of the deleted agent.',
      resolve: ({ id }) => globalId('Agent', id),
    }),
  }),
});

type IdLists = {
  labelIds?: readonly (string | number)[] | null | undefined;
  actionIds?: readonly (string | number)[] | null | undefined;
  documentIds?: readonly (string | number)[] | null | undefined;
  fileIds?: readonly (string | number)[] | null | undefined;
  userIds?: readonly (string | number)[] | null | undefined;
};

/** Replaces the IDs of an input with database IDs. Throws BAD_USER_INPUT for an ID of another type. */
async function withDatabaseIds<Input extends IdLists>(input: Input, { principal, services }: Context) {
  const at = (name: keyof IdLists) => ['input', name];
  const { labelIds, actionIds, documentIds, fileIds, userIds } = input;
  return {
    ...input,
    labelIds: labelIds && integerIdList(labelIds, 'Label', at('labelIds')),
    actionIds: actionIds && integerIdList(actionIds, 'Action', at('actionIds')),
    fileIds: fileIds && uuidIdList(fileIds, 'File', at('fileIds')),
    userIds: userIds && uuidIdList(userIds, 'User', at('userIds')),
    documentIds:
      documentIds &&
      (await services.knowledge.externalIds(
        signedIn(principal),
        textIdList(documentIds, 'Document', at('documentIds')),
        at('documentIds'),
      )),
  };
}

type Filter = Omit<AgentFilter, 'databaseIds'> & { ids?: readonly (string | number)[] | null | undefined };

async function agentList(args: PageArgs, { ids, ...rest }: Filter, context: Context, info: GraphQLResolveInfo) {
  const { agents } = context.services;
  const principal = signedIn(context.principal);
  const filter = { ...rest, databaseIds: ids && integerIdList(ids, 'Agent', ['filter', 'ids']) };
  const page = await agents.list(principal, filter, {
    args,
    limit: context.pageLimit,
    query: nodeQuery(context, info),
  });
  return connection(agentOrder, page, args, () => agents.count(principal, filter));
}

builder.queryFields((t) => ({
  agents: t.field({
    type: AgentConnection,
    authScopes: { permission: 'read:agents' },
    description: 'The agents that the caller can see, ordered by display priority and then by ID.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: AgentFilterInput, description: 'Conditions on the agents.' }) },
    resolve: (_root, { filter, ...args }, context, info) => agentList(args, filter ?? {}, context, info),
  }),
  allAgents: t.field({
    type: AgentConnection,
    authScopes: { permission: 'manage:agents' },
    description: 'The agents of all users, ordered by display priority and then by ID.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: AgentFilterInput, description: 'Conditions on the agents.' }) },
    resolve: (_root, { filter, ...args }, context, info) => agentList(args, filter ?? {}, context, info),
  }),
  agent: t.withAuth({ permission: 'read:agents' }).prismaField({
    type: Agent,
    description: 'An agent. NOT_FOUND if it does not exist or the caller cannot see it.',
    args: { id: t.arg.id({ required: true, description: 'The agent, by its global ID or its integer `databaseId`.' }) },
    resolve: (query, _root, { id }, { principal, services }) =>
      services.agents.find(principal, integerId(id, 'Agent', ['id']), query),
  }),
  agentBySlug: t.withAuth({ permission: 'read:agents' }).prismaField({
    type: Agent,
    description:
      'Returns the agent with this slug. NOT_FOUND when there is none that the caller can see; a deleted agent has no slug.',
    args: { slug: t.arg.string({ required: true, description: 'The slug of the agent.' }) },
    resolve: (query, _root, { slug }, { principal, services }) => services.agents.find(principal, slug, query),
  }),
}));

builder.mutationFields((t) => ({
  createAgent: t.withAuth({ permission: 'write:agents' }).field({
    type: CreateAgentPayload,
    description: 'Creates an agent that the caller owns.',
    args: { input: t.arg({ type: CreateAgentInput, required: true, description: 'The agent to create.' }) },
    resolve: async (_root, { input }, context) =>
      context.services.agents.create(context.principal, await withDatabaseIds(input, context)),
  }),
  updateAgent: t.withAuth({ permission: 'write:agents' }).field({
    type: UpdateAgentPayload,
    description:
      'Changes an agent. Allowed for the owner, for people with whom it is shared as EDITOR, and with `manage:agents`.',
    args: { input: t.arg({ type: UpdateAgentInput, required: true, description: 'The agent and the changes.' }) },
    resolve: async (_root, { input: { agent, ...change } }, context) =>
      context.services.agents.update(context.principal, agentKey(agent), await withDatabaseIds(change, context)),
  }),
  shareAgent: t.withAuth({ permission: 'write:agents' }).field({
    type: ShareAgentPayload,
    description: 'Changes the people who can use an agent. Allowed for the owner, and with `manage:agents`.',
    args: { input: t.arg({ type: ShareAgentInput, required: true, description: 'The agent and the people.' }) },
    resolve: (_root, { input: { agent, shares, labelIds, ...change } }, { principal, services }) =>
      services.agents.share(principal, agentKey(agent), {
        ...change,
        labelIds: labelIds && integerIdList(labelIds, 'Label', ['input', 'labelIds']),
        shares: shares?.map(({ userId, permission }, index) => ({
          userId: uuidId(userId, 'User', ['input', 'shares', index, 'userId']),
          permission,
        })),
      }),
  }),
  curateAgent: t.field({
    type: CurateAgentPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Changes how lists show an agent.',
    args: { input: t.arg({ type: CurateAgentInput, required: true, description: 'The agent and the changes.' }) },
    resolve: (_root, { input: { agent, ...change } }, { services }) => services.agents.curate(agentKey(agent), change),
  }),
  deleteAgent: t.withAuth({ permission: 'write:agents' }).field({
    type: DeleteAgentPayload,
    description:
      'Deletes an agent, which `undeleteAgent` can restore. Its chats remain. Allowed for the owner, and with `manage:agents`.',
    args: { input: t.arg({ type: DeleteAgentInput, required: true, description: 'The agent to delete.' }) },
    resolve: (_root, { input: { agent } }, { principal, services }) =>
      services.agents.delete(principal, agentKey(agent)),
  }),
  undeleteAgent: t.field({
    type: UndeleteAgentPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Restores a deleted agent.',
    args: { input: t.arg({ type: UndeleteAgentInput, required: true, description: 'The agent to restore.' }) },
    resolve: (_root, { input: { agent } }, { services }) => services.agents.undelete(agentKey(agent)),
  }),
}));
