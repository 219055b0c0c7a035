import { join } from 'node:path';
import type { Log } from './log.ts';
import { embeddingModel } from './models/embeddings.ts';
import { imageModel } from './models/images.ts';
import { chatModels } from './models/providers.ts';
import { actionsService } from './modules/agents/actions.service.ts';
import { agentDocumentsService } from './modules/agents/agent-documents.service.ts';
import { agentsService } from './modules/agents/agents.service.ts';
import { membersService } from './modules/agents/members.service.ts';
import { auditService } from './modules/audit/audit.service.ts';
import { branchesService } from './modules/chat/branches.service.ts';
import { chatService } from './modules/chat/chat.service.ts';
import { contextService } from './modules/chat/context.service.ts';
import { chatExportService } from './modules/chat/export.service.ts';
import { feedbackService } from './modules/chat/feedback.service.ts';
import { byAnyName } from './modules/chat/overrides.ts';
import { runReaders } from './modules/chat/readers.ts';
import { createRelatedService } from './modules/chat/related.service.ts';
import { createRuns } from './modules/chat/runs.ts';
import { seedService } from './modules/chat/seed.service.ts';
import { turnService } from './modules/chat/turn.ts';
import { createTurnQueue } from './modules/chat/turn-queue.ts';
import { embedsService } from './modules/embeds/embeds.service.ts';
import { visitorsService } from './modules/embeds/visitors.service.ts';
import { createExtractor } from './modules/files/extract/extractor.ts';
import { filesService } from './modules/files/files.service.ts';
import { completionsService } from './modules/gateway/completions.service.ts';
import { embeddingsService } from './modules/gateway/embeddings.service.ts';
import { imagesService } from './modules/gateway/images.service.ts';
import { completionModelsService } from './modules/gateway/models.service.ts';
import { historyService } from './modules/history/history.service.ts';
import { idempotencyService } from './modules/idempotency/idempotency.service.ts';
import { createEmbedder } from './modules/knowledge/embedder.ts';
import { foldersService } from './modules/knowledge/folders.service.ts';
import { intakeService } from './modules/knowledge/intake.service.ts';
import { knowledgeService } from './modules/knowledge/knowledge.service.ts';
import { limitsService } from './modules/limits/limits.service.ts';
import { usageService } from './modules/limits/usage.service.ts';
import { projectsService } from './modules/projects/projects.service.ts';
import { settingsService } from './modules/settings/settings.service.ts';
import { authenticator } from './modules/tokens/authenticate.ts';
import { tokensService } from './modules/tokens/tokens.service.ts';
import { createUserCredentialsService } from './modules/tokens/user-credentials.service.ts';
import { accountsService } from './modules/users/accounts.service.ts';
import { createAttempts } from './modules/users/attempts.ts';
import { inviteCodesService } from './modules/users/invite-codes.service.ts';
import { sessionsService } from './modules/users/sessions.service.ts';
import { singleUserService } from './modules/users/single-user.service.ts';
import { usersService } from './modules/users/users.service.ts';
import type { Settings } from './settings.ts';
import type { Background } from './store/background.ts';
import { folderBlobs } from './store/blobs.ts';
import type { Database } from './store/database.ts';
import type { Revocations } from './store/revocations.ts';

/** The dependencies of the services. */
export interface Foundation {
  settings: Settings;
  db: Database;
  log: Log;
  background: Background;
  revocations: Revocations;
  /** Returns the URL of this server without a trailing slash; final once the port is open. */
  publicUrl: () => string;
}

/** Creates the services, one per domain. They take principals and depend on neither GraphQL nor HTTP. */
export function createServices({ settings, db, log, background, revocations, publicUrl }: Foundation) {
  const audit = auditService(db, background, log);
  const users = usersService();
  const embeddings = embeddingModel(settings.embeddings);
  const embedder = embeddings && createEmbedder({ db, model: embeddings, background, log });
  const knowledge = knowledgeService(db, audit, embedder);
  const files = filesService({
    db,
    audit,
    blobs: folderBlobs(join(settings.dataDir, 'files')),
    extractor: createExtractor({ log }),
    knowledge,
    background,
    settings,
    log,
  });
  const folders = foldersService(db, audit);
  const intake = intakeService({ knowledge, files, settings });
  const runs = createRuns(db, log, background);
  const usage = usageService(db);
  const limits = limitsService(db, audit, usage, log);
  const models = byAnyName(chatModels(settings.model));
  const chat = chatService({ db, knowledge, runs, models, log });
  const attempts = createAttempts();
  const sessions = sessionsService({ db, audit, users, revocations, attempts, settings });
  const credentials = authenticator(db, audit, background);
  const readers = runReaders(db, knowledge, runs, revocations);
  const queue = createTurnQueue({ runs, revocations, waitMs: settings.turnMs });
  const turns = turnService({
    db,
    knowledge,
    files,
    runs,
    limits,
    usage,
    settings,
    log,
    revocations,
    models,
    queue,
  });
  return {
    audit,
    background,
    revocations,
    users,
    accounts: accountsService({ db, audit, users, revocations }),
    inviteCodes: inviteCodesService({ db, audit, users, revocations, attempts }),
    serverSettings: settingsService({ db, audit, settings }),
    history: historyService(db, audit, chat.references),
    sessions,
    singleUser: singleUserService({ db, audit, users, sessions, revocations, attempts, settings }),
    credentials,
    idempotency: idempotencyService(db),
    tokens: tokensService(db, audit, users, revocations),
    userCredentials: createUserCredentialsService({ db, audit, revocations }),
    projects: projectsService(db, audit, users, revocations),
    actions: actionsService(db),
    agents: agentsService(db, models),
    agentDocuments: agentDocumentsService(db),
    members: membersService(db),
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
    chatExports: chatExportService(db, chat.references),
    context: contextService(db, models),
    seeds: seedService({ db, models, webUrl: () => settings.webUrl ?? publicUrl() }),
    branches: branchesService(db),
    feedback: feedbackService(db),
    related: createRelatedService(db),
    completionModels: completionModelsService(db),
    completions: completionsService({ db, knowledge, files, runs, limits, usage, settings, log, revocations, models }),
    textEmbeddings: embeddingsService(embeddings, limits, usage),
    images: imagesService(imageModel(settings.images), limits, usage),
    readers,
    turns,
    embeds: embedsService({ db, audit, users, revocations, settings }),
    visitors: visitorsService({
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
