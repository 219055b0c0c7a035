import { parseArgs } from 'node:util';
import { type FirstAdminKey, handOver } from '../../first-admin-key.ts';
import { createLog } from '../../log.ts';
import { createMetrics } from '../../metrics.ts';
import { createServices, type Foundation } from '../../services.ts';
import { readSettings, type Settings } from '../../settings.ts';
import { StartupError } from '../../startup-error.ts';
import { createBackground } from '../../store/background.ts';
import { checkDataDir } from '../../store/data-dir.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { AlreadyRunningError } from '../../store/instance-lock.ts';
import { inMemoryState } from '../../store/shared/shared-state.ts';
import type { ImportFoundation } from './importing.ts';
import { ImportError, operatorOf } from './operator.ts';
import type { Report } from './report.ts';

/** The options of an import besides its source. */
interface ImportOptions {
  dryRun: boolean;
  /** The address of the administrator that it acts as. */
  as: string | null;
}

export interface ImportCommand {
  /** The usage message. */
  usage: string;
  /** The number of arguments. */
  arguments: { least: number; most: number };
  /** Checks the arguments before anything is opened and returns the import to run. Both throw ImportError. */
  prepare: (given: string[]) => (foundation: ImportFoundation) => Promise<Report>;
  /** Removes secrets in the arguments from a text. */
  redact?: (text: string, given: string[]) => string;
}

function readArguments({ usage, arguments: { least, most } }: ImportCommand, args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean', default: false }, as: { type: 'string' } },
    });
    if (positionals.length < least || positionals.length > most) throw new ImportError(`usage: ${usage}`);
    return { given: positionals, options: { dryRun: values['dry-run'], as: values.as ?? null } };
  } catch (error) {
    // Node's message quotes the argument.
    throw error instanceof ImportError ? error : new ImportError(`usage: ${usage}`);
  }
}

/** Opens the services without an HTTP server, and returns a function that closes them. */
async function openServices(settings: Settings) {
  const log = createLog('error');
  const { databaseUrl, dataDir, statementTimeoutMs } = settings;
  await checkDataDir(dataDir);
  const onLockLost = (message: string) => {
    console.error(`latchkey: ${message}`);
    process.exit(1);
  };
  const db = await openDatabase({ databaseUrl, dataDir, statementTimeoutMs, log, onLockLost });
  const background = createBackground(log);
  const foundation: Foundation = {
    metrics: createMetrics(),
    settings,
    db,
    log,
    background,
    shared: inMemoryState(),
    publicUrl: () => settings.publicUrl,
  };
  const services = createServices(foundation);
  const close = async () => {
    // Waits for text extraction, since the operator expects it to be complete.
    await background.settled();
    await services.files.close();
    await db.close();
  };
  return { db, services, close };
}

/**
 * Returns the administrator to act as; a server without one gets its first key, as at its first start. Throws
 * ImportError.
 */
async function findOperator(
  { db, services }: { db: Database; services: ReturnType<typeof createServices> },
  settings: Settings,
  { as, dryRun }: ImportOptions,
) {
  const found = await operatorOf(db, settings, as);
  if (found) return { operator: found, firstKey: null };
  if (dryRun)
    throw new ImportError('the server has no administrator yet: start it once, or run the import without --dry-run');
  let firstKey: FirstAdminKey | null = null;
  await services.tokens.createFirstAdminKey(settings.bootstrapAdminKey ?? null, (secret) => {
    firstKey = handOver(secret, { dataDir: settings.dataDir, isTerminal: process.stdout.isTTY });
  });
  const operator = await operatorOf(db, settings, null);
  if (!operator) throw new ImportError('the server has no administrator');
  return { operator, firstKey: firstKey as FirstAdminKey | null };
}

/** Returns why the command stops: one line for an error that the operator can fix. */
function reasonOf(error: unknown): string {
  if (error instanceof AlreadyRunningError)
    return `${error.message}. An import requires exclusive access to the database: stop the server, import, and start it again`;
  if (error instanceof ImportError || error instanceof StartupError) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/**
 * Runs an import from the command line on the database in the settings: progress on stderr, the report on stdout.
 * Returns the exit code: 1 when something failed for a reason other than the data.
 */
export async function runImport(command: ImportCommand, args: string[], environment = process.env): Promise<number> {
  let given: string[] = [];
  const safe = (text: string) => command.redact?.(text, given) ?? text;
  const say = (line: string) => console.error(safe(`latchkey: ${line}`));
  try {
    const read = readArguments(command, args);
    given = read.given;
    const run = command.prepare(given);
    const settings = readSettings(environment);
    say('opening the database');
    const { db, services, close } = await openServices(settings);
    try {
      const { operator, firstKey } = await findOperator({ db, services }, settings, read.options);
      if (firstKey && 'secret' in firstKey)
        console.log(`Your first admin key, displayed only once: ${firstKey.secret}`);
      if (firstKey && 'file' in firstKey) say(`your first admin key is in ${firstKey.file}`);
      say(`importing as ${operator.email}`);
      const report = await run({ db, services, operator, say, dryRun: read.options.dryRun });
      for (const line of report.lines()) console.log(safe(line));
      return report.failed ? 1 : 0;
    } finally {
      await close();
    }
  } catch (error) {
    console.error(safe(`latchkey: ${reasonOf(error)}`));
    return 1;
  }
}
