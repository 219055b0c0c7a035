import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { ChatDeps } from './chat-deps.ts';
import { ownSession } from './own-session.ts';

/** The values of a soft-deleted session, whose names become available again. */
const hidden = () => ({ deletedAt: new Date(), slug: null, clientKey: null });

export const sessionDeletion = ({ db, runs }: Pick<ChatDeps, 'db' | 'runs'>) => ({
  /** Soft-deletes a session; `hard` erases it with its messages. A running answer is stopped. Throws NOT_FOUND. */
  async delete(principal: Principal, id: string, { hard = false }: { hard?: boolean } = {}): Promise<void> {
    await db.prisma.$transaction(async (transaction) => {
      await ownSession(transaction, principal, id);
      if (hard) await transaction.chatSession.delete({ where: { id } });
      else await transaction.chatSession.update({ where: { id }, data: hidden() });
    });
    await runs.stop(id);
  },

  /** Soft-deletes all sessions of the principal and returns their IDs. */
  async deleteAll(principal: Principal): Promise<string[]> {
    const deleted = await db.prisma.chatSession.updateManyAndReturn({
      where: { AND: [visible.chatSessions(principal), { userId: principal.userId }] },
      data: hidden(),
      select: { id: true },
    });
    for (const { id } of deleted) await runs.stop(id);
    return deleted.map(({ id }) => id);
  },
});
