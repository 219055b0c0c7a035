import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context as HonoContext } from 'hono';
import type { App } from '../http/app.ts';
import { projectRoot } from '../project-root.ts';

/** Clients of the compatible paths warn below 3.0.0: the version of that API, not of this server. */
const apiVersion = '4.6.1';

/** Serves the paths that Onyx and AnythingLLM clients call before they have a credential, and the OpenAPI document. */
export function servePublicPaths(app: App): void {
  const health = (c: HonoContext) => c.json({ success: true, message: 'ok', data: null });
  const versions = (c: HonoContext) => c.json({ backend_version: apiVersion });
  // AnythingLLM's clients ask this first, without a key.
  app.get('/api/ping', (c) => c.json({ online: true }));
  for (const prefix of ['', '/api']) app.get(`${prefix}/health`, health).get(`${prefix}/version`, versions);
  const openApi = readFileSync(join(projectRoot, 'schema', 'openapi.json'), 'utf8');
  app.get('/api/openapi.json', (c) => c.body(openApi, 200, { 'Content-Type': 'application/json; charset=utf-8' }));
}
