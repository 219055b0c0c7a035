import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { cut } from '../../paging.ts';
import { chatSessionOrder } from '../chat/chat.service.ts';
import { ChatSessionConnection } from '../chat/sessions.graphql.ts';
import { Agent } from './agents.graphql.ts';

builder.prismaObjectField(Agent, 'chatSessions', (t) =>
  t.field({
    type: ChatSessionConnection,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description:
      'The chats with the agent that the caller can read, most recently used first, without those that a client names by a key.',
    args: pageArgs(t.arg),
    // Loaded with the agents, in one statement for all of them.
    select: (args, { principal, pageLimit }, nested) => {
      const listed = { AND: [visible.chatSessions(signedIn(principal)), { clientKey: null }] };
      const { where, ...page } = chatSessionOrder.page(args, pageLimit);
      return {
        chatSessions: nestedNodes(nested, 'ChatSession', chatSessionOrder, {
          ...page,
          where: { AND: [listed, where] },
        }),
        _count: { select: { chatSessions: { where: listed } } },
      };
    },
    resolve: (agent, args, { pageLimit }) => {
      const page = cut(agent.chatSessions, chatSessionOrder.page(args, pageLimit));
      return connection(chatSessionOrder, page, args, async () => agent._count.chatSessions);
    },
  }),
);
