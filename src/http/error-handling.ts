import { HTTPException } from 'hono/http-exception';
import { reportedError } from '../error-report.ts';
import { dialectAt, replyWith, replyWithError } from '../rest/routes.ts';
import type { App } from './app.ts';

/** Returns 404 for unknown paths, and errors in the dialect of the path. */
export function handleErrors(app: App): void {
  app.notFound((c) => replyWith(c, dialectAt(c.req.path).say(404, 'Not Found')));
  app.onError((error, c) => {
    const dialect = dialectAt(c.req.path);
    if (error instanceof HTTPException) return replyWith(c, dialect.say(error.status, error.message));
    // Endpoints handle their own errors. This handler receives errors of the middleware before them.
    return replyWithError(c, dialect, reportedError(error, c.var.scope));
  });
}
