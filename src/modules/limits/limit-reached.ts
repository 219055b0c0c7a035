import { rateLimited } from '../../errors.ts';
import type { LimitScope } from './limit-scopes.ts';

/** Returns the whole seconds until a time, at least one. */
const secondsUntil = (date: Date): number => Math.max(1, Math.ceil((date.getTime() - Date.now()) / 1000));

/** Returns the RATE_LIMITED error of a limit that is reached, with the time at which requests are admitted again. */
export const limitReached = (scope: LimitScope, message: string, resetAt: Date) =>
  rateLimited('REQUEST_LIMIT', message, secondsUntil(resetAt), { scope, resetAt });
