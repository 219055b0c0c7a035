import type { Principal } from '../../authz/principal.ts';
import { notFound } from '../../errors.ts';
import type { File, Prisma } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { projectToFill } from '../projects/project-access.ts';
import type { FilesDeps } from './files-deps.ts';
import { lockOwnFile } from './own-file.ts';

export function fileLinks({ db, audit }: Pick<FilesDeps, 'db' | 'audit'>) {
  const recordUse = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    action: 'file.link' | 'file.unlink',
    { id, projectId }: { id: string; projectId: number },
  ) => audit.record(transaction, { ...by(principal), action, target: { type: 'File', id }, detail: { projectId } });

  return {
    /** Adds an own file to an own project. Throws NOT_FOUND. */
    link: (principal: Principal, id: string, projectId: number): Promise<File> =>
      db.prisma.$transaction(async (transaction) => {
        // Locked before the file, in the order in which deleting a project locks.
        await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        await lockOwnFile(transaction, principal, id);
        await recordUse(transaction, principal, 'file.link', { id, projectId });
        return transaction.file.update({ where: { id }, data: { projects: { connect: { id: projectId } } } });
      }),

    /** Removes a file, of any owner, from an own project. The file is kept. Throws NOT_FOUND. */
    unlink: (principal: Principal, id: string, projectId: number): Promise<File> =>
      db.prisma.$transaction(async (transaction) => {
        await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        const file = await transaction.file.findFirst({ where: { id, projects: { some: { id: projectId } } } });
        if (!file) throw notFound('FILE_NOT_FOUND');
        await recordUse(transaction, principal, 'file.unlink', { id, projectId });
        return transaction.file.update({ where: { id }, data: { projects: { disconnect: { id: projectId } } } });
      }),
  };
}
