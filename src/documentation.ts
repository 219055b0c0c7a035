import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the paths of the documentation pages in `docs/`, such as `docs/search.md`, relative to `folder` and sorted. */
export function documentationPages(folder: string): string[] {
  const docs = join(folder, 'docs');
  if (!existsSync(docs)) return [];
  return readdirSync(docs)
    .filter((name) => /^[a-z][a-z-]*\.md$/.test(name))
    .sort()
    .map((name) => `docs/${name}`);
}

/** Returns the paths of the files in `examples/`, such as `examples/graphql.py`, relative to `folder` and sorted. */
export function exampleFiles(folder: string): string[] {
  const examples = join(folder, 'examples');
  if (!existsSync(examples)) return [];
  return readdirSync(examples)
    .sort()
    .map((name) => `examples/${name}`);
}
