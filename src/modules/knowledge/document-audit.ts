import type { Principal } from '../../authz/principal.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { type AuditService, by } from '../audit/audit.service.ts';

/**
 * The title of a private document of a project is not recorded, since readers of the audit trail cannot see the
 * project.
 */
const named = ({ title, projectId }: Document) => (projectId === null ? { title } : { projectId });

/** Records changes of documents in the audit trail. */
export function documentTrail(audit: AuditService) {
  const record = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    action: 'document.ingest' | 'document.delete' | 'document.move',
    document: Document,
    detail: Prisma.InputJsonObject,
  ) =>
    audit.record(transaction, {
      ...by(principal),
      action,
      target: { type: 'Document', id: document.externalId },
      detail,
    });

  return {
    ingested: (
      transaction: Prisma.TransactionClient,
      author: Principal,
      document: Document,
      detail: { replaced: boolean; agentIds: number[] },
    ) =>
      record(transaction, author, 'document.ingest', document, {
        ...named(document),
        isPublic: document.isPublic,
        ...detail,
      }),

    deleted: (transaction: Prisma.TransactionClient, principal: Principal, document: Document) =>
      record(transaction, principal, 'document.delete', document, {
        ...named(document),
        isPublic: document.isPublic,
        ownerId: document.ownerId,
      }),

    moved: (
      transaction: Prisma.TransactionClient,
      principal: Principal,
      document: Document,
      detail: { from: string; to: string },
    ) => record(transaction, principal, 'document.move', document, detail),
  };
}
