import type { Principal } from '../../authz/principal.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { type AuditEntry, by } from '../audit/audit.service.ts';

/**
 * The title of a private document of a project is not recorded, since readers of the audit trail cannot see the
 * project.
 */
const named = ({ title, projectId }: Document) => (projectId === null ? { title } : { projectId });

const entry = (
  principal: Principal,
  action: 'document.ingest' | 'document.delete' | 'document.move',
  document: Document,
  detail: Prisma.InputJsonObject,
): AuditEntry => ({ ...by(principal), action, target: { type: 'Document', id: document.externalId }, detail });

/** Returns the audit entry of a document that was added or replaced. */
export const ingestionEntry = (
  author: Principal,
  document: Document,
  detail: { replaced: boolean; agentIds: number[] },
): AuditEntry =>
  entry(author, 'document.ingest', document, { ...named(document), isPublic: document.isPublic, ...detail });

/** Returns the audit entry of a document that was deleted. */
export const deletionEntry = (principal: Principal, document: Document): AuditEntry =>
  entry(principal, 'document.delete', document, {
    ...named(document),
    isPublic: document.isPublic,
    ownerId: document.ownerId,
  });

/** Returns the audit entry of a document that was moved or renamed, with both locations. */
export const moveEntry = (principal: Principal, document: Document, detail: { from: string; to: string }): AuditEntry =>
  entry(principal, 'document.move', document, detail);
