// Builds the scripts and styles of the web pages into dist/pages: each with a hash of its content in its name, and
// compressed, so that the server does not compress them at run time.
//
// usage: node scripts/pages.mjs
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { css, editorWorkerService, graphqlWorker, js, jsonWorker } from '@graphql-yoga/render-graphiql/graphiql';
import { contentHash, replaceFolder, writeCompressed } from './web-files.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const read = (...path) => readFileSync(join(root, ...path));
const client = (name) => read('src', 'pages', 'client', name);
const swagger = (name) => read('node_modules', 'swagger-ui-dist', name);

const assets = {
  'graphiql.js': js,
  'graphiql.css': css,
  'graphiql-editor-worker.js': editorWorkerService,
  'graphiql-json-worker.js': jsonWorker,
  'graphiql-graphql-worker.js': graphqlWorker,
  'graphiql-page.js': client('graphiql.js'),
  'graphiql-page.css': client('graphiql.css'),
  'swagger-ui.js': swagger('swagger-ui-bundle.js'),
  'swagger-ui.css': swagger('swagger-ui.css'),
  'api-docs.js': client('api-docs.js'),
  'landing.js': client('landing.js'),
  'docs.css': client('docs.css'),
};

replaceFolder(join(root, 'dist', 'pages'), (folder) => {
  /** The file name of each asset. */
  const manifest = {};
  for (const [name, content] of Object.entries(assets)) {
    const bytes = Buffer.from(content);
    manifest[name] = name.replace(/(?=\.\w+$)/, `-${contentHash(bytes)}`);
    writeCompressed(join(folder, manifest[name]), bytes);
  }
  return manifest;
});
