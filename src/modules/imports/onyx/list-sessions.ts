import type { Importing } from '../importing.ts';
import type { OnyxClient } from './client.ts';
import { SessionPage, SessionRef } from './shapes.ts';

/** Maximum number of pages of sessions that are requested, in case a server always reports another page. */
const maxPages = 10_000;

/** Adds all sessions of the key's user to `found`. Servers without pages return all of them at once. */
export async function listSessions(
  { report }: Importing,
  client: OnyxClient,
  found: Map<string, SessionRef>,
): Promise<void> {
  const listed = new Set<string>();
  const query = 'only_non_project_chats=false&include_failed_chats=false&page_size=100';
  for (let before = '', pages = 0; pages < maxPages; pages++) {
    const path = `/chat/get-user-chat-sessions?${query}${before && `&before=${encodeURIComponent(before)}`}`;
    // A limited key of an older server may be denied.
    const reply = await client.readIfThere(path, pages === 0 ? [403] : []);
    if (reply === null && pages === 0) {
      report.leave('chats', 'are not listed for this key');
      return;
    }
    const { data: page } = SessionPage.safeParse(reply);
    if (!page) throw new Error('are listed in an unknown form');
    const sessions = page.sessions.flatMap((entry) => SessionRef.safeParse(entry).data ?? []);
    const unread = page.sessions.length - sessions.length;
    if (unread > 0) report.leave(`${unread} chats`, 'do not have the form of chats');
    const fresh = sessions.filter(({ id }) => !listed.has(id));
    for (const session of fresh) {
      listed.add(session.id);
      found.set(session.id, session);
    }
    if (!page.has_more) return;
    const last = sessions.at(-1)?.time_updated;
    if (fresh.length === 0 || !last)
      throw new Error(`the list ends after ${listed.size} entries although it announces more`);
    // One millisecond later, so that a session with the same time as the last one is not skipped.
    before = new Date(last.getTime() + 1).toISOString();
  }
  throw new Error(`the list has more than ${maxPages} pages`);
}
