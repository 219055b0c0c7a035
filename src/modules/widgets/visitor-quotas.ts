import type { Prisma } from '../../generated/prisma/client.ts';
import type { OpenWidget } from './visitor-access.ts';
import type { VisitorDeps } from './visitor-deps.ts';
import { quotaReached, quotaScopes } from './visitor-errors.ts';

/** Period of a quota. Milliseconds. */
const day = 24 * 3600 * 1000;

/** Creates the function that admits a turn within the quotas of a widget. Throws RATE_LIMITED. */
export function visitorQuotas({ db }: Pick<VisitorDeps, 'db'>) {
  /**
   * Throws RATE_LIMITED when `most` questions were asked within the last 24 hours. Questions in deleted chats count;
   * questions whose turn failed do not.
   */
  async function admitWithin(most: number | null, session: Prisma.ChatSessionWhereInput, refusal: [string, string]) {
    if (most === null) return;
    const since = new Date(Date.now() - day);
    const [last] = await db.prisma.chatMessage.findMany({
      where: { role: 'USER', createdAt: { gt: since }, session, NOT: { children: { some: { status: 'FAILED' } } } },
      orderBy: { createdAt: 'desc' },
      skip: most - 1,
      take: 1,
      select: { createdAt: true },
    });
    if (last)
      throw quotaReached(...refusal, Math.max(1, Math.ceil((last.createdAt.getTime() - since.getTime()) / 1000)));
  }

  return async ({ userId, maxChatsPerDay, maxChatsPerSession }: OpenWidget, clientKey: string): Promise<void> => {
    const again = 'quota for this chat has been reached. Try again later or contact the site owner.';
    await admitWithin(maxChatsPerDay, { userId }, [quotaScopes.embed, `The ${again}`]);
    await admitWithin(maxChatsPerSession, { userId, clientKey }, [quotaScopes.session, `Your ${again}`]);
  };
}
