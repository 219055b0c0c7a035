import type { GraphQLResolveInfo } from 'graphql';
import { can, signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import type { Agent as AgentRow, Label as LabelRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId, integerIdList, textIdList, uuidId, uuidIdList } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { cut, type PageArgs } from '../../paging.ts';
import { modelOf } from '../chat/overrides.ts';
import { DocumentConnection } from '../knowledge/knowledge.graphql.ts';
import { documentsById } from '../knowledge/knowledge.service.ts';
import { User } from '../users/users.graphql.ts';
import { Action } from './actions.graphql.ts';
import {
  type AgentFilter,
  agentOperations,
  agentOrder,
  agentPermission,
  agentShareOrder,
  labelOrder,
} from './agents.service.ts';
import type { AgentKey } from './by-slug.ts';
import { ChatModeType } from './chat-mode.graphql.ts';

const KnowledgeScope = builder.enumType('KnowledgeScope', {
  description: 'Which documents an agent searches.',
  values: {
    ALL: { description: 'Every document that the asker may read.' },
    ATTACHED: { description: 'Of the agent’s own documents, those that the asker may read.' },
  },
});

const SharePermission = builder.enumType('SharePermission', {
  description: 'What a person may do with an agent that was shared with them.',
  values: { VIEWER: { description: 'Use it.' }, EDITOR: { description: 'Use and change it.' } },
});

const AgentPermission = builder.enumType('AgentPermission', {
  description: 'What the caller is to an agent.',
  values: {
    OWNER: { description: 'Made it, or manages all agents.' },
    EDITOR: { description: 'May change it.' },
    VIEWER: { description: 'May use it.' },
  },
});

const AgentOperationType = builder.enumType('AgentOperation', {
  description: 'What can be done to an agent.',
  values: {
    EDIT: { description: 'Change it.' },
    SHARE: { description: 'Say who may use it.' },
    DELETE: { description: 'Delete it.' },
    CURATE: { description: 'Say how lists show it.' },
  },
});

const Label = builder.prismaNode('Label', {
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

const StarterMessage = builder.prismaObject('StarterMessage', {
  description: 'A question that an agent suggests.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The short form to show.' }),
    message: t.exposeString('message', { description: 'The message to send.' }),
  }),
});

export const AgentShare = builder.prismaObject('AgentShare', {
  description: 'A person an agent is shared with.',
  fields: (t) => ({
    permission: t.expose('permission', { type: SharePermission, description: 'What they may do.' }),
    user: t.relation('user', { type: User, description: 'The person.' }),
  }),
});

export const AgentShareConnection = builder.connectionObject(
  { type: AgentShare, name: 'AgentShareConnection', description: 'A page of the people that an agent is shared with.' },
  { name: 'AgentShareEdge', description: 'A person that an agent is shared with, and the cursor of that entry.' },
);

const administratorCounts = new WeakMap<Context, Promise<number>>();

/**
 * Returns the number of active administrators. Runs one database query per request, regardless of the number of agents.
 */
function administratorCount(context: Context): Promise<number> {
  const count =
    administratorCounts.get(context) ?? context.services.accounts.countAllUsers({ roles: ['ADMIN'], active: true });
  administratorCounts.set(context, count);
  return count;
}

/** The columns that determine the caller's permission for an agent. */
const ownShare = (_args: object, { principal }: Context) =>
  ({
    ownerId: true,
    isBuiltin: true,
    deletedAt: true,
    shares: { where: { userId: signedIn(principal).userId }, select: { permission: true } },
  }) as const;

