import { unzipSync } from 'fflate';
import { UnreadableError } from './unreadable.ts';

/** The most entries that an archive may have. */
const maxEntries = 2000;

/** Maximum size of the decompressed parts, in bytes. */
const maxUnpacked = 100_000_000;

/** The parts of an archive by their names. */
export type Parts = ReadonlyMap<string, Uint8Array>;

/**
 * Unpacks the parts of a ZIP archive whose names are read, each into as many bytes as its entry declares, and no more.
 * Throws UnreadableError for more than 2,000 entries, and for parts of more than 100 MB together.
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
  // A name may be that of a property of every object.
  return new Map(Object.entries(parts));
}
