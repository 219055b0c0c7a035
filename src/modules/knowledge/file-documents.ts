import type { Document, File, Prisma } from '../../generated/prisma/client.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { storeDocument } from './store-document.ts';

/** Returns the download path of a file, without a host, which the reader of the citation already knows. */
export const fileLink = (id: string): string => `/api/chat/file/${id}`;

export const fileDocuments = ({ embedder }: Pick<KnowledgeDeps, 'embedder'>) => ({
  /** Indexes the text of a file under the file's ID, for the principals that can see the file. See `changed`. */
  storeFile: (
    transaction: Prisma.TransactionClient,
    { id, name, ownerId }: Pick<File, 'id' | 'name' | 'ownerId'>,
    text: string,
  ): Promise<Document> =>
    storeDocument(
      transaction,
      { before: null, externalId: id, ownerId },
      { title: name, sections: [{ text, link: fileLink(id) }], metadata: {} },
      { origin: 'FILE', source: 'user_file', isPublic: false, file: { connect: { id } } },
    ),

  /** Must be called after the commit of a transaction that writes documents. */
  changed: (): void => embedder?.soon(),
});
