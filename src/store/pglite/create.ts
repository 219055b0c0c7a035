import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { projectRoot } from '../../project-root.ts';
import { StartupError } from '../../startup-error.ts';
import type { FromCreation } from './requests.ts';

/** Time limit for creating a database, in milliseconds. Takes a minute on a slow disk. */
const createTimeoutMs = 180_000;

const script = join(projectRoot, 'dist', 'pglite-create.js');

/**
 * Creates the folder of an embedded database, unless it exists. Another process writes the files, because creating
 * them leaves 450 MiB allocated. The folder gets its name when it is complete, so that a creation that was killed
 * leaves no database that cannot be opened. Throws StartupError.
 *
 * The caller must hold the lock of the parent folder.
 */
export async function createLiteFolder(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  const prefix = `${basename(folder)}.new-`;
  const remove = (path: string) => rm(path, { recursive: true, force: true, maxRetries: 5 });
  for (const name of await readdir(parent)) if (name.startsWith(prefix)) await remove(join(parent, name));
  const unfinished = await mkdtemp(join(parent, prefix));
  try {
    await writeFiles(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await remove(unfinished).catch(() => {});
    throw new StartupError(`DATA_DIR: the database in ${folder} cannot be created: ${(error as Error).message}`);
  }
}

/** Creates a database in an empty folder, in another process. Throws the reason of a failure. */
async function writeFiles(folder: string): Promise<void> {
  if (!existsSync(script)) throw new Error(`${script} is missing; \`npm run build\` creates it`);
  const { PATH, SystemRoot } = process.env;
  await new Promise<void>((resolve, reject) => {
    // The process does not get the server's environment, because it contains secrets.
    const child = fork(script, [folder], {
      env: { ...(PATH && { PATH }), ...(SystemRoot && { SystemRoot }) },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      timeout: createTimeoutMs,
      killSignal: 'SIGKILL',
    });
    let reason = '';
    child.on('message', ({ failed }: FromCreation) => {
      reason = failed;
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(reason || `its process ended with ${signal ?? code}`));
    });
  });
}
