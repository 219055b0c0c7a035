import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { badInput, notFound, parse } from '../../errors.ts';
import { searchForm } from '../../text/normalize.ts';
import { by } from '../audit/audit.service.ts';
import { transactionTimeouts } from './document-rules.ts';
import type { FolderDeps } from './folder-deps.ts';
import { defaultFolder, FolderName } from './location.ts';
import { eraseDocuments, lockDocuments } from './placed-documents.ts';

const DeleteFolder = z.object({ name: FolderName });

export const folderDeletion = ({ db, audit }: FolderDeps) => ({
  /**
   * Deletes a folder with its readable documents; others move to the default folder. Throws BAD_USER_INPUT for the
   * default folder, NOT_FOUND.
   */
  async delete(
    principal: Principal,
    input: z.input<typeof DeleteFolder>,
  ): Promise<{ name: string; documentIds: number[] }> {
    const { name } = parse(DeleteFolder, input);
    if (name === defaultFolder) throw badInput(['input', 'name'], 'is a built-in folder and cannot be deleted');
    return db.prisma.$transaction(async (transaction) => {
      const [folder] = await transaction.$queryRaw<{ id: number; name: string }[]>`
        SELECT "id", "name" FROM "DocumentFolder" WHERE "nameForm" = ${searchForm(name)} FOR UPDATE`;
      if (!folder) throw notFound('FOLDER_NOT_FOUND');
      const documents = await lockDocuments(transaction, principal, { folderId: folder.id });
      await eraseDocuments(transaction, audit, principal, documents);
      await transaction.documentFolder.delete({ where: { id: folder.id } });
      await audit.record(transaction, {
        ...by(principal),
        action: 'document_folder.delete',
        target: { type: 'DocumentFolder', id: folder.id },
        detail: { name: folder.name, documents: documents.length },
      });
      return { name: folder.name, documentIds: documents.map(({ id }) => id) };
    }, transactionTimeouts);
  },
});
