import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageRequest } from '../../paging.ts';
import type { AgentDeps } from './agent-deps.ts';
import { type AgentKey, agentAt } from './by-slug.ts';

export interface AgentFilter {
  includeDeleted?: boolean | null | undefined;
  /** Selects agents that the caller can edit. */
  editable?: boolean | null | undefined;
  /** Includes the built-in agent. Defaults to true. */
  includeBuiltin?: boolean | null | undefined;
  databaseIds?: readonly number[] | null | undefined;
}

export const agentOrder = new ListOrder('agents', [
  { field: 'displayPriority', type: 'int', direction: 'asc', nullable: true },
  { field: 'id', type: 'int', direction: 'asc' },
]);
/** The order of the agents of a document. */
export const agentsById = new ListOrder('documentAgents', [{ field: 'id', type: 'int', direction: 'asc' }]);
export const agentShareOrder = new ListOrder('agentShares', [{ field: 'userId', type: 'uuid', direction: 'asc' }]);
/**
 * Selects the agents of a list: visible ones, without unlisted agents of others and, by default, without deleted ones.
 */
function listed(principal: Principal, filter: AgentFilter): Prisma.AgentWhereInput {
  const all = can(principal, 'manage:agents');
  return {
    AND: [
      filter.editable ? visible.editableAgents(principal) : visible.agents(principal),
      all || filter.editable ? {} : { OR: [{ isListed: true }, visible.editableAgents(principal)] },
      // Deleted agents are listed for principals that could have deleted them.
      filter.includeDeleted
        ? all
          ? {}
          : { OR: [{ deletedAt: null }, visible.ownedAgents(principal)] }
        : { deletedAt: null },
      filter.includeBuiltin === false ? { isBuiltin: false } : {},
      filter.databaseIds ? { id: { in: [...filter.databaseIds] } } : {},
    ],
  };
}

export const agentLists = ({ db }: AgentDeps) => ({
  /**
   * Returns an agent. Deleted agents are found with `manage:agents` only, and not by slug, which was released. Throws
   * NOT_FOUND.
   */
  async find(principal: Principal, key: AgentKey, query: object = {}): Promise<Agent> {
    const deleted = typeof key === 'number' && can(principal, 'manage:agents');
    const agent = await db.prisma.agent.findFirst({
      ...query,
      where: { AND: [visible.agents(principal), agentAt(key), deleted ? {} : { deletedAt: null }] },
    });
    if (!agent) throw notFound('AGENT_NOT_FOUND');
    return agent;
  },

  async list(principal: Principal, filter: AgentFilter, { args, limit, query }: PageRequest) {
    const page = agentOrder.page(args, limit);
    const rows = await db.prisma.agent.findMany({
      ...query,
      ...page,
      where: { AND: [listed(principal, filter), page.where] },
    });
    return cut(rows, page);
  },

  count: (principal: Principal, filter: AgentFilter) => db.prisma.agent.count({ where: listed(principal, filter) }),
});
