import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { deletionEntry } from './document-audit.ts';

/** A document with its folder; null for the default folder. */
type PlacedDocument = Document & { folder: { name: string } | null };

/** Returns the readable ones of these documents, without texts of files, locked until the transaction ends. */
export async function lockDocuments(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  where: Prisma.DocumentWhereInput,
): Promise<PlacedDocument[]> {
  const mine = { AND: [visible.documents(principal), { fileId: null }, where] };
  const ids = (await transaction.document.findMany({ where: mine, select: { id: true } })).map(({ id }) => id);
  if (ids.length === 0) return [];
  // Locked in one order, so that concurrent transactions do not deadlock.
  await transaction.$queryRaw`SELECT 1 FROM "Document" WHERE "id" = ANY(${ids}::int[]) ORDER BY "id" FOR UPDATE`;
  return transaction.document.findMany({
    where: { AND: [mine, { id: { in: ids } }] },
    include: { folder: { select: { name: true } } },
    orderBy: { id: 'asc' },
  });
}

/** Deletes documents and records each. */
export async function eraseDocuments(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  documents: readonly Document[],
): Promise<void> {
  await transaction.document.deleteMany({ where: { id: { in: documents.map(({ id }) => id) } } });
  for (const document of documents) await audit.record(transaction, deletionEntry(principal, document));
}
