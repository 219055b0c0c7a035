import { createHash } from 'node:crypto';
import { estimateTokens } from '../../ai/tokens.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { type Chunk, chunkerVersion, chunkSections, type Section } from './chunker.ts';
import type { DocumentContent } from './document-input.ts';
import { fileNameOf } from './location.ts';

/** Number of rows per INSERT; PostgreSQL allows 65,535 values in a statement. */
const insertSize = 2000;

/** The document to replace, or the ID and the owner of a new one. */
interface StoreTarget {
  before: Document | null;
  externalId: string;
  /** Null for the server itself, and when the columns name the owner. */
  ownerId: string | null;
}

/** Stores a document with its other columns and, when they changed, its passages. */
export async function storeDocument(
  transaction: Prisma.TransactionClient,
  { before, externalId, ownerId }: StoreTarget,
  { title, sections, metadata }: DocumentContent,
  rest: Partial<Prisma.DocumentCreateInput>,
): Promise<Document> {
  const indexedTitle = rest.searchTitle ?? title;
  const contentHash = hashContent(indexedTitle, sections);
  const changed = !before || !Buffer.from(before.contentHash).equals(contentHash);
  const columns = {
    ...rest,
    title,
    searchTitle: rest.searchTitle ?? null,
    link: sections.find((section) => section.link)?.link ?? null,
    ...(metadata && { metadata }),
    ...lengthOf(sections),
    contentHash,
    ...(changed && { embeddedWith: null }),
  };
  const document = before
    ? await transaction.document.update({ where: { id: before.id }, data: columns })
    : await transaction.document.create({
        data: {
          fileName: fileNameOf(title),
          ...columns,
          externalId,
          ...(ownerId !== null && { owner: { connect: { id: ownerId } } }),
        },
      });
  if (changed) await replaceChunks(transaction, document.id, chunkSections(sections, indexedTitle));
  return document;
}

/** Returns the length of a text: words are separated by whitespace, tokens are estimated. */
function lengthOf(sections: readonly Section[]): { wordCount: number; tokenCount: number } {
  let wordCount = 0;
  let tokenCount = 0;
  for (const { text } of sections) {
    for (const _word of text.matchAll(/\S+/g)) wordCount += 1;
    tokenCount += estimateTokens(text);
  }
  return { wordCount, tokenCount };
}

/** Returns the SHA-256 of everything that the chunks are derived from; `title` is the one that search indexes. */
const hashContent = (title: string, sections: readonly Section[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(
    createHash('sha256')
      .update(JSON.stringify([chunkerVersion, title.normalize('NFC'), sections]))
      .digest(),
  );

async function replaceChunks(transaction: Prisma.TransactionClient, documentId: number, chunks: readonly Chunk[]) {
  await transaction.chunk.deleteMany({ where: { documentId } });
  for (let from = 0; from < chunks.length; from += insertSize)
    await transaction.chunk.createMany({
      data: chunks.slice(from, from + insertSize).map((chunk) => ({ ...chunk, documentId })),
    });
}
