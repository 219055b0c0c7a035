import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';

/** A document in an input: the ID within its global ID, or its client-assigned ID. */
export type DocumentRef = { global: string } | { text: string };

/** Both IDs of a document. */
interface DocumentIds {
  id: number;
  externalId: string;
}

/** Selects the documents with these IDs; an ID that no document can have selects no document. */
export const withIds = (refs: readonly DocumentRef[]): Prisma.DocumentWhereInput => ({
  OR: [
    {
      id: { in: refs.flatMap((ref) => ('global' in ref ? (databaseId.safeParse(Number(ref.global)).data ?? []) : [])) },
    },
    {
      externalId: { in: refs.flatMap((ref) => ('text' in ref ? (plainText(500).safeParse(ref.text).data ?? []) : [])) },
    },
  ],
});

/**
 * Returns the IDs of the documents at these references, with one statement, which an empty list does not need. The
 * returned function returns undefined for a document that does not exist or that the principal cannot read.
 */
export async function resolveDocuments(
  db: Pick<Prisma.TransactionClient, 'document'>,
  principal: Principal,
  refs: readonly DocumentRef[],
): Promise<(ref: DocumentRef) => DocumentIds | undefined> {
  const found =
    refs.length === 0
      ? []
      : await db.document.findMany({
          where: { AND: [visible.documents(principal), withIds(refs)] },
          select: { id: true, externalId: true },
        });
  const byId = new Map(found.map((ids) => [String(ids.id), ids]));
  const byExternalId = new Map(found.map((ids) => [ids.externalId, ids]));
  return (ref) => ('global' in ref ? byId.get(ref.global) : byExternalId.get(ref.text));
}

/** Returns the error for a reference to a document that does not exist or that the principal cannot read. */
export const unknownDocument = (path: readonly (string | number)[]) =>
  badInput([...path], 'is not the ID of a document that you can read');

const isGlobal = (ref: DocumentRef) => 'global' in ref;

/** Client-assigned IDs are returned unchanged: each use case decides what an ID without a document means. */
export const documentIds = ({ db }: Pick<KnowledgeDeps, 'db'>) => ({
  /**
   * Returns the client-assigned ID of a document. Throws NOT_FOUND for the global ID of a document that the principal
   * cannot read.
   */
  async externalIdOf(principal: Principal, ref: DocumentRef): Promise<string> {
    if ('text' in ref) return ref.text;
    const resolved = await resolveDocuments(db.prisma, principal, [ref]);
    const externalId = resolved(ref)?.externalId;
    if (externalId === undefined) throw notFound('DOCUMENT_NOT_FOUND');
    return externalId;
  },

  /**
   * Returns the client-assigned IDs of documents. Throws BAD_USER_INPUT, naming the entry, for the global ID of a
   * document that the principal cannot read.
   */
  async externalIds(
    principal: Principal,
    refs: readonly DocumentRef[],
    path: readonly (string | number)[],
  ): Promise<string[]> {
    const resolved = await resolveDocuments(db.prisma, principal, refs.filter(isGlobal));
    return refs.map((ref, index) => {
      const externalId = 'text' in ref ? ref.text : resolved(ref)?.externalId;
      if (externalId === undefined) throw unknownDocument([...path, index]);
      return externalId;
    });
  },
});
