import { randomUUID } from 'node:crypto';
import { imageTokens } from '../../ai/tokens.ts';
import type { Principal } from '../../authz/principal.ts';
import { conflict, notFound } from '../../errors.ts';
import type { File, Prisma } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { projectToFill } from '../projects/project-access.ts';
import { lockUser } from '../users/users.service.ts';
import type { FileType } from './extract/kinds.ts';
import type { FilesDeps } from './files-deps.ts';
import { displace } from './replaced-files.ts';

/** The storage limits of one user. */
const most = { files: 1000, bytes: 2_000_000_000 };
/** Time after which the blob of an upload without a row counts as left behind by a crash. Milliseconds. */
const uploadPatience = 3600_000;

/** Throws CONFLICT when the user's storage limit is reached. */
async function admit(transaction: Prisma.TransactionClient, userId: string, size: number): Promise<void> {
  await lockUser(transaction, userId);
  const { _count, _sum } = await transaction.file.aggregate({
    where: { ownerId: userId },
    _count: true,
    _sum: { size: true },
  });
  if (_count >= most.files) throw conflict('TOO_MANY_FILES', `Too many files (limit: ${most.files}).`);
  if ((_sum.size ?? 0) + size > most.bytes) throw conflict('STORAGE_FULL', 'The storage limit of 2 GB is reached.');
}

/** A file that was accepted. */
interface AcceptedFile {
  name: string;
  type: FileType;
  bytes: Uint8Array;
  projectId: number | null;
  /** The IDs of the earlier files that it replaces. */
  replaces: string[];
}

/**
 * Stores one accepted file. The blob is written before the row; if the row is not written, `sweep` erases the blob. Throws
 * NOT_FOUND for the project of another user, CONFLICT when the storage limit is reached.
 */
export async function storeFile(
  { db, audit, blobs }: FilesDeps,
  principal: Principal,
  { name, type, bytes, projectId, replaces }: AcceptedFile,
  sweep: () => void,
): Promise<File> {
  const id = randomUUID();
  const image = type.kind === 'IMAGE';
  await db.prisma.orphanedBlob.create({ data: { id, dueAt: new Date(Date.now() + uploadPatience) } });
  try {
    await blobs.write(id, bytes);
    return await db.prisma.$transaction(async (transaction) => {
      await admit(transaction, principal.userId, bytes.length);
      if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
      const file = await transaction.file.create({
        data: {
          id,
          ownerId: principal.userId,
          name,
          mediaType: type.mediaType,
          kind: type.kind,
          size: bytes.length,
          ...(image && { status: 'COMPLETED', tokenCount: imageTokens }),
          ...(projectId !== null && { projects: { connect: { id: projectId } } }),
          replaces,
        },
      });
      if (image) await displace(transaction, audit, file);
      await transaction.orphanedBlob.delete({ where: { id } });
      await audit.record(transaction, {
        ...by(principal),
        action: 'file.upload',
        target: { type: 'File', id },
        detail: {
          mediaType: type.mediaType,
          size: bytes.length,
          ...(projectId !== null && { projectId }),
          ...(replaces.length > 0 && { replaces }),
        },
      });
      return file;
    });
  } catch (error) {
    // Erased immediately: a user at the storage limit could otherwise fill the disk in the meantime.
    await db.prisma.orphanedBlob.updateMany({ where: { id }, data: { dueAt: new Date() } });
    sweep();
    throw error;
  }
}
