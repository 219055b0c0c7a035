import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';

/** The agent of that slug, if the principal may chat with it. Throws NOT_FOUND. */
export async function agentBySlug(
  db: Pick<Prisma.TransactionClient, 'agent'>,
  principal: Principal,
  slug: string,
): Promise<Agent> {
  const agent = slug.includes('\0')
    ? null
    : await db.agent.findFirst({ where: { AND: [visible.usableAgents(principal), { slug }] } });
  if (!agent) throw notFound('Agent');
  return agent;
}
