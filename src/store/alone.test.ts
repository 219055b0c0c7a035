import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDatabase, lockFolder, NotAloneError } from './alone.ts';

describe('the lock of a folder', () => {
  let folder: string;
  let file: string;
  const children: ChildProcess[] = [];

  /** A process that does nothing, and how the lock names it. */
  async function idleProcess(): Promise<{ child: ChildProcess; content: string }> {
    const script = `
      const { lockFolder } = await import(process.argv[1]);
      await lockFolder(process.argv[2], 0);
      process.stdout.write('locked');
      setInterval(() => {}, 60_000);`;
    const module = join(import.meta.dirname, 'alone.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, module, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    return { child, content: readFileSync(file, 'utf8') };
  }

  async function kill(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-alone-'));
    file = join(folder, 'latchkey.pid');
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => (child.exitCode ?? child.signalCode) === null && kill(child)));
    rmSync(folder, { recursive: true, force: true });
  });

  it('is one holder’s, and the next one’s once it is released', async () => {
    const held = await lockFolder(folder, 0);
    await expect(lockFolder(folder, 0)).rejects.toThrow(
      new NotAloneError(`another Latchkey uses ${folder}; stop it, or set DATABASE_URL for a shared database`),
    );
    await held.release();
    expect(existsSync(file)).toBe(false);
    await (await lockFolder(folder, 0)).release();
  });

  it('passes to whoever waits when the holder goes', async () => {
    const held = await lockFolder(folder, 0);
    const next = lockFolder(folder);
    await held.release();
    await (await next).release();
  });

  it('of another process stands while that lives, and is void when it was killed', async () => {
    const { child } = await idleProcess();
    await expect(lockFolder(folder, 0)).rejects.toThrow(NotAloneError);
    await kill(child);
    await (await lockFolder(folder)).release();
  });

  it.runIf(process.platform === 'linux')('is void when the number of its process belongs to a later one', async () => {
    const { content } = await idleProcess();
    const [pid, began] = content.split('\n');
    writeFileSync(file, `${pid}\n${Number(began) - 1}`);
    await (await lockFolder(folder)).release();
  });

  it('without a text is being written, unless it has been for long', async () => {
    writeFileSync(file, '');
    await expect(lockFolder(folder, 0)).rejects.toThrow(NotAloneError);
    expect(existsSync(file)).toBe(true);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(file, longAgo, longAgo);
    await (await lockFolder(folder)).release();
  });

  it('fails as what it is where the folder cannot be written', async () => {
    await expect(lockFolder(join(folder, 'missing'), 0)).rejects.toThrow('ENOENT');
  });
});

describe.runIf(process.env.DATABASE_URL)('the lock of a database', () => {
  const name = `latchkey_alone_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(process.env.DATABASE_URL ?? 'postgres://unset');
  url.pathname = `/${name}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  beforeEach(() => onServer(`CREATE DATABASE ${name}`));
  afterEach(() => onServer(`DROP DATABASE ${name} WITH (FORCE)`));

  it('is one holder’s, and the next one’s once it is released', async () => {
    const held = await lockDatabase(url.href, 0);
    await expect(lockDatabase(url.href, 0)).rejects.toThrow(/REDIS_URL/);
    const next = lockDatabase(url.href);
    await held.release();
    await (await next).release();
  });

  it('is free again when the connection of its holder is gone', async () => {
    await lockDatabase(url.href, 0);
    await onServer(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
    await (await lockDatabase(url.href)).release();
  });
});
