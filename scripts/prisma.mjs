// Generates the database client, the types of its GraphQL plugin and the data model of src/store/reads/ from prisma/schema.prisma into src/generated/.
// Calls the generators of `prisma generate`: the package `prisma` brings 160 MB of other tools with it.
//
// usage: node scripts/prisma.mjs
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readModels } from './read-models.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// The ES module of the package does not load in Node.
const { PrismaClientTsGenerator } = createRequire(import.meta.url)('@prisma/client-generator-ts');
const { getGenerators, loadSchemaContext } = createRequire(import.meta.url)('@prisma/internals');

// The generator of Pothos is a program that is found by its name.
process.env.PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`;
const generators = await getGenerators({
  schemaContext: await loadSchemaContext({
    schemaPath: { cliProvidedPath: join('prisma', 'schema.prisma') },
    cwd: root,
    printLoadMessage: false,
  }),
  registry: { 'prisma-client': { type: 'in-process', generator: new PrismaClientTsGenerator() } },
  cliCommand: 'generate',
  printDownloadProgress: false,
  // The client is generated for WebAssembly, so it needs no engine.
  skipDownload: true,
});
for (const generator of generators) {
  await generator.generate();
  generator.stop();
}
writeFileSync(join(root, 'src', 'generated', 'read-models.ts'), readModels(generators[0].options.dmmf.datamodel));
