import type { Hono } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { Viewer } from '../authz/principal.ts';
import { Budget } from '../budget.ts';
import type { Context } from '../context.ts';
import { type Log, RequestScope } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { maxPage } from '../paging.ts';
import type { Foundation, Services } from '../services.ts';
import { secondsSince } from '../telemetry/series.ts';
import { noteRequest } from './access-log.ts';
import { type Env, incomingOf, type RequestContext } from './app.ts';
import type { Authentication } from './authentication.ts';
import { withDefaultHeaders } from './default-headers.ts';
import { requestIdOf } from './request-id.ts';
import { traceRequest } from './request-tracing.ts';
import { securityHeaders } from './security-headers.ts';

/**
 * Limits on the objects and characters that one operation resolves, regardless of its estimate. REST paths whose
 * contracts have no pages return all rows of a list in one response.
 */
const graphqlBudget = { nodes: 10_000, text: 40_000_000 };
const restBudget = { nodes: 250_000, text: 250_000_000 };

export interface ContextFactory {
  /** Returns the context of an operation over a WebSocket. */
  contextWith(request: Omit<Context, 'services' | 'db' | 'budget'>): Context;
  /** Returns the context of an operation over HTTP. `pageLimit` is the maximum size of a page. */
  contextOf(c: RequestContext, principal: Viewer, pageLimit: number): Context;
}

type Deps = Pick<Foundation, 'settings' | 'db'> & { services: Services; metrics: Metrics } & Pick<
    Authentication,
    'clientOf'
  >;

/** Creates the functions that build the context of resolvers. */
export function createContextFactory({ settings, db, services, metrics, clientOf }: Deps): ContextFactory {
  const contextWith: ContextFactory['contextWith'] = (request) => ({
    ...request,
    services,
    db,
    budget: new Budget(
      { ...(request.pageLimit === maxPage ? graphqlBudget : restBudget), deadline: settings.operationMs },
      metrics.stopped,
    ),
  });
  return {
    contextWith,
    contextOf: (c, principal, pageLimit) =>
      contextWith({
        principal,
        client: clientOf(c),
        scope: c.var.scope,
        signal: c.req.raw.signal,
        pageLimit,
      }),
  };
}

/**
 * Gives every request an ID and a log that contains it, sets the headers of every response, and counts the response in
 * the metrics.
 */
export function identifyRequests(
  app: Hono<Env>,
  { log, metrics, clientOf }: { log: Log; metrics: Metrics } & Pick<Authentication, 'clientOf'>,
): void {
  let common: [string, string][] | undefined;
  app.use(async (c, next) => {
    const startedAt = performance.now();
    const requestId = requestIdOf(c.req.raw.headers);
    noteRequest(incomingOf(c), { requestId, client: clientOf(c).address, tokenId: null });
    const scope = new RequestScope(requestId, log);
    c.set('scope', scope);
    common ??= [...(await securityHeaders())];
    const headers: [string, string][] = [...common, ['X-Request-Id', requestId]];
    await traceRequest(
      c,
      () => routeOf(c),
      () => withDefaultHeaders(c, headers, next),
    );
    metrics.request(c.req.method, routeOf(c), c.res.status, secondsSince(startedAt));
    if (scope.failure !== null) metrics.failed(scope.failure);
  });
}

/** Returns the route pattern of a request. */
const routeOf = (c: RequestContext): string => matchedRoutes(c).find(({ path }) => path !== '/*')?.path ?? 'unmatched';
