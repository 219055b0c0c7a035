import type { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { ChatModels } from '../../models/providers.ts';
import type { Database } from '../../store/database.ts';
import { plainText } from '../input.ts';
import { NewSession, startSession } from './new-session.ts';

const SeedChatSession = NewSession.extend({
  message: plainText(200_000).nullish(),
  systemPrompt: plainText(20_000).nullish(),
  taskPrompt: plainText(20_000).nullish(),
});
export type SeedChatSessionInput = z.input<typeof SeedChatSession>;

export interface SeededSession {
  sessionId: string;
  /** The question that waits for its answer; null when none was given. */
  userMessageId: number | null;
  /** Where a person goes on with it. */
  url: string;
}

interface Foundation {
  db: Database;
  models: ChatModels;
  /** Where people chat, without a trailing slash. */
  webUrl: () => string;
}

/** Sessions that a program begins, and a person goes on with. */
export function seedService({ db, models, webUrl }: Foundation) {
  /** Stores a question that nobody answers yet, as the first of the current branch. */
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
     * A new session of the principal's own, with prompts of its own (at most 20,000 characters each) and a question (at
     * most 200,000) that waits for its answer: a turn on it as the parent answers it. Throws NOT_FOUND, BAD_USER_INPUT.
     */
    seed(principal: Principal, input: SeedChatSessionInput): Promise<SeededSession> {
      const { message, systemPrompt = null, taskPrompt = null, ...session } = parse(SeedChatSession, input);
      return db.prisma.$transaction(async (transaction) => {
        const prompts = { systemPrompt, taskPrompt };
        const started = await startSession(transaction, principal, models, session, prompts);
        const { id } = started.session;
        const userMessageId = message == null ? null : await ask(transaction, id, message);
        return { sessionId: id, userMessageId, url: `${webUrl()}/chat?chatId=${id}&seeded=true` };
      });
    },
  };
}

export type SeedService = ReturnType<typeof seedService>;
