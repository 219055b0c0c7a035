import { randomUUID } from 'node:crypto';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, parse } from '../../errors.ts';
import type { Document, DocumentOrigin, Prisma, Project } from '../../generated/prisma/client.ts';
import { projectToFill } from '../projects/project-access.ts';
import { ingestionEntry } from './document-audit.ts';
import { Ingest, type IngestInput } from './document-input.ts';
import { checkNotOfFile, checkWritable, lockDocument, transactionTimeouts } from './document-rules.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { storeDocument } from './store-document.ts';

/**
 * Returns the project that a document is added to: one of the author's, and never for a document of another user.
 * Throws BAD_USER_INPUT.
 */
async function projectOf(
  transaction: Prisma.TransactionClient,
  author: Principal,
  projectId: number,
  before: Document | null,
): Promise<Project> {
  const path = ['input', 'projectId'];
  const missing = badInput(path, 'must be one of your projects');
  const project = await projectToFill(transaction, author, projectId, missing);
  if (before && before.ownerId !== author.userId && before.projectId !== project.id)
    throw badInput(path, 'accepts only your own documents');
  return project;
}

/** Throws BAD_USER_INPUT for agents that the author cannot edit. */
async function checkAgents(transaction: Prisma.TransactionClient, author: Principal | null, agentIds: number[]) {
  if (agentIds.length === 0) return;
  const found = await transaction.agent.findMany({
    where: { AND: [author ? visible.editableAgents(author) : {}, { id: { in: agentIds }, deletedAt: null }] },
    select: { id: true },
  });
  const missing = agentIds.filter((id) => !found.some((agent) => agent.id === id));
  if (missing.length > 0)
    throw badInput(['input', 'agentIds'], `contains agents that you cannot edit: ${missing.join(', ')}`);
}

export const documentIngestion = ({ db, audit, embedder }: KnowledgeDeps) => ({
  /**
   * Adds a document, or replaces the text, titles and link of the document with the same ID. Its owner stays, and so
   * does every other property that is absent or null; `agentIds` are added to the agents of the document. `isPublic`
   * defaults to true for a new document and to false for a new document of a project. `searchTitle` is the title that
   * search indexes: absent for `title`, empty for none. An unchanged text is not split again. `null` as the author is
   * the server itself.
   *
   * Only the owner and `manage:documents` can replace a document. Others get FORBIDDEN for a document that they can
   * read and, because an ID is unique within the server, CONFLICT for one that they cannot, which reveals only that
   * the ID is in use. Throws BAD_USER_INPUT, also for agents that the author cannot edit and for projects of other
   * users.
   */
  async ingest(
    author: Principal | null,
    input: IngestInput,
    origin: DocumentOrigin = 'INGESTION',
  ): Promise<{ document: Document; alreadyExisted: boolean }> {
    const data = parse(Ingest, input);
    const externalId = data.id ?? randomUUID();
    const agentIds = [...new Set(data.agentIds)];
    const ingested = db.prisma.$transaction(async (transaction) => {
      const before = await lockDocument(transaction, externalId);
      if (before && author) {
        await checkWritable(transaction, author, before, () =>
          conflict('DOCUMENT_ID_TAKEN', 'This document ID is already in use.'),
        );
        checkNotOfFile(before);
      }
      await checkAgents(transaction, author, agentIds);
      const project =
        author && data.projectId != null ? await projectOf(transaction, author, data.projectId, before) : null;
      const isPublic = data.isPublic ?? (project && !before ? false : null);
      const target = { before, externalId, ownerId: author?.userId ?? null };
      const document = await storeDocument(transaction, target, data, {
        origin,
        searchTitle: data.searchTitle ?? null,
        ...(data.source != null && { source: data.source }),
        ...(data.documentUpdatedAt && { documentUpdatedAt: data.documentUpdatedAt }),
        ...(data.primaryOwners && { primaryOwners: data.primaryOwners }),
        ...(data.secondaryOwners && { secondaryOwners: data.secondaryOwners }),
        ...(isPublic !== null && { isPublic }),
        ...(project && { project: { connect: { id: project.id } } }),
        agents: { connect: agentIds.map((id) => ({ id })) },
      });
      const replaced = before !== null;
      if (author) await audit.record(transaction, ingestionEntry(author, document, { replaced, agentIds }));
      return { document, alreadyExisted: replaced };
    }, transactionTimeouts);
    return ingested.finally(() => embedder?.soon());
  },
});
