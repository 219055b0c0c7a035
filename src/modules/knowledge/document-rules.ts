import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { conflict, forbidden } from '../../errors.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { plainText } from '../../zod-types.ts';

/**
 * Storing or moving documents takes time, and so does waiting for a concurrent write of the same document.
 * Milliseconds.
 */
export const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Returns whether PostgreSQL can store this ID. No document has an ID that it cannot store. */
export const storable = (externalId: string) => plainText(500).safeParse(externalId).success;

/**
 * Returns the document with this ID and prevents concurrent writes to the ID until the transaction ends, whether the
 * document exists or not.
 */
export async function lockDocument(
  transaction: Prisma.TransactionClient,
  externalId: string,
): Promise<Document | null> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${externalId}, 5208))`;
  return transaction.document.findUnique({ where: { externalId } });
}

/** Throws CONFLICT for the text of a file, which is deleted with that file only. */
export function checkNotOfFile(document: Document): void {
  if (document.fileId !== null)
    throw conflict('DOCUMENT_OF_FILE', 'This document contains the text of a file. Delete the file instead.');
}

/** Throws `unseen` for a document that the principal cannot read and FORBIDDEN for one that it can only read. */
export async function checkWritable(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  { id, ownerId }: Document,
  unseen: () => Error,
): Promise<void> {
  const where = { AND: [visible.documents(principal), { id }] };
  if ((await transaction.document.count({ where })) === 0) throw unseen();
  if (!can(principal, 'manage:documents') && ownerId !== principal.userId)
    throw forbidden(['manage:documents'], 'You cannot change this document.');
}
