import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../test/kit.ts';
import { lockFolder } from './folder-lock.ts';
import { AlreadyRunningError } from './instance-lock.ts';

describe('the lock of a folder', () => {
  let folder: string;
  let file: string;
  const children: ChildProcess[] = [];

  /** Starts an idle process and returns the content of its lock file. */
  async function idleProcess(): Promise<{ child: ChildProcess; content: string }> {
    const script = `
      const { lockFolder } = await import(process.argv[1]);
      await lockFolder(process.argv[2], { waitMs: 0 });
      process.stdout.write('locked');
      setInterval(() => {}, 60_000);`;
    const module = join(import.meta.dirname, 'folder-lock.ts');
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
    folder = mkdtempSync(join(tmpdir(), 'latchkey-lock-'));
    file = join(folder, 'latchkey.pid');
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => (child.exitCode ?? child.signalCode) === null && kill(child)));
    rmSync(folder, { recursive: true, force: true });
  });

  it('has one holder, and can be acquired after its release', async () => {
    const held = await lockFolder(folder, { waitMs: 0 });
    await expect(lockFolder(folder, { waitMs: 0 })).rejects.toThrow(
      new AlreadyRunningError(`another Latchkey uses ${folder}; stop it, or set DATABASE_URL for a shared database`),
    );
    await held.release();
    expect(existsSync(file)).toBe(false);
    await (await lockFolder(folder, { waitMs: 0 })).release();
  });

  it('passes to a waiting instance when its holder releases it', async () => {
    const held = await lockFolder(folder, { waitMs: 0 });
    const next = lockFolder(folder);
    await held.release();
    await (await next).release();
  });

  it('is held while the process of its holder runs, and is stale after that process was killed', async () => {
    const { child } = await idleProcess();
    await expect(lockFolder(folder, { waitMs: 0 })).rejects.toThrow(AlreadyRunningError);
    await kill(child);
    await (await lockFolder(folder)).release();
  });

  it.runIf(process.platform === 'linux')('is stale when its process ID belongs to a later process', async () => {
    const { content } = await idleProcess();
    const [pid, began] = content.split('\n');
    writeFileSync(file, `${pid}\n${Number(began) - 1}`);
    await (await lockFolder(folder)).release();
  });

  it('is held while its empty file is new, and is stale when the empty file is old', async () => {
    writeFileSync(file, '');
    await expect(lockFolder(folder, { waitMs: 0 })).rejects.toThrow(AlreadyRunningError);
    expect(existsSync(file)).toBe(true);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(file, longAgo, longAgo);
    await (await lockFolder(folder)).release();
  });

  it('is held by another container while the heartbeat continues, and is stale when the heartbeat stops', async () => {
    const heartbeat = { every: 20, silence: 200 };
    const elsewhere = `1\n1\nanother-boot pid:[1]\n`;
    writeFileSync(file, elsewhere);
    const beating = setInterval(() => utimesSync(file, new Date(), new Date(Date.now() + Math.random() * 1000)), 20);
    await expect(lockFolder(folder, { waitMs: 500, heartbeat })).rejects.toThrow(AlreadyRunningError);
    clearInterval(beating);
    await (await lockFolder(folder, { heartbeat })).release();
  });

  it('has a heartbeat, restores its deleted file, and is lost when another instance acquires it', async () => {
    const heartbeat = { every: 20, silence: 200 };
    let lost = '';
    const onLost = (message: string) => {
      lost = message;
    };
    const held = await lockFolder(folder, { waitMs: 0, heartbeat, onLost });
    const content = readFileSync(file, 'utf8');
    const longAgo = new Date(0);
    utimesSync(file, longAgo, longAgo);
    await until(() => statSync(file).mtimeMs > 0);
    rmSync(file);
    await until(() => existsSync(file) && readFileSync(file, 'utf8') === content);
    expect(lost).toBe('');
    writeFileSync(file, '1\n1\nanother-boot pid:[1]\n');
    await until(() => lost);
    expect(lost).toBe(`another Latchkey has taken ${folder} over while this one was suspended; this one stops`);
    await held.release();
    // The lock of another instance must not be released.
    expect(existsSync(file)).toBe(true);
  });

  it('cannot be acquired when the lock file is not a regular file', async () => {
    mkdirSync(file);
    await expect(lockFolder(folder, { waitMs: 0 })).rejects.toThrow(`DATA_DIR: ${file} is not a file; delete it`);
  });

  it('fails with ENOENT when the folder does not exist', async () => {
    await expect(lockFolder(join(folder, 'missing'), { waitMs: 0 })).rejects.toThrow('ENOENT');
  });
});
