import { notFound } from '../../errors.ts';
import { attachable } from './attach-files.ts';
import { blobSweep } from './blob-sweep.ts';
import { fileDeletion } from './delete-file.ts';
import { fileLists } from './file-lists.ts';
import type { FilesDeps } from './files-deps.ts';
import { inspect } from './inspect-file.ts';
import { fileLinks } from './link-file.ts';
import { fileTexts } from './read-file.ts';
import { fileUploads } from './upload-file.ts';

/** Files with their bytes and texts. Each use case has a separate file. */
export function createFilesService(deps: FilesDeps) {
  const { blobs, extractor, settings } = deps;
  const { sweep, jobs } = blobSweep(deps);
  const { process, stop, ...texts } = fileTexts(deps, sweep);
  return {
    ...fileUploads(deps, (file) => void process(file), sweep),
    ...texts,
    ...fileLists(deps),
    ...fileLinks(deps),
    ...fileDeletion(deps, sweep),
    attachable,

    /** Returns why a file would be rejected, which completes "the file …", or null. */
    refusal(name: string, bytes: Uint8Array): string | null {
      const seen = inspect(settings, name, bytes);
      return 'reason' in seen ? seen.reason : null;
    },

    /** Returns the bytes of a file, or null when they are missing. */
    bytesIfThere: (id: string): Promise<Uint8Array<ArrayBuffer> | null> => blobs.read(id),

    /** Returns the bytes of a file. Throws NOT_FOUND when they are missing. */
    async bytes(id: string): Promise<Uint8Array<ArrayBuffer>> {
      const bytes = await blobs.read(id);
      if (!bytes) throw notFound('FILE_NOT_FOUND');
      return bytes;
    },

    sweep,
    jobs,
    close(): Promise<void> {
      stop();
      return extractor.close();
    },
  };
}

export type FilesService = ReturnType<typeof createFilesService>;
