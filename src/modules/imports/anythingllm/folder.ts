import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import { Unfit } from '../ledger.ts';

/** A folder. Files outside it are never read, wherever its links point. */
export interface Folder {
  /** The real path. */
  path: string;
  has(...names: string[]): boolean;
  /** Lists a subfolder in order; empty for a missing one. Throws UnimportableError for a path outside the folder. */
  list(...names: string[]): { name: string; isFolder: boolean }[];
  /**
   * Returns the content of a file. Throws UnimportableError for a path outside the folder, anything but a file, and a
   * file above the maximum size in bytes.
   */
  read(max: number, ...names: string[]): Buffer;
}

/** Opens an existing folder. */
export function openFolder(named: string): Folder {
  const path = realpathSync(named);

  function within(names: string[]): string {
    let real: string;
    try {
      real = realpathSync(join(path, ...names));
    } catch {
      throw new Unfit('is a broken link or cannot be read');
    }
    if (real !== path && !real.startsWith(path.endsWith(sep) ? path : path + sep))
      throw new Unfit('is a link to a target outside the folder');
    return real;
  }

  return {
    path,
    has: (...names) => existsSync(join(path, ...names)),
    list(...names) {
      if (!existsSync(join(path, ...names))) return [];
      return readdirSync(within(names), { withFileTypes: true })
        .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    read(max, ...names) {
      // Opened without blocking, since a pipe would wait for a writer.
      const file = openSync(within(names), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      try {
        const stat = fstatSync(file);
        if (!stat.isFile()) throw new Unfit('is not a file');
        if (stat.size > max) throw new Unfit(`is larger than ${Math.floor(max / 1024 / 1024)} MB`);
        return readFileSync(file);
      } finally {
        closeSync(file);
      }
    },
  };
}