export const Agent = builder.prismaNode('Agent', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'Somebody to chat with: instructions, knowledge and actions. The Onyx paths call it a persona.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use. 0 is the built-in agent.' }),
    slug: t.exposeString('slug', {
      description: 'Its name in URLs, made from the name that it was given first. Never changes, until it is deleted.',
    }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    description: t.exposeString('description', { description: 'What it is for.' }),
    systemPrompt: t.exposeString('systemPrompt', { description: 'Its standing instructions.' }),
    taskPrompt: t.exposeString('taskPrompt', { description: 'What is said to the model behind every question.' }),
    replaceBaseSystemPrompt: t.exposeBoolean('replaceBaseSystemPrompt', {
      description: 'Whether the system prompt replaces the server’s own instead of following it.',
    }),
    datetimeAware: t.exposeBoolean('datetimeAware', { description: 'Whether the model is told the time.' }),
    isPublic: t.exposeBoolean('isPublic', { description: 'Whether everybody may use it.' }),
    isListed: t.exposeBoolean('isListed', { description: 'Whether lists show it to those who cannot edit it.' }),
    isFeatured: t.exposeBoolean('isFeatured', { description: 'Whether it is featured.' }),
    isBuiltin: t.exposeBoolean('isBuiltin', { description: 'Whether it came with the server.' }),
    displayPriority: t.exposeInt('displayPriority', {
      nullable: true,
      description: 'Its place in lists, lowest first; null: last.',
    }),
    iconName: t.exposeString('iconName', { nullable: true, description: 'The name of its icon.' }),
    knowledge: t.expose('knowledge', { type: KnowledgeScope, description: 'Which documents it searches.' }),
    searchStartDate: t.expose('searchStartDate', {
      type: 'DateTime',
      nullable: true,
      description: 'It finds no document older than this.',
    }),
    passageLimit: t.exposeInt('passageLimit', { description: 'How many passages a turn finds at most.' }),
    similarityThreshold: t.exposeFloat('similarityThreshold', {
      description: 'The least score of a passage that it is given, 0 to 1.',
    }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The model that answers, unless the chat says otherwise; null for the server’s own.',
    }),
    contextTokens: t.int({
      description: 'How many tokens prompt and answer of its model may have together.',
      select: { model: true },
      resolve: (agent, _args, { services }) => modelOf(services.models, agent).contextWindow,
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: 'How much chance there is in its answers, 0 to 2; null for the model’s own.',
    }),
    historyLimit: t.exposeInt('historyLimit', {
      nullable: true,
      description: 'How many earlier messages the model is told at most; null: as many as fit.',
    }),
    chatMode: t.expose('chatMode', { type: ChatModeType, description: 'When it answers, unless a message says so.' }),
    refusalText: t.exposeString('refusalText', {
      nullable: true,
      description: 'What it says in the mode QUERY when it found nothing; null: the server’s sentence.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was deleted, if it was.',
    }),
    viewerPermission: t.field({
      type: AgentPermission,
      description: 'What the caller is to it.',
      select: ownShare,
      resolve: (agent, _args, { principal }) =>
        agentPermission(signedIn(principal), agent, agent.shares[0]?.permission),
    }),
    viewerCan: t.field({
      type: [AgentOperationType],
      description: 'What this credential may do to it.',
      select: ownShare,
      resolve: (agent, _args, { principal }) =>
        agentOperations(signedIn(principal), agent, agent.shares[0]?.permission),
    }),
    ownerId: t.expose('ownerId', { type: 'UUID', nullable: true, description: 'Whose it is; null when nobody’s.' }),
    ownerEmail: t.string({
      nullable: true,
      description: 'The owner’s address; empty for everybody but the owner and administrators, null without an owner.',
      select: { owner: { select: { id: true, email: true } } },
      resolve: ({ owner }, _args, { principal }) =>
        owner && (owner.id === principal?.userId || can(principal, 'manage:agents') ? owner.email : ''),
    }),
    owner: t.relation('owner', {
      type: User,
      nullable: true,
      authScopes: { permission: 'read:users' },
      description: 'Whose it is; null when nobody’s.',
    }),
    starterMessages: t.relation('starterMessages', {
      type: StarterMessage,
      listSize: 5,
      description: 'The questions that the agent suggests, in order: at most 50.',
      query: { orderBy: { position: 'asc' }, take: 50 },
    }),
    labels: t.relation('labels', {
      type: Label,
      listSize: 5,
      description: 'The labels of the agent: at most 100.',
      query: { orderBy: { id: 'asc' }, take: 100 },
    }),
    actions: t.relation('actions', {
      type: Action,
      nullable: true,
      authScopes: { permission: 'read:actions' },
      listSize: 5,
      description: 'The actions that the agent can take in a turn: at most 100.',
      query: { orderBy: { id: 'asc' }, take: 100 },
    }),
    documents: t.field({
      type: DocumentConnection,
      nullable: true,
      authScopes: { permission: 'read:search' },
      description: 'The documents of the agent that the caller may read, by `databaseId`.',
      args: {
        ...pageArgs(t.arg),
        filesIncluded: t.arg.boolean({
          required: true,
          defaultValue: true,
          description: 'Whether the list includes documents that hold the text of an uploaded file. Defaults to true.',
        }),
      },
      select: ({ filesIncluded, ...args }, { principal, pageLimit }, nested) => {
        const listed = { AND: [visible.documents(signedIn(principal)), filesIncluded ? {} : { fileId: null }] };
        const { where, ...page } = documentsById.page(args, pageLimit);
        return {
          documents: nestedNodes(nested, 'Document', documentsById, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { documents: { where: listed } } },
        };
      },
      resolve: (agent, args, { pageLimit }) => {
        const page = cut(agent.documents, documentsById.page(args, pageLimit));
        return connection(documentsById, page, args, async () => agent._count.documents);
      },
    }),
    pinnedDocuments: t.field({
      type: DocumentConnection,
      nullable: true,
      authScopes: { permission: 'read:search' },
      description:
        'The documents of the agent that every turn receives in full and that the caller may read, by `databaseId`.',
      args: pageArgs(t.arg),
      select: (args, { principal, pageLimit }, nested) => {
        const listed = visible.documents(signedIn(principal));
        const { where, ...page } = documentsById.page(args, pageLimit);
        return {
          pinnedDocuments: nestedNodes(nested, 'Document', documentsById, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { pinnedDocuments: { where: listed } } },
        };
      },
      resolve: (agent, args, { pageLimit }) => {
        const page = cut(agent.pinnedDocuments, documentsById.page(args, pageLimit));
        return connection(documentsById, page, args, async () => agent._count.pinnedDocuments);
      },
    }),
    administratorCount: t.int({
      nullable: true,
      authScopes: { permission: 'read:users' },
      description: 'The number of active people who administer the server, and so this agent too.',
      resolve: (_agent, _args, context) => administratorCount(context),
    }),
    shares: t.field({
      type: AgentShareConnection,
      nullable: true,
      authScopes: { permission: 'write:agents' },
      description: 'The people that the agent is shared with. Empty for a caller who does not own it.',
      args: pageArgs(t.arg),
      select: (args, { principal, pageLimit }, nested) => {
        const listed = { agent: visible.ownedAgents(signedIn(principal)), user: { embed: null } };
        const { where, ...page } = agentShareOrder.page(args, pageLimit);
        return {
          shares: nestedNodes(nested, 'AgentShare', agentShareOrder, { ...page, where: { AND: [listed, where] } }),
          _count: { select: { shares: { where: listed } } },
        };
      },
      resolve: (agent, args, { pageLimit }) => {
        const page = cut(agent.shares, agentShareOrder.page(args, pageLimit));
        return connection(agentShareOrder, page, args, async () => agent._count.shares);
      },
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
const LabelEdge = builder.edgeObject({
  type: Label,
  name: 'LabelEdge',
  description: 'A label and its cursor in a list.',
});
const LabelConnection = builder.connectionObject(
  { type: Label, name: 'LabelConnection', description: 'A page of a list of labels.' },
  LabelEdge,
);

const AgentFilterInput = builder.inputType('AgentFilter', {
  description: 'Which agents a list holds.',
  fields: (t) => ({
    includeDeleted: t.boolean({ description: 'Also one’s own deleted ones; for `manage:agents`, all of them.' }),
    editable: t.boolean({ description: 'Only those that the caller may change.' }),
    includeBuiltin: t.boolean({ description: 'Whether the built-in agent is among them; true unless given.' }),
    ids: t.idList({ description: 'Selects the agents with these global or integer IDs.' }),
  }),
});

const StarterMessageInput = builder.inputType('StarterMessageInput', {
  description: 'A question that an agent suggests.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The short form to show; at most 200 characters.' }),
    message: t.string({ required: true, description: 'The message to send; at most 2,000 characters.' }),
  }),
});

