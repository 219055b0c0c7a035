import { RateLimiterRes } from 'rate-limiter-flexible';
import type { Principal } from '../../authz/principal.ts';
import type { RequestCounter } from './active-limits.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitReached } from './limit-reached.ts';
import { counted } from './limit-scopes.ts';

export const requestAdmission = ({ active, log }: Pick<LimitDeps, 'active' | 'log'>) => ({
  /**
   * Counts a request against every applicable request limit, the narrowest first. Throws RATE_LIMITED when one is
   * reached, and then does not count the request against the others. A counter that fails admits the request.
   */
  async admitRequest(principal: Principal): Promise<void> {
    if (!active.countsRequests()) return;
    const charged: { requests: RequestCounter; key: string | number }[] = [];
    for (const { scope, requests } of active.applying(principal)) {
      if (!requests) continue;
      const { key, name } = counted(scope, principal);
      try {
        await requests.consume(key);
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) {
          log.error({ error: refusal, scope }, 'a limit could not be checked');
          continue;
        }
        await Promise.allSettled(charged.map((one) => one.requests.reward(one.key)));
        throw limitReached(
          scope,
          `Too many requests (limit of ${name}: ${requests.points} per minute).`,
          new Date(Date.now() + refusal.msBeforeNext),
        );
      }
      charged.push({ requests, key });
    }
  },
});
