import type { Hono } from 'hono';
import { createGraphQLServer } from './graphql/yoga.ts';
import { createApp, type Env } from './http/app.ts';
import { createAuthentication } from './http/authentication.ts';
import { handleErrors } from './http/error-handling.ts';
import { serveGraphQL } from './http/graphql-route.ts';
import { type NotReady, serveHealth } from './http/health.ts';
import { serveMetrics } from './http/metrics-route.ts';
import { checkRequests } from './http/middleware.ts';
import { createContextFactory } from './http/request-context.ts';
import { serveRest } from './http/rest-routes.ts';
import { createSockets, type WebSockets } from './http/sockets.ts';
import { servePages } from './pages/pages.ts';
import { servePublicPaths } from './rest/public-paths.ts';
import type { Foundation, Services } from './services.ts';
import { observeServer } from './telemetry/gauges.ts';

export interface ServerOptions extends Pick<Foundation, 'settings' | 'db' | 'log' | 'metrics'> {
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
  metrics,
  services,
  notReady = async () => null,
}: ServerOptions): LatchkeyServer {
  const app = createApp();
  observeServer(metrics.registry, {
    db,
    waitingMessages: () => services.turnQueue.waiting,
    runningAnswers: services.runs.running,
    unreadFiles: services.files.unread,
    backgroundTasks: services.background.running,
    jobs: services.scheduler.reports,
  });
  const yoga = createGraphQLServer(settings, metrics);
  const authentication = createAuthentication(settings, services);
  const { authenticate, clientOf } = authentication;
  const contexts = createContextFactory({ settings, db, services, metrics, clientOf });
  const { audit, visitors } = services;

  const { admitBody, hostRefusal } = checkRequests(app, { settings, log, metrics, clientOf, visitors });
  serveHealth(app, notReady);
  servePublicPaths(app);
  const { graphiql } = servePages(app);
  serveMetrics(app, { metrics, audit, authenticate });
  const { contextOf } = contexts;
  const isGraphiqlPublic = settings.graphiql;
  serveGraphQL(app, { yoga, graphiql, isGraphiqlPublic, audit, authenticate, admitBody, contextOf });
  serveRest(app, { ...authentication, admitBody, contextOf });
  handleErrors(app);
  const sockets = createSockets({ ...authentication, ...contexts, yoga, services, log, metrics, hostRefusal });
  return { fetch: app.fetch, sockets };
}
