import { randomUUID } from 'node:crypto';
import { access, constants, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../startup-error.ts';

/** Time limit for writing a small file, in milliseconds. */
const timeoutMs = 15_000;

const reasons: Record<string, string> = {
  EACCES: 'is not writable for this process',
  EPERM: 'is not writable for this process',
  EROFS: 'is on a read-only file system',
  ENOSPC: 'is on a full disk',
  EDQUOT: 'is on a disk whose quota is used up',
  ENOTDIR: 'is not a folder',
  EEXIST: 'is not a folder',
  ENAMETOOLONG: 'has a name that is too long',
};

/**
 * Creates a folder and its parent folders. `mkdir` with `recursive` never returns on a file system that cannot create
 * folders.
 */
async function create(folder: string): Promise<void> {
  const made = () =>
    mkdir(folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error;
    });
  await made().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(folder) === folder) throw error;
    await create(dirname(folder));
    await made();
  });
}

async function writeTo(folder: string): Promise<void> {
  await create(folder);
  const probe = join(folder, `.latchkey-${randomUUID()}`);
  await writeFile(probe, 'x', { flag: 'wx', mode: 0o600 });
  await rm(probe);
}

/** Checks the folder of the embedded database, if it exists. */
async function checkDatabase(database: string): Promise<void> {
  const found = await stat(database).catch(() => null);
  if (found && !found.isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
  if (found) await access(database, constants.R_OK | constants.W_OK | constants.X_OK);
}

/** Waits for work on a folder. Throws StartupError with a message that begins with `name`. */
async function explained(name: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new StartupError(`${name} ${reasons[code] ?? `cannot be used: ${message}`}`, { cause: error });
  }
}

async function tryOut(folder: string): Promise<void> {
  await explained(`DATA_DIR ${folder}`, writeTo(folder));
  const database = join(folder, 'pglite');
  await explained(`DATA_DIR ${folder}: ${database}`, checkDatabase(database));
}

/**
 * The data folder of a server cannot be used because its file system does not respond. The process exits without
 * waiting for it.
 */
export class HungFolderError extends StartupError {
  override readonly name = 'HungFolderError';
}

/** Creates the data folder of a server if it is missing, and writes a test file to it. Throws StartupError. */
export async function checkDataDir(folder: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_, reject) => {
    const message = `DATA_DIR ${folder} does not answer: writing a file takes more than ${timeoutMs / 1000} s`;
    timer = setTimeout(() => reject(new HungFolderError(message)), timeoutMs);
  });
  try {
    await Promise.race([tryOut(folder), hung]);
  } finally {
    clearTimeout(timer);
  }
}
