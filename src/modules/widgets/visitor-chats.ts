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

/** The columns of an answer that show whether its question is part of the visitor's chat. */
export const branchOfQuestion = {
  parent: { select: { id: true, parent: { select: { latestChildId: true } } } },
} satisfies Prisma.ChatMessageSelect;

/** Returns whether a visitor's chat continues from a question; a refused question is not part of the chat. */
export const isIncluded = ({ parent }: Prisma.ChatMessageGetPayload<{ select: typeof branchOfQuestion }>): boolean =>
  parent !== null && parent.parent?.latestChildId === parent.id;
