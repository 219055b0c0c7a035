import { randomUUID } from 'node:crypto';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { searchForm } from '../../text/normalize.ts';
import { ingestionEntry } from './document-audit.ts';
import { transactionTimeouts } from './document-rules.ts';
import { folderToFill } from './folder-rules.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { fileNameOf } from './location.ts';
import { storeDocument } from './store-document.ts';

/** A validated document. */
export interface NewDocument {
  title: string;
  text: string;
  link: string | null;
  source: string;
  metadata: Record<string, string>;
  documentUpdatedAt: Date | null;
  /** The start of its file name. */
  name: string;
  prefix: string;
}

/** Where new documents are placed: in a folder, null for the default folder, and in the agents with these slugs. */
export interface Placement {
  folder: string | null;
  agentSlugs: readonly string[];
}

/** Returns the name by which a repeated upload to the same folder is recognized. */
const uploadNameOf = ({ name, prefix }: NewDocument): string => searchForm(`${prefix}${name}`);

/** Prevents concurrent uploads of documents with these names to the folder until the transaction ends. */
async function lockUploadNames(transaction: Prisma.TransactionClient, folderId: number | null, names: string[]) {
  // Locked in one order, so that concurrent transactions do not deadlock.
  for (const name of [...new Set(names)].sort())
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`${folderId}/${name}`}, 5209))`;
}

export const documentAddition = ({ db, audit, embedder }: KnowledgeDeps) => ({
  /**
   * Adds public documents, all or none. A document that was uploaded to the folder with the same name is replaced and
   * keeps its ID, location, visibility and agents. `folder` is created if it does not exist. The documents are added to
   * the agents of `agentSlugs` that the author can edit; other slugs are ignored.
   */
  async add(
    author: Principal,
    documents: readonly NewDocument[],
    { folder, agentSlugs }: Placement,
  ): Promise<Document[]> {
    const added = await db.prisma.$transaction(async (transaction) => {
      const folderId = await folderToFill(transaction, audit, author, folder);
      const agents = await transaction.agent.findMany({
        where: { AND: [visible.editableAgents(author), { slug: { in: [...agentSlugs] }, deletedAt: null }] },
        select: { id: true },
      });
      const agentIds = agents.map((agent) => agent.id);
      await lockUploadNames(transaction, folderId, documents.map(uploadNameOf));
      const rows: Document[] = [];
      for (const added of documents) {
        const { title, text, link, metadata, name, prefix, ...columns } = added;
        const id = randomUUID();
        const uploadName = uploadNameOf(added);
        // Files of one request that have the same name are different files.
        const where = { folderId, uploadName, fileId: null, id: { notIn: rows.map((row) => row.id) } };
        const before = await transaction.document.findFirst({
          where: { AND: [visible.documents(author), where] },
          orderBy: { id: 'asc' },
        });
        const target = { before, externalId: id, ownerId: author.userId };
        const content = { title, sections: [{ text, link }], metadata };
        const document = await storeDocument(transaction, target, content, {
          ...columns,
          ...(!before && {
            origin: 'UPLOAD' as const,
            uploadName,
            fileName: fileNameOf(name, { prefix, id }),
            ...(folderId !== null && { folder: { connect: { id: folderId } } }),
          }),
          agents: { connect: agents },
        });
        await audit.record(transaction, ingestionEntry(author, document, { replaced: before !== null, agentIds }));
        rows.push(document);
      }
      return rows;
    }, transactionTimeouts);
    embedder?.soon();
    return added;
  },
});
