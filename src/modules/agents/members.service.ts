import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { forbidden, notFound, parse } from '../../errors.ts';
import type { Agent, AgentShare } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../input.ts';
import { setShares } from './agents.service.ts';
import { type AgentKey, agentAt, agentToChange } from './by-slug.ts';

const Change = z.object({ userDatabaseIds: z.array(databaseId).max(1000), replace: z.boolean().default(false) });

/** Who uses an agent, as administrators say. Everything needs `manage:agents`, whosever the agent is. */
export function membersService(db: Database) {
  return {
    /** The people that an agent is shared with, by their integer ids. Throws NOT_FOUND, FORBIDDEN. */
    async list(principal: Principal, key: AgentKey, query: object = {}): Promise<AgentShare[]> {
      demand(principal, 'manage:agents');
      const agent = await db.prisma.agent.findFirst({
        where: { ...agentAt(key), deletedAt: null },
        select: { id: true },
      });
      if (!agent) throw notFound('Agent');
      return db.prisma.agentShare.findMany({
        ...query,
        where: { agentId: agent.id, user: { embed: null } },
        orderBy: { user: { databaseId: 'asc' } },
      });
    },

    /**
     * Makes an agent private to its owner and its members, and users its members: beside those that it has or, with
     * `replace`, instead of them. Who is new becomes a viewer. Ids that nobody has are passed over; where only such are
     * given, nothing changes. `found` is how many users the ids are of. Throws NOT_FOUND, FORBIDDEN, also for a built-in
     * agent, BAD_USER_INPUT.
     */
    change(
      principal: Principal,
      key: AgentKey,
      input: z.input<typeof Change>,
    ): Promise<{ agent: Agent; found: number }> {
      demand(principal, 'manage:agents');
      const { userDatabaseIds, replace } = parse(Change, input);
      return db.prisma.$transaction(async (transaction) => {
        const agent = await agentToChange(transaction, principal, key, visible.ownedAgents(principal));
        if (agent.isBuiltin) throw forbidden([], 'A built-in agent is everybody’s.');
        const users = await transaction.user.findMany({
          // What a token acts as within a project, or for visitors of a page, is nobody to share with.
          where: { databaseId: { in: userDatabaseIds }, tokens: { none: { kind: { in: ['PROJECT', 'EMBED'] } } } },
          select: { id: true },
        });
        const empties = replace && userDatabaseIds.length === 0;
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
