import { z } from 'zod';
import type { Prisma } from '../../generated/prisma/client.ts';

/** Prefix of a visitor's chat ID in the session key. */
const keyPrefix = 'embed:';

/** Returns the session key of a visitor's chat with this UUID, or null for any other text. */
export function sessionKey(sessionId: string): string | null {
  const id = z.uuid().safeParse(sessionId).data;
  return id === undefined ? null : keyPrefix + id.toLowerCase();
}

/** Returns the visitor's chat ID in a session key. */
export const clientIdOf = (key: string): string => key.slice(keyPrefix.length);

/** A question of a visitor and its answer. */
export interface Exchange {
  /** The integer ID of the answer. */
  id: number;
  /** The integer ID of the widget. */
  embedId: number;
  /** The UUID of the visitor's chat. */
  sessionId: string;
  question: string;
  answer: string;
  askedAt: Date;
  answeredAt: Date;
  /** Set when the visitor's chat continues from it; a refused question is not part of the chat. */
  included: boolean;
}

/** The columns of an exchange: the answer with its question. */
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
