import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, denied, notFound, parse } from '../../errors.ts';
import type { ChatSession } from '../../generated/prisma/client.ts';
import { databaseId } from '../../zod-types.ts';
import { changesOf, clearList } from '../changes.ts';
import { projectToFill } from '../projects/project-access.ts';
import type { ChatDeps } from './chat-deps.ts';

const MoveChatSession = z.object({ projectId: databaseId.nullish(), clear: clearList(['projectId']) });
type MoveChatSessionInput = z.input<typeof MoveChatSession>;

export const sessionMoves = ({ db, runs }: Pick<ChatDeps, 'db' | 'runs'>) => ({
  /**
   * Moves one of the principal's sessions into one of the principal's projects, or out of its project when `clear`
   * contains `PROJECT_ID`. Throws BAD_USER_INPUT, NOT_FOUND, and FORBIDDEN when a token that is restricted to a
   * project would move a session out of it.
   */
  async move(principal: Principal, id: string, input: MoveChatSessionInput): Promise<ChatSession> {
    const { projectId } = changesOf(parse(MoveChatSession, input));
    if (projectId === undefined)
      throw badInput(['input', 'projectId'], 'is required unless `clear` contains `PROJECT_ID`');
    const { userId, credential } = principal;
    if (projectId === null && credential.projectId !== null)
      throw denied('PROJECT_TOKEN_CONFINED', 'A project token cannot move a chat out of its project.');
    const session = await db.prisma.$transaction(async (transaction) => {
      const where = { AND: [visible.chatSessions(principal), { id, userId }] };
      if ((await transaction.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
      if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
      return transaction.chatSession.update({ where: { id }, data: { projectId } });
    });
    // Tokens of the previous project can no longer read the running or last answer.
    await runs.setProject(id, projectId);
    return session;
  },
});
