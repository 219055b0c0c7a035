import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Stores bytes by ID, outside the database. A stored blob does not change until it is erased. */
export interface Blobs {
  write(id: string, bytes: Uint8Array): Promise<void>;
  /** Returns null when there is no such blob. */
  read(id: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Has no effect when there is no such blob. */
  erase(id: string): Promise<void>;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Throws for an ID that this server did not generate, since IDs become paths and keys. */
export function checkBlobId(id: string): void {
  if (!uuid.test(id)) throw new Error('a blob’s id is a UUID');
}

/** Stores blobs as files in a folder. Only IDs that this server generated become paths. */
export function folderBlobs(folder: string): Blobs {
  const pathOf = (id: string): { parent: string; path: string } => {
    checkBlobId(id);
    const parent = join(folder, id.slice(0, 2));
    return { parent, path: join(parent, id) };
  };
  return {
    async write(id, bytes) {
      const { parent, path } = pathOf(id);
      await mkdir(parent, { recursive: true });
      // Written to a temporary file and renamed, so that readers never see a partial blob and a crash does not leave one.
      const file = await open(`${path}.new`, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    },

    async read(id) {
      try {
        const { buffer, byteOffset, byteLength } = await readFile(pathOf(id).path);
        return new Uint8Array(buffer, byteOffset, byteLength);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },

    async erase(id) {
      const { path } = pathOf(id);
      await Promise.all([rm(path, { force: true }), rm(`${path}.new`, { force: true })]);
    },
  };
}
