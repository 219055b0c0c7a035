import { cors } from 'hono/cors';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { allowWidgetOrigins } from '../rest/routes.ts';
import type { Services } from '../services.ts';
import type { Settings } from '../settings.ts';
import type { App } from './app.ts';
import type { Authentication } from './authentication.ts';
import { limitBodies } from './body-limits.ts';
import { createHostCheck } from './host-check.ts';
import { rejectUnknownHosts } from './host-rejection.ts';
import { identifyRequests } from './request-context.ts';
import { rejectSecretsInUrls } from './url-secrets.ts';

interface MiddlewareDeps extends Pick<Authentication, 'clientOf'>, Pick<Services, 'visitors'> {
  settings: Settings;
  log: Log;
  metrics: Metrics;
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

/**
 * Adds the middleware of all paths. Its order is the order in which a request is checked. Returns the function that
 * admits the body of a request, see {@link limitBodies}, and the check of its host.
 */
export function checkRequests(app: App, { settings, log, metrics, clientOf, visitors }: MiddlewareDeps) {
  const hostRefusal = createHostCheck(settings.publicUrl, settings.allowedHosts);
  identifyRequests(app, { log, metrics, clientOf });
  rejectUnknownHosts(app, hostRefusal);
  allowWidgetOrigins(app, visitors);
  allowOrigins(app, settings.corsOrigins);
  rejectSecretsInUrls(app);
  return { admitBody: limitBodies(app, { maxFileSize: settings.maxFileSize, clientOf }), hostRefusal };
}
