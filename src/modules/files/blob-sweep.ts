import type { Job } from '../../scheduler.ts';
import type { FilesDeps } from './files-deps.ts';

/** The name of the background work that erases blobs. */
const sweepName = 'blob-sweep';

/** Maximum time until the content of a deleted file is erased. Milliseconds. */
const sweepEveryMs = 60_000;

/** Creates the job that erases the blobs of deleted files, and `sweep`, which runs it at once in the background. */
export function blobSweep({ db, blobs, background }: Pick<FilesDeps, 'db' | 'blobs' | 'background'>) {
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

  return {
    sweep: (): void => background.run(sweepName, eraseDue),
    jobs: [{ name: sweepName, everyMs: sweepEveryMs, run: eraseDue }] satisfies Job[],
  };
}
