import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { version } from '../project-root.ts';
import { StartupError } from '../startup-error.ts';

/** A backup or a restore cannot be carried out. The message is one line for the operator. */
export class BackupError extends StartupError {
  override readonly name = 'BackupError';
}

/** The files in DATA_DIR that a backup contains besides the database: uploaded files, and the generated key. */
export const dataFiles = ['files', 'secret-key'] as const;
/** The database in a backup: the folder of the embedded one, or the dump of PostgreSQL. */
export const databaseFiles = { embedded: 'pglite', postgresql: 'database.dump' } as const;

const Manifest = z.object({
  format: z.literal(1),
  /** The version of the server that made the backup. */
  version: z.string(),
  createdAt: z.iso.datetime(),
  database: z.enum(['embedded', 'postgresql']),
  /** What the backup contains, to find a backup that was copied in part. */
  content: z.object({ files: z.number().int(), bytes: z.number().int() }),
});
export type Manifest = z.infer<typeof Manifest>;

const manifestFile = 'manifest.json';

/** Returns whether a file or a folder exists. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Counts the files in a backup and their bytes, without its manifest. */
async function contentOf(folder: string): Promise<Manifest['content']> {
  const content = { files: 0, bytes: 0 };
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || (entry.parentPath === folder && entry.name === manifestFile)) continue;
    content.files++;
    content.bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return content;
}

/** Writes the manifest of a complete backup and returns it. */
export async function writeManifest(folder: string, database: Manifest['database']): Promise<Manifest> {
  const content = await contentOf(folder);
  const manifest: Manifest = { format: 1, version, createdAt: new Date().toISOString(), database, content };
  await writeFile(join(folder, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  return manifest;
}

/** Returns the manifest of a backup. Throws BackupError when the folder is no complete backup. */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, manifestFile), 'utf8').catch(() => {
    throw new BackupError(`${folder} is not a backup: it has no ${manifestFile}`);
  });
  let manifest: Manifest;
  try {
    manifest = Manifest.parse(JSON.parse(text));
  } catch {
    throw new BackupError(`${join(folder, manifestFile)} is not a manifest that this version can read`);
  }
  const { files, bytes } = await contentOf(folder);
  if (files !== manifest.content.files || bytes !== manifest.content.bytes)
    throw new BackupError(
      `${folder} is incomplete or changed: it has ${files} files with ${bytes} bytes instead of ${manifest.content.files} files with ${manifest.content.bytes} bytes`,
    );
  return manifest;
}
