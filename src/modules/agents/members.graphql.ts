import type { GraphQLResolveInfo } from 'graphql';
import { signedIn } from '../../authz/principal.ts';
import type { Context } from '../../context.ts';
import type { Agent as AgentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import type { PageArgs } from '../../paging.ts';
import { Agent, AgentLocatorInput, AgentShareConnection, agentKey, agentLocator } from './agents.graphql.ts';
import { agentShareOrder } from './agents.service.ts';
import type { AgentKey } from './by-slug.ts';

async function memberList(key: AgentKey, args: PageArgs, context: Context, info: GraphQLResolveInfo) {
  const { members } = context.services;
  const page = await members.list(key, args, context.pageLimit, nodeQuery(context, info));
  return connection(agentShareOrder, page, args, () => members.count(key));
}

const ChangeAgentMembersInput = builder.inputType('ChangeAgentMembersInput', {
  description: 'Who uses an agent.',
  fields: (t) => ({
    ...agentLocator(t),
    userDatabaseIds: t.intList({
      required: true,
      description: 'The integer ids of users, at most 1,000. Ids that nobody has are passed over.',
    }),
    replace: t.boolean({
      required: true,
      defaultValue: false,
      description: 'Whether they take the place of its members; an empty list leaves none then.',
    }),
  }),
});

const ChangeAgentMembersPayload = builder
  .objectRef<{ agent: AgentRow; found: number }>('ChangeAgentMembersPayload')
  .implement({
    description: 'What `changeAgentMembers` did.',
    fields: (t) => ({
      agent: t.field({ type: Agent, description: 'The agent as it is now.', resolve: ({ agent }) => agent }),
      foundCount: t.exposeInt('found', { description: 'How many users the ids are of. Where none, nothing changed.' }),
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
  t.field({
    type: ChangeAgentMembersPayload,
    changesCredentials: false,
    authScopes: { permissions: ['manage:users', 'manage:agents'] },
    description: 'Restricts an agent to its owner and its members, and adds or replaces the members.',
    args: { input: t.arg({ type: ChangeAgentMembersInput, required: true, description: 'Who.' }) },
    resolve: (_root, { input: { agent, userDatabaseIds, replace } }, { principal, services }) =>
      services.members.change(signedIn(principal), agentKey(agent), { userDatabaseIds, replace }),
  }),
);
