import { signedIn } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes } from '../../graphql/connection.ts';
import { cut } from '../../paging.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { Project } from '../projects/projects.graphql.ts';
import { chatSessionOrders } from './session-lists.ts';
import { ChatSessionConnection, sessionListArgs } from './sessions.graphql.ts';

builder.prismaObjectField(Agent, 'chatSessions', (t) =>
  t.field({
    type: ChatSessionConnection,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description:
      'The sessions with the agent that the caller can read, except those that a client created under its own `clientSessionId`.',
    args: sessionListArgs(t.arg),
    // Loaded with the agents, in one statement for all of them.
    select: ({ orderBy, ...args }, { principal, pageLimit }, nested) => {
      const order = chatSessionOrders.of(orderBy);
      const listed = { AND: [visible.chatSessions(signedIn(principal)), { clientKey: null }] };
      const { where, ...page } = order.page(args, pageLimit);
      return {
        chatSessions: nestedNodes(nested, 'ChatSession', order, {
          ...page,
          where: { AND: [listed, where] },
        }),
        _count: { select: { chatSessions: { where: listed } } },
      };
    },
    resolve: (agent, { orderBy, ...args }, { pageLimit }) => {
      const order = chatSessionOrders.of(orderBy);
      const page = cut(agent.chatSessions, order.page(args, pageLimit));
      return connection(order, page, args, async () => agent._count.chatSessions);
    },
  }),
);

builder.prismaObjectField(Project, 'chatSessions', (t) =>
  t.field({
    type: ChatSessionConnection,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'The sessions of the project, including those of its tokens.',
    args: sessionListArgs(t.arg),
    select: ({ orderBy, ...args }, { principal, pageLimit }, nested) => {
      const order = chatSessionOrders.of(orderBy);
      const readable = visible.chatSessions(signedIn(principal));
      const { where, ...page } = order.page(args, pageLimit);
      return {
        chatSessions: nestedNodes(nested, 'ChatSession', order, { ...page, where: { AND: [readable, where] } }),
        _count: { select: { chatSessions: { where: readable } } },
      };
    },
    resolve: (project, { orderBy, ...args }, { pageLimit }) => {
      const order = chatSessionOrders.of(orderBy);
      const page = cut(project.chatSessions, order.page(args, pageLimit));
      return connection(order, page, args, async () => project._count.chatSessions);
    },
  }),
);
