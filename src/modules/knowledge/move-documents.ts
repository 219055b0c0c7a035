import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { badInput, conflict, parse } from '../../errors.ts';
import type { Document, Prisma } from '../../generated/prisma/client.ts';
import { searchForm } from '../../text/normalize.ts';
import { moveEntry } from './document-audit.ts';
import { transactionTimeouts } from './document-rules.ts';
import type { FolderDeps } from './folder-deps.ts';
import { atLocations, defaultFolder, Location, locationOf, maxAtOnce } from './location.ts';
import { lockDocuments } from './placed-documents.ts';

const Moves = z.object({
  moves: z
    .array(
      z.object({
        from: z.string().max(600),
        to: Location.refine(({ fileName }) => fileName.endsWith('.json'), 'must end with .json'),
      }),
    )
    .max(maxAtOnce),
});

/** Returns which of these documents belong to agents. */
async function attached(transaction: Prisma.TransactionClient, documents: readonly Document[]): Promise<Set<number>> {
  const rows = await transaction.document.findMany({
    where: { id: { in: documents.map(({ id }) => id) }, agents: { some: { deletedAt: null } } },
    select: { id: true },
  });
  return new Set(rows.map(({ id }) => id));
}

export const documentMoves = ({ db, audit }: FolderDeps) => ({
  /**
   * Moves and renames documents; if one fails, no document is moved. Documents that belong to agents stay in place,
   * since clients know them by their location, and are returned as `skipped`. Throws BAD_USER_INPUT for unknown
   * documents and folders, CONFLICT for a file name that is in use.
   */
  async move(principal: Principal, input: z.input<typeof Moves>): Promise<{ moved: Document[]; skipped: string[] }> {
    const { moves } = parse(Moves, input);
    return db.prisma.$transaction(async (transaction) => {
      const found = await lockDocuments(transaction, principal, atLocations(moves.map(({ from }) => from)));
      const documents = new Map(found.map((document) => [searchForm(locationOf(document)), document]));
      const folders = await transaction.documentFolder.findMany({
        where: { nameForm: { in: moves.map(({ to }) => searchForm(to.folder)) } },
      });
      const fixed = await attached(transaction, found);
      const moved: Document[] = [];
      const skipped: string[] = [];
      for (const [at, { from, to }] of moves.entries()) {
        const document = documents.get(searchForm(from));
        if (!document) throw badInput(['input', 'moves', at, 'from'], 'is not a document');
        const folder = folders.find(({ nameForm }) => nameForm === searchForm(to.folder));
        if (!folder && to.folder !== defaultFolder) throw badInput(['input', 'moves', at, 'to'], 'is not in a folder');
        if (fixed.has(document.id)) {
          skipped.push(from);
          continue;
        }
        const fileName = { fileName: to.fileName, NOT: { id: document.id } };
        if ((await transaction.document.count({ where: fileName })) > 0)
          throw conflict('FILE_NAME_TAKEN', `A document with the file name ${to.fileName} already exists.`);
        moved.push(
          await transaction.document.update({
            where: { id: document.id },
            data: { fileName: to.fileName, folderId: folder?.id ?? null },
          }),
        );
        const locations = { from, to: `${to.folder}/${to.fileName}` };
        await audit.record(transaction, moveEntry(principal, document, locations));
      }
      return { moved, skipped };
    }, transactionTimeouts);
  },
});
