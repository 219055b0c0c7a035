import { agentStillHere, type Importing, userStillHere } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { writeSession } from '../message-writer.ts';
import { cutTo } from '../text.ts';
import { type Conversation, ownedConversations, readConversations } from './conversations.ts';
import type { Source } from './database.ts';
import { type Exchange, importExchanges } from './exchanges.ts';
import { documentsByUrl } from './passages.ts';
import { readExchanges } from './stored-exchanges.ts';
import { fitsUrl } from './workspaces.ts';

const nameOf = ({ thread }: Conversation): string | null => (thread?.name ? cutTo(thread.name, 500) : null);

/** Creates the session of a conversation and returns its ID, or null when it was not imported, which is reported. */
function importSession(
  { operator, ledger }: Importing,
  conversation: Conversation,
  { agentId, begun, exchanges }: { agentId: number; begun: Date; exchanges: readonly Exchange[] },
): Promise<string | null> {
  const { key, userId, thread, clientKey } = conversation;
  const name = nameOf(conversation);
  return ledger.bring('session', {
    id: key,
    name: name ?? key,
    async work(transaction) {
      const ownerId = userId === null ? operator.userId : ledger.targetOf('user', userId);
      if (ownerId === undefined) throw new Unfit('its owner was not imported');
      await agentStillHere(transaction, agentId);
      await userStillHere(transaction, ownerId);
      const written = await writeSession(transaction, {
        userId: ownerId,
        agentId,
        name,
        slug: thread?.slug && fitsUrl.test(thread.slug) ? thread.slug : null,
        clientKey: clientKey !== null && clientKey.length <= 500 ? clientKey : null,
        createdAt: begun,
        updatedAt: thread?.lastUpdatedAt ?? exchanges.at(-1)?.createdAt ?? begun,
      });
      return written.id;
    },
  });
}

/**
 * Imports threads and chats as sessions of their person, or of the operator when they had no person. `people` maps IDs
 * in the source to names.
 */
export async function importChats(
  importing: Importing,
  source: Source,
  people: ReadonlyMap<number, string>,
): Promise<void> {
  const { ledger, report } = importing;
  const { conversations: all, reset, orphaned } = readConversations(importing, source);
  const conversations = ownedConversations(importing, all, people);
  const total = conversations.reduce((sum, { rows }) => sum + rows.length, 0);
  const byUrl = await documentsByUrl(importing);

  let images = 0;
  for (const conversation of conversations) {
    const agentId = ledger.targetOf('agent', conversation.workspaceId);
    if (agentId === undefined) {
      report.leave(`thread ${nameOf(conversation) ?? conversation.key}`, 'its workspace was not imported');
      continue;
    }
    const begun = conversation.thread?.createdAt ?? conversation.rows[0]?.createdAt ?? new Date();
    const { exchanges, ...left } = readExchanges(importing, conversation.rows, begun, byUrl);
    images += left.images;
    const session = await importSession(importing, conversation, { agentId: Number(agentId), begun, exchanges });
    if (session !== null) await importExchanges(importing, session, exchanges, total);
  }
  if (reset > 0) report.leave(`${reset} chats`, 'were reset or rejected in the source and are not part of a history');
  if (orphaned > 0) report.leave(`${orphaned} chats`, 'their workspace or thread no longer exists');
  if (images > 0) report.leave(`${images} images of chats`, 'are not imported');
}
