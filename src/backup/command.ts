import { readSettings, type Settings } from '../settings.ts';
import { StartupError } from '../startup-error.ts';
import { AlreadyRunningError } from '../store/instance-lock.ts';
import type { Manifest } from './manifest.ts';

/**
 * Runs a backup or a restore from the command line with the settings of the environment. `done` completes the sentence
 * about what was done. Returns the exit code.
 */
export async function runBackupCommand(
  {
    usage,
    work,
    done,
  }: { usage: string; work: (settings: Settings, folder: string) => Promise<Manifest>; done: string },
  args: string[],
): Promise<number> {
  const [folder, ...rest] = args;
  if (!folder || folder.startsWith('-') || rest.length > 0) {
    console.error(`usage: ${usage}`);
    return 1;
  }
  try {
    const settings = readSettings(process.env);
    const { createdAt, version, content } = await work(settings, folder);
    const megabytes = (content.bytes / 1e6).toFixed(1);
    console.log(`${done} ${folder}: version ${version}, ${createdAt}, ${content.files} files, ${megabytes} MB`);
    if (settings.s3) console.log('The objects in S3_BUCKET are not part of a backup: save the bucket as well.');
    return 0;
  } catch (error) {
    const advice = error instanceof AlreadyRunningError ? '. Stop the server first' : '';
    const reason = error instanceof StartupError ? error.message : String(error);
    console.error(`latchkey: ${reason}${advice}`);
    return 1;
  }
}
