import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { estimateTokens } from '../../ai/tokens.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, forbidden, notFound, parse } from '../../errors.ts';
import type { Document, DocumentOrigin, File, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, ListOrders, type Page } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { databaseId, documentText, plainText } from '../../zod-types.ts';
import { type AgentKey, usableAgent } from '../agents/by-slug.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { projectToFill } from '../projects/projects.service.ts';
import { type Chunk, chunkerVersion, chunkSections, type Section } from './chunker.ts';
import { documentTrail } from './document-audit.ts';
import type { Embedder } from './embedding-indexer.ts';
import { folderToFill } from './folders.service.ts';
import { fileNameOf } from './location.ts';
import { type Hit, type RetrieveInput, retrieve, storableDate } from './retrieval.ts';

/** Maximum length of a document, all sections together, in characters. */
const maxDocumentLength = 5_000_000;

/** Only a web address or a path can become a link that readers follow. An empty text counts as absent. */
const link = plainText(2000)
  .refine((address) => isWebLink(address), 'must be an HTTP or HTTPS URL, or a path')
  .nullish()
  .transform((address) => address || null);

const isWebLink = (address: string, base = 'http://server.invalid/') =>
  URL.canParse(address, base) && ['http:', 'https:'].includes(new URL(address, base).protocol);

const tagValue = plainText(2000);

const Content = z.object({
  title: plainText(500).trim().min(1),
  sections: z
    .array(z.object({ text: documentText, link }))
    .min(1)
    .max(1000)
    .refine(
      (sections) => sections.reduce((length, { text }) => length + text.length, 0) <= maxDocumentLength,
      `must contain at most ${maxDocumentLength} characters in total`,
    ),
  metadata: z
    .record(plainText(200), z.union([tagValue, z.array(tagValue).max(100)]))
    .refine((metadata) => Object.keys(metadata).length <= 100, 'must be at most 100 keys')
    .nullish(),
});
/** A person responsible for a document. A blank text counts as absent. */
const ownerText = plainText(500)
  .trim()
  .nullish()
  .transform((text) => text || null);
const Owner = z.object({
  displayName: ownerText,
  firstName: ownerText,
  middleInitial: ownerText,
  lastName: ownerText,
  email: ownerText,
});
const owners = z.array(Owner).max(100).nullish();

const Ingest = Content.extend({
  id: plainText(500).min(1).nullish(),
  searchTitle: plainText(500).trim().nullish(),
  primaryOwners: owners,
  secondaryOwners: owners,
  source: plainText(50).trim().min(1).nullish(),
  documentUpdatedAt: storableDate.nullish(),
  isPublic: z.boolean().nullish(),
  agentIds: z.array(databaseId).max(100).nullish(),
  projectId: databaseId.nullish(),
});
const AddToProject = Content.extend({ projectId: databaseId.nullish(), documentId: z.string().nullish() });

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

export type AddToProjectInput = z.input<typeof AddToProject>;
export type IngestInput = z.input<typeof Ingest>;

export interface SearchInput {
  query: string;
  agent?: AgentKey | null | undefined;
  first?: number | null | undefined;
  minScore?: number | null | undefined;
}

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

/**
 * Storing a large document takes time, and so does waiting for a concurrent write of the same document. Milliseconds.
 */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Number of rows per INSERT; PostgreSQL allows 65,535 values in a statement. */
const insertSize = 2000;

