import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, ListOrders, type Page } from '../../paging.ts';
import { storable } from './document-rules.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import type { Hit } from './retrieval.ts';

/** The order of the documents of an agent. */
export const documentsById = new ListOrder('agentDocuments', [{ field: 'id', type: 'int', direction: 'asc' }]);

const byId = { field: 'id', type: 'int', direction: 'asc' } as const;

export const documentOrders = new ListOrders(
  'documents',
  {
    CREATED_AT: [byId],
    UPDATED_AT: [{ field: 'updatedAt', type: 'date', direction: 'asc' }, byId],
    TITLE: [{ field: 'title', type: 'text', direction: 'asc' }, byId],
  },
  { field: 'CREATED_AT', direction: 'DESC' },
);
export const documentOrder = documentOrders.default;

export const documentLists = ({ db }: Pick<KnowledgeDeps, 'db'>) => ({
  /** Returns a document. Throws NOT_FOUND for one that does not exist or that the principal cannot read. */
  async find(
    principal: Principal,
    key: { id: number } | { externalId: string },
    query: object = {},
  ): Promise<Document> {
    if ('externalId' in key && !storable(key.externalId)) throw notFound('DOCUMENT_NOT_FOUND');
    const document = await db.prisma.document.findFirst({
      ...query,
      where: { AND: [visible.documents(principal), key] },
    });
    if (!document) throw notFound('DOCUMENT_NOT_FOUND');
    return document;
  },

  /** Returns a page of the readable documents that `only` selects. */
  async list(principal: Principal, only: Prisma.DocumentWhereInput, page: Page) {
    const where = { AND: [visible.documents(principal), only, page.where] };
    return cut(await db.prisma.document.findMany({ ...page, where }), page);
  },

  count: (principal: Principal, only: Prisma.DocumentWhereInput = {}) =>
    db.prisma.document.count({ where: { AND: [visible.documents(principal), only] } }),

  /** Returns a loader for the documents of these passages by ID, with one statement on first use. */
  documentsOf(principal: Principal, hits: readonly Hit[]): () => Promise<ReadonlyMap<string, Document>> {
    let found: Promise<ReadonlyMap<string, Document>> | undefined;
    const find = async () => {
      const ids = [...new Set(hits.map(({ documentId }) => documentId))];
      const where = { AND: [visible.documents(principal), { externalId: { in: ids } }] };
      return new Map((await db.prisma.document.findMany({ where })).map((row) => [row.externalId, row]));
    };
    return () => {
      found ??= find();
      return found;
    };
  },

  /** Returns the readable ones of these documents with one statement. An empty list needs no statement. */
  async readable(principal: Principal, externalIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (externalIds.length === 0) return new Set();
    const rows = await db.prisma.document.findMany({
      where: { AND: [visible.documents(principal), { externalId: { in: [...new Set(externalIds)] } }] },
      select: { externalId: true },
    });
    return new Set(rows.map(({ externalId }) => externalId));
  },
});