const AgentShareInput = builder.inputType('AgentShareInput', {
  description: 'A person to share an agent with.',
  fields: (t) => ({
    userId: t.id({ required: true, description: 'The person, by global ID or UUID.' }),
    permission: t.field({
      type: SharePermission,
      description: 'What they may do. Unless given it stays as it was; VIEWER for somebody new.',
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
  description: t.string({ description: 'What it is for; at most 2,000 characters.' }),
  systemPrompt: t.string({
    description:
      'Its standing instructions; at most 100,000 characters. A new agent has those of the server’s preferences unless given.',
  }),
  taskPrompt: t.string({ description: 'What is said to the model behind every question; at most 100,000 characters.' }),
  replaceBaseSystemPrompt: t.boolean({ description: 'Whether the system prompt replaces the server’s own.' }),
  datetimeAware: t.boolean({ description: 'Whether the model is told the time.' }),
  isPublic: t.boolean({ description: 'Whether everybody may use it. The owner’s to change.' }),
  isFeatured: t.boolean({ description: 'Whether it is featured; needs `manage:agents`.' }),
  displayPriority: t.int({ description: 'Its place in lists, lowest first; needs `manage:agents`.' }),
  iconName: t.string({ description: 'The name of its icon; at most 100 characters.' }),
  knowledge: t.field({ type: KnowledgeScope, description: 'Which documents it searches; ALL unless given.' }),
  searchStartDate: t.field({ type: 'DateTime', description: 'It finds no document older than this.' }),
  passageLimit: t.int({ description: 'How many passages a turn finds at most: 1 to 100, 8 unless given.' }),
  similarityThreshold: t.float({
    description: 'The least score of a passage that it is given: 0 to 1, 0 unless given.',
  }),
  model: t.string({ description: 'The model that answers: one of `models`. Defaults to the server’s own.' }),
  modelIfAvailable: t.string({
    description:
      'The same, but a model that the server does not have stands for the server’s own. `model` goes before it.',
  }),
  temperature: t.float({ description: 'The sampling temperature, 0 to 2. Defaults to the model’s own.' }),
  historyLimit: t.int({
    description: 'Maximum number of earlier messages that the model receives, 0 to 1,000. Defaults to as many as fit.',
  }),
  chatMode: t.field({ type: ChatModeType, description: 'When it answers; AUTOMATIC unless given.' }),
  refusalText: t.string({
    description:
      'The answer in the mode QUERY when no document matches; at most 2,000 characters. Defaults to a sentence of the server.',
  }),
  starterMessages: t.field({
    type: [StarterMessageInput],
    description: 'What it suggests to ask, in order; at most 50.',
  }),
  labelIds: t.idList({ description: 'The labels of the agent, by global or integer ID; at most 100.' }),
  actionIds: t.idList({
    description:
      'The actions of the agent, by global or integer ID; at most 100. Without the search action, the agent does not search documents.',
  }),
  builtinActions: t.stringList({
    description: 'The keys of actions that come with the server, such as `SearchTool`, beside those of `actionIds`.',
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
    description: 'Whether its owner may have another of the same name. Their slugs differ all the same.',
  }),
});

const CreateAgentInput = builder.inputType('CreateAgentInput', {
  description: 'What a new agent is to be.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: '1 to 255 characters; unique among one’s own unless `allowSameName`.',
    }),
    ...agentFields(t),
    usualPrompt: t.string({
      description:
        'The instructions it has where neither `systemPrompt` nor the server’s preferences say any; at most 100,000 characters.',
    }),
  }),
});

