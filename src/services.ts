import type { Log } from './log.ts';
import { chatModels } from './models/providers.ts';
import { actionsService } from './modules/agents/actions.service.ts';
import { agentsService } from './modules/agents/agents.service.ts';
import { auditService } from './modules/audit/audit.service.ts';
import { chatService } from './modules/chat/chat.service.ts';
import { runReaders } from './modules/chat/readers.ts';
import { createRuns } from './modules/chat/runs.ts';
import { turnService } from './modules/chat/turn.ts';
import { idempotencyService } from './modules/idempotency/idempotency.service.ts';
import { knowledgeService } from './modules/knowledge/knowledge.service.ts';
import { limitsService } from './modules/limits/limits.service.ts';
import { usageService } from './modules/limits/usage.service.ts';
import { projectsService } from './modules/projects/projects.service.ts';
import { authenticator } from './modules/tokens/authenticate.ts';
import { tokensService } from './modules/tokens/tokens.service.ts';
import { accountsService } from './modules/users/accounts.service.ts';
import { createAttempts } from './modules/users/attempts.ts';
import { sessionsService } from './modules/users/sessions.service.ts';
import { singleUserService } from './modules/users/single-user.service.ts';
import { usersService } from './modules/users/users.service.ts';
import type { Settings } from './settings.ts';
import type { Background } from './store/background.ts';
import type { Database } from './store/database.ts';
import type { Revocations } from './store/revocations.ts';

/** What the rooms of the house stand on. */
export interface Foundation {
  settings: Settings;
  db: Database;
  log: Log;
  background: Background;
  revocations: Revocations;
}

/** The rules, one service a domain. They know principals, never GraphQL or HTTP. */
export function createServices({ settings, db, log, background, revocations }: Foundation) {
  const audit = auditService(db, background, log);
  const users = usersService();
  const knowledge = knowledgeService(db, audit);
  const runs = createRuns(db, log, background);
  const usage = usageService(db);
  const limits = limitsService(db, audit, usage, log);
  const models = chatModels(settings.model);
  const attempts = createAttempts();
  const sessions = sessionsService({ db, audit, users, revocations, attempts, settings });
  return {
    audit,
    background,
    revocations,
    users,
    accounts: accountsService({ db, audit, users, revocations }),
    sessions,
    singleUser: singleUserService({ db, audit, users, sessions, revocations, attempts, settings }),
    credentials: authenticator(db, audit, background),
    idempotency: idempotencyService(db),
    tokens: tokensService(db, audit, users, revocations),
    projects: projectsService(db, audit, users, revocations),
    actions: actionsService(db),
    agents: agentsService(db),
    knowledge,
    models,
    runs,
    usage,
    limits,
    chat: chatService(db, knowledge, runs),
    readers: runReaders(db, knowledge, runs, revocations),
    turns: turnService({
      db,
      knowledge,
      runs,
      limits,
      usage,
      settings,
      log,
      revocations,
      models,
    }),
  };
}

export type Services = ReturnType<typeof createServices>;
