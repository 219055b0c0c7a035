import { can, type Principal } from '../authz/principal.ts';
import { visible } from '../authz/visible.ts';
import type {
  Agent,
  ChatMessage,
  ChatSession,
  Document,
  Prisma,
  Project,
  Token,
  User,
} from '../generated/prisma/client.ts';
import type { Database } from '../store/database.ts';

const byId = <Id, Row extends { id: Id }>(rows: Row[]): ReadonlyMap<Id, Row> =>
  new Map(rows.map((row) => [row.id, row]));

/** Selects agents as `node` does: deleted ones only with `manage:agents`. */
const readableAgents = (principal: Principal): Prisma.AgentWhereInput => ({
  AND: [visible.agents(principal), can(principal, 'manage:agents') ? {} : { deletedAt: null }],
});

/**
 * Creates the service for objects that a row refers to by a key and that its reader may not be able to read. Each
 * function takes the keys of a whole list, runs one statement, and omits objects that the principal cannot read. `query`
 * contains further relations to load.
 */
export function createRelatedService({ prisma }: Database) {
  return {
    async agents(principal: Principal, ids: number[], query: object): Promise<ReadonlyMap<number, Agent>> {
      const where = { AND: [readableAgents(principal), { id: { in: ids } }] };
      return byId(await prisma.agent.findMany({ ...query, where }));
    },

    /** Returns the IDs of the agents that match a condition and that `agents` returns. */
    async readableAgentIds(
      principal: Principal,
      ids: number[],
      matching: Prisma.AgentWhereInput,
    ): Promise<ReadonlyMap<number, { id: number }>> {
      const where = { AND: [readableAgents(principal), matching, { id: { in: ids } }] };
      return byId(await prisma.agent.findMany({ where, select: { id: true } }));
    },

    async projects(principal: Principal, ids: number[], query: object): Promise<ReadonlyMap<number, Project>> {
      const where = { AND: [visible.projects(principal), { id: { in: ids } }] };
      return byId(await prisma.project.findMany({ ...query, where }));
    },

    async sessions(principal: Principal, ids: string[], query: object): Promise<ReadonlyMap<string, ChatSession>> {
      const where = { AND: [visible.chatSessions(principal), { id: { in: ids } }] };
      return byId(await prisma.chatSession.findMany({ ...query, where }));
    },

    async messages(principal: Principal, ids: number[], query: object): Promise<ReadonlyMap<number, ChatMessage>> {
      const where = { AND: [visible.chatMessages(principal), { id: { in: ids } }] };
      return byId(await prisma.chatMessage.findMany({ ...query, where }));
    },

    /**
     * Returns messages by IDs from the tree of a session that the caller already reads, which another user may have
     * shared. The caller must check that they belong to that session.
     */
    async messagesOfTree(ids: number[], query: object): Promise<ReadonlyMap<number, ChatMessage>> {
      return byId(await prisma.chatMessage.findMany({ ...query, where: { id: { in: ids } } }));
    },

    async users(principal: Principal, ids: string[], query: object): Promise<ReadonlyMap<string, User>> {
      const where = { AND: [visible.users(principal), { id: { in: ids } }] };
      return byId(await prisma.user.findMany({ ...query, where }));
    },

    /** Omits credentials that are not keys. */
    async apiKeys(ids: number[], query: object): Promise<ReadonlyMap<number, Token>> {
      const where = { AND: [visible.apiKeys(), { id: { in: ids } }] };
      return byId(await prisma.token.findMany({ ...query, where }));
    },

    /** Omits credentials that no longer work. */
    async userCredentials(principal: Principal, ids: number[], query: object): Promise<ReadonlyMap<number, Token>> {
      const where = { AND: [visible.userCredentials(principal), { id: { in: ids } }] };
      return byId(await prisma.token.findMany({ ...query, where }));
    },

    /** Returns documents by the IDs that their clients chose. */
    async documents(principal: Principal, ids: string[], query: object): Promise<ReadonlyMap<string, Document>> {
      const where = { AND: [visible.documents(principal), { externalId: { in: ids } }] };
      const rows = await prisma.document.findMany({ ...query, where });
      return new Map(rows.map((row) => [row.externalId, row]));
    },
  };
}
