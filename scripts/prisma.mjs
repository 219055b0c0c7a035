// Generates the database client and the types of its GraphQL plugin from prisma/schema.prisma into src/generated/.
// Calls the generators of `prisma generate`: the package `prisma` brings 160 MB of other tools with it.
//
// usage: node scripts/prisma.mjs
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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
