import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { api, build, type Environment, keyIn, start, stop, storage } from './latchkey.ts';

const hasPgDump = spawnSync('pg_dump', ['--version']).status === 0;
const server = process.env.DATABASE_URL;

/** Runs a backup command of the bundle. */
async function command(name: 'backup' | 'restore', folder: string, environment: Environment) {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [`dist/${name}.js`, folder], {
    cwd: projectRoot,
    env: { PATH, ...environment },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

/** Returns the settings of a new server: an empty folder and, with PostgreSQL, an empty database. */
async function emptyTarget(): Promise<{ environment: Environment; drop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-restore-'));
  const name = `latchkey_restore_${randomUUID().replaceAll('-', '')}`;
  const environment: Environment = { DATA_DIR: folder };
  if (server) {
    await onServer(`CREATE DATABASE ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    environment.DATABASE_URL = url.href;
  }
  return {
    environment,
    async drop() {
      if (server) await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe.skipIf(server && !hasPgDump)('a backup (needs pg_dump with PostgreSQL)', () => {
  const backups = mkdtempSync(join(tmpdir(), 'latchkey-backup-'));
  const folder = join(backups, 'monday');
  const content = 'The heron nests in the reeds.';
  let source: Awaited<ReturnType<typeof storage>>;
  let key: string;
  let token: string;
  let fileId: string;
  let sessionId: string;

  beforeAll(async () => {
    await build();
    source = await storage();
    const running = await start(source.environment);
    key = keyIn(running) ?? '';
    const { graphql, send } = api(running.url, key);
    const created = await graphql('mutation { createApiKey(input: { name: "kept", role: BASIC }) { secret } }');
    token = created.data.createApiKey.secret;
    const form = new FormData();
    form.append('files', new Blob([content]), 'heron.txt');
    const uploaded = await fetch(`${running.url}/api/user/projects/file/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: form,
    });
    [{ id: fileId }] = (await uploaded.json()).user_files;
    const answer = await (await send({ message: 'Remember the heron', stream: false })).json();
    sessionId = answer.chat_session_id;
    await stop(running);
  }, 60_000);
  afterAll(async () => {
    await source?.drop();
    rmSync(backups, { recursive: true, force: true });
  });

  it('contains the database and the files, readable for its owner only', async () => {
    const { code, output } = await command('backup', folder, source.environment);
    expect(output).toMatch(/^Wrote the backup .*: version 0\.1\.0, .* MB$/m);
    expect(code).toBe(0);
    expect(readdirSync(folder)).toContain(server ? 'database.dump' : 'pglite');
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['files', 'manifest.json']));
    expect(spawnSync('stat', ['-c', '%a', folder], { encoding: 'utf8' }).stdout.trim()).toBe('700');
    expect(readdirSync(backups)).toEqual(['monday']);
  });

  it('is not written to a folder that exists, or to DATA_DIR', async () => {
    const again = await command('backup', folder, source.environment);
    expect(again).toEqual({ code: 1, output: expect.stringContaining('exists: choose a new folder') });
    const inside = await command('backup', join(source.environment.DATA_DIR as string, 'backup'), source.environment);
    expect(inside).toEqual({ code: 1, output: expect.stringContaining('is in DATA_DIR') });
  });

  it('is restored to an empty target, where the server finds the data, the files and the tokens', async () => {
    const target = await emptyTarget();
    const restored = await command('restore', folder, target.environment);
    expect(restored).toEqual({ code: 0, output: expect.stringContaining('Restored the backup') });
    const running = await start(target.environment);
    try {
      // Not the first start: it creates no other key.
      expect(keyIn(running)).toBeUndefined();
      for (const secret of [key, token])
        expect((await api(running.url, secret).call('GET', '/api/me')).status).toBe(200);
      const session = await api(running.url, key).session(sessionId);
      expect(JSON.stringify(session.messages)).toContain('Remember the heron');
      const file = await api(running.url, key).call('GET', `/api/chat/file/${fileId}`);
      expect(await file.text()).toBe(content);
    } finally {
      await stop(running);
    }
    const refused = await command('restore', folder, target.environment);
    expect(refused).toEqual({ code: 1, output: expect.stringContaining('is not empty') });
    await target.drop();
  }, 60_000);

  it('is not restored over other data, which stays as it is', async () => {
    const before = readdirSync(source.environment.DATA_DIR as string);
    const refused = await command('restore', folder, source.environment);
    expect(refused).toEqual({ code: 1, output: expect.stringContaining('is not empty') });
    expect(readdirSync(source.environment.DATA_DIR as string)).toEqual(before);
    if (!server) return;
    // An empty folder does not hide a database with data.
    const elsewhere = { ...source.environment, DATA_DIR: join(backups, 'empty') };
    const mixed = await command('restore', folder, elsewhere);
    expect(mixed).toEqual({ code: 1, output: expect.stringContaining('the database in DATABASE_URL is not empty') });
  });

  it('is not restored when a part of it is missing, or to another kind of database', async () => {
    const target = await emptyTarget();
    const copy = join(backups, 'damaged');
    spawnSync('cp', ['-r', folder, copy]);
    const name = readdirSync(join(copy, 'files'), { recursive: true, encoding: 'utf8' }).find((path) =>
      path.endsWith(fileId),
    );
    appendFileSync(join(copy, 'files', name ?? ''), 'x');
    const damaged = await command('restore', copy, target.environment);
    expect(damaged).toEqual({ code: 1, output: expect.stringContaining('is incomplete or changed') });
    const { DATABASE_URL: _, ...withoutUrl } = target.environment;
    const other = server ? withoutUrl : { ...withoutUrl, DATABASE_URL: 'postgresql://127.0.0.1:1/none' };
    const wrong = await command('restore', folder, other);
    expect(wrong).toEqual({
      code: 1,
      output: expect.stringMatching(/the backup is of (a PostgreSQL|an embedded) database/),
    });
    expect(readdirSync(target.environment.DATA_DIR as string)).toEqual([]);
    await target.drop();
  });

  it('of the embedded database needs a stopped server, and of PostgreSQL does not', async () => {
    const running = await start(source.environment);
    const during = join(backups, 'during');
    const { code, output } = await command('backup', during, source.environment);
    await stop(running);
    expect(code).toBe(server ? 0 : 1);
    if (!server) expect(output).toContain('Stop the server first');
    expect(existsSync(during)).toBe(Boolean(server));
  }, 60_000);

  it('does not show the password of the database', async () => {
    const environment = { ...source.environment, DATABASE_URL: 'postgresql://latchkey:hidden-word@127.0.0.1:1/none' };
    const { code, output } = await command('backup', join(backups, 'never'), environment);
    expect(code).toBe(1);
    expect(output).toMatch(/^latchkey: pg_dump (failed|is not installed)/);
    expect(output).not.toContain('hidden-word');
  });
});

it('npm runs both commands', () => {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  for (const name of ['backup', 'restore']) expect(scripts[name]).toMatch(new RegExp(`&& node dist/${name}\\.js$`));
});
