import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { projectRoot } from '../../src/project-root.ts';

const folder = join(projectRoot, 'deploy');

/** Returns the text of a file in deploy/. */
export const readDeploy = (name: string): string => readFileSync(join(folder, name), 'utf8');

/** The paths of the YAML files in deploy/. */
export const yamlFiles: string[] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .sort();

/** Returns the documents of a YAML file. Throws when it is invalid. */
export const documentsOf = (name: string): any[] =>
  parseAllDocuments(readDeploy(name), { merge: true }).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS();
  });

/** Returns the only document of a YAML file. */
export function readYaml(name: string): any {
  const [document, ...rest] = documentsOf(name);
  if (document === undefined || rest.length > 0) throw new Error(`${name} has ${rest.length + 1} documents`);
  return document;
}

/** Returns the variables of a file with one assignment per line. */
export const assignmentsIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
