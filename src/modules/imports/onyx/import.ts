import { type ImportFoundation, type Importing, importFrom } from '../importing.ts';
import { oneLine, type Report } from '../report.ts';
import { importAgents } from './agents.ts';
import { importChats } from './chats.ts';
import { type OnyxClient, openOnyx } from './client.ts';
import { importProjects } from './projects.ts';
import { Named } from './shapes.ts';

/** What is there and is not given by the API, as far as the key may know of it. */
async function tellOfTheRest({ report }: Importing, client: OnyxClient): Promise<void> {
  const listed = async (path: string) => {
    const value = await client.readIfThere(path);
    return Array.isArray(value) ? value : [];
  };
  const names = (entries: unknown[]) =>
    entries.slice(0, 20).map((entry) => oneLine(Named.safeParse(entry).data?.name ?? 'unnamed').slice(0, 60));
  const connectors = await listed('/manage/connector');
  if (connectors.length > 0)
    report.leave(`${connectors.length} connectors`, `do not exist here (${names(connectors).join(', ')})`);
  const sets = await listed('/manage/document-set');
  if (sets.length > 0) report.leave(`${sets.length} document sets`, `do not exist here (${names(sets).join(', ')})`);
  const documents = await listed('/onyx-api/ingestion');
  if (documents.length > 0)
    report.leave(`${documents.length} ingested documents`, 'their text is not given: ingest them here once more');
  report.leave(
    'chats, projects and files of other users',
    'a key reads those of its own user alone: run it with theirs',
  );
  report.leave('keys and tokens', 'secrets are not taken over; make new ones');
}

/**
 * Brings over what a key reads of a running Onyx: agents, projects with instructions and files, chats with their trees.
 * All of it belongs to the operator. What was brought before is left as it is. Throws ImportError where there is no
 * Onyx, or it stops answering.
 */
export async function importOnyx(foundation: ImportFoundation, address: string, key: string): Promise<Report> {
  const client = await openOnyx(address, key);
  const identity = `onyx:${client.base.replace(/\/api$/, '')}`;
  return importFrom(foundation, { identity, name: 'Onyx' }, async (importing) => {
    await importAgents(importing, client);
    const projects = await importProjects(importing, client);
    await importChats(importing, client, projects);
    await tellOfTheRest(importing, client);
  });
}
