import type { ChatModels } from '../../ai/providers.ts';
import type { Database } from '../../store/database.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { Runs } from './runs.ts';

/** What the use cases of chat sessions need. */
export interface ChatDeps {
  db: Database;
  knowledge: KnowledgeService;
  runs: Runs;
  models: ChatModels;
}
