import { createBranchesService } from '../modules/chat/branches.service.ts';
import { createChatService } from '../modules/chat/chat.service.ts';
import { createContextService } from '../modules/chat/context.service.ts';
import { createChatExportService } from '../modules/chat/export.service.ts';
import { createFeedbackService } from '../modules/chat/feedback.service.ts';
import { createRunReaders } from '../modules/chat/readers.ts';
import { createChatRetentionService } from '../modules/chat/retention.service.ts';
import { createRuns } from '../modules/chat/runs.ts';
import { createSeedService } from '../modules/chat/seed.service.ts';
import { createTurnService } from '../modules/chat/turn.ts';
import { createTurnQueue } from '../modules/chat/turn-queue.ts';
import type { Foundation } from './foundation.ts';
import type { KnowledgeServices } from './knowledge.ts';
import type { LimitServices } from './limits.ts';
import type { Models } from './models.ts';

/** Creates the services for chat sessions, their messages and running turns. */
export function createChatServices(
  { settings, db, log, background, metrics, shared, publicUrl }: Foundation,
  { chat: models }: Models,
  { knowledge, files }: KnowledgeServices,
  { limits, usage }: LimitServices,
) {
  const runs = createRuns({ db, log, background, registry: shared.createRuns() });
  const chat = createChatService({ db, knowledge, runs, models });
  const queue = createTurnQueue({ runs, shared, waitMs: settings.turnMs });
  return {
    runs,
    chat,
    turnQueue: queue,
    turns: createTurnService({
      db,
      knowledge,
      files,
      runs,
      limits,
      usage,
      settings,
      log,
      metrics,
      shared,
      models,
      queue,
    }),
    readers: createRunReaders(db, knowledge, runs, shared.revocations),
    chatRetention: createChatRetentionService(db, log, settings),
    chatExports: createChatExportService(db, chat.references),
    context: createContextService(db, models),
    seeds: createSeedService({ db, models, webUrl: () => settings.webUrl ?? publicUrl() }),
    branches: createBranchesService(db),
    feedback: createFeedbackService(db),
  };
}
export type ChatServices = ReturnType<typeof createChatServices>;
