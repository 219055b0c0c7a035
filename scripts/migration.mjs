// Writes prisma/migrations/<timestamp>_<name>/migration.sql: the difference between the migrations so far and
// prisma/schema.prisma. `prisma migrate` would download an engine for this; the same engine is on npm as WebAssembly.
//
// usage: npm run migration -- <name>      writes no file when there is no difference
//        npm run migration -- --check     exits 1 when the schema file and the migrations disagree
//
// What Prisma cannot express (generated columns, GIN indexes, triggers, extensions) is added to the file by hand.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as engineModule from '@prisma/schema-engine-wasm/schema_engine_bg';
import { PrismaPGlite } from 'pglite-prisma-adapter';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'prisma', 'migrations');
const argument = process.argv[2];
if (!argument || (!argument.startsWith('--') && !/^[a-z][a-z0-9_]*$/.test(argument))) {
  console.error('usage: npm run migration -- <name_in_snake_case> | --check');
  process.exit(2);
}

/** Returns the schema after all migrations, in an in-memory PGlite. */
async function migrated() {
  const database = await PGlite.create();
  for (const name of readdirSync(folder).sort())
    if (/^\d+_/.test(name)) await database.exec(readFileSync(join(folder, name, 'migration.sql'), 'utf8'));
  return database;
}

const wasm = fileURLToPath(import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg')).replace(
  /\.js$/,
  '.wasm',
);
const { instance } = await WebAssembly.instantiate(readFileSync(wasm), { './schema_engine_bg.js': engineModule });
engineModule.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start();

const database = await migrated();
const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPGlite(database));
const schema = { path: 'schema.prisma', content: readFileSync(join(root, 'prisma', 'schema.prisma'), 'utf8') };
const engine = await engineModule.SchemaEngine.new({ datamodels: [[schema.path, schema.content]] }, () => {}, factory);
const first = readdirSync(folder).length === 0;
const introspected = first
  ? undefined
  : await engine.introspect({
      schema: { files: [schema] },
      baseDirectoryPath: '.',
      force: true,
      compositeTypeDepth: 0,
      namespaces: null,
    });
const { stdout } = await engine.diff({
  from: introspected ? { tag: 'schemaDatamodel', files: introspected.schema.files, configDir: '.' } : { tag: 'empty' },
  to: { tag: 'schemaDatamodel', files: [schema], configDir: '.' },
  script: true,
  exitCode: null,
  shadowDatabaseUrl: null,
  filters: { externalTables: [], externalEnums: [] },
});
const sql = stdout.trim();
const empty = sql === '' || sql === '-- This is an empty migration.';
await database.close();

if (argument === '--check') {
  if (!empty) console.error(`prisma/schema.prisma and prisma/migrations disagree:\n${sql}`);
  process.exit(empty ? 0 : 1);
}
if (empty) {
  console.log('No difference; no migration was written.');
  process.exit(0);
}
const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
const file = join(folder, `${stamp}_${argument}`, 'migration.sql');
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${sql}\n`);
console.log(`wrote ${file}`);
process.exit(0);
