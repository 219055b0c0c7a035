import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import { getPathNoStrict } from 'hono/utils/url';
import type { Viewer } from './authz/principal.ts';
import { reportedError } from './error-report.ts';
import { createWebSockets, type WebSockets } from './graphql/websocket.ts';
import { createGraphQLServer } from './graphql/yoga.ts';
import type { App, Env, RequestContext } from './http/app.ts';
import { createAuthentication } from './http/authentication.ts';
import { limitBodies } from './http/body-limits.ts';
import { serveGraphQL } from './http/graphql-route.ts';
import { type NotReady, serveHealth } from './http/health.ts';
import { createHostCheck } from './http/host-check.ts';
import { rejectUnknownHosts } from './http/host-rejection.ts';
import { serveMetrics } from './http/metrics-route.ts';
import { createContextFactory, identifyRequests } from './http/request-context.ts';
import { setSecurityHeaders } from './http/security-headers.ts';
import { refusedQuery, rejectSecretsInUrls } from './http/url-secrets.ts';
import { createMetrics } from './metrics.ts';
import { servePages } from './pages/pages.ts';
import { maxCompleteList, maxPage } from './paging.ts';
import { bearerCredential } from './rest/credential.ts';
import { serveDownloads } from './rest/downloads.ts';
import { servePublicPaths } from './rest/public-paths.ts';
import {
  allowWidgetOrigins,
  canonicalPath,
  dialectAt,
  replyWith,
  replyWithError,
  serveEndpoints,
} from './rest/routes.ts';
import type { Foundation, Services } from './services.ts';

export interface ServerOptions extends Pick<Foundation, 'settings' | 'db' | 'log'> {
  services: Services;
  /** Returns the reason why the server does not accept requests, or null. Defaults to null. */
  notReady?: () => Promise<NotReady | null>;
}

export interface LatchkeyServer {
  fetch: Hono<Env>['fetch'];
  sockets: WebSockets;
}

/**
 * Creates the whole server as one `fetch`: GraphQL, the REST endpoints under `/api` and at the root, and the pages, and
 * the GraphQL over WebSocket endpoint. The order of the middleware is the order in which a request is checked.
 */
export function createServer({
  settings,
  db,
  log,
  services,
  notReady = async () => null,
}: ServerOptions): LatchkeyServer {
  const app: App = new Hono<Env>({ getPath: (request) => canonicalPath(getPathNoStrict(request)) });
  const metrics = createMetrics({
    waitingMessages: () => services.turnQueue.waiting,
    jobs: services.scheduler.reports,
  });
  const yoga = createGraphQLServer(settings, metrics);
  const hostRefusal = createHostCheck(settings.publicUrl, settings.allowedHosts);
  const { clientBehind, clientOf, fromOwnPage, identify, admit, authenticate } = createAuthentication(
    settings,
    services,
  );
  const { contextWith, contextOf } = createContextFactory({ settings, db, services, metrics, clientOf });

  identifyRequests(app, { log, metrics, clientOf });
  setSecurityHeaders(app);
  rejectUnknownHosts(app, hostRefusal);
  allowWidgetOrigins(app, services.visitors);
  allowOrigins(app, settings.corsOrigins);
  rejectSecretsInUrls(app);
  const admitBody = limitBodies(app, { maxFileSize: settings.maxFileSize, clientOf });

  serveHealth(app, notReady);
  servePublicPaths(app);
  const { graphiql } = servePages(app);
  serveMetrics(app, { metrics, audit: services.audit, authenticate });
  serveGraphQL(app, {
    yoga,
    graphiql,
    isGraphiqlPublic: settings.graphiql,
    audit: services.audit,
    authenticate,
    admitBody,
    contextOf,
  });
  const sockets = createWebSockets({
    yoga,
    services,
    log,
    metrics,
    clientOf: clientBehind,
    identify: (headers, client) => identify(headers, client, bearerCredential),
    authenticate: (headers, client) => admit(headers, client, bearerCredential),
    contextOf: (request) => contextWith({ ...request, pageLimit: maxPage }),
    hostRefusal,
    refusedQuery,
  });
  const rest = {
    authenticate,
    admitBody,
    fromOwnPage: (c: RequestContext) => fromOwnPage(c.req.raw.headers),
    context: (c: RequestContext, principal: Viewer) => contextOf(c, principal, maxCompleteList),
  };
  serveEndpoints(app, rest);
  serveDownloads(app, rest);
  handleErrors(app);
  return { fetch: app.fetch, sockets };
}

/** Lets pages of these origins read responses (CORS). */
function allowOrigins(app: App, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.use(
    cors({
      origin: origins.includes('*') ? '*' : [...origins],
      // The headers that browsers request are allowed: they grant no access that other clients do not have.
      exposeHeaders: ['X-Request-Id', 'Retry-After'],
    }),
  );
}

/** Returns 404 for unknown paths, and errors in the dialect of the path. */
function handleErrors(app: App): void {
  app.notFound((c) => replyWith(c, dialectAt(c.req.path).say(404, 'Not Found')));
  app.onError((error, c) => {
    const dialect = dialectAt(c.req.path);
    if (error instanceof HTTPException) return replyWith(c, dialect.say(error.status, error.message));
    // Endpoints handle their own errors. This handler receives errors of the middleware before them.
    return replyWithError(c, dialect, reportedError(error));
  });
}
