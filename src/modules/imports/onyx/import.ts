import { cutText } from '../../../unicode.ts';
import { type ImportFoundation, type Importing, importFrom } from '../importing.ts';
import { oneLine, type Report } from '../report.ts';
import { importAgents } from './agents.ts';
import { importChats } from './chats.ts';
import { type OnyxClient, openOnyx, orReport, type Wait } from './client.ts';
import { importProjects } from './projects.ts';
import { Named } from './shapes.ts';

/** Statuses of lists that a server does not have, or not for this key: without a licence, a right, a vector database. */
const notListed = [402, 403, 405, 501];

/** What is there and is not given by the API, as far as the key may know of it. */
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
  await tell('/onyx-api/ingestion', 'ingested documents', () => 'their text is not given: ingest them here once more');
  report.leave(
    'chats, projects and files of other users',
    'a key reads those of its own user alone: run it with theirs',
  );
  report.leave('keys and tokens', 'secrets are not taken over; make new ones');
}

/**
 * Brings over what a key reads of a running Onyx: agents, projects with instructions and files, chats with their trees.
 * All of it belongs to the operator. What was brought before is left as it is; what fails is told of, and comes with the
 * next run. Throws ImportError where there is no Onyx.
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
    // A chat that came without its project would be in none for good.
    if (projects) await importChats(importing, client, { projects, failedAgents });
    else report.fail('chats', 'come when it is known which projects they are in');
    await tellOfTheRest(importing, client);
  });
}
