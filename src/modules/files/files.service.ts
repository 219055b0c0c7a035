import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, isDatabaseUnavailable, notFound, parse } from '../../errors.ts';
import type { File as FileRow, Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { estimateTokens, imageTokens } from '../../models/tokens.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Settings } from '../../settings.ts';
import type { Background } from '../../store/background.ts';
import type { Blobs } from '../../store/blobs.ts';
import type { Database } from '../../store/database.ts';
import { untilAvailable } from '../../store/retry.ts';
import { cutText } from '../../unicode.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import { projectToFill } from '../projects/projects.service.ts';
import { lockUser } from '../users/users.service.ts';
import type { Extractor } from './extract/extractor.ts';
import { baseName, type FileType, type Format, kindOf } from './extract/kinds.ts';

/** What one user may have stored. */
const most = { files: 1000, bytes: 2_000_000_000 };
/** What one request may upload. */
const mostAtOnce = 20;

/** How long the blob of an upload may be without its row, before it counts as one that a crash left behind. Milliseconds. */
const uploadPatience = 3600_000;

/** The files of an agent. */
export const agentFileOrder = new ListOrder('agentFiles', [
  { field: 'createdAt', type: 'date', direction: 'asc' },
  { field: 'id', type: 'uuid', direction: 'asc' },
]);
export const fileOrder = new ListOrder('files', [
  { field: 'createdAt', type: 'date', direction: 'desc' },
  { field: 'id', type: 'uuid', direction: 'desc' },
]);

/** A file as it arrives. */
export interface Upload {
  name: string;
  /** A copy of its own each time: one form can name one file in many places. */
  bytes: () => Promise<Uint8Array>;
}

export interface Uploaded {
  files: FileRow[];
  /** Those that were not taken, and why, in words that go on from “the file …”. */
  rejected: { name: string; reason: string }[];
}

export interface FileFilter {
  projectId?: number | null | undefined;
  ids?: readonly string[] | null | undefined;
  /** Those that were given to a message of this session, or to the project that it is in. */
  sessionId?: string | null | undefined;
}

const Filter = z.object({
  projectId: z.number().nullish(),
  ids: z.array(z.uuid()).max(1000).nullish(),
  sessionId: z.uuid().nullish(),
});

interface Foundation {
  db: Database;
  audit: AuditService;
  blobs: Blobs;
  extractor: Extractor;
  knowledge: KnowledgeService;
  background: Background;
  settings: Settings;
  log: Log;
}

export function filesService({ db, audit, blobs, extractor, knowledge, background, settings, log }: Foundation) {
  /** Files whose text is being read, or will be. */
  const reading = new Map<string, Promise<void>>();
  /** Two at a time: what waits holds no bytes. */
  const inLane = fairLanes(2);

  /** What a file is, or why it is not taken. */
  function inspect(name: string, bytes: Uint8Array): { name: string; type: FileType } | { reason: string } {
    const own = baseName(name);
    if (own === null) return { reason: 'has a name that no file can have' };
    if (bytes.length === 0) return { reason: 'is empty' };
    if (bytes.length > settings.maxFileSize)
      return { reason: `is larger than ${settings.maxFileSize / 1024 / 1024} MB` };
    const type = kindOf(own, bytes);
    return 'unsupported' in type ? { reason: type.unsupported } : { name: own, type };
  }

  /** Throws CONFLICT when the user's place is used up. */
  async function admit(transaction: Prisma.TransactionClient, userId: string, size: number): Promise<void> {
    await lockUser(transaction, userId);
    const { _count, _sum } = await transaction.file.aggregate({
      where: { ownerId: userId },
      _count: true,
      _sum: { size: true },
    });
    if (_count >= most.files) throw conflict(`At most ${most.files} files.`);
    if ((_sum.size ?? 0) + size > most.bytes) throw conflict('At most 2 GB of files.');
  }

  /** Stores one file that was found good. Its blob is there before its row, and goes if the row does not come. */
  async function store(
    principal: Principal,
    name: string,
    type: FileType,
    bytes: Uint8Array,
    projectId: number | null,
  ) {
    const id = randomUUID();
    const image = type.kind === 'IMAGE';
    await db.prisma.orphanedBlob.create({ data: { id, dueAt: new Date(Date.now() + uploadPatience) } });
    try {
      await blobs.write(id, bytes);
      return await db.prisma.$transaction(async (transaction) => {
        await admit(transaction, principal.userId, bytes.length);
        if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('Project'));
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
          },
        });
        await transaction.orphanedBlob.delete({ where: { id } });
        await audit.record(transaction, {
          ...by(principal),
          action: 'file.upload',
          target: { type: 'File', id },
          detail: { mediaType: type.mediaType, size: bytes.length, ...(projectId !== null && { projectId }) },
        });
        return file;
      });
    } catch (error) {
      // Now and not when patience ends: who has no place left could fill the disk meanwhile.
      await db.prisma.orphanedBlob.updateMany({ where: { id }, data: { dueAt: new Date() } });
      sweep();
      throw error;
    }
  }

  /** Reads the text of a file and makes it findable. Does nothing for one that was deleted meanwhile. */
  async function readText(id: string): Promise<void> {
    const file = await untilAvailable(() => db.prisma.file.findUnique({ where: { id } }));
    if (file?.status !== 'PROCESSING') return;
    const bytes = await blobs.read(id);
    const type = bytes && kindOf(file.name, bytes);
    const read =
      !bytes || !type || 'unsupported' in type || type.format === 'image'
        ? { refused: 'is gone' }
        : await extractor.extract(type.format, bytes);
    // The server stops: the next start reads it again.
    if ('interrupted' in read) return;
    const store = async (transaction: Prisma.TransactionClient) => {
      // Before the file, as who deletes a user has it: the text becomes a document of theirs.
      await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${file.ownerId}::uuid FOR KEY SHARE`;
      const [still] = await transaction.file.updateManyAndReturn({
        where: { id, status: 'PROCESSING' },
        data:
          'text' in read
            ? { status: 'COMPLETED', text: read.text, tokenCount: estimateTokens(read.text) }
            : { status: 'FAILED', error: read.refused },
      });
      if (still && 'text' in read) await knowledge.storeFile(transaction, still, read.text);
    };
    await untilAvailable(() => db.prisma.$transaction(store, patience));
    knowledge.changed();
  }

  /** Reads a file's text beside everything else. */
  function process({ id, ownerId }: Pick<FileRow, 'id' | 'ownerId'>): Promise<void> {
    const known = reading.get(id);
    if (known) return known;
    const work = inLane(ownerId, () => readText(id))
      .catch(async (error: unknown) => {
        log.error({ error, fileId: id }, 'a file could not be read');
        // The next start reads it again.
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

  /** Throws NOT_FOUND for what is not there, and for what is not the principal's own. */
  async function own(transaction: Prisma.TransactionClient, principal: Principal, id: string): Promise<FileRow> {
    const where = { AND: [visible.ownFiles(principal), { id }] };
    // What is not the principal's is never locked; what went while this waited for it is not there.
    if ((await transaction.file.count({ where })) === 0) throw notFound('File');
    await transaction.$queryRaw`SELECT 1 FROM "File" WHERE "id" = ${id}::uuid FOR UPDATE`;
    const file = await transaction.file.findFirst({ where });
    if (!file) throw notFound('File');
    return file;
  }

  const recordUse = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    action: 'file.link' | 'file.unlink',
    id: string,
    projectId: number,
  ) => audit.record(transaction, { ...by(principal), action, target: { type: 'File', id }, detail: { projectId } });

  /** Erases the bytes of files that are no more, whatever deleted them. */
  const sweep = (): void =>
    background.run('blob sweep', async () => {
      const due = await db.prisma.orphanedBlob.findMany({ where: { dueAt: { lte: new Date() } }, take: 1000 });
      for (const { id } of due)
        await db.prisma.$transaction(async (transaction) => {
          // Once more, and held: an upload that took all its time may be about to take this back, and keeps its bytes then.
          const { count } = await transaction.orphanedBlob.deleteMany({ where: { id, dueAt: { lte: new Date() } } });
          if (count > 0) await blobs.erase(id);
        });
    });

  const chosen = (principal: Principal, filter: FileFilter): Prisma.FileWhereInput => {
    const { projectId, ids, sessionId } = parse(Filter, filter, []);
    // What was given to a chat is part of what was said in it.
    if (sessionId != null) demand(principal, 'read:chat');
    const named = projectId != null || ids != null || sessionId != null;
    return {
      AND: [
        visible.files(principal),
        // Without a filter, one's own; for a token that is confined to a project, those of that.
        named ? {} : principal.credential.projectId === null ? visible.ownFiles(principal) : {},
        projectId == null ? {} : { projects: { some: { AND: [visible.projects(principal), { id: projectId }] } } },
        ids == null ? {} : { id: { in: [...ids] } },
        sessionId == null ? {} : inSession(principal, sessionId),
      ],
    };
  };

  return {
    /** Why a file would not be taken, in words that go on from “the file …”; null when it would. */
    refusal(name: string, bytes: Uint8Array): string | null {
      const seen = inspect(name, bytes);
      return 'reason' in seen ? seen.reason : null;
    },

    /**
     * Takes files in: into a project of the principal's, if one is named, and always into the one that the principal is
     * confined to. Each stands for itself: what is not taken is told with the reason. Their text is read afterwards, and
     * `status` tells how that went. Throws BAD_USER_INPUT for none or more than 20, NOT_FOUND for a project of others,
     * CONFLICT when the user's place (1,000 files, 2 GB) is used up: files before that one are stored.
     */
    async upload(principal: Principal, uploads: readonly Upload[], asked?: number | null): Promise<Uploaded> {
      if (uploads.length === 0 || uploads.length > mostAtOnce)
        throw badInput(['input', 'files'], `must be 1 to ${mostAtOnce} files`);
      const projectId = asked ?? principal.credential.projectId;
      if (projectId !== null) {
        const where = { AND: [visible.projects(principal), { id: projectId }] };
        if ((await db.prisma.project.count({ where })) === 0) throw notFound('Project');
      }
      const files: FileRow[] = [];
      const rejected: Uploaded['rejected'] = [];
      for (const upload of uploads) {
        const bytes = await upload.bytes();
        const seen = inspect(upload.name, bytes);
        if ('reason' in seen) {
          rejected.push({ name: cutText(upload.name.toWellFormed().replaceAll('\0', ''), 255), reason: seen.reason });
          continue;
        }
        const file = await store(principal, seen.name, seen.type, bytes, projectId);
        files.push(file);
        if (file.status === 'PROCESSING') void process(file);
      }
      return { files, rejected };
    },

    /**
     * Reads the text of a file that is not kept, under the limits of those that are, when it is the principal's turn.
     * `as` is how to read it, where its name does not say, and `charset` the encoding that its sender declared. A `reason`
     * against it goes on from “the file …”. Throws CONFLICT when the server stops.
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
      if (format === 'image') return { reason: 'is an image, and holds no text' };
      const read = await inLane(userId, () => extractor.extract(format, bytes, charset));
      if ('interrupted' in read) throw conflict('The server is stopping. Try again.');
      return 'text' in read ? { text: read.text, format } : { reason: read.refused };
    },

    /** Throws NOT_FOUND for what is not there and for what the principal may not read. */
    async find(principal: Principal, id: string, query: object = {}): Promise<FileRow> {
      const where = { AND: [visible.files(principal), { id }] };
      const file = await db.prisma.file.findFirst({ ...query, where });
      if (!file) throw notFound('File');
      return file;
    },

    /** One's own files, newest first, or those that the filter names and one may read. */
    async list(principal: Principal, filter: FileFilter, args: PageArgs, limit: number, query: object) {
      const page = fileOrder.page(args, limit);
      const where = { AND: [chosen(principal, filter), page.where] };
      return cut(await db.prisma.file.findMany({ ...query, ...page, where }), page);
    },

    count: (principal: Principal, filter: FileFilter) => db.prisma.file.count({ where: chosen(principal, filter) }),

    /** The bytes of a file that was found; null when they are gone. */
    bytesIfThere: (id: string): Promise<Uint8Array<ArrayBuffer> | null> => blobs.read(id),

    /** The same; throws NOT_FOUND when they are gone. */
    async bytes(id: string): Promise<Uint8Array<ArrayBuffer>> {
      const bytes = await blobs.read(id);
      if (!bytes) throw notFound('File');
      return bytes;
    },

    /** Puts a file of one's own into a project of one's own. Throws NOT_FOUND. */
    link: (principal: Principal, id: string, projectId: number): Promise<FileRow> =>
      db.prisma.$transaction(async (transaction) => {
        // Before the file, as who deletes a project has it.
        await projectToFill(transaction, principal, projectId, notFound('Project'));
        await own(transaction, principal, id);
        await recordUse(transaction, principal, 'file.link', id, projectId);
        return transaction.file.update({ where: { id }, data: { projects: { connect: { id: projectId } } } });
      }),

    /** Takes a file out of a project of one's own, whoever put it there. The file stays. Throws NOT_FOUND. */
    unlink: (principal: Principal, id: string, projectId: number): Promise<FileRow> =>
      db.prisma.$transaction(async (transaction) => {
        await projectToFill(transaction, principal, projectId, notFound('Project'));
        const file = await transaction.file.findFirst({ where: { id, projects: { some: { id: projectId } } } });
        if (!file) throw notFound('File');
        await recordUse(transaction, principal, 'file.unlink', id, projectId);
        return transaction.file.update({ where: { id }, data: { projects: { disconnect: { id: projectId } } } });
      }),

    /**
     * Deletes a file of one's own, with its text: unless it belongs to projects, or to agents that one may edit, which are
     * told instead. Messages, and agents that one may no longer edit, go on without it. Throws NOT_FOUND.
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
     * The files that a message is to carry, each once. Throws BAD_USER_INPUT for one that the principal may not read.
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
        throw badInput(['input', 'fileIds'], `not files that you may read: ${missing.join(', ')}`);
      await transaction.file.updateMany({ where: { id: { in: wanted } }, data: { usedAt: new Date() } });
      return wanted.map((id) => ({ id }));
    },

    /** Resolves when the text of these files, which are PROCESSING, is read, or cannot be. */
    async ready(ids: readonly string[], signal: AbortSignal): Promise<void> {
      if (ids.length === 0) return;
      const gone = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([gone, unreadOf({ id: { in: [...ids] } }).then((files) => Promise.all(files.map(process)))]);
    },

    /** Reads on where an earlier process stopped. */
    async resume(): Promise<void> {
      for (const file of await unreadOf({})) void process(file);
    },

    sweep,

    close: (): Promise<void> => extractor.close(),
  };
}

export type FilesService = ReturnType<typeof filesService>;

/** Runs so many things at a time. Users take turns, so that the many things of one do not hold up those of another. */
function fairLanes(count: number) {
  /** What waits, by its user; the user whose turn it is comes first. */
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

/** A long text takes its time to be cut and stored. Milliseconds. */
const patience = { maxWait: 60_000, timeout: 120_000 };

/** The files of a chat: those given to its messages, and those of its project. */
const inSession = (principal: Principal, id: string): Prisma.FileWhereInput => ({
  OR: [
    { messages: { some: { session: { AND: [visible.chatSessions(principal), { id }] } } } },
    { projects: { some: { chatSessions: { some: { AND: [visible.chatSessions(principal), { id }] } } } } },
  ],
});
