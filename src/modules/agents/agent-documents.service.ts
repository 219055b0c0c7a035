import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { plainText } from '../../zod-types.ts';
import { atLocations, maxAtOnce } from '../knowledge/location.ts';
import { type AgentKey, agentToChange } from './by-slug.ts';

const location = plainText(1000);
const locations = z.array(location).max(maxAtOnce).default([]);
const Change = z.object({ add: locations, remove: locations });
const Pin = z.object({ location, pinned: z.boolean() });

/** Creates the service for the documents of an agent, which are named by their locations. */
export function createAgentDocumentsService(db: Database) {
  /** Returns the documents at these locations that the principal can read. */
  async function readable(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    wanted: readonly string[],
    more: Prisma.DocumentWhereInput = {},
  ): Promise<{ id: number }[]> {
    return transaction.document.findMany({
      where: { AND: [visible.documents(principal), atLocations(wanted), more] },
      select: { id: true },
    });
  }

  return {
    /**
     * Removes documents from an agent, which unpins them, then adds others. Locations without a readable document are
     * ignored. Throws NOT_FOUND, FORBIDDEN for an agent that the principal cannot change, BAD_USER_INPUT.
     */
    change(principal: Principal, key: AgentKey, input: z.input<typeof Change>): Promise<Agent> {
      const { add, remove } = parse(Change, input);
      return db.prisma.$transaction(async (transaction) => {
        const { id } = await agentToChange(transaction, principal, key, visible.editableAgents(principal));
        const removed = await readable(transaction, principal, remove, { agents: { some: { id } } });
        const added = await readable(transaction, principal, add);
        await transaction.agent.update({
          where: { id },
          data: { documents: { disconnect: removed }, pinnedDocuments: { disconnect: removed } },
          select: { id: true },
        });
        return transaction.agent.update({ where: { id }, data: { documents: { connect: added } } });
      });
    },

    /**
     * Sets whether every turn of an agent includes one of its documents in full. Throws NOT_FOUND, also for a document
     * that the agent does not have, FORBIDDEN for an agent that the principal cannot change, BAD_USER_INPUT.
     */
    pin(principal: Principal, key: AgentKey, input: z.input<typeof Pin>): Promise<Agent> {
      const { location: wanted, pinned } = parse(Pin, input);
      return db.prisma.$transaction(async (transaction) => {
        const { id } = await agentToChange(transaction, principal, key, visible.editableAgents(principal));
        const found = await readable(transaction, principal, [wanted], { agents: { some: { id } } });
        if (found.length === 0) throw notFound('Document');
        return transaction.agent.update({
          where: { id },
          data: { pinnedDocuments: pinned ? { connect: found } : { disconnect: found } },
        });
      });
    },
  };
}
