import { estimateTokens } from '../../ai/tokens.ts';
import type { Principal } from '../../authz/principal.ts';
import { conflict, isBlobStoreUnavailable, isDatabaseUnavailable } from '../../errors.ts';
import type { File, Prisma } from '../../generated/prisma/client.ts';
import { unlessAborted } from '../../promises.ts';
import { untilAvailable } from '../../store/retry.ts';
import { type Format, kindOf } from './extract/kinds.ts';
import { fairLanes } from './fair-lanes.ts';
import type { FilesDeps } from './files-deps.ts';
import { inspect } from './inspect-file.ts';
import { displace } from './replaced-files.ts';

/** Splitting and storing a long text takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Extracts and stores the text of a file. Has no effect for a file that was deleted meanwhile. */
async function readText(
  { db, audit, blobs, extractor, knowledge }: FilesDeps,
  id: string,
  sweep: () => void,
): Promise<void> {
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

/** Creates the functions with which one process at a time extracts the text of a file. */
function exclusiveReading(deps: FilesDeps, sweep: () => void) {
  const { locks } = deps;
  const stopping = new AbortController();
  const lockOf = (id: string) => `file-text ${id}`;
  return {
    /** Extracts the text of a file. Waits first for another process that is doing that. */
    async readAlone(id: string): Promise<void> {
      const lock = await locks.take(lockOf(id), { signal: stopping.signal });
      if (!lock) return;
      try {
        await readText(deps, id, sweep);
      } finally {
        await lock.release();
      }
    },

    /** Returns whether a process is extracting the text of a file. */
    async isBeingRead(id: string): Promise<boolean> {
      const lock = await locks.tryTake(lockOf(id));
      await lock?.release();
      return lock === null;
    },

    /** Ends the wait for other processes. */
    stop: () => stopping.abort(),
  };
}

/** Creates the functions that extract the text of files. `sweep` erases the blobs of files that a file replaced. */
export function fileTexts(deps: FilesDeps, sweep: () => void) {
  const { db, extractor, background, settings, log } = deps;
  /** Files whose text is being extracted or waits for it. */
  const reading = new Map<string, Promise<void>>();
  /** Two at a time. A waiting file holds no bytes in memory. */
  const inLane = fairLanes(2);

  const { readAlone, isBeingRead, stop } = exclusiveReading(deps, sweep);

  /** Extracts the text of a file in the background. */
  function process({ id, ownerId }: Pick<File, 'id' | 'ownerId'>): Promise<void> {
    const known = reading.get(id);
    if (known) return known;
    const work = inLane(ownerId, () => readAlone(id))
      .catch(async (error: unknown) => {
        log.error({ error, fileId: id }, 'a file could not be read');
        // The file is read again when the server starts the next time.
        if (isDatabaseUnavailable(error) || isBlobStoreUnavailable(error)) return;
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

  return {
    /** Extracts the text of a stored file in the background. */
    process,

    /** Returns the number of stored files whose text is being extracted or waits for it. */
    unread: () => reading.size,

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
      const seen = inspect(settings, name, bytes);
      if ('reason' in seen) return seen;
      const format = as ?? seen.type.format;
      if (format === 'image') return { reason: 'is an image without text' };
      const read = await inLane(userId, () => extractor.extract(format, bytes, charset));
      if ('interrupted' in read) throw conflict('EXTRACTION_INTERRUPTED', 'The server is stopping. Try again.');
      return 'text' in read ? { text: read.text, format } : { reason: read.refused };
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

    /** Ends the wait for other processes. */
    stop,

    /** Continues the extraction of files that a killed process did not finish. */
    async resume(): Promise<void> {
      for (const file of await unreadOf({})) if (!(await isBeingRead(file.id))) void process(file);
    },
  };
}
