import { readFileSync, readlinkSync } from 'node:fs';
import { lstat, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { StartupError } from '../startup-error.ts';
import { type InstanceLock, type LockOptions, rollingRestartMs, waitFor } from './instance-lock.ts';

/** Returns the result of `read`, or an empty text if the system does not have the file. */
function ifThere(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/**
 * Returns the start time of a process, where the system provides it. After a reboot, or in a restarted container, the
 * process ID of a killed process is soon reused.
 */
const beginning = (pid: number): string =>
  // The 20th field after the process name, which is in parentheses and can contain any character.
  ifThere(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? '');

/** The scope in which a process ID is unique: one machine, one boot and one PID namespace. */
const processSpace = [
  ifThere(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) || hostname(),
  ifThere(() => readlinkSync('/proc/self/ns/pid')),
].join(' ');

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** An empty lock file is still being written, or its writer has just died. Milliseconds. */
const writeTimeoutMs = 10_000;
/**
 * Interval between two heartbeats of a folder's lock, and the silence after which the lock is void, in milliseconds.
 */
interface Heartbeat {
  every: number;
  silence: number;
}

const defaultHeartbeat: Heartbeat = { every: 2_000, silence: 10_000 };

export interface FolderLockOptions extends LockOptions {
  /** Defaults to 2 seconds and 10 seconds. */
  heartbeat?: Heartbeat;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/**
 * Returns a function that checks whether the process that created a lock is gone. A process on another system, such as
 * in another container with the same volume, counts as gone when its lock has had no heartbeat for some time, measured
 * by the clock of this process.
 */
function createAbandonment(file: string, { silence }: Heartbeat): () => Promise<boolean> {
  let seen = { sign: '', since: 0 };
  return async () => {
    try {
      const stat = await lstat(file);
      if (!stat.isFile()) throw new StartupError(`DATA_DIR: ${file} is not a file; delete it`);
      const content = await readFile(file, 'utf8');
      const [pid, began, space] = content.split('\n');
      if (!pid) return Date.now() - stat.mtimeMs > writeTimeoutMs;
      if (!space || space === processSpace) return !alive(Number(pid)) || beginning(Number(pid)) !== began;
      const sign = `${stat.mtimeMs} ${content}`;
      if (seen.sign !== sign) seen = { sign, since: performance.now() };
      return performance.now() - seen.since > silence;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  };
}

/** Locks a folder of PGlite, which two processes would corrupt. The lock of a killed process is void. */
export async function lockFolder(
  folder: string,
  { waitMs = rollingRestartMs, onLost = () => {}, heartbeat = defaultHeartbeat }: FolderLockOptions = {},
): Promise<InstanceLock> {
  const file = join(folder, 'latchkey.pid');
  const content = `${process.pid}\n${beginning(process.pid)}\n${processSpace}\n`;
  const abandoned = createAbandonment(file, heartbeat);
  const create = () => writeFile(file, content, { flag: 'wx' });
  const take = async () => {
    try {
      await create();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (await abandoned()) await rm(file, { force: true });
      return false;
    }
  };
  await waitFor(take, waitMs, `another Latchkey uses ${folder}; stop it, or set DATABASE_URL for a shared database`);

  const beat = async () => {
    try {
      if ((await readFile(file, 'utf8')) === content) return await utimes(file, new Date(), new Date());
    } catch (error) {
      if (isMissing(error)) await create().catch(() => {});
      return;
    }
    clearInterval(timer);
    onLost(`another Latchkey has taken ${folder} over while this one was suspended; this one stops`);
  };
  const timer = setInterval(() => void beat().catch(() => {}), heartbeat.every).unref();
  return {
    async release() {
      clearInterval(timer);
      if ((await readFile(file, 'utf8').catch(() => '')) === content) await rm(file, { force: true });
    },
  };
}
