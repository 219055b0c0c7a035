import { mentionsSecret } from '../authz/secret.ts';
import { dialectAt, replyWith } from '../rest/routes.ts';
import type { App } from './app.ts';

/**
 * Returns the reason to reject a request with this query string, or null. URLs end up in histories, logs and referrers,
 * so that a secret in a URL counts as disclosed.
 */
export const refusedQuery = (search: string): string | null =>
  mentionsSecret(decoded(search))
    ? 'Credentials are not accepted in the URL; send them in the Authorization header.'
    : null;

/** Rejects requests with a secret in the URL with 400. */
export function rejectSecretsInUrls(app: App): void {
  app.use(async (c, next) => {
    const start = c.req.url.indexOf('?');
    const detail = start === -1 ? null : refusedQuery(c.req.url.slice(start));
    return detail === null ? next() : replyWith(c, dialectAt(c.req.path).say(400, detail));
  });
}

/** Returns a query string decoded as far as possible. */
function decoded(search: string): string {
  try {
    return decodeURIComponent(search);
  } catch {
    return search;
  }
}
