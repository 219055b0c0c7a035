import type { z } from 'zod';
import type { Importing } from '../importing.ts';
import { oneLine } from '../report.ts';
import type { Source as Database } from './database.ts';
import { ChatRow, ThreadRow } from './shapes.ts';

/** A chat with several rows: a thread, the unnamed chat of a person, or one that a client named. */
export interface Conversation {
  key: string;
  workspaceId: number;
  userId: number | null;
  thread: z.output<typeof ThreadRow> | null;
  clientKey: string | null;
  rows: z.output<typeof ChatRow>[];
}

/**
 * Groups the chats of an installation by conversation. `reset` is the number of chats that the source excludes from the
 * history, and `orphaned` the number of chats whose workspace or thread does not exist.
 */
export function readConversations(
  { ledger }: Importing,
  source: Database,
): { conversations: Conversation[]; reset: number; orphaned: number } {
  const conversations = new Map<string, Conversation>();
  const into = (conversation: Omit<Conversation, 'rows'>): Conversation => {
    const known = conversations.get(conversation.key) ?? { ...conversation, rows: [] };
    conversations.set(conversation.key, known);
    return known;
  };

  for (const thread of source.rows('workspace_threads', ThreadRow))
    into({
      key: `thread:${thread.id}`,
      workspaceId: thread.workspace_id,
      userId: thread.user_id,
      thread,
      clientKey: null,
    });

  const left = { reset: 0, orphaned: 0 };
  for (const row of source.rows('workspace_chats', ChatRow)) {
    const { workspaceId, user_id: userId, thread_id: threadId, api_session_id: apiSessionId } = row;
    const who = `${workspaceId}:${userId ?? ''}`;
    const named = { workspaceId, userId, thread: null };
    if (!row.include) left.reset += 1;
    else if (ledger.targetOf('agent', workspaceId) === undefined) left.orphaned += 1;
    else if (threadId !== null) {
      const thread = conversations.get(`thread:${threadId}`);
      if (thread) thread.rows.push(row);
      else left.orphaned += 1;
    } else if (apiSessionId !== null)
      into({ ...named, key: `session:${who}:${apiSessionId}`, clientKey: `session:${apiSessionId}` }).rows.push(row);
    else into({ ...named, key: `chat:${who}`, clientKey: '' }).rows.push(row);
  }
  return { conversations: [...conversations.values()], ...left };
}

/**
 * Returns the conversations that have an owner. Reports those of people who were not imported, since they belong to no
 * other user. `people` maps IDs in the source to names.
 */
export function ownedConversations(
  { ledger, report }: Importing,
  conversations: readonly Conversation[],
  people: ReadonlyMap<number, string>,
): Conversation[] {
  const left = new Map<number, { threads: number; chats: number }>();
  const owned = conversations.filter(({ userId, thread, rows }) => {
    if (userId === null || ledger.targetOf('user', userId) !== undefined) return true;
    const { threads, chats } = left.get(userId) ?? { threads: 0, chats: 0 };
    left.set(userId, { threads: threads + (thread ? 1 : 0), chats: chats + rows.length });
    return false;
  });
  for (const [userId, { threads, chats }] of left)
    report.leave(
      `${chats} chats and ${threads} threads of user ${oneLine(people.get(userId) || String(userId))}`,
      'have no other owner, and that user was not imported',
    );
  return owned;
}
