import { z } from 'zod';
import type { Prisma } from '../../generated/prisma/client.ts';

/** What stands before a visitor's own id in the key of their chat. */
const keyPrefix = 'embed:';

/** The key of the chat that a visitor calls by a UUID, or null where it is none. */
export function sessionKey(sessionId: string): string | null {
  const id = z.uuid().safeParse(sessionId).data;
  return id === undefined ? null : keyPrefix + id.toLowerCase();
}

/** The id in such a key, as the visitor calls the chat. */
export const clientIdOf = (key: string): string => key.slice(keyPrefix.length);

/** A question of a visitor's and the answer to it. */
export interface Exchange {
  /** The integer id of the answer. */
  id: number;
  /** The integer id of the widget. */
  embedId: number;
  /** The UUID by which the visitor calls the chat. */
  sessionId: string;
  question: string;
  answer: string;
  askedAt: Date;
  answeredAt: Date;
  /** Whether the visitor's chat goes on from it; a question that was refused is not part of it. */
  included: boolean;
}

/** What an exchange is made from: its answer, with the question that it hangs from. */
export const exchangeSelect = {
  id: true,
  text: true,
  createdAt: true,
  session: { select: { clientKey: true, user: { select: { embed: { select: { id: true } } } } } },
  parent: { select: { id: true, text: true, createdAt: true, parent: { select: { latestChildId: true } } } },
} satisfies Prisma.ChatMessageSelect;

export const exchangeOf = ({
  id,
  text,
  createdAt,
  session,
  parent,
}: Prisma.ChatMessageGetPayload<{ select: typeof exchangeSelect }>): Exchange => ({
  id,
  embedId: session.user.embed?.id ?? 0,
  sessionId: clientIdOf(session.clientKey ?? ''),
  question: parent?.text ?? '',
  answer: text,
  askedAt: parent?.createdAt ?? createdAt,
  answeredAt: createdAt,
  included: parent !== null && parent.parent?.latestChildId === parent.id,
});
