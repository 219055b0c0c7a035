import type { Viewer } from '../authz/principal.ts';
import { maxCompleteList } from '../paging.ts';
import { serveDownloads } from '../rest/downloads.ts';
import { serveEndpoints } from '../rest/routes.ts';
import type { App, RequestContext } from './app.ts';
import type { Authentication } from './authentication.ts';
import type { AdmitBody } from './body-limits.ts';
import type { ContextFactory } from './request-context.ts';

interface RestDeps extends Pick<Authentication, 'authenticate' | 'fromOwnPage'>, Pick<ContextFactory, 'contextOf'> {
  admitBody: AdmitBody;
}

/** Serves the REST endpoints of all dialects and the downloads. */
export function serveRest(app: App, { authenticate, admitBody, fromOwnPage, contextOf }: RestDeps): void {
  const rest = {
    authenticate,
    admitBody,
    scopeOf: (c: RequestContext) => c.var.scope,
    fromOwnPage: (c: RequestContext) => fromOwnPage(c.req.raw.headers),
    context: (c: RequestContext, principal: Viewer) => contextOf(c, principal, maxCompleteList),
  };
  serveEndpoints(app, rest);
  serveDownloads(app, rest);
}
