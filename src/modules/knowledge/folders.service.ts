import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, notFound, parse } from '../../errors.ts';
import { type Document, DocumentOrigin, type Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { containing, plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { documentTrail } from './document-audit.ts';
import {
  atLocations,
  defaultFolder,
  FolderName,
  folderNamed,
  inFolder,
  Location,
  locationOf,
  maxAtOnce,
} from './location.ts';

const Folder = z.object({ name: FolderName });
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
const Locations = z.object({ locations: z.array(z.string().max(600)).max(maxAtOnce) });

/**
 * Maximum number of folders, not counting the default folder, which always exists. Limited because a list returns all
 * folders.
 */
export const maxFolders = 5000;

/** Throws CONFLICT when a transaction has created more folders than the server can have. */
export async function checkFolderCount(transaction: Prisma.TransactionClient): Promise<void> {
  if ((await transaction.documentFolder.count()) > maxFolders)
    throw conflict('TOO_MANY_FOLDERS', `Too many folders (limit: ${maxFolders}). Delete one to create another.`);
}

const Filter = z.object({
  search: plainText(200).nullish(),
  filesIncluded: z.boolean().nullish(),
  origins: z.array(z.enum(DocumentOrigin)).nullish(),
});

export type DocumentFilter = z.input<typeof Filter> & { folder?: string | null | undefined };

export type MovesInput = z.input<typeof Moves>;

export interface FolderSummary {
  name: string;
  documentCount: number;
}

type Placed = Document & { folder: { name: string } | null };

/** Moving many documents takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Creates the service for the folders in which the AnythingLLM paths list documents. */
export function createFoldersService(db: Database, audit: AuditService) {
  const trail = documentTrail(audit);

  /** Returns the readable ones of these documents, locked until the transaction ends. */
  async function held(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    where: Prisma.DocumentWhereInput,
  ): Promise<Placed[]> {
    const mine = { AND: [visible.documents(principal), { fileId: null }, where] };
    const ids = (await transaction.document.findMany({ where: mine, select: { id: true } })).map(({ id }) => id);
    if (ids.length === 0) return [];
    // Locked in one order, so that concurrent transactions do not deadlock.
    await transaction.$queryRaw`SELECT 1 FROM "Document" WHERE "id" = ANY(${ids}::int[]) ORDER BY "id" FOR UPDATE`;
    return transaction.document.findMany({
      where: { AND: [mine, { id: { in: ids } }] },
      include: { folder: { select: { name: true } } },
      orderBy: { id: 'asc' },
    });
  }

  async function erase(transaction: Prisma.TransactionClient, principal: Principal, documents: readonly Document[]) {
    await transaction.document.deleteMany({ where: { id: { in: documents.map(({ id }) => id) } } });
    for (const document of documents) await trail.deleted(transaction, principal, document);
  }

  return {
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
      if (known && (!known.success || !(await isThere(db.prisma, known.data)))) throw notFound('FOLDER_NOT_FOUND');
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

    /** Creates a folder. Throws BAD_USER_INPUT for an invalid name, CONFLICT for a name that is in use. */
    async create(principal: Principal, input: z.input<typeof Folder>): Promise<FolderSummary> {
      const { name } = parse(Folder, input);
      await db.prisma.$transaction(async (transaction) => {
        if (name === defaultFolder || !(await make(transaction, audit, principal, name)))
          throw conflict('FOLDER_NAME_TAKEN', 'A folder with this name already exists.');
      });
      return { name, documentCount: 0 };
    },

    /**
     * Deletes a folder with its readable documents; others move to the default folder. Throws BAD_USER_INPUT for the
     * default folder, NOT_FOUND.
     */
    async delete(
      principal: Principal,
      input: z.input<typeof Folder>,
    ): Promise<{ name: string; documentIds: number[] }> {
      const { name } = parse(Folder, input);
      if (name === defaultFolder) throw badInput(['input', 'name'], 'is a built-in folder and cannot be deleted');
      return db.prisma.$transaction(async (transaction) => {
        const [folder] = await transaction.$queryRaw<{ id: number; name: string }[]>`
          SELECT "id", "name" FROM "DocumentFolder" WHERE "nameForm" = ${searchForm(name)} FOR UPDATE`;
        if (!folder) throw notFound('FOLDER_NOT_FOUND');
        const documents = await held(transaction, principal, { folderId: folder.id });
        await erase(transaction, principal, documents);
        await transaction.documentFolder.delete({ where: { id: folder.id } });
        await audit.record(transaction, {
          ...by(principal),
          action: 'document_folder.delete',
          target: { type: 'DocumentFolder', id: folder.id },
          detail: { name: folder.name, documents: documents.length },
        });
        return { name: folder.name, documentIds: documents.map(({ id }) => id) };
      }, transactionTimeouts);
    },

    /**
     * Moves and renames documents; if one fails, no document is moved. Documents that belong to agents stay in place,
     * since clients know them by their location, and are returned as `skipped`. Throws BAD_USER_INPUT for unknown
     * documents and folders, CONFLICT for a file name that is in use.
     */
    async move(principal: Principal, input: MovesInput): Promise<{ moved: Document[]; skipped: string[] }> {
      const { moves } = parse(Moves, input);
      return db.prisma.$transaction(async (transaction) => {
        const found = await held(transaction, principal, atLocations(moves.map(({ from }) => from)));
        const documents = new Map(found.map((document) => [searchForm(locationOf(document)), document]));
        const folders = await transaction.documentFolder.findMany({
          where: { nameForm: { in: moves.map(({ to }) => searchForm(to.folder)) } },
        });
        const embedded = await attached(transaction, found);
        const moved: Document[] = [];
        const skipped: string[] = [];
        for (const [at, { from, to }] of moves.entries()) {
          const document = documents.get(searchForm(from));
          if (!document) throw badInput(['input', 'moves', at, 'from'], 'is not a document');
          const folder = folders.find(({ nameForm }) => nameForm === searchForm(to.folder));
          if (!folder && to.folder !== defaultFolder)
            throw badInput(['input', 'moves', at, 'to'], 'is not in a folder');
          if (embedded.has(document.id)) skipped.push(from);
          else {
            const fileName = { fileName: to.fileName, NOT: { id: document.id } };
            if ((await transaction.document.count({ where: fileName })) > 0)
              throw conflict('FILE_NAME_TAKEN', `A document with the file name ${to.fileName} already exists.`);
            moved.push(
              await transaction.document.update({
                where: { id: document.id },
                data: { fileName: to.fileName, folderId: folder?.id ?? null },
              }),
            );
            await trail.moved(transaction, principal, document, { from, to: `${to.folder}/${to.fileName}` });
          }
        }
        return { moved, skipped };
      }, transactionTimeouts);
    },

    /** Deletes the documents at these locations. Locations without a readable document are ignored. */
    deleteDocuments: (principal: Principal, input: z.input<typeof Locations>): Promise<Document[]> =>
      db.prisma.$transaction(async (transaction) => {
        const { locations } = parse(Locations, input);
        const documents = await held(transaction, principal, atLocations(locations));
        await erase(transaction, principal, documents);
        return documents;
      }, transactionTimeouts),
  };
}

/** Returns the ID of a folder, which is created if it does not exist, or null for the default folder. */
export async function folderToFill(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  name: string | null,
): Promise<number | null> {
  if (name === null || name === defaultFolder) return null;
  await make(transaction, audit, principal, name);
  return (await transaction.documentFolder.findUniqueOrThrow({ where: folderNamed(name) })).id;
}

/** Creates a folder. Returns false when it already exists. Throws CONFLICT when there are too many folders. */
async function make(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  principal: Principal,
  name: string,
): Promise<boolean> {
  const [folder] = await transaction.documentFolder.createManyAndReturn({ data: [{ name }], skipDuplicates: true });
  if (!folder) return false;
  await checkFolderCount(transaction);
  await audit.record(transaction, {
    ...by(principal),
    action: 'document_folder.create',
    target: { type: 'DocumentFolder', id: folder.id },
    detail: { name },
  });
  return true;
}

const isThere = async (db: Pick<Prisma.TransactionClient, 'documentFolder'>, name: string): Promise<boolean> =>
  name === defaultFolder || (await db.documentFolder.count({ where: folderNamed(name) })) > 0;

/** Returns which of these documents belong to agents. */
async function attached(transaction: Prisma.TransactionClient, documents: readonly Document[]): Promise<Set<number>> {
  const rows = await transaction.document.findMany({
    where: { id: { in: documents.map(({ id }) => id) }, agents: { some: { deletedAt: null } } },
    select: { id: true },
  });
  return new Set(rows.map(({ id }) => id));
}
