import { AppError } from '../../../errors.ts';
import type { Importing } from '../importing.ts';
import { type OnyxClient, Refused } from './client.ts';
import { ProjectFile } from './shapes.ts';

/** The largest file that is asked for, in bytes; the server's own limit may be less. */
const maxFile = 200 * 1024 * 1024;

/** A file by the id that its bytes are asked for by. */
export interface NamedFile {
  id: string;
  name: string | null;
}

/** The file, with the name and the id that its server tells where only one of them was known. */
async function told(client: OnyxClient, file: NamedFile): Promise<NamedFile> {
  if (file.name !== null) return file;
  const path = `/user/projects/file/${encodeURIComponent(file.id)}`;
  // A limited key is told nothing of files.
  const read = ProjectFile.safeParse(await client.readIfThere(path, [403]));
  return read.success ? { id: read.data.file_id ?? file.id, name: read.data.name } : file;
}

/** One that an earlier run stored, and was cut short before it recorded. */
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

/** Stores the bytes, and returns the id of the file; null, and a line in the report, where they are not taken. */
async function store(importing: Importing, name: string, bytes: Uint8Array): Promise<string | null> {
  const before = await unrecorded(importing, name, bytes);
  if (before !== undefined) return before;
  const { services, operator, report } = importing;
  try {
    const { files, rejected } = await services.files.upload(operator, [{ name, bytes: async () => bytes }]);
    if (files[0]) return files[0].id;
    report.leave(`file ${name}`, rejected[0]?.reason ?? 'was not taken');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    report.leave(`file ${name}`, error.message);
  }
  return null;
}

/**
 * Brings one file of the key's user, with its bytes, and returns its id here; null for one that can never be brought.
 * Throws where it may come the next time: what has it is to wait for it.
 */
async function importFile(importing: Importing, client: OnyxClient, file: NamedFile): Promise<string | null> {
  const { ledger, report, dryRun } = importing;
  const { id, name } = await told(client, file);
  const called = name ?? id;
  const record = (stored: string) => ledger.bring('file', id, called, async () => stored);
  if (dryRun || ledger.targetOf('file', id) !== undefined) return record('');

  let bytes: Uint8Array;
  try {
    bytes = await client.bytes(`/chat/file/${encodeURIComponent(id)}`, maxFile);
  } catch (error) {
    if (!(error instanceof Refused && error.definite)) throw error;
    report.leave(`file ${called}`, `its bytes are not given: ${error.message}`);
    return null;
  }
  const stored = await store(importing, called, bytes);
  if (stored === null) return null;
  const target = await record(stored);
  if (target === null) throw new Error(`file ${called} was not recorded`);
  return target;
}

/** The ids here of those files that could be brought, and are there still. Throws where one may come the next time. */
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
