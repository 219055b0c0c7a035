import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { plainText } from '../../zod-types.ts';
import { type AgentKey, agentToChange } from '../agents/by-slug.ts';
import { type DocumentRef, resolveDocuments, unknownDocument, withIds } from './document-ids.ts';
import { atLocations, maxAtOnce } from './location.ts';

/** A document by its ID or by its location. */
const Key = z.object({ id: z.custom<DocumentRef>().nullish(), location: plainText(1000).nullish() });
const keys = z.array(Key).max(maxAtOnce).default([]);
const Change = z.object({ add: keys, remove: keys });
const Pin = z.object({ document: Key, pinned: z.boolean() });

export type DocumentKey = z.input<typeof Key>;

/** Creates the service for the documents of an agent, which are named by their IDs or by their locations. */
export function createAgentDocumentsService(db: Database) {
  /**
   * Returns the documents with these keys that the principal can read. Ignores locations without such a document.
   * Throws BAD_USER_INPUT, naming the entry, for an ID without one.
   */
  async function readable(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    wanted: readonly z.output<typeof Key>[],
    path: readonly string[],
  ): Promise<{ id: number }[]> {
    const locations = wanted.flatMap(({ location }) => location ?? []);
    const refs = wanted.flatMap(({ id }) => id ?? []);
    const located =
      locations.length > 0
        ? await transaction.document.findMany({
            where: { AND: [visible.documents(principal), atLocations(locations)] },
            select: { id: true },
          })
        : [];
    const resolved = await resolveDocuments(transaction, principal, refs);
    const named = new Set<number>();
    for (const [index, { id: ref }] of wanted.entries()) {
      if (!ref) continue;
      const document = resolved(ref);
      if (!document) throw unknownDocument(['input', ...path, index, 'id']);
      named.add(document.id);
    }
    return [...located, ...[...named].map((id) => ({ id }))];
  }

  return {
    /**
     * Removes documents from an agent, which unpins them, then adds others. Locations without a readable document are
     * ignored. Throws NOT_FOUND, FORBIDDEN for an agent that the principal cannot change, BAD_USER_INPUT, also for the
     * ID of a document that the principal cannot read.
     */
    change(principal: Principal, key: AgentKey, input: z.input<typeof Change>): Promise<Agent> {
      const { add, remove } = parse(Change, input);
      return db.prisma.$transaction(async (transaction) => {
        const { id } = await agentToChange(transaction, principal, key, visible.editableAgents(principal));
        const removed = await readable(transaction, principal, remove, ['remove']);
        const added = await readable(transaction, principal, add, ['add']);
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
      const { document, pinned } = parse(Pin, input);
      return db.prisma.$transaction(async (transaction) => {
        const { id } = await agentToChange(transaction, principal, key, visible.editableAgents(principal));
        const matching = document.id ? withIds([document.id]) : atLocations([document.location ?? '']);
        const found = await transaction.document.findFirst({
          where: { AND: [visible.documents(principal), matching, { agents: { some: { id } } }] },
          select: { id: true },
        });
        if (!found) throw notFound('DOCUMENT_NOT_FOUND');
        return transaction.agent.update({
          where: { id },
          data: { pinnedDocuments: pinned ? { connect: found } : { disconnect: found } },
        });
      });
    },
  };
}
