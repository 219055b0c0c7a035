import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { endOf, usedAt } from '../message-writer.ts';
import { type Conversation, messageKey, placesOf } from './message-places.ts';
import { contentOf } from './messages.ts';
import type { Node } from './tree.ts';
import { type Item, writeSubtree } from './write-subtree.ts';

/** Returns the messages that can be written and reports the others. */
async function writableMessages(
  { db, ledger, report, dryRun }: Importing,
  sessionId: string,
  conversation: Conversation,
): Promise<Item[]> {
  const leave = ({ message }: Node, reason: string) =>
    report.leave(`message ${message.message_id} of chat ${conversation.name}`, reason);
  const items = conversation.fresh.flatMap((node): Item[] => {
    try {
      return [{ ...node, content: contentOf(node.message, (id) => ledger.targetOf('file', id)) }];
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      leave(node, error.message);
      return [];
    }
  });
  if (dryRun) return items;
  const rows = await db.prisma.chatMessage.findMany({ where: { sessionId }, select: { id: true } });
  const there = new Set(rows.map(({ id }) => id));
  const places = placesOf(ledger, conversation, items);
  return items.filter((item) => {
    const top = places.get(item.message.message_id)?.top ?? null;
    if (top === null || there.has(top)) return true;
    leave(item, 'the message that it answers was deleted here');
    return false;
  });
}

/** Imports all new messages of one session in one transaction. */
export async function importMessages(
  importing: Importing,
  sessionId: string,
  conversation: Conversation,
): Promise<void> {
  const { ledger } = importing;
  const { id, name } = conversation;
  await ledger.bringAll('message', {
    items: await writableMessages(importing, sessionId, conversation),
    idOf: ({ message }) => messageKey(id, message.message_id),
    nameOf: ({ message }) => `${message.message_id} of chat ${name}`,
    async work(transaction, items) {
      const { userId } = await endOf(transaction, sessionId);
      const root = await transaction.chatMessage.findFirstOrThrow({
        where: { sessionId, parentId: null },
        select: { id: true },
      });
      const places = placesOf(ledger, conversation, items);
      const subtrees = new Map<number, Item[]>();
      for (const item of items) {
        const under = places.get(item.message.message_id)?.top ?? root.id;
        const subtree = subtrees.get(under);
        if (subtree) subtree.push(item);
        else subtrees.set(under, [item]);
      }
      const made = new Map<number, string>();
      for (const [under, subtree] of subtrees) {
        const ids = await writeSubtree(
          transaction,
          { sessionId, userId, under },
          { items: subtree, places },
          conversation,
        );
        subtree.forEach(({ message }, position) => {
          made.set(message.message_id, ids[position] ?? '');
        });
      }
      const times = items.map(({ message }) => message.time_sent?.getTime() ?? 0);
      await usedAt(transaction, sessionId, new Date(times.reduce((one, other) => Math.max(one, other), 0)));
      return items.map(({ message }) => made.get(message.message_id) ?? '');
    },
  });
}
