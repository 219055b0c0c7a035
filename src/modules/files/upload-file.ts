import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound } from '../../errors.ts';
import type { File } from '../../generated/prisma/client.ts';
import { cutText } from '../../unicode.ts';
import type { FilesDeps } from './files-deps.ts';
import { inspect } from './inspect-file.ts';
import { sameName } from './replaced-files.ts';
import { storeFile } from './store-file.ts';

/** The limit of one request. */
const maxAtOnce = 20;

/** An uploaded file. */
export interface Upload {
  name: string;
  /** Returns a new copy on each call, since one form can refer to one file several times. */
  bytes: () => Promise<Uint8Array>;
}

export interface Uploaded {
  files: File[];
  /** The rejected files with the reason, which completes "the file …". */
  rejected: { name: string; reason: string }[];
}

/** Creates the upload of files. `read` extracts the text of a file, and `sweep` erases blobs that belong to none. */
export function fileUploads(deps: FilesDeps, read: (file: File) => void, sweep: () => void) {
  const { db, settings } = deps;

  /** Returns the principal's files in a project, which an upload to it can replace. */
  const replaceable = async (principal: Principal, projectId: number | null) =>
    projectId === null
      ? []
      : db.prisma.file.findMany({
          where: { AND: [visible.ownFiles(principal), { projects: { some: { id: projectId } } }] },
          select: { id: true, name: true },
        });

  return {
    /**
     * Stores files, in a project of the principal if one is given, and always in the project of a project token. There,
     * a file replaces the principal's earlier files of the same name as soon as its text has been extracted. Each
     * file is handled separately: a rejected file is returned with the reason. Text is extracted afterwards; `status`
     * reports the result. Throws BAD_USER_INPUT for no file or more than 20 files, NOT_FOUND for a project of another
     * user, CONFLICT when the storage limit of the user (1,000 files, 2 GB) is reached; files before that one are
     * stored.
     */
    async upload(principal: Principal, uploads: readonly Upload[], asked?: number | null): Promise<Uploaded> {
      if (uploads.length === 0 || uploads.length > maxAtOnce)
        throw badInput(['input', 'files'], `must be 1 to ${maxAtOnce} files`);
      const projectId = asked ?? principal.credential.projectId;
      if (projectId !== null) {
        const where = { AND: [visible.projects(principal), { id: projectId }] };
        if ((await db.prisma.project.count({ where })) === 0) throw notFound('PROJECT_NOT_FOUND');
      }
      // Read once: files of one request that have the same name are different files.
      const earlier = await replaceable(principal, projectId);
      const files: File[] = [];
      const rejected: Uploaded['rejected'] = [];
      for (const upload of uploads) {
        const bytes = await upload.bytes();
        const seen = inspect(settings, upload.name, bytes);
        if ('reason' in seen) {
          rejected.push({ name: cutText(upload.name.toWellFormed().replaceAll('\0', ''), 255), reason: seen.reason });
          continue;
        }
        const replaces = sameName(earlier, seen.name);
        const file = await storeFile(deps, principal, { ...seen, bytes, projectId, replaces }, sweep);
        files.push(file);
        if (file.status === 'PROCESSING') read(file);
      }
      return { files, rejected };
    },
  };
}
