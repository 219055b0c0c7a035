// Generates schema/ and the types of the endpoints' documents from the code. They are committed, so that clients and
// reviewers can read them without running anything.
//
// usage: npm run generate        writes
//        npm run check:schema    exits 1 and names the files that are not as the code would write them
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../src/project-root.ts';
import { artifacts } from './artifacts.ts';

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const [name, content] of Object.entries(artifacts())) {
  const file = join(projectRoot, name);
  if (existsSync(file) && readFileSync(file, 'utf8') === content) continue;
  stale.push(name);
  if (!check) writeFileSync(file, content);
}
if (check && stale.length > 0) {
  console.error(`stale, run \`npm run generate\`: ${stale.join(', ')}`);
  process.exit(1);
}
console.log(stale.length > 0 ? `wrote ${stale.join(', ')}` : 'schema/ is as the code says');
process.exit(0);
