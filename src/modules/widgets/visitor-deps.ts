import type { ChatModels } from '../../ai/providers.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { SharedState } from '../../store/shared/shared-state.ts';
import type { ChatService } from '../chat/chat.service.ts';
import type { RunReaders } from '../chat/readers.ts';
import type { TurnService } from '../chat/turn.ts';
import type { TurnQueue } from '../chat/turn-queue.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { Authenticator } from '../tokens/authenticate.ts';

/** The dependencies of the use cases of visitors. */
export interface VisitorDeps {
  db: Database;
  credentials: Authenticator;
  limits: LimitsService;
  chat: ChatService;
  turns: TurnService;
  queue: TurnQueue;
  readers: RunReaders;
  shared: SharedState;
  models: ChatModels;
  settings: Pick<Settings, 'widgetOrigins'>;
  publicUrl: () => string;
}
