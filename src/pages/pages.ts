import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env, Hono } from 'hono';
import { documentationPages, exampleFiles } from '../documentation.ts';
import { examples } from '../graphql/examples.ts';
import { projectRoot, version } from '../project-root.ts';
import { assetFolder, createPage, type Page, serveAsset } from './content.ts';
import { serveDocumentation } from './documentation.ts';

/** Returns the URL of a script or style. */
type Assets = (name: string) => string;

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

const landing = (asset: Assets) =>
  html(
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
<p class="lead">One GraphQL API for chat, agents and the keys that grant access to them.</p>
<dl>
<dt><a href="/docs">Documentation</a></dt><dd>Guides for clients, permissions, deployment and migration.</dd>
<dt><a href="/docs/quickstart">Quickstart</a></dt><dd>Ask a question, add a document, create a key.</dd>
<dt><a href="/graphql">GraphiQL</a></dt><dd>Explore the schema and run operations.</dd>
<dt><a href="/api/docs">REST API</a></dt><dd>The endpoints that existing clients call, each with its GraphQL operation.</dd>
<dt><a href="/api/openapi.json">OpenAPI 3.1</a></dt><dd>The REST API as a document for code generators.</dd>
<dt><a href="/guide/schema.graphql">SDL</a></dt><dd>The GraphQL schema for code generators.</dd>
<dt><a href="/docs/permissions">Permissions</a></dt><dd>Every operation and the roles that can call it.</dd>
</dl>
<p>Ask a question, with a key in <code>$KEY</code>:</p>
<pre><code>curl -sS -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"message":"How do I create a limited key?","stream":false}' \\
  <span id="origin">http://127.0.0.1:4000</span>/api/chat/send-chat-message</code></pre>
<footer>Version ${version}</footer>
<script src="${asset('landing.js')}"></script>`,
  );

const apiDocs = (asset: Assets) =>
  html(
    'Latchkey REST API',
    `<link rel="stylesheet" href="${asset('swagger-ui.css')}">
<style>
#site { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; max-width: 1420px; margin: 0 auto; padding: .75rem 20px 0; font: 15px/1.6 system-ui, sans-serif; }
#site a { color: light-dark(#0b57d0, #8ab4f8); }
.dark-mode { color-scheme: dark; }
</style>`,
    `<nav id="site"><a href="/">Latchkey</a> <a href="/docs">Documentation</a> <a href="/graphql">GraphiQL</a></nav>
<div id="docs"></div>
<script src="${asset('swagger-ui.js')}"></script>
<script src="${asset('api-docs.js')}"></script>`,
  );

/** Returns a value as the content of a JSON script element. */
const embedded = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

const graphiql = (asset: Assets) =>
  html(
    'Latchkey GraphiQL',
    `<link rel="stylesheet" href="${asset('graphiql.css')}">
<link rel="stylesheet" href="${asset('graphiql-page.css')}">`,
    `<noscript>GraphiQL needs JavaScript.</noscript>
<form id="credential">
<label for="key">API key</label>
<input id="key" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="on_…">
<small>Applies to all tabs. Kept until this browser tab is closed.</small>
<a href="/docs/graphql">Documentation</a>
</form>
<div id="root"></div>
<script type="application/json" id="workers">${embedded({
      editorWorkerService: asset('graphiql-editor-worker.js'),
      json: asset('graphiql-json-worker.js'),
      graphql: asset('graphiql-graphql-worker.js'),
    })}</script>
<script type="application/json" id="options">${embedded({
      title: 'Latchkey GraphiQL',
      subscriptionsProtocol: 'SSE',
      // Kept in the storage of the tab, so that a reload does not ask for them again.
      shouldPersistHeaders: true,
      defaultTabs: examples.map(({ query, variables }) => ({ query, variables: variables ?? null })),
    })}</script>
<script src="${asset('graphiql.js')}"></script>
<script src="${asset('graphiql-page.js')}"></script>`,
  );

/** The files under `/guide/`, by path. Relative links between them work. */
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
  'schema/permissions.md': 'schema/permissions.md',
  'schema/parameters.md': 'schema/parameters.md',
  'schema/schema.graphql': 'schema/schema.graphql',
  ...Object.fromEntries([...documentationPages(projectRoot), ...exampleFiles(projectRoot)].map((file) => [file, file])),
};

/** The content security policy: pages load everything from this server and contain no inline scripts. */
export const pagePolicy = {
  defaultSrc: ["'self'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'", 'data:'],
  workerSrc: ["'self'"],
  objectSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
};

/** Serves the HTML pages and their scripts and styles, and the documentation. Returns the page of GraphiQL, which `/graphql` serves. */
export function servePages<E extends Env>(app: Hono<E>): { graphiql: Page } {
  const files: Record<string, string> = JSON.parse(readFileSync(join(assetFolder, 'manifest.json'), 'utf8'));
  const asset: Assets = (name) => `/assets/${files[name]}`;
  for (const file of Object.values(files)) app.get(`/assets/${file}`, (c) => serveAsset(c, file));
  const pages = { '/': createPage(landing(asset)), '/api/docs': createPage(apiDocs(asset)) };
  for (const [path, page] of Object.entries(pages)) app.get(path, (c) => page.respond(c));
  app.get('/api', (c) => c.redirect('/api/docs'));
  for (const [name, file] of Object.entries(guide))
    app.get(`/guide/${name}`, (c) =>
      c.body(readFileSync(join(projectRoot, file), 'utf8'), 200, { 'Content-Type': 'text/plain; charset=utf-8' }),
    );
  serveDocumentation(app);
  return { graphiql: createPage(graphiql(asset)) };
}
