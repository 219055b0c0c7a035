import { builder } from '../../graphql/builder.ts';
import { pageArgs } from '../../graphql/connection.ts';
import { relatedConnection } from '../../graphql/related.ts';
import { InviteCode } from '../users/invite-codes.graphql.ts';
import { agentsById } from './agent-lists.ts';
import { AgentConnection } from './agents.graphql.ts';

builder.prismaObjectFields(InviteCode, (t) => ({
  agents: t.withAuth({ permission: 'read:agents' }).field({
    type: AgentConnection,
    nullable: true,
    description:
      'The agents that are shared with the person who uses the code and that the caller can read, by `databaseId`.',
    args: pageArgs(t.arg),
    resolve: ({ agentIds }, args, context, info) => {
      const { related } = context.services;
      const principal = context.principal;
      return relatedConnection(
        context,
        info,
        { ids: agentIds, order: agentsById, args },
        {
          readable: (ids, where) => related.readableAgentIds(principal, ids, where),
          rows: (ids, query) => related.agents(principal, ids, query),
        },
      );
    },
  }),
}));
