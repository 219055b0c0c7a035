// `npm run bench`: measures the server on PostgreSQL and on the embedded database, and prints one table for each. Targets
// are shares of a baseline on the same core; the program does not fail when one is missed.
//
// usage: npm run bench [-- --only postgres|pglite]

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { newSecret } from '../../src/authz/secret.ts';
import { addPassages, addSessions } from '../database/large-data.ts';
import { startCluster } from './cluster.ts';
import { Client } from './load.ts';
import { type Figures, measure, table } from './measure.ts';
import { leaveCoreToServers, memoryOf, type Running, start } from './processes.ts';
import { growing, type Scenario, type Seeded, scenarios, seedAgents } from './scenarios.ts';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const baselineScript = fileURLToPath(new URL('baseline.mjs', import.meta.url));

const key = newSecret('API_KEY');
const only = process.argv.includes('--only') ? process.argv.at(-1) : undefined;

async function startServer(dataDir: string, databaseUrl?: string): Promise<Running> {
  return start(main, {
    port: 4750,
    ready: '/health/ready',
    env: {
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      BOOTSTRAP_ADMIN_KEY: key,
      SECRET_KEY: randomBytes(24).toString('hex'),
      ...(databaseUrl && { DATABASE_URL: databaseUrl }),
    },
  });
}

function report(title: string, { startedIn, pid }: Running): void {
  console.log(
    `\n## ${title}\n\nFirst response after ${startedIn.toFixed(0)} ms (a start with a new database includes its creation), ${memoryOf(pid).toFixed(0)} MiB when idle.\n`,
  );
}

const brokenKey = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
const rejected: Scenario = {
  name: 'a key rejected by its checksum',
  count: 1000,
  next: () => ({ method: 'GET', path: '/api/me' }),
  accepts: ({ status }) => status === 403,
};

async function onPglite(dataDir: string): Promise<void> {
  await (await startServer(dataDir)).stop();
  const server = await startServer(dataDir);
  report('Embedded database', server);
  const client = new Client(server.port, key);
  const seeded: Seeded = { ...(await seedAgents(client)), sessionId: '', brokenKey };
  const figures: Figures[] = [];
  for (const scenario of scenarios(seeded)) {
    if (scenario.name.includes('create')) continue;
    figures.push(await measure({ ...scenario, count: Math.ceil(scenario.count / 3) }, { server, key }));
  }
  console.log(table(figures));
  client.close();
  await server.stop();
}

/** Measures lists and searches twice: with few rows, and with many. */
async function growth(client: pg.Client, server: Running, seeded: Seeded): Promise<void> {
  const userId: string = (await client.query('SELECT "userId" FROM "Token" ORDER BY "id" LIMIT 1')).rows[0].userId;
  const measureAll = async () => {
    const { rows } = await client.query('SELECT "id" FROM "ChatSession" ORDER BY "updatedAt" DESC LIMIT 1');
    const figures: Figures[] = [];
    for (const scenario of growing({ ...seeded, sessionId: rows[0].id }))
      figures.push(await measure(scenario, { server, key }));
    return figures;
  };
  await addSessions(client, userId, 500);
  await addPassages(client, 1000, 'small');
  await client.query('ANALYZE');
  const few = await measureAll();
  await client.query('DELETE FROM "ChatSession"');
  await addSessions(client, userId, 20_000);
  await addPassages(client, 99_000, 'large');
  await client.query('VACUUM ANALYZE');
  const many = await measureAll();
  console.log('\n500 sessions, 3,000 messages and 1,000 passages:\n');
  console.log(table(few));
  console.log('\n20,000 sessions, 120,000 messages and 100,000 passages:\n');
  console.log(table(many));
}

async function onPostgres(dataDir: string, url: string): Promise<void> {
  await (await startServer(dataDir, url)).stop();
  const server = await startServer(dataDir, url);
  const baseline = await start(baselineScript, { port: 4751, ready: '/health', env: { DATABASE_URL: url } });
  report('PostgreSQL', server);
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  const client = new Client(server.port, key);
  const seeded: Seeded = { ...(await seedAgents(client)), sessionId: '', brokenKey };
  await database.query('VACUUM ANALYZE');
  const clean = async () => {
    await database.query(`DELETE FROM "Agent" WHERE "name" LIKE 'bench%'`);
  };
  const figures: Figures[] = [];
  for (const scenario of scenarios(seeded)) {
    const between = scenario.name.includes('create') ? clean : undefined;
    figures.push(await measure(scenario, { server, baseline, key }, between));
  }
  await clean();
  figures.push(await measure(rejected, { server, key: brokenKey }));
  console.log(table(figures));
  await growth(database, server, seeded);
  client.close();
  await database.end();
  await Promise.all([server.stop(), baseline.stop()]);
}

const isPinned = leaveCoreToServers();
if (!isPinned) console.log('taskset is not installed: the load and the servers share all cores.');
const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-data-'));
try {
  if (only !== 'pglite') {
    const given = process.env.DATABASE_URL;
    const cluster = given ? null : await startCluster();
    const url = given ?? cluster?.url;
    if (url) await onPostgres(join(folder, 'postgres'), url);
    else
      console.log('PostgreSQL is not installed and DATABASE_URL is not set: only the embedded database is measured.');
    cluster?.stop();
  }
  if (only !== 'postgres') await onPglite(join(folder, 'pglite'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
