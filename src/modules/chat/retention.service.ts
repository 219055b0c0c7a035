import type { Log } from '../../log.ts';
import { type Job, retentionJobs } from '../../scheduler.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';

/** Number of sessions that one statement erases. */
const batchSize = 200;

/** Creates the service that erases chat sessions past their retention period. */
export function createChatRetentionService(db: Database, log: Log, settings: Pick<Settings, 'chatRetentionDays'>) {
  /**
   * Erases the sessions that were not used for this number of days, including soft-deleted ones, with their messages.
   * Returns their number. Keeps sessions with a running turn, or in which a turn starts meanwhile.
   */
  async function forget(days: number): Promise<number> {
    let erased = 0;
    for (let batch = batchSize; batch === batchSize; erased += batch)
      batch = await db.prisma.$executeRaw`DELETE FROM "ChatSession" WHERE "id" IN (
        SELECT s."id" FROM "ChatSession" s
        WHERE s."updatedAt" < now() - make_interval(days => ${days}::int)
          AND NOT EXISTS (SELECT FROM "Run" r WHERE r."sessionId" = s."id" AND r."status" = 'RUNNING')
        LIMIT ${batchSize}::int FOR UPDATE SKIP LOCKED)`;
    if (erased > 0) log.info({ erased, days }, 'chat sessions past their retention were erased');
    return erased;
  }

  const jobs: readonly Job[] = retentionJobs('chat-retention', settings.chatRetentionDays, forget);
  return { forget, jobs };
}
