import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';

/** The documentation names only paths that are served. */
const read = (file: string): string => readFileSync(join(projectRoot, file), 'utf8');
const files = [
  'README.md',
  'ARCHITECTURE.md',
  ...readdirSync(join(projectRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const described = Object.keys(JSON.parse(read('schema/openapi.json')).paths);
/** The page of the REST API, its document, and the script of the chat widget. */
const others = ['/api/docs', '/api/openapi.json'];
/** Paths of Onyx and AnythingLLM that an import reads there, and a path of the documentation's own examples. */
const elsewhere = new Set(['/api/v1/system/export-chats']);

const segmentsOf = (path: string): string[] => path.split('/').slice(1);
const isParameter = (segment: string): boolean => /[{<$…:]|\d/.test(segment);
/** Whether a path of the documentation is a served path, an example of one, or the beginning of one. */
function isServed(path: string): boolean {
  const named = segmentsOf(path);
  return [...described, ...others].some((each) => {
    const served = segmentsOf(each);
    return (
      named.length <= served.length &&
      named.every((segment, index) => {
        const part = served[index] ?? '';
        return segment === part || part.startsWith('{') || (isParameter(segment) && part.startsWith('{'));
      })
    );
  });
}

it.each(files)('%s names only REST paths that openapi.json describes', (file) => {
  const paths = [...read(file).matchAll(/(?<![\w.])\/api(?:\/[\w{}$<>…:.-]+)*/g)].map(([path]) =>
    path.replace(/[.:…/]+$/, ''),
  );
  const unknown = [...new Set(paths)].filter((path) => path !== '/api' && !elsewhere.has(path) && !isServed(path));
  expect(unknown).toEqual([]);
});

it('the documentation says which paths of AnythingLLM’s own interface are served', () => {
  const page = read('docs/anythingllm.md');
  for (const path of described.filter((each) => /^\/api\/(system\/|admin\/(api-keys|generate|delete-api))/.test(each)))
    expect(page).toContain(`\`${path}\``);
  expect(page).toMatch(/web interface, the browser extension, the mobile app[^.]*are not available/);
  expect(read('README.md')).not.toMatch(/\/api\/(system|admin)\/\*/);
});
