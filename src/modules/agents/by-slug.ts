import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { forbidden, notFound } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { plainText } from '../../zod-types.ts';

/** An agent by its integer ID or by its slug. */
export type AgentKey = number | string;

type Agents = Pick<Prisma.TransactionClient, 'agent'>;

/** No slug contains a text that PostgreSQL cannot store. */
const storable = plainText(1000);

export const agentAt = (key: AgentKey): Prisma.AgentWhereInput =>
  typeof key === 'string' ? { slug: storable.safeParse(key).success ? key : { in: [] } } : { id: key };

/** Returns the agent with this ID or slug if the principal can chat with it. Throws NOT_FOUND. */
export async function usableAgent(db: Agents, principal: Principal, key: AgentKey): Promise<Agent> {
  const agent = await db.agent.findFirst({ where: { AND: [visible.usableAgents(principal), agentAt(key)] } });
  if (!agent) throw notFound('AGENT_NOT_FOUND');
  return agent;
}

/** Returns the agent with this slug if the principal can chat with it. Throws NOT_FOUND. */
export const agentBySlug = (db: Agents, principal: Principal, slug: string): Promise<Agent> =>
  usableAgent(db, principal, slug);

/**
 * Returns an agent that `rule` allows the principal to change. Throws NOT_FOUND for an agent that the principal cannot
 * see, and FORBIDDEN for one that it can see but not change.
 */
export async function agentToChange(
  db: Agents,
  principal: Principal,
  key: AgentKey,
  rule: Prisma.AgentWhereInput,
): Promise<Agent> {
  const agent = await usableAgent(db, principal, key);
  const allowed = await db.agent.count({ where: { AND: [rule, { id: agent.id }] } });
  if (allowed === 0) throw forbidden(['manage:agents'], 'You cannot change this agent.');
  return agent;
}
