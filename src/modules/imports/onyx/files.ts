import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { ImportError } from '../operator.ts';
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
  const read = ProjectFile.safeParse(await client.readIfThere(`/user/projects/file/${encodeURIComponent(file.id)}`));
  return read.success ? { id: read.data.file_id ?? file.id, name: read.data.name } : file;
}

/** Brings one file of the key's user, with its bytes, and returns its id here; null for one that could not be. */
async function importFile(importing: Importing, client: OnyxClient, file: NamedFile): Promise<string | null> {
  const { db, services, operator, ledger } = importing;
  const { id, name } = await told(client, file);
  let stored = '';
  const called = name ?? id;

  /** One that an earlier run stored, and was cut short before it recorded. */
  const unrecorded = async (bytes: Uint8Array) => {
    const files = await db.prisma.file.findMany({
      where: { ownerId: operator.userId, name: called, size: bytes.length },
      select: { id: true },
      orderBy: { createdAt: 'asc' },
    });
    const recorded = new Set(ledger.targets('file'));
    for (const { id: stored } of files) {
      const kept = recorded.has(stored) ? null : await services.files.bytesIfThere(stored);
      if (kept && Buffer.from(kept).equals(bytes)) return stored;
    }
    return undefined;
  };

  const target = await ledger.bring(
    'file',
    id,
    called,
    async () => stored,
    async () => {
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = await client.bytes(`/chat/file/${encodeURIComponent(id)}`, maxFile);
      } catch (error) {
        if (error instanceof Refused || error instanceof ImportError)
          throw new Unfit(`its bytes are not given: ${error.message}`);
        throw error;
      }
      const before = await unrecorded(bytes);
      if (before !== undefined) {
        stored = before;
        return;
      }
      const { files, rejected } = await services.files.upload(operator, [{ name: called, bytes: async () => bytes }]);
      if (!files[0]) throw new Unfit(rejected[0]?.reason ?? 'was not taken');
      stored = files[0].id;
    },
  );
  return target;
}

/** The ids here of those files that could be brought, and are there still. */
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
