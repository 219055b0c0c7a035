import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env, Hono } from 'hono';
import { projectRoot } from '../project-root.ts';
import { type BuiltFile, serveBuiltFile } from './content.ts';

/** The folder of the pages that `scripts/docs.mjs` builds. */
const folder = join(projectRoot, 'dist', 'docs');

/** The content of `manifest.json`: pages and images by path, and the pages of errors. */
interface Manifest {
  served: Record<string, BuiltFile>;
  notFound: BuiltFile;
  methodNotAllowed: BuiltFile;
}

/** Serves the documentation under `/docs`. An unknown page and another method than GET and HEAD get a page, too. */
export function serveDocumentation<E extends Env>(app: Hono<E>): void {
  const { served, notFound, methodNotAllowed }: Manifest = JSON.parse(
    readFileSync(join(folder, 'manifest.json'), 'utf8'),
  );
  const files = new Map(Object.entries(served));
  app.on(['GET', 'HEAD'], ['/docs', '/docs/*'], (c) => {
    const file = files.get(c.req.path.replace(/\/$/, ''));
    return file ? serveBuiltFile(c, folder, file) : serveBuiltFile(c, folder, notFound, 404);
  });
  app.all('/docs/*', (c) => {
    if (!files.has(c.req.path.replace(/\/$/, ''))) return serveBuiltFile(c, folder, notFound, 404);
    c.header('Allow', 'GET, HEAD');
    return serveBuiltFile(c, folder, methodNotAllowed, 405);
  });
}
