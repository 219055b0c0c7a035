import { createHash } from 'node:crypto';
import { cutText } from '../../../unicode.ts';
import { type ImportFoundation, type Importing, importFrom } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { ImportError } from '../operator.ts';
import { oneLine, Report } from '../report.ts';
import { importChats } from './chats.ts';
import { openSource, type Source } from './database.ts';
import { importDocuments } from './documents.ts';
import { type Folder, openFolder } from './folder.ts';
import { importPeople } from './people.ts';
import { importAttachments, importMembers, importWorkspaces } from './workspaces.ts';

/** Returns AnythingLLM's own ID of an installation, or the path of the folder. */
function identityOf(source: Source | null, folder: Folder): string {
  const id = source?.setting('telemetry_id');
  return `anythingllm:${id ? oneLine(id) : createHash('sha256').update(folder.path).digest('hex').slice(0, 32)}`;
}

/**
 * Returns the database of a folder, or null for a folder without one. Throws ImportError for a database that cannot be
 * used.
 */
async function databaseOf(folder: Folder, report: Report): Promise<Source | null> {
  try {
    const source = await openSource(folder, report);
    if (!source) report.leave('anythingllm.db', 'does not exist');
    return source;
  } catch (error) {
    // Importing only its documents would use another identity, and would import them again with the rest.
    throw new ImportError(`anythingllm.db: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Reports what cannot be imported, and what an operator can do about it. */
function tellOfTheRest({ report }: Importing, source: Source, folder: Folder): void {
  const named = (table: string, column: string, what: string, reason: string) => {
    const names = source.names(table, column);
    if (names.length === 0) return;
    const first = names.slice(0, 20).map((name) => cutText(oneLine(name), 40) || 'unnamed');
    report.leave(`${names.length} ${what}`, `${reason} (${first.join(', ')}${names.length > 20 ? ', …' : ''})`);
  };
  named('api_keys', 'name', 'API keys', 'secrets are not imported; create new ones');
  named('browser_extension_api_keys', 'id', 'browser extension keys', 'secrets are not imported');
  named('embed_configs', 'uuid', 'chat widgets', 'create new ones, because IDs and secrets are not imported');
  named('invites', 'id', 'invitations', 'their codes are secrets; create new ones');
  named('slash_command_presets', 'command', 'slash commands', 'have no equivalent here');
  const visits = source.count('embed_chats');
  if (visits > 0) report.leave(`${visits} chats of widgets`, 'belong to visitors and are not imported');
  for (const [label, what] of [
    ['default_agent_skills', 'agent skills'],
    ['imported_agent_skills', 'imported agent skills'],
    ['agent_sql_connections', 'connections of agents to databases'],
  ] as const) {
    const value = source.setting(label);
    if (value && value !== '[]') report.leave(what, 'have no equivalent here');
  }
  const inFolder = (what: string, reason: string, ...names: string[]) => {
    try {
      const { length } = folder.list(...names);
      if (length > 0) report.leave(`${length} ${what}`, reason);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      report.leave(names.join('/'), error.message);
    }
  };
  inFolder('agent skills in plugins', 'have no equivalent here', 'plugins', 'agent-skills');
  inFolder('generated files', 'are not imported', 'generated-files');
  inFolder('vector caches', 'are not needed: the search index is rebuilt', 'vector-cache');
}

/**
 * Imports an installation of AnythingLLM from its storage folder: people, documents, workspaces as agents, threads and
 * chats as sessions. Objects that were imported before are unchanged. Throws ImportError, without writing anything, for
 * a missing folder and for a database that cannot be used.
 */
export async function importStorage(foundation: ImportFoundation, path: string): Promise<Report> {
  const folder = openFolder(path);
  const report = new Report(foundation.dryRun);
  const source = await databaseOf(folder, report);
  if (!source && !folder.has('documents'))
    throw new ImportError(
      `${path} is not a storage folder of AnythingLLM: it contains neither anythingllm.db nor documents`,
    );
  try {
    const identity = identityOf(source, folder);
    return await importFrom(
      foundation,
      { identity, name: 'AnythingLLM' },
      (importing) => everything(importing),
      report,
    );
  } finally {
    source?.close();
  }

  async function everything(importing: Importing): Promise<void> {
    const people = source ? await importPeople(importing, source) : new Map<number, string>();
    const documents = await importDocuments(importing, folder);
    if (!source) return;
    await importWorkspaces(importing, source);
    await importMembers(importing, source);
    await importAttachments(importing, source, documents);
    await importChats(importing, source, people);
    tellOfTheRest(importing, source, folder);
    if (source.setting('multi_user_mode') === 'true' && (report.totals().document?.imported ?? 0) > 0)
      report.next(
        'all signed-in users of this server can read the documents, whether or not they are members of the workspace',
      );
  }
}
