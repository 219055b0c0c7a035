import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { estimateTokens, imageTokens } from '../../ai/tokens.ts';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, isDatabaseUnavailable, notFound, parse } from '../../errors.ts';
import type { File as FileRow, Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cut, ListOrder, ListOrders, type Page } from '../../paging.ts';
import { unlessAborted } from '../../promises.ts';
import type { Job } from '../../scheduler.ts';
import type { Settings } from '../../settings.ts';
import type { Background } from '../../store/background.ts';
import type { Blobs } from '../../store/blobs.ts';
import type { Database } from '../../store/database.ts';
import { untilAvailable } from '../../store/retry.ts';
import { cutText } from '../../unicode.ts';
import { containing, plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import { projectToFill } from '../projects/projects.service.ts';
import { lockUser } from '../users/users.service.ts';
import type { Extractor } from './extract/extractor.ts';
import { baseName, type FileType, type Format, kindOf } from './extract/kinds.ts';
import { displace, sameName } from './replaced-files.ts';

/** The storage limits of one user. */
const most = { files: 1000, bytes: 2_000_000_000 };
/** The limit of one request. */
const maxAtOnce = 20;

/** Time after which the blob of an upload without a row counts as left behind by a crash. Milliseconds. */
const uploadPatience = 3600_000;

/** The order of the files of an agent. */
export const agentFileOrder = new ListOrder('agentFiles', [
  { field: 'createdAt', type: 'date', direction: 'asc' },
  { field: 'id', type: 'uuid', direction: 'asc' },
]);

const byId = { field: 'id', type: 'uuid', direction: 'asc' } as const;

export const fileOrders = new ListOrders(
  'files',
  {
    CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
    NAME: [{ field: 'name', type: 'text', direction: 'asc' }, byId],
    SIZE: [{ field: 'size', type: 'int', direction: 'asc' }, byId],
  },
  { field: 'CREATED_AT', direction: 'DESC' },
);

/** An uploaded file. */
export interface Upload {
  name: string;
  /** Returns a new copy on each call, since one form can refer to one file several times. */
  bytes: () => Promise<Uint8Array>;
}

export interface Uploaded {
  files: FileRow[];
  /** The rejected files with the reason, which completes "the file …". */
  rejected: { name: string; reason: string }[];
}

export interface FileFilter {
  projectId?: number | null | undefined;
  ids?: readonly string[] | null | undefined;
  /** Selects the files of the messages of this session, and of its project. */
  sessionId?: string | null | undefined;
  /** Text that the file name contains, ignoring case. */
  search?: string | null | undefined;
}

const Filter = z.object({
  projectId: z.number().nullish(),
  ids: z.array(z.uuid()).max(1000).nullish(),
  sessionId: z.uuid().nullish(),
  search: plainText(200).nullish(),
});

interface FilesServiceDeps {
  db: Database;
  audit: AuditService;
  blobs: Blobs;
  extractor: Extractor;
  knowledge: KnowledgeService;
  background: Background;
  settings: Settings;
  log: Log;
}

/** The name of the background work that erases blobs. */
const sweepName = 'blob-sweep';

/** Maximum time until the content of a deleted file is erased. Milliseconds. */
const sweepEveryMs = 60_000;

export function createFilesService({
  db,
  audit,
  blobs,
  extractor,
  knowledge,
  background,
  settings,
  log,
}: FilesServiceDeps) {
  /** Files whose text is being extracted or waits for it. */
  const reading = new Map<string, Promise<void>>();
  /** Two at a time. A waiting file holds no bytes in memory. */
  const inLane = fairLanes(2);

  /** Returns the type of a file, or the reason why it is rejected. */
  function inspect(name: string, bytes: Uint8Array): { name: string; type: FileType } | { reason: string } {
    const own = baseName(name);
    if (own === null) return { reason: 'has an invalid file name' };
    if (bytes.length === 0) return { reason: 'is empty' };
    if (bytes.length > settings.maxFileSize)
      return { reason: `is larger than ${settings.maxFileSize / 1024 / 1024} MB` };
    const type = kindOf(own, bytes);
    return 'unsupported' in type ? { reason: type.unsupported } : { name: own, type };
  }

  /** Throws CONFLICT when the user's storage limit is reached. */
  async function admit(transaction: Prisma.TransactionClient, userId: string, size: number): Promise<void> {
    await lockUser(transaction, userId);
    const { _count, _sum } = await transaction.file.aggregate({
      where: { ownerId: userId },
      _count: true,
      _sum: { size: true },
    });
    if (_count >= most.files) throw conflict('TOO_MANY_FILES', `Too many files (limit: ${most.files}).`);
    if ((_sum.size ?? 0) + size > most.bytes) throw conflict('STORAGE_FULL', 'The storage limit of 2 GB is reached.');
  }

  /** Stores one accepted file. The blob is written before the row, and is deleted if the row is not. */
  async function store(
    principal: Principal,
    name: string,
    type: FileType,
    bytes: Uint8Array,
    projectId: number | null,
    replaces: string[],
  ) {
    const id = randomUUID();
    const image = type.kind === 'IMAGE';
    await db.prisma.orphanedBlob.create({ data: { id, dueAt: new Date(Date.now() + uploadPatience) } });
    try {
      await blobs.write(id, bytes);
      return await db.prisma.$transaction(async (transaction) => {
        await admit(transaction, principal.userId, bytes.length);
        if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        const file = await transaction.file.create({
          data: {
            id,
            ownerId: principal.userId,
            name,
            mediaType: type.mediaType,
            kind: type.kind,
            size: bytes.length,
            ...(image && { status: 'COMPLETED', tokenCount: imageTokens }),
            ...(projectId !== null && { projects: { connect: { id: projectId } } }),
            replaces,
          },
        });
        if (image) await displace(transaction, audit, file);
        await transaction.orphanedBlob.delete({ where: { id } });
        await audit.record(transaction, {
          ...by(principal),
          action: 'file.upload',
          target: { type: 'File', id },
          detail: {
            mediaType: type.mediaType,
            size: bytes.length,
            ...(projectId !== null && { projectId }),
            ...(replaces.length > 0 && { replaces }),
          },
        });
        return file;
      });
    } catch (error) {
      // Erased immediately: a user at the storage limit could otherwise fill the disk in the meantime.
      await db.prisma.orphanedBlob.updateMany({ where: { id }, data: { dueAt: new Date() } });
      sweep();
      throw error;
    }
  }

  /** Returns the principal's files in a project, which an upload to it can replace. */
  const replaceable = async (principal: Principal, projectId: number | null) =>
    projectId === null
      ? []
      : db.prisma.file.findMany({
          where: { AND: [visible.ownFiles(principal), { projects: { some: { id: projectId } } }] },
          select: { id: true, name: true },
        });

  /** Extracts the text of a file and indexes it. Has no effect for a file that was deleted meanwhile. */
  async function readText(id: string): Promise<void> {
    const file = await untilAvailable(() => db.prisma.file.findUnique({ where: { id } }));
    if (file?.status !== 'PROCESSING') return;
    const bytes = await blobs.read(id);
    const type = bytes && kindOf(file.name, bytes);
    const read =
      !bytes || !type || 'unsupported' in type || type.format === 'image'
        ? { refused: 'no longer exists' }
        : await extractor.extract(type.format, bytes);
    // The server is shutting down; the next start reads the file again.
    if ('interrupted' in read) return;
    const store = async (transaction: Prisma.TransactionClient) => {
      // Locked before the file, in the order in which deleting a user locks: the text becomes a document of the user.
      await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${file.ownerId}::uuid FOR KEY SHARE`;
      const [still] = await transaction.file.updateManyAndReturn({
        where: { id, status: 'PROCESSING' },
        data:
          'text' in read
            ? { status: 'COMPLETED', text: read.text, tokenCount: estimateTokens(read.text) }
            : { status: 'FAILED', error: read.refused },
      });
      if (still && 'text' in read) {
        await knowledge.storeFile(transaction, still, read.text);
        await displace(transaction, audit, still);
      }
    };
    await untilAvailable(() => db.prisma.$transaction(store, transactionTimeouts));
    knowledge.changed();
    if (file.replaces.length > 0) sweep();
  }

  /** Extracts the text of a file in the background. */
  function process({ id, ownerId }: Pick<FileRow, 'id' | 'ownerId'>): Promise<void> {
    const known = reading.get(id);
    if (known) return known;
    const work = inLane(ownerId, () => readText(id))
      .catch(async (error: unknown) => {
        log.error({ error, fileId: id }, 'a file could not be read');
        // The file is read again when the server starts the next time.
        if (isDatabaseUnavailable(error)) return;
        const data = { status: 'FAILED', error: 'could not be read' } as const;
        await db.prisma.file.updateMany({ where: { id, status: 'PROCESSING' }, data });
      })
      .finally(() => reading.delete(id));
    reading.set(id, work);
    background.run('file text', () => work);
    return work;
  }

  const unreadOf = (where: Prisma.FileWhereInput) =>
    db.prisma.file.findMany({ where: { AND: [where, { status: 'PROCESSING' }] }, select: { id: true, ownerId: true } });

  /** Returns the principal's own file. Throws NOT_FOUND. */
  async function own(transaction: Prisma.TransactionClient, principal: Principal, id: string): Promise<FileRow> {
    const where = { AND: [visible.ownFiles(principal), { id }] };
    // Sessions of other users are never locked, and a session that was deleted while this waited does not exist.
    if ((await transaction.file.count({ where })) === 0) throw notFound('FILE_NOT_FOUND');
    await transaction.$queryRaw`SELECT 1 FROM "File" WHERE "id" = ${id}::uuid FOR UPDATE`;
    const file = await transaction.file.findFirst({ where });
    if (!file) throw notFound('FILE_NOT_FOUND');
    return file;
  }

  const recordUse = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    action: 'file.link' | 'file.unlink',
    id: string,
    projectId: number,
  ) => audit.record(transaction, { ...by(principal), action, target: { type: 'File', id }, detail: { projectId } });

  /** Erases the blobs of deleted files, including those that a cascade deleted. */
  async function eraseDue(): Promise<void> {
    const due = await db.prisma.orphanedBlob.findMany({ where: { dueAt: { lte: new Date() } }, take: 1000 });
    for (const { id } of due)
      await db.prisma.$transaction(async (transaction) => {
        // Checked again under a lock: a slow upload may be about to claim its blob.
        const { count } = await transaction.orphanedBlob.deleteMany({ where: { id, dueAt: { lte: new Date() } } });
        if (count > 0) await blobs.erase(id);
      });
  }

  /** Erases them in the background. */
  const sweep = (): void => background.run(sweepName, eraseDue);

  const chosen = (principal: Principal, filter: FileFilter): Prisma.FileWhereInput => {
    const { projectId, ids, sessionId, search } = parse(Filter, filter, ['filter']);
    // The files of a chat are part of its history.
    if (sessionId != null) demand(principal, 'read:chat');
    const named = projectId != null || ids != null || sessionId != null;
    return {
      AND: [
        visible.files(principal),
        // Without a filter, the principal's own files; for a project token, the files of its project.
        named ? {} : principal.credential.projectId === null ? visible.ownFiles(principal) : {},
        projectId == null ? {} : { projects: { some: { AND: [visible.projects(principal), { id: projectId }] } } },
        ids == null ? {} : { id: { in: [...ids] } },
        sessionId == null ? {} : inSession(principal, sessionId),
        search == null ? {} : { nameForm: containing(search) },
      ],
    };
  };

  return {
    /** Returns why a file would be rejected, which completes "the file …", or null. */
    refusal(name: string, bytes: Uint8Array): string | null {
      const seen = inspect(name, bytes);
      return 'reason' in seen ? seen.reason : null;
    },

    /**
     * Stores files, in a project of the principal if one is given, and always in the project of a project token. There,
     * a file replaces the principal's earlier files of the same name as soon as its text has been extracted. Each
     * file is handled separately: a rejected file is returned with the reason. Text is extracted afterwards; `status`
     * reports the result. Throws BAD_USER_INPUT for no file or more than 20 files, NOT_FOUND for a project of another
     * user, CONFLICT when the storage limit of the user (1,000 files, 2 GB) is reached; files before that one are
     * stored.
     */
    async upload(principal: Principal, uploads: readonly Upload[], asked?: number | null): Promise<Uploaded> {
      if (uploads.length === 0 || uploads.length > maxAtOnce)
        throw badInput(['input', 'files'], `must be 1 to ${maxAtOnce} files`);
      const projectId = asked ?? principal.credential.projectId;
      if (projectId !== null) {
        const where = { AND: [visible.projects(principal), { id: projectId }] };
        if ((await db.prisma.project.count({ where })) === 0) throw notFound('PROJECT_NOT_FOUND');
      }
      // Read once: files of one request that have the same name are different files.
      const earlier = await replaceable(principal, projectId);
      const files: FileRow[] = [];
      const rejected: Uploaded['rejected'] = [];
      for (const upload of uploads) {
        const bytes = await upload.bytes();
        const seen = inspect(upload.name, bytes);
        if ('reason' in seen) {
          rejected.push({ name: cutText(upload.name.toWellFormed().replaceAll('\0', ''), 255), reason: seen.reason });
          continue;
        }
        const replaces = sameName(earlier, seen.name);
        const file = await store(principal, seen.name, seen.type, bytes, projectId, replaces);
        files.push(file);
        if (file.status === 'PROCESSING') void process(file);
      }
      return { files, rejected };
    },

    /**
     * Returns the text of a file that is not stored. Applies the limits of stored files, and waits for the principal's
     * turn. `as` overrides the format that is derived from the file name, and `charset` is the encoding that the sender
     * declared. A `reason` for not reading the file completes “the file …”. Throws CONFLICT when the server is
     * stopping.
     */
    async textOf(
      { userId }: Principal,
      name: string,
      bytes: Uint8Array,
      { as, charset = null }: { as?: Format; charset?: string | null } = {},
    ): Promise<{ text: string; format: Format } | { reason: string }> {
      const seen = inspect(name, bytes);
      if ('reason' in seen) return seen;
      const format = as ?? seen.type.format;
      if (format === 'image') return { reason: 'is an image without text' };
      const read = await inLane(userId, () => extractor.extract(format, bytes, charset));
      if ('interrupted' in read) throw conflict('EXTRACTION_INTERRUPTED', 'The server is stopping. Try again.');
      return 'text' in read ? { text: read.text, format } : { reason: read.refused };
    },

    /** Throws NOT_FOUND for a file that does not exist or that the principal cannot read. */
    async find(principal: Principal, id: string, query: object = {}): Promise<FileRow> {
      const where = { AND: [visible.files(principal), { id }] };
      const file = await db.prisma.file.findFirst({ ...query, where });
      if (!file) throw notFound('FILE_NOT_FOUND');
      return file;
    },

    /**
     * Returns a page of the principal's own files, or of the readable files that the filter selects. Throws
     * BAD_USER_INPUT.
     */
    async list(principal: Principal, filter: FileFilter, page: Page) {
      const where = { AND: [chosen(principal, filter), page.where] };
      return cut(await db.prisma.file.findMany({ ...page, where }), page);
    },

    count: (principal: Principal, filter: FileFilter) => db.prisma.file.count({ where: chosen(principal, filter) }),

    /** Returns the bytes of a file, or null when they are missing. */
    bytesIfThere: (id: string): Promise<Uint8Array<ArrayBuffer> | null> => blobs.read(id),

    /** Returns the bytes of a file. Throws NOT_FOUND when they are missing. */
    async bytes(id: string): Promise<Uint8Array<ArrayBuffer>> {
      const bytes = await blobs.read(id);
      if (!bytes) throw notFound('FILE_NOT_FOUND');
      return bytes;
    },

    /** Adds an own file to an own project. Throws NOT_FOUND. */
    link: (principal: Principal, id: string, projectId: number): Promise<FileRow> =>
      db.prisma.$transaction(async (transaction) => {
        // Locked before the file, in the order in which deleting a project locks.
        await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        await own(transaction, principal, id);
        await recordUse(transaction, principal, 'file.link', id, projectId);
        return transaction.file.update({ where: { id }, data: { projects: { connect: { id: projectId } } } });
      }),

    /** Removes a file, of any owner, from an own project. The file is kept. Throws NOT_FOUND. */
    unlink: (principal: Principal, id: string, projectId: number): Promise<FileRow> =>
      db.prisma.$transaction(async (transaction) => {
        await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        const file = await transaction.file.findFirst({ where: { id, projects: { some: { id: projectId } } } });
        if (!file) throw notFound('FILE_NOT_FOUND');
        await recordUse(transaction, principal, 'file.unlink', id, projectId);
        return transaction.file.update({ where: { id }, data: { projects: { disconnect: { id: projectId } } } });
      }),

    /**
     * Deletes an own file with its text, unless it belongs to projects, or to agents that the principal can edit, which
     * are returned instead. Messages, and agents that the principal can no longer edit, lose the file. Throws
     * NOT_FOUND.
     */
    async delete(
      principal: Principal,
      id: string,
    ): Promise<{ deleted: boolean; projects: string[]; agents: string[] }> {
      const uses = await db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        const { projects, agents } = await transaction.file.findUniqueOrThrow({
          where: { id },
          select: {
            projects: { select: { name: true }, orderBy: { id: 'asc' } },
            agents: {
              where: { AND: [visible.editableAgents(principal), { deletedAt: null }] },
              select: { name: true },
              orderBy: { id: 'asc' },
            },
          },
        });
        if (projects.length + agents.length === 0) {
          await transaction.file.delete({ where: { id } });
          await audit.record(transaction, { ...by(principal), action: 'file.delete', target: { type: 'File', id } });
        }
        return { projects: projects.map(({ name }) => name), agents: agents.map(({ name }) => name) };
      });
      const deleted = uses.projects.length + uses.agents.length === 0;
      if (deleted) sweep();
      return { deleted, ...uses };
    },

    /**
     * Returns the files of a message without duplicates. Throws BAD_USER_INPUT for a file that the principal cannot
     * read.
     */
    async attachable(
      transaction: Prisma.TransactionClient,
      principal: Principal,
      ids: readonly string[],
    ): Promise<{ id: string }[]> {
      if (ids.length === 0) return [];
      const wanted = [...new Set(ids.map((id) => id.toLowerCase()))];
      const where = { AND: [visible.files(principal), { id: { in: wanted } }] };
      const found = await transaction.file.findMany({ where, select: { id: true } });
      const missing = wanted.filter((id) => !found.some((file) => file.id === id));
      if (missing.length > 0)
        throw badInput(
          ['input', 'fileIds'],
          `contains files that do not exist or that you cannot read: ${missing.join(', ')}`,
        );
      await transaction.file.updateMany({ where: { id: { in: wanted } }, data: { usedAt: new Date() } });
      return wanted.map((id) => ({ id }));
    },

    /** Resolves when the extraction of these files has ended. */
    async ready(ids: readonly string[], signal: AbortSignal): Promise<void> {
      if (ids.length === 0) return;
      const unread = unreadOf({ id: { in: [...ids] } });
      await unlessAborted(
        unread.then((files) => Promise.all(files.map(process))),
        signal,
      );
    },

    /** Continues the extraction of files that an earlier process did not finish. */
    async resume(): Promise<void> {
      for (const file of await unreadOf({})) void process(file);
    },

    sweep,

    jobs: [{ name: sweepName, everyMs: sweepEveryMs, run: eraseDue }] satisfies Job[],

    close: (): Promise<void> => extractor.close(),
  };
}

export type FilesService = ReturnType<typeof createFilesService>;

/**
 * Returns a function that limits concurrency. Users take turns, so that many tasks of one user do not delay another.
 */
function fairLanes(count: number) {
  /** Waiting tasks by user; the user whose turn is next comes first. */
  const waiting = new Map<string, (() => void)[]>();
  let free = count;

  function wait(userId: string): Promise<void> {
    return new Promise((resolve) => {
      const before = waiting.get(userId);
      if (before) before.push(resolve);
      else waiting.set(userId, [resolve]);
    });
  }

  function next(): void {
    const [first] = waiting;
    if (!first) {
      free++;
      return;
    }
    const [userId, [begin, ...rest]] = first;
    waiting.delete(userId);
    if (rest.length > 0) waiting.set(userId, rest);
    begin?.();
  }

  return async <T>(userId: string, work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await wait(userId);
    try {
      return await work();
    } finally {
      next();
    }
  };
}

/** Splitting and storing a long text takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Selects the files of a chat: those of its messages and of its project. */
const inSession = (principal: Principal, id: string): Prisma.FileWhereInput => ({
  OR: [
    { messages: { some: { session: { AND: [visible.chatSessions(principal), { id }] } } } },
    { projects: { some: { chatSessions: { some: { AND: [visible.chatSessions(principal), { id }] } } } } },
  ],
});
