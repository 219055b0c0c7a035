import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Settings } from '../settings.ts';
import { lockFolder } from '../store/folder-lock.ts';
import { BackupError, databaseFiles, dataFiles, exists, type Manifest, writeManifest } from './manifest.ts';
import { dumpDatabase } from './postgres-tools.ts';

/** Time to wait for a server that is stopping, or for the lock of a killed one to expire, in milliseconds. */
const lockTimeoutMs = 12_000;

type BackupSettings = Pick<Settings, 'databaseUrl' | 'dataDir'>;

/** Runs work while no server uses an embedded database in DATA_DIR. Throws AlreadyRunningError. */
export async function withoutServer<T>({ databaseUrl, dataDir }: BackupSettings, work: () => Promise<T>): Promise<T> {
  // The server can run with PostgreSQL, whose dump has the state of one moment.
  if (databaseUrl) return work();
  const lock = await lockFolder(dataDir, { waitMs: lockTimeoutMs });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function copyData({ databaseUrl, dataDir }: BackupSettings, folder: string): Promise<void> {
  // The database comes first: a file that is uploaded meanwhile is then an unused file, and not a missing one.
  if (databaseUrl) await dumpDatabase(databaseUrl, join(folder, databaseFiles.postgresql));
  else await cp(join(dataDir, databaseFiles.embedded), join(folder, databaseFiles.embedded), { recursive: true });
  for (const name of dataFiles)
    if (await exists(join(dataDir, name))) await cp(join(dataDir, name), join(folder, name), { recursive: true });
}

/**
 * Writes a backup of the database and the files to a new folder, which exists only when the backup is complete. Returns
 * its manifest. Throws BackupError, AlreadyRunningError.
 */
export async function createBackup(settings: BackupSettings, target: string): Promise<Manifest> {
  const { databaseUrl, dataDir } = settings;
  const folder = resolve(target);
  if (await exists(folder)) throw new BackupError(`${folder} exists: choose a new folder`);
  if (`${folder}${sep}`.startsWith(`${resolve(dataDir)}${sep}`))
    throw new BackupError(`${folder} is in DATA_DIR: choose a folder elsewhere`);
  if (!databaseUrl && !(await exists(join(dataDir, databaseFiles.embedded))))
    throw new BackupError(`DATA_DIR ${dataDir} has no database`);
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(partial, { mode: 0o700 });
  try {
    return await withoutServer(settings, async () => {
      await copyData(settings, partial);
      const manifest = await writeManifest(partial, databaseUrl ? 'postgresql' : 'embedded');
      await rename(partial, folder);
      return manifest;
    });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}