export function createKnowledgeService(db: Database, audit: AuditService, embedder: Embedder | null = null) {
  const trail = documentTrail(audit);

  /** A transaction that writes documents. Its documents are embedded once it is committed. */
  const writing = <T>(work: (transaction: Prisma.TransactionClient) => Promise<T>): Promise<T> =>
    db.prisma.$transaction(work, transactionTimeouts).finally(() => embedder?.soon());

  /**
   * Returns the document with this ID and prevents concurrent writes to the ID until the transaction ends, whether the
   * document exists or not.
   */
  async function claim(transaction: Prisma.TransactionClient, externalId: string): Promise<Document | null> {
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${externalId}, 5208))`;
    return transaction.document.findUnique({ where: { externalId } });
  }

  /** Throws CONFLICT for the text of a file, which is deleted with that file only. */
  function notOfFile(document: Document): void {
    if (document.fileId !== null)
      throw conflict('DOCUMENT_OF_FILE', 'This document contains the text of a file. Delete the file instead.');
  }

  /**
   * Returns the private document with this ID in one of these projects, locked. Throws NOT_FOUND, FORBIDDEN for a
   * public document.
   */
  async function claimInProject(
    transaction: Prisma.TransactionClient,
    externalId: string,
    project: Prisma.ProjectWhereInput,
  ): Promise<Document> {
    const document = storable(externalId) ? await claim(transaction, externalId) : null;
    const where = { AND: [{ id: document?.id ?? 0 }, { project }] };
    if (!document || (await transaction.document.count({ where })) === 0) throw notFound('DOCUMENT_NOT_FOUND');
    if (document.isPublic) throw forbidden(['manage:documents'], 'A project token cannot change a public document.');
    return document;
  }

  /** Returns the project of a document: the author's, and never for a document of another user. */
  async function projectOf(
    transaction: Prisma.TransactionClient,
    author: Principal,
    { projectId }: { projectId?: number | null | undefined },
    before: Document | null,
  ) {
    const path = ['input', 'projectId'];
    const project = await projectToFill(
      transaction,
      author,
      projectId ?? 0,
      badInput(path, 'must be one of your projects'),
    );
    if (before && before.ownerId !== author.userId && before.projectId !== project.id)
      throw badInput(path, 'accepts only your own documents');
    return project;
  }

  /** Stores a document and, when they changed, its passages. */
  async function store(
    transaction: Prisma.TransactionClient,
    author: Principal | null,
    externalId: string,
    before: Document | null,
    content: z.output<typeof Content>,
    rest: Partial<Prisma.DocumentCreateInput>,
  ): Promise<Document> {
    const { title, sections, metadata } = content;
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
            ...(author && { owner: { connect: { id: author.userId } } }),
          },
        });
    if (changed) await replaceChunks(transaction, document.id, chunkSections(sections, indexedTitle));
    return document;
  }

  async function erase(transaction: Prisma.TransactionClient, principal: Principal, document: Document) {
    await transaction.document.delete({ where: { id: document.id } });
    await trail.deleted(transaction, principal, document);
    return document;
  }

  return {
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
      return writing(async (transaction) => {
        const before = await claim(transaction, externalId);
        if (before && author) {
          await checkWritable(transaction, author, before, () =>
            conflict('DOCUMENT_ID_TAKEN', 'This document ID is already in use.'),
          );
          notOfFile(before);
        }
        await checkAgents(transaction, author, agentIds);
        const project = author && data.projectId != null ? await projectOf(transaction, author, data, before) : null;
        const isPublic = data.isPublic ?? (project && !before ? false : null);
        const document = await store(transaction, author, externalId, before, data, {
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
        if (author) await trail.ingested(transaction, author, document, { replaced: before !== null, agentIds });
        return { document, alreadyExisted: before !== null };
      });
    },

    /**
     * Adds public documents, all or none. A document that was uploaded to the folder with the same name is replaced and
     * keeps its ID, location, visibility and agents. `folder` is created if it does not exist. The documents
     * are added to the agents of `agentSlugs` that the author can edit; other slugs are ignored.
     */
    async add(
      author: Principal,
      documents: readonly NewDocument[],
      { folder, agentSlugs }: { folder: string | null; agentSlugs: readonly string[] },
    ): Promise<Document[]> {
      const added = await db.prisma.$transaction(async (transaction) => {
        const folderId = await folderToFill(transaction, audit, author, folder);
        const agents = await transaction.agent.findMany({
          where: { AND: [visible.editableAgents(author), { slug: { in: [...agentSlugs] }, deletedAt: null }] },
          select: { id: true },
        });
        await claimUploadNames(transaction, folderId, documents.map(uploadNameOf));
        const rows: Document[] = [];
        for (const added of documents) {
          const { title, text, link, metadata, name, prefix, ...columns } = added;
          const id = randomUUID();
          const content = { title, sections: [{ text, link }], metadata };
          const uploadName = uploadNameOf(added);
          // Files of one request that have the same name are different files.
          const where = { folderId, uploadName, fileId: null, id: { notIn: rows.map((row) => row.id) } };
          const before = await transaction.document.findFirst({
            where: { AND: [visible.documents(author), where] },
            orderBy: { id: 'asc' },
          });
          const document = await store(transaction, author, before?.externalId ?? id, before, content, {
            ...columns,
            ...(!before && {
              origin: 'UPLOAD' as const,
              uploadName,
              fileName: fileNameOf(name, { prefix, id }),
              ...(folderId !== null && { folder: { connect: { id: folderId } } }),
            }),
            agents: { connect: agents },
          });
          const agentIds = agents.map((agent) => agent.id);
          await trail.ingested(transaction, author, document, { replaced: before !== null, agentIds });
          rows.push(document);
        }
        return rows;
      }, transactionTimeouts);
      embedder?.soon();
      return added;
    },

    /**
     * Adds a private document to an own project, or replaces the private document of that project with that
     * `documentId`; new IDs are generated. A project token can omit the project. Throws BAD_USER_INPUT, NOT_FOUND, and
     * FORBIDDEN for a public document.
     */
    async addToProject(principal: Principal, input: AddToProjectInput): Promise<Document> {
      const data = parse(AddToProject, input);
      const projectId = data.projectId ?? principal.credential.projectId;
      if (projectId === null) throw badInput(['input', 'projectId'], 'is required');
      return writing(async (transaction) => {
        await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        const before =
          data.documentId == null ? null : await claimInProject(transaction, data.documentId, { id: projectId });
        const document = await store(transaction, principal, before?.externalId ?? randomUUID(), before, data, {
          ...(!before && { origin: 'PROJECT', isPublic: false, project: { connect: { id: projectId } } }),
        });
        await trail.ingested(transaction, principal, document, { replaced: before !== null, agentIds: [] });
        return document;
      });
    },

    /**
     * Indexes the text of a file under the file's ID, for the principals that can see the file. See {@link changed}.
     */
    storeFile: (
      transaction: Prisma.TransactionClient,
      { id, name, ownerId }: Pick<File, 'id' | 'name' | 'ownerId'>,
      text: string,
    ): Promise<Document> =>
      store(
        transaction,
        null,
        id,
        null,
        { title: name, sections: [{ text, link: fileLink(id) }], metadata: {} },
        {
          origin: 'FILE',
          source: 'user_file',
          isPublic: false,
          owner: { connect: { id: ownerId } },
          file: { connect: { id } },
        },
      ),

    /** Must be called after the commit of a transaction that writes documents. */
    changed: (): void => embedder?.soon(),

    /** Deletes a private document of an own project. Throws NOT_FOUND, FORBIDDEN for a public document. */
    removeFromProject: (principal: Principal, externalId: string): Promise<Document> =>
      db.prisma.$transaction(async (transaction) => {
        const document = await claimInProject(transaction, externalId, visible.projects(principal));
        return erase(transaction, principal, document);
      }, transactionTimeouts),

    /**
     * Deletes a document with its passages. Throws NOT_FOUND, FORBIDDEN for a readable document of another user, and
     * CONFLICT for one whose origin is not in `onlyOrigins`.
     */
    async remove(
      principal: Principal,
      externalId: string,
      onlyOrigins?: readonly DocumentOrigin[] | null,
    ): Promise<Document> {
      if (!storable(externalId)) throw notFound('DOCUMENT_NOT_FOUND');
      return db.prisma.$transaction(async (transaction) => {
        const document = await claim(transaction, externalId);
        if (!document) throw notFound('DOCUMENT_NOT_FOUND');
        await checkWritable(transaction, principal, document, () => notFound('DOCUMENT_NOT_FOUND'));
        if (onlyOrigins && !onlyOrigins.includes(document.origin))
          throw conflict('DOCUMENT_OF_OTHER_ORIGIN', `The origin of this document is ${document.origin}.`);
        notOfFile(document);
        return erase(transaction, principal, document);
      }, transactionTimeouts);
    },

    /** Throws NOT_FOUND for a file that does not exist or that the principal cannot read. */
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

    /** Returns the number of passages in readable documents. */
    passageCount: (principal: Principal): Promise<number> =>
      db.prisma.chunk.count({ where: { document: visible.documents(principal) } }),

    /**
     * Returns the number of passages that an agent would search for the principal. Throws NOT_FOUND.
     */
    async passagesOfAgent(principal: Principal, key: AgentKey): Promise<number> {
      const { id, knowledge } = await usableAgent(db.prisma, principal, key);
      const own = { agents: { some: { id } } };
      const searched = { OR: [{ file: own }, { fileId: null, ...(knowledge === 'ATTACHED' && own) }] };
      return db.prisma.chunk.count({ where: { document: { AND: [visible.documents(principal), searched] } } });
    },

    /**
     * Returns the best passages for a question: at most `first`, with a score of at least `minScore`. An agent provides
     * the defaults of both. Throws NOT_FOUND, BAD_USER_INPUT.
     */
    async search(principal: Principal, asked: SearchInput, limit: number): Promise<Hit[]> {
      const { query, first, minScore } = asked;
      if (minScore != null && !(minScore >= 0 && minScore <= 1))
        throw badInput(['minScore'], 'must be between 0 and 1');
      const agent = asked.agent == null ? null : await usableAgent(db.prisma, principal, asked.agent);
      const hits = await retrieve(
        db,
        principal,
        {
          query,
          agentId: agent?.id ?? null,
          limit: Math.min(Math.max(first ?? agent?.passageLimit ?? 10, 1), limit),
        },
        embedder,
      );
      const least = minScore ?? agent?.similarityThreshold ?? 0;
      return hits.filter(({ score }) => score >= least);
    },

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

    /**
     * Returns the client-assigned ID of a document that an input identifies by global ID or by client-assigned ID.
     * Throws NOT_FOUND for the global ID of a document that the principal cannot read.
     */
    async externalIdOf(principal: Principal, id: { global: string } | { text: string }): Promise<string> {
      if ('text' in id) return id.text;
      const { data } = databaseId.safeParse(Number(id.global));
      const where = { AND: [visible.documents(principal), { id: data ?? 0 }] };
      const document = await db.prisma.document.findFirst({ where, select: { externalId: true } });
      if (!document) throw notFound('DOCUMENT_NOT_FOUND');
      return document.externalId;
    },

    /**
     * Returns the client-assigned IDs of documents that an input identifies by global ID or by client-assigned ID.
     * Throws BAD_USER_INPUT, naming the entry, for the global ID of a document that the principal cannot read.
     */
    async externalIds(
      principal: Principal,
      ids: readonly ({ global: string } | { text: string })[],
      path: readonly (string | number)[],
    ): Promise<string[]> {
      const integers = ids.flatMap((id) =>
        'global' in id && databaseId.safeParse(Number(id.global)).success ? [Number(id.global)] : [],
      );
      const rows =
        integers.length === 0
          ? []
          : await db.prisma.document.findMany({
              where: { AND: [visible.documents(principal), { id: { in: integers } }] },
              select: { id: true, externalId: true },
            });
      const known = new Map(rows.map(({ id, externalId }) => [String(id), externalId]));
      return ids.map((id, index) => {
        const externalId = 'text' in id ? id.text : known.get(id.global);
        if (externalId === undefined) throw badInput([...path, index], 'is not the ID of a document that you can read');
        return externalId;
      });
    },

    /** Returns passages. See {@link retrieve}. */
    retrieve: (principal: Principal, input: RetrieveInput): Promise<Hit[]> => retrieve(db, principal, input, embedder),
  };
}

export type KnowledgeService = ReturnType<typeof createKnowledgeService>;

/** Returns the download path of a file, without a host, which the reader of the citation already knows. */
export const fileLink = (id: string): string => `/api/chat/file/${id}`;

/** Returns whether PostgreSQL can store this ID. No document has an ID that it cannot store. */
const storable = (externalId: string) => plainText(500).safeParse(externalId).success;

/** Throws `unseen` for a document that the principal cannot read and FORBIDDEN for one that it can only read. */
async function checkWritable(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  { id, ownerId }: Document,
  unseen: () => Error,
): Promise<void> {
  const where = { AND: [visible.documents(principal), { id }] };
  if ((await transaction.document.count({ where })) === 0) throw unseen();
  if (!can(principal, 'manage:documents') && ownerId !== principal.userId)
    throw forbidden(['manage:documents'], 'You cannot change this document.');
}

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

/** Returns the name by which a repeated upload to the same folder is recognized. */
const uploadNameOf = ({ name, prefix }: NewDocument): string => searchForm(`${prefix}${name}`);

/** Prevents concurrent uploads of documents with these names to the folder until the transaction ends. */
async function claimUploadNames(transaction: Prisma.TransactionClient, folderId: number | null, names: string[]) {
  // Locked in one order, so that concurrent transactions do not deadlock.
  for (const name of [...new Set(names)].sort())
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`${folderId}/${name}`}, 5209))`;
}

async function replaceChunks(transaction: Prisma.TransactionClient, documentId: number, chunks: readonly Chunk[]) {
  await transaction.chunk.deleteMany({ where: { documentId } });
  for (let from = 0; from < chunks.length; from += insertSize)
    await transaction.chunk.createMany({
      data: chunks.slice(from, from + insertSize).map((chunk) => ({ ...chunk, documentId })),
    });
}
