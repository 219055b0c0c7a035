import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import { type Document, DocumentOrigin, type Prisma } from '../../generated/prisma/client.ts';
import { containing, plainText } from '../../zod-types.ts';
import type { FolderDeps } from './folder-deps.ts';
import { type FolderSummary, maxFolders } from './folder-rules.ts';
import { defaultFolder, FolderName, folderNamed, inFolder, Location } from './location.ts';

const Filter = z.object({
  search: plainText(200).nullish(),
  filesIncluded: z.boolean().nullish(),
  origins: z.array(z.enum(DocumentOrigin)).nullish(),
});

export type DocumentFilter = z.input<typeof Filter> & { folder?: string | null | undefined };

const exists = async (db: Pick<Prisma.TransactionClient, 'documentFolder'>, name: string): Promise<boolean> =>
  name === defaultFolder || (await db.documentFolder.count({ where: folderNamed(name) })) > 0;

export const folderLists = ({ db }: Pick<FolderDeps, 'db'>) => ({
  /** Returns all folders by name, the default folder first, with the number of readable documents in each. */
  async list(principal: Principal): Promise<FolderSummary[]> {
    const [folders, counts] = await Promise.all([
      db.prisma.documentFolder.findMany({ orderBy: { name: 'asc' }, take: maxFolders }),
      db.prisma.document.groupBy({
        by: ['folderId'],
        where: { AND: [visible.documents(principal), { fileId: null }] },
        _count: true,
      }),
    ]);
    const countOf = (id: number | null) => counts.find(({ folderId }) => folderId === id)?._count ?? 0;
    return [{ id: null, name: defaultFolder }, ...folders].map(({ id, name }) => ({
      name,
      documentCount: countOf(id),
    }));
  },

  /**
   * Returns the condition for the documents that a filter selects. Throws BAD_USER_INPUT, NOT_FOUND for an unknown
   * folder.
   */
  async selected({ folder, ...filter }: DocumentFilter): Promise<Prisma.DocumentWhereInput> {
    const { search, filesIncluded, origins } = parse(Filter, filter, ['filter']);
    const known = folder == null ? null : FolderName.safeParse(folder);
    if (known && (!known.success || !(await exists(db.prisma, known.data)))) throw notFound('FOLDER_NOT_FOUND');
    return {
      AND: [
        known?.success ? inFolder(known.data) : filesIncluded === false ? { fileId: null } : {},
        origins == null ? {} : { origin: { in: origins } },
        search == null ? {} : { titleForm: containing(search) },
      ],
    };
  },

  /**
   * Returns the document with this file name or location. Throws NOT_FOUND, also for a document that the principal
   * cannot read.
   */
  async find(principal: Principal, location: string, query: object = {}): Promise<Document> {
    const at = Location.safeParse(location.includes('/') ? location : `${defaultFolder}/${location}`).data;
    const place = location.includes('/') && at ? inFolder(at.folder) : { fileId: null };
    const document =
      at &&
      (await db.prisma.document.findFirst({
        ...query,
        where: { AND: [visible.documents(principal), place, { fileName: at.fileName }] },
      }));
    if (!document) throw notFound('DOCUMENT_NOT_FOUND');
    return document;
  },
});
