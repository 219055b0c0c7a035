import { visitorMessages } from './send-visitor-message.ts';
import { visitorAccess } from './visitor-access.ts';
import type { VisitorDeps } from './visitor-deps.ts';
import { visitorHistory } from './visitor-history.ts';

/**
 * Creates the service for visitors of chat widgets, who send messages and read and delete the chat with their own ID.
 * Each call is checked in this order: the widget exists and is enabled, the rate limit of the address, the origin of
 * the page, the chat ID is a UUID, the message is valid, the quotas.
 */
export function createVisitorsService(deps: VisitorDeps) {
  const access = visitorAccess(deps);
  return {
    mayShow: access.mayShow,
    ...visitorMessages(deps, access),
    ...visitorHistory(deps, access),
  };
}

export type VisitorsService = ReturnType<typeof createVisitorsService>;
