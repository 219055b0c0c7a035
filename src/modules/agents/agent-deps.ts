import type { ChatModels } from '../../ai/providers.ts';
import type { Database } from '../../store/database.ts';

/** What the use cases of agents need. */
export interface AgentDeps {
  db: Database;
  models: ChatModels;
}
