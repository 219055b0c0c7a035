import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { type AgentKey, usableAgent } from '../agents/by-slug.ts';

export const completionModelOrder = new ListOrder('completionModels', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** Selects usable agents, without unlisted agents that the principal cannot edit. */
const listed = (principal: Principal): Prisma.AgentWhereInput => ({
  AND: [visible.usableAgents(principal), { OR: [{ isListed: true }, visible.editableAgents(principal)] }],
});

/** Creates the service that presents agents as OpenAI models, named by their slugs. */
export function createCompletionModelsService(db: Database) {
  return {
    async list(principal: Principal, args: PageArgs, limit: number, query: object) {
      const page = completionModelOrder.page(args, limit);
      const rows = await db.prisma.agent.findMany({
        ...query,
        ...page,
        where: { AND: [listed(principal), page.where] },
      });
      return cut(rows, page);
    },

    count: (principal: Principal) => db.prisma.agent.count({ where: listed(principal) }),

    /** Throws NOT_FOUND for an agent that the principal cannot use. */
    async find(principal: Principal, key: AgentKey, query: object = {}): Promise<Agent> {
      const { id } = await usableAgent(db.prisma, principal, key);
      const agent = await db.prisma.agent.findUnique({ ...query, where: { id } });
      if (!agent) throw notFound('AGENT_NOT_FOUND');
      return agent;
    },
  };
}
