import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Database } from '../../store/database.ts';

export interface DocumentSize {
  words: number;
  tokens: number;
}

/**
 * Returns a loader for the length of a passage's document, or null for a document that the principal cannot read. Uses
 * one statement for all documents of a request.
 */
export function documentSizes(db: Database) {
  type Batch = { ids: Set<string>; sizes: Promise<ReadonlyMap<string, DocumentSize>> };
  const gathering = new WeakMap<Principal, Batch>();

  async function look(principal: Principal, ids: readonly string[]) {
    const found = await db.prisma.document.findMany({
      where: { AND: [visible.documents(principal), { externalId: { in: [...ids] } }] },
      select: { externalId: true, wordCount: true, tokenCount: true },
    });
    return new Map(
      found.map(({ externalId, wordCount, tokenCount }) => [externalId, { words: wordCount, tokens: tokenCount }]),
    );
  }

  function gather(principal: Principal): Batch {
    const known = gathering.get(principal);
    if (known) return known;
    const ids = new Set<string>();
    const sizes = new Promise((resolve) => setImmediate(resolve)).then(() => {
      gathering.delete(principal);
      return look(principal, [...ids]);
    });
    const batch = { ids, sizes };
    gathering.set(principal, batch);
    return batch;
  }

  return async (principal: Principal, documentId: string): Promise<DocumentSize | null> => {
    const { ids, sizes } = gather(principal);
    ids.add(documentId);
    return (await sizes).get(documentId) ?? null;
  };
}
