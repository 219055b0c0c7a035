import type { GraphQLResolveInfo } from 'graphql';
import type { Context } from '../../context.ts';
import type { Agent as AgentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import type { PageArgs } from '../../paging.ts';
import { userId, userIdDescription } from '../users/users.graphql.ts';
import { agentShareOrder } from './agent-lists.ts';
import { AgentShareConnection } from './agent-relations.graphql.ts';
import { Agent, AgentLocatorInput, agentKey, agentLocator } from './agents.graphql.ts';
import type { AgentKey } from './by-slug.ts';

async function memberList(key: AgentKey, args: PageArgs, context: Context, info: GraphQLResolveInfo) {
  const { members } = context.services;
  const page = await members.list(key, args, context.pageLimit, nodeQuery(context, info));
  return connection(agentShareOrder, page, args, () => members.count(key));
}

const ChangeAgentMembersInput = builder.inputType('ChangeAgentMembersInput', {
  description: 'Input for the mutation `changeAgentMembers`.',
  fields: (t) => ({
    ...agentLocator(t),
    userIds: t.idList({
      required: true,
      description: `The users, ${userIdDescription}; at most 1,000. Unknown IDs are ignored.`,
    }),
    replace: t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Whether the users replace the current members; an empty list then removes all members. Defaults to false.',
    }),
  }),
});

const ChangeAgentMembersPayload = builder
  .objectRef<{ agent: AgentRow; found: number }>('ChangeAgentMembersPayload')
  .implement({
    description: 'Result of the mutation `changeAgentMembers`.',
    fields: (t) => ({
      agent: t.field({ type: Agent, description: 'The agent after the change.', resolve: ({ agent }) => agent }),
      foundCount: t.exposeInt('found', {
        description: 'The number of known users among the IDs. If it is 0, nothing changed.',
      }),
      members: t.field({
        type: AgentShareConnection,
        description: 'The people that the agent is shared with after the change.',
        args: pageArgs(t.arg),
        resolve: ({ agent }, args, context, info) => memberList(agent.id, args, context, info),
      }),
    }),
  });

builder.queryField('agentMembers', (t) =>
  t.field({
    type: AgentShareConnection,
    authScopes: { permissions: ['manage:users', 'manage:agents'] },
    description: 'The people that an agent is shared with.',
    args: {
      ...pageArgs(t.arg),
      agent: t.arg({ type: AgentLocatorInput, required: true, description: 'The agent, by its ID or by its slug.' }),
    },
    resolve: (_root, { agent, ...args }, context, info) => memberList(agentKey(agent, ['agent']), args, context, info),
  }),
);

builder.mutationField('changeAgentMembers', (t) =>
  t.withAuth({ permissions: ['manage:users', 'manage:agents'] }).field({
    type: ChangeAgentMembersPayload,
    changesCredentials: false,
    description: 'Restricts an agent to its owner and its members, and adds or replaces the members.',
    args: { input: t.arg({ type: ChangeAgentMembersInput, required: true, description: 'The agent and the users.' }) },
    resolve: (_root, { input: { agent, userIds, replace } }, { principal, services }) =>
      services.members.change(principal, agentKey(agent), {
        users: userIds.map((id, index) => userId(id, ['input', 'userIds', index])),
        replace,
      }),
  }),
);
