import { join } from 'node:path';
import { embeddingModel } from './ai/embeddings.ts';
import { imageModel } from './ai/images.ts';
import { chatModels } from './ai/providers.ts';
import type { Log } from './log.ts';
import { createActionsService } from './modules/agents/actions.service.ts';
import { createAgentsService } from './modules/agents/agents.service.ts';
import { createMembersService } from './modules/agents/members.service.ts';
import { createAuditService } from './modules/audit/audit.service.ts';
import { createBranchesService } from './modules/chat/branches.service.ts';
import { createChatService } from './modules/chat/chat.service.ts';
import { createContextService } from './modules/chat/context.service.ts';
import { createChatExportService } from './modules/chat/export.service.ts';
import { createFeedbackService } from './modules/chat/feedback.service.ts';
import { byAnyName } from './modules/chat/overrides.ts';
import { createRunReaders } from './modules/chat/readers.ts';
import { createChatRetentionService } from './modules/chat/retention.service.ts';
import { createRuns } from './modules/chat/runs.ts';
import { createSeedService } from './modules/chat/seed.service.ts';
import { createTurnService } from './modules/chat/turn.ts';
import { createTurnQueue } from './modules/chat/turn-queue.ts';
import { createExtractor } from './modules/files/extract/extractor.ts';
import { createFilesService } from './modules/files/files.service.ts';
import { createCompletionsService } from './modules/gateway/completions.service.ts';
import { createEmbeddingsService } from './modules/gateway/embeddings.service.ts';
import { createImagesService } from './modules/gateway/images.service.ts';
import { createCompletionModelsService } from './modules/gateway/models.service.ts';
import { createHistoryService } from './modules/history/history.service.ts';
import { createIdempotencyService } from './modules/idempotency/idempotency.service.ts';
import { createAgentDocumentsService } from './modules/knowledge/agent-documents.service.ts';
import { createEmbedder } from './modules/knowledge/embedding-indexer.ts';
import { createFoldersService } from './modules/knowledge/folders.service.ts';
import { createIntakeService } from './modules/knowledge/intake.service.ts';
import { createKnowledgeService } from './modules/knowledge/knowledge.service.ts';
import { createLimitsService } from './modules/limits/limits.service.ts';
import { createUsageService } from './modules/limits/usage.service.ts';
import { createProjectsService } from './modules/projects/projects.service.ts';
import { createRelatedService } from './modules/related.service.ts';
import { createSettingsService } from './modules/settings/settings.service.ts';
import { createAuthenticator } from './modules/tokens/authenticate.ts';
import { createTokensService } from './modules/tokens/tokens.service.ts';
import { createUserCredentialsService } from './modules/tokens/user-credentials.service.ts';
import { createAccountsService } from './modules/users/accounts.service.ts';
import { createInviteCodesService } from './modules/users/invite-codes.service.ts';
import { attemptCounters, createLoginThrottle } from './modules/users/login-throttle.ts';
import { createSessionsService } from './modules/users/sessions.service.ts';
import { createSingleUserService } from './modules/users/single-user.service.ts';
import { createUsersService } from './modules/users/users.service.ts';
import { createVisitorsService } from './modules/widgets/visitors.service.ts';
import { createEmbedsService } from './modules/widgets/widgets.service.ts';
import { createScheduler } from './scheduler.ts';
import type { Settings } from './settings.ts';
import type { Background } from './store/background.ts';
import { folderBlobs } from './store/blobs.ts';
import type { Database } from './store/database.ts';
import type { SharedState } from './store/shared/shared-state.ts';

/** The dependencies of the services. */
export interface Foundation {
  settings: Settings;
  db: Database;
  log: Log;
  background: Background;
  shared: SharedState;
  /** Returns the URL of this server without a trailing slash; final once the port is open. */
  publicUrl: () => string;
}

/** Creates the services, one per domain. They take principals and depend on neither GraphQL nor HTTP. */
export function createServices({ settings, db, log, background, shared, publicUrl }: Foundation) {
  const { revocations } = shared;
  const audit = createAuditService(db, background, log);
  const users = createUsersService();
  const embeddings = embeddingModel(settings.embeddings);
  const embedder = embeddings && createEmbedder({ db, model: embeddings, background, log });
  const knowledge = createKnowledgeService(db, audit, embedder);
  const files = createFilesService({
    db,
    audit,
    blobs: folderBlobs(join(settings.dataDir, 'files')),
    extractor: createExtractor({ log }),
    knowledge,
    background,
    settings,
    log,
  });
  const folders = createFoldersService(db, audit);
  const intake = createIntakeService({ knowledge, files, settings });
  const runs = createRuns(db, log, background);
  const usage = createUsageService(db);
  const limits = createLimitsService({ db, audit, usage, log, shared });
  const models = byAnyName(chatModels(settings.model));
  const chat = createChatService({ db, knowledge, runs, models });
  const attempts = createLoginThrottle(attemptCounters(shared.counters));
  const sessions = createSessionsService({ db, audit, users, revocations, attempts, settings });
  const credentials = createAuthenticator(db, audit, background);
  const readers = createRunReaders(db, knowledge, runs, revocations);
  const queue = createTurnQueue({ runs, revocations, waitMs: settings.turnMs });
  const generation = { db, knowledge, files, runs, limits, usage, settings, log, revocations, models };
  const turns = createTurnService({ ...generation, queue });
  const chatRetention = createChatRetentionService(db, log, settings);
  const idempotency = createIdempotencyService(db, shared.locks);
  return {
    audit,
    background,
    scheduler: createScheduler({ claims: shared.jobs, background, log }),
    /** The jobs of all services. */
    jobs: [...audit.jobs(settings), ...chatRetention.jobs, ...idempotency.jobs, ...files.jobs],
    turnQueue: queue,
    revocations,
    users,
    accounts: createAccountsService({ db, audit, users, revocations }),
    inviteCodes: createInviteCodesService({ db, audit, users, revocations, attempts }),
    serverSettings: createSettingsService({ db, audit, settings }),
    history: createHistoryService(db, audit, chat.references),
    sessions,
    singleUser: createSingleUserService({ db, audit, users, sessions, revocations, attempts, settings }),
    credentials,
    idempotency,
    tokens: createTokensService({ db, audit, users, revocations }),
    userCredentials: createUserCredentialsService({ db, audit, revocations }),
    projects: createProjectsService(db, audit, users, revocations),
    actions: createActionsService(db),
    agents: createAgentsService({ db, models }),
    agentDocuments: createAgentDocumentsService(db),
    members: createMembersService(db),
    knowledge,
    folders,
    intake,
    embedder,
    embeddings,
    files,
    models,
    runs,
    usage,
    limits,
    chat,
    chatRetention,
    chatExports: createChatExportService(db, chat.references),
    context: createContextService(db, models),
    seeds: createSeedService({ db, models, webUrl: () => settings.webUrl ?? publicUrl() }),
    branches: createBranchesService(db),
    feedback: createFeedbackService(db),
    related: createRelatedService(db),
    completionModels: createCompletionModelsService(db),
    completions: createCompletionsService(generation),
    textEmbeddings: createEmbeddingsService(embeddings, limits, usage),
    images: createImagesService(imageModel(settings.images), limits, usage),
    readers,
    turns,
    embeds: createEmbedsService({ db, audit, users, revocations, settings }),
    visitors: createVisitorsService({
      db,
      credentials,
      limits,
      chat,
      turns,
      queue,
      readers,
      revocations,
      models,
      settings,
      publicUrl,
    }),
  };
}

export type Services = ReturnType<typeof createServices>;
