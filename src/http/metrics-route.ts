import { can } from '../authz/principal.ts';
import { forbidden, unauthenticated } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import { bearerCredential } from '../rest/credential.ts';
import { dialectAt, replyWithError } from '../rest/routes.ts';
import type { Services } from '../services.ts';
import type { App } from './app.ts';
import type { Authentication } from './authentication.ts';

type Deps = { metrics: Metrics } & Pick<Services, 'audit'> & Pick<Authentication, 'authenticate'>;

/** Serves `/metrics` in Prometheus' format. Requires `read:analytics`. */
export function serveMetrics(app: App, { metrics, audit, authenticate }: Deps): void {
  app.get('/metrics', async (c) => {
    const { viewer } = await authenticate(c, bearerCredential);
    if (viewer === 'refused' || viewer === null)
      return c.json({ detail: unauthenticated().message }, 401, { 'WWW-Authenticate': 'Bearer' });
    if (!can(viewer, 'read:analytics')) {
      audit.permissionRefused(viewer, 'GET /metrics');
      return replyWithError(c, dialectAt(c.req.path), forbidden(['read:analytics']));
    }
    return c.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
  });
}
