import type { Hono, Context as HonoContext } from 'hono';

/** The reason why a server does not accept requests, for a load balancer and its operator. */
export type NotReady = 'starting' | 'draining' | 'database_unavailable';

const details: Record<NotReady, string> = {
  starting: 'The server is starting: it opens the database and brings it to this version.',
  draining: 'The server is shutting down.',
  database_unavailable: 'The database cannot be reached.',
};

/** Time after which a load balancer should retry, in seconds. */
const retryAfter = 5;

const noStore = { 'Cache-Control': 'no-store' };
const live = (c: HonoContext) => c.json({ status: 'live' }, 200, noStore);

/** Returns 200 while the server accepts requests, and otherwise 503 with the reason. */
export function readinessReply(c: HonoContext, reason: NotReady | null): Response {
  if (reason === null) return c.json({ status: 'ready' }, 200, noStore);
  return c.json({ status: reason, detail: details[reason] }, 503, { ...noStore, 'Retry-After': String(retryAfter) });
}

/**
 * Serves `/health/live` (the process responds) and `/health/ready` (the server accepts requests), at the root and under
 * `/api`.
 */
export function serveHealth<Env extends object>(app: Hono<Env>, notReady: () => Promise<NotReady | null>): void {
  for (const prefix of ['', '/api'])
    app
      .get(`${prefix}/health/live`, live)
      .get(`${prefix}/health/ready`, async (c) => readinessReply(c, await notReady()));
}
