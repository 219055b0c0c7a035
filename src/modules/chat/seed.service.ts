import type { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { plainText } from '../../zod-types.ts';
import { NewSession, startSession } from './new-session.ts';

const SeedChatSession = NewSession.extend({
  message: plainText(200_000).nullish(),
  systemPrompt: plainText(20_000).nullish(),
  taskPrompt: plainText(20_000).nullish(),
});
export type SeedChatSessionInput = z.input<typeof SeedChatSession>;

export interface SeededSession {
  sessionId: string;
  /** The stored question; null for a session seeded without one. */
  userMessageId: number | null;
  /** The URL where a person continues the session. */
  url: string;
}

interface SeedServiceDeps {
  db: Database;
  models: ChatModels;
  /** The base URL of the chat page, without a trailing slash. */
  webUrl: () => string;
}

/** Creates the service for sessions that a program starts and a person continues. */
export function createSeedService({ db, models, webUrl }: SeedServiceDeps) {
  /** Stores an unanswered question as the first message of the current branch. */
  async function ask(transaction: Prisma.TransactionClient, sessionId: string, text: string): Promise<number> {
    const root = await transaction.chatMessage.findFirstOrThrow({ where: { sessionId, parentId: null } });
    const { id } = await transaction.chatMessage.create({
      data: { sessionId, parentId: root.id, role: 'USER', text },
    });
    await transaction.chatMessage.update({ where: { id: root.id }, data: { latestChildId: id } });
    return id;
  }

  return {
    /**
     * Creates a session of the principal with its own prompts (at most 20,000 characters each) and a question (at most
     * 200,000) without an answer; a turn with the question as its parent answers it. Throws NOT_FOUND, BAD_USER_INPUT.
     */
    seed(principal: Principal, input: SeedChatSessionInput): Promise<SeededSession> {
      const { message, systemPrompt = null, taskPrompt = null, ...session } = parse(SeedChatSession, input);
      return db.prisma.$transaction(async (transaction) => {
        const prompts = { systemPrompt, taskPrompt };
        const started = await startSession({ transaction, models }, principal, session, { prompts });
        const { id } = started.session;
        const userMessageId = message == null ? null : await ask(transaction, id, message);
        return { sessionId: id, userMessageId, url: `${webUrl()}/chat?chatId=${id}&seeded=true` };
      });
    },
  };
}