const clearAgent = clearField('ClearableAgentField', {
  displayPriority: 'Moves the agent to the end of lists.',
  iconName: 'Leaves the agent without an icon.',
  searchStartDate: 'Lets the agent find documents of any age.',
  model: 'Goes back to the server’s own model.',
  temperature: 'Goes back to the model’s own temperature.',
  historyLimit: 'Gives the model as many earlier messages as fit.',
  refusalText: 'Goes back to the server’s own sentence.',
});

const UpdateAgentInput = builder.inputType('UpdateAgentInput', {
  description:
    'Input for `updateAgent`. A field that is null or absent stays unchanged. A list replaces the entries that the caller can read; entries that the caller cannot read are kept.',
  fields: (t) => ({
    ...agentLocator(t),
    name: t.string({ description: '1 to 255 characters; unique among the owner’s unless `allowSameName`.' }),
    ...agentFields(t),
    clear: clearAgent(t),
  }),
});

const ShareAgentInput = builder.inputType('ShareAgentInput', {
  description:
    'Input for `shareAgent`. A field that is null or absent stays unchanged; an empty list empties its field.',
  fields: (t) => ({
    ...agentLocator(t),
    shares: t.field({ type: [AgentShareInput], description: 'All the people it is shared with from now on.' }),
    isPublic: t.boolean({ description: 'Whether everybody may use it.' }),
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
    isListed: t.boolean({ description: 'Whether lists show it to those who cannot edit it.' }),
    isFeatured: t.boolean({ description: 'Whether it is featured.' }),
    displayPriority: t.int({ description: 'The position of the agent in lists, lowest first.' }),
    clear: clearCuration(t),
  }),
});

