import { randomUUID } from 'node:crypto';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, forbidden, notFound, parse } from '../../errors.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { projectToFill } from '../projects/project-access.ts';
import { ingestionEntry } from './document-audit.ts';
import { AddToProject, type AddToProjectInput } from './document-input.ts';
import { lockDocument, storable, transactionTimeouts } from './document-rules.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { eraseDocument } from './remove-document.ts';
import { storeDocument } from './store-document.ts';

/**
 * Returns the private document with this ID in one of these projects, locked. Throws NOT_FOUND, FORBIDDEN for a public
 * document.
 */
async function lockInProject(
  transaction: Prisma.TransactionClient,
  externalId: string,
  project: Prisma.ProjectWhereInput,
): Promise<Document> {
  const document = storable(externalId) ? await lockDocument(transaction, externalId) : null;
  const where = { AND: [{ id: document?.id ?? 0 }, { project }] };
  if (!document || (await transaction.document.count({ where })) === 0) throw notFound('DOCUMENT_NOT_FOUND');
  if (document.isPublic) throw forbidden(['manage:documents'], 'A project token cannot change a public document.');
  return document;
}

export const projectDocuments = ({ db, audit, embedder }: KnowledgeDeps) => ({
  /**
   * Adds a private document to an own project, or replaces the private document of that project with that `documentId`;
   * new IDs are generated. A project token can omit the project. Throws BAD_USER_INPUT, NOT_FOUND, and FORBIDDEN for a
   * public document.
   */
  async addToProject(principal: Principal, input: AddToProjectInput): Promise<Document> {
    const data = parse(AddToProject, input);
    const projectId = data.projectId ?? principal.credential.projectId;
    if (projectId === null) throw badInput(['input', 'projectId'], 'is required');
    const added = db.prisma.$transaction(async (transaction) => {
      await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
      const before =
        data.documentId == null ? null : await lockInProject(transaction, data.documentId, { id: projectId });
      const target = { before, externalId: randomUUID(), ownerId: principal.userId };
      const document = await storeDocument(transaction, target, data, {
        ...(!before && { origin: 'PROJECT', isPublic: false, project: { connect: { id: projectId } } }),
      });
      const detail = { replaced: before !== null, agentIds: [] };
      await audit.record(transaction, ingestionEntry(principal, document, detail));
      return document;
    }, transactionTimeouts);
    return added.finally(() => embedder?.soon());
  },

  /** Deletes a private document of an own project. Throws NOT_FOUND, FORBIDDEN for a public document. */
  removeFromProject: (principal: Principal, externalId: string): Promise<Document> =>
    db.prisma.$transaction(async (transaction) => {
      const document = await lockInProject(transaction, externalId, visible.projects(principal));
      return eraseDocument(transaction, audit, principal, document);
    }, transactionTimeouts),
});
