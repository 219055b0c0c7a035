import type { Prisma } from '../../../generated/prisma/client.ts';
import type { Importing } from '../importing.ts';
import { endOf, type NewMessage, usedAt, writeMessages } from '../message-writer.ts';

/** Number of chats that are written together. */
const batchSize = 50;

/** A question and its answer. */
export interface Exchange {
  id: string;
  question: string;
  answer: string;
  createdAt: Date;
  liked: boolean | null;
  reasoning?: string | null;
  model?: string | null;
  durationMs?: number | null;
  passages?: Prisma.InputJsonArray;
}

/** Appends exchanges to a chat in their order. */
export async function importExchanges(
  { ledger }: Importing,
  sessionId: string,
  exchanges: readonly Exchange[],
  total: number,
): Promise<void> {
  for (let from = 0; from < exchanges.length; from += batchSize) {
    const items = exchanges.slice(from, from + batchSize);
    await ledger.bringAll('chat', {
      items,
      idOf: ({ id }) => id,
      nameOf: ({ id }) => id,
      async work(transaction, fresh) {
        const end = await endOf(transaction, sessionId);
        const messages = fresh.flatMap(({ question, answer, createdAt, id: _id, ...rest }, index): NewMessage[] => [
          { role: 'USER', text: question, createdAt, parent: index === 0 ? null : index * 2 - 1 },
          { role: 'ASSISTANT', text: answer, createdAt, parent: index * 2, ...rest },
        ]);
        // Each exchange follows the previous one.
        const latest = new Map(messages.map((_, place) => [place === 0 ? null : place - 1, place]));
        const under = { sessionId, userId: end.userId, under: end.id };
        const ids = await writeMessages(transaction, under, messages, latest);
        const last = Math.max(...fresh.map(({ createdAt }) => createdAt.getTime()));
        await usedAt(transaction, sessionId, new Date(last));
        return fresh.map((_, index) => String(ids[index * 2 + 1]));
      },
    });
    ledger.step('chat', total, items.length);
  }
}
