import type { File, Prisma } from '../../generated/prisma/client.ts';
import { searchForm } from '../../text/normalize.ts';
import type { AuditService } from '../audit/audit.service.ts';

/** Returns the IDs of the files whose name looks the same as a name. */
export const sameName = (files: readonly Pick<File, 'id' | 'name'>[], name: string): string[] =>
  files.filter((file) => searchForm(file.name) === searchForm(name)).map(({ id }) => id);

/**
 * Removes the earlier files of the same name, which the upload of this file replaces, from the projects of the file,
 * and deletes those that no project, agent or message uses. Runs when the new file can be used, so that a file that
 * cannot be read replaces none.
 */
export async function displace(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  { id, ownerId, replaces }: File,
): Promise<void> {
  if (replaces.length === 0) return;
  const projects = await transaction.project.findMany({ where: { files: { some: { id } } }, select: { id: true } });
  for (const earlier of await transaction.file.findMany({ where: { id: { in: replaces }, ownerId } }))
    await transaction.file.update({ where: { id: earlier.id }, data: { projects: { disconnect: projects } } });
  const unused = { projects: { none: {} }, agents: { none: {} }, messages: { none: {} } };
  const where = { id: { in: replaces }, ownerId, ...unused };
  const unusedFiles = await transaction.file.findMany({
    where,
    select: { id: true, owner: { select: { name: true } } },
  });
  for (const deleted of unusedFiles)
    await audit.record(transaction, {
      action: 'file.delete',
      actor: { userId: ownerId, name: deleted.owner.name },
      // The text was extracted after the request, whose client and credential `file.upload` has recorded.
      tokenId: null,
      client: { address: null, userAgent: null },
      target: { type: 'File', id: deleted.id },
      detail: { replacedBy: id },
    });
  await transaction.file.deleteMany({ where });
}
