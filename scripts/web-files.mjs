// Writes folders of files that the server sends as they are: each also compressed, so that the server does not compress
// them at run time.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/**
 * Replaces a folder by the files that `fill` writes, and adds the manifest that it returns as `manifest.json`. A failure
 * leaves the old folder as it is.
 *
 * @param {string} folder
 * @param {(building: string) => object} fill
 */
export function replaceFolder(folder, fill) {
  const building = `${folder}.new`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building, { recursive: true });
  writeFileSync(join(building, 'manifest.json'), JSON.stringify(fill(building), null, 2));
  rmSync(folder, { recursive: true, force: true });
  renameSync(building, folder);
}

/**
 * Writes a file with its compressed forms, `.br` and `.gz`.
 *
 * @param {string} file
 * @param {Buffer} bytes
 */
export function writeCompressed(file, bytes) {
  writeFileSync(file, bytes);
  // Level 9 compresses ten megabytes in two seconds; level 11 takes a minute to save another tenth.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }));
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
}

/**
 * Returns a hash of the content of a file: 16 hexadecimal digits.
 *
 * @param {Buffer} bytes
 */
export const contentHash = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
