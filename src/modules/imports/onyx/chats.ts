import type { Importing } from '../importing.ts';
import { type OnyxClient, orReport } from './client.ts';
import { type EarlierSteps, importChat } from './import-chat.ts';
import { listSessions } from './list-sessions.ts';

/**
 * Imports the chats of the key's user with their message trees, and new messages of chats that were imported before.
 */
export async function importChats(importing: Importing, client: OnyxClient, earlier: EarlierSteps): Promise<void> {
  const { ledger, report } = importing;
  const { projects } = earlier;
  const all = new Map(projects.sessions.map((session) => [session.id, session]));
  await orReport(report, 'chats', () => listSessions(importing, client, all));
  for (const ref of all.values()) {
    ledger.step('session', all.size);
    if (projects.withheld.has(ref.id) && ledger.targetOf('session', ref.id) === undefined) continue;
    await orReport(report, `chat ${ref.name ?? ref.id}`, () => importChat(importing, client, ref, earlier));
  }
}
