import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { File, Prisma } from '../../generated/prisma/client.ts';

/** Locks and returns the principal's own file. Throws NOT_FOUND. */
export async function lockOwnFile(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  id: string,
): Promise<File> {
  const where = { AND: [visible.ownFiles(principal), { id }] };
  // Files of other users are never locked, and a file that was deleted while this waited does not exist.
  if ((await transaction.file.count({ where })) === 0) throw notFound('FILE_NOT_FOUND');
  await transaction.$queryRaw`SELECT 1 FROM "File" WHERE "id" = ${id}::uuid FOR UPDATE`;
  const file = await transaction.file.findFirst({ where });
  if (!file) throw notFound('FILE_NOT_FOUND');
  return file;
}
