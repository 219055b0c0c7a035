import type { IncomingMessage } from 'node:http';
import { Hono } from 'hono';
import { unavailable } from '../errors.ts';
import { dialectAt, replyWithError } from '../rest/routes.ts';
import { noteRequest } from './access-log.ts';
import { readinessReply, serveHealth } from './health.ts';
import { requestIdOf } from './request-id.ts';

/**
 * Creates the server that responds while the database is opened and migrated, which can take minutes. It answers health
 * checks, and returns 503 for all other requests, in the caller's dialect.
 */
export function createStartingServer(): Hono['fetch'] {
  const app = new Hono();
  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.raw.headers);
    noteRequest((c.env as { incoming?: IncomingMessage } | undefined)?.incoming, {
      requestId,
      client: null,
      tokenId: null,
    });
    await next();
    c.res.headers.set('X-Request-Id', requestId);
  });
  serveHealth(app, async () => 'starting');
  for (const prefix of ['', '/api']) app.get(`${prefix}/health`, (c) => readinessReply(c, 'starting'));
  app.notFound((c) =>
    replyWithError(
      c,
      dialectAt(c.req.path),
      unavailable('SERVER_STARTING', 'The server is starting. Try again later.'),
    ),
  );
  return app.fetch;
}
