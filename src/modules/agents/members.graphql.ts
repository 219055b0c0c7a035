import { signedIn } from '../../authz/principal.ts';
import type { Agent as AgentRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Account } from '../users/accounts.graphql.ts';
import { Agent, AgentShare, agentKey, agentReference } from './agents.graphql.ts';

builder.prismaObjectField(AgentShare, 'account', (t) =>
  t.relation('user', {
    type: Account,
    nullable: true,
    authScopes: { permission: 'manage:users' },
    description: 'The person, as administrators see them.',
  }),
);

const AgentMembersInput = builder.inputType('AgentMembersInput', {
  description: 'Whose members are asked for.',
  fields: agentReference,
});

const ChangeAgentMembersInput = builder.inputType('ChangeAgentMembersInput', {
  description: 'Who uses an agent.',
  fields: (t) => ({
    ...agentReference(t),
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
      members: t.prismaField({
        type: [AgentShare],
        description: 'All the people it is shared with now, by their integer ids.',
        resolve: (query, { agent }, _args, { principal, services }) =>
          services.members.list(signedIn(principal), agent.id, query),
      }),
    }),
  });

builder.queryField('agentMembers', (t) =>
  t.prismaField({
    type: [AgentShare],
    authScopes: { permission: 'manage:users' },
    description:
      'The people whom an agent is shared with, by their integer ids. Needs `manage:agents` beside the next.',
    args: { input: t.arg({ type: AgentMembersInput, required: true, description: 'Which agent.' }) },
    resolve: (query, _root, { input }, { principal, services }) =>
      services.members.list(signedIn(principal), agentKey(input), query),
  }),
);

builder.mutationField('changeAgentMembers', (t) =>
  t.field({
    type: ChangeAgentMembersPayload,
    authScopes: { permission: 'manage:users' },
    description:
      'Makes an agent private to its owner and its members, and says who these are. Needs `manage:agents` beside the next.',
    args: { input: t.arg({ type: ChangeAgentMembersInput, required: true, description: 'Who.' }) },
    resolve: (_root, { input: { userDatabaseIds, replace, ...reference } }, { principal, services }) =>
      services.members.change(signedIn(principal), agentKey(reference), { userDatabaseIds, replace }),
  }),
);