const DeleteAgentInput = builder.inputType('DeleteAgentInput', {
  description: 'Input for `deleteAgent`.',
  fields: agentLocator,
});
const UndeleteAgentInput = builder.inputType('UndeleteAgentInput', {
  description: 'Input for `undeleteAgent`.',
  fields: agentLocator,
});

const CreateLabelInput = builder.inputType('CreateLabelInput', {
  description: 'A new label.',
  fields: (t) => ({ name: t.string({ required: true, description: '1 to 100 characters, unique.' }) }),
});

/** Returns the payload type of a mutation that changes an agent. */
export const agentPayload = (mutation: string) =>
  builder.objectRef<AgentRow>(`${mutation[0]?.toUpperCase()}${mutation.slice(1)}Payload`).implement({
    description: `Result of \`${mutation}\`.`,
    fields: (t) => ({
      agent: t.field({ type: Agent, description: 'The agent after the change.', resolve: (agent) => agent }),
    }),
  });

const CreateAgentPayload = builder.objectRef<AgentRow>('CreateAgentPayload').implement({
  description: 'Result of `createAgent`.',
  fields: (t) => ({
    agent: t.field({ type: Agent, description: 'The created agent.', resolve: (agent) => agent }),
    agentEdge: t.field({
      type: AgentEdge,
      description: 'The created agent with its cursor, for clients that add it to a list.',
      resolve: (agent) => edge(agentOrder, agent),
    }),
  }),
});
const UpdateAgentPayload = agentPayload('updateAgent');
const ShareAgentPayload = agentPayload('shareAgent');
const CurateAgentPayload = agentPayload('curateAgent');
const UndeleteAgentPayload = agentPayload('undeleteAgent');

const DeleteAgentPayload = builder.objectRef<AgentRow>('DeleteAgentPayload').implement({
  description: 'Result of `deleteAgent`.',
  fields: (t) => ({
    agent: t.field({ type: Agent, description: 'The deleted agent.', resolve: (agent) => agent }),
    deletedAgentId: t.id({
      description: 'The global ID of the deleted agent.',
      resolve: ({ id }) => globalId('Agent', id),
    }),
  }),
});

