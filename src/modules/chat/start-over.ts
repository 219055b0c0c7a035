import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { ChatDeps } from './chat-deps.ts';
import { ChatReference, type ChatReferenceInput, findChat } from './chat-locator.ts';

export const sessionRestart = ({ db }: Pick<ChatDeps, 'db'>) => ({
  /**
   * Starts a chat over: its messages remain on a branch that is no longer current. A running answer is completed.
   * Returns the session ID, or null when the session has no messages. Throws NOT_FOUND.
   */
  async startOver(principal: Principal, reference: ChatReferenceInput): Promise<{ sessionId: string | null }> {
    const chat = parse(ChatReference, reference);
    return db.prisma.$transaction(async (transaction) => {
      const { session } = await findChat(transaction, principal, chat);
      if (!session) return { sessionId: null };
      // Waits for a turn that is being prepared, which would otherwise continue the old branch.
      await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${session.id}::uuid FOR UPDATE`;
      await transaction.chatMessage.updateMany({
        where: { sessionId: session.id, parentId: null },
        data: { latestChildId: null },
      });
      await transaction.chatSession.update({ where: { id: session.id }, data: { updatedAt: new Date() } });
      return { sessionId: session.id };
    });
  },
});
