import { visible } from '../../authz/visible.ts';
import { builder } from '../../graphql/builder.ts';
import { nodeRule, uuidIds } from '../../graphql/nodes.ts';
import { ChatMessage } from './messages.graphql.ts';

const RunStatus = builder.enumType('ChatRunStatus', {
  description: 'The state of a run.',
  values: {
    RUNNING: { description: 'The run is answering.' },
    COMPLETED: { description: 'The run ended with a complete answer.' },
    STOPPED: { description: 'A user stopped the run; the answer so far is kept.' },
    FAILED: { description: 'The run failed; the answer so far is kept.' },
    INTERRUPTED: { description: 'The server stopped during the run; the answer so far is kept.' },
  },
});

/** A run, as opposed to the connection that started it. The subscription `chatRun` streams its events. */
export const ChatRun = builder.prismaNode('Run', {
  variant: 'ChatRun',
  id: { field: 'id', description: 'The global ID of the run, for the subscription `chatRun`.' },
  nullable: true,
  description: 'A run of a model that writes one answer.',
  fields: (t) => ({
    databaseId: t.expose('id', { type: 'UUID', description: 'The UUID of the run.' }),
    status: t.expose('status', { type: RunStatus, description: 'The state of the run.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'The time at which the run started.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the run ended; null while it is answering.',
    }),
    message: t.relation('message', { type: ChatMessage, description: 'The answer that the run writes.' }),
  }),
});

nodeRule('ChatRun', {
  permission: 'read:chat',
  readable: ({ prisma }, principal, ids) =>
    prisma.run.findMany({
      where: { session: visible.chatSessions(principal), id: { in: uuidIds(ids) } },
      select: { id: true },
    }),
});
