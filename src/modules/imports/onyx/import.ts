import { cutText } from '../../../unicode.ts';
import { type ImportFoundation, type Importing, importFrom } from '../importing.ts';
import { oneLine, type Report } from '../report.ts';
import { importAgents } from './agents.ts';
import { importChats } from './chats.ts';
import { type OnyxClient, openOnyx, orReport } from './client.ts';
import { importProjects } from './projects.ts';
import type { Wait } from './requests.ts';
import { Named } from './shapes.ts';

/** Statuses of lists that a server does not provide to this key: no license, permission or vector database. */
const notListed = [402, 403, 405, 501];

/** Reports objects that the API does not return, as far as the key can see them. */
async function tellOfTheRest({ report }: Importing, client: OnyxClient): Promise<void> {
  const tell = (path: string, what: string, reason: (names: string) => string) =>
    orReport(report, what, async () => {
      const entries = await client.readIfThere(path, notListed);
      if (!Array.isArray(entries) || entries.length === 0) return;
      const names = entries
        .slice(0, 20)
        .map((entry) => cutText(oneLine(Named.safeParse(entry).data?.name ?? 'unnamed'), 60));
      report.leave(`${entries.length} ${what}`, reason(names.join(', ')));
    });
  await tell('/manage/connector', 'connectors', (names) => `do not exist here (${names})`);
  await tell('/manage/document-set', 'document sets', (names) => `do not exist here (${names})`);
  await tell(
    '/onyx-api/ingestion',
    'ingested documents',
    () => 'the source does not return their text: ingest them here again',
  );
  report.leave(
    'chats, projects and files of other users',
    'a key can read only the data of its user: run the import with the keys of the other users',
  );
  report.leave('keys and tokens', 'secrets are not imported; create new ones');
}

/**
 * Imports what a key can read from a running Onyx server: agents, projects with instructions and files, chats with
 * their trees. The operator becomes their owner. Objects that were imported before are unchanged; failures are reported
 * and retried by the next run. Throws ImportError when there is no Onyx server.
 */
export async function importOnyx(
  foundation: ImportFoundation,
  address: string,
  key: string,
  wait?: Wait,
): Promise<Report> {
  const client = await openOnyx(address, key, wait);
  const identity = `onyx:${client.base.replace(/\/api$/, '')}`;
  return importFrom(foundation, { identity, name: 'Onyx' }, async (importing) => {
    const { report } = importing;
    const failedAgents = await importAgents(importing, client);
    const projects = await orReport(report, 'projects', () => importProjects(importing, client));
    // A chat that is imported without its project would permanently be outside all projects.
    if (projects) await importChats(importing, client, { projects, failedAgents });
    else report.fail('chats', 'are imported once their projects are known');
    await tellOfTheRest(importing, client);
  });
}
