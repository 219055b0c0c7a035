import type { Principal } from '../../authz/principal.ts';
import type { Budget } from './active-limits.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitReached } from './limit-reached.ts';
import { counted, isOwn, type LimitScope } from './limit-scopes.ts';
import type { UsageWindow } from './usage.service.ts';

/** A limit, in the form shown to the callers it applies to. The usage of other callers is not shown. */
export interface ViewerLimit {
  scope: LimitScope;
  requestsPerMinute: number | null;
  tokenBudget: number | null;
  periodHours: number | null;
  usedTokens: number | null;
  remainingTokens: number | null;
  resetsAt: Date | null;
}

const windowOf = (scope: LimitScope, { tokens, hours }: Budget, principal: Principal): UsageWindow => ({
  subject: counted(scope, principal).subject,
  budget: tokens,
  hours,
});

export const tokenBudgets = ({ active, usage }: Pick<LimitDeps, 'active' | 'usage'>) => ({
  /**
   * Requires that the usage in the period is below every applicable token budget. Throws RATE_LIMITED with the time
   * when enough usage has left the period. Budgets are checked at the start of a turn and count completed turns, so
   * running turns can exceed them. Uses one statement when a budget applies.
   */
  async admitTurn(principal: Principal): Promise<void> {
    const windows: (UsageWindow & { scope: LimitScope })[] = [];
    for (const { scope, budget } of active.applying(principal))
      if (budget) windows.push({ scope, ...windowOf(scope, budget, principal) });
    const uses = await usage.within(windows);
    let last: { scope: LimitScope; until: Date } | null = null;
    for (const [index, { scope }] of windows.entries()) {
      const until = uses[index]?.fullUntil;
      if (until && (!last || until > last.until)) last = { scope, until };
    }
    if (!last) return;
    const { name } = counted(last.scope, principal);
    throw limitReached(last.scope, `You've reached the usage budget for ${name}.`, last.until);
  },

  /** Returns the enabled limits that apply to a caller, the narrowest first, with at most one statement. */
  async applyingTo(principal: Principal): Promise<ViewerLimit[]> {
    const limits = active.applying(principal);
    const own = limits.flatMap(({ id, scope, budget }) =>
      budget && isOwn(scope, principal) ? [{ id, window: windowOf(scope, budget, principal) }] : [],
    );
    const uses = await usage.within(own.map(({ window }) => window));
    return limits.map(({ id, scope, requestsPerMinute, budget }) => {
      const use = uses[own.findIndex((one) => one.id === id)];
      return {
        scope,
        requestsPerMinute,
        tokenBudget: budget?.tokens ?? null,
        periodHours: budget?.hours ?? null,
        usedTokens: use?.tokens ?? null,
        remainingTokens: budget && use ? Math.max(0, budget.tokens - use.tokens) : null,
        resetsAt: use?.fullUntil ?? null,
      };
    });
  },
});
