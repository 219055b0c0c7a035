import type { Log } from './log.ts';
import { chatModel } from './models/providers.ts';
import { actionsService } from './modules/agents/actions.service.ts';
import { agentsService } from './modules/agents/agents.service.ts';
import { auditService } from './modules/audit/audit.service.ts';
import { chatService } from './modules/chat/chat.service.ts';
import { createRuns } from './modules/chat/runs.ts';
import { turnService } from './modules/chat/turn.ts';
import { knowledgeService } from './modules/knowledge/knowledge.service.ts';
import { authenticator } from './modules/tokens/authenticate.ts';
import { tokensService } from './modules/tokens/tokens.service.ts';
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
  return {
    audit,
    users,
    authenticate: authenticator(db, audit, background),
    tokens: tokensService(db, audit, users, revocations),
    actions: actionsService(db),
    agents: agentsService(db),
    knowledge,
    runs,
    chat: chatService(db, runs),
    turns: turnService({ db, knowledge, runs, settings, log, revocations, model: chatModel(settings.model) }),
  };
}

export type Services = ReturnType<typeof createServices>;
