import type { Context as HonoContext } from 'hono';
import type { Viewer } from '../authz/principal.ts';
import { unreadFailure } from '../rest/dialect.ts';
import { dialectAt, replyWith, takesStrangers } from '../rest/routes.ts';
import type { App, RequestContext } from './app.ts';
import type { Authentication } from './authentication.ts';
import type { BodyFailure } from './body-failure.ts';
import { multipart } from './multipart.ts';
import { createRequestBodies, maxBody } from './request-bodies.ts';

/** Sets the limits of a body after its sender has been authenticated. */
export type AdmitBody = (c: RequestContext, viewer: Viewer | 'refused') => Promise<void>;

/**
 * Limits the bodies of requests and returns 408, 413 or 429 for a body that cannot be read completely. `maxFileSize` is
 * the maximum size of an uploaded file in bytes.
 */
export function limitBodies(
  app: App,
  { maxFileSize, clientOf }: { maxFileSize: number } & Pick<Authentication, 'clientOf'>,
): AdmitBody {
  /** Each file has its own limit with its own message; this is the limit of the whole request. */
  const maxUpload = Math.max(maxBody.other, 2 * maxFileSize + 1024 * 1024);
  const limitOf = (c: HonoContext): number => {
    if (takesStrangers(c.req.method, c.req.path)) return maxBody.anonymous;
    if (multipart.test(c.req.header('content-type') ?? '')) return maxUpload;
    return c.req.path === '/graphql' ? maxBody.graphql : maxBody.other;
  };
  const bodyOf = createRequestBodies();
  app.use(async (c, next) => {
    const body = bodyOf(c, () => limitOf(c));
    if (body === null) return next();
    if (body.failure) return unread(c, body.failure);
    c.set('body', body);
    await next().finally(body.end);
    if (!body.failure) return;
    // Replaces the response to a body that could not be read.
    c.res = undefined;
    c.res = unread(c, body.failure);
  });
  return async (c, viewer) => {
    if (viewer === null || viewer === 'refused') c.var.body?.restrict(clientOf(c).address);
    else await c.var.body?.makeRoom(viewer.userId);
  };
}

function unread(c: HonoContext, failure: BodyFailure): Response {
  const response = replyWith(c, unreadFailure(dialectAt(c.req.path), failure));
  // The rest of the body may never come.
  if (failure.status !== 413) response.headers.set('Connection', 'close');
  if (failure.status === 429) response.headers.set('Retry-After', '1');
  return response;
}
