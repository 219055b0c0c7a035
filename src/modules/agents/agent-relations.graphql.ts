import { can, signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Context } from '../../context.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { cut } from '../../paging.ts';
import { User } from '../users/users.graphql.ts';
import { Action } from './actions.graphql.ts';
import { agentShareOrder } from './agent-lists.ts';
import { agentOperations, agentPermission } from './agent-permissions.ts';
import { Agent, SharePermission } from './agents.graphql.ts';
import { Label } from './labels.graphql.ts';

const AgentPermission = builder.enumType('AgentPermission', {
  description: 'The relation of the caller to an agent.',
  values: {
    OWNER: { description: 'The caller owns the agent or manages all agents.' },
    EDITOR: { description: 'The caller can change the agent.' },
    VIEWER: { description: 'The caller can use the agent.' },
  },
});

const AgentOperationType = builder.enumType('AgentOperation', {
  description: 'An operation on an agent.',
  values: {
    EDIT: { description: 'Change the settings of the agent.' },
    SHARE: { description: 'Change the people who can use the agent.' },
    DELETE: { description: 'Delete or restore the agent.' },
    CURATE: { description: 'Change how lists show the agent.' },
  },
});

const StarterMessage = builder.prismaObject('StarterMessage', {
  description: 'A question that an agent suggests.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The short form to display.' }),
    message: t.exposeString('message', { description: 'The message that a client sends.' }),
  }),
});

const AgentShare = builder.prismaObject('AgentShare', {
  description:
    'A person with whom an agent is shared. It has no ID and is not a `Node`: its agent and its person identify it, and mutations replace or extend the whole list.',
  fields: (t) => ({
    permission: t.expose('permission', { type: SharePermission, description: 'The permission of the person.' }),
    user: t.relation('user', { type: User, description: 'The person with whom the agent is shared.' }),
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

builder.prismaObjectFields(Agent, (t) => ({
  viewerPermission: t.field({
    type: AgentPermission,
    description: 'The relation of the caller to the agent.',
    select: ownShare,
    resolve: (agent, _args, { principal }) => agentPermission(signedIn(principal), agent, agent.shares[0]?.permission),
  }),
  viewerCan: t.field({
    type: [AgentOperationType],
    description: 'The operations that the credential permits on the agent.',
    select: ownShare,
    resolve: (agent, _args, { principal }) => agentOperations(signedIn(principal), agent, agent.shares[0]?.permission),
  }),
  ownerId: t.expose('ownerId', {
    type: 'UUID',
    nullable: true,
    description: 'The UUID of the owner, for callers that cannot read users; null without an owner.',
  }),
  ownerEmail: t.string({
    nullable: true,
    description:
      'The e-mail address of the owner; empty unless the caller is the owner or manages agents, and null without an owner.',
    select: { owner: { select: { id: true, email: true } } },
    resolve: ({ owner }, _args, { principal }) =>
      owner && (owner.id === principal?.userId || can(principal, 'manage:agents') ? owner.email : ''),
  }),
  owner: t.relation('owner', {
    type: User,
    nullable: true,
    authScopes: { permission: 'read:users' },
    description: 'The owner of the agent; null without an owner.',
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
  administratorCount: t.int({
    nullable: true,
    authScopes: { permission: 'read:users' },
    description: 'The number of active administrators of the server, who can also change the agent.',
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
}));
