import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { parse } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import type { AgentDeps } from './agent-deps.ts';
import { type AgentShareInput, ShareAgent, type ShareAgentInput } from './agent-input.ts';
import { checkReferences } from './agent-rules.ts';
import { type AgentKey, agentToChange } from './by-slug.ts';

/**
 * Replaces the shares of an agent. A person without a new permission keeps the current one; a new person becomes a
 * viewer. The service accounts of chat widgets keep theirs.
 */
export async function setShares(transaction: Prisma.TransactionClient, agentId: number, shares: AgentShareInput[]) {
  const before = await transaction.agentShare.findMany({ where: { agentId } });
  const held = new Map(before.map(({ userId, permission }) => [userId, permission]));
  await transaction.agentShare.deleteMany({ where: { agentId, user: { embed: null } } });
  await transaction.agentShare.createMany({
    data: shares.map(({ userId, permission }) => ({
      agentId,
      userId,
      permission: permission ?? held.get(userId.toLowerCase()) ?? 'VIEWER',
    })),
    skipDuplicates: true,
  });
}

export const agentSharing = ({ db }: AgentDeps) => ({
  /** Replaces the given ones of: the people that an agent is shared with, its labels, whether it is public. */
  async share(principal: Principal, key: AgentKey, input: ShareAgentInput): Promise<Agent> {
    const { shares, isPublic, labelIds } = changesOf(parse(ShareAgent, input));
    return db.prisma.$transaction(async (transaction) => {
      const { id } = await agentToChange(transaction, principal, key, visible.ownedAgents(principal));
      const references = {
        ...(shares && { userIds: shares.map((share) => share.userId) }),
        ...(labelIds && { labelIds }),
      };
      await checkReferences(transaction, principal, references, id);
      if (shares) await setShares(transaction, id, shares);
      return transaction.agent.update({
        where: { id },
        data: {
          ...(isPublic !== undefined && { isPublic }),
          ...(labelIds && { labels: { set: labelIds.map((labelId) => ({ id: labelId })) } }),
        },
      });
    });
  },
});
