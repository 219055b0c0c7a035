import { createActionsService } from '../modules/agents/actions.service.ts';
import { createAgentsService } from '../modules/agents/agents.service.ts';
import { createMembersService } from '../modules/agents/members.service.ts';
import type { AuditService } from '../modules/audit/audit.service.ts';
import { createAgentDocumentsService } from '../modules/knowledge/agent-documents.service.ts';
import { createProjectsService } from '../modules/projects/projects.service.ts';
import type { AccountServices } from './accounts.ts';
import type { Foundation } from './foundation.ts';
import type { Models } from './models.ts';

/** Creates the services for agents, their actions, documents and members, and for projects. */
export const createAgentServices = (
  { db, shared }: Foundation,
  audit: AuditService,
  { users }: AccountServices,
  { chat: models }: Models,
) => ({
  agents: createAgentsService({ db, models }),
  actions: createActionsService(db),
  agentDocuments: createAgentDocumentsService(db),
  members: createMembersService(db),
  projects: createProjectsService({ db, audit, users, revocations: shared.revocations }),
});
