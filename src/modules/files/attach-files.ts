import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';

/**
 * Returns the files of a message without duplicates. Throws BAD_USER_INPUT for a file that the principal cannot
 * read.
 */
export async function attachable(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string }[]> {
  if (ids.length === 0) return [];
  const wanted = [...new Set(ids.map((id) => id.toLowerCase()))];
  const where = { AND: [visible.files(principal), { id: { in: wanted } }] };
  const found = await transaction.file.findMany({ where, select: { id: true } });
  const missing = wanted.filter((id) => !found.some((file) => file.id === id));
  if (missing.length > 0)
    throw badInput(
      ['input', 'fileIds'],
      `contains files that do not exist or that you cannot read: ${missing.join(', ')}`,
    );
  await transaction.file.updateMany({ where: { id: { in: wanted } }, data: { usedAt: new Date() } });
  return wanted.map((id) => ({ id }));
}
