import { unzipSync } from 'fflate';
import { UnreadableError } from './unreadable.ts';

/** Maximum number of entries in an archive. */
const maxEntries = 2000;

/** Maximum size of the decompressed parts, in bytes. */
const maxUnpacked = 100_000_000;

/** The parts of an archive, by name. */
export type Parts = ReadonlyMap<string, Uint8Array>;

/**
 * Unpacks the parts of a ZIP archive whose names `isRead` accepts, each up to the size that its entry declares. Throws
 * UnreadableError for more than 2,000 entries, or when the parts exceed 100 MB in total.
 */
export function unpack(bytes: Uint8Array, isRead: (name: string) => boolean): Parts {
  let entries = 0;
  let unpacked = 0;
  const parts = unzipSync(bytes, {
    filter: ({ name, originalSize }) => {
      if (++entries > maxEntries) throw new UnreadableError(`has more than ${maxEntries.toLocaleString('en')} parts`);
      if (!isRead(name)) return false;
      unpacked += originalSize;
      if (unpacked > maxUnpacked) throw new UnreadableError('is too large when unpacked');
      return true;
    },
  });
  // A Map, because a part can have the same name as a built-in object property.
  return new Map(Object.entries(parts));
}
