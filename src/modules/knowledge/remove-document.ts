import type { Principal } from '../../authz/principal.ts';
import { conflict, notFound } from '../../errors.ts';
import type { Document, DocumentOrigin, Prisma } from '../../generated/prisma/client.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { deletionEntry } from './document-audit.ts';
import { checkNotOfFile, checkWritable, lockDocument, storable, transactionTimeouts } from './document-rules.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';

/** Deletes a document with its passages and records it. */
export async function eraseDocument(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  document: Document,
): Promise<Document> {
  await transaction.document.delete({ where: { id: document.id } });
  await audit.record(transaction, deletionEntry(principal, document));
  return document;
}

export const documentRemoval = ({ db, audit }: Pick<KnowledgeDeps, 'db' | 'audit'>) => ({
  /**
   * Deletes a document with its passages. Throws NOT_FOUND, FORBIDDEN for a readable document of another user, and
   * CONFLICT for one whose origin is not in `onlyOrigins`.
   */
  async remove(
    principal: Principal,
    externalId: string,
    onlyOrigins?: readonly DocumentOrigin[] | null,
  ): Promise<Document> {
    if (!storable(externalId)) throw notFound('DOCUMENT_NOT_FOUND');
    return db.prisma.$transaction(async (transaction) => {
      const document = await lockDocument(transaction, externalId);
      if (!document) throw notFound('DOCUMENT_NOT_FOUND');
      await checkWritable(transaction, principal, document, () => notFound('DOCUMENT_NOT_FOUND'));
      if (onlyOrigins && !onlyOrigins.includes(document.origin))
        throw conflict('DOCUMENT_OF_OTHER_ORIGIN', `The origin of this document is ${document.origin}.`);
      checkNotOfFile(document);
      return eraseDocument(transaction, audit, principal, document);
    }, transactionTimeouts);
  },
});
