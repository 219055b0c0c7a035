import type { AuditService } from '../modules/audit/audit.service.ts';
import { createVisitorsService } from '../modules/widgets/visitors.service.ts';
import { createWidgetsService } from '../modules/widgets/widgets.service.ts';
import type { AccountServices } from './accounts.ts';
import type { ChatServices } from './chat.ts';
import type { Foundation } from './foundation.ts';
import type { LimitServices } from './limits.ts';
import type { Models } from './models.ts';

/** Creates the services for chat widgets and their visitors. */
export function createWidgetServices(
  { settings, db, shared, publicUrl }: Foundation,
  audit: AuditService,
  { chat: models }: Models,
  { users, credentials, limits, chat, turns, turnQueue, readers }: AccountServices & LimitServices & ChatServices,
) {
  const { revocations } = shared;
  return {
    widgets: createWidgetsService({ db, audit, users, revocations, settings }),
    visitors: createVisitorsService({
      db,
      credentials,
      limits,
      chat,
      turns,
      queue: turnQueue,
      readers,
      shared,
      models,
      settings,
      publicUrl,
    }),
  };
}
