import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse } from '../../errors.ts';
import type { ChatMessage, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../../zod-types.ts';
import { changesOf, clearList } from '../changes.ts';

const SelectBranch = z.object({ messageId: databaseId });
const PreferResponse = z.object({
  questionId: databaseId,
  responseId: databaseId.nullish(),
  clear: clearList(['responseId']),
});

export type SelectBranchInput = z.input<typeof SelectBranch>;
export type PreferResponseInput = z.input<typeof PreferResponse>;

/** Creates the service that selects the current branch of a message tree and the preferred answer to a question. */
export function createBranchesService(db: Database) {
  /**
   * Returns a message of a session that the principal manages, locked against turns and other selections until the
   * transaction ends. Throws NOT_FOUND.
   */
  async function claim(transaction: Prisma.TransactionClient, principal: Principal, id: number): Promise<ChatMessage> {
    const where = { id, session: visible.ownChatSessions(principal) };
    const found = await transaction.chatMessage.findFirst({ where, select: { sessionId: true } });
    if (!found) throw notFound('CHAT_MESSAGE_NOT_FOUND');
    await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${found.sessionId}::uuid FOR UPDATE`;
    // Read again: the session may have been deleted or moved while this waited for the lock.
    const message = await transaction.chatMessage.findFirst({ where });
    if (!message) throw notFound('CHAT_MESSAGE_NOT_FOUND');
    return message;
  }

  /** Makes the path from the root to a message current, in one statement for any length. */
  const makeCurrent = (transaction: Prisma.TransactionClient, messageId: number) => transaction.$executeRaw`
    WITH RECURSIVE path AS (
      SELECT "id", "parentId" FROM "ChatMessage" WHERE "id" = ${messageId}::int
      UNION ALL
      SELECT m."id", m."parentId" FROM path JOIN "ChatMessage" m ON m."id" = path."parentId")
    UPDATE "ChatMessage" m SET "latestChildId" = path."id" FROM path
    WHERE m."id" = path."parentId" AND m."latestChildId" IS DISTINCT FROM path."id"`;

  const touch = (transaction: Prisma.TransactionClient, id: string): Promise<ChatSession> =>
    transaction.chatSession.update({ where: { id }, data: { updatedAt: new Date() } });

  return {
    /**
     * Makes the branch of a message the current one; the next message follows its last message. Below the message, the
     * branch that was current there continues. Throws NOT_FOUND.
     */
    select(principal: Principal, input: SelectBranchInput): Promise<ChatSession> {
      const { messageId } = parse(SelectBranch, input);
      return db.prisma.$transaction(async (transaction) => {
        const { sessionId } = await claim(transaction, principal, messageId);
        await makeCurrent(transaction, messageId);
        return touch(transaction, sessionId);
      });
    },

    /**
     * Records which answer to a question is preferred and makes its branch current. `clear` removes the preference and
     * leaves the branch unchanged. Throws NOT_FOUND, and BAD_USER_INPUT when the message is not a question, when the
     * answer belongs to another message, and when the input contains neither an answer nor `clear`.
     */
    prefer(principal: Principal, input: PreferResponseInput): Promise<ChatMessage> {
      const { questionId, responseId } = changesOf(parse(PreferResponse, input));
      if (responseId === undefined)
        throw badInput(['input', 'responseId'], 'is required unless `clear` contains `RESPONSE_ID`');
      return db.prisma.$transaction(async (transaction) => {
        const { sessionId, role } = await claim(transaction, principal, questionId);
        if (role !== 'USER') throw badInput(['input', 'questionId'], 'is not a question');
        if (responseId !== null) {
          const where = { id: responseId, parentId: questionId, role: 'ASSISTANT' as const };
          if ((await transaction.chatMessage.count({ where })) === 0)
            throw badInput(['input', 'responseId'], 'is not an answer to that question');
          await makeCurrent(transaction, responseId);
        }
        await touch(transaction, sessionId);
        return transaction.chatMessage.update({
          where: { id: questionId },
          data: { preferredResponseId: responseId },
        });
      });
    },
  };
}
