import type { Settings } from '../../settings.ts';
import { baseName, type FileType, kindOf } from './extract/kinds.ts';

/** Returns the type of a file, or the reason why it is rejected. */
export function inspect(
  { maxFileSize }: Pick<Settings, 'maxFileSize'>,
  name: string,
  bytes: Uint8Array,
): { name: string; type: FileType } | { reason: string } {
  const own = baseName(name);
  if (own === null) return { reason: 'has an invalid file name' };
  if (bytes.length === 0) return { reason: 'is empty' };
  if (bytes.length > maxFileSize) return { reason: `is larger than ${maxFileSize / 1024 / 1024} MB` };
  const type = kindOf(own, bytes);
  return 'unsupported' in type ? { reason: type.unsupported } : { name: own, type };
}
