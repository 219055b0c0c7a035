import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Env, Hono } from 'hono';
import { projectRoot, version } from '../root.ts';

const html = (title: string, head: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'><text y='.9em' font-size='90'>🔑</text></svg>">
${head}
</head>
<body>
${body}
</body>
</html>
`;

const landing = html(
  'Latchkey',
  `<style>
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
body { max-width: 44rem; margin: 4rem auto; padding: 0 1.25rem; }
h1 { margin-bottom: 0; } .lead { margin-top: .25rem; opacity: .8; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.5rem; margin: 2rem 0; }
dd { margin: 0; } pre { overflow-x: auto; padding: 1rem; border: 1px solid #8886; border-radius: .5rem; }
footer { margin-top: 3rem; opacity: .6; font-size: .875rem; }
</style>`,
  `<h1>Latchkey</h1>
<p class="lead">One GraphQL API for chat, agents and the keys that open them.</p>
<dl>
<dt><a href="/graphql">GraphiQL</a></dt><dd>Explore the graph and run operations.</dd>
<dt><a href="/api/docs">REST API</a></dt><dd>The paths that existing clients call, each with its GraphQL twin.</dd>
<dt><a href="/api/openapi.json">OpenAPI 3.1</a></dt><dd>The same, for code generators.</dd>
<dt><a href="/guide/schema.graphql">SDL</a></dt><dd>The graph, for code generators.</dd>
<dt><a href="/guide/README.md">README</a></dt><dd>What this is, and a five-minute tour.</dd>
<dt><a href="/guide/permissions.md">Permissions</a></dt><dd>Every operation and who may call it.</dd>
</dl>
<p>Ask a question, with a key in <code>$KEY</code>:</p>
<pre><code>curl -sS -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"message":"How do I create a limited key?","stream":false}' \\
  <span id="origin">http://127.0.0.1:4000</span>/api/chat/send-chat-message</code></pre>
<footer>Version ${version}</footer>
<script>document.getElementById('origin').textContent = location.origin;</script>`,
);

const apiDocs = html(
  'Latchkey REST API',
  '<link rel="stylesheet" href="/api/docs/swagger-ui.css">',
  `<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#docs', deepLinking: true, persistAuthorization: true, displayRequestDuration: true, docExpansion: 'list', filter: true });
</script>`,
);

const swagger = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const assets: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

/** The pages of this project, which the first answer cites. */
const guide: Record<string, string> = {
  'README.md': 'README.md',
  'ARCHITECTURE.md': 'ARCHITECTURE.md',
  'SECURITY.md': 'SECURITY.md',
  'CONTRIBUTING.md': 'CONTRIBUTING.md',
  'CHANGELOG.md': 'CHANGELOG.md',
  LICENSE: 'LICENSE',
  'permissions.md': 'schema/permissions.md',
  'parameters.md': 'schema/parameters.md',
  'schema.graphql': 'schema/schema.graphql',
};

/** The content security policy: pages load everything from this server. Their scripts are inline. */
export const pagePolicy = {
  defaultSrc: ["'self'"],
  scriptSrc: ["'self'", "'unsafe-inline'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'", 'data:'],
  workerSrc: ['blob:'],
  objectSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
};

/** Serves the HTML pages. All resources come from this server. */
export function servePages<E extends Env>(app: Hono<E>): void {
  app.get('/', (c) => c.html(landing));
  app.get('/api', (c) => c.redirect('/api/docs'));
  app.get('/api/docs', (c) => c.html(apiDocs));
  for (const [name, type] of Object.entries(assets))
    app.get(`/api/docs/${name}`, (c) =>
      c.body(readFileSync(join(swagger, name)), 200, { 'Content-Type': type, 'Cache-Control': 'public, max-age=3600' }),
    );
  for (const [name, file] of Object.entries(guide))
    app.get(`/guide/${name}`, (c) =>
      c.body(readFileSync(join(projectRoot, file), 'utf8'), 200, { 'Content-Type': 'text/plain; charset=utf-8' }),
    );
}
