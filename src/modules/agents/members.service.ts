import { z } from 'zod';
import { confinedKinds } from '../../authz/credentials.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { denied, notFound, parse } from '../../errors.ts';
import type { Agent, AgentShare, Prisma } from '../../generated/prisma/client.ts';
import { cut, type PageArgs, type PageOf } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { UserKey } from '../users/user-key.ts';
import { agentShareOrder } from './agent-lists.ts';
import { type AgentKey, agentAt, agentToChange } from './by-slug.ts';
import { setShares } from './share-agent.ts';

const Change = z.object({ userIds: z.array(z.unknown()).max(1000), replace: z.boolean() });

/**
 * Creates the service for the members of an agent, for callers with `manage:users` and `manage:agents`: the fields
 * require both.
 */
export function createMembersService(db: Database) {
  /** Returns the filter for the members of an agent. Throws NOT_FOUND. */
  async function membersOf(key: AgentKey): Promise<Prisma.AgentShareWhereInput> {
    const agent = await db.prisma.agent.findFirst({
      where: { ...agentAt(key), deletedAt: null },
      select: { id: true },
    });
    if (!agent) throw notFound('AGENT_NOT_FOUND');
    return { agentId: agent.id, user: { embed: null } };
  }

  return {
    /** Returns a page of the members of an agent. Throws NOT_FOUND, BAD_USER_INPUT. */
    async list(key: AgentKey, args: PageArgs, limit: number, query: object = {}): Promise<PageOf<AgentShare>> {
      const page = agentShareOrder.page(args, limit);
      const where = { AND: [await membersOf(key), page.where] };
      return cut(await db.prisma.agentShare.findMany({ ...query, ...page, where }), page);
    },

    /** Returns the number of members of an agent. Throws NOT_FOUND. */
    async count(key: AgentKey): Promise<number> {
      return db.prisma.agentShare.count({ where: await membersOf(key) });
    },

    /**
     * Restricts an agent to its owner and its members, and adds members or, with `replace`, replaces them. New members
     * become viewers. Unknown IDs are ignored; if all are unknown, the agent does not change. `found` is the number of
     * known users. Throws NOT_FOUND, FORBIDDEN (also for a built-in agent), BAD_USER_INPUT.
     */
    change(
      principal: Principal,
      key: AgentKey,
      { users: keys, replace: given }: { users: UserKey[]; replace: boolean },
    ): Promise<{ agent: Agent; found: number }> {
      const { replace } = parse(Change, { userIds: keys, replace: given });
      const numbers = keys.flatMap((key) => ('number' in key ? key.number : []));
      const ids = keys.flatMap((key) => ('id' in key ? key.id : []));
      return db.prisma.$transaction(async (transaction) => {
        const agent = await agentToChange(transaction, principal, key, visible.ownedAgents(principal));
        if (agent.isBuiltin)
          throw denied('AGENT_BUILT_IN', 'A built-in agent is available to all users and cannot be shared.');
        const users = await transaction.user.findMany({
          // The service accounts of project tokens and chat widgets cannot be members.
          where: {
            OR: [{ databaseId: { in: numbers } }, { id: { in: ids } }],
            tokens: { none: { kind: { in: confinedKinds } } },
          },
          select: { id: true },
        });
        const empties = replace && keys.length === 0;
        if (users.length === 0 && !empties) return { agent, found: 0 };
        const shares = users.map(({ id }) => ({ userId: id }));
        if (replace) await setShares(transaction, agent.id, shares);
        else
          await transaction.agentShare.createMany({
            data: shares.map((share) => ({ ...share, agentId: agent.id })),
            skipDuplicates: true,
          });
        const changed = await transaction.agent.update({ where: { id: agent.id }, data: { isPublic: false } });
        return { agent: changed, found: users.length };
      });
    },
  };
}
