import type { Prisma } from '../../../generated/prisma/client.ts';
import { type NewMessage, writeMessages } from '../message-writer.ts';
import type { Conversation, Place } from './message-places.ts';
import type { Content } from './messages.ts';
import { type Node, nextOf } from './tree.ts';

/** A message that can be written. */
export interface Item extends Node {
  content: Content;
}

/**
 * Writes messages below an existing message or the root, with all of their descendants. Returns their new IDs in the
 * same order.
 */
export async function writeSubtree(
  transaction: Prisma.TransactionClient,
  session: { sessionId: string; userId: string; under: number },
  { items, places }: { items: readonly Item[]; places: ReadonlyMap<number, Place> },
  { files, choices }: Conversation,
): Promise<string[]> {
  const index = new Map(items.map(({ message }, position) => [message.message_id, position]));
  const parentOf = ({ message }: Item): number | null => places.get(message.message_id)?.parent ?? null;
  const parents = items.map((item) => index.get(parentOf(item) ?? Number.NaN) ?? null);
  let before = new Date();
  const messages = items.map(({ message, content }, position): NewMessage => {
    before = message.time_sent ?? before;
    return { ...content, parent: parents[position] ?? null, createdAt: before };
  });
  // The last of its children, unless the message selects one.
  const latest = new Map(parents.map((parent, position) => [parent, position]));
  const choose = (position: number | null, id: number | null) => {
    const chosen = index.get(nextOf(id, choices, (next) => index.has(next)) ?? Number.NaN);
    if (chosen !== undefined && parents[chosen] === position) latest.set(position, chosen);
  };
  if (items[0]) choose(null, parentOf(items[0]));
  items.forEach(({ message }, position) => {
    choose(position, message.message_id);
  });
  const ids = await writeMessages(transaction, session, messages, latest);
  for (const [position, { message }] of items.entries()) {
    const given = files.get(message.message_id) ?? [];
    const preferred = index.get(message.preferred_response_id ?? Number.NaN);
    const answered = preferred !== undefined && parents[preferred] === position;
    if (given.length === 0 && !answered) continue;
    await transaction.chatMessage.update({
      where: { id: ids[position] ?? 0 },
      data: {
        files: { connect: given.map((id) => ({ id })) },
        ...(answered && { preferredResponseId: ids[preferred] ?? null }),
      },
    });
  }
  return ids.map(String);
}
