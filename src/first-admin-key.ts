import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How the operator gets the first admin key: it is displayed, or it is in a file. */
export type FirstAdminKey = { secret: string } | { file: string };

export interface HandOverOptions {
  dataDir: string;
  /** Whether standard output is a terminal. Any other output may end up in the files of a log collector. */
  isTerminal: boolean;
}

/**
 * Hands the first admin key over: for a terminal as it is, otherwise in `DATA_DIR/first-admin-key`, which only the user
 * of the server can read. Throws when that file cannot be written.
 */
export function handOver(secret: string, { dataDir, isTerminal }: HandOverOptions): FirstAdminKey {
  if (isTerminal) return { secret };
  const file = join(dataDir, 'first-admin-key');
  const draft = `${file}.${process.pid}`;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  rmSync(draft, { force: true });
  writeFileSync(draft, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(draft, file);
  return { file };
}
