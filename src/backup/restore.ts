import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Settings } from '../settings.ts';
import { withoutServer } from './backup.ts';
import { BackupError, databaseFiles, dataFiles, exists, type Manifest, readManifest } from './manifest.ts';
import { isEmptyDatabase, restoreDatabase } from './postgres-tools.ts';

/** Throws BackupError when the target has data, which a restore would mix with that of the backup. */
async function requireEmpty({ databaseUrl, dataDir }: Pick<Settings, 'databaseUrl' | 'dataDir'>): Promise<void> {
  const found: string[] = await readdir(dataDir).catch(() => []);
  const present = [databaseFiles.embedded, ...dataFiles].filter((name) => found.includes(name));
  if (present.length > 0)
    throw new BackupError(`DATA_DIR ${dataDir} is not empty (${present.join(', ')}): restore to a new folder`);
  if (databaseUrl && !(await isEmptyDatabase(databaseUrl)))
    throw new BackupError('the database in DATABASE_URL is not empty: restore to a new database');
}

/** Copies a file or a folder of a backup, which exists in the target only when it is complete. */
async function copyBack(from: string, to: string): Promise<void> {
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  await cp(from, partial, { recursive: true });
  await rename(partial, to);
}

/**
 * Restores a backup to an empty DATA_DIR and an empty database of the same kind. Returns the manifest. The server must
 * not run. Throws BackupError, AlreadyRunningError.
 */
export async function restoreBackup(
  settings: Pick<Settings, 'databaseUrl' | 'dataDir'>,
  source: string,
): Promise<Manifest> {
  const { databaseUrl, dataDir } = settings;
  const folder = resolve(source);
  const manifest = await readManifest(folder);
  if (manifest.database === 'embedded' && databaseUrl)
    throw new BackupError('the backup is of an embedded database: restore it without DATABASE_URL');
  if (manifest.database === 'postgresql' && !databaseUrl)
    throw new BackupError('the backup is of a PostgreSQL database: set DATABASE_URL to an empty database');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await withoutServer(settings, async () => {
    await requireEmpty(settings);
    for (const name of dataFiles)
      if (await exists(join(folder, name))) await copyBack(join(folder, name), join(dataDir, name));
    const database = join(folder, databaseFiles[manifest.database]);
    if (databaseUrl) await restoreDatabase(databaseUrl, database);
    else await copyBack(database, join(dataDir, databaseFiles.embedded));
  });
  return manifest;
}
