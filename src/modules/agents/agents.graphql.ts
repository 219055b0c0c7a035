import type { GraphQLResolveInfo } from 'graphql';
import { can, signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { badInput } from '../../errors.ts';
import type { Agent as AgentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nestedNodes, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { referenceDescription, referencedId } from '../../graphql/reference.ts';
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

const Label = builder.prismaObject('Label', {
  description: 'A word by which agents are grouped.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id.' }),
    name: t.exposeString('name', { description: 'The word.' }),
  }),
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

/** One statement for a request, however many agents it asks about. */
function administratorCount(context: Context): Promise<number> {
  const count =
    administratorCounts.get(context) ?? context.services.accounts.countAllUsers({ roles: ['ADMIN'], active: true });
  administratorCounts.set(context, count);
  return count;
}

/** What says what the caller is to an agent. */
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

export const AgentConnection = builder.connectionObject(
  { type: Agent, name: 'AgentConnection', description: 'A page of agents.' },
  { name: 'AgentEdge', description: 'An agent and its place in the list.' },
);
const LabelConnection = builder.connectionObject(
  { type: Label, name: 'LabelConnection', description: 'A page of labels.' },
  { name: 'LabelEdge', description: 'A label and its place in the list.' },
);

const AgentFilterInput = builder.inputType('AgentFilter', {
  description: 'Which agents a list holds.',
  fields: (t) => ({
    includeDeleted: t.boolean({ description: 'Also one’s own deleted ones; for `manage:agents`, all of them.' }),
    editable: t.boolean({ description: 'Only those that the caller may change.' }),
    includeBuiltin: t.boolean({ description: 'Whether the built-in agent is among them; true unless given.' }),
    databaseIds: t.intList({ description: 'Only these.' }),
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
    userId: t.field({ type: 'UUID', required: true, description: 'The person.' }),
    permission: t.field({
      type: SharePermission,
      description: 'What they may do. Unless given it stays as it was; VIEWER for somebody new.',
    }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

/** The fields by which an input names an agent. */
export const agentReference = (t: InputFields) => ({
  id: t.globalID({ description: 'The global id. Exactly one of `id`, `databaseId` and `slug` is given.' }),
  databaseId: t.int({ description: referenceDescription.databaseId }),
  slug: t.string({ description: 'The name in URLs.' }),
});

type Reference = Parameters<typeof referencedId>[0] & { slug?: string | null | undefined };

/** The agent that an input means. Throws BAD_USER_INPUT when it names none, several, or something else. */
export function agentKey({ slug, ...ids }: Reference): AgentKey {
  if (slug == null) return referencedId(ids, 'Agent');
  if (ids.id != null || ids.databaseId != null)
    throw badInput(['input', 'slug'], 'cannot stand beside id or databaseId');
  return slug;
}

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
  labelIds: t.intList({ description: 'The ids of its labels.' }),
  actionIds: t.intList({
    description: 'The ids of its actions. Without the search action it answers from the model alone.',
  }),
  builtinActions: t.stringList({
    description: 'The keys of actions that come with the server, such as `SearchTool`, beside those of `actionIds`.',
  }),
  documentIds: t.stringList({ description: 'The ids of its own documents.' }),
  fileIds: t.field({
    type: ['UUID'],
    description:
      'Files that each of its chats knows, at most 100: one’s own, and those that it has already. Whoever may use it reads them.',
  }),
  userIds: t.field({
    type: ['UUID'],
    description: 'All the people it is shared with; somebody new is a viewer. The owner’s to change.',
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
    'Input for `updateAgent`. A field that is null or absent stays unchanged; an empty list empties its field.',
  fields: (t) => ({
    ...agentReference(t),
    name: t.string({ description: '1 to 255 characters; unique among the owner’s unless `allowSameName`.' }),
    ...agentFields(t),
    clear: clearAgent(t),
  }),
});

const ShareAgentInput = builder.inputType('ShareAgentInput', {
  description:
    'Input for `shareAgent`. A field that is null or absent stays unchanged; an empty list empties its field.',
  fields: (t) => ({
    ...agentReference(t),
    shares: t.field({ type: [AgentShareInput], description: 'All the people it is shared with from now on.' }),
    isPublic: t.boolean({ description: 'Whether everybody may use it.' }),
    labelIds: t.intList({ description: 'The ids of its labels.' }),
  }),
});

const clearCuration = clearField('ClearableCurationField', {
  displayPriority: 'Moves the agent to the end of lists.',
});

const CurateAgentInput = builder.inputType('CurateAgentInput', {
  description: 'Input for `curateAgent`. A field that is null or absent stays unchanged.',
  fields: (t) => ({
    ...agentReference(t),
    isListed: t.boolean({ description: 'Whether lists show it to those who cannot edit it.' }),
    isFeatured: t.boolean({ description: 'Whether it is featured.' }),
    displayPriority: t.int({ description: 'The position of the agent in lists, lowest first.' }),
    clear: clearCuration(t),
  }),
});

const AgentReferenceInput = builder.inputType('AgentReferenceInput', {
  description: 'Which agent.',
  fields: agentReference,
});

const CreateLabelInput = builder.inputType('CreateLabelInput', {
  description: 'A new label.',
  fields: (t) => ({ name: t.string({ required: true, description: '1 to 100 characters, unique.' }) }),
});

export const AgentPayload = builder.objectRef<AgentRow>('AgentPayload').implement({
  description: 'The agent that a mutation made or changed.',
  fields: (t) => ({
    agent: t.field({ type: Agent, description: 'The agent as it is now.', resolve: (agent) => agent }),
  }),
});

const LabelPayload = builder.objectRef<{ id: number; name: string }>('LabelPayload').implement({
  description: 'The label that a mutation made.',
  fields: (t) => ({ label: t.field({ type: Label, description: 'The label.', resolve: (label) => label }) }),
});

async function agentList(args: PageArgs, filter: AgentFilter, context: Context, info: GraphQLResolveInfo) {
  const { agents } = context.services;
  const principal = signedIn(context.principal);
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
    description: 'One agent. NOT_FOUND for what the caller may not see.',
    args: {
      databaseId: t.arg.int({ description: 'The integer id. Exactly one of `databaseId` and `slug` is given.' }),
      slug: t.arg.string({ description: 'The name in URLs. That of a deleted agent finds none.' }),
    },
    resolve: (query, _root, { databaseId, slug }, { principal, services }) => {
      const key = databaseId ?? slug;
      if (key == null || (databaseId != null && slug != null))
        throw badInput(['databaseId'], 'give exactly one of databaseId and slug');
      return services.agents.find(signedIn(principal), key, query);
    },
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
    type: AgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Creates an agent of one’s own.',
    args: { input: t.arg({ type: CreateAgentInput, required: true, description: 'The agent to make.' }) },
    resolve: (_root, { input }, { principal, services }) => services.agents.create(signedIn(principal), input),
  }),
  updateAgent: t.field({
    type: AgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Changes an agent: the owner, an editor it is shared with, or `manage:agents`.',
    args: { input: t.arg({ type: UpdateAgentInput, required: true, description: 'The change.' }) },
    resolve: (_root, { input: { id, databaseId, slug, ...change } }, { principal, services }) =>
      services.agents.update(signedIn(principal), agentKey({ id, databaseId, slug }), change),
  }),
  shareAgent: t.field({
    type: AgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Says who may use an agent: the owner, or `manage:agents`.',
    args: { input: t.arg({ type: ShareAgentInput, required: true, description: 'Who.' }) },
    resolve: (_root, { input: { id, databaseId, slug, ...change } }, { principal, services }) =>
      services.agents.share(signedIn(principal), agentKey({ id, databaseId, slug }), change),
  }),
  curateAgent: t.field({
    type: AgentPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Says how lists show an agent.',
    args: { input: t.arg({ type: CurateAgentInput, required: true, description: 'How.' }) },
    resolve: (_root, { input: { id, databaseId, slug, ...change } }, { services }) =>
      services.agents.curate(agentKey({ id, databaseId, slug }), change),
  }),
  deleteAgent: t.field({
    type: AgentPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Hides an agent until it is undeleted: the owner, or `manage:agents`. Its chats stay.',
    args: { input: t.arg({ type: AgentReferenceInput, required: true, description: 'The agent.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.agents.delete(signedIn(principal), agentKey(input)),
  }),
  undeleteAgent: t.field({
    type: AgentPayload,
    authScopes: { permission: 'manage:agents' },
    description: 'Brings a deleted agent back.',
    args: { input: t.arg({ type: AgentReferenceInput, required: true, description: 'The agent.' }) },
    resolve: (_root, { input }, { services }) => services.agents.undelete(agentKey(input)),
  }),
  createLabel: t.field({
    type: LabelPayload,
    authScopes: { permission: 'write:agents' },
    description: 'Makes a label that agents can carry.',
    args: { input: t.arg({ type: CreateLabelInput, required: true, description: 'The label to make.' }) },
    resolve: (_root, { input }, { services }) => services.agents.createLabel(input),
  }),
}));
