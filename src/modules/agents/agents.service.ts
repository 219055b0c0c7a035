import type { AgentDeps } from './agent-deps.ts';
import { agentLists } from './agent-lists.ts';
import { agentCreation } from './create-agent.ts';
import { agentCuration } from './curate-agent.ts';
import { agentDeletion } from './delete-agent.ts';
import { labels } from './labels.ts';
import { agentSharing } from './share-agent.ts';
import { agentUpdates } from './update-agent.ts';

/** Agents and their labels. Each use case has a separate file. */
export const createAgentsService = (deps: AgentDeps) => ({
  ...agentCreation(deps),
  ...agentUpdates(deps),
  ...agentSharing(deps),
  ...agentDeletion(deps),
  ...agentCuration(deps),
  ...agentLists(deps),
  ...labels(deps),
});
