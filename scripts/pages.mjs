// Builds the scripts and styles of the web pages into dist/pages: each with a hash of its content in its name, and
// compressed, so that the server does not compress them at run time.
//
// usage: node scripts/pages.mjs
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { css, editorWorkerService, graphqlWorker, js, jsonWorker } from '@graphql-yoga/render-graphiql/graphiql';

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
};

const folder = join(root, 'dist', 'pages');
const building = `${folder}.new`;
rmSync(building, { recursive: true, force: true });
mkdirSync(building, { recursive: true });

/** The file name of each asset. */
const manifest = {};
for (const [name, content] of Object.entries(assets)) {
  const bytes = Buffer.from(content);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const file = name.replace(/(?=\.\w+$)/, `-${hash}`);
  manifest[name] = file;
  writeFileSync(join(building, file), bytes);
  // Level 9 compresses ten megabytes in two seconds; level 11 takes a minute to save another tenth.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(join(building, `${file}.br`), brotliCompressSync(bytes, { params }));
  writeFileSync(join(building, `${file}.gz`), gzipSync(bytes, { level: 9 }));
}
writeFileSync(join(building, 'manifest.json'), JSON.stringify(manifest, null, 2));

rmSync(folder, { recursive: true, force: true });
renameSync(building, folder);
