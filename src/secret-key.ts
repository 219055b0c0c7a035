import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartupError } from './startup-error.ts';

/** The length of a generated key in bytes. */
const length = 32;

/**
 * Returns `SECRET_KEY`, or the key in `DATA_DIR/secret-key`, which is generated when it does not exist. Only the user of
 * the server can read that file. Throws StartupError.
 */
export function readSecretKey({ secretKey, dataDir }: { secretKey: string | undefined; dataDir: string }): string {
  if (secretKey !== undefined) return secretKey;
  const file = join(dataDir, 'secret-key');
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(file, `${randomBytes(length).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const key = readFileSync(file, 'utf8').trim();
    if (key !== '') return key;
  } catch (error) {
    throw new StartupError(`the file ${file} cannot be used: ${(error as Error).message}`, { cause: error });
  }
  throw new StartupError(`the file ${file} is empty; delete it, or set SECRET_KEY`);
}
