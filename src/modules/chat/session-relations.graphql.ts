import { builder } from '../../graphql/builder.ts';
import { connection, nestedNodes, pageArgs } from '../../graphql/connection.ts';
import { orderInput } from '../../graphql/order.ts';
import { permissionUnless } from '../../graphql/plugins/permissions.ts';
import { cut } from '../../paging.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { seesProject } from '../projects/project-access.ts';
import { Project } from '../projects/projects.graphql.ts';
import { User, userOf } from '../users/users.graphql.ts';
import { ChatMessage, ChatMessageConnection } from './messages.graphql.ts';
import { ChatRun } from './run.graphql.ts';
import { chatMessageOrders } from './session-lists.ts';
import { agentOf, ChatSession } from './sessions.graphql.ts';

const ChatMessageOrder = orderInput('ChatMessage', chatMessageOrders, {
  CREATED_AT: 'The time at which the message was created.',
});

builder.prismaObjectFields(ChatSession, (t) => ({
  agent: t.field({
    type: Agent,
    nullable: true,
    authScopes: { permission: 'read:agents' },
    description: 'The agent of the session; null when it was deleted or the caller cannot see it.',
    select: { agentId: true },
    resolve: ({ agentId }, _args, context, info) => agentOf(agentId, context, info),
  }),
  agentName: t.string({
    description: 'The name of the agent, for callers without `read:agents` and for deleted agents.',
    select: { agent: { select: { name: true } } },
    resolve: ({ agent }) => agent.name,
  }),
  agentIconName: t.string({
    nullable: true,
    description: 'The name of the icon of the agent; null when the agent has no icon.',
    select: { agent: { select: { iconName: true } } },
    resolve: ({ agent }) => agent.iconName,
  }),
  agentIsFeatured: t.boolean({
    description: 'True when the agent of the session is featured.',
    select: { agent: { select: { isFeatured: true } } },
    resolve: ({ agent }) => agent.isFeatured,
  }),
  owner: t.field({
    type: User,
    nullable: true,
    authScopes: permissionUnless<{ userId: string }>(
      'read:users',
      ({ userId }, viewer) => userId === viewer?.userId,
      'except for the owner themselves',
    ),
    description: 'The owner of the session; null when the caller cannot see that user.',
    select: { userId: true },
    resolve: ({ userId }, _args, context, info) => userOf(userId, context, info),
  }),
  ownerName: t.string({
    description: 'The name of the owner, for callers without `read:users`.',
    select: { user: { select: { name: true } } },
    resolve: ({ user }) => user.name,
  }),
  ownerNumber: t.int({
    nullable: true,
    description: 'The integer ID of the owner that the AnythingLLM paths use; null for a service account.',
    select: { user: { select: { databaseId: true, accountType: true } } },
    resolve: ({ user }) => (user.accountType === 'STANDARD' ? user.databaseId : null),
  }),
  project: t.withAuth({ permission: 'write:projects' }).field({
    type: Project,
    nullable: true,
    description: 'The project of the session; null without a project and for a project of another user.',
    select: (_args, _context, nested) => ({ project: nested() }),
    resolve: ({ project }, _args, { principal }) => (project && seesProject(principal, project) ? project : null),
  }),
  currentRun: t.field({
    type: ChatRun,
    nullable: true,
    description: 'The run that is answering in the session; null when no run is active.',
    select: (_args, _context, nested) => ({ runs: nested({ where: { status: 'RUNNING' }, take: 1 }) }),
    resolve: ({ runs }) => runs[0] ?? null,
  }),
}));

builder.prismaObjectField(ChatSession, 'messages', (t) =>
  t.field({
    type: ChatMessageConnection,
    authScopes: { permission: 'read:chat' },
    description: 'All messages of the message tree, including its root.',
    args: {
      ...pageArgs(t.arg),
      orderBy: t.arg({
        type: ChatMessageOrder,
        description: 'Order of the messages. Defaults to the oldest message first.',
      }),
    },
    // Loaded with the sessions, in one statement for all of them.
    select: ({ orderBy, ...args }, { pageLimit }, nested) => {
      const order = chatMessageOrders.of(orderBy);
      return {
        messages: nestedNodes(nested, 'ChatMessage', order, order.page(args, pageLimit)),
        _count: { select: { messages: true } },
      };
    },
    resolve: (session, { orderBy, ...args }, { pageLimit }) => {
      const order = chatMessageOrders.of(orderBy);
      const page = cut(session.messages, order.page(args, pageLimit));
      return connection(order, page, args, async () => session._count.messages);
    },
  }),
);

builder.prismaObjectField(ChatMessage, 'session', (t) =>
  t.relation('session', { type: ChatSession, description: 'The session that contains the message.' }),
);

builder.prismaObjectField(ChatRun, 'session', (t) =>
  t.relation('session', { type: ChatSession, description: 'The session in which the run answers.' }),
);
