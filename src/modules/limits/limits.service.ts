import { createActiveLimits, inMemory, type RequestCounter } from './active-limits.ts';
import { messageAdmission } from './admit-message.ts';
import { requestAdmission } from './admit-request.ts';
import { limitCreation } from './create-limit.ts';
import { limitDeletion } from './delete-limit.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitLists } from './limit-lists.ts';
import { tokenBudgets } from './token-budgets.ts';
import { limitUpdates } from './update-limit.ts';

export interface LimitsServiceDeps extends Omit<LimitDeps, 'active'> {
  /** Creates the counter of a limit on requests. Defaults to a counter in memory. */
  newCounter?: (requestsPerMinute: number) => RequestCounter;
}

/** Limits on requests and model tokens. Each use case is a file of its own. */
export function createLimitsService({ newCounter = inMemory, ...deps }: LimitsServiceDeps) {
  const active = createActiveLimits(deps.db, newCounter);
  return {
    load: active.load,
    ...limitCreation({ ...deps, active }),
    ...limitUpdates({ ...deps, active }),
    ...limitDeletion({ ...deps, active }),
    ...limitLists(deps),
    ...requestAdmission({ ...deps, active }),
    ...messageAdmission(deps),
    ...tokenBudgets({ ...deps, active }),
  };
}

export type LimitsService = ReturnType<typeof createLimitsService>;
