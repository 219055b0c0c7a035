import type { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { ChatSession } from '../../generated/prisma/client.ts';
import type { ChatDeps } from './chat-deps.ts';
import { NewSession, startSession } from './new-session.ts';

type CreateChatSessionInput = z.input<typeof NewSession>;

export const sessionCreation = ({ db, models }: Pick<ChatDeps, 'db' | 'models'>) => ({
  /** Creates a session. See {@link startSession}. */
  async create(principal: Principal, input: CreateChatSessionInput): Promise<ChatSession> {
    const session = parse(NewSession, input);
    return db.prisma.$transaction(
      async (transaction) => (await startSession({ transaction, models }, principal, session)).session,
    );
  },
});
