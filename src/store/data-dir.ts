import { randomUUID } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../startup-error.ts';

/** The time that a file system has to write a small file. Milliseconds. */
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

async function tryOut(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const probe = join(folder, `.latchkey-${randomUUID()}`);
  await writeFile(probe, 'x', { flag: 'wx', mode: 0o600 });
  await rm(probe);
  const database = join(folder, 'pglite');
  const found = await stat(database).catch(() => null);
  if (found && !found.isDirectory()) throw new StartupError(`DATA_DIR ${folder}: ${database} is not a folder`);
}

/** The folder of a server's data cannot be used because its file system does not answer: nothing waits for it. */
export class HungFolderError extends StartupError {
  override readonly name = 'HungFolderError';
}

/** Creates the folder of a server's data where it is missing, and writes to it. Throws StartupError. */
export async function checkDataDir(folder: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_, reject) => {
    const message = `DATA_DIR ${folder} does not answer: writing a file takes more than ${timeoutMs / 1000} s`;
    timer = setTimeout(() => reject(new HungFolderError(message)), timeoutMs);
  });
  try {
    await Promise.race([tryOut(folder), hung]);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new StartupError(`DATA_DIR ${folder} ${reasons[code] ?? `cannot be used: ${message}`}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
