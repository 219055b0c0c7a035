import type { Principal } from '../../authz/principal.ts';
import type { Database } from '../../store/database.ts';
import type { Counter } from '../../store/shared/counters.ts';
import type { SharedState } from '../../store/shared/shared-state.ts';
import { keyOf, keysOf, type LimitScope } from './limit-scopes.ts';

/** Counts the requests of one minute. */
export type RequestCounter = Pick<Counter, 'points' | 'consume' | 'reward'>;

/** A token budget and its period. */
export interface Budget {
  tokens: number;
  hours: number;
}

/** An enabled limit in memory. */
export interface ActiveLimit {
  id: number;
  scope: LimitScope;
  requestsPerMinute: number | null;
  requests: RequestCounter | null;
  budget: Budget | null;
}

/** The topic under which changed limits are announced. */
const topic = 'limits';

/** Holds the enabled limits in memory, so that a request is admitted without a database query. */
export function createActiveLimits(db: Database, { counters, changes }: Pick<SharedState, 'counters' | 'changes'>) {
  let active = new Map<string, ActiveLimit[]>();
  let countsRequests = false;
  let loading = Promise.resolve();

  /** Returns the counter of a limit. Requests that were already counted still count after the limit is changed. */
  function counterOf(id: number, requestsPerMinute: number, before: ReadonlyMap<number, RequestCounter>) {
    const counter = before.get(id);
    if (!counter)
      return counters.create(`limit-${id}`, { points: requestsPerMinute, seconds: 60, onFailure: 'count-here' });
    counter.points = requestsPerMinute;
    return counter;
  }

  async function read(): Promise<void> {
    const limits = await db.prisma.rateLimit.findMany({ where: { enabled: true }, orderBy: { id: 'asc' } });
    const before = new Map<number, RequestCounter>();
    for (const { id, requests } of [...active.values()].flat()) if (requests) before.set(id, requests);
    const next = new Map<string, ActiveLimit[]>();
    for (const limit of limits) {
      const { id, scope, requestsPerMinute, tokenBudget, periodHours } = limit;
      const requests = requestsPerMinute === null ? null : counterOf(id, requestsPerMinute, before);
      const budget =
        tokenBudget === null || periodHours === null ? null : { tokens: Number(tokenBudget), hours: periodHours };
      const key = keyOf(limit);
      next.set(key, [...(next.get(key) ?? []), { id, scope, requestsPerMinute, requests, budget }]);
    }
    active = next;
    countsRequests = limits.some((limit) => limit.requestsPerMinute !== null);
  }

  /** Loads run one at a time, so that an older result never replaces a newer one. */
  function load(): Promise<void> {
    loading = loading.catch(() => {}).then(read);
    return loading;
  }

  changes.follow(topic, load);

  return {
    /** Loads all enabled limits. Called at startup. */
    load,

    /** Loads all enabled limits in all processes. Called after every change, before its response. */
    async changed(): Promise<void> {
      await load();
      await changes.announce(topic);
    },

    /** Returns whether a limit on requests is enabled. */
    countsRequests: () => countsRequests,

    /** Returns the limits that apply to a principal, the narrowest first. */
    applying: (principal: Principal): ActiveLimit[] =>
      active.size === 0 ? [] : keysOf(principal).flatMap((key) => active.get(key) ?? []),
  };
}

export type ActiveLimits = ReturnType<typeof createActiveLimits>;