const LabelPayload = builder.objectRef<LabelRow>('CreateLabelPayload').implement({
  description: 'Result of `createLabel`.',
  fields: (t) => ({
    label: t.field({ type: Label, description: 'The created label.', resolve: (label) => label }),
    labelEdge: t.field({
      type: LabelEdge,
      description: 'The created label with its cursor, for clients that add it to a list.',
      resolve: (label) => edge(labelOrder, label),
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
  const page = await agents.list(principal, filter, args, context.pageLimit, nodeQuery(context, info));
  return connection(agentOrder, page, args, () => agents.count(principal, filter));
}

builder.queryFields((t) => ({
  agents: t.field({
    type: AgentConnection,
    authScopes: { permission: 'read:agents' },
    description: 'The agents that the caller may see, by display priority, then id.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: AgentFilterInput, description: 'Which of them.' }) },
    resolve: (_root, { filter, ...args }, context, info) => agentList(args, filter ?? {}, context, info),
  }),
  allAgents: t.field({
    type: AgentConnection,
    authScopes: { permission: 'manage:agents' },
    description: 'Every agent, whoever’s it is, by display priority, then id.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: AgentFilterInput, description: 'Which of them.' }) },
    resolve: (_root, { filter, ...args }, context, info) => agentList(args, filter ?? {}, context, info),
  }),
  agent: t.prismaField({
    type: Agent,
    authScopes: { permission: 'read:agents' },
    description: 'Returns an agent. NOT_FOUND when there is none that the caller can see.',
    args: { id: t.arg.id({ required: true, description: 'The agent, by its global ID or its integer `databaseId`.' }) },
    resolve: (query, _root, { id }, { principal, services }) =>
      services.agents.find(signedIn(principal), integerId(id, 'Agent', ['id']), query),
  }),
  agentBySlug: t.prismaField({
    type: Agent,
    authScopes: { permission: 'read:agents' },
    description:
      'Returns the agent with this slug. NOT_FOUND when there is none that the caller can see; a deleted agent has no slug.',
    args: { slug: t.arg.string({ required: true, description: 'The slug of the agent.' }) },
    resolve: (query, _root, { slug }, { principal, services }) =>
      services.agents.find(signedIn(principal), slug, query),
  }),
  labels: t.field({
    type: LabelConnection,
    authScopes: { permission: 'write:agents' },
    description: 'All labels, for who is to choose one.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { agents } = context.services;
      const page = await agents.listLabels(args, context.pageLimit, nodeQuery(context, info));
      return connection(labelOrder, page, args, agents.countLabels);
    },
  }),
}));

builder.mutationFields((t) => ({
  createAgent: t.field({
    type: CreateAgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Creates an agent of one’s own.',
    args: { input: t.arg({ type: CreateAgentInput, required: true, description: 'The agent to make.' }) },
    resolve: async (_root, { input }, context) =>
      context.services.agents.create(signedIn(context.principal), await withDatabaseIds(input, context)),
  }),
  updateAgent: t.field({
    type: UpdateAgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Changes an agent: the owner, an editor it is shared with, or `manage:agents`.',
    args: { input: t.arg({ type: UpdateAgentInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { agent, ...change } }, context) =>
      context.services.agents.update(
        signedIn(context.principal),
        agentKey(agent),
        await withDatabaseIds(change, context),
      ),
  }),
  shareAgent: t.field({
    type: ShareAgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Says who may use an agent: the owner, or `manage:agents`.',
    args: { input: t.arg({ type: ShareAgentInput, required: true, description: 'Who.' }) },
    resolve: (_root, { input: { agent, shares, labelIds, ...change } }, { principal, services }) =>
      services.agents.share(signedIn(principal), agentKey(agent), {
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
    description: 'Says how lists show an agent.',
    args: { input: t.arg({ type: CurateAgentInput, required: true, description: 'How.' }) },
    resolve: (_root, { input: { agent, ...change } }, { services }) => services.agents.curate(agentKey(agent), change),
  }),
  deleteAgent: t.field({
    type: DeleteAgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Hides an agent until it is undeleted: the owner, or `manage:agents`. Its chats stay.',
    args: { input: t.arg({ type: DeleteAgentInput, required: true, description: 'The agent to delete.' }) },
    resolve: (_root, { input: { agent } }, { principal, services }) =>
      services.agents.delete(signedIn(principal), agentKey(agent)),
  }),
  undeleteAgent: t.field({
    type: UndeleteAgentPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Brings a deleted agent back.',
    args: { input: t.arg({ type: UndeleteAgentInput, required: true, description: 'The agent to restore.' }) },
    resolve: (_root, { input: { agent } }, { services }) => services.agents.undelete(agentKey(agent)),
  }),
  createLabel: t.field({
    type: LabelPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Makes a label that agents can carry.',
    args: { input: t.arg({ type: CreateLabelInput, required: true, description: 'The label to make.' }) },
    resolve: (_root, { input }, { services }) => services.agents.createLabel(input),
  }),
}));
