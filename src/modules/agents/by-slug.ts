import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { forbidden, notFound } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { plainText } from '../input.ts';

/** How an agent is named: by its integer id, or by its slug. */
export type AgentKey = number | string;

type Agents = Pick<Prisma.TransactionClient, 'agent'>;

/** A text that PostgreSQL could not hold is the slug of none. */
const storable = plainText(1000);

export const agentAt = (key: AgentKey): Prisma.AgentWhereInput =>
  typeof key === 'string' ? { slug: storable.safeParse(key).success ? key : { in: [] } } : { id: key };

/** The agent of that slug, if the principal may chat with it. Throws NOT_FOUND. */
export async function agentBySlug(db: Agents, principal: Principal, slug: string): Promise<Agent> {
  const agent = await db.agent.findFirst({ where: { AND: [visible.usableAgents(principal), agentAt(slug)] } });
  if (!agent) throw notFound('Agent');
  return agent;
}

/**
 * An agent that the principal may change by `rule`. Throws NOT_FOUND for what they cannot see, FORBIDDEN for what they
 * see but may not touch.
 */
export async function agentToChange(
  db: Agents,
  principal: Principal,
  key: AgentKey,
  rule: Prisma.AgentWhereInput,
): Promise<Agent> {
  const agent = await db.agent.findFirst({ where: { AND: [visible.usableAgents(principal), agentAt(key)] } });
  if (!agent) throw notFound('Agent');
  const allowed = await db.agent.count({ where: { AND: [rule, { id: agent.id }] } });
  if (allowed === 0) throw forbidden(['manage:agents'], 'This agent is not yours to change.');
  return agent;
}
