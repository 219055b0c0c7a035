import type { SharedState } from '../../store/shared/shared-state.ts';
import { createActiveLimits } from './active-limits.ts';
import { messageAdmission } from './admit-message.ts';
import { requestAdmission } from './admit-request.ts';
import { limitCreation } from './create-limit.ts';
import { limitDeletion } from './delete-limit.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitLists } from './limit-lists.ts';
import { tokenBudgets } from './token-budgets.ts';
import { limitUpdates } from './update-limit.ts';

export interface LimitsServiceDeps extends Omit<LimitDeps, 'active' | 'leases'> {
  shared: Pick<SharedState, 'counters' | 'leases' | 'changes'>;
}

/** Limits on requests and model tokens. Each use case has a separate file. */
export function createLimitsService({ shared, ...deps }: LimitsServiceDeps) {
  const active = createActiveLimits(deps.db, shared);
  return {
    load: active.load,
    ...limitCreation({ ...deps, active }),
    ...limitUpdates({ ...deps, active }),
    ...limitDeletion({ ...deps, active }),
    ...limitLists(deps),
    ...requestAdmission({ ...deps, active }),
    ...messageAdmission({ ...deps, leases: shared.leases }),
    ...tokenBudgets({ ...deps, active }),
  };
}

export type LimitsService = ReturnType<typeof createLimitsService>;
