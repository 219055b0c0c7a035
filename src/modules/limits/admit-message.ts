import type { Principal } from '../../authz/principal.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Lease } from '../../store/shared/leases.ts';
import type { LimitDeps } from './limit-deps.ts';
import { limitReached } from './limit-reached.ts';
import { senderOf } from './usage.service.ts';

export function messageAdmission({ db, leases }: Pick<LimitDeps, 'db' | 'leases'>) {
  /** The leases of messages in progress that are not stored yet, by the user whose limit they count against. */
  const unwritten = (userId: string) => `unwritten-messages ${userId}`;

  /**
   * Requires that a user with a daily limit can send another message. Started turns count regardless of their outcome;
   * of erased chats, those in which a model was called. Must be the first call in the transaction that stores the
   * message: concurrent turns of the user are counted one after the other. Messages of tokens of the user's projects
   * count for the user. Throws RATE_LIMITED with the time of the next allowed message. Uses one statement for users
   * without a limit and two for others.
   */
  async function admitMessage(transaction: Prisma.TransactionClient, principal: Principal): Promise<void> {
    const userId = senderOf(principal);
    const [held] = await transaction.$queryRaw<{ most: number }[]>`
      SELECT "dailyMessageLimit" AS "most" FROM "User"
      WHERE "id" = ${userId}::uuid AND "dailyMessageLimit" IS NOT NULL FOR NO KEY UPDATE`;
    if (!held) return;
    const most = held.most - (await leases.count(unwritten(userId)));
    const since = new Date(Date.now() - 24 * 3600 * 1000);
    // Usage is stored by the hour: an hour counts while all of it is within the 24 hours.
    const [full] = await transaction.$queryRaw<{ last: Date | null }[]>`
      SELECT greatest(
        (SELECT r."startedAt" FROM "Run" r JOIN "ChatSession" s ON s."id" = r."sessionId"
          WHERE r."startedAt" > ${since}::timestamptz
            AND s."updatedAt" > ${since}::timestamptz
            AND (s."userId" = ${userId}::uuid
              OR s."projectId" IN (SELECT "id" FROM "Project" WHERE "ownerId" = ${userId}::uuid))
          ORDER BY r."startedAt" DESC OFFSET ${Math.max(most - 1, 0)} LIMIT 1),
        (SELECT max("hour") FROM (
          SELECT "hour", sum(sum("turns")) OVER (ORDER BY "hour" DESC) AS "since_then" FROM "UsageRecord"
          WHERE "senderId" = ${userId}::uuid AND "hour" > ${since}::timestamptz AND "outputTokens" > 0
          GROUP BY "hour") AS hours WHERE "since_then" >= ${most})) AS "last"`;
    const last = most > 0 ? full?.last : new Date();
    if (!last) return;
    const resetAt = new Date(last.getTime() + 24 * 3600 * 1000);
    throw limitReached('USER', `You've reached your limit of ${held.most} messages in 24 hours.`, resetAt);
  }

  return {
    /** Admits a message. See {@link admitMessage}. */
    admitMessage,

    /**
     * Admits a message that is not stored before it is answered. It counts until the returned lease is released, when
     * its usage is stored. Throws RATE_LIMITED.
     */
    async admitUnwritten(principal: Principal): Promise<Lease> {
      let undo = async () => {};
      try {
        return await db.prisma.$transaction(async (transaction) => {
          await admitMessage(transaction, principal);
          // Counted before the next message of this user is admitted.
          const lease = await leases.take(unwritten(senderOf(principal)));
          undo = lease.release;
          return lease;
        });
      } catch (error) {
        await undo();
        throw error;
      }
    },
  };
}
