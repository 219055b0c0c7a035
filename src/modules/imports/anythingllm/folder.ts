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

/** A folder that nothing is read outside of, whatever its links say. */
export interface Folder {
  /** Its real path. */
  path: string;
  has(...names: string[]): boolean;
  /** The names in a folder of it, in order; none for one that is not there. Throws Unfit for one that leads outside. */
  list(...names: string[]): { name: string; isFolder: boolean }[];
  /** The bytes of a file. Throws Unfit for what leads outside, is no file, or is larger than so many bytes. */
  read(max: number, ...names: string[]): Buffer;
}

/** Opens a folder that is there. */
export function openFolder(named: string): Folder {
  const path = realpathSync(named);

  function within(names: string[]): string {
    let real: string;
    try {
      real = realpathSync(join(path, ...names));
    } catch {
      throw new Unfit('is a link that leads nowhere, or cannot be read');
    }
    if (real !== path && !real.startsWith(path.endsWith(sep) ? path : path + sep))
      throw new Unfit('is a link that leads out of the folder');
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
      // Without waiting for a writer, which a pipe would have us do.
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
