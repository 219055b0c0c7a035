import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import type { Database } from '../../store/database.ts';
import type { RunRegistry } from '../../store/shared/runs.ts';
import type { IndexedEvent } from './events.ts';
import { interruptedMessage, turnFailure } from './turn-failure.ts';

interface Deps {
  db: Database;
  log: Log;
  registry: RunRegistry<IndexedEvent>;
}

export interface MarkOptions {
  /**
   * Marks only the runs that are still abandoned after this time, in milliseconds: a run is stored before it is
   * registered. Defaults to 0, for a start without other processes.
   */
  confirmAfterMs?: number;
}

/** Returns the IDs of the runs that have no end in the database, of all or of some runs. */
const stillRunning = async (db: Database, ids?: readonly string[]): Promise<string[]> =>
  (
    await db.prisma.run.findMany({
      where: { status: 'RUNNING', ...(ids && { id: { in: [...ids] } }) },
      select: { id: true },
    })
  ).map(({ id }) => id);

/** Stores the interruption of runs and of their messages, so that readers know they are incomplete. */
async function storeInterruption(db: Database, log: Log, ids: readonly string[]): Promise<void> {
  const error = interruptedMessage;
  const run = { id: { in: [...ids] }, status: 'RUNNING' as const };
  const [, { count }] = await db.prisma.$transaction([
    db.prisma.chatMessage.updateMany({ where: { run }, data: { status: 'INTERRUPTED', error } }),
    db.prisma.run.updateMany({ where: run, data: { status: 'INTERRUPTED', error, endedAt: new Date() } }),
  ]);
  if (count > 0) log.warn({ runs: count }, 'marked runs of an earlier process as interrupted');
}

/** Marks the runs that no living process executes as interrupted, and ends them for their readers. */
export async function markInterrupted(
  { db, log, registry }: Deps,
  { confirmAfterMs = 0 }: MarkOptions = {},
): Promise<void> {
  let lost = await registry.abandoned(await stillRunning(db));
  if (lost.length > 0 && confirmAfterMs > 0) {
    await delay(confirmAfterMs);
    lost = await registry.abandoned(await stillRunning(db, lost));
  }
  if (lost.length === 0) return;
  await storeInterruption(db, log, lost);
  const failure = turnFailure('SERVER_SHUTDOWN', interruptedMessage);
  for (const id of lost)
    await registry.endAbandoned(id, (index) => ({ index, afterMs: 0, type: 'failed', ...failure }));
}
