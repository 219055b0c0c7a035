import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Held while this process is the only one that serves a database. */
export interface Alone {
  release(): Promise<void>;
}

/** Another instance has the database. The message is one line for the operator. */
export class NotAloneError extends Error {
  override readonly name = 'NotAloneError';
}

/** How long a rolling restart may take: the new instance waits for the old one to go. Milliseconds. */
const patience = 30_000;
const pollMs = 250;

async function waitFor(take: () => Promise<boolean>, waitMs: number, message: string): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!(await take())) {
    if (Date.now() >= deadline) throw new NotAloneError(message);
    await delay(pollMs);
  }
}

/**
 * When a process began, where the system tells: after a reboot, or in a container that is started again, the number of a
 * process that was killed soon belongs to another.
 */
function beginning(pid: number): string {
  try {
    // Behind the name, which stands in parentheses and may hold anything, the 20th field.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** A lock without a text is still being written; its writer may also have died just then. Milliseconds. */
const writing = 10_000;

/** Whether whoever made the lock is gone. */
function abandoned(file: string): boolean {
  try {
    const [pid, began] = readFileSync(file, 'utf8').split('\n');
    if (!pid) return Date.now() - statSync(file).mtimeMs > writing;
    return !alive(Number(pid)) || beginning(Number(pid)) !== began;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** PGlite is one process's database: two of them on one folder would destroy it. A killed process's lock is void. */
export async function lockFolder(folder: string, waitMs = patience): Promise<Alone> {
  const file = join(folder, 'latchkey.pid');
  const take = async () => {
    try {
      writeFileSync(file, `${process.pid}\n${beginning(process.pid)}`, { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (abandoned(file)) rmSync(file, { force: true });
      return false;
    }
  };
  await waitFor(take, waitMs, `another Latchkey uses ${folder}; stop it, or set DATABASE_URL for a shared database`);
  return { release: async () => rmSync(file, { force: true }) };
}

/** Any number; the same in every process. */
const lockId = 7_203_841_160;

/**
 * Runs and revocations live in the memory of one process, so a PostgreSQL database has one instance.
 * The lock belongs to a connection of its own: PostgreSQL frees it when the process dies.
 */
export async function lockDatabase(databaseUrl: string, waitMs = patience): Promise<Alone> {
  const client = new pg.Client({ connectionString: databaseUrl, keepAlive: true });
  client.on('error', () => {});
  await client.connect();
  const take = async () => {
    const { rows } = await client.query<{ held: boolean }>('SELECT pg_try_advisory_lock($1) AS held', [lockId]);
    return rows[0]?.held === true;
  };
  try {
    await waitFor(
      take,
      waitMs,
      'another Latchkey serves this DATABASE_URL; running several needs REDIS_URL, which this version does not have',
    );
  } catch (error) {
    await client.end();
    throw error;
  }
  return { release: () => client.end() };
}
