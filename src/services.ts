import { createAuditService } from './modules/audit/audit.service.ts';
import { createHistoryService } from './modules/history/history.service.ts';
import { createIdempotencyService } from './modules/idempotency/idempotency.service.ts';
import { createRelatedService } from './modules/related.service.ts';
import { createSettingsService } from './modules/settings/settings.service.ts';
import { createScheduler } from './scheduler.ts';
import { createAccountServices } from './services/accounts.ts';
import { createAgentServices } from './services/agents.ts';
import { createChatServices } from './services/chat.ts';
import type { Foundation } from './services/foundation.ts';
import { createGatewayServices } from './services/gateway.ts';
import { createKnowledgeServices } from './services/knowledge.ts';
import { createLimitServices } from './services/limits.ts';
import { createModels } from './services/models.ts';
import { createWidgetServices } from './services/widgets.ts';

/** Creates the services, one per domain. They take principals and depend on neither GraphQL nor HTTP. */
export function createServices(foundation: Foundation) {
  const { settings, db, log, background, shared } = foundation;
  const audit = createAuditService(db, background, log);
  const models = createModels(foundation);
  const accounts = createAccountServices(foundation, audit);
  const knowledge = createKnowledgeServices(foundation, audit, models);
  const limits = createLimitServices(foundation, audit);
  const chat = createChatServices(foundation, models, knowledge, limits);
  const idempotency = createIdempotencyService(db, shared.locks);
  return {
    audit,
    background,
    scheduler: createScheduler({ claims: shared.jobs, background, log }),
    /** The jobs of all services. */
    jobs: [...audit.jobs(settings), ...chat.chatRetention.jobs, ...idempotency.jobs, ...knowledge.files.jobs],
    revocations: shared.revocations,
    idempotency,
    serverSettings: createSettingsService({ db, audit, settings }),
    history: createHistoryService(db, audit, chat.chat.references),
    related: createRelatedService(db),
    models: models.chat,
    embeddings: models.embedding,
    ...accounts,
    ...createAgentServices(foundation, audit, accounts, models),
    ...knowledge,
    ...limits,
    ...chat,
    ...createGatewayServices(foundation, models, { ...knowledge, ...chat }, limits),
    ...createWidgetServices(foundation, audit, models, { ...accounts, ...limits, ...chat }),
  };
}

export type { Foundation };
export type Services = ReturnType<typeof createServices>;
