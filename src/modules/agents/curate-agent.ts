import { notFound, parse } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import type { AgentDeps } from './agent-deps.ts';
import { CurateAgent, type CurateAgentInput } from './agent-input.ts';
import { type AgentKey, agentAt } from './by-slug.ts';

export const agentCuration = ({ db }: AgentDeps) => ({
  /**
   * Sets what only administrators can change: whether lists contain the agent, whether it is featured, and its
   * position.
   */
  async curate(key: AgentKey, input: CurateAgentInput): Promise<Agent> {
    const data = changesOf(parse(CurateAgent, input));
    const where = { ...agentAt(key), deletedAt: null };
    const [agent] = await db.prisma.agent.updateManyAndReturn({ where, data });
    if (!agent) throw notFound('AGENT_NOT_FOUND');
    return agent;
  },
});
