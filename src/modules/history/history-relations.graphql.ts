import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { Agent } from '../agents/agents.graphql.ts';
import { ChatMessage } from '../chat/messages.graphql.ts';
import { agentOf, ChatSession, messageOf, sessionOf } from '../chat/sessions.graphql.ts';
import { SearchHit } from '../knowledge/knowledge.graphql.ts';
import type { Hit } from '../knowledge/retrieval.ts';
import { User } from '../users/users.graphql.ts';
import { QueryHistoryEntry } from './history-entry.graphql.ts';

/** The related rows that the fields of an answer need. */
const session = { session: { select: { databaseId: true, clientKey: true } } } as const;
const agent = {
  session: { select: { agent: { select: { id: true, name: true, slug: true, deletedAt: true } } } },
} as const;

/** Returns stored passages. They are JSON, in which a date is text. */
const storedHits = (passages: unknown): Hit[] =>
  (passages as (Omit<Hit, 'updatedAt'> & { updatedAt: string | null })[]).map((hit) => ({
    ...hit,
    updatedAt: hit.updatedAt === null ? null : new Date(hit.updatedAt),
  }));

builder.prismaObjectFields(QueryHistoryEntry, (t) => ({
  message: t.field({
    type: ChatMessage,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'The answer as a message; null when the caller cannot read its session.',
    select: { id: true },
    resolve: ({ id }, _args, context, info) => messageOf(id, context, info),
  }),
  session: t.field({
    type: ChatSession,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description: 'The session of question and answer; null when the caller cannot read it.',
    select: { sessionId: true },
    resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
  }),
  sessionDatabaseId: t.int({
    description: 'The integer ID of the session that the AnythingLLM paths use.',
    select: session,
    resolve: (entry) => entry.session.databaseId,
  }),
  clientKey: t.string({
    nullable: true,
    description:
      'The key of the session on the AnythingLLM paths: empty for the own chat of a user with an agent, `session:` and the ID that a client chose, or `embed:` and the ID of a visitor; null for a thread.',
    select: session,
    resolve: (entry) => entry.session.clientKey,
  }),
  agent: t.field({
    type: Agent,
    nullable: true,
    authScopes: { permission: 'read:agents' },
    description: 'The agent that answered; null when it was deleted or the caller cannot see it.',
    select: { session: { select: { agentId: true } } },
    resolve: (entry, _args, context, info) => agentOf(entry.session.agentId, context, info),
  }),
  agentId: t.int({
    description: 'The integer `databaseId` of the agent, which the caller may not be able to see.',
    select: agent,
    resolve: (entry) => entry.session.agent.id,
  }),
  agentName: t.string({
    nullable: true,
    description: 'The name of the agent; null when it was deleted.',
    select: agent,
    resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.name),
  }),
  agentSlug: t.string({
    nullable: true,
    description: 'The slug of the agent; null when it was deleted.',
    select: agent,
    resolve: (entry) => (entry.session.agent.deletedAt ? null : entry.session.agent.slug),
  }),
  user: t.field({
    type: User,
    description: 'The owner of the session.',
    select: (_args, _context, nested) => ({ session: { select: { user: nested() } } }),
    resolve: (entry) => entry.session.user,
  }),
  passages: t.field({
    type: [SearchHit],
    listSize: 10,
    description: 'The passages that the model received for the answer and that the caller can read.',
    resolve: async (entry, _args, { principal, services }) =>
      storedHits((await services.chat.references(signedIn(principal), entry)).passages),
  }),
}));
