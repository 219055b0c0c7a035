import { AppError, rateLimited } from '../../errors.ts';

/** The quotas that can be reached. */
export const quotaScopes = { embed: 'EMBED', session: 'EMBED_SESSION', address: 'EMBED_ADDRESS' } as const;

/** Returns the RATE_LIMITED error of a quota, with the seconds until it admits the next request. */
export const quotaReached = (scope: string, message: string, retryAfter: number) =>
  rateLimited('WIDGET_LIMIT', message, retryAfter, { scope });

/** Also for a widget that is disabled or whose agent was deleted: visitors do not learn which. */
export const widgetUnavailable = () =>
  new AppError('NOT_FOUND', 'EMBED_NOT_FOUND', 'This chat has been disabled by the administrator - try again later.');
