import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { denied, notFound } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import type { AgentDeps } from './agent-deps.ts';
import { checkName } from './agent-rules.ts';
import { underSlug } from './agent-slug.ts';
import { type AgentKey, agentAt, agentToChange } from './by-slug.ts';

export const agentDeletion = ({ db }: AgentDeps) => ({
  /** Soft-deletes an agent and releases its slug. Its chats remain readable. */
  async delete(principal: Principal, key: AgentKey): Promise<Agent> {
    const agent = await agentToChange(db.prisma, principal, key, visible.ownedAgents(principal));
    if (agent.isBuiltin) throw denied('AGENT_BUILT_IN', 'A built-in agent cannot be deleted.');
    const { id } = agent;
    const mark = `-deleted-${id}`;
    return underSlug(agent.slug.endsWith(mark) ? agent.slug : `${agent.slug}${mark}`, (slug) =>
      db.prisma.agent.update({ where: { id, deletedAt: null }, data: { deletedAt: new Date(), slug } }),
    );
  },

  /**
   * Restores an agent; it keeps the slug that deletion gave it. Throws CONFLICT when its owner has another agent with
   * the name.
   */
  async undelete(key: AgentKey): Promise<Agent> {
    return db.prisma.$transaction(async (transaction) => {
      const agent = await transaction.agent.findFirst({ where: { ...agentAt(key), deletedAt: { not: null } } });
      if (!agent) throw notFound('DELETED_AGENT_NOT_FOUND');
      const { id } = agent;
      await checkName(transaction, agent.ownerId, agent.name, id);
      return transaction.agent.update({ where: { id }, data: { deletedAt: null } });
    });
  },
});
