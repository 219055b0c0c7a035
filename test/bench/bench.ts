// `npm run bench`: requests per second of each request path as a share of the fastest. Absolute figures would describe
// the machine rather than the code. The result is not a gate.

import { newSecret } from '../../src/authz/secret.ts';
import { boot } from '../../src/boot.ts';
import { createLog } from '../../src/log.ts';
import { readSettings } from '../../src/settings.ts';

const key = newSecret('API_KEY');
const settings = readSettings({ BOOTSTRAP_ADMIN_KEY: key, LOG_LEVEL: 'silent' });
const databaseUrl = process.env.DATABASE_URL;
const booted = await boot({ settings, log: createLog('silent'), database: { databaseUrl } });

const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
const get = (path: string) => () => booted.fetch(new Request(`http://bench${path}`, { headers }));
const query = (text: string) => () =>
  booted.fetch(new Request('http://bench/graphql', { method: 'POST', headers, body: JSON.stringify({ query: text }) }));

for (let index = 0; index < 50; index++) {
  const input = JSON.stringify({ input: { name: `Agent ${index}`, isPublic: true } });
  const body = JSON.stringify({
    query: 'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { id } } }',
    variables: JSON.parse(input),
  });
  await booted.fetch(new Request('http://bench/graphql', { method: 'POST', headers, body }));
}

const roads: Record<string, () => Response | Promise<Response>> = {
  'GET /health': get('/health'),
  'refused by its checksum': () =>
    booted.fetch(new Request('http://bench/me', { headers: { authorization: `Bearer ${key.slice(0, -1)}_` } })),
  'GET /me (credential, in-process row)': get('/me'),
  'GET /agents?page_size=50 (a list row)': get('/agents?page_size=50'),
  'POST /graphql { viewer }': query('{ viewer { role permissions } }'),
  'POST /graphql agents(first: 50)': query('{ agents(first: 50) { nodes { databaseId name description } } }'),
};

const rounds = 5;
const perRound = 300;
const rates = new Map<string, number[]>();
for (let round = 0; round <= rounds; round++) {
  for (const [name, call] of Object.entries(roads)) {
    const startedAt = performance.now();
    for (let count = 0; count < perRound; count++) await (await call()).arrayBuffer();
    const rate = (perRound * 1000) / (performance.now() - startedAt);
    // The first round is a warm-up.
    if (round > 0) rates.set(name, [...(rates.get(name) ?? []), rate]);
  }
}
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const best = Math.max(...[...rates.values()].map(median));
for (const [name, values] of rates) console.log(`${(median(values) / best).toFixed(3)}  ${name}`);
await booted.close();
process.exit(0);
