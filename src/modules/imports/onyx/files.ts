import { AppError } from '../../../errors.ts';
import type { Importing } from '../importing.ts';
import type { OnyxClient } from './client.ts';
import { OnyxResponseError } from './response-errors.ts';
import { ProjectFile } from './shapes.ts';

/** Maximum size of a file in bytes; the server's own limit can be lower. */
const maxFile = 200 * 1024 * 1024;

/** A file with the ID that its content is requested by. */
export interface NamedFile {
  id: string;
  name: string | null;
}

/** Returns the file with its name and ID, requesting the missing one. */
async function told(client: OnyxClient, file: NamedFile): Promise<NamedFile> {
  if (file.name !== null) return file;
  const path = `/user/projects/file/${encodeURIComponent(file.id)}`;
  // A limited key cannot read files.
  const read = ProjectFile.safeParse(await client.readIfThere(path, [403]));
  return read.success ? { id: read.data.file_id ?? file.id, name: read.data.name } : file;
}

/** Returns a file that an interrupted run stored without recording it. */
async function unrecorded(
  { db, services, operator, ledger }: Importing,
  name: string,
  bytes: Uint8Array,
): Promise<string | undefined> {
  const files = await db.prisma.file.findMany({
    where: { ownerId: operator.userId, name, size: bytes.length },
    select: { id: true },
    orderBy: { createdAt: 'asc' },
  });
  const recorded = new Set(ledger.targets('file'));
  for (const { id } of files) {
    const kept = recorded.has(id) ? null : await services.files.bytesIfThere(id);
    if (kept && Buffer.from(kept).equals(bytes)) return id;
  }
  return undefined;
}

/** Stores a file and returns its ID, or null when it is rejected, which is reported. */
async function store(importing: Importing, name: string, bytes: Uint8Array): Promise<string | null> {
  const before = await unrecorded(importing, name, bytes);
  if (before !== undefined) return before;
  const { services, operator, report } = importing;
  try {
    const { files, rejected } = await services.files.upload(operator, [{ name, bytes: async () => bytes }]);
    if (files[0]) return files[0].id;
    report.leave(`file ${name}`, rejected[0]?.reason ?? 'was not accepted');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    report.leave(`file ${name}`, error.message);
  }
  return null;
}

/**
 * Imports one file of the key's user with its content and returns its new ID, or null for a file that can never be
 * imported. Throws when the next run may import it, so that its message or project waits for it.
 */
async function importFile(importing: Importing, client: OnyxClient, file: NamedFile): Promise<string | null> {
  const { ledger, report, dryRun } = importing;
  const { id, name } = await told(client, file);
  const called = name ?? id;
  const record = (stored: string) => ledger.bring('file', { id, name: called, work: async () => stored });
  if (dryRun || ledger.targetOf('file', id) !== undefined) return record('');

  let bytes: Uint8Array;
  try {
    bytes = await client.bytes(`/chat/file/${encodeURIComponent(id)}`, maxFile);
  } catch (error) {
    if (!(error instanceof OnyxResponseError && error.definite)) throw error;
    report.leave(`file ${called}`, `its content is not available: ${error.message}`);
    return null;
  }
  const stored = await store(importing, called, bytes);
  if (stored === null) return null;
  const target = await record(stored);
  if (target === null) throw new Error(`file ${called} was not recorded`);
  return target;
}

/**
 * Returns the new IDs of the files that were imported and still exist. Throws when the next run may import one of them.
 */
export async function importFiles(
  importing: Importing,
  client: OnyxClient,
  files: readonly NamedFile[],
): Promise<string[]> {
  const ids: string[] = [];
  for (const file of files) {
    const id = await importFile(importing, client, file);
    if (id) ids.push(id);
  }
  if (ids.length === 0) return [];
  const there = await importing.db.prisma.file.findMany({ where: { id: { in: ids } }, select: { id: true } });
  return there.map(({ id }) => id);
}
